# Sluice alone in an image: docker build --build-arg VERSION=$(git describe --tags --always) -t sluice .

FROM golang:1.26 AS build
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build VERSION=$VERSION

FROM scratch
# Authorities for verify-ca and verify-full are named in the configuration; none are needed here.
COPY --from=build /src/bin/sluice /usr/bin/sluice
COPY --from=build /src/conf/sluice.toml /etc/sluice/sluice.toml

# The file above has no listener: mount another over it, or set SLUICE_ variables.
ENV SLUICE_CONFIG=/etc/sluice/sluice.toml
WORKDIR /etc/sluice
USER 65532:65532

# The admin side. It listens on loopback until SLUICE_ADMIN_LISTEN, _USER and _PASSWORD say otherwise.
EXPOSE 3080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/sluice"]
CMD ["run"]

# What there is to make. The Go files are the source of truth for versions: go.mod for the program,
# bench/go.mod for its tests against real servers, its benchmarks and its tools, bench/tidb/go.mod for TiDB.

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME  ?= 60s
BENCHTIME ?= 200ms

.PHONY: build test deps tidb lint unit real demo bench bench-quick bench-ideas bench-move guard guard-update microbench fuzz clean

build: ## the program: bin/sluice
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/sluice ./cmd/sluice

test: deps lint unit real ## all that has to hold

deps: ## the servers and clients that the tests talk to
	.ci/deps

tidb: ## the TiDB server that the tests run, built once and kept in the user's cache: about 9 minutes on two cores
	cd bench && go run ./cmd/tidb

lint: bin/staticcheck ## form, vet and staticcheck, in both modules
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	go vet ./...
	bin/staticcheck ./...
	GOARCH=arm64 go vet ./engine ./codec/...
	cd bench && go vet ./...
	cd bench && ../bin/staticcheck ./...

bin/staticcheck: bench/go.mod
	cd bench && go build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck

unit: ## the program's own tests, with the race detector; those that do less under it once more without
	go test -race -timeout 60m ./...
	go test -timeout 30m ./codec/mysql ./codec/postgres ./upstream/pool

real: tidb ## against PostgreSQL, MariaDB, TiDB and their clients
	.ci/real

demo: build ## 20 seconds of Sluice at work, no database needed
	cd bench && go run ./cmd/demo -sluice ../bin/sluice

bench: deps build ## figures against direct connections and other proxies; under 30 minutes
	cd bench && go run ./cmd/bench -sluice ../bin/sluice

bench-quick: deps build ## the same in under 4 minutes, with a wider spread
	cd bench && go run ./cmd/bench -sluice ../bin/sluice -quick

bench-ideas: deps build ## what ideas would bring, tried on relays without a protocol; about 11 minutes
	bench/prototype/measure

bench-move: deps tidb build ## how long sessions take to leave a server, and how long their clients wait; about 3 minutes
	cd bench && go run ./cmd/move -sluice ../bin/sluice

guard: deps ## instructions per query, counted by valgrind and held against the record
	cd bench && go test -count=1 -v -run '^TestInstructionsPerQuery$$' ./internal/guard

guard-update: deps ## writes the record anew; its change goes in with the change that caused it
	cd bench && go test -count=1 -v -run '^TestInstructionsPerQuery$$' ./internal/guard -update

microbench: ## codecs in MB/s, choices, timers and tasks in ns; allocations of all of them
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) ./codec/... ./router ./engine ./upstream/pool

fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$(go list ./...); do \
		targets=$$(go test -list '^Fuzz' $$pkg) || exit 1; \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$pkg || exit 1; \
		done; \
	done

clean:
	rm -rf bin bench/out

module sluice

go 1.26.0

require (
	filippo.io/edwards25519 v1.2.0 // logging in by MariaDB's client_ed25519
	github.com/VictoriaMetrics/metrics v1.35.1 // process and runtime figures, the metrics page
	github.com/cloudwego/netpoll v0.7.2 // health checks
	github.com/go-sql-driver/mysql v1.10.1 // carrying a KILL to another backend
	github.com/jackc/pgx/v5 v5.12.0 // the auth query, the shared listening connections
	github.com/klauspost/compress v1.20.3 // zstd in MySQL's compressed protocol
	github.com/panjf2000/gnet/v2 v2.10.0 // the event loops
	github.com/pelletier/go-toml/v2 v2.4.3 // the configuration file
	github.com/spf13/cobra v1.10.2 // the command line
	github.com/valyala/bytebufferpool v1.0.0 // copies that leave a loop
	github.com/valyala/fastjson v1.6.10 // the states of TiDB's sessions
	github.com/xdg-go/scram v1.4.0 // tests only: an independent judge of the SCRAM conversations
	github.com/xdg-go/stringprep v1.0.4 // SASLprep of passwords
	go.etcd.io/etcd/api/v3 v3.6.6 // with the client
	go.etcd.io/etcd/client/v3 v3.6.6 // Patroni's requests for a switchover
	go.uber.org/zap v1.28.0 // logging
	go.yaml.in/yaml/v3 v3.0.6 // configurations of other proxies, for convert
	golang.org/x/sys v0.49.0 // epoll, socket options
	google.golang.org/grpc v1.71.1 // what the etcd client's connections are to be like
)

require (
	github.com/bytedance/gopkg v0.1.1 // indirect
	github.com/cloudwego/gopkg v0.1.4 // indirect
	github.com/coreos/go-semver v0.3.1 // indirect
	github.com/coreos/go-systemd/v22 v22.5.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/protobuf v1.5.4 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.26.3 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/panjf2000/ants/v2 v2.12.1 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	github.com/valyala/fastrand v1.1.0 // indirect
	github.com/valyala/histogram v1.2.0 // indirect
	go.etcd.io/etcd/client/pkg/v3 v3.6.6 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/net v0.38.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20250303144028-a0af3efb3deb // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20250303144028-a0af3efb3deb // indirect
	google.golang.org/protobuf v1.36.5 // indirect
	gopkg.in/natefinch/lumberjack.v2 v2.2.1 // indirect
)

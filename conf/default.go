package conf

import "time"

// Default is the configuration of an empty file.
func Default() *Config {
	return &Config{
		Engine: Engine{
			ReadBuffer:      64 << 10,
			HighWater:       256 << 10,
			LowWater:        64 << 10,
			GCPercent:       400,
			ShutdownTimeout: Duration(30 * time.Second),
		},
		Admin: Admin{Listen: "127.0.0.1:3080"},
		Log:   Log{Level: "info", Format: "console"},
	}
}

// DefaultCluster is a cluster in which no key is given. Name, protocol, backends and
// the hosts of Patroni have no default.
func DefaultCluster() Cluster {
	return Cluster{
		Discovery:       "static",
		ConnectTimeout:  Duration(3 * time.Second),
		RetryTimeout:    Duration(10 * time.Second),
		FailoverTimeout: Duration(30 * time.Second),
		FailoverClients: 10000,
		ProxyProtocol:   "off",
		Keepalive:       Duration(time.Minute),
		Health: Health{
			Interval: Duration(3 * time.Second),
			Timeout:  Duration(2 * time.Second),
			Rise:     2,
			Fall:     3,
		},
		TLS: ServerTLS{Mode: "disable"},
		Migrate: Migrate{
			Enabled:     true,
			HoldTimeout: Duration(3 * time.Second),
			RetryAfter:  Duration(3 * time.Second),
			KeepState:   Duration(time.Second),
			StateMax:    1 << 20,
		},
		Balance: Balance{Policy: "connection", Routing: "prefer-idle", CountRatio: 1.2,
			Interval: Duration(100 * time.Millisecond)},
		Patroni: Patroni{
			Interval:   Duration(3 * time.Second),
			Timeout:    Duration(2 * time.Second),
			Hedge:      Duration(300 * time.Millisecond),
			LearnHosts: true,
			States:     []string{"running", "streaming"},
			ZoneTag:    "zone",
			Etcd:       PatroniEtcd{Namespace: "/service"},
		},
		PD: PD{Timeout: Duration(2 * time.Second), ZoneLabel: "zone"},
		Status: Status{
			Interval:        Duration(time.Second),
			Timeout:         Duration(2 * time.Second),
			Metrics:         "auto",
			MetricsInterval: Duration(5 * time.Second),
			TLS:             ServerTLS{Mode: "disable"},
		},
	}
}

// DefaultBackend is a backend in which no key is given. Addr has no default.
func DefaultBackend() Backend { return Backend{Role: "leader"} }

// DefaultListener is a listener in which no key is given. Name, listen and cluster have no default;
// that of roles depends on the protocol, and that of pool-size on the mode; both are filled in by
// Config.Check.
func DefaultListener() Listener {
	return Listener{
		Mode: "proxy",

		ProxyProtocol: "off",
		LagReturn:     50,
		LagUnknown:    "refuse",
		DrainTimeout:  Duration(30 * time.Second),
		LoginTimeout:  Duration(30 * time.Second),
		Keepalive:     Duration(time.Minute),
		TLS:           ClientTLS{Mode: "disable", MinVersion: "1.2"},

		Unit:             "transaction",
		PoolSize:         20,
		PoolReserveAfter: Duration(5 * time.Second),
		PoolWaitTimeout:  Duration(2 * time.Minute),
		PoolWaitNotify:   Duration(5 * time.Second),
		PoolConnects:     4,

		ServerIdleTimeout: Duration(10 * time.Minute),
		ServerLifetime:    Duration(time.Hour),
		ServerCheckAfter:  Duration(30 * time.Second),
		ServerResetQuery:  "DISCARD ALL",
		ServerRetryMin:    Duration(100 * time.Millisecond),
		ServerRetryMax:    Duration(15 * time.Second),

		PreparedMax:  200,
		StatementMax: 1 << 20,
		SharedListen: true,
		SchemaWatch:  true,

		AbandonTimeout: Duration(5 * time.Second),
		CancelTimeout:  Duration(10 * time.Second),
		OnServerLoss:   "error",
		ReadOwnWrites:  "off",
		ReadWait:       Duration(time.Second),
		DatabasesAny:   true,
		Auth: Auth{
			Method:           "secret",
			QueryCache:       Duration(time.Minute),
			QueryCacheFailed: Duration(5 * time.Second),
		},
	}
}

// DefaultRule is a rule in which no key is given: it fits every client.
func DefaultRule() Rule { return Rule{TLS: "any", Method: inherit} }

// DefaultDatabase is a database in which no key is given. Name has no default.
func DefaultDatabase() Database { return Database{Unit: inherit} }

// DefaultUser is a user in which no key is given. Name has no default.
func DefaultUser() User { return User{Unit: inherit} }

// defaultRoles are a listener's roles where none are given: a PostgreSQL replica refuses writes, so
// its clients are sent to the leader unless they ask for something else.
func defaultRoles(protocol string) []string {
	if protocol == "postgres" {
		return []string{"leader"}
	}
	return []string{"any"}
}

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

// DefaultCluster is a cluster in which no key is given. Name, protocol and backends have no default.
func DefaultCluster() Cluster {
	return Cluster{
		Discovery:      "static",
		ConnectTimeout: Duration(3 * time.Second),
		RetryTimeout:   Duration(10 * time.Second),
		Keepalive:      Duration(time.Minute),
		Health: Health{
			Interval: Duration(3 * time.Second),
			Timeout:  Duration(2 * time.Second),
			Rise:     2,
			Fall:     3,
		},
		TLS: ServerTLS{Mode: "disable"},
	}
}

// DefaultBackend is a backend in which no key is given. Addr has no default.
func DefaultBackend() Backend { return Backend{Role: "leader"} }

// DefaultListener is a listener in which no key is given. Name, listen and cluster have no default;
// that of roles depends on the protocol and is filled in by Config.Check.
func DefaultListener() Listener {
	return Listener{
		Mode:         "proxy",
		LoginTimeout: Duration(30 * time.Second),
		Keepalive:    Duration(time.Minute),
		TLS:          ClientTLS{Mode: "disable", MinVersion: "1.2"},
	}
}

// defaultRoles are a listener's roles where none are given: a PostgreSQL replica refuses writes, so
// its clients are sent to the leader unless they ask for something else.
func defaultRoles(protocol string) []string {
	if protocol == "postgres" {
		return []string{"leader"}
	}
	return []string{"any"}
}

package conf

import "reflect"

// Migrate is about how sessions of listeners with mode "proxy" go from one backend to another.
type Migrate struct {
	// Enabled has sessions moved: away from a backend that is not fit for them any more, to balance, and when
	// their server is lost.
	Enabled bool `toml:"enabled"`
	// HoldTimeout is how long a client may wait while its session moves.
	HoldTimeout Duration `toml:"hold-timeout" range:"10ms..5m"`
	// RetryAfter is the time until a session whose move has failed is tried again.
	RetryAfter Duration `toml:"retry-after" range:"10ms..1h"`
	// KeepState is the idle time after which a session's state is asked for, so that it outlives its server;
	// 0 = never.
	KeepState Duration `toml:"keep-state" range:"0|100ms..24h"`
	// StateMax bounds what is kept of one session's state; one that has more stays at its server.
	StateMax Size `toml:"state-max" range:"1KiB..1GiB"`
	// Functions are functions and procedures that change a session in a way that a statement's text does not
	// show: who calls one stays at his server.
	Functions []string `toml:"functions"`
}

// migrate checks that what is said of moves can be used.
func (k *checker) migrate(path string, c *Cluster) {
	m := &c.Migrate
	if c.Protocol == "tcp" || !m.Enabled {
		why := `has no use with protocol "tcp", in which a session has no safe point`
		if c.Protocol != "tcp" {
			why = "has no use: enabled is false"
		}
		for _, key := range changedKeys(reflect.ValueOf(DefaultCluster().Migrate), reflect.ValueOf(*m)) {
			if key != "enabled" {
				k.problem(join(path, key), "%s", why)
			}
		}
		return
	}
	k.names(join(path, "functions"), m.Functions)
}

// Moves tells whether sessions of the cluster that have a server connection of their own may move.
func (c *Cluster) Moves() bool { return c.Migrate.Enabled && c.Protocol != "tcp" }

package upstream

import (
	"time"

	"sluice/codec"
)

// MigrateOptions say how sessions that have a server connection of their own go from one backend to another.
type MigrateOptions struct {
	// Move is what their logins have to keep for it; nil: they stay where they are.
	Move *codec.MoveOptions
	// HoldTimeout is how long a client may wait while its session moves.
	HoldTimeout time.Duration
	// RetryAfter is the time until a session whose move has failed is tried again.
	RetryAfter time.Duration
	// KeepState is the idle time after which a session's state is asked for, so that it outlives its server; 0
	// = never.
	KeepState time.Duration
}

// noteSecrets has sessions that logged in under former options log in elsewhere by the secrets of now.
func (c *Cluster) noteSecrets(opt *Options) {
	m := opt.Migrate.Move
	if m == nil || m.Secret == nil {
		return
	}
	c.secret.Store(&m.Secret)
	lasting := *m
	lasting.Secret = func(user string) codec.Secret { return (*c.secret.Load())(user) }
	opt.Migrate.Move = &lasting
}

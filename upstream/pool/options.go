package pool

import "time"

// Key names a pool: what its server connections have in common.
type Key struct {
	Listener string
	Backend  string // the cluster's name, "/", the address
	Database string
	User     string
}

// Options of one pool. They are not changed once given: a reload gives others.
type Options struct {
	// Size is the number of server connections over all loops, at least 1. Reserve more may be opened
	// while somebody has waited for ReserveAfter.
	Size, Reserve int
	// Min is the number of connections that are opened ahead and kept.
	Min int
	// ReserveAfter is the wait after which the reserve is used. 0: never.
	ReserveAfter time.Duration
	// WaitTimeout bounds a wait; it counts while the pool is paused too. 0: no bound.
	WaitTimeout time.Duration
	// IdleTimeout is the time without use after which a connection is closed. 0: never.
	IdleTimeout time.Duration
	// Lifetime is the age at which a connection is closed as soon as it is free. 0: never.
	Lifetime time.Duration
	// CheckAfter is the time without use after which a connection is checked before its next. 0: never.
	CheckAfter time.Duration
	// Connects is the number of connections that are being opened at a time. 0: 4.
	Connects int
	// RetryMin and RetryMax bound the time after an open that failed in which no other is begun; it
	// doubles with each failure in a row. 0: 100 ms and 15 s.
	RetryMin, RetryMax time.Duration
	// RoundRobin hands out what was idle longest. Otherwise it is what was used last, so that
	// connections that are not needed grow old and are closed.
	RoundRobin bool
}

// Defaults of Options.
const (
	defaultConnects = 4
	defaultRetryMin = 100 * time.Millisecond
	defaultRetryMax = 15 * time.Second
)

// settings are Options in force, with what follows from them.
type settings struct {
	Options
	loops []int // see Pool.Loops
}

// normal returns a copy with the defaults filled in.
func (o Options) normal() Options {
	o.Size = max(o.Size, 1)
	o.Reserve = max(o.Reserve, 0)
	o.Min = min(max(o.Min, 0), o.Size)
	if o.Connects <= 0 {
		o.Connects = defaultConnects
	}
	if o.RetryMin <= 0 {
		o.RetryMin = defaultRetryMin
	}
	if o.RetryMax <= 0 {
		o.RetryMax = defaultRetryMax
	}
	o.RetryMax = max(o.RetryMax, o.RetryMin)
	return o
}

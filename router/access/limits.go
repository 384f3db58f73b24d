package access

import (
	"cmp"
	"time"
)

// Unit is for how long a client has a server connection to itself.
type Unit uint8

const (
	UnitInherit     Unit = iota // not said; never in a Found
	UnitTransaction             // for a transaction
	UnitStatement               // for a statement; transactions are refused
	UnitSession                 // until it goes
)

// Limits are what a client and its pool may take. In those of a user or of a database zero means that
// it is not said there; in those of a listener, and of a Found, that there is no limit.
type Limits struct {
	Unit Unit
	// PoolSize, PoolMin and PoolReserve are numbers of server connections.
	PoolSize, PoolMin, PoolReserve int

	QueryTimeout           time.Duration
	TransactionTimeout     time.Duration
	TransactionIdleTimeout time.Duration
}

// over returns l with what is not said in it taken from base.
func (l Limits) over(base Limits) Limits {
	return Limits{
		Unit:                   cmp.Or(l.Unit, base.Unit),
		PoolSize:               cmp.Or(l.PoolSize, base.PoolSize),
		PoolMin:                cmp.Or(l.PoolMin, base.PoolMin),
		PoolReserve:            cmp.Or(l.PoolReserve, base.PoolReserve),
		QueryTimeout:           cmp.Or(l.QueryTimeout, base.QueryTimeout),
		TransactionTimeout:     cmp.Or(l.TransactionTimeout, base.TransactionTimeout),
		TransactionIdleTimeout: cmp.Or(l.TransactionIdleTimeout, base.TransactionIdleTimeout),
	}
}

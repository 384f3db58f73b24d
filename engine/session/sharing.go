package session

import (
	"time"

	"sluice/codec"
	"sluice/router"
	"sluice/router/access"
	"sluice/upstream"
	"sluice/upstream/pool"
)

// Sharing is what is configured for a listening side whose clients share server connections; what
// may differ between users or databases is in Access. It is not changed while in force.
type Sharing struct {
	Access *access.Table             // who may log in, which databases there are; never nil
	Ask    upstream.AuthQueryOptions // Ask.Query "" = users are those of Access
	Pool   pool.Options              // of pools without values of their own
	Warm   []Warm                    // pools to open at start

	WaitNotify             time.Duration // a client that waits as long for a server is told by a notice; 0 = never
	CheckQuery, ResetQuery string
	PreparedMax            int // per server connection; 0 = none are shared
	StatementMax           int // bytes of a statement's text
	Functions              []string

	// AbandonTimeout is how long a server connection whose client has gone may take to become free;
	// CancelTimeout bounds a cancel request.
	AbandonTimeout, CancelTimeout time.Duration

	SharedListen, SchemaWatch bool

	// KeepOnLoss has a client stay connected whose server goes in the middle of its work: it is told by an
	// error what became of that.
	KeepOnLoss bool

	// ReadRoles are those of the backends that transactions go to which say that they only read; none:
	// they go where all others go. OwnWrites is what such a transaction sees of what its session wrote, and
	// ReadWait how long a replica may take to come that far with OwnWritesWait.
	ReadRoles router.Roles
	OwnWrites OwnWrites
	ReadWait  time.Duration

	guests []*codec.GuestConfig // by unit
}

// OwnWrites is what a transaction that only reads sees of what its session has written before.
type OwnWrites uint8

const (
	OwnWritesOff    OwnWrites = iota // what the replica has replayed
	OwnWritesWait                    // all of it: a replica that is behind is waited for, then the leader is used
	OwnWritesLeader                  // all of it: with no replica that far, the leader is used at once
)

// Warm names a pool that is opened ahead of its first client.
type Warm struct{ Database, User string }

// prepare makes what guests have to know: one for all of a kind. It is called before the settings are in
// force.
func (sh *Sharing) prepare() {
	if sh == nil || sh.guests != nil {
		return
	}
	for _, u := range []access.Unit{access.UnitInherit, access.UnitTransaction, access.UnitStatement, access.UnitSession} {
		sh.guests = append(sh.guests, &codec.GuestConfig{
			SingleStatements: u == access.UnitStatement,
			Lasting:          u == access.UnitSession,
			Functions:        sh.Functions,
			StatementMax:     sh.StatementMax,
			Aside:            sh.SharedListen,
			KeepOnLoss:       sh.KeepOnLoss && u != access.UnitSession,
		})
	}
}

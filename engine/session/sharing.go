package session

import (
	"time"

	"sluice/codec"
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

	guests []*codec.GuestConfig // by unit
}

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
		})
	}
}

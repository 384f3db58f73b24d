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
}

// Warm names a pool that is opened ahead of its first client.
type Warm struct{ Database, User string }

// guestConfig is what guests with that unit of sharing have to know.
func (sh *Sharing) guestConfig(unit access.Unit) *codec.GuestConfig {
	return &codec.GuestConfig{
		SingleStatements: unit == access.UnitStatement,
		Lasting:          unit == access.UnitSession,
		Functions:        sh.Functions,
		StatementMax:     sh.StatementMax,
		Aside:            sh.SharedListen,
	}
}

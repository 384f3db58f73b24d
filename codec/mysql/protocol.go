package mysql

import "sluice/codec"

// Protocol is MySQL's as codec.Protocol. It has no state.
type Protocol struct{}

// Name returns "mysql".
func (Protocol) Name() string { return "mysql" }

// Kinds names the commands. The slice is shared and not to be changed.
func (Protocol) Kinds() []string { return kindNames }

// NewLogin returns the login machine for one client.
func (Protocol) NewLogin(cfg *codec.LoginConfig) codec.Login { return &Login{cfg: cfg} }

// NewProbe returns a health check that logs in as user.
func (Protocol) NewProbe(user string) codec.Probe { return newProbe(user) }

// AppendCancel returns nil: a query is killed by a statement of a session that has logged in.
func (Protocol) AppendCancel(dst []byte, k codec.Key) []byte { return nil }

var _ codec.Protocol = Protocol{}

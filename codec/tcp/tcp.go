package tcp

import "sluice/codec"

// Protocol is the plain relay as sessions and health checks see it.
type Protocol struct{}

var _ codec.Protocol = Protocol{}

// kinds has the one entry that the tables by kind need. No command is ever reported.
var kinds = []string{"data"}

// Name returns "tcp".
func (Protocol) Name() string { return "tcp" }

// Kinds returns "data". The caller must not change it.
func (Protocol) Kinds() []string { return kinds }

// NewLogin returns the login machine for a client that has just connected. TLS is used on a side if
// it is required there. TLSPrefer is as good as none: there is nothing to settle it with.
func (Protocol) NewLogin(cfg *codec.LoginConfig) codec.Login { return &login{cfg: cfg} }

// NewProbe returns nil: a server that takes a connection is all that can be known.
func (Protocol) NewProbe(string) codec.Probe { return nil }

// AppendCancel returns nil: there is nothing that could be cancelled.
func (Protocol) AppendCancel([]byte, codec.Key) []byte { return nil }

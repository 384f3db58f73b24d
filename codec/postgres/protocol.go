package postgres

import (
	"encoding/binary"

	"sluice/codec"
)

// Protocol is PostgreSQL's protocol as sessions and health checks see it.
type Protocol struct{}

var _ codec.Protocol = Protocol{}

// The kinds of command. A command is what one ReadyForQuery answers.
const (
	kindQuery    codec.Kind = iota // Query: a string of statements
	kindExtended                   // Parse, Bind, Describe, Execute, Close up to Sync
	kindFunction                   // FunctionCall
)

var kinds = []string{"query", "extended", "function"}

// Name returns "postgres".
func (Protocol) Name() string { return "postgres" }

// Kinds returns "query", "extended" and "function". The caller must not change them.
func (Protocol) Kinds() []string { return kinds }

// NewLogin returns the login machine for a client that has just connected.
func (Protocol) NewLogin(cfg *codec.LoginConfig) codec.Login { return newLogin(cfg) }

// NewProbe returns a health check that introduces itself as user, or as "sluice".
func (Protocol) NewProbe(user string) codec.Probe { return newProbe(user) }

// AppendCancel appends a CancelRequest. The secret may have any length that the server chose for
// it.
func (Protocol) AppendCancel(dst []byte, k codec.Key) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(12+len(k.Secret)))
	dst = binary.BigEndian.AppendUint32(dst, codeCancel)
	dst = binary.BigEndian.AppendUint32(dst, k.ID)
	return append(dst, k.Secret...)
}

package postgres

import "encoding/binary"

// AppendGoodbye appends Terminate, with which a client ends its session,
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-TERMINATE.
// It fits at any boundary between messages.
func (f *follower) AppendGoodbye(dst []byte) []byte { return append(dst, 'X', 0, 0, 0, 4) }

// AppendTLSRequest appends an SSLRequest and returns it with the answer of a server that is
// willing, https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL.
func (Protocol) AppendTLSRequest(dst []byte) (request []byte, accepted byte) {
	dst = binary.BigEndian.AppendUint32(dst, 8)
	return binary.BigEndian.AppendUint32(dst, codeTLS), 'S'
}

// Quit tells that the client has sent Terminate.
func (f *follower) Quit() bool { return f.quit }

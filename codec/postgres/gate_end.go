package postgres

import (
	"encoding/binary"

	"sluice/codec"
)

// Welcomed ends the login with all that a server says behind a proof that has succeeded: the end of
// SCRAM, AuthenticationOk, the session's parameters, the key, and that it is ready. It goes out at
// once, so that until now the client could still be told an error.
func (g *gate) Welcomed(in codec.Introduction, key codec.Key) codec.Op {
	if g.stage != gateWelcome {
		return g.follow(codec.OpClose)
	}
	g.out = append(g.out, g.final...)
	g.out = append(g.out, msgAuth, 0, 0, 0, 8, 0, 0, 0, authOk)
	if in, ok := in.(*introduction); ok && in != nil {
		for _, p := range in.reported() {
			g.out = appendStatus(g.out, p)
		}
	}
	g.out = append(g.out, msgKey)
	g.out = binary.BigEndian.AppendUint32(g.out, uint32(4+4+len(key.Secret)))
	g.out = binary.BigEndian.AppendUint32(g.out, key.ID)
	g.out = append(g.out, key.Secret...)
	g.out = append(g.out, msgReady, 0, 0, 0, 5, 'I')
	g.stage = gateReady
	return codec.OpReady
}

// Refuse ends the login with an error of Sluice's own, or a server's.
//
// A client takes an ErrorResponse for what it is only as an answer to its StartupMessage, so before
// that one has come the error waits and Refuse returns OpMore. Two are not made to wait: a client
// that is late anyway (LoginTimeout) and one in the middle of a TLS handshake; those can't be told.
func (g *gate) Refuse(e codec.Error) codec.Op {
	switch g.stage {
	case gateEntrance:
		g.refusal = e
		if e.Cond == codec.LoginTimeout {
			return g.follow(codec.OpClose)
		}
		g.pending = &e
		return codec.OpMore
	case gateTLS:
		g.refusal = e
		return g.follow(codec.OpClose)
	case gateReady, gateCancel, gateClosed:
		return g.follow(codec.OpClose)
	}
	return g.follow(g.refuse(e))
}

package postgres

import (
	"encoding/binary"
	"strings"

	"sluice/codec"
)

// Welcomed ends the login with all that a server says behind a proof that has succeeded: the end of
// SCRAM, AuthenticationOk, the session's parameters, the key, and that it is ready. It goes out at
// once, so that until now the client could still be told an error.
func (g *gate) Welcomed(in codec.Introduction, key codec.Key) codec.Op {
	if g.stage != gateWelcome {
		return g.close()
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
			return g.close()
		}
		g.pending = &e
		return codec.OpMore
	case gateTLS:
		g.refusal = e
		return g.close()
	case gateWelcome:
		if e.Cond == codec.ProtocolError && e.Raw != "" { // the settings: a server says so behind the proof
			g.out = append(g.out, g.final...)
			g.out = append(g.out, msgAuth, 0, 0, 0, 8, 0, 0, 0, authOk)
		}
	case gateReady, gateCancel, gateClosed:
		return g.close()
	}
	return g.refuse(e)
}

// asFatal returns a server's ErrorResponse as one of severity FATAL, whatever it was to the server:
// here it ends the client's connection. ok is false if raw is no such message.
func asFatal(raw string) (msg []byte, ok bool) {
	if len(raw) < headerSize || raw[0] != msgError ||
		int64(binary.BigEndian.Uint32([]byte(raw[1:headerSize]))) != int64(len(raw)-1) {
		return nil, false
	}
	severity := parseError([]byte(raw[headerSize:])).severity
	if severity == "FATAL" || severity == "PANIC" {
		return []byte(raw), true
	}
	msg = appendField([]byte{msgError, 0, 0, 0, 0}, 'S', "FATAL")
	msg = appendField(msg, 'V', "FATAL")
	for rest := raw[headerSize:]; len(rest) > 1 && rest[0] != 0; {
		value, behind, whole := strings.Cut(rest[1:], "\x00")
		if !whole {
			return nil, false
		}
		if field := rest[0]; field != 'S' && field != 'V' {
			msg = appendField(msg, field, value)
		}
		rest = behind
	}
	msg = append(msg, 0)
	binary.BigEndian.PutUint32(msg[1:], uint32(len(msg)-1))
	return msg, true
}

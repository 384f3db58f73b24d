package postgres

import (
	"encoding/binary"
	"fmt"

	"sluice/codec"
)

// entrance is how a client comes in: its packets without a type byte, up to the StartupMessage or a
// CancelRequest. It is the first part of both ways to log in, at a server and at Sluice.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
type entrance struct {
	tls codec.TLSMode

	in, out  []byte // what the client sent and was not used yet; what it is to be sent
	askedTLS bool   // the client has sent its one SSLRequest
	askedGSS bool   // the client has sent its one GSSENCRequest
	direct   bool   // the client began with TLS; in is what came of its handshake
	secured  bool   // TLS is up

	target  codec.Key
	pending *codec.Error // a refusal that waits for the client's startup
	refusal error
}

// read takes the packets at hand. startup is the StartupMessage once it is whole; in begins behind
// it then. Else op is what comes next: OpMore, OpClientTLS, OpCancel or OpClose.
func (e *entrance) read() (startup []byte, op codec.Op) {
	for {
		if len(e.in) > 0 && e.in[0] == tlsHandshake && !e.askedTLS && !e.askedGSS && !e.secured {
			return nil, e.directTLS()
		}
		size, ok := startupSize(e.in)
		if !ok {
			// As the server does, nothing is said to a peer that does not speak the protocol.
			return nil, e.hangUp("the length of the startup packet is not valid")
		}
		if size == 0 || len(e.in) < size {
			return nil, codec.OpMore
		}
		packet := e.in[:size]
		switch code := binary.BigEndian.Uint32(packet[4:]); {
		case code == codeTLS || code == codeGSS:
			if op := e.negotiate(code); op != codec.OpMore {
				return nil, op
			}
		case code == codeCancel:
			return nil, e.cancel(packet)
		case code>>16 == 3:
			return e.admit(packet)
		default:
			return nil, e.refuseAs("0A000", codec.Error{Cond: codec.ProtocolError,
				Text: fmt.Sprintf("unsupported frontend protocol %d.%d", code>>16, code&0xffff)})
		}
	}
}

// directTLS begins TLS with a client that did not ask first. Its bytes stay in in for Rest.
func (e *entrance) directTLS() codec.Op {
	if e.tls < codec.TLSPrefer {
		return e.hangUp("the client began with TLS, which is not offered here")
	}
	e.direct = true
	return codec.OpClientTLS
}

// securedNow tells that TLS is up. The bytes of a direct handshake were taken with Rest.
func (e *entrance) securedNow() {
	e.in = nil
	e.direct = false
	e.secured = true
}

// negotiate answers SSLRequest and GSSENCRequest: each once, neither inside TLS, and nothing may
// stand behind them, because it could have been put there by someone else before TLS began.
func (e *entrance) negotiate(code uint32) codec.Op {
	again := &e.askedTLS
	if code == codeGSS {
		again = &e.askedGSS
	}
	switch {
	case *again || e.secured:
		return e.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "encryption was requested twice"})
	case binary.BigEndian.Uint32(e.in) != minStartup:
		return e.hangUp("the length of the encryption request is not valid")
	case len(e.in) > minStartup:
		return e.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "received unencrypted data after an encryption request",
			Hint: "This could be either a client-software bug or evidence of an attempted " +
				"man-in-the-middle attack."})
	}
	*again = true
	e.in = e.in[:0]
	if code == codeTLS && e.tls >= codec.TLSPrefer {
		e.out = append(e.out, 'S')
		return codec.OpClientTLS
	}
	e.out = append(e.out, 'N')
	return codec.OpMore
}

// cancel ends the login with the key of a CancelRequest. It is heard without TLS too: before
// version 17, libpq never used any for it.
func (e *entrance) cancel(packet []byte) codec.Op {
	key, ok := parseCancel(packet)
	if !ok {
		return e.hangUp("the length of the cancel request is not valid")
	}
	if e.pending != nil {
		return e.hangUp("refused")
	}
	e.target = key
	e.in = nil
	return codec.OpCancel
}

// admit takes a StartupMessage, unless its sender may not go on.
func (e *entrance) admit(packet []byte) (startup []byte, op codec.Op) {
	if e.pending != nil {
		return nil, e.refuse(*e.pending)
	}
	if e.tls.Required() && !e.secured {
		return nil, e.refuse(codec.Error{Cond: codec.TLSRequired,
			Text: "this listener accepts only connections with TLS",
			Hint: "Set sslmode=require or stricter."})
	}
	e.in = e.in[len(packet):]
	return packet, codec.OpMore
}

// refuse tells the client err and ends the login.
func (e *entrance) refuse(err codec.Error) codec.Op { return e.refuseAs(sqlState(err.Cond), err) }

// refuseAs is refuse with an SQLSTATE that is not the condition's own.
func (e *entrance) refuseAs(state string, err codec.Error) codec.Op {
	if words, ok := asFatal(err.Raw); ok {
		e.out = append(e.out, words...)
	} else {
		e.out = appendFatal(e.out, state, err)
	}
	e.refusal = err
	return codec.OpClose
}

// hangUp ends the login without a word: the peer would not understand any.
func (e *entrance) hangUp(why string) codec.Op {
	if e.pending == nil { // or else the reason is known already
		e.refusal = codec.Error{Cond: codec.ProtocolError, Text: why}
	}
	return codec.OpClose
}

// isTooEarly tells that the client has sent more ahead of its turn than is kept for it.
func (e *entrance) isTooEarly() bool { return len(e.in) > maxEarly }

var tooEarly = codec.Error{
	Cond: codec.ProtocolError,
	Text: "too much was sent before the login was over",
}

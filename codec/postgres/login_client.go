package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"sluice/codec"
)

// readStartup takes the client's packets up to its StartupMessage or CancelRequest.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
func (l *login) readStartup() codec.Op {
	in := l.in[codec.Client]
	if len(in) > 0 && in[0] == tlsHandshake && !l.askedTLS && !l.askedGSS && !l.clientSecured {
		return l.directTLS()
	}
	size, ok := startupSize(in)
	if !ok {
		// As the server does, nothing is said to a peer that does not speak the protocol.
		return l.hangUp("the length of the startup packet is not valid")
	}
	if size == 0 || len(in) < size {
		return codec.OpMore
	}
	packet := in[:size]
	switch code := binary.BigEndian.Uint32(packet[4:]); {
	case code == codeTLS || code == codeGSS:
		return l.negotiate(code)
	case code == codeCancel:
		return l.cancel(packet)
	case code>>16 == 3:
		return l.begin(packet)
	default:
		return l.refuseAs("0A000", codec.Error{Cond: codec.ProtocolError,
			Text: fmt.Sprintf("unsupported frontend protocol %d.%d", code>>16, code&0xffff)})
	}
}

// directTLS begins TLS with a client that did not ask first. Its bytes stay in in[Client] for Rest.
func (l *login) directTLS() codec.Op {
	if l.cfg.ClientTLS < codec.TLSPrefer {
		return l.hangUp("the client began with TLS, which is not offered here")
	}
	l.direct = true
	l.stage = stageClientTLS
	return codec.OpClientTLS
}

// negotiate answers SSLRequest and GSSENCRequest: each once, neither inside TLS, and nothing may
// stand behind them, because it could have been put there by someone else before TLS began.
func (l *login) negotiate(code uint32) codec.Op {
	again := &l.askedTLS
	if code == codeGSS {
		again = &l.askedGSS
	}
	in := l.in[codec.Client]
	switch {
	case *again || l.clientSecured:
		return l.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "encryption was requested twice"})
	case binary.BigEndian.Uint32(in) != minStartup:
		return l.hangUp("the length of the encryption request is not valid")
	case len(in) > minStartup:
		return l.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "received unencrypted data after an encryption request",
			Hint: "This could be either a client-software bug or evidence of an attempted " +
				"man-in-the-middle attack."})
	}
	*again = true
	l.in[codec.Client] = in[:0]
	if code == codeTLS && l.cfg.ClientTLS >= codec.TLSPrefer {
		l.out[codec.Client] = append(l.out[codec.Client], 'S')
		l.stage = stageClientTLS
		return codec.OpClientTLS
	}
	l.out[codec.Client] = append(l.out[codec.Client], 'N')
	return codec.OpMore
}

// cancel ends the login with the key of a CancelRequest. It is heard without TLS too: before
// version 17, libpq never used any for it.
func (l *login) cancel(packet []byte) codec.Op {
	key, ok := parseCancel(packet)
	if !ok {
		return l.hangUp("the length of the cancel request is not valid")
	}
	if l.pending != nil {
		return l.hangUp("refused")
	}
	l.target = key
	l.in[codec.Client] = nil
	l.stage = stageCancel
	return codec.OpCancel
}

// begin takes the StartupMessage. Its minor version and parameters are between client and server.
func (l *login) begin(packet []byte) codec.Op {
	if l.pending != nil {
		return l.refuse(*l.pending)
	}
	if l.cfg.ClientTLS.Required() && !l.clientSecured {
		return l.refuse(codec.Error{Cond: codec.TLSRequired,
			Text: "this listener accepts only connections with TLS",
			Hint: "Set sslmode=require or stricter."})
	}
	user, database, ok := parseStartup(packet)
	if !ok {
		return l.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "the startup packet's list of parameters is not well formed"})
	}
	if user == "" {
		return l.refuseAs("28000", codec.Error{Cond: codec.ProtocolError,
			Text: "no PostgreSQL user name specified in startup packet"})
	}
	l.user, l.database = user, database
	l.startup = bytes.Clone(packet)
	l.in[codec.Client] = bytes.Clone(l.in[codec.Client][len(packet):])
	l.stage = stageDialing
	return l.checkEarly(codec.OpDial)
}

// relayClient passes on the one message that the server waits for. The client's other bytes stay:
// they are ahead of their turn, or belong to the session.
func (l *login) relayClient() codec.Op {
	if l.asked {
		if op, ok := l.relayAnswer(); !ok {
			return op
		}
	}
	return l.checkEarly(codec.OpMore)
}

// relayAnswer passes on a whole message of the client. ok is false if it ended the login or is not
// whole yet.
func (l *login) relayAnswer() (op codec.Op, ok bool) {
	in := l.in[codec.Client]
	if len(in) > 0 && in[0] != msgPassword {
		return l.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: fmt.Sprintf("expected a password message, got type 0x%02x", in[0])}), false
	}
	if len(in) < headerSize {
		return codec.OpMore, false
	}
	size := binary.BigEndian.Uint32(in[1:])
	if size < 4 || size > maxAuthMessage {
		return l.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "the length of a message during authentication is not valid"}), false
	}
	if uint32(len(in)) < 1+size {
		return codec.OpMore, false
	}
	if l.stripped && deniesBinding(in[headerSize:1+size]) {
		return l.refuse(bindingRefusal), false
	}
	l.out[codec.Server] = append(l.out[codec.Server], in[:1+size]...)
	l.in[codec.Client] = in[1+size:]
	l.asked, l.stripped = false, false
	return codec.OpMore, true
}

// checkEarly returns op, unless the client has sent more ahead of its turn than is kept for it.
func (l *login) checkEarly(op codec.Op) codec.Op {
	if len(l.in[codec.Client]) > maxEarly {
		return l.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "too much was sent before the login was over"})
	}
	return op
}

package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"sluice/codec"
)

// enter takes the client's packets up to its StartupMessage or CancelRequest.
func (l *login) enter() codec.Op {
	startup, op := l.read()
	if startup != nil {
		return l.begin(startup)
	}
	switch op {
	case codec.OpClientTLS:
		l.stage = stageClientTLS
	case codec.OpCancel:
		l.stage = stageCancel
	case codec.OpClose:
		l.stage = stageClosed
	}
	return op
}

// begin takes the StartupMessage. Its minor version and parameters are between client and server.
func (l *login) begin(packet []byte) codec.Op {
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
	l.in = bytes.Clone(l.in)
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
	in := l.in
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
	if l.proof != nil {
		l.proof.answered(in[headerSize : 1+size])
	}
	l.serverOut = append(l.serverOut, in[:1+size]...)
	l.in = in[1+size:]
	l.asked, l.stripped = false, false
	return codec.OpMore, true
}

// checkEarly returns op, unless the client has sent more ahead of its turn than is kept for it.
func (l *login) checkEarly(op codec.Op) codec.Op {
	if l.isTooEarly() {
		return l.refuse(tooEarly)
	}
	return op
}

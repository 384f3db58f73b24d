package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"sluice/codec"
)

// Limits of what a server reports of a session at its login. PostgreSQL 18 reports 15 parameters.
const (
	maxReported      = 256      // parameters
	maxReportedBytes = 64 << 10 // of their names and values
)

// read takes the whole messages at hand.
func (o *opener) read() codec.Op {
	for {
		if len(o.in) > 0 && !o.expects(o.in[0]) {
			return o.strange(fmt.Sprintf("the server sent type 0x%02x during the login", o.in[0]))
		}
		if len(o.in) < headerSize {
			return codec.OpMore
		}
		size := binary.BigEndian.Uint32(o.in[1:])
		if size < 4 || size > maxAuthMessage {
			return o.strange("the length of the server's message during the login is not valid")
		}
		if uint32(len(o.in)) < 1+size {
			return codec.OpMore
		}
		msg := o.in[:1+size]
		o.in = o.in[len(msg):]
		if op := o.message(msg); op != codec.OpMore {
			return op
		}
	}
}

// expects tells whether a message of that type may come now.
func (o *opener) expects(typ byte) bool {
	switch typ {
	case msgError, msgNotice:
		return true
	case msgAuth, msgNegotiate:
		return o.stage == openerAuth
	case msgKey:
		return o.stage == openerSettle
	case msgParameter, msgReady:
		return o.stage == openerSettle || o.stage == openerAsk
	case 'T', 'D', 'C':
		return o.stage == openerAsk
	}
	return false
}

// message takes one message of the server.
func (o *opener) message(msg []byte) codec.Op {
	body := msg[headerSize:]
	if o.stage == openerAsk {
		return o.partMessage(msg)
	}
	switch msg[0] {
	case msgError:
		return o.refused(msg)
	case msgAuth:
		return o.authentication(body)
	case msgParameter:
		return o.parameter(body)
	case msgKey:
		return o.backendKey(body)
	case msgReady:
		return o.ready(body)
	}
	// Notices are for people. NegotiateProtocolVersion can say nothing that matters: no options were
	// asked for, and versions differ in the length of keys alone.
	return codec.OpMore
}

// parameter takes a ParameterStatus. The last value of a name counts.
func (o *opener) parameter(body []byte) codec.Op {
	name, rest, ok := bytes.Cut(body, []byte{0})
	value, rest, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 || len(rest) != 0 {
		return o.strange("a parameter that the server reports is not well formed")
	}
	o.reportedSize += len(name) + len(value)
	if o.reportedSize > maxReportedBytes {
		return o.strange("the server reports too much of its parameters")
	}
	for i := range o.reported {
		if o.reported[i].Name == string(name) {
			o.reported[i].Value = string(value)
			return codec.OpMore
		}
	}
	if len(o.reported) == maxReported {
		return o.strange("the server reports too many parameters")
	}
	o.reported = append(o.reported, codec.Param{Name: string(name), Value: string(value)})
	return codec.OpMore
}

// backendKey takes BackendKeyData. A server that has none can't cancel.
func (o *opener) backendKey(body []byte) codec.Op {
	if len(body) < 4+1 || len(body) > 4+maxSecret {
		return o.strange("the length of the server's cancel key is not valid")
	}
	o.key = codec.Key{ID: binary.BigEndian.Uint32(body), Secret: string(body[4:])}
	return codec.OpMore
}

// ready takes ReadyForQuery, which ends the login if the server is what it has to be.
func (o *opener) ready(body []byte) codec.Op {
	if len(body) != 1 || body[0] != 'I' {
		return o.strange("the server's session does not begin idle")
	}
	if op := o.checkPart(); op != codec.OpReady {
		return op
	}
	o.stage = openerReady
	return codec.OpReady
}

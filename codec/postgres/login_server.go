package postgres

import (
	"encoding/binary"
	"fmt"

	"sluice/codec"
)

// Codes of the Authentication messages.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	authOk           = 0
	authCleartext    = 3 // asks for the password as it is
	authMD5          = 5
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12 // says something that needs no answer
)

// readTLSAnswer takes the one byte with which a server answers SSLRequest.
func (l *login) readTLSAnswer() codec.Op {
	in := l.serverIn
	if len(in) == 0 {
		return codec.OpMore
	}
	switch {
	case in[0] == 'S' && len(in) > 1:
		return l.refuse(codec.Error{Cond: codec.TLSFailed,
			Text: "received unencrypted data from the server after its answer to the TLS request"})
	case in[0] == 'S':
		l.serverIn = nil
		l.stage = stageServerTLS
		return codec.OpServerTLS
	case in[0] == 'N' && l.cfg.ServerTLS.Required():
		return l.refuse(codec.Error{Cond: codec.TLSFailed, Text: "the server does not offer TLS"})
	case in[0] == 'N':
		l.serverIn = in[1:]
		l.sendStartup()
		return l.relayServer()
	case in[0] == 'E':
		// Words that anybody on the way could have put there are not passed on.
		return l.retry(appendFatal(nil, "08006", noTLSAnswer), noTLSAnswer)
	}
	return l.refuse(codec.Error{Cond: codec.ServerNotSupport,
		Text: "the server's answer to the TLS request is not PostgreSQL's"})
}

var noTLSAnswer = codec.Error{
	Cond: codec.NoBackend,
	Text: "the server could not take the connection",
}

// sendStartup passes on the client's StartupMessage, byte for byte.
func (l *login) sendStartup() codec.Op {
	l.serverOut = append(l.serverOut, l.startup...)
	l.stage = stageAuth
	return codec.OpMore
}

// relayServer passes on whole messages up to AuthenticationOk.
func (l *login) relayServer() codec.Op {
	for {
		in := l.serverIn
		if len(in) > 0 && !mayAuthenticate(in[0]) {
			return l.refuse(codec.Error{Cond: codec.ServerNotSupport,
				Text: fmt.Sprintf("the server sent type 0x%02x during authentication", in[0])})
		}
		if len(in) < headerSize {
			return codec.OpMore
		}
		size := binary.BigEndian.Uint32(in[1:])
		if size < 5 || size > maxAuthMessage {
			return l.refuse(codec.Error{Cond: codec.ServerNotSupport,
				Text: "the length of the server's message during authentication is not valid"})
		}
		if uint32(len(in)) < 1+size {
			return codec.OpMore
		}
		msg := in[:1+size]
		op := l.serverMessage(msg)
		l.serverIn = in[len(msg):]
		if op != codec.OpMore {
			return op
		}
	}
}

// mayAuthenticate tells whether a server may send that type of message before AuthenticationOk.
func mayAuthenticate(typ byte) bool {
	return typ == msgAuth || typ == msgError || typ == msgNotice || typ == msgNegotiate
}

// serverMessage passes on one message of the server and does what it means for the login.
func (l *login) serverMessage(msg []byte) codec.Op {
	switch msg[0] {
	case msgError:
		return l.serverRefused(msg)
	case msgAuth:
		return l.authentication(msg)
	}
	l.tell(msg)
	return codec.OpMore
}

// serverRefused ends the login by the server's own words, or asks for another server if the client
// has heard nothing of this one.
func (l *login) serverRefused(msg []byte) codec.Op {
	e := parseError(msg[headerSize:])
	if !l.relayed && cantTakeUs(e.state) {
		return l.retry(msg, e)
	}
	l.tell(msg)
	l.refusal = e
	l.stage = stageClosed
	return codec.OpClose
}

// retry gives this server up. words are what the client hears if there is no other.
func (l *login) retry(words []byte, why error) codec.Op {
	l.kept = append([]byte(nil), words...)
	l.refusal = why
	l.stage = stageDialing
	return codec.OpRetry
}

// authentication passes on an Authentication message.
func (l *login) authentication(msg []byte) codec.Op {
	if len(msg) < headerSize+4 {
		return l.refuse(codec.Error{Cond: codec.ServerNotSupport,
			Text: "the server's authentication request is too short"})
	}
	if l.proof != nil {
		l.proof.asked(msg[headerSize:])
	}
	switch binary.BigEndian.Uint32(msg[headerSize:]) {
	case authOk:
		l.tell(msg)
		l.stage = stageReady
		return codec.OpReady
	case authSASLFinal:
		l.tell(msg)
		return codec.OpMore
	case authCleartext:
		if l.secured && l.serverCert == nil {
			return l.refuse(codec.Error{Cond: codec.ClearPassword,
				Text: "the server asks for a clear password over a connection without TLS",
				Hint: "Give the proxy TLS to the server, or have the server use scram-sha-256."})
		}
	case authSASL:
		if l.breaksBinding() {
			msg, l.stripped = withoutBinding(msg)
		}
	}
	l.tell(msg)
	l.asked = true
	return l.relayClient() // the answer may be at hand already
}

// tell relays a message of the server to the client.
func (l *login) tell(msg []byte) {
	l.out = append(l.out, msg...)
	l.relayed = true
}

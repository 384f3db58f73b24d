package postgres

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// Channel binding ties a SCRAM exchange to the TLS connection it runs in, by a hash of the server's
// certificate (tls-server-end-point). Where Sluice ends TLS it holds only if Sluice shows the
// server's own certificate. Otherwise the offer is taken out of the server's list: a client that
// was not asked for channel binding logs in without it.
//
// https://www.postgresql.org/docs/current/sasl-authentication.html#SASL-SCRAM-SHA-256
const (
	scram     = "SCRAM-SHA-256"
	scramPlus = "SCRAM-SHA-256-PLUS" // with channel binding
)

// bindingRefusal is for a client that would bind to the channel and takes the missing offer as the
// server's. The server, which did make it, would have to see an attack in that.
var bindingRefusal = codec.Error{
	Cond: codec.TLSFailed,
	Text: "channel binding can't pass this proxy, which shows another certificate than the server",
	Hint: "Set channel_binding=disable in the client, or give the proxy the server's certificate.",
}

// breaksBinding tells whether the client, by what it sees of the channel, could not bind as the
// server expects. A client without TLS must not be made the offer at all.
func (l *login) breaksBinding() bool {
	return len(l.clientCert) == 0 || !bytes.Equal(l.clientCert, l.serverCert)
}

// withoutBinding returns an AuthenticationSASL message without the mechanism that binds to the
// channel, and whether it was there. The message itself is not changed.
func withoutBinding(msg []byte) (out []byte, stripped bool) {
	const list = headerSize + 4 // where the names begin
	out = append(out, msg[:list]...)
	rest := msg[list:]
	for len(rest) > 0 && rest[0] != 0 {
		name, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return msg, false // not well formed: for the client to judge
		}
		if string(name) == scramPlus {
			stripped = true
		} else {
			out = append(out, rest[:len(name)+1]...)
		}
		rest = after
	}
	if !stripped {
		return msg, false
	}
	out = append(out, rest...)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1))
	return out, true
}

// deniesBinding tells whether the body of a SASLInitialResponse begins a SCRAM exchange with the
// claim that the server offers no channel binding although the client knows it (the header "y").
//
// https://www.rfc-editor.org/rfc/rfc5802#section-7
func deniesBinding(body []byte) bool {
	name, rest, ok := bytes.Cut(body, []byte{0})
	return ok && string(name) == scram && len(rest) > 4 && rest[4] == 'y'
}

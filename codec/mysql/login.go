package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"

	"sluice/codec"
)

// Limits of what is gathered in the connection phase, in bytes.
const (
	maxGreeting = 64 << 10 // per packet of the server; real ones have some hundreds
	maxResponse = 1 << 20  // per packet of the client; attributes can make it long
)

// maxLogin is the limit for a packet of that side. Of both together, what waits and what has just come,
// at most twice as much is kept.
func maxLogin(s codec.Side) int {
	if s == codec.Client {
		return maxResponse
	}
	return maxGreeting
}

// loginState is how far a connection phase has come.
//
//	dial ─▶ greeting ─▶ response ─▶ exchange ─▶ ready
//	 ▲          │          │ ▲          │
//	 └─ retry ──┘     client TLS    server TLS, work        anything ─▶ closed
type loginState uint8

const (
	loginDial      loginState = iota // a server connection is due
	loginGreeting                    // the server's greeting is due
	loginResponse                    // the client's response, or its wish for TLS, is due
	loginClientTLS                   // the handshake with the client is under way
	loginServerTLS                   // the handshake with the server is under way
	loginExchange                    // credentials go back and forth
	loginWork                        // RSA is under way
	loginReady                       // logged in
	loginClosed                      // over
)

// Login carries one connection phase. It relays the server's own greeting, so that plugin, salt and
// version are the server's. It changes the connection id, the flags that Sluice decides on, sequence
// ids where TLS is on for one side only and, in that case, passwords whose form depends on TLS (auth).
//
// MariaDB 11.4 and later vouches for its self-signed certificate in the OK of the login. A client that
// relies on this sees Sluice's certificate and refuses; it has to be given a certificate authority.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
type Login struct {
	cfg     *codec.LoginConfig
	state   loginState
	greeted bool // the client has been sent a greeting
	due     bool // the client is to speak next
	in, out [2][]byte
	seq     [2]uint8 // sequence id of the next packet on that side's connection

	kept    []byte       // the server's ERR in place of a greeting, whole
	pending *codec.Error // a refusal that can be told once the client has spoken
	refusal error

	own       *ownGreeting // nil: the client gets the server's
	greeting  greeting
	masked    uint32 // flags that the server offered and the client did not see
	maskedExt uint32
	response  response
	clientTLS bool
	serverTLS bool // TLS with the server is up or will be
	auth      auth
	serverID  uint32    // connection id as the server has it
	seen      *observed // what is taken down so that the session can be moved; nil if that is not wanted
	status    uint16
}

// Start asks for a server: it speaks first. Or Sluice does.
func (l *Login) Start() codec.Op {
	if l.cfg.Greet != nil {
		return l.greet()
	}
	return codec.OpDial
}

// Connected expects the greeting of a new server connection.
func (l *Login) Connected() codec.Op {
	l.in[codec.Server], l.out[codec.Server] = nil, nil
	l.seq[codec.Server] = 0
	l.kept, l.refusal = nil, nil
	l.state = loginGreeting
	return l.run()
}

// Client takes bytes that the client sent.
func (l *Login) Client(p []byte) codec.Op { return l.take(codec.Client, p) }

// Server takes bytes that the server sent.
func (l *Login) Server(p []byte) codec.Op {
	if l.pending != nil {
		return codec.OpMore // what it says no longer matters
	}
	return l.take(codec.Server, p)
}

func (l *Login) take(s codec.Side, p []byte) codec.Op {
	if l.state == loginClosed {
		return codec.OpClose
	}
	limit := maxLogin(s)
	if len(l.in[s])+len(p) > 2*limit {
		return l.fail("the " + s.String() + " sends too much for a login")
	}
	l.in[s] = append(l.in[s], p...)
	return l.run()
}

// run goes on as far as the bytes at hand allow.
func (l *Login) run() codec.Op {
	for {
		from, step, due := l.next()
		if !due {
			return codec.OpMore
		}
		b, ok, err := l.packet(from)
		if err != nil {
			return l.fail(err.Error())
		}
		if !ok {
			return codec.OpMore
		}
		if op := step(b); op != codec.OpMore {
			return op
		}
	}
}

// next tells whose packet is to be looked at, and by what.
func (l *Login) next() (from codec.Side, step func([]byte) codec.Op, due bool) {
	client := l.in[codec.Client]
	switch l.state {
	case loginGreeting:
		return codec.Server, l.onGreeting, true
	case loginResponse:
		if l.whole(codec.Server) {
			return codec.Server, l.onServer, true // it has lost patience
		}
		return codec.Client, l.onResponse, true
	case loginExchange:
		if l.whole(codec.Server) {
			return codec.Server, l.onServer, true
		}
		// Plugins may send twice in a row. Commands sent ahead of the end of the login are left alone:
		// they count from 0.
		ahead := l.auth.stage == stagePass && len(client) >= headerLen && client[3] == l.seq[codec.Client]
		return codec.Client, l.onClient, l.due || ahead
	}
	return 0, nil, false
}

// whole tells whether a packet of that side is there, or the header of one that is too long.
func (l *Login) whole(s codec.Side) bool {
	in := l.in[s]
	if len(in) < headerLen {
		return false
	}
	n := int(packetLen(in))
	return len(in) >= headerLen+n || n > maxLogin(s)
}

// packet takes the next whole packet of a side. It shares memory with the bytes gathered.
func (l *Login) packet(s codec.Side) (b []byte, ok bool, err error) {
	in := l.in[s]
	if len(in) < headerLen {
		return nil, false, nil
	}
	n := int(packetLen(in))
	if n > maxLogin(s) {
		return nil, false, errors.New("a packet of the " + s.String() + " is too long for a login")
	}
	if len(in) < headerLen+n {
		return nil, false, nil
	}
	if in[3] != l.seq[s] {
		return nil, false, errors.New("a packet of the " + s.String() + " is out of order")
	}
	l.seq[s]++
	l.in[s] = in[headerLen+n:]
	return in[headerLen : headerLen+n], true, nil
}

// send appends a packet to what is to be written to a side.
func (l *Login) send(s codec.Side, payload []byte) {
	l.out[s] = append(appendHeader(l.out[s], len(payload), l.seq[s]), payload...)
	l.seq[s]++
}

// onGreeting takes the server's first packet.
func (l *Login) onGreeting(b []byte) codec.Op {
	if len(b) >= 3 && b[0] == 0xff {
		l.kept = append(appendHeader(nil, len(b), 0), b...)
		if l.own != nil {
			l.keepRefusal(b)
		}
		l.refusal = serverError(b)
		l.state = loginDial
		return codec.OpRetry
	}
	g, ok := parseGreeting(b)
	if !ok {
		return l.Refuse(codec.Error{Cond: codec.ServerNotSupport, Text: "the server does not speak protocol 4.1"})
	}
	offers := g.caps&capSSL != 0
	if l.cfg.ServerTLS.Required() && !offers {
		return l.Refuse(codec.Error{Cond: codec.TLSFailed, Text: "the server does not offer TLS, which is required"})
	}
	l.serverTLS = offers && l.cfg.ServerTLS >= codec.TLSPrefer
	l.serverID = g.id
	if l.own != nil {
		return l.meet(g)
	}
	caps, ext := g.caps&knownCaps, g.ext&knownExts
	l.masked, l.maskedExt = g.caps&^caps, g.ext&^ext
	caps &^= capSSL
	if l.cfg.ClientTLS >= codec.TLSPrefer {
		caps |= capSSL
	}
	g.setCaps(caps, ext)
	if l.cfg.VisibleID != nil {
		g.setID(l.cfg.VisibleID(g.id))
	}
	l.greeting = g
	l.auth.plugin, l.auth.salt = g.plugin, g.salt
	l.send(codec.Client, g.b)
	l.greeting.b = nil
	l.seq[codec.Client] = 1
	l.greeted, l.due, l.state = true, true, loginResponse
	return codec.OpMore
}

// onResponse takes the client's wish for TLS or its response.
func (l *Login) onResponse(b []byte) codec.Op {
	l.due = false
	if len(b) < 2 || uint32(binary.LittleEndian.Uint16(b))&capProtocol41 == 0 {
		return l.refuse(errNumber{1251, "08004"}, codec.Error{
			Cond: codec.ProtocolError,
			Text: "Client does not support authentication protocol requested by server; consider upgrading client",
		})
	}
	if len(b) < responseMin {
		return l.fail("the client's response is too short")
	}
	if binary.LittleEndian.Uint32(b)&capSSL != 0 && !l.clientTLS {
		return l.onTLSRequest(b)
	}
	if l.pending != nil {
		return l.tell(*l.pending)
	}
	if l.cfg.ClientTLS.Required() && !l.clientTLS {
		return l.Refuse(codec.Error{
			Cond: codec.TLSRequired,
			Text: "connections using insecure transport are prohibited: use TLS",
		})
	}
	r, ok := parseResponse(bytes.Clone(b))
	if !ok {
		return l.fail("the client's response is malformed")
	}
	if l.own != nil {
		return l.answered(r)
	}
	l.response = r
	l.observe()
	return l.begin()
}

// onTLSRequest takes an SSLRequest. The server has no answer to it, so the client's handshake may follow
// in the same breath: Rest hands it over. Anything else behind it would be taken for part of the
// encrypted stream: somebody on the way has put it there.
func (l *Login) onTLSRequest(b []byte) codec.Op {
	if l.cfg.ClientTLS < codec.TLSPrefer {
		return l.fail("the client asks for TLS, which was not offered")
	}
	if early := l.in[codec.Client]; len(b) != responseMin || len(early) > 0 && early[0] != tlsHandshake {
		l.refusal = codec.Error{Cond: codec.ProtocolError, Text: "plain bytes behind a request for TLS"}
		return l.close()
	}
	l.state = loginClientTLS
	return codec.OpClientTLS
}

// tlsHandshake is the first byte of a TLS record of the handshake, RFC 8446 section 5.1.
const tlsHandshake = 0x16

// ClientSecured goes on with the client's response.
func (l *Login) ClientSecured([]byte) codec.Op {
	l.in[codec.Client] = nil // the begin of the handshake, which the caller has taken with Rest
	l.clientTLS, l.due, l.state = true, true, loginResponse
	return l.run()
}

// begin logs in at the server with the client's response, first of all by TLS.
func (l *Login) begin() codec.Op {
	if op := l.initialAuth(); op != codec.OpMore || l.auth.stage == stageOwnBlob {
		return op
	}
	return l.secure()
}

// secure asks the server for TLS if that is wanted, and sends the response.
func (l *Login) secure() codec.Op {
	caps, ext := l.serverCaps()
	putResponseCaps(l.response.b, caps, ext)
	if !l.serverTLS {
		return l.respond()
	}
	if len(l.in[codec.Server]) > 0 {
		l.refusal = codec.Error{Cond: codec.TLSFailed, Text: "plain bytes of the server in front of TLS"}
		return l.tell(l.refusal.(codec.Error))
	}
	l.send(codec.Server, l.response.b[:responseMin])
	l.state = loginServerTLS
	return codec.OpServerTLS
}

// serverCaps are the client's flags as the server is to see them: without what it was not to know of,
// and with TLS as it is between Sluice and the server.
func (l *Login) serverCaps() (caps, ext uint32) {
	caps = l.response.caps &^ (l.masked | capSSL)
	if l.serverTLS {
		caps |= capSSL
	}
	return caps, l.response.ext &^ l.maskedExt
}

// ServerSecured goes on with the response.
func (l *Login) ServerSecured([]byte) codec.Op { return l.respond() }

// respond sends the client's response to the server.
func (l *Login) respond() codec.Op {
	l.send(codec.Server, l.response.b)
	l.response.b, l.response.auth = nil, nil
	l.state = loginExchange
	return l.run()
}

// onServer takes a packet of the server behind its greeting.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
func (l *Login) onServer(b []byte) codec.Op {
	if len(b) > 0 && b[0] == 0xff {
		l.refusal = serverError(b)
		l.send(codec.Client, b)
		return l.close()
	}
	if l.state != loginExchange {
		return l.fail("a packet of the server out of turn")
	}
	if len(b) > 0 && b[0] == 0x00 {
		status, ok := okStatus(b)
		if !ok {
			return l.fail("malformed OK of the server")
		}
		l.status = status
		l.send(codec.Client, b)
		l.state = loginReady
		l.auth = auth{}
		return codec.OpReady
	}
	return l.serverAuth(b)
}

var _ codec.Login = (*Login)(nil)

package postgres

import (
	"bytes"

	"sluice/codec"
)

// Limits of what a login gathers, in bytes.
const (
	// maxAuthMessage bounds the length field of one message before AuthenticationOk, on either
	// side. The server's own limit for what clients send there is 65535 (PG_MAX_AUTH_TOKEN_LENGTH).
	maxAuthMessage = 64 << 10
	// maxEarly bounds what a client may send ahead of its turn.
	maxEarly = 64 << 10
)

// stage is how far a login has come.
//
//	startup ─▶ dialing ─▶ auth ─▶ ready
//	  │  ▲       │  ▲  ▲    │
//	  ▼  │       ▼  │  └────┤ the server refuses or breaks before anything of it was relayed
//	clientTLS  tlsAnswer ─▶ serverTLS ─▶ auth
//
// Any stage may go to closed; startup may go to cancel.
type stage uint8

const (
	stageStartup   stage = iota // the client's startup packets are due
	stageClientTLS              // the caller does the handshake with the client
	stageDialing                // the caller connects to a server
	stageTLSAnswer              // the server's answer to SSLRequest is due: one byte
	stageServerTLS              // the caller does the handshake with the server
	stageAuth                   // messages go back and forth until AuthenticationOk
	stageReady                  // logged in
	stageCancel                 // the client asked for a cancel and is not a session
	stageClosed                 // refused, or broken
)

// login is PostgreSQL's connection phase in which the server authenticates and Sluice relays.
//
// Another server is tried only while nothing of the last one was relayed.
type login struct {
	entrance
	cfg   *codec.LoginConfig
	stage stage

	serverIn, serverOut []byte // as in and out of the entrance, for the server

	startup        []byte // the StartupMessage, as it goes to each server that is tried
	user, database string
	clientCert     []byte // what Sluice showed; nil if not known

	serverCert []byte // nil without TLS
	relayed    bool   // something of the present server went to the client
	asked      bool   // the server waits for one message of the client
	stripped   bool   // that message answers an offer from which channel binding was taken

	kept []byte // the refusal that Refused tells

	proof *loginProof // what a second login takes; nil if there can be none
}

var _ codec.Login = (*login)(nil)

func newLogin(cfg *codec.LoginConfig) *login {
	return &login{entrance: entrance{tls: cfg.ClientTLS}, cfg: cfg}
}

// Start waits for the client, which speaks first.
func (l *login) Start() codec.Op { return codec.OpMore }

// Client takes bytes that the client sent.
func (l *login) Client(p []byte) codec.Op {
	l.in = append(l.in, p...)
	switch l.stage {
	case stageStartup:
		return l.enter()
	case stageAuth:
		return l.relayClient()
	case stageCancel, stageClosed:
		l.in = nil
		return codec.OpClose
	}
	return l.checkEarly(codec.OpMore)
}

// Server takes bytes that the server sent.
func (l *login) Server(p []byte) codec.Op {
	l.serverIn = append(l.serverIn, p...)
	switch l.stage {
	case stageTLSAnswer:
		return l.readTLSAnswer()
	case stageAuth:
		return l.relayServer()
	}
	l.serverIn = nil
	return codec.OpClose
}

// Connected begins the server's part of the login (again), unless the client has heard of the
// server before.
func (l *login) Connected() codec.Op {
	if l.stage < stageDialing || l.stage > stageAuth || l.relayed {
		return codec.OpClose
	}
	l.serverIn, l.serverOut = nil, nil
	l.serverCert = nil
	l.kept, l.refusal = nil, nil
	if l.cfg.Move != nil {
		l.proof = &loginProof{}
	}
	if l.cfg.ServerTLS >= codec.TLSPrefer {
		l.serverOut = append(l.serverOut, sslRequest...)
		l.stage = stageTLSAnswer
		return codec.OpMore
	}
	return l.sendStartup()
}

// ClientSecured goes on with the startup packets inside TLS.
func (l *login) ClientSecured(cert []byte) codec.Op {
	if l.stage != stageClientTLS {
		return codec.OpClose
	}
	l.securedNow()
	l.clientCert = bytes.Clone(cert)
	l.stage = stageStartup
	return codec.OpMore
}

// ServerSecured sends the startup message inside TLS.
func (l *login) ServerSecured(cert []byte) codec.Op {
	if l.stage != stageServerTLS {
		return codec.OpClose
	}
	l.serverCert = bytes.Clone(cert)
	return l.sendStartup()
}

// Work does nothing: no step of this protocol is costly for a relay.
func (l *login) Work() {}

// Worked does nothing, as Work.
func (l *login) Worked() codec.Op { return codec.OpMore }

// Take returns the bytes to write to that side and forgets them.
func (l *login) Take(s codec.Side) []byte {
	b := l.out
	if s == codec.Server {
		b, l.serverOut = l.serverOut, nil
	} else {
		l.out = nil
	}
	return b
}

// User is the user that the client named.
func (l *login) User() string { return l.user }

// Database is the database that the client named, or else its user.
func (l *login) Database() string { return l.database }

// Target is the key that a CancelRequest quoted.
func (l *login) Target() codec.Key { return l.target }

// Refusal says why the login was refused.
func (l *login) Refusal() error { return l.refusal }

// Follower returns the follower for the streams behind AuthenticationOk: a codec.Mover if the session is to be
// one that can be moved.
func (l *login) Follower(w codec.Watcher) codec.Follower {
	if l.proof != nil {
		return l.newMovable(w)
	}
	return newFollower(w)
}

// Rest returns the bytes of that side behind AuthenticationOk. While the caller carries out
// OpClientTLS for a client that began with TLS at once, Rest(Client) is what was gathered of its
// handshake.
func (l *login) Rest(s codec.Side) []byte {
	switch {
	case s == codec.Client && (l.stage == stageReady || l.direct):
		return l.in
	case s == codec.Server && l.stage == stageReady:
		return l.serverIn
	}
	return nil
}

package postgres

import (
	"bytes"
	"crypto/rand"

	"sluice/codec"
)

// gateStage is how far a client's login at Sluice has come.
//
//	entrance ◀─▶ tls
//	   └─▶ identify ─┬─▶ password ─▶ work ─┬─▶ welcome ─▶ ready
//	                 └─────────────────────┘
//
// Any stage may go to closed; entrance may go to cancel. A password that needs no work skips that.
type gateStage uint8

const (
	gateEntrance gateStage = iota // the client's startup packets are due
	gateTLS                       // the caller does the handshake
	gateIdentify                  // the caller finds out who that is
	gatePassword                  // a message of the client is due
	gateWork                      // the caller runs Work
	gateWelcome                   // the caller prepares the session
	gateReady                     // logged in
	gateCancel                    // the client asked for a cancel and is not a session
	gateClosed                    // refused, or broken
)

// Versions of the protocol, by their minor number.
const (
	minorLatest   = 2 // the newest that is spoken here: 3.2
	minorLongKeys = 2 // the first one with cancel keys of any length
)

// gate is the login of a client at Sluice.
type gate struct {
	entrance
	cfg    *codec.GateConfig
	stage  gateStage
	random func([]byte) // fills; crypto's but in tests

	peer           codec.Peer
	minor          uint16 // of the protocol's version that is spoken
	user, database string
	settings       []codec.Param
	special        codec.Param

	dialog  dialog
	learned codec.Secret
	final   []byte // AuthenticationSASLFinal: it goes out with the welcome
}

// NewGate returns the login machine for a client that logs in at Sluice.
func (Protocol) NewGate(cfg *codec.GateConfig) codec.Gate {
	return &gate{entrance: entrance{tls: cfg.ClientTLS}, cfg: cfg, random: fillRandom}
}

// fillRandom fills b. crypto/rand does not fail.
func fillRandom(b []byte) { _, _ = rand.Read(b) }

// Start waits for the client, which speaks first.
func (g *gate) Start() codec.Op { return codec.OpMore }

// Client takes bytes that the client sent.
func (g *gate) Client(p []byte) codec.Op {
	g.in = append(g.in, p...)
	switch g.stage {
	case gateEntrance:
		return g.enter()
	case gatePassword:
		return g.readPassword()
	case gateCancel, gateClosed:
		g.in = nil
		return codec.OpClose
	}
	return g.checkEarly(codec.OpMore)
}

// close ends the login.
func (g *gate) close() codec.Op {
	g.stage = gateClosed
	return codec.OpClose
}

// refuse tells the client e and ends the login.
func (g *gate) refuse(e codec.Error) codec.Op {
	g.stage = gateClosed
	return g.entrance.refuse(e)
}

// refuseAs is refuse with an SQLSTATE that is not the condition's own.
func (g *gate) refuseAs(state string, e codec.Error) codec.Op {
	g.stage = gateClosed
	return g.entrance.refuseAs(state, e)
}

// checkEarly returns op, unless the client has sent more ahead of its turn than is kept for it.
func (g *gate) checkEarly(op codec.Op) codec.Op {
	if op != codec.OpClose && g.isTooEarly() {
		return g.refuse(tooEarly)
	}
	return op
}

// enter reads the client's packets up to its StartupMessage.
func (g *gate) enter() codec.Op {
	startup, op := g.read()
	if startup != nil {
		op = g.begin(startup)
	}
	switch op {
	case codec.OpClientTLS:
		g.stage = gateTLS
	case codec.OpCancel:
		g.stage = gateCancel
	case codec.OpClose:
		g.stage = gateClosed
	}
	return op
}

// ClientSecured goes on with the startup packets inside TLS.
func (g *gate) ClientSecured(peer codec.Peer) codec.Op {
	if g.stage != gateTLS {
		return g.close()
	}
	g.securedNow()
	g.peer = peer
	g.peer.TLS = true
	g.peer.Cert = bytes.Clone(peer.Cert)
	g.stage = gateEntrance
	return codec.OpMore
}

// Take returns the bytes to write to the client and forgets them.
func (g *gate) Take() []byte {
	b := g.out
	g.out = nil
	return b
}

// User is the user that the client named.
func (g *gate) User() string { return g.user }

// Database is the database that the client named, or else its user.
func (g *gate) Database() string { return g.database }

// Settings are the parameters that the client gave: those packed into options first, as the server
// does, so that of two values for one name the last one counts.
func (g *gate) Settings() []codec.Param { return g.settings }

// Special is replication with "true" or "database", or zero.
func (g *gate) Special() codec.Param { return g.special }

// Learned is what the client's proof has shown.
func (g *gate) Learned() codec.Secret { return g.learned }

// Target is the key that a CancelRequest quoted.
func (g *gate) Target() codec.Key { return g.target }

// Refusal says why the login was refused.
func (g *gate) Refusal() error { return g.refusal }

// KeySize is 4 in protocol 3.0. In 3.2 any length may be chosen up to 256; 32 bytes are as many as
// the server itself takes.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
func (g *gate) KeySize() int {
	if g.minor >= minorLongKeys {
		return 32
	}
	return 4
}

// Rest returns the bytes behind the end of the login, or, while the caller carries out OpClientTLS
// for a client that began with TLS at once, what was gathered of its handshake.
func (g *gate) Rest() []byte {
	if g.stage == gateReady || g.direct {
		return g.in
	}
	return nil
}

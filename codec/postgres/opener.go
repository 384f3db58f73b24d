package postgres

import (
	"fmt"
	"strings"

	"sluice/codec"
)

// openerStage is how far a login at a server has come.
//
//	tlsAnswer ─▶ tls ─▶ auth ◀─▶ work
//	     └───────────────▶└─▶ settle ─▶ ready
//	                             └▶ ask ─▲
//
// Any stage may go to closed.
type openerStage uint8

const (
	openerTLSAnswer openerStage = iota // the answer to SSLRequest is due: one byte
	openerTLS                          // the caller does the handshake
	openerAuth                         // the server asks, and is answered
	openerWork                         // the caller runs Work
	openerSettle                       // behind AuthenticationOk: the session's parameters are due
	openerAsk                          // the server was asked what it is
	openerReady                        // logged in
	openerClosed                       // refused, or broken
)

// opener is the login of Sluice at a server.
type opener struct {
	cfg    *codec.OpenerConfig
	stage  openerStage
	random func([]byte) // fills; crypto's but in tests
	// startup, if not nil, is the StartupMessage to send: one that a client has sent, byte for byte.
	startup []byte

	in, out []byte
	secured bool   // TLS is up
	binding []byte // what SCRAM binds to (tls-server-end-point); nil if it can't

	scram    scramClient
	begun    bool // SCRAM has begun: it has to be carried to its end
	verified bool // the server has shown that it knows the verifier
	keys     scramKeys
	lacking  bool // the server has asked for something that nothing is known to answer with
	working  bool // Work is due. Like all that Work uses it is not touched until Worked

	reported     []codec.Param
	reportedSize int // bytes of their names and values
	key          codec.Key
	part         partAnswer
	refusal      error
}

// NewOpener returns the machine by which Sluice logs in at a server.
func (Protocol) NewOpener(cfg *codec.OpenerConfig) codec.Opener {
	return &opener{cfg: cfg, random: fillRandom}
}

// Start asks for TLS, or begins without it.
func (o *opener) Start() codec.Op {
	if o.cfg.TLS >= codec.TLSPrefer {
		o.out = append(o.out, sslRequest...)
		return codec.OpMore
	}
	return o.begin()
}

// Server takes bytes that the server sent.
func (o *opener) Server(p []byte) codec.Op {
	o.in = append(o.in, p...)
	switch o.stage {
	case openerTLSAnswer:
		return o.readTLSAnswer()
	case openerAuth, openerSettle, openerAsk:
		return o.read()
	case openerWork:
		if len(o.in) > maxEarly {
			return o.strange("too much was sent ahead of its turn")
		}
		return codec.OpMore
	}
	o.in = nil
	o.stage = openerClosed
	return codec.OpClose
}

// ServerSecured sends the startup message inside TLS.
func (o *opener) ServerSecured(cert []byte) codec.Op {
	if o.stage != openerTLS {
		o.stage = openerClosed
		return codec.OpClose
	}
	o.secured = true
	if len(cert) > 0 {
		o.binding = hashEndpoint(cert)
	}
	return o.begin()
}

// readTLSAnswer takes the one byte with which a server answers SSLRequest.
func (o *opener) readTLSAnswer() codec.Op {
	if len(o.in) == 0 {
		return codec.OpMore
	}
	switch {
	case o.in[0] == 'S' && len(o.in) > 1:
		return o.refuse(codec.Error{Cond: codec.TLSFailed,
			Text: "received unencrypted data from the server after its answer to the TLS request"})
	case o.in[0] == 'S':
		o.in = nil
		o.stage = openerTLS
		return codec.OpServerTLS
	case o.in[0] == 'N' && o.cfg.TLS.Required():
		return o.refuse(codec.Error{Cond: codec.TLSFailed, Text: "the server does not offer TLS"})
	case o.in[0] == 'N' && len(o.in) > 1:
		return o.strange("the server speaks before it was spoken to")
	case o.in[0] == 'N':
		o.in = nil
		return o.begin()
	case o.in[0] == 'E':
		// Words that anybody on the way could have put there are not passed on.
		return o.refuse(noTLSAnswer)
	}
	return o.strange("the server's answer to the TLS request is not PostgreSQL's")
}

// begin sends the StartupMessage.
func (o *opener) begin() codec.Op {
	if o.startup != nil {
		o.out = append(o.out, o.startup...)
		o.stage = openerAuth
		return codec.OpMore
	}
	words := []string{"user", o.cfg.User, "database", o.cfg.Database}
	if o.cfg.Special.Name != "" {
		words = append(words, o.cfg.Special.Name, o.cfg.Special.Value)
	}
	for _, p := range o.cfg.Params {
		words = append(words, p.Name, p.Value)
	}
	for _, w := range words {
		if strings.IndexByte(w, 0) >= 0 {
			return o.refuse(codec.Error{Cond: codec.Internal, Text: "a startup parameter holds a NUL"})
		}
	}
	startup := appendStartup(nil, words...)
	if len(startup) > maxStartup {
		return o.refuse(codec.Error{Cond: codec.LimitOfClient,
			Text: fmt.Sprintf("the startup parameters are longer than %d bytes", maxStartup)})
	}
	o.out = append(o.out, startup...)
	o.stage = openerAuth
	return codec.OpMore
}

// Take returns the bytes to write to the server and forgets them.
func (o *opener) Take() []byte {
	b := o.out
	o.out = nil
	return b
}

// Refusal says why the login ended.
func (o *opener) Refusal() error { return o.refusal }

// Host returns the host of the connection.
func (o *opener) Host() codec.Host { return newHost(o.cfg, o.key, o.reported) }

// Rest returns the bytes behind the end of the login.
func (o *opener) Rest() []byte {
	if o.stage == openerReady {
		return o.in
	}
	return nil
}

// refuse ends the login.
func (o *opener) refuse(e codec.Error) codec.Op {
	o.refusal = e
	o.stage = openerClosed
	return codec.OpClose
}

// strange ends the login with a server that does not speak as it should.
func (o *opener) strange(what string) codec.Op {
	return o.refuse(codec.Error{Cond: codec.ServerNotSupport, Text: what})
}

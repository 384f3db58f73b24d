package tcp

import "sluice/codec"

// maxEarly bounds what is kept of a side before the relay begins, in bytes. A caller that keeps to
// the contract gives none: each step of this login is an Op for it to carry out.
const maxEarly = 64 << 10

// login connects the two sides; there is nothing that they tell each other about it.
type login struct {
	cfg     *codec.LoginConfig
	early   [2][]byte
	ready   bool
	closed  bool
	refusal error
}

var _ codec.Login = (*login)(nil)

// Start asks for TLS with the client if it is required, or else for a server.
func (l *login) Start() codec.Op {
	if l.cfg.ClientTLS.Required() {
		return codec.OpClientTLS
	}
	return codec.OpDial
}

// Client keeps bytes for Rest.
func (l *login) Client(p []byte) codec.Op { return l.keep(codec.Client, p) }

// Server keeps bytes for Rest.
func (l *login) Server(p []byte) codec.Op { return l.keep(codec.Server, p) }

func (l *login) keep(s codec.Side, p []byte) codec.Op {
	if l.closed {
		return codec.OpClose
	}
	if len(l.early[s])+len(p) > maxEarly {
		return l.Refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "the " + s.String() + " sent too much before the relay began"})
	}
	l.early[s] = append(l.early[s], p...)
	return codec.OpMore
}

// Connected asks for TLS with the server if it is required, or else begins the relay.
func (l *login) Connected() codec.Op {
	l.early[codec.Server] = nil
	if l.cfg.ServerTLS.Required() {
		return codec.OpServerTLS
	}
	return l.begin()
}

// ClientSecured asks for a server.
func (l *login) ClientSecured([]byte) codec.Op { return codec.OpDial }

// ServerSecured begins the relay.
func (l *login) ServerSecured([]byte) codec.Op { return l.begin() }

func (l *login) begin() codec.Op {
	l.ready = true
	return codec.OpReady
}

// Work does nothing.
func (l *login) Work() {}

// Worked does nothing.
func (l *login) Worked() codec.Op { return codec.OpMore }

// Refuse closes: Sluice has no words in a protocol that it does not know.
func (l *login) Refuse(e codec.Error) codec.Op {
	l.refusal = e
	l.closed = true
	return codec.OpClose
}

// Refused closes.
func (l *login) Refused() codec.Op {
	l.closed = true
	return codec.OpClose
}

// Take returns nil: Sluice says nothing of its own.
func (l *login) Take(codec.Side) []byte { return nil }

// User is not known.
func (l *login) User() string { return "" }

// Database is not known.
func (l *login) Database() string { return "" }

// Target is empty: no client asks for a cancel.
func (l *login) Target() codec.Key { return codec.Key{} }

// Refusal says why the login was refused.
func (l *login) Refusal() error { return l.refusal }

// Follower returns a follower that never finds a safe point.
func (l *login) Follower(codec.Watcher) codec.Follower { return follower{} }

// Rest returns the bytes of that side that came before the relay began.
func (l *login) Rest(s codec.Side) []byte {
	if !l.ready {
		return nil
	}
	return l.early[s]
}

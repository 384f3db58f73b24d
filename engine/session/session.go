package session

import (
	"net/netip"
	"sync/atomic"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// stage is where a session stands; doc.go draws it.
type stage uint8

const (
	stageLogin stage = iota // the login machine is at work
	stageRelay              // logged in: bytes pass
	stageOver               // ended; connections may still be flushing
)

// killing is how far a KILL is that has to be carried out on another backend.
//
//	None ─▶ Waits ─▶ Under way ─▶ None
type killing uint8

const (
	killNone     killing = iota
	killWaits            // for the answers to the commands before it
	killUnderWay         // the other backend has been asked
)

// Session is one client's stay. It belongs to one loop: only code that runs there may touch it.
type Session struct {
	p    *Proxy
	on   *loopState
	fe   *Frontend
	set  *Settings // of the frontend, as they were when the client came
	st   *frontendStats
	id   uint64
	from netip.AddrPort // the client; where a proxy has named it, by what that said

	origin  *origin // nil unless the listener has namespaces, or takes a PROXY header
	refused bool    // only here to be told why not
	counted bool    // out of the logins in progress
	stage   stage
	client  *engine.Conn
	server  *engine.Conn // nil until dialled; the dial under way has none yet

	// Login. in is nil once the session is ready.
	in     *loggingIn
	timer  engine.Timer // the login's deadline, then the idle time-out
	user   string
	opened int64 // engine.Nano at accept

	// Server side.
	cluster *upstream.Cluster
	backend *upstream.Backend // counted in
	bst     *backendStats
	key     codec.Key // as the client knows it
	keyed   bool      // key is in the registry

	// Relay.
	follow  codec.Follower
	kills   codec.Interceptor // follow, if its protocol has such a thing
	prefix  []byte            // client bytes that are held since they may be the begin of a KILL
	deep    bool              // the client is paused since too many commands are unanswered
	killing killing           // how far a KILL is that is carried out elsewhere; the client is paused
	active  int64             // engine.Nano of the last bytes, if there is an idle time-out
	unsent  int               // bytes that waited for a slow peer when the idle timer looked last
	clock   timing

	mv        *moving          // under way; nil between moves
	translate codec.Translator // nil unless bytes have to be changed on their way since it moved
	mob       *mobile          // nil unless the session can move
	doomed    atomic.Int64     // a KILL was meant for it: engine.Nano, one bit to the left, and 1 if it was sure; kill.go

	sh *shared // nil unless the client shares server connections

	leaving *codec.Error // asked to leave: what to tell the client
	log     *requestLog  // nil unless requests are logged

	prev, next *Session // in the loop's list
}

// clientSide and serverSide are the two engine.Handlers of a session.
type (
	clientSide Session
	serverSide Session
)

// OnOpen begins the session.
func (h *clientSide) OnOpen(c *engine.Conn) {
	s := (*Session)(h)
	s.client = c
	s.begin()
}

// OnData takes bytes from the client.
func (h *clientSide) OnData(_ *engine.Conn, p []byte) {
	s := (*Session)(h)
	switch s.stage {
	case stageRelay:
		s.fromClient(p)
	case stageLogin:
		if s.in.heading != nil {
			s.headingBytes(p)
			return
		}
		s.loginBytes(codec.Client, p)
	}
}

// OnRoom lets the server go on after the client has caught up.
func (h *clientSide) OnRoom(*engine.Conn) {
	switch s := (*Session)(h); {
	case s.sh != nil:
		s.sharedRoom()
	case s.server != nil:
		s.server.ResumeReads()
		if s.mv != nil {
			s.mv.look()
		}
	}
}

// OnClose ends the session with its client.
func (h *clientSide) OnClose(_ *engine.Conn, err error) {
	s := (*Session)(h)
	s.p.clientLeft(s)
	s.on.busy++
	switch {
	case s.stage == stageOver:
	case s.quit():
		s.end(ClientQuit, nil, nil)
	default:
		s.end(ClientGone, nil, err)
	}
	s.on.busy--
	s.on.settle()
}

// OnOpen is not called: a connection is an attempt's until it is open.
func (h *serverSide) OnOpen(*engine.Conn) {}

// OnData takes bytes from the server.
func (h *serverSide) OnData(c *engine.Conn, p []byte) {
	s := (*Session)(h)
	switch {
	case c != s.server: // of a backend that was given up
	case s.stage == stageRelay:
		s.fromServer(p)
	case s.stage == stageLogin:
		s.loginBytes(codec.Server, p)
	}
}

// OnRoom lets the client go on after the server has caught up.
func (h *serverSide) OnRoom(*engine.Conn) {
	(*Session)(h).readClient()
}

// OnClose ends the session with its server, or, early in a login, has another one tried.
func (h *serverSide) OnClose(c *engine.Conn, err error) {
	s := (*Session)(h)
	switch {
	case c != s.server || s.stage == stageOver:
	case s.stage == stageLogin:
		s.lostInLogin(err)
	default:
		s.serverLeft(err)
	}
}

// quit tells that the client has said goodbye.
func (s *Session) quit() bool {
	f, ok := s.follow.(codec.Leaver)
	return ok && f.Quit()
}

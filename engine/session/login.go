package session

import (
	"errors"
	"fmt"
	"time"

	"sluice/codec"
	"sluice/engine"
)

// loggingIn is what a session needs only until it is ready.
type loggingIn struct {
	m        codec.Login
	cfg      codec.LoginConfig
	op       codec.Op     // being carried out; OpMore: bytes are awaited
	refusal  *codec.Error // what the client is to be told instead of a session
	objected bool         // the machine knows of refusal
	entered  bool         // the client's namespace is known
	heading  *heading     // the client has yet to be named by a proxy; nil: it has been, or need not be
	early    [2][]byte    // bytes that came while op was carried out, by side
	told     bool         // bytes of this backend's went to the client: no other can take its place
	cause    error        // why refusal came about, for the log
	dial     dialling
}

// earlyMax bounds, in bytes, what a peer may send ahead while an operation of the login is under way;
// then it is not read until the operation is over.
const earlyMax = 64 << 10

// begin starts the login.
func (s *Session) begin() {
	s.on.add(s)
	s.st = s.on.stats.frontend(s.fe.name)
	s.st.opened++
	s.st.sessions++
	s.timer.Fn = s.loginExpired
	s.on.loop.Arm(&s.timer, s.set.LoginTimeout)
	if s.in.heading != nil {
		s.awaitHeading()
		return
	}
	s.start()
}

// start starts the login of a client of which is known where it comes from.
func (s *Session) start() {
	in := s.in
	if in.refusal == nil {
		in.refusal = s.expelled()
	}
	if s.set.Sharing != nil {
		s.beginShared()
		return
	}
	in.cfg = codec.LoginConfig{ClientTLS: s.set.TLSMode, VisibleID: s.visibleID}
	s.configureServer()
	protocol := s.cluster.Options().Protocol
	in.m = protocol.NewLogin(&in.cfg)
	if greeter, ok := protocol.(codec.Greeter); ok && s.needsUser() {
		s.greet(greeter)
		return
	}
	s.step(in.m.Start())
}

// configureServer has the login know of the servers of the session's cluster.
func (s *Session) configureServer() {
	opt := s.cluster.Options()
	s.in.cfg.ServerTLS, s.in.cfg.Move = opt.TLSMode, opt.Migrate.Move
}

// visibleID takes a connection id for the client to see.
func (s *Session) visibleID(server uint32) uint32 {
	if s.in.cfg.Greet != nil { // the client has been told one
		s.p.keys.add(s.key, target{backend: s.backend, server: codec.Key{ID: server}, owner: s})
		s.keyed = true
		return s.key.ID
	}
	s.forgetKey()
	s.key = s.p.keys.reserve(server, target{backend: s.backend, server: codec.Key{ID: server}, owner: s})
	s.keyed = true
	return s.key.ID
}

// forgetKey takes the session's keys out of the registry.
func (s *Session) forgetKey() {
	if s.keyed {
		s.p.keys.remove(s.key)
		s.keyed = false
	}
	if s.mob != nil && s.mob.past != nil {
		s.forgetAlias()
	}
}

// forgetAlias takes a further key of the session out of the registry.
func (s *Session) forgetAlias() {
	if h := s.mob.past; h.aliased {
		s.p.keys.removeAlias(h.alias, s)
		h.aliased = false
	}
}

// rekey has the session's key lead to its new server, where it is known by k. If the client can learn of that,
// which is where a key is a number alone, it names the session as well.
func (s *Session) rekey(k codec.Key) {
	t := target{backend: s.backend, server: k, user: s.user, owner: s}
	if s.keyed {
		s.p.keys.add(s.key, t)
	}
	h := s.mob.history()
	s.forgetAlias()
	if k.Secret == "" && k.ID != 0 && k != s.key {
		h.alias, h.aliased = k, s.p.keys.addAlias(k, t)
	}
}

// loginBytes gives bytes to the login machine, or keeps them while it can't take any.
func (s *Session) loginBytes(side codec.Side, p []byte) {
	in := s.in
	if in.op != codec.OpMore {
		in.early[side] = append(in.early[side], p...)
		if len(in.early[side]) > earlyMax {
			s.conn(side).PauseReads() // until the operation is over
		}
		return
	}
	switch {
	case s.sh != nil:
		s.gateStep(s.sh.gate.Client(p))
	case side == codec.Client:
		s.step(in.m.Client(p))
	default:
		s.step(in.m.Server(p))
	}
}

// conn is the connection of that side.
func (s *Session) conn(side codec.Side) *engine.Conn {
	if side == codec.Client {
		return s.client
	}
	return s.server
}

// step sends what the machine has to say and carries out what it asks for.
func (s *Session) step(op codec.Op) {
	for s.stage == stageLogin {
		in := s.in
		if e := s.objection(op); e != nil {
			in.refusal = e
			_ = in.m.Take(codec.Server) // what would go on with the login there
			op = in.m.Refuse(*e)
			continue
		}
		s.say()
		in.op = op
		switch op {
		case codec.OpMore:
			next, more := s.feedEarly()
			if !more {
				return
			}
			op = next
			continue
		case codec.OpDial:
			s.dialFirst()
		case codec.OpRetry:
			s.retry(errors.New("the server refused"))
		case codec.OpClientTLS:
			s.clientTLS()
		case codec.OpServerTLS:
			s.serverTLS()
		case codec.OpWork:
			s.work()
		case codec.OpReady:
			s.ready()
		case codec.OpCancel:
			s.cancel(in.m.Target())
		case codec.OpClose:
			s.loginEnded()
		}
		return
	}
}

// objection returns what speaks against doing op for this client, if it has not been refused yet.
func (s *Session) objection(op codec.Op) *codec.Error {
	in := s.in
	if op == codec.OpClose || op == codec.OpCancel || in.objected {
		return nil
	}
	s.user = in.m.User()
	if op == codec.OpDial && in.refusal == nil {
		in.refusal = s.enter(true)
	}
	var e *codec.Error
	switch {
	case op == codec.OpDial && in.refusal != nil:
		e = in.refusal
	case op == codec.OpServerTLS && len(in.early[codec.Server]) > 0:
		// Came while the client was being served, in plain: behind the handshake it would pass for the
		// server's own words.
		e = &codec.Error{Cond: codec.TLSFailed, Text: "plain bytes of the server in front of TLS"}
	case s.user != "":
		e = s.wrongCertificate(s.user)
	}
	in.objected = e != nil
	return e
}

// say sends what the machine has for the two sides.
func (s *Session) say() {
	in := s.in
	if p := in.m.Take(codec.Client); len(p) > 0 {
		if s.server != nil && !in.told {
			in.told = true
			s.on.loop.Disarm(&in.dial.timer)
		}
		s.client.Write(p)
	}
	if s.server != nil {
		if p := in.m.Take(codec.Server); len(p) > 0 {
			s.server.Write(p)
		}
	}
}

// feedEarly gives the machine what came while it was busy.
func (s *Session) feedEarly() (op codec.Op, more bool) {
	in := s.in
	for side := codec.Client; side <= codec.Server; side++ {
		p := in.early[side]
		if len(p) == 0 || s.conn(side) == nil {
			continue
		}
		in.early[side] = nil
		s.conn(side).ResumeReads()
		if side == codec.Client {
			return in.m.Client(p), true
		}
		return in.m.Server(p), true
	}
	return codec.OpMore, false
}

// wrongCertificate refuses a client whose certificate must, but does not, carry the user's name.
func (s *Session) wrongCertificate(user string) *codec.Error {
	if !s.set.TLSMatchUser {
		return nil
	}
	state, ok := s.client.TLS()
	if ok && len(state.PeerCertificates) > 0 && state.PeerCertificates[0].Subject.CommonName == user {
		return nil
	}
	return &codec.Error{Cond: codec.HostDenied,
		Text: fmt.Sprintf("the client certificate is not that of user %q", user)}
}

// clientTLS shakes hands with the client.
func (s *Session) clientTLS() {
	var early []byte
	if s.sh != nil {
		early = s.sh.gate.Rest()
	} else {
		early = s.in.m.Rest(codec.Client)
	}
	direct := len(early) > 0 && len(s.set.TLS.NextProtos) > 0 // protocols without ALPN have no such thing
	s.client.StartTLS(s.set.TLS, true, early, s.set.LoginTimeout, func(err error) {
		if s.stage != stageLogin {
			return
		}
		if state, _ := s.client.TLS(); err == nil && direct && state.NegotiatedProtocol == "" {
			err = errors.New("TLS from the first byte needs ALPN")
		}
		if err != nil {
			s.end(TLSFailed, nil, err)
			return
		}
		if s.sh != nil {
			s.gateStep(s.sh.gate.ClientSecured(s.peer()))
			return
		}
		s.step(s.in.m.ClientSecured(s.set.TLSLeaf))
	})
}

// serverTLS shakes hands with the server.
func (s *Session) serverTLS() {
	conn := s.server
	timeout := s.cluster.Options().ConnectTimeout
	conn.StartTLS(s.cluster.Options().TLSConfig(s.backend), false, nil, timeout, func(err error) {
		if s.stage != stageLogin || s.server != conn {
			return
		}
		if err != nil {
			s.in.dial.reason = codec.TLSFailed
			s.lostInLogin(fmt.Errorf("TLS handshake: %w", err))
			return
		}
		var cert []byte
		if state, ok := conn.TLS(); ok && len(state.PeerCertificates) > 0 {
			cert = state.PeerCertificates[0].Raw
		}
		s.step(s.in.m.ServerSecured(cert))
	})
}

// work has the machine compute off the loop.
func (s *Session) work() {
	m := s.in.m
	go func() {
		m.Work()
		s.on.loop.Run(func() {
			if s.stage == stageLogin {
				s.step(m.Worked())
			}
		})
	}()
}

// ready turns the login into a session that relays.
func (s *Session) ready() {
	in := s.in
	s.on.loop.Disarm(&s.timer)
	s.stopDialling()
	s.p.loginOver(s)
	s.on.stats.pending--
	s.on.stats.connected++
	s.st.ready++
	s.st.login.observe(engine.Nano() - s.opened)
	s.bst = s.on.stats.backend(s.backend)
	s.follow = in.m.Follower(s)
	s.kills, _ = s.follow.(codec.Interceptor)
	if s.keyed { // reserved when the user was not known yet
		s.p.keys.add(s.key, target{backend: s.backend, server: s.serverKey(), user: s.user, owner: s})
	}
	s.stage = stageRelay
	s.startMobile(in.cfg.Move)
	s.lookForTranslator()
	if in.cfg.Greet != nil && s.mob != nil {
		s.rekey(s.serverKey()) // the server's own id names it too, as it will behind a move
	}
	s.in = nil
	s.startIdle()
	s.relayRest(in)
	if s.stage != stageRelay {
		return
	}
	if e := s.expelled(); e != nil {
		s.askToLeave(*e)
		return
	}
	if in.dial.led && !s.backend.Leads() {
		s.evict(s.postAt(s.backend), "role") // even if it is fit: it may not know yet
		return
	}
	s.review(nil) // something may have changed since the backend was chosen
}

// relayRest passes on what came behind the end of the login.
func (s *Session) relayRest(in *loggingIn) {
	for side := codec.Server; ; side = codec.Client {
		for _, p := range [2][]byte{in.m.Rest(side), in.early[side]} {
			if len(p) == 0 || s.stage != stageRelay {
				continue
			}
			if side == codec.Client {
				s.fromClient(p)
			} else {
				s.fromServer(p)
			}
		}
		if s.stage != stageRelay || side == codec.Client {
			break
		}
	}
	s.readClient()
	if s.stage == stageRelay && !s.client.Full() {
		s.server.ResumeReads()
	}
}

// serverKey is the session's key as the server knows it.
func (s *Session) serverKey() codec.Key {
	if t, ok := s.p.keys.find(s.key); ok {
		return t.server
	}
	return s.key
}

// loginExpired ends a login that takes too long, or has failed and waited in vain to tell.
func (s *Session) loginExpired() {
	if in := s.in; in.cause != nil {
		s.end(outcomeOf(in.refusal.Cond), nil, in.cause)
		return
	}
	text := "the login took too long"
	if s.in.dial.pauses || s.sh != nil && s.sh.retry != nil && s.sh.retry.seeking {
		text += ": no server is available"
	}
	s.refuse(LoginTimeout, codec.Error{Cond: codec.LoginTimeout, Text: text}, nil)
}

// refuse ends a login with an error of Sluice's own. A client that would not understand it yet is given
// a moment to speak first.
func (s *Session) refuse(o Outcome, e codec.Error, cause error) {
	if s.stage != stageLogin {
		return
	}
	if cause == nil {
		cause = e
	}
	in := s.in
	switch {
	case in.heading != nil: // it does not know yet to whom it speaks
		s.end(o, nil, cause)
		return
	case s.sh != nil:
		s.refuseShared(o, e, cause)
		return
	}
	if in.op != codec.OpClientTLS && in.op != codec.OpWork && in.op != codec.OpCancel {
		again := in.objected
		op := in.m.Refuse(e)
		if op == codec.OpMore && !again && o != LoginTimeout && o != Forced {
			in.refusal, in.cause, in.objected = &e, cause, true
			s.dropBackend()
			s.on.loop.Arm(&s.timer, refusalWait)
			s.step(op)
			return
		}
		s.say()
	}
	s.end(o, nil, cause)
}

// refusalWait is how long a client whose login has failed may take to say what it has to say before it
// can be told so.
const refusalWait = time.Second

// loginEnded ends a login that the machine has ended.
func (s *Session) loginEnded() {
	err := s.refusal()
	var own codec.Error
	switch {
	case errors.As(err, &own):
		if s.in.cause != nil {
			err = s.in.cause
		}
		s.end(outcomeOf(own.Cond), nil, err)
	case err != nil:
		s.end(LoginRefused, nil, err)
	default:
		s.end(ClientQuit, nil, nil)
	}
}

package session

import (
	"go.uber.org/zap"

	"sluice/codec"
	"sluice/engine"
)

// What clients are told whose session has to end through no fault of theirs.
var (
	shuttingDown = codec.Error{Cond: codec.Shutdown, Text: "the proxy is shutting down"}
	listenerGone = codec.Error{Cond: codec.Shutdown, Text: "the listener was removed"}
)

// expelled returns why the session has to leave, if it has.
func (s *Session) expelled() *codec.Error {
	switch {
	case s.p.draining.Load():
		return &shuttingDown
	case s.fe.closed.Load():
		return &listenerGone
	}
	return nil
}

// askToLeave has the session end at its next safe point, with e for its client. A login is ended at
// once: nothing is lost with it.
func (s *Session) askToLeave(e codec.Error) {
	switch {
	case s.stage == stageLogin:
		s.refuse(Drained, e, nil)
	case s.stage == stageRelay:
		s.leaving = &e
		if s.mv != nil {
			s.mv.withdraw()
		}
		if s.stage == stageRelay && (s.busy() == "" || s.heldBack()) {
			s.leave(Drained)
		}
	}
}

// heldBack tells that the session waits for a server connection, and nobody knows for how long: its database is
// paused, or there is no backend.
func (s *Session) heldBack() bool {
	sh := s.sh
	if s.mv != nil && s.mv.seek != nil {
		return true
	}
	return sh != nil && sh.at == nil && sh.since > 0 && (sh.home.spec.pool.Paused() || sh.retry != nil && sh.retry.seeking)
}

// forceToLeave ends a session that should have left by now, with e for its client.
func (s *Session) forceToLeave(e codec.Error) {
	if s.stage != stageRelay || s.leaving == nil && s.sh == nil {
		return
	}
	if s.leaving == nil {
		s.leaving = &e
	}
	s.leave(Forced)
}

// leave ends a session that was asked to.
func (s *Session) leave(o Outcome) { s.end(o, s.leaving, nil) }

// end ends the session: the only way in which one does. tell is for the client, in its protocol, if
// there is a place for it in the stream. cause is for the log. The connections close when what is
// buffered for their peers has been sent.
func (s *Session) end(o Outcome, tell *codec.Error, cause error) {
	if s.stage == stageOver {
		return
	}
	was := s.stage
	s.stage = stageOver
	s.tell(tell)
	s.report(o, cause)
	s.on.loop.Disarm(&s.timer)
	if was == stageLogin && s.in.heading != nil {
		s.on.loop.Disarm(&s.in.heading.timer)
	}
	s.endMove()
	s.stopDialling()
	s.forgetKey()
	if was == stageRelay && s.sh == nil {
		s.on.stats.connected-- // also one that is lost, or about to be left: it is the session's place
	}
	if was != stageRelay {
		s.p.loginOver(s)
		if s.backend != nil {
			s.on.stats.pending--
		}
	}
	if s.sh != nil {
		s.endShared()
	}
	if s.backend != nil {
		s.backend.Release()
	}
	s.closeConns(o)
	if c, ok := s.follow.(interface{ Close() error }); ok {
		_ = c.Close()
	}
	s.st.sessions--
	s.st.ended[o]++
	s.on.remove(s)
	s.in, s.prefix, s.leaving = nil, nil, nil
}

// tell sends the client the last word, if there is a place for it in its stream.
func (s *Session) tell(e *codec.Error) {
	switch {
	case e == nil:
		return
	case s.sh != nil:
		s.tellShared(*e)
		return
	case s.follow == nil || s.follow.Mid(codec.Server) || s.follow.Ending():
		return
	}
	s.on.buf = s.follow.AppendError(s.on.buf[:0], *e)
	s.client.Write(s.on.buf)
}

// closeConns closes both connections. The server is let go politely where it waits for nothing else.
func (s *Session) closeConns(o Outcome) {
	if s.client.Open() {
		s.client.CloseFlushed()
	}
	c := s.server
	if c == nil || !c.Open() {
		return
	}
	if bye, ok := s.follow.(codec.Leaver); ok && o != ClientQuit && s.follow.Busy() == "" {
		s.on.buf = bye.AppendGoodbye(s.on.buf[:0])
		c.Write(s.on.buf)
	}
	c.CloseFlushed()
}

// report writes the one log line about the session's end, if it is worth one at the level in force.
func (s *Session) report(o Outcome, cause error) {
	level := zap.DebugLevel
	switch o {
	case ClientProtocol, ServerProtocol, ServerLost, NoBackend, TLSFailed, Forced:
		level = zap.WarnLevel
	case LoginRefused, LoginTimeout, LimitReached, HostDenied, IdleTimeout:
		level = zap.InfoLevel
	}
	entry := s.p.log.Check(level, "session ended")
	if entry == nil {
		return
	}
	fields := []zap.Field{zap.Uint64("session", s.id), zap.String("listener", s.fe.name),
		zap.Stringer("client", s.from), zap.Stringer("outcome", o),
		zap.Duration("lived", asDuration(engine.Nano()-s.opened))}
	if o := s.origin; o != nil && o.proxy.IsValid() {
		fields = append(fields, zap.Stringer("proxy", o.proxy))
	}
	if s.set.space != nil {
		fields = append(fields, zap.String("namespace", s.set.namespace()))
	}
	if s.user != "" {
		fields = append(fields, zap.String("user", s.user))
	}
	if s.backend != nil {
		fields = append(fields, zap.String("backend", s.backend.Addr()))
	}
	if cause != nil {
		fields = append(fields, zap.Error(cause))
	}
	entry.Write(fields...)
}

package session

import (
	"errors"

	"sluice/codec"
	"sluice/engine"
)

// A client that has sent owedHigh commands ahead of their answers is not read until owedLow are left:
// what a session has to remember of them stays bounded.
const (
	owedHigh = 16 << 10
	owedLow  = 4 << 10
)

// fromClient passes on what the client sent.
func (s *Session) fromClient(p []byte) {
	if s.sh != nil {
		s.fromGuest(p)
		return
	}
	if s.mv != nil {
		s.mv.fromClient(p)
		return
	}
	s.pass(p)
}

// pass has client bytes go on to the server, but for a KILL that is not meant for it.
func (s *Session) pass(p []byte) {
	if s.kills != nil {
		s.sift(p)
		return
	}
	s.toServer(p)
}

// toServer follows client bytes and sends them on. It tells whether the session goes on.
func (s *Session) toServer(p []byte) bool {
	s.clock.now = 0
	if s.translate != nil {
		if p = s.translate.ToServer(p); len(p) == 0 {
			return true
		}
	}
	if err := s.follow.Client(p); err != nil {
		s.broken(codec.Client, err)
		return false
	}
	s.bst.toServer += uint64(len(p))
	s.server.Write(p)
	if s.server.Full() {
		s.client.PauseReads() // until OnRoom of the server
	}
	if s.follow.Owed() > owedHigh {
		s.deep = true
		s.client.PauseReads() // until fromServer finds it shallow
	}
	if s.set.IdleTimeout > 0 {
		s.active = s.on.loop.Now()
	}
	if s.leaving != nil {
		s.leaveIfSafe() // a command without an answer may have been the last obstacle
	}
	return s.stage == stageRelay
}

// fromServer passes on what the server sent.
func (s *Session) fromServer(p []byte) {
	if s.mv != nil {
		s.mv.fromServer(p)
		return
	}
	s.toClient(p)
}

// toClient follows server bytes and sends them on.
func (s *Session) toClient(p []byte) {
	s.clock.now = 0
	if s.translate != nil {
		if p = s.translate.ToClient(p); len(p) == 0 {
			return
		}
	}
	if err := s.follow.Server(p); err != nil {
		s.broken(codec.Server, err)
		return
	}
	s.bst.toClient += uint64(len(p))
	if !s.keyed {
		s.enterKey() // before the client can quote it
	}
	s.client.Write(p)
	if s.client.Full() {
		s.server.PauseReads() // until OnRoom of the client
	}
	if s.set.IdleTimeout > 0 {
		s.active = s.on.loop.Now()
	}
	if s.deep || s.killing != killNone || s.leaving != nil {
		s.afterServer()
	}
}

// afterServer does what is rarely due when the server has spoken.
func (s *Session) afterServer() {
	if s.stage != stageRelay {
		return
	}
	if s.deep && s.follow.Owed() <= owedLow {
		s.deep = false
		s.readClient()
	}
	if s.killing == killWaits && s.follow.Owed() == 0 {
		s.killNow()
	}
	s.leaveIfSafe()
}

// enterKey enters the key in the registry, once the server has given it.
func (s *Session) enterKey() {
	if k, ok := s.follow.Key(); ok {
		s.key, s.keyed = k, true
		s.p.keys.add(k, target{backend: s.backend, server: k, user: s.user, owner: s})
	}
}

// broken ends a session whose bytes make no sense. If they are the server's the client is not told: the
// follower has seen more of them than the client, which may stand inside a message still and would
// take the error for the rest of it.
func (s *Session) broken(side codec.Side, err error) {
	if side == codec.Server {
		s.end(ServerProtocol, nil, err)
		return
	}
	told := codec.Error{Cond: codec.ProtocolError, Text: "protocol violation by the client"}
	var own codec.Error
	if errors.As(err, &own) { // a follower's own word for what it does not let pass
		told = own
	}
	s.end(outcomeOf(told.Cond), &told, err)
}

// startIdle arms the idle time-out, if there is one.
func (s *Session) startIdle() {
	if s.set.IdleTimeout <= 0 {
		return
	}
	s.active = engine.Nano()
	s.timer.Fn = s.idle
	s.on.loop.Arm(&s.timer, s.set.IdleTimeout)
}

// idle looks whether the session has been idle for too long. Activity only notes the time, so that it
// costs next to nothing; the timer is set anew here. A session that waits for an answer is not idle, nor
// is one whose peer takes in, however slowly, what was sent long ago.
func (s *Session) idle() {
	if s.stage != stageRelay {
		return
	}
	left := int64(s.set.IdleTimeout) - (engine.Nano() - s.active)
	unsent := s.client.Buffered()
	if s.server != nil {
		unsent += s.server.Buffered()
	}
	if s.owed() > 0 || s.killing != killNone || s.mv != nil && s.mv.holds() || unsent != s.unsent {
		left = int64(s.set.IdleTimeout)
	}
	s.unsent = unsent
	if left > 0 {
		s.on.loop.Arm(&s.timer, asDuration(left))
		return
	}
	s.end(IdleTimeout, &codec.Error{Cond: codec.IdleTimeout, Text: "the session was idle for too long"}, nil)
}

// owed is the number of commands whose answer is not complete; one that waits for a server connection
// is among them.
func (s *Session) owed() int {
	switch {
	case s.sh == nil:
		return s.follow.Owed()
	case s.sh.desk != nil:
		return 0
	case s.sh.waits():
		return 1 + s.sh.guest.Owed()
	}
	return s.sh.guest.Owed()
}

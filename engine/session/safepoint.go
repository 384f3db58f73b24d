package session

// A safe point is a moment at which a session can end, or go on at another server, without its client losing
// anything: no transaction is open, no answer is owed, no message stands half in either direction, no cursor, long
// data or COPY is open, and nothing of Sluice's own is under way in it. There is this one definition, for whatever
// wants a session out of the way, in all modes:
//
//	busy         who has to leave, or is asked for its state while it rests
//	safeFor      who moves: a machine of the protocol may say "not here", or end a transaction where the client would
//	safeWithout  who has lost its server
//
// A session that shares server connections has another moment besides, at which it gives its own back: the end of
// a unit of work, when nothing of it is left there (codec.Host.Free).

// busy names what keeps this moment from being a safe point: what the follower says, client bytes that it has not
// been given yet ("message"), a KILL that is carried out elsewhere ("kill"), or a move for which the client waits
// ("move"). "" at a safe point.
func (s *Session) busy() string {
	switch {
	case s.sh != nil:
		return s.sharedBusy()
	case s.mv != nil && s.mv.holds():
		return "move"
	}
	return s.engaged()
}

// engaged is busy but for a move.
func (s *Session) engaged() string {
	switch {
	case s.killing != killNone:
		return "kill"
	case len(s.prefix) > 0:
		return "message"
	}
	return s.follow.Busy()
}

// safeFor tells whether the session can be asked for its state now, to go on elsewhere. held are bytes of the client
// that the server has not been given. If they begin with a message that would end the open transaction, so can the
// move, in its place.
func (s *Session) safeFor(held []byte) bool {
	switch why := s.engaged(); {
	case why == "", why == "transaction" && len(held) > 0:
		return s.mob.mover.Askable(held)
	}
	return false
}

// safeWithout is busy for a session whose server is lost: what may be the begin of a KILL has not been sent there.
func (s *Session) safeWithout() string {
	if why := s.busy(); why != "message" || len(s.prefix) == 0 {
		return why
	}
	return s.follow.Busy()
}

// leaveIfSafe ends a session that was asked to leave, if this is a safe point.
func (s *Session) leaveIfSafe() {
	if s.sh != nil && s.sh.at == nil {
		s.stay() // nothing binds it to the backend that it was to leave
	}
	if s.stage == stageRelay && s.leaving != nil && s.busy() == "" {
		s.leave(Drained)
	}
}

// readClient has the client read again, if nothing speaks against it any more.
func (s *Session) readClient() {
	switch {
	case s.stage != stageRelay, s.deep, s.killing != killNone, s.server != nil && s.server.Full():
	case s.mv != nil && s.mv.full():
	default:
		s.client.ResumeReads()
	}
}

package session

import (
	"errors"
	"time"

	"sluice/codec"
	"sluice/engine"
)

// moveResult is what came of a move: a label in the metrics.
type moveResult uint8

const (
	moveMade       moveResult = iota // the session works at the new backend
	moveReplaced                     // another one was wanted in its place
	moveWithdrawn                    // nobody wants it any more
	moveNoBackend                    // there is no other backend
	moveUnfit                        // the new backend does not fit any more
	moveDialFailed                   // no connection to the new server
	moveTimeout                      // the new server did not answer
	moveTLSFailed                    // no TLS with the new server
	moveRefused                      // the new server did not take the session
	moveNewLost                      // the new server has gone
	moveOldLost                      // the old server has gone
	movePinned                       // something binds the session to its server
	moveNotPlaced                    // the state could not be asked for, or not be put in place
	moveHeld                         // the client would have waited for too long
	moveBusy                         // the session has come to no safe point
	moveLeft                         // the session has ended
	moveResults    = iota
)

// String returns the result's metric label.
func (r moveResult) String() string {
	return [moveResults]string{"moved", "replaced", "withdrawn", "no_backend", "unfit", "dial", "timeout", "tls",
		"refused", "new_lost", "old_lost", "pinned", "not_placed", "hold_timeout", "busy", "left"}[r]
}

// failed tells results behind which a session rests, until it is tried again.
func (r moveResult) failed() bool {
	switch r {
	case moveMade, moveReplaced, moveWithdrawn, moveNoBackend, moveOldLost, moveLeft:
		return false
	}
	return true
}

// arrive has the session go on at the new server.
func (mv *moving) arrive() {
	if mv.cfg.AskOnly {
		mv.drop()
		mv.record(moveMade, nil)
		mv.stage = moveOwing
		mv.settle()
		return
	}
	s, asked := mv.s, mv.inside
	if asked == 0 {
		asked = mv.since
	}
	held, rest := mv.left(), append(append([]byte(nil), mv.m.Rest()...), mv.early[codec.LegNew]...)
	key, old := mv.m.Key(), s.server
	s.server, mv.conn = mv.conn, nil
	s.server.SetHandler((*serverSide)(s))
	mv.dialled = false
	s.on.stats.pending--
	h := s.mob.history()
	h.from, h.moved, h.order, h.arrived = mv.from, engine.Nano(), mv.order, mv.since
	s.backend, s.bst = mv.to, s.on.stats.backend(mv.to)
	mv.record(moveMade, nil)
	if mv.seek != nil {
		mv.found()
	}
	mv.unaim(true)
	mv.over()
	s.rekey(key)
	s.lookForTranslator()
	s.dismiss(old)
	// By a KILL that has found the old connection only, since it was asked, or just before.
	if _, surely := s.isDoomed(asked - int64(time.Second)); surely {
		s.end(ServerClosed, &codec.Error{Cond: codec.BackendLost, Text: "the session was killed"}, nil)
		return
	}
	if len(rest) > 0 {
		s.toClient(rest)
	}
	s.goOn(held)
	if s.stage != stageRelay {
		return
	}
	s.server.ResumeReads()
	if mv.led && !s.backend.Leads() {
		s.evict(s.postAt(s.backend), "role") // even if it is fit: it may not know yet
		return
	}
	s.review(nil) // something may have changed since the backend was chosen
}

// dismiss lets the old server go, with the client's goodbye.
func (s *Session) dismiss(old *engine.Conn) {
	if old == nil || !old.Open() {
		return
	}
	if bye, ok := s.follow.(codec.Leaver); ok {
		s.on.buf = bye.AppendGoodbye(s.on.buf[:0])
		old.Write(s.on.buf)
	}
	old.CloseFlushed()
}

// abandon ends a move in vain: the session stays where it is. If its server is gone it looks for another backend.
func (mv *moving) abandon(r moveResult, err error) {
	if mv.stage >= moveOwing {
		return
	}
	if mv.seek != nil {
		mv.missed(r, err)
		return
	}
	mv.result = r
	mv.drop()
	mv.record(r, err)
	mv.stage = moveOwing
	if mv.cfg.AskOnly && r == moveHeld {
		mv.s.on.keeper.waited(mv)
	}
	if !mv.working {
		mv.letGo()
	}
}

// drop gives up the way to the new server.
func (mv *moving) drop() {
	s := mv.s
	if mv.stop != nil {
		mv.stop()
		mv.stop, mv.leg = nil, nil
	}
	if c := mv.conn; c != nil {
		mv.conn = nil
		c.Close()
	}
	if mv.dialled {
		mv.dialled = false
		s.on.stats.pending--
	}
	mv.unaim(false)
	s.on.loop.Disarm(&mv.timer)
	s.on.loop.Disarm(&mv.wait)
	s.on.moves.leave(mv)
}

// letGo has the machine end, in the hands of nobody else.
func (mv *moving) letGo() {
	if mv.m != nil && !mv.done {
		mv.done = true
		mv.m.GiveUp()
	}
	if early := mv.early[codec.LegOld]; len(early) > 0 && mv.m.Owes() {
		mv.early[codec.LegOld] = nil
		_ = mv.m.Server(codec.LegOld, early)
	}
	if mv.s.server != nil {
		mv.s.server.ResumeReads() // it may have been too early for more
	}
	mv.settle()
}

// settle ends a move that has come to nothing as soon as the old server has answered all that it was asked.
func (mv *moving) settle() {
	if mv.m != nil {
		mv.say()
	}
	s := mv.s
	switch {
	case s.mv != mv:
	case !mv.asked || mv.oldGone || !mv.m.Owes():
		mv.finish()
	default:
		s.endLate() // the server may take for ever
	}
}

// endLate cuts off a session that should have left its backend while its move was under way.
func (s *Session) endLate() (was bool) {
	h := s.mob.past
	if h == nil || !h.late {
		return false
	}
	h.late = false
	if why := s.unfit(s.backend); why != "" {
		s.cutOff(s.backend, why)
	}
	return true
}

// finish has the session go on where it is.
func (mv *moving) finish() {
	s, held, early := mv.s, mv.left(), mv.early[codec.LegOld]
	mv.over()
	if mv.oldGone {
		s.bereft(mv.oldErr, held, mv.unsure)
		return
	}
	if s.server != nil {
		s.server.ResumeReads()
	}
	if len(early) > 0 {
		s.toClient(early)
	}
	s.goOn(held)
	if s.stage == stageRelay {
		s.afterMove(mv.result)
	}
}

// left returns the held bytes that are yet to be sent on.
func (mv *moving) left() []byte {
	if !mv.asked {
		return mv.held
	}
	return mv.held[min(mv.m.Drop(), len(mv.held)):]
}

// over takes the move off the session.
func (mv *moving) over() {
	s := mv.s
	mv.stage = moveOver
	s.on.loop.Disarm(&mv.timer)
	s.on.loop.Disarm(&mv.wait)
	s.on.moves.leave(mv)
	s.mv, mv.held = nil, nil
	if mv.cfg.AskOnly {
		s.on.keeper.asked(mv)
	}
}

// goOn sends client bytes on that were held, and reads on.
func (s *Session) goOn(held []byte) {
	if len(held) > 0 && s.stage == stageRelay {
		s.fromClient(held)
	}
	s.readClient()
	if s.stage == stageRelay {
		s.leaveIfSafe()
	}
}

// afterMove sees what is next for a session whose move has ended where it began.
func (s *Session) afterMove(r moveResult) {
	switch {
	case s.endLate():
	case r == moveReplaced || s.mv != nil:
	case r == movePinned || r == moveMade:
		s.review(nil)
	case s.unfit(s.backend) != "":
		s.tryLater()
	}
}

// endMove takes note that the session ends in the middle of a move.
func (s *Session) endMove() {
	if mv := s.mv; mv != nil {
		if mv.stage < moveOwing {
			mv.record(moveLeft, nil)
			mv.result = moveLeft
		}
		if mv.seek != nil {
			s.p.pools.seekers.leave(s.cluster, soughtLeft)
			s.on.loop.Disarm(&mv.seek.timer)
		}
		mv.drop()
		mv.over()
	}
	if s.mob != nil && s.mob.past != nil {
		s.on.loop.Disarm(&s.mob.past.retry)
	}
}

// record counts, shows and logs what came of the move.
func (mv *moving) record(r moveResult, err error) {
	s := mv.s
	if mv.cfg.AskOnly {
		s.on.stats.moves.asks[r]++
		mv.result = r
		return
	}
	s.on.stats.moves.over(mv, r)
	h := s.mob.history()
	if r == moveMade {
		h.moves++
		h.err, h.until, h.late = "", 0, false
	}
	if err != nil {
		h.err = err.Error()
	}
	var pin codec.PinError
	if errors.As(err, &pin) {
		h.pin, h.pinned = pin.Pin, s.mob.mover.Marks()
	}
	if r.failed() {
		h.until = engine.Nano() + int64(s.cluster.Options().Migrate.RetryAfter)
	}
	s.p.logMove(mv, r, err)
}

package session

import (
	"errors"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// seeking is the search for a backend of a session that has lost its server, but whose state is known.
type seeking struct {
	cause  error // of the loss
	until  int64 // engine.Nano at which it ends
	tried  []*upstream.Backend
	rounds int // in which all were tried in vain
	timer  engine.Timer
}

// serverLeft ends a session whose server connection has ended, or has it go on elsewhere.
func (s *Session) serverLeft(err error) {
	if s.mv != nil {
		s.mv.oldLeft(err)
		return
	}
	s.bereft(err, nil, false)
}

// bereft is serverLeft behind the end of any move. held are client bytes that the server has not been sent; unsure
// tells that the move was about to end the transaction.
func (s *Session) bereft(err error, held []byte, unsure bool) {
	switch {
	case s.stage != stageRelay:
		return
	case s.quit():
		s.end(ClientQuit, nil, nil)
		return
	case s.follow.Ending():
		s.end(ServerClosed, nil, nil)
		return
	}
	s.backend.Suspect()
	s.cluster.Hurry()
	if !unsure && s.outlives(err, held) {
		return
	}
	s.endLoss(err, unsure)
}

// endLoss ends a session whose server is lost, and tells its client what that means for what was under way.
func (s *Session) endLoss(err error, unsure bool) {
	e, r := s.lossOf(unsure)
	s.st.losses[r]++
	s.end(ServerLost, &e, err)
}

// outlives has the session go on at another server, if nothing was under way and its state is known. Meanwhile the
// client waits.
func (s *Session) outlives(err error, held []byte) bool {
	opt := s.cluster.Options()
	doomed, _ := s.isDoomed(0)
	if !s.movable() || opt.FailoverTimeout <= 0 || doomed || s.safeWithout() != "" ||
		s.pin().Name != "" || !s.mob.mover.Known() || !s.p.pools.seekers.enter(s.cluster) {
		return false
	}
	now := engine.Nano()
	mv := &moving{s: s, why: "crash", from: s.backend, began: now, cfg: codec.MoveConfig{Lost: true}}
	mv.seek = &seeking{cause: err, until: now + int64(opt.FailoverTimeout), tried: []*upstream.Backend{s.backend}}
	mv.seek.timer.Fn = mv.seekOn
	mv.held = append(append(mv.held, s.prefix...), held...)
	s.prefix = s.prefix[:0]
	s.deep = false
	s.mv = mv
	s.readClient()
	mv.seekOn()
	return true
}

// seekOn has the search go on when its turn has come. It ends while it waits for that, when its time is over.
func (mv *moving) seekOn() {
	left := mv.seek.left()
	if mv.stage == moveQueued && left <= 0 {
		mv.lostForGood()
		return
	}
	if mv.s.on.moves.enter(mv); mv.s.mv == mv && mv.stage == moveQueued {
		mv.s.on.loop.Arm(&mv.seek.timer, max(left, 0))
	}
}

// left is the time until the search ends.
func (k *seeking) left() time.Duration { return asDuration(k.until - engine.Nano()) }

// seekNext tries the next backend, or pauses, or gives up.
func (mv *moving) seekNext() {
	s, k := mv.s, mv.seek
	left := k.left()
	s.on.loop.Disarm(&k.timer)
	want := s.want()
	b, why := s.cluster.Pick(want, k.tried)
	if b != nil && (s.held(b, &want) || left <= 0) {
		b.Release()
		b = nil
	}
	switch {
	case b != nil:
		mv.aim(b)
		mv.dial()
	case left <= 0:
		if k.cause == nil {
			_, k.cause = noServer(why)
		}
		mv.lostForGood()
	default:
		s.cluster.Hurry()
		mv.stage = moveSeeking
		s.on.moves.leave(mv)
		pause := min(roundPause<<k.rounds, roundPauseMax, left)
		k.rounds = min(k.rounds+1, 8)
		k.tried = k.tried[:0]
		s.on.loop.Arm(&k.timer, pause)
	}
}

// lookSeeking goes on with what the search waits for: a backend, as the topology has changed, or the machine.
func (mv *moving) lookSeeking() {
	switch {
	case mv.stage == moveSeeking && !mv.working && mv.m == nil:
		mv.s.on.loop.Disarm(&mv.seek.timer)
		mv.seekOn()
	case mv.stage == moveStandBy:
		mv.ask()
	}
}

// missed takes note that the session could not go on at one backend. Another one is tried, unless the session
// itself is in the way.
func (mv *moving) missed(r moveResult, err error) {
	k := mv.seek
	k.tried = append(k.tried, mv.to)
	if err != nil {
		k.cause = err
	}
	mv.drop()
	mv.record(r, err)
	mv.stage = moveSeeking
	var pin codec.PinError
	if errors.As(err, &pin) {
		mv.lostForGood()
		return
	}
	if !mv.working {
		mv.forget()
	}
}

// forget lets the machine go that has worked in vain, and has another one begin.
func (mv *moving) forget() {
	if mv.m != nil {
		if !mv.done {
			mv.m.GiveUp()
		}
		mv.held = mv.left()
	}
	mv.m, mv.done, mv.asked, mv.op, mv.early = nil, false, false, codec.OpMore, [codec.Legs][]byte{}
	mv.cfg = codec.MoveConfig{Lost: true}
	mv.seekOn()
}

// lostForGood ends a session that has found no other server.
func (mv *moving) lostForGood() {
	mv.s.p.pools.seekers.leave(mv.s.cluster, soughtVain)
	mv.s.on.loop.Disarm(&mv.seek.timer)
	s, cause := mv.s, mv.seek.cause
	mv.seek = nil
	mv.stage = moveOwing
	mv.over()
	s.endLoss(cause, false)
}

// found ends the search of a session that has arrived.
func (mv *moving) found() {
	s := mv.s
	s.on.loop.Disarm(&mv.seek.timer)
	s.p.pools.seekers.leave(s.cluster, soughtFound)
	s.st.losses[lossKept]++
}

// lossResult is what the loss of a server has meant for a session: a label in the metrics.
type lossResult uint8

const (
	lossKept    lossResult = iota // it goes on elsewhere
	lossIdle                      // it has ended; nothing was under way
	lossNotDone                   // it has ended; what was under way was not done, or was undone
	lossUnknown                   // it has ended; nobody can tell whether what was under way was done
	lossResults = iota
)

// String returns the result's metric label.
func (r lossResult) String() string {
	return [lossResults]string{"kept", "idle", "not_run", "unknown"}[r]
}

// lossOf is what a client is told whose session ends since its server is lost. unsure: it was about to commit for
// the sake of a move.
func (s *Session) lossOf(unsure bool) (e codec.Error, r lossResult) {
	const lost = "the connection to the server was lost"
	w, _ := s.follow.(codec.Witness)
	switch {
	case unsure || s.follow.Owed() > 0 && (w == nil || !w.Undone()):
		return codec.Error{Cond: codec.TxUnknown,
			Text: lost + ", and whether what was under way has been done is not known"}, lossUnknown
	case s.follow.Tx() != codec.TxIdle:
		return codec.Error{Cond: codec.BackendLost, Text: lost + "; the open transaction was rolled back"}, lossNotDone
	case s.follow.Owed() > 0:
		return codec.Error{Cond: codec.BackendLost, Text: lost + "; what was under way has changed nothing"}, lossNotDone
	}
	return codec.Error{Cond: codec.BackendLost, Text: lost}, lossIdle
}

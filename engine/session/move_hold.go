package session

import (
	"errors"

	"sluice/codec"
	"sluice/engine"
)

// waitMax is how many bytes of a client are taken in while its session moves, until it is not read any more. What
// one read brings may come on top.
const waitMax = 64 << 10

// errMoveHeld is why a move is given up for which the client has waited too long.
var errMoveHeld = errors.New("it took longer than the hold time-out")

// standBy waits for a moment at which the old server can be asked.
func (mv *moving) standBy() {
	if mv.stage >= moveStandBy {
		return
	}
	mv.stage = moveStandBy
	s := mv.s
	s.on.loop.Disarm(&mv.timer)
	mv.look()
	if s.mv == mv && mv.stage == moveStandBy && mv.lined == nil {
		mv.await()
	}
}

// await gives the move's turn to another one, until its moment comes.
func (mv *moving) await() {
	s := mv.s
	s.on.moves.leave(mv)
	if mv.order { // else the drain time-out ends it
		mv.timer.Fn = func() { mv.abandon(moveBusy, errMoveBusy) }
		s.on.loop.Arm(&mv.timer, orderPatience)
	}
}

// errMoveBusy is why a move is given up whose session has come to no safe point.
var errMoveBusy = errors.New("the session has come to no safe point")

// gated tells that client bytes do not go on by themselves.
func (mv *moving) gated() bool {
	return mv.holds() || mv.stage == moveStandBy && !mv.open && mv.lined == nil
}

// full tells that the client is not to be read.
func (mv *moving) full() bool { return len(mv.held) > waitMax }

// fromClient takes bytes from the client.
func (mv *moving) fromClient(p []byte) {
	s := mv.s
	if !mv.gated() {
		s.pass(p)
		if s.mv == mv {
			mv.look()
		}
		return
	}
	mv.takePrefix()
	mv.held = append(mv.held, p...)
	mv.look()
	if s.mv == mv && mv.full() {
		s.client.PauseReads()
	}
}

// takePrefix puts what is kept of a message that may be a KILL among the held bytes, where it belongs: in front.
func (mv *moving) takePrefix() {
	if s := mv.s; s.killing == killNone && len(mv.held) == 0 && len(s.prefix) > 0 {
		mv.held = append(mv.held, s.prefix...)
		s.prefix = s.prefix[:0]
	}
}

// fromServer takes bytes from the old server.
func (mv *moving) fromServer(p []byte) {
	s := mv.s
	switch {
	case mv.asked && mv.stage == moveOwing && !mv.working:
		_ = mv.m.Server(codec.LegOld, p)
		mv.settle()
	case mv.asked:
		mv.bytes(codec.LegOld, p)
	default:
		s.toClient(p)
		if s.mv == mv {
			mv.look()
		}
	}
}

// look sees whether the session can be asked for its state now. Before that, it lets go on of the held bytes what
// does not put that off.
func (mv *moving) look() {
	s := mv.s
	if mv.seek != nil {
		mv.lookSeeking()
		return
	}
	if mv.stage != moveStandBy || mv.lined != nil {
		return
	}
	if !mv.open && s.killing == killNone && len(mv.held) > 0 {
		mv.pass()
		if s.mv != mv || mv.stage != moveStandBy {
			return
		}
	}
	if mv.askable() {
		if mv.letIn() {
			mv.ask()
		}
		return
	}
	mv.time()
}

// pass has the held bytes go on, as far as they may.
func (mv *moving) pass() {
	s := mv.s
	n := s.mob.mover.Gate(mv.held)
	if n == 0 {
		return
	}
	front := mv.held[:n]
	mv.held = mv.held[n:]
	s.pass(front)
	if s.mv == mv && len(mv.held) == 0 {
		mv.held = mv.held[:0:0]
	}
	s.readClient()
}

// askable tells whether this is the moment.
func (mv *moving) askable() bool {
	s := mv.s
	if s.leaving != nil || s.client.Full() {
		return false
	}
	if !mv.open {
		mv.takePrefix()
	}
	return s.safeFor(mv.held)
}

// time sets the deadline for a client that has begun to wait, and ends it for one that does not any more.
func (mv *moving) time() {
	s := mv.s
	switch waits := len(mv.held) > 0; {
	case mv.open || waits == (mv.began != 0):
	case waits:
		mv.began = engine.Nano()
		mv.wait.Fn = mv.waited
		s.on.loop.Arm(&mv.wait, s.cluster.Options().Migrate.HoldTimeout)
	default:
		mv.began = 0
		s.on.loop.Disarm(&mv.wait)
	}
}

// waited opens the gate for a client that has waited for long enough, and has it closed again later; or it gives up
// the move, if that is as far as to ask.
func (mv *moving) waited() {
	s := mv.s
	if mv.stage != moveStandBy {
		mv.abandon(moveHeld, errMoveHeld)
		return
	}
	mv.open, mv.began = true, 0
	mv.wait.Fn = func() {
		mv.open = false
		mv.look()
	}
	s.on.loop.Arm(&mv.wait, s.cluster.Options().Migrate.RetryAfter)
	held := mv.held
	mv.held = nil
	if len(held) > 0 {
		s.pass(held)
	}
	if s.mv == mv {
		mv.look()
	}
	s.readClient()
}

// ask begins the part for which the client waits.
func (mv *moving) ask() {
	s := mv.s
	switch {
	case mv.cfg.AskOnly || mv.seek != nil:
	case !mv.fit():
		mv.abandon(moveUnfit, errMoveUnfit)
		return
	}
	if !mv.cfg.AskOnly && mv.seek == nil {
		mv.enterLine()
	}
	mv.stage, mv.asked = moveAsked, true
	s.on.loop.Disarm(&mv.timer)
	if mv.began == 0 || mv.open || mv.seek != nil {
		mv.open = false
		if mv.seek == nil {
			mv.began = engine.Nano()
		}
		mv.wait.Fn = mv.waited
		s.on.loop.Arm(&mv.wait, s.cluster.Options().Migrate.HoldTimeout)
	}
	op := mv.m.Ask(mv.held)
	if mv.cfg.AskOnly && op == codec.OpClose {
		s.mob.firm = false // it is not to be asked now, but may be later
	}
	mv.step(op)
}

package session

import (
	"time"

	"sluice/codec"
	"sluice/engine"
)

// A session outlives its server only if its state is known without a question to that (Mover.Known). So the state
// of a session that has been changed, and has rested since, is asked for in the background. Who has rested is found
// by a look at each session now and then: nothing is noted per query.

// keeper is what a loop has for that.
type keeper struct {
	timer engine.Timer
	armed bool
	looks int64 // at all sessions
}

// keepEach is the number of sessions that the keeper looks at in one turn of the loop.
const keepEach = 1024

// keep has the loop's keeper run, for a session that has come.
func (on *loopState) keep(s *Session) {
	every := s.cluster.Options().Migrate.KeepState
	if every <= 0 || on.keeper.armed {
		return
	}
	on.keeper.armed = true
	on.keeper.timer.Fn = on.keepAll
	on.loop.Arm(&on.keeper.timer, every)
}

// keepAll looks at the sessions of the loop, a part in each turn.
func (on *loopState) keepAll() {
	on.keeper.armed = false
	on.keeper.looks++
	on.keepSome(on.all(), 0)
}

// keepSome looks at some of the sessions. soonest is the least time between two looks that one of those before them
// wants.
func (on *loopState) keepSome(list []*Session, soonest time.Duration) {
	n := min(len(list), keepEach)
	for _, s := range list[:n] {
		if s.mob == nil || s.stage != stageRelay {
			continue
		}
		every := s.cluster.Options().Migrate.KeepState
		if every <= 0 {
			continue
		}
		if soonest == 0 || every < soonest {
			soonest = every
		}
		s.keepState()
	}
	if rest := list[n:]; len(rest) > 0 {
		on.loop.Run(func() { on.keepSome(rest, soonest) })
		return
	}
	if soonest > 0 && !on.keeper.armed {
		on.keeper.armed = true
		on.loop.Arm(&on.keeper.timer, soonest)
	}
}

// keepState has the session's state asked for if it is not known, and the session has rested since the last look.
func (s *Session) keepState() {
	mob := s.mob
	seen := s.clock.head + s.clock.open
	rests := seen == mob.seen && s.clock.open == 0
	mob.seen = seen
	if !rests || s.mv != nil || !s.movable() || s.busy() != "" || s.client.Full() {
		return
	}
	marks := mob.mover.Marks()
	if mob.tried && mob.asked == marks || mob.mover.Known() || s.pin().Name != "" {
		return
	}
	mob.tried, mob.asked = true, marks
	s.mv = &moving{s: s, why: "keep", from: s.backend, cfg: codec.MoveConfig{AskOnly: true}}
	s.on.moves.enter(s.mv)
}

// askOnly begins a move that has the state asked for and nothing else, if this is still the moment.
func (mv *moving) askOnly() {
	s := mv.s
	mv.m = s.mob.mover.NewMove(&mv.cfg)
	if s.engaged() != "" || s.leaving != nil || !s.mob.mover.Askable(nil) {
		mv.abandon(moveBusy, errMoveBusy)
		return
	}
	mv.ask()
}

package session

import (
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// A session outlives its server only if its state is known without a question to that (Mover.Known). So the state
// of a session that has been changed, and has rested since, is asked for in the background. Who has rested is found
// by a look at each session now and then: nothing is noted per query.

// keeper is what a loop has for that. It goes round the loop's sessions, a few at a time, and sees each of them once
// in the shortest time of rest that one of them has.
type keeper struct {
	timer    engine.Timer
	armed    bool
	at       *Session      // is looked at next; nil: a round begins
	every    time.Duration // a round takes
	shortest time.Duration // time of rest of those looked at in this round; 0: none has one
	rounds   int64         // done

	under int                       // sessions that are asked
	waits []*Session                // that are to be
	slow  map[*upstream.Backend]int // how many have not been answered within the hold time-out, and wait for that still
}

const (
	// keepEvery is the least time between two looks at some of the sessions, keepSlow the most, by which a reload is
	// noticed. A loop is not woken ten times a second for a handful: keepFew are worth a look.
	keepEvery = 100 * time.Millisecond
	keepSlow  = time.Second
	keepFew   = 64
	// keepEach bounds the sessions that are looked at in one turn of the loop.
	keepEach = 4096
	// keepsMax is how many sessions of a loop are asked for their state in the background at one time: it costs
	// their server more than a small query does.
	keepsMax = 8
	// keepPutOff bounds how often the time of rest is doubled of a session whose server did not answer in time.
	keepPutOff = 8
)

// keep has the loop's keeper run, for a session that has come, or whose options may be others.
func (on *loopState) keep(s *Session) {
	k, every := &on.keeper, s.cluster.Options().Migrate.KeepState
	switch {
	case every <= 0:
		return
	case k.armed:
		k.every = min(k.every, every)
		return
	}
	k.armed, k.every = true, every
	k.timer.Fn = on.keepSome
	on.loop.Arm(&k.timer, min(every, keepEvery))
}

// keepSome looks at the sessions whose turn it is.
func (on *loopState) keepSome() {
	k := &on.keeper
	k.armed = false
	if k.at == nil {
		k.at = on.list.next
	}
	now := engine.Nano()
	parts := k.parts(on.count)
	for n := min(on.count/parts+1, keepEach); n > 0 && k.at != &on.list; n-- {
		s := k.at
		k.at = s.next
		if s.mob == nil || s.stage != stageRelay {
			continue
		}
		if every := s.cluster.Options().Migrate.KeepState; every > 0 {
			if k.shortest == 0 || every < k.shortest {
				k.shortest = every
			}
			s.keepState(now, every)
		}
	}
	if k.at == &on.list {
		k.at, k.every, k.shortest = nil, k.shortest, 0
		k.rounds++
	}
	if k.every > 0 && !k.armed {
		k.armed = true
		on.loop.Arm(&k.timer, min(k.every/time.Duration(k.parts(on.count)), keepSlow))
	}
	k.next()
}

// parts is in how many looks it goes round that many sessions.
func (k *keeper) parts(sessions int) int {
	return max(1, min(int(k.every/keepEvery), sessions/keepFew))
}

// passOver has the keeper go on behind a session that leaves the loop.
func (k *keeper) passOver(s *Session) {
	if k.at == s {
		k.at = s.next
	}
}

// keepState has the session's state asked for if it is not known, and the session has rested for so long.
func (s *Session) keepState(now int64, rest time.Duration) {
	mob := s.mob
	if seen := s.clock.head + s.clock.open; seen != mob.seen || s.clock.open != 0 {
		mob.seen, mob.still = seen, now
		return
	}
	if mob.waits || asDuration(now-mob.still) < rest<<mob.held || !s.keepable() {
		return
	}
	if mob.tried && mob.asked == mob.mover.Marks() && (mob.firm || mob.at == mob.seen) {
		return // it would be the same
	}
	mob.waits = true
	s.on.keeper.waits = append(s.on.keeper.waits, s)
}

// keepable tells whether the session's state can be asked for now, and whether that is of use. A server that keeps
// others waiting is asked nothing: it would only hold up the clients, and those of other servers behind them.
func (s *Session) keepable() bool {
	return s.mv == nil && s.movable() && s.busy() == "" && !s.client.Full() && !s.mob.mover.Known() &&
		s.pin().Name == "" && s.on.keeper.slow[s.backend] == 0
}

// next has sessions asked that wait for it, as far as there is room.
func (k *keeper) next() {
	for k.under < keepsMax && len(k.waits) > 0 {
		s := k.waits[0]
		k.waits[0] = nil
		if k.waits = k.waits[1:]; len(k.waits) == 0 {
			k.waits = nil
		}
		s.mob.waits = false
		if s.keepable() {
			k.under++
			s.askState()
		}
	}
}

// waited takes note that one has waited for longer than it may. Its place is given to another: the answer may never come.
func (k *keeper) waited(mv *moving) {
	if k.slow == nil {
		k.slow = map[*upstream.Backend]int{}
	}
	k.slow[mv.from]++
	mv.slow = true
	k.goOn(mv.s.on)
}

// asked takes note that one has been asked. If the answer came too late it is asked again, later each time.
func (k *keeper) asked(mv *moving) {
	mob := mv.s.mob
	if !mv.slow {
		mob.held = 0
		k.goOn(mv.s.on)
		return
	}
	if k.slow[mv.from]--; k.slow[mv.from] == 0 {
		delete(k.slow, mv.from)
	}
	mob.tried, mob.still, mob.held = false, engine.Nano(), min(mob.held+1, keepPutOff)
}

// goOn gives a place to the next one, behind the event at hand.
func (k *keeper) goOn(on *loopState) {
	k.under--
	if len(k.waits) > 0 {
		on.loop.Run(k.next)
	}
}

// askState has the state asked for and nothing else.
func (s *Session) askState() {
	mob := s.mob
	mob.tried, mob.firm, mob.asked, mob.at = true, true, mob.mover.Marks(), mob.seen
	mv := &moving{s: s, why: "keep", from: s.backend, cfg: codec.MoveConfig{AskOnly: true}}
	s.mv = mv
	mv.m = mob.mover.NewMove(&mv.cfg)
	if !mob.mover.Askable(nil) {
		mob.firm = false
		mv.abandon(moveBusy, errMoveBusy)
		return
	}
	mv.ask()
}

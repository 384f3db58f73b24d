package session

import (
	"time"

	"sluice/engine"
)

// A client that works waits while its session's state is on its way, and the more of that goes on at a time, the
// longer it waits, for all share the servers. So sessions whose moment has come stand in a line, in which they are
// served as ever. Those at rest are let in many at a time, for nobody waits for them. Those of clients that work come
// behind them, and only as many at a time as make none of them slower.

const (
	// lineRest is how long a client has asked for nothing if its session is at rest.
	lineRest = int64(time.Second)
	// lineMost is how many are let in at a time on a loop.
	lineMost = 16
	// lineLeast is how many of clients that work are, at the least.
	lineLeast = 1
	// lineAim is how long a client may wait for its session's move before that is ever taken for slow.
	lineAim = int64(4 * time.Millisecond)
)

// askLine is the line of one loop.
type askLine struct {
	under   int   // let in
	width   int   // up to how many of those one of a client that works may come; 0 counts as lineLeast
	best    int64 // ns that the quickest of them has taken of late; 0: none has
	resting []*moving
	working []*moving
}

// free tells that one more is let in.
func (l *askLine) free(resting bool) bool {
	if resting {
		return l.under < lineMost
	}
	return l.under < max(l.width, lineLeast) && len(l.resting) == 0
}

// learn takes the time that a client has waited: more are let in while nobody is slow, and half as many where one is.
// What is slow depends on what the server can do: a quarter more than the quickest has taken.
func (l *askLine) learn(took int64) {
	if l.best == 0 || took < l.best {
		l.best = took
	} else {
		l.best += l.best >> 6 // it forgets, since servers change
	}
	switch w := max(l.width, lineLeast); {
	case took > max(lineAim, l.best+l.best/4):
		l.width = max(w/2, lineLeast)
	case len(l.working) > 0:
		l.width = min(w+1, lineMost)
	}
}

// rests tells that the client has asked for nothing for a while.
func (s *Session) rests() bool { return s.on.loop.Now()-s.clock.last() > lineRest }

// letIn tells whether the old server may be asked now. Otherwise the session goes on there for a while, and stands in
// the line.
func (mv *moving) letIn() bool {
	s := mv.s
	l := &s.on.moves.line
	resting := s.rests()
	if l.free(resting) {
		mv.hurts = !resting
		return true
	}
	mv.lined = true
	if resting {
		l.resting = append(l.resting, mv)
	} else {
		l.working = append(l.working, mv)
	}
	if !mv.open && mv.began != 0 {
		mv.began = 0
		s.on.loop.Disarm(&mv.wait)
	}
	if held := mv.held; len(held) > 0 {
		mv.held = nil
		s.pass(held)
	}
	s.readClient()
	return false
}

// enter counts one that is let in.
func (l *askLine) enter(mv *moving) {
	l.under++
	mv.inside = engine.Nano()
}

// leave takes one out that was let in, and has the next one try, behind the event at hand.
func (l *askLine) leave(mv *moving) {
	if mv.inside == 0 {
		return
	}
	l.under--
	if mv.hurts && mv.result == moveMade {
		l.learn(engine.Nano() - mv.inside)
	}
	mv.inside = 0
	if len(l.resting)+len(l.working) > 0 {
		mv.s.on.loop.Run(l.next)
	}
}

// next lets in those for whom there is room.
func (l *askLine) next() {
	for len(l.resting) > 0 && l.free(true) {
		l.try(&l.resting)
	}
	for len(l.working) > 0 && l.free(false) {
		l.try(&l.working)
	}
}

// try takes the first one out of the line. If its moment has passed it waits for another one outside.
func (l *askLine) try(line *[]*moving) {
	mv := (*line)[0]
	(*line)[0] = nil
	if *line = (*line)[1:]; len(*line) == 0 {
		*line = nil
	}
	mv.lined = false
	if mv.s.mv != mv || mv.stage != moveStandBy {
		return
	}
	if mv.look(); mv.s.mv == mv && mv.stage == moveStandBy && !mv.lined {
		mv.await()
	}
}

package session

import (
	"container/list"
	"time"

	"sluice/engine"
	"sluice/upstream"
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

// askLine is the line of the sessions of one loop that are to leave one backend: where that hangs, the others do not
// stand behind it.
type askLine struct {
	under   int       // let in
	width   int       // up to how many of those one of a client that works may come; 0 counts as lineLeast
	best    int64     // ns that the quickest of them has taken of late; 0: none has
	resting list.List // of *moving, as they came
	working list.List
}

// empty tells that nobody is in it.
func (l *askLine) empty() bool { return l.under+l.resting.Len()+l.working.Len() == 0 }

// line is the line in front of the backend that is left. It is made when it is wanted, and dropped when it is empty.
func (mv *moving) line() *askLine {
	q := &mv.s.on.moves
	l := q.lines[mv.from]
	if l == nil {
		if q.lines == nil {
			q.lines = make(map[*upstream.Backend]*askLine)
		}
		l = &askLine{}
		q.lines[mv.from] = l
	}
	return l
}

// free tells that one more is let in.
func (l *askLine) free(resting bool) bool {
	if resting {
		return l.under < lineMost
	}
	return l.under < max(l.width, lineLeast) && l.resting.Len() == 0
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
	case l.working.Len() > 0:
		l.width = min(w+1, lineMost)
	}
}

// rests tells that the client has asked for nothing for a while.
func (s *Session) rests() bool { return s.on.loop.Now()-s.clock.last() > lineRest }

// letIn tells whether the old server may be asked now. Otherwise the session goes on there for a while, and stands in
// the line.
func (mv *moving) letIn() bool {
	s := mv.s
	l := mv.line()
	resting := s.rests()
	if l.free(resting) {
		mv.hurts = !resting
		return true
	}
	if resting {
		mv.stand(&l.resting)
	} else {
		mv.stand(&l.working)
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

// enterLine counts one that is let in.
func (mv *moving) enterLine() {
	mv.line().under++
	mv.inside = engine.Nano()
}

// leaveLine takes a move out of the line, or counts it as out that was let in, and has the next one try, behind the
// event at hand.
func (mv *moving) leaveLine() {
	mv.unline()
	l := mv.s.on.moves.lines[mv.from]
	if l == nil {
		return
	}
	if mv.inside != 0 {
		l.under--
		if mv.hurts && mv.result == moveMade {
			l.learn(engine.Nano() - mv.inside)
		}
		mv.inside = 0
		mv.s.on.loop.Run(l.next)
	}
	if l.empty() {
		delete(mv.s.on.moves.lines, mv.from)
	}
}

// stand has a move stand last in a line.
func (mv *moving) stand(line *list.List) { mv.place, mv.lined = line, line.PushBack(mv) }

// unline takes a move out of the line in which it stands.
func (mv *moving) unline() {
	if mv.lined != nil {
		mv.place.Remove(mv.lined)
		mv.place, mv.lined = nil, nil
	}
}

// next lets in those for whom there is room.
func (l *askLine) next() {
	for l.resting.Len() > 0 && l.free(true) {
		try(&l.resting)
	}
	for l.working.Len() > 0 && l.free(false) {
		try(&l.working)
	}
}

// try takes the first one out of the line. If its moment has passed it waits for another one outside.
func try(line *list.List) {
	mv := line.Front().Value.(*moving)
	mv.unline()
	if mv.look(); mv.s.mv == mv && mv.stage == moveStandBy && mv.lined == nil {
		mv.await()
	}
}

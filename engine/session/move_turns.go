package session

import (
	"container/list"

	"sluice/upstream"
)

// movesMax is how many moves from one backend are prepared, or awaited by their client, at one time on a loop, and how
// many of sessions that have lost their server. Those that wait for a safe point do not count.
const movesMax = 64

// moveQueue are the moves of one loop. They take turns, so that a backend that is emptied, or has crashed, does not have
// the others flooded with logins. Those whose client waits do not stand behind others, nor do those from a backend
// behind those from another one, which may hang.
type moveQueue struct {
	leaving map[*upstream.Backend]*turns // from servers that work, by where they are
	lost    turns                        // from those that are lost

	lines map[*upstream.Backend]*askLine // of those whose moment has come

	warned int64 // engine.Nano of the last warning in the log about a move that has failed
}

// turns are moves that take turns: those that have theirs are counted, the others wait in the order in which they came.
type turns struct {
	under int
	waits list.List // of *moving
}

// of returns the turns among which a move is.
func (q *moveQueue) of(mv *moving) *turns {
	if mv.seek != nil {
		return &q.lost
	}
	t := q.leaving[mv.from]
	if t == nil {
		if q.leaving == nil {
			q.leaving = make(map[*upstream.Backend]*turns)
		}
		t = &turns{}
		q.leaving[mv.from] = t
	}
	return t
}

// enter begins a move, or has it wait for its turn.
func (q *moveQueue) enter(mv *moving) {
	t := q.of(mv)
	mv.stage, mv.turns = moveQueued, t
	if t.under >= movesMax || t.waits.Len() > 0 {
		mv.stand(&t.waits)
		return
	}
	t.begin(mv)
}

func (t *turns) begin(mv *moving) {
	t.under++
	mv.slot = true
	mv.begin()
}

// leave takes a move out of the queue, or gives its turn to the next that waits. That goes on behind the event at hand:
// no session runs inside another.
func (q *moveQueue) leave(mv *moving) {
	mv.leaveLine()
	t := mv.turns
	if t == nil {
		return
	}
	if mv.slot {
		mv.slot = false
		t.under--
		if t.waits.Len() > 0 {
			mv.s.on.loop.Run(t.next)
		}
	}
	if t.under+t.waits.Len() == 0 && q.leaving[mv.from] == t {
		delete(q.leaving, mv.from)
	}
}

// next begins moves that wait, as far as there is room.
func (t *turns) next() {
	for t.under < movesMax && t.waits.Len() > 0 {
		mv := t.waits.Front().Value.(*moving)
		mv.unline()
		t.begin(mv)
	}
}

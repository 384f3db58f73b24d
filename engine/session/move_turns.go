package session

import (
	"container/list"

	"sluice/upstream"
)

// Moves take turns, so that a backend that is emptied, or has crashed, does not have the others flooded with logins.

// turn is what a move counts as: those whose client waits do not stand behind others.
type turn uint8

const (
	turnMove turn = iota // from a server that works
	turnLost             // from one that is lost
	turns    = iota
)

// movesMax is how many moves of each kind are prepared, or awaited by their client, at one time on a loop. Those
// that wait for a safe point do not count.
const movesMax = 64

// moveQueue are the moves of one loop: those that have their turn are counted, the others wait in the order in
// which they came.
type moveQueue struct {
	under [turns]int
	waits [turns]list.List // of *moving

	lines map[*upstream.Backend]*askLine // of those whose moment has come

	warned int64 // engine.Nano of the last warning in the log about a move that has failed
}

// enter begins a move, or has it wait for its turn.
func (q *moveQueue) enter(mv *moving) {
	k := turnMove
	if mv.seek != nil {
		k = turnLost
	}
	mv.stage, mv.kind = moveQueued, k
	if q.under[k] >= movesMax || q.waits[k].Len() > 0 {
		mv.stand(&q.waits[k])
		return
	}
	q.begin(mv)
}

func (q *moveQueue) begin(mv *moving) {
	q.under[mv.kind]++
	mv.slot = true
	mv.begin()
}

// leave takes a move out of the queue, or gives its turn to the next that waits. That goes on behind the event at hand: no session runs inside
// another.
func (q *moveQueue) leave(mv *moving) {
	mv.leaveLine()
	if !mv.slot {
		return
	}
	k := mv.kind
	mv.slot = false
	q.under[k]--
	if q.waits[k].Len() > 0 {
		mv.s.on.loop.Run(func() { q.next(k) })
	}
}

// next begins moves that wait, as far as there is room.
func (q *moveQueue) next(k turn) {
	for q.under[k] < movesMax && q.waits[k].Len() > 0 {
		mv := q.waits[k].Front().Value.(*moving)
		mv.unline()
		q.begin(mv)
	}
}

package mysql

import "sluice/codec"

// maxOwed bounds the commands that may be sent ahead of their answers. Real clients pipeline some
// hundreds; at this number the queue takes half a MiB.
const maxOwed = 1 << 16

// owedCommand is a command whose answer is not complete.
type owedCommand struct {
	stmt uint32     // statement id, where the command has one
	kind codec.Kind // row of commands
	seq  uint8      // sequence id that the first packet of its answer will have
	zseq uint8      // the same for the frame of a compressed session
	verb verb       // of a statement
	// touches: it prepares a statement that may change the session (Mover).
	touches bool
	noted   bool // keep has a note of it
	told    bool // the Mover is to be told of its end
	loud    bool // it has not passed as a quiet statement (Mover)
}

// owedQueue holds commands in the order in which the server will answer them. Its first entries need
// no memory of their own; it grows when a client pipelines and gives the memory back when empty.
type owedQueue struct {
	ring  []owedCommand // nil: first is used; else its length is a power of two
	from  uint32        // index of the oldest, modulo the length
	n     uint32
	first [2]owedCommand
}

func (q *owedQueue) slots() []owedCommand {
	if q.ring != nil {
		return q.ring
	}
	return q.first[:]
}

// head is the oldest entry; n must not be 0.
func (q *owedQueue) head() *owedCommand {
	s := q.slots()
	return &s[q.from&uint32(len(s)-1)]
}

// last is the newest entry; n must not be 0.
func (q *owedQueue) last() *owedCommand {
	s := q.slots()
	return &s[(q.from+q.n-1)&uint32(len(s)-1)]
}

// push appends an entry; false means that the limit is reached.
func (q *owedQueue) push(c owedCommand) bool {
	s := q.slots()
	if q.n == uint32(len(s)) {
		if q.n == maxOwed {
			return false
		}
		grown := make([]owedCommand, 2*len(s))
		for i := range q.n {
			grown[i] = s[(q.from+i)&uint32(len(s)-1)]
		}
		q.ring, q.from, s = grown, 0, grown
	}
	s[(q.from+q.n)&uint32(len(s)-1)] = c
	q.n++
	return true
}

// pop forgets the oldest entry.
func (q *owedQueue) pop() {
	q.from++
	q.n--
	if q.n == 0 && len(q.ring) > keepOwed {
		q.ring, q.from = nil, 0
	}
}

// keepOwed is the length up to which a grown queue is kept for the next burst.
const keepOwed = 64

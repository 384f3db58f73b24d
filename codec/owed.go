package codec

// OwedAct is what is to be done with a reply when it comes.
type OwedAct uint8

const (
	OwedForward OwedAct = iota // the client asked for it: pass it on
	OwedSwallow                // Sluice asked for it: keep it from the client
	OwedInvent                 // the server was not asked: tell the client in its place
)

// Debt is one reply that is owed to a client, or to Sluice. Code is the protocol's own number for the
// kind of reply, Ref what the protocol has to know when it comes.
type Debt[R any] struct {
	Ref  R
	Act  OwedAct
	Code byte
	Flag byte // the protocol's own
	Mark byte // the same
}

// Limits of a queue of debts, in entries. An entry takes some 50 bytes.
const (
	MaxDebts   = 1 << 18 // more than any client that waits for its answers
	firstDebts = 8
	keptDebts  = 1 << 10 // a larger ring is not kept when it falls empty
)

// Debts is what is owed on one server connection, oldest first: the core of sharing. Replies come in
// the order of the requests, so the front of the queue says to whom the next one belongs. It is a ring
// that grows as far as the client pipelines.
type Debts[R any] struct {
	ring []Debt[R] // its length is a power of two
	head uint32
	size uint32
}

// Len is the number of replies owed.
func (q *Debts[R]) Len() int { return int(q.size) }

// Front returns the oldest debt; there must be one. It is valid until the next Push or Pop.
func (q *Debts[R]) Front() *Debt[R] { return &q.ring[q.head] }

// At returns the debt i places behind the front.
func (q *Debts[R]) At(i int) *Debt[R] {
	return &q.ring[(q.head+uint32(i))&uint32(len(q.ring)-1)]
}

// Push adds a debt at the end. It returns false when the queue is full (MaxDebts).
func (q *Debts[R]) Push(d Debt[R]) bool {
	slot := q.Add()
	if slot == nil {
		return false
	}
	*slot = d
	return true
}

// Add adds a debt at the end and returns it, to be filled in as a whole: it holds what an earlier one
// has left. nil means that the queue is full (MaxDebts).
func (q *Debts[R]) Add() *Debt[R] {
	if int(q.size) == len(q.ring) && !q.grow() {
		return nil
	}
	q.size++
	return &q.ring[(q.head+q.size-1)&uint32(len(q.ring)-1)]
}

// Pop takes the oldest debt off; there must be one.
func (q *Debts[R]) Pop() {
	var none R
	q.ring[q.head].Ref = none // let go of what it points to
	q.head = (q.head + 1) & uint32(len(q.ring)-1)
	q.size--
	if q.size == 0 && len(q.ring) > keptDebts {
		q.ring, q.head = nil, 0
	}
}

// Remove takes the debt i places behind the front out of the queue.
func (q *Debts[R]) Remove(i int) {
	for ; i > 0; i-- {
		*q.At(i) = *q.At(i - 1)
	}
	q.Pop()
}

// grow doubles the ring.
func (q *Debts[R]) grow() bool {
	if len(q.ring) >= MaxDebts {
		return false
	}
	bigger := make([]Debt[R], max(firstDebts, 2*len(q.ring)))
	n := copy(bigger, q.ring[q.head:])
	copy(bigger[n:], q.ring[:q.head])
	q.ring, q.head = bigger, 0
	return true
}

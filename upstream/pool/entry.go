package pool

import "sync/atomic"

// state is where an entry stands.
//
//	opening ─▶ free ─▶ used ─▶ free      free: idle, or on its way to a waiter
//	              ├──▶ checking ─▶ free
//	              ├──▶ moving ───▶ free  on another loop
//	              └──▶ leaving ──▶ gone
//	any ──▶ gone (Lost)
type state uint8

const (
	gone state = iota // in no pool
	opening
	free // between two others, for the length of a call
	idle
	used
	checking
	moving
	leaving // Close was called, Lost is due
)

// Entry is one server connection of a pool. Its user makes it, the pool fills it in. It belongs to the
// loop that the connection lives on.
type Entry struct {
	User any // for the user

	Opened   int64  // when its opening began, by Hooks.Now
	LastUsed int64  // when it last came free, or was opened
	Uses     uint64 // how often it was handed out

	part    *Part // that it belongs to
	state   state
	renewed bool   // its replacement was seen to
	epoch   uint32 // of the pool when its opening began
	sound   int64  // when it was last known to be alive
	expires int64  // end of its lifetime; 0: none
	renew   int64  // when its replacement is due; 0: never
	spread  int64  // its deviation from time-outs, in 1/1024, so that not all end at once
	to      *Part  // while moving
	// loop is the number of the loop it belongs to, -1 on the way: whoever keeps an entry that it does
	// not have asks here first, for the rest may be another loop's.
	loop       atomic.Int32
	next, prev *Entry // in the list it is in
}

// Closing tells that the entry is, or will be, closed as soon as it is free. Only on its loop.
func (e *Entry) Closing() bool {
	return e.state == leaving || e.part != nil && e.part.outdated(e) != ""
}

// Due tells that the entry is idle, and would be checked before it is handed out. Only on its loop.
func (e *Entry) Due() bool { return e.state == idle && !e.part.fit(e) }

// spreadMax is the largest deviation of an entry from a time-out, in 1/1024: 10 %.
const spreadMax = 102

// spreadOf returns d with the entry's deviation.
func (e *Entry) spreadOf(d int64) int64 { return d + d/1024*e.spread }

// entries is a list of entries: the first has been in it longest.
type entries struct {
	first, last *Entry
	n           int
}

func (l *entries) push(e *Entry) {
	e.prev, e.next = l.last, nil
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
	l.n++
}

func (l *entries) remove(e *Entry) {
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev = nil, nil
	l.n--
}

// pop takes the first entry; nil if there is none.
func (l *entries) pop() *Entry {
	e := l.first
	if e != nil {
		l.remove(e)
	}
	return e
}

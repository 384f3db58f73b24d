package pool

import (
	"errors"
	"time"
)

// Hooks are what a Part has its user do. But for Run they are called on the Part's loop alone. None may
// call a method of the Part before it returns, except that Close may call Lost.
type Hooks interface {
	// Connect begins to open a connection and returns its entry, a new one, which the Part fills in.
	// Part.Connected or Part.ConnectFailed follows, on this loop.
	Connect(p *Part) *Entry
	// Close tells that the entry has left the pool, and why, in a short constant word ("idle",
	// "lifetime", "reconnect", "evicted", "surplus", "dropped", "check", "unmovable"). The
	// connection is to be closed; Part.Lost follows when it has ended. Until then it counts: the server
	// never sees more connections than it should.
	Close(e *Entry, why string)
	// Check has the connection checked; Part.Checked follows.
	Check(e *Entry)
	// Move takes the connection to another loop; there Part.Arrived follows, or Part.Lost, here or
	// there, if it broke. It returns false if the connection can't be moved at present: nothing follows
	// then, and the entry is the Part's still.
	Move(e *Entry, loop int) bool
	// Now is a monotonic clock in nanoseconds. It may stand still within a batch of events.
	Now() int64
	// Run has f called on a loop, later. It is called from any goroutine.
	Run(loop int, f func())
	// After has f called on this loop after d, or somewhat later; stop prevents it. One such timer at a
	// time is used.
	After(d time.Duration, f func()) (stop func())
}

// Waiter is somebody who waits for an entry. It can be used again and again: a wait allocates nothing.
type Waiter struct {
	// Grant hands over the entry. It is called on the Part's loop, from inside Put, Connected and the
	// like, but never from inside Get. It may call any method of the Part.
	Grant func(e *Entry)
	// Fail tells that the wait is over without an entry: ErrWait, ErrDropped, the reason given to
	// Disable, or why no connection could be opened. It is never called from inside Get.
	Fail func(err error)
	User any // for the user

	part       *Part // where it waits; nil = it does not
	since      int64 // when it began to
	next, prev *Waiter
}

// Waits tells that it waits. Only on the Part's loop.
func (w *Waiter) Waits() bool { return w.part != nil }

var (
	// ErrWait says that nothing came free within WaitTimeout.
	ErrWait = errors.New("pool: waited too long for a server connection")
	// ErrDisabled is the reason given to waiters if Disable was given none.
	ErrDisabled = errors.New("pool: disabled")
	// ErrDropped says that the pool's key is gone.
	ErrDropped = errors.New("pool: dropped")
)

package pool

import "time"

// Part is what a pool has on one loop: its entries there, idle or not, and who waits there. It is used on
// that loop alone.
type Part struct{}

// Pool returns the pool.
func (p *Part) Pool() *Pool { return nil }

// Loop is the number of the Part's loop.
func (p *Part) Loop() int { return 0 }

// Get returns an idle entry, and leaves w alone; or nil: w waits then, first come, first served.
func (p *Part) Get(w *Waiter) *Entry { return nil }

// GetSame takes that very entry if it is idle here and Uses is still uses: nobody has had it since. It
// returns false while the pool is paused.
func (p *Part) GetSame(e *Entry, uses uint64) bool { return false }

// Put gives an entry back that Get, GetSame or Grant has handed out.
func (p *Part) Put(e *Entry) {}

// Lost tells that the connection has ended, whatever state its entry was in. A second call does nothing.
func (p *Part) Lost(e *Entry) {}

// Cancel ends a wait. It does nothing if w does not wait.
func (p *Part) Cancel(w *Waiter) {}

// Connected tells that the connection is open.
func (p *Part) Connected(e *Entry) {}

// ConnectFailed tells that the connection could not be opened.
func (p *Part) ConnectFailed(e *Entry, err error) {}

// Checked tells what came of a check.
func (p *Part) Checked(e *Entry, ok bool) {}

// Arrived tells that an entry has come from another loop.
func (p *Part) Arrived(e *Entry) {}

// Waiting is the number of waiters here.
func (p *Part) Waiting() int { return 0 }

// Idle is the number of idle entries here.
func (p *Part) Idle() int { return 0 }

// Used is the number of entries that are handed out here.
func (p *Part) Used() int { return 0 }

// OldestWait is how long the first waiter here has waited; 0 if nobody waits.
func (p *Part) OldestWait() time.Duration { return 0 }

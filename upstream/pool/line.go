package pool

import "sync/atomic"

// line is what the other loops see of a Part. It fills cache lines of its own, so that a loop that looks
// at it does not take away what another loop works with.
type line struct {
	_ [64]byte
	// since is when the first waiter came, 0 if nobody waits; count is how many wait. The Part's loop
	// writes them: at once when somebody waits or nobody does, else only when they have changed enough
	// (grain).
	since atomic.Int64
	count atomic.Int32
	// spare tells that there may be idle entries. It is set with the first and taken back only by who
	// looked for one in vain: an entry that comes and goes is no news.
	spare     atomic.Bool
	idleSince atomic.Int64 // when spare was set, or the longest idle entry was last used
	opening   atomic.Int32 // entries being opened here
	arrived   atomic.Int64 // when the last entry came from another loop
	_         [64]byte
	// Written by other loops.
	coming atomic.Int32 // entries on their way here
	evict  atomic.Int32 // idle entries that are to make room for another pool's
	poked  atomic.Bool  // settle is to run
	_      [64]byte
}

// grain is, in nanoseconds, how much younger the first waiter is than the others know, at most.
const grain = 100_000

// publish tells the other loops who waits here.
func (p *Part) publish() {
	since, n := p.queue.since(), p.queue.n
	if p.toldSince == 0 || since == 0 {
		if since == p.toldSince {
			return
		}
	} else if since-p.toldSince < grain && n < 2*p.toldCount && n > p.toldCount/2 {
		return
	}
	p.tell(since, n)
}

// tell writes the line.
func (p *Part) tell(since int64, n int) {
	p.toldSince, p.toldCount = since, n
	p.line.count.Store(int32(n))
	p.line.since.Store(since)
}

// poke has settle run on the Part's loop, soon. Any goroutine may call it.
func (p *Part) poke() {
	if p.line.poked.CompareAndSwap(false, true) {
		p.h.Run(p.loop, p.settleFn)
	}
}

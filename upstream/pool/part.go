package pool

import (
	"math/rand/v2"
	"time"
)

// Part is what a pool has on one loop: its entries there, idle or not, and who waits there. It is used on
// that loop alone.
type Part struct {
	pool *Pool
	loop int
	h    Hooks

	idle     entries // by the time of their last use
	queue    queue
	used     int // entries handed out
	opening  int
	checking int

	placing bool    // place is under way
	back    entries // came free meanwhile

	ops       uint64 // Gets and Puts so far
	opsAsked  uint64 // ops when others were last thought of
	toldSince int64  // what line says
	toldCount int
	seen      *settings // options and epoch at the last look at the idle entries
	seenEpoch uint32
	retireAt  int64 // next look at them is due; 0: none

	timerFn  func()
	timerAt  int64 // 0: no timer is set
	stop     func()
	fired    bool // settle was called by the timer
	settleFn func()

	line line
}

// Pool returns the pool.
func (p *Part) Pool() *Pool { return p.pool }

// Loop is the number of the Part's loop.
func (p *Part) Loop() int { return p.loop }

// Waiting is the number of waiters here.
func (p *Part) Waiting() int { return p.queue.n }

// Idle is the number of idle entries here.
func (p *Part) Idle() int { return p.idle.n }

// Used is the number of entries that are handed out here.
func (p *Part) Used() int { return p.used }

// OldestWait is how long the first waiter here has waited; 0 if nobody waits.
func (p *Part) OldestWait() time.Duration {
	if p.queue.n == 0 {
		return 0
	}
	return time.Duration(p.h.Now() - p.queue.since())
}

// Get returns an idle entry, and leaves w alone; or nil: w waits then, first come, first served.
func (p *Part) Get(w *Waiter) *Entry {
	p.ops++
	if p.queue.n == 0 && p.idle.n > 0 && p.pool.mode.Load() == 0 {
		if e := p.next(); p.fit(e) {
			p.take(e)
			return e
		}
	}
	p.wait(w)
	return nil
}

// GetSame takes that very entry if it is idle here and Uses is still uses: nobody has had it since. It
// returns false while the pool is paused. It is the one method to be given an entry that may be another
// loop's by now.
func (p *Part) GetSame(e *Entry, uses uint64) bool {
	if e.loop.Load() != int32(p.loop) || e.part != p || e.state != idle || e.Uses != uses ||
		p.pool.mode.Load() != 0 || p.outdated(e) != "" {
		return false
	}
	p.ops++
	p.take(e)
	return true
}

// next is the idle entry whose turn it is.
func (p *Part) next() *Entry {
	if p.pool.opt.Load().RoundRobin {
		return p.idle.first
	}
	return p.idle.last
}

// fit tells whether an idle entry can be handed out as it is.
func (p *Part) fit(e *Entry) bool {
	if e.epoch != p.pool.epoch.Load() {
		return false
	}
	after := p.pool.opt.Load().CheckAfter
	return after == 0 || p.h.Now()-e.sound < int64(after)
}

// take hands out an idle entry.
func (p *Part) take(e *Entry) {
	p.idle.remove(e)
	e.state = used
	e.Uses++
	p.used++
}

// wait has w wait.
func (p *Part) wait(w *Waiter) {
	if w.part != nil {
		panic("pool: a waiter that waits already")
	}
	now := p.h.Now()
	w.part, w.since = p, max(now, 1) // 0 means nobody
	p.queue.push(w)
	p.publish()
	outdated := p.wake()
	p.seek(now)
	if p.queue.n == 1 || p.pool.refused.Load() {
		p.armFor(now)
	}
	switch {
	case outdated, p.pool.mode.Load()&(disabled|dropped) != 0, p.pool.hopeless(now):
		p.poke()
	case p.elsewhere():
		p.opsAsked = p.ops
		p.poke()
	}
}

// wake has an idle entry checked that has been idle for too long to be handed out as it is, and tells
// whether there are some that are only to be closed.
func (p *Part) wake() (outdated bool) {
	if p.idle.n == 0 || p.need() <= 0 || p.pool.mode.Load() != 0 {
		return false
	}
	e := p.next()
	if p.outdated(e) != "" {
		return true
	}
	p.idle.remove(e)
	p.check(e)
	return false
}

// Cancel ends a wait. It does nothing if w does not wait.
func (p *Part) Cancel(w *Waiter) {
	if w.part == p {
		p.queue.remove(w)
		p.publish()
	}
}

// Put gives an entry back that Get, GetSame or Grant has handed out.
func (p *Part) Put(e *Entry) {
	p.leaveState(e, used)
	p.used--
	p.ops++
	now := p.h.Now()
	e.LastUsed, e.sound = now, now
	if e.renew != 0 && now >= e.renew && !e.renewed {
		e.renewed = true
		p.connect(now, forRenewal)
	}
	p.place(e)
}

// leaveState takes an entry out of the state that it must be in.
func (p *Part) leaveState(e *Entry, from state) {
	if e.part != p || e.state != from {
		panic("pool: an entry that is not in the state that its user believes")
	}
	e.state = free
}

// Lost tells that the connection has ended, whatever state its entry was in. A second call does nothing.
func (p *Part) Lost(e *Entry) {
	was, at := e.state, e.part
	switch was {
	case gone:
		return
	case opening:
		at.opening--
		at.line.opening.Add(-1)
	case idle:
		at.idle.remove(e)
	case used:
		at.used--
	case checking:
		at.checking--
	case moving:
		e.to.line.coming.Add(-1)
	case free: // it waits for its turn in place, which passes it over
		at.back.remove(e)
	}
	e.state = gone
	e.loop.Store(-1)
	p.pool.release(was)
	p.freed()
}

// freed has who waits for leave to open a connection go on.
func (p *Part) freed() {
	p.pool.pokeWaiting(p)
	if p.queue.n > 0 || p.pool.alive() < p.pool.opt.Load().Min {
		p.poke()
	}
}

// connect opens a connection, if it may.
func (p *Part) connect(now int64, d demand) bool {
	if !p.pool.reserve(now, d) {
		return false
	}
	p.opening++
	p.line.opening.Add(1)
	epoch := p.pool.epoch.Load()
	e := p.h.Connect(p)
	e.part, e.state, e.epoch = p, opening, epoch
	e.Opened, e.LastUsed, e.sound, e.Uses = now, now, now, 0
	e.renewed, e.expires, e.renew = false, 0, 0
	e.loop.Store(int32(p.loop))
	e.spread = rand.Int64N(2*spreadMax+1) - spreadMax
	if life := int64(p.pool.opt.Load().Lifetime); life > 0 {
		e.expires = now + e.spreadOf(life)
		e.renew = e.expires - life/20
	}
	return true
}

// Connected tells that the connection is open.
func (p *Part) Connected(e *Entry) {
	p.leaveState(e, opening)
	p.opening--
	p.line.opening.Add(-1)
	p.pool.opened()
	now := p.h.Now()
	e.LastUsed, e.sound = now, now
	p.place(e)
	p.freed()
}

// ConnectFailed tells that the connection could not be opened.
func (p *Part) ConnectFailed(e *Entry, err error) { p.connectFailed(e, err, 0) }

// ConnectNotYet tells that the connection could not be opened for a reason that will pass soon, such as a
// server that starts up or is about to become a leader: the next one is begun after pause, however often that
// has been so.
func (p *Part) ConnectNotYet(e *Entry, err error, pause time.Duration) {
	p.connectFailed(e, err, pause)
}

func (p *Part) connectFailed(e *Entry, err error, pause time.Duration) {
	if e.state == gone {
		return
	}
	p.leaveState(e, opening)
	p.opening--
	p.line.opening.Add(-1)
	e.state = gone
	e.loop.Store(-1)
	p.pool.failed(e, err, p.h.Now(), int64(pause))
	p.pool.release(opening)
	p.freed()
}

// Checked tells what came of a check.
func (p *Part) Checked(e *Entry, ok bool) {
	p.leaveState(e, checking)
	p.checking--
	if !ok {
		p.close(e, "check")
		return
	}
	now := p.h.Now()
	e.LastUsed, e.sound = now, now
	p.place(e)
}

// Arrived tells that an entry has come from another loop.
func (p *Part) Arrived(e *Entry) {
	if e.state != moving || e.to != p {
		panic("pool: an entry has come that was not sent here")
	}
	e.part, e.to, e.state = p, nil, free
	e.loop.Store(int32(p.loop))
	p.line.coming.Add(-1)
	p.line.arrived.Store(p.h.Now())
	p.place(e)
	if p.queue.n > 0 && p.elsewhere() {
		p.poke()
	}
}

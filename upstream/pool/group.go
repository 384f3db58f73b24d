package pool

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Group is a set of pools on the same loops, and under the same Caps. Its methods may be called from any
// goroutine.
//
// Its lock is taken when a connection is opened, closed or lost, and while a cap keeps a pool from
// opening one that it needs; never on the way of a query besides.
type Group struct {
	loops int

	mu    sync.Mutex
	pools map[Key]*Pool
	caps  Caps
	// counts are the connections of each backend, database and user.
	counts [dims]map[string]tally
	// starved are pools with waiters to which a cap has refused a connection.
	starved  map[*Pool]struct{}
	starving atomic.Int32 // len(starved)
	over     atomic.Bool  // a count may be above its cap
}

// NewGroup returns a group without pools, for loops numbered from 0.
func NewGroup(loops int) *Group {
	g := &Group{loops: loops, pools: map[Key]*Pool{}, starved: map[*Pool]struct{}{}}
	for d := range g.counts {
		g.counts[d] = map[string]tally{}
	}
	return g
}

// Pool returns the pool with that key, made now if there is none, and puts opt in force.
func (g *Group) Pool(k Key, opt *Options) *Pool {
	g.mu.Lock()
	p := g.pools[k]
	if p == nil {
		p = newPool(g, k, opt)
		g.pools[k] = p
		g.mu.Unlock()
		return p
	}
	g.mu.Unlock()
	p.SetOptions(opt)
	return p
}

// Pools returns the pools that there are, in no order.
func (g *Group) Pools() []*Pool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Values(g.pools))
}

// Drop takes the pool out of the group: its waiters fail with ErrDropped, its connections are closed as
// they come free. Connections count under the caps as long as they live.
func (g *Group) Drop(p *Pool) {
	g.mu.Lock()
	if g.pools[p.key] == p {
		delete(g.pools, p.key)
	}
	g.forget(p)
	g.mu.Unlock()
	p.mode.Or(dropped)
	p.pokeAll()
}

// demand says what a connection is wanted for.
type demand uint8

const (
	forWaiter  demand = iota // somebody waits for it
	forLong                  // for so long that the reserve may be used
	forMin                   // it is kept ahead
	forRenewal               // it will stand in for another
)

// reserve takes leave to open one connection.
func (p *Pool) reserve(now int64, d demand) bool {
	if p.mode.Load() != 0 || p.refused.Load() || now < p.retryAt.Load() || !p.room(d) {
		return false
	}
	g := p.group
	g.mu.Lock()
	ok := p.room(d) && now >= p.retryAt.Load()
	var victim *Part
	if ok {
		if ok = g.admits(p, now, d); ok {
			g.count(p, 1, 0)
			p.open.Add(1)
			p.opening.Add(1)
			g.forget(p)
		} else if d <= forLong {
			g.starve(p)
			victim = g.victim(p)
		}
	}
	g.mu.Unlock()
	if victim != nil {
		victim.line.evict.Add(1)
		victim.poke()
	}
	return ok
}

// room tells whether the pool's own limits allow one more connection.
func (p *Pool) room(d demand) bool {
	o := p.opt.Load()
	limit := o.Size
	if d == forLong {
		limit += o.Reserve
	}
	return int(p.open.Load()) < limit && int(p.opening.Load()) < o.Connects &&
		(d != forMin || p.alive() < o.Min)
}

// opened takes note that a connection is open.
func (p *Pool) opened() {
	p.group.mu.Lock()
	p.opening.Add(-1)
	p.retryAt.Store(0)
	p.group.mu.Unlock()
}

// failed takes note that a connection could not be opened. Of several that were begun before it was
// known only the first makes the time longer. pause, if it is not 0, is the time, which is the same each
// time then.
func (p *Pool) failed(e *Entry, err error, now, pause int64) {
	p.group.mu.Lock()
	defer p.group.mu.Unlock()
	o := p.opt.Load()
	f := &failure{err: err, at: now, delay: int64(o.RetryMin)}
	if last := p.failure.Load(); last != nil && p.retryAt.Load() != 0 {
		if e.Opened < last.at {
			return
		}
		f.delay = min(max(2*last.delay, f.delay), int64(o.RetryMax))
	}
	if pause > 0 {
		f.delay = pause
	}
	p.failure.Store(f)
	p.retryAt.Store(now + f.delay)
}

// leave takes note that a connection is being closed, if by then more than least serve.
func (p *Pool) leave(least int) bool {
	p.group.mu.Lock()
	defer p.group.mu.Unlock()
	if p.alive() <= least {
		return false
	}
	p.leaving.Add(1)
	p.group.count(p, 0, 1)
	return true
}

// release takes note that a connection has ended, which was in that state.
func (p *Pool) release(was state) {
	g := p.group
	g.mu.Lock()
	p.open.Add(-1)
	switch was {
	case opening:
		p.opening.Add(-1)
	case leaving:
		p.leaving.Add(-1)
		g.count(p, 0, -1)
	}
	g.count(p, -1, 0)
	g.mu.Unlock()
	g.retry(p)
}

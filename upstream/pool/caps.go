package pool

// Caps bound the server connections that are open, or being opened, over all pools of a Group. Each may
// be nil, and may return 0 for no bound. They are called from any goroutine, and must not call the
// Group.
type Caps struct {
	PerBackend  func(backend string) int
	PerDatabase func(database string) int
	PerUser     func(user string) int
}

// dims is the number of things that caps count by.
const dims = 3

// name is what a pool is counted under.
func (p *Pool) name(d int) string {
	return [dims]string{p.key.Backend, p.key.Database, p.key.User}[d]
}

// cap is the bound that holds for the pool; 0 = none.
func (g *Group) cap(p *Pool, d int) int {
	if f := [dims]func(string) int{g.caps.PerBackend, g.caps.PerDatabase, g.caps.PerUser}[d]; f != nil {
		return f(p.name(d))
	}
	return 0
}

// SetCaps puts caps in force. Connections above them are closed as they come free.
func (g *Group) SetCaps(c Caps) {
	g.mu.Lock()
	g.caps = c
	g.over.Store(true)
	for p := range g.starved {
		p.refused.Store(false)
	}
	pools := make([]*Pool, 0, len(g.pools))
	for _, p := range g.pools {
		pools = append(pools, p)
	}
	g.mu.Unlock()
	for _, p := range pools {
		p.pokeAll()
	}
}

// tally is how many connections there are under a name, and how many of them are being closed.
type tally struct{ open, leaving int }

// count changes the tallies of a pool. With the lock held.
func (g *Group) count(p *Pool, open, leaving int) {
	for d := range dims {
		n := g.counts[d][p.name(d)]
		n.open += open
		n.leaving += leaving
		g.counts[d][p.name(d)] = n
		if n == (tally{}) {
			delete(g.counts[d], p.name(d))
		}
	}
}

// full tells whether a cap is reached. With the lock held.
func (g *Group) full(p *Pool, d int) bool {
	limit := g.cap(p, d)
	return limit > 0 && g.counts[d][p.name(d)].open >= limit
}

// admits tells whether the caps allow the pool one more connection, and nobody has waited longer for the
// last ones. With the lock held.
func (g *Group) admits(p *Pool, now int64, want demand) bool {
	for d := range dims {
		limit := g.cap(p, d)
		if limit > 0 && g.counts[d][p.name(d)].open+g.before(p, d, now, want) >= limit {
			return false
		}
	}
	return true
}

// before is the number of starved pools to which what is left under a cap is due first.
func (g *Group) before(p *Pool, d int, now int64, want demand) (n int) {
	mine := p.oldest()
	for q := range g.starved {
		if q == p || q.name(d) != p.name(d) || !q.wants(now) {
			continue
		}
		theirs := q.oldest()
		first := theirs != 0 && (want > forLong || mine == 0 || theirs < mine)
		if first && !g.fullBut(q, d) {
			n++
		}
	}
	return n
}

// wants tells whether the pool would open a connection for who waits, if the caps allowed it.
func (p *Pool) wants(now int64) bool {
	return p.mode.Load() == 0 && now >= p.retryAt.Load() && p.room(forWaiter)
}

// fullBut tells whether a cap other than d keeps the pool from opening.
func (g *Group) fullBut(q *Pool, d int) bool {
	for other := range dims {
		if other != d && g.full(q, other) {
			return true
		}
	}
	return false
}

// starve notes that the pool waits for a cap, forget that it does not. With the lock held.
func (g *Group) starve(p *Pool) {
	p.refused.Store(true)
	g.starved[p] = struct{}{}
	g.starving.Store(int32(len(g.starved)))
}

func (g *Group) forget(p *Pool) {
	p.refused.Store(false)
	delete(g.starved, p)
	g.starving.Store(int32(len(g.starved)))
}

// retry has the pools go on that wait for a cap which counts p too. Those of which nobody waits any more
// are forgotten.
func (g *Group) retry(p *Pool) {
	if g.starving.Load() == 0 {
		return
	}
	var again []*Pool
	g.mu.Lock()
	for q := range g.starved {
		if !g.related(p, q) {
			continue
		}
		if again = append(again, q); q.oldest() == 0 {
			g.forget(q)
		}
		q.refused.Store(false)
	}
	g.mu.Unlock()
	for _, q := range again {
		q.pokeWaiting(nil)
	}
}

// related tells whether a cap counts both pools. With the lock held.
func (g *Group) related(p, q *Pool) bool {
	for d := range dims {
		if p.name(d) == q.name(d) && g.cap(q, d) > 0 {
			return true
		}
	}
	return false
}

// victim finds, among the pools under a cap that is reached, the part whose entries are idle longest, as
// far as it is known. With the lock held.
func (g *Group) victim(p *Pool) (part *Part) {
	for d := range dims {
		if !g.full(p, d) {
			continue
		}
		for _, q := range g.pools {
			if q == p || q.name(d) != p.name(d) {
				continue
			}
			for _, candidate := range q.parts() {
				if candidate.line.spare.Load() && (part == nil ||
					candidate.line.idleSince.Load() < part.line.idleSince.Load()) {
					part = candidate
				}
			}
		}
	}
	return part
}

// yieldEach is, in nanoseconds, the time after which a pool whose connections are all in use gives one up
// for a pool under the same cap; the other's first waiter has waited so much longer than its own. The
// question is asked each yieldLook.
const (
	yieldEach = 100_000_000
	yieldLook = 10_000_000
)

// yields tells whether a connection that has come free should make room for another pool, whose waiters
// a cap has kept waiting for longer; mine is when the first waiter came that it could serve instead.
func (p *Pool) yields(now, mine int64) bool {
	g := p.group
	if g.starving.Load() == 0 || now < p.yieldAt.Load() {
		return false
	}
	p.yieldAt.Store(now + yieldLook)
	g.mu.Lock()
	defer g.mu.Unlock()
	for q := range g.starved {
		theirs := q.oldest()
		if q == p || theirs == 0 || mine != 0 && theirs+yieldEach > mine || !q.wants(now) {
			continue
		}
		if g.eases(p, q) {
			p.yieldAt.Store(now + yieldEach)
			return true
		}
	}
	return false
}

// eases tells whether the caps would let q open a connection if p had one less: all that are reached count
// both. With the lock held.
func (g *Group) eases(p, q *Pool) (eased bool) {
	for d := range dims {
		if g.full(q, d) {
			if p.name(d) != q.name(d) {
				return false
			}
			eased = true
		}
	}
	return eased
}

// exceeds tells whether the pool is counted by a cap that is passed, as a smaller cap can bring about.
func (p *Pool) exceeds() bool {
	g := p.group
	if !g.over.Load() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.passed(p) {
		return true
	}
	for _, q := range g.pools {
		if g.passed(q) {
			return false
		}
	}
	g.over.Store(false)
	return false
}

// passed tells whether more connections than a cap allows would stay. With the lock held.
func (g *Group) passed(p *Pool) bool {
	for d := range dims {
		n := g.counts[d][p.name(d)]
		if limit := g.cap(p, d); limit > 0 && n.open-n.leaving > limit {
			return true
		}
	}
	return false
}

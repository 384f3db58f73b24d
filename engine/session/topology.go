package session

import (
	"slices"
	"sync"
	"time"

	"sluice/upstream"
)

// topology has the sessions follow their clusters: who leads, who is fit for whom. It is one goroutine; what
// tells it of a change only wakes it, so that many changes at a time are carried out as one.
//
//	Cluster ─ Changed ─▶ settle: judge lags, drop and renew pools, wake who waits
//	Apply ────────────▶     └─▶ each session on its loop: review (evict.go)
//	a session that is to leave ─ expect ─▶ expire ─▶ by force
type topology struct {
	p      *Proxy
	wakeUp chan struct{}      // something has to be done
	orders chan chan struct{} // settle, and close this when it is carried out

	known map[*upstream.Cluster]*clusterView // the goroutine's alone

	mu       sync.Mutex // of what follows
	dirty    map[*upstream.Cluster]bool
	everyone bool // the configuration is another one: all sessions are to be looked at
	due      map[post]time.Time
	changes  map[string]uint64 // by cluster's name
}

// post is where sessions stand that have the same time to leave.
type post struct {
	fe        *Frontend
	namespace string // "" = none
	backend   *upstream.Backend
}

func newTopology(p *Proxy) *topology {
	return &topology{p: p, wakeUp: make(chan struct{}, 1), orders: make(chan chan struct{}),
		known: map[*upstream.Cluster]*clusterView{}, dirty: map[*upstream.Cluster]bool{},
		due: map[post]time.Time{}, changes: map[string]uint64{}}
}

// wake has the goroutine look at what there is to do. It does not block.
func (t *topology) wake() {
	select {
	case t.wakeUp <- struct{}{}:
	default: // it will look anyway
	}
}

// changed takes note that something about a cluster is not as it was. It is called from any goroutine.
func (t *topology) changed(c *upstream.Cluster) {
	t.mu.Lock()
	t.dirty[c] = true
	t.mu.Unlock()
	t.wake()
}

// applied takes note that another configuration is in force.
func (t *topology) applied() {
	t.mu.Lock()
	t.everyone = true
	t.mu.Unlock()
	t.wake()
}

// expect has the sessions that are at a post leave it within a while; a time that was set before stays.
func (t *topology) expect(at post, within time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.due[at]; !ok {
		t.due[at] = time.Now().Add(within)
		t.wake()
	}
}

// run is the goroutine.
func (t *topology) run() {
	defer t.p.done.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.p.stop:
			return
		case <-t.wakeUp:
			t.settle()
		case done := <-t.orders:
			t.settle()
			close(done)
		case <-timer.C:
			t.expire(time.Now())
		}
		if next, ok := t.nextDue(); ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// nextDue is the first moment at which sessions have to have left.
func (t *topology) nextDue() (first time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range t.due {
		if !ok || at.Before(first) {
			first, ok = at, true
		}
	}
	return first, ok
}

// settle carries out what has changed, and returns when the loops have done so too.
func (t *topology) settle() {
	t.mu.Lock()
	dirty, everyone := t.dirty, t.everyone
	t.dirty, t.everyone = map[*upstream.Cluster]bool{}, false
	t.mu.Unlock()
	if len(dirty) == 0 && !everyone {
		return
	}
	fences, concerned := t.carryOut(dirty, everyone)
	if !everyone && len(concerned) == 0 {
		return
	}
	t.forgive()
	for _, f := range fences {
		for _, on := range t.p.loops {
			on.loop.Run(func() { on.around(func() { on.fence(f.backend) }) })
		}
	}
	t.visit(func(s *Session) {
		if everyone || concerned[s.cluster] {
			s.review(fences[s.cluster])
		}
	})
}

// carryOut does what concerns the proxy as a whole, and returns the clusters whose sessions it concerns.
func (t *topology) carryOut(dirty map[*upstream.Cluster]bool, everyone bool) (
	fences map[*upstream.Cluster]*fence, concerned map[*upstream.Cluster]bool) {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	fences, concerned = map[*upstream.Cluster]*fence{}, map[*upstream.Cluster]bool{}
	present := map[*upstream.Cluster]bool{}
	for _, c := range p.clusters {
		present[c] = true
		if !everyone && !dirty[c] {
			continue
		}
		if t.known[c] == nil {
			t.known[c] = &clusterView{}
		}
		ch := t.known[c].look(c, p.log)
		for _, fe := range p.frontends {
			for _, set := range fe.set.Load().views() {
				if set.cluster == c && set.judge(p.log) {
					ch.fits = true
				}
			}
		}
		p.follow(c, &ch)
		t.count(c.Name(), ch.events)
		if ch.fits {
			concerned[c] = true
		}
		if ch.fence != nil {
			fences[c] = ch.fence
		}
	}
	for c := range t.known {
		if !present[c] {
			delete(t.known, c)
		}
	}
	p.pools.seekers.drop(func(c *upstream.Cluster) bool { return present[c] })
	return fences, concerned
}

// follow has the pools follow a change of their cluster. The caller has the proxy's lock.
func (p *Proxy) follow(c *upstream.Cluster, ch *clusterChange) {
	if ch.left {
		p.pools.drop(func(spec *poolSpec) bool { return spec.cluster == c && spec.backend.Gone() })
		p.hubs.drop(func(h *hub) bool { return h.backend.Gone() })
	}
	if !ch.fits {
		return
	}
	p.retunePools()
	for _, spec := range p.pools.all() {
		switch set := p.settingsOf(spec); {
		case slices.Contains(ch.turned, spec.backend):
			spec.renew()
		case set != nil && spec.vacated(set):
			spec.pool.Reconnect()
		}
	}
	for _, fe := range p.frontends {
		for _, set := range fe.set.Load().views() {
			if set.cluster == c && set.Sharing != nil && !p.draining.Load() {
				p.warm(set) // a new leader may have no pool yet
			}
		}
	}
}

// renew has a pool's connections replaced, and what servers say at a login asked for anew: the server has
// become another one to its clients.
func (spec *poolSpec) renew() {
	spec.pool.Reconnect()
	for _, on := range spec.p.loops {
		on.loop.Run(func() {
			if h := on.homes[spec]; h != nil {
				clear(h.intros)
			}
		})
	}
}

// count counts changes of a cluster.
func (t *topology) count(cluster string, events int) {
	t.mu.Lock()
	t.changes[cluster] += uint64(events)
	t.mu.Unlock()
}

// counted is how many changes of a cluster there were.
func (t *topology) counted(cluster string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes[cluster]
}

// forgive forgets the deadlines of posts at which sessions may stay by now.
func (t *topology) forgive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at := range t.due {
		if set := at.fe.set.Load().of(at.namespace); set != nil && set.cluster == at.backend.Cluster() &&
			(set.uses(at.backend) || set.leftBehind(at.backend)) {
			delete(t.due, at)
		}
	}
}

// uses tells whether the backend is fit for some of the listener's work: what only reads may go elsewhere.
func (set *Settings) uses(b *upstream.Backend) bool {
	want := set.want()
	if b.Fits(want) == "" {
		return true
	}
	if set.Sharing == nil || set.Sharing.ReadRoles == 0 {
		return false
	}
	want.Roles = set.Sharing.ReadRoles
	return b.Fits(want) == ""
}

// expire ends by force what should have left by now.
func (t *topology) expire(now time.Time) {
	over := map[post]bool{}
	t.mu.Lock()
	for at, due := range t.due {
		if !due.After(now) {
			over[at] = true
			delete(t.due, at)
		}
	}
	t.mu.Unlock()
	if len(over) > 0 {
		t.visit(func(s *Session) { s.overstays(over) })
	}
}

// visit has every session of every loop looked at, those wait no longer that wait for a backend, and returns
// when that is done.
func (t *topology) visit(look func(*Session)) {
	over := make(chan struct{}, len(t.p.loops))
	for _, on := range t.p.loops {
		on.each(func(s *Session) { on.around(func() { look(s) }) }, func() {
			on.around(on.wake)
			over <- struct{}{}
		})
	}
	for range t.p.loops {
		select {
		case <-over:
		case <-t.p.stop:
			return
		}
	}
}

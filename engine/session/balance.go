package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/router"
	"sluice/upstream"
)

// balanceIdle lies between two looks at a cluster in which nothing can be moved.
const balanceIdle = time.Second

// balancing is what spreads the sessions of each cluster over its backends: one goroutine for each cluster.
//
//	Backend: sessions, health, tags, Readings ─▶ snapshot ─▶ router.Balancer ─ orders ─▶ relocate, on each loop
//	                                                   └─ loads ─▶ Backend.SetLoad: the choice for new sessions
type balancing struct {
	mu   sync.Mutex // of what follows
	of   map[*upstream.Cluster]*balance
	made []Decision // the newest last
	// lines of the log there were for decisions since a moment.
	lines int
	since time.Time
}

// balance is the goroutine of one cluster.
type balance struct {
	p    *Proxy
	c    *upstream.Cluster
	stop chan struct{}
	last atomic.Pointer[standing]
	turn int // the loop that is asked first
}

// standing is how the backends of a cluster stand by the last look. It is not changed.
type standing struct {
	backends []*upstream.Backend
	verdicts []router.Verdict
}

// follow has each of the clusters balanced, and no other one. The caller has the proxy's lock.
func (ba *balancing) follow(p *Proxy) {
	ba.mu.Lock()
	defer ba.mu.Unlock()
	if ba.of == nil {
		ba.of = map[*upstream.Cluster]*balance{}
	}
	present := map[*upstream.Cluster]bool{}
	for _, c := range p.clusters {
		present[c] = true
		if ba.of[c] != nil {
			continue
		}
		b := &balance{p: p, c: c, stop: make(chan struct{})}
		ba.of[c] = b
		p.done.Add(1)
		go b.run()
	}
	for c, b := range ba.of {
		if !present[c] {
			close(b.stop)
			delete(ba.of, c)
		}
	}
}

// run is the goroutine.
func (b *balance) run() {
	defer b.p.done.Done()
	balancer := router.NewBalancer()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-b.p.stop:
			return
		case <-b.stop:
			return
		case <-timer.C:
		}
		timer.Reset(b.look(balancer, time.Now()))
	}
}

// look looks once at who should move, sees to it, and returns the time until the next look.
func (b *balance) look(balancer *router.Balancer, now time.Time) time.Duration {
	opt := b.c.Options()
	spread := opt.Balance.Spread
	backends := b.c.Backends()
	if spread == nil {
		return balanceIdle
	}
	if spread.Policy.UsesFigures() {
		for _, backend := range backends {
			backend.CountSessions(now)
		}
	}
	snap := b.snapshot(backends)
	orders := balancer.Step(now, snap, spread)
	b.publish(spread, &standing{backends, balancer.Verdicts()})
	for i := range orders {
		o := &orders[i]
		n := b.carryOut(o, backends, zoneOf(snap, o.Group))
		balancer.Moved(now, o, n)
		if n > 0 {
			b.p.balancing.note(b.c, o, n, now, b.p.log)
		}
	}
	if len(backends) < 2 || spread.Policy == router.Unbalanced || opt.Migrate.Move == nil {
		return balanceIdle
	}
	return opt.Balance.Interval
}

// publish makes known how the backends stand.
func (b *balance) publish(spread *router.Spread, s *standing) {
	for i, backend := range s.backends {
		if spread.Policy.UsesFigures() {
			backend.SetLoad(s.verdicts[i].Load)
		} else {
			backend.SetLoad(nil)
		}
	}
	b.last.Store(s)
}

// snapshot is what the balancer has to know.
func (b *balance) snapshot(backends []*upstream.Backend) *router.Snapshot {
	snap := &router.Snapshot{}
	for _, backend := range backends {
		spec := backend.Spec()
		snap.Backends = append(snap.Backends, router.Standing{Addr: backend.Addr(), Zone: spec.Zone, Tags: spec.Tags,
			Healthy: backend.Health() != upstream.Down, Score: backend.Score(), Readings: backend.Readings()})
	}
	if b.c.Options().Migrate.Move != nil && !b.p.draining.Load() {
		for _, want := range b.wants() {
			addGroup(snap, want, backends)
		}
	}
	if len(snap.Groups) == 0 { // nobody moves; how they stand is of interest all the same
		for i := range backends {
			snap.Groups = append(snap.Groups, router.Group{Name: backends[i].Addr(), Members: []int{i}})
		}
	}
	return snap
}

// wants is what the sessions ask for that have a server connection of their own in this cluster.
func (b *balance) wants() (list []router.Want) {
	for _, fe := range b.p.Frontends() {
		set := fe.Settings()
		if set.Sharing != nil {
			continue
		}
		for _, view := range set.views() {
			if view.cluster == b.c {
				list = append(list, view.want())
			}
		}
	}
	return list
}

// addGroup adds the backends that fit a wish, unless others wish for the same.
func addGroup(snap *router.Snapshot, want router.Want, backends []*upstream.Backend) {
	g := router.Group{Zone: want.Zone}
	name := []byte(want.Zone + "@")
	for i, backend := range backends {
		if backend.Fits(want) == "" {
			g.Members = append(g.Members, i)
			name = append(append(name, ' '), backend.Addr()...)
		}
	}
	g.Name = string(name)
	same := func(o router.Group) bool { return o.Name == g.Name }
	if len(g.Members) > 0 && !slices.ContainsFunc(snap.Groups, same) {
		snap.Groups = append(snap.Groups, g)
	}
}

// zoneOf is where the sessions of a group go first.
func zoneOf(snap *router.Snapshot, group string) string {
	for i := range snap.Groups {
		if snap.Groups[i].Name == group {
			return snap.Groups[i].Zone
		}
	}
	return ""
}

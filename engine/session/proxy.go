package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// Limits bound a whole Proxy.
type Limits struct {
	MaxConnections int // clients of all listeners; 0 = no limit
	LoginMax       int // logins in progress; 0 = no limit
	// LeaveTimeout is how long sessions may take to a safe point when their listener went away.
	LeaveTimeout time.Duration
	ReusePort    bool // listening sockets share their address with other processes
}

// Setup is everything that a reload may change.
type Setup struct {
	Limits    Limits
	Clusters  []upstream.Options
	Frontends []Settings
}

// Proxy holds the frontends and the clusters. Its methods may be called from any goroutine.
type Proxy struct {
	eng      *engine.Engine
	loops    []*loopState
	log      *zap.Logger
	keys     *registry
	requests *requestLog

	limits   atomic.Pointer[Limits]
	clients  atomic.Int64 // connections of clients, refused ones included
	refusing atomic.Int64 // of them, those that are only told why they are refused
	admitted atomic.Int64 // of them, the others
	logins   atomic.Int64 // in progress
	cancels  atomic.Int64 // requests under way to backends
	accepts  atomic.Uint64
	turned   atomic.Uint64 // closed at accept without a word
	nextID   atomic.Uint64
	draining atomic.Bool

	mu        sync.Mutex // of what follows: Apply, Drain, and looking
	frontends map[string]*Frontend
	clusters  map[string]*upstream.Cluster
	tenants   map[string]*tenant // by their namespace's name
	closed    bool               // no more clients are taken

	pools      *pools
	sharers    shareCounts
	salt       [32]byte
	nextServer atomic.Uint64
	console    Console // nil: there is none
	deskConfig *codec.DeskConfig
	consoles   atomic.Int64
	hubs       hubs

	topology  *topology
	balancing balancing

	stop  chan struct{}
	close sync.Once
	done  sync.WaitGroup
}

// New makes a Proxy on the loops of eng, without frontends yet. requests takes the lines about single
// requests, where a listener asks for them; log takes all else.
func New(eng *engine.Engine, log, requests *zap.Logger) *Proxy {
	p := &Proxy{eng: eng, log: log, keys: newRegistry(), frontends: map[string]*Frontend{},
		clusters: map[string]*upstream.Cluster{}, stop: make(chan struct{})}
	p.limits.Store(&Limits{})
	p.pools = newPools(len(eng.Loops()))
	p.sharers = shareCounts{users: map[[2]string]int{}, databases: map[[2]string]int{}}
	_, _ = rand.Read(p.salt[:]) // never fails
	p.requests = newRequestLog(requests)
	for _, l := range eng.Loops() {
		p.loops = append(p.loops, newLoopState(l))
	}
	p.topology = newTopology(p)
	p.done.Add(3)
	go p.topology.run()
	go p.probeLatency()
	go p.requests.run(p.stop, &p.done)
	return p
}

// probeLatency measures the loops until Close, and looks after what has no event of its own.
func (p *Proxy) probeLatency() {
	defer p.done.Done()
	ticker := time.NewTicker(latencyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			for _, on := range p.loops {
				on.probeLatency()
			}
			for _, spec := range p.pools.all() {
				spec.usable(engine.Nano()) // those kept ready are opened again without a client
			}
		}
	}
}

// Apply puts a setup in force. What it does not change is not touched; sessions end only if their own
// frontend or backend is not in it any more. A listening socket goes to the frontend that has its
// address now. New ones are opened before anything else: if one can't be had, the error says so and all
// stays as it was.
func (p *Proxy) Apply(setup Setup) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining.Load() || p.closed {
		return errors.New("the proxy is shutting down")
	}
	if err := p.checkProtocols(setup.Clusters); err != nil {
		return err
	}
	limits := setup.Limits
	socks, err := p.findSockets(setup.Frontends, limits)
	if err != nil {
		return err
	}
	p.limits.Store(&limits)
	p.applyClusters(setup.Clusters)
	p.applyCaps(&setup)
	removed := p.applyFrontends(setup.Frontends, socks)
	p.dropClusters(setup.Clusters)
	p.applySharing(removed)
	p.topology.applied()
	p.balancing.follow(p)
	p.leaveFrontends(removed, limits.LeaveTimeout)
	return nil
}

// checkProtocols refuses another protocol under a name that is in force: the sessions there, and their
// figures, are those of the old one.
func (p *Proxy) checkProtocols(opts []upstream.Options) error {
	for _, opt := range opts {
		c := p.clusters[opt.Name]
		if c == nil {
			continue
		}
		if was, is := c.Options().Protocol.Name(), opt.Protocol.Name(); was != is {
			return fmt.Errorf("cluster %q: protocol can't change from %q to %q while it is in use: "+
				"give the cluster another name", opt.Name, was, is)
		}
	}
	return nil
}

// applyClusters makes and updates clusters.
func (p *Proxy) applyClusters(opts []upstream.Options) {
	for _, opt := range opts {
		opt.Changed = p.topology.changed
		if c := p.clusters[opt.Name]; c != nil {
			c.Update(opt)
			continue
		}
		p.clusters[opt.Name] = upstream.NewCluster(opt, p.log)
	}
}

// dropClusters closes the clusters that the setup lacks. No frontend leads there any more, but sessions of one
// that leads elsewhere now may still be there.
func (p *Proxy) dropClusters(opts []upstream.Options) {
	wanted := map[string]bool{}
	for _, opt := range opts {
		wanted[opt.Name] = true
	}
	for name, c := range p.clusters {
		if !wanted[name] {
			delete(p.clusters, name)
			c.Close()
		}
	}
}

// applyFrontends makes, updates and removes frontends, and returns those removed. A client that comes
// meanwhile is taken by the frontend that had its address or by the one that has it now, with the
// settings of that time.
func (p *Proxy) applyFrontends(sets []Settings, k *sockets) (removed []*Frontend) {
	for _, o := range k.moved {
		o.hold()
	}
	wanted := map[string]bool{}
	for i := range sets {
		set := sets[i]
		set.Sharing.prepare()
		wanted[set.Name] = true
		set.cluster = p.clusters[set.Cluster]
		fe := p.frontends[set.Name]
		if fe == nil {
			fe = &Frontend{p: p, name: set.Name}
			p.frontends[set.Name] = fe
		}
		set.lagging = fe.lagging(&set)
		set.unfold(p, fe.set.Load())
		for _, view := range set.views() {
			view.judge(p.log)
		}
		fe.put(p, &set, k)
	}
	for name, fe := range p.frontends {
		if !wanted[name] {
			delete(p.frontends, name)
			fe.retire()
			removed = append(removed, fe)
		}
	}
	p.dropTenants()
	for _, o := range k.left {
		o.ln.Close()
	}
	return removed
}

// leaveFrontends asks the sessions of those frontends to leave.
func (p *Proxy) leaveFrontends(removed []*Frontend, timeout time.Duration) {
	for _, fe := range removed {
		p.leave(func(s *Session) bool { return s.fe == fe },
			listenerGone, timeout)
	}
}

// leave asks sessions to leave, and ends those that have not when the time is over.
func (p *Proxy) leave(which func(*Session) bool, e codec.Error, timeout time.Duration) {
	for _, on := range p.loops {
		on.each(func(s *Session) {
			if which(s) {
				s.askToLeave(e)
			}
		}, nil)
	}
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case <-p.stop:
			return
		case <-timer.C:
		}
		for _, on := range p.loops {
			on.each(func(s *Session) {
				if which(s) {
					s.forceToLeave(e)
				}
			}, nil)
		}
	}()
}

// Drain stops accepting, asks every session to leave at its next safe point, and returns when none is
// left. When ctx ends first, the sessions still there are ended by force; their number is returned.
func (p *Proxy) Drain(ctx context.Context) (forced int) {
	p.mu.Lock()
	p.draining.Store(true)
	for _, fe := range p.frontends {
		fe.close()
	}
	p.mu.Unlock()
	e := shuttingDown
	for _, on := range p.loops {
		on.each(func(s *Session) { s.askToLeave(e) }, nil)
	}
	if p.waitEmpty(ctx) {
		return 0
	}
	left := atomic.Int64{}
	for _, on := range p.loops {
		on.each(func(s *Session) {
			left.Add(1)
			s.leaving = &e
			s.forceToLeave(e)
			s.refuse(Forced, e, nil)
		}, nil)
	}
	last, cancel := context.WithTimeout(context.Background(), forceTimeout)
	defer cancel()
	p.waitEmpty(last)
	return int(left.Load())
}

// forceTimeout is how long the clients of sessions that were ended by force have to take in what is
// left for them.
const forceTimeout = 2 * time.Second

// drainPoll is how often Drain looks whether all clients have left.
const drainPoll = 20 * time.Millisecond

// waitEmpty waits until no client is left.
func (p *Proxy) waitEmpty(ctx context.Context) bool {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for p.clients.Load() > 0 {
		select {
		case <-ctx.Done():
			return p.clients.Load() == 0
		case <-ticker.C:
		}
	}
	return true
}

// Close stops everything at once. The engine is the caller's to stop.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.draining.Store(true)
	for _, fe := range p.frontends {
		fe.close()
	}
	for _, c := range p.clusters {
		c.Close()
	}
	for _, fe := range p.frontends {
		fe.askNobody()
	}
	p.mu.Unlock()
	p.hubs.drop(func(*hub) bool { return true })
	p.close.Do(func() { close(p.stop) })
	p.done.Wait()
}

// Draining tells whether the proxy is on its way out.
func (p *Proxy) Draining() bool { return p.draining.Load() }

// Clients is the number of client connections.
func (p *Proxy) Clients() int { return int(p.clients.Load()) }

// Logins is the number of logins in progress.
func (p *Proxy) Logins() int { return int(p.logins.Load()) }

// Clusters returns the clusters.
func (p *Proxy) Clusters() []*upstream.Cluster {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*upstream.Cluster, 0, len(p.clusters))
	for _, c := range p.clusters {
		list = append(list, c)
	}
	return list
}

// Frontends returns the frontends.
func (p *Proxy) Frontends() []*Frontend {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*Frontend, 0, len(p.frontends))
	for _, fe := range p.frontends {
		list = append(list, fe)
	}
	return list
}

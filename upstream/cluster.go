package upstream

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/engine"
	"sluice/router"
)

// Options of a Cluster. All are filled in by the caller.
type Options struct {
	Name     string
	Protocol codec.Protocol
	Backends []Spec
	// ConnectTimeout bounds one attempt at one backend, up to its first words for the client.
	ConnectTimeout time.Duration
	// RetryTimeout is how long after the first attempt for a client another one may begin.
	RetryTimeout time.Duration
	// FailoverTimeout is how long a client waits while no backend is fit for it, if that is longer than
	// RetryTimeout: one that shares server connections, and with a Discovery any other as it logs in. With a
	// Discovery that holds too while none that is fit can be reached: it may be the last to know.
	// FailoverClients of the former may do so at one time; 0 = no limit.
	FailoverTimeout time.Duration
	FailoverClients int
	// Discovery finds the backends; nil: they are those in Backends.
	Discovery Discovery
	// Peers says that the backends are equal: all of them take writes, and none leads the others.
	Peers bool
	// Status is for backends with a status port (Spec.Status); nil: it is not asked.
	Status *StatusOptions
	// Metering reads the backends' figures; nil: nothing does.
	Metering Metering
	// OutOfService are backends that take no sessions and are emptied, as long as another one fits that is up: by
	// address, by host, or by the first label of the host's name, as a pod has it.
	OutOfService []string
	// Balance is how sessions are spread.
	Balance BalanceOptions
	// Changed, if given, is called when backends have come or gone, or a role, a state, a lag, the health or
	// the hold has changed. It is called from any goroutine, without locks, and must not block. Update and
	// Close do not call it.
	Changed func(*Cluster)
	Socket  engine.SocketOptions
	Health  HealthOptions
	// TLSMode and TLS are for connections to the backends. TLS is nil with TLSDisable; its
	// ServerName may be empty, the backend's host is then meant.
	TLSMode codec.TLSMode
	TLS     *tls.Config
	// Introduce has backends told whose a connection is, by a PROXY header of version 2.
	Introduce bool
	// MaxServerConnections limits the connections of all pools to one backend; 0 = no limit.
	MaxServerConnections int
	// ControlUser may end other users' work on the backends (MySQL's KILL); "" = nobody.
	ControlUser, ControlPassword string
	// Migrate is about sessions that have a server connection of their own.
	Migrate MigrateOptions
}

// HealthOptions say how backends are checked.
type HealthOptions struct {
	Interval, Timeout time.Duration
	Rise, Fall        int
	User              string // for protocols whose check names a user; "" = the protocol's default
}

// Cluster is a set of backends that share data. It is what a Discovery finds backends for.
type Cluster struct {
	name     string
	log      *zap.Logger
	opt      atomic.Pointer[Options]
	secret   atomic.Pointer[func(user string) codec.Secret] // of Options.Migrate, as given last
	apply    sync.Mutex                                     // of Update and Close, around mu
	mu       sync.Mutex                                     // of changes to the backends and the hold
	closed   bool
	backends atomic.Pointer[[]*Backend]
	checkers sync.WaitGroup
	finder   atomic.Pointer[Finder]
	held     atomic.Pointer[hold]
	changes  atomic.Uint64
	drains   map[string]string // under mu: why backends are to be emptied, by address; they may have gone
	unfound  bool              // under mu: the discovery has found nobody yet,
	mourned  bool              // and that was said

	tlsChanges atomic.Uint64
	meter      Meter // under apply; nil: no figures are read
}

// NewCluster makes a cluster and begins to check its backends.
func NewCluster(opt Options, log *zap.Logger) *Cluster {
	c := &Cluster{name: opt.Name, log: log, drains: map[string]string{}}
	c.backends.Store(&[]*Backend{})
	c.Update(opt)
	return c
}

// Name is the cluster's name in the configuration.
func (c *Cluster) Name() string { return c.name }

// Options are the options in force; not to be changed.
func (c *Cluster) Options() *Options { return c.opt.Load() }

// Changes counts what has changed of what Fits, Leads and Held say. As long as it is what it was before they were
// asked, their answers hold.
func (c *Cluster) Changes() uint64 { return c.changes.Load() }

// Backends are the backends in force; not to be changed.
func (c *Cluster) Backends() []*Backend { return *c.backends.Load() }

// Update puts other options in force. Backends that are not in them any more are marked as gone and
// returned; those that stay are untouched. With a Discovery the backends are what it has found, and until
// it has found some, those that were in force. Changed is not called: the caller knows.
func (c *Cluster) Update(opt Options) (gone []*Backend) {
	c.apply.Lock()
	defer c.apply.Unlock()
	_, discovered := c.Discovered()
	if opt.Discovery == nil {
		c.discover(nil) // before the backends, which are not its to change any more
	}
	c.mu.Lock()
	c.noteTLS(&opt)
	c.noteSecrets(&opt)
	if old := c.opt.Swap(&opt); old != nil && old.Status != opt.Status {
		old.Status.close()
	}
	if opt.Discovery == nil {
		gone, _ = c.replace(opt.Backends)
		if discovered {
			c.dropHold(c.held.Load()) // who would have ended it is not there any more
		}
		c.endHoldByLeader()
	}
	c.list()
	c.mu.Unlock()
	if opt.Discovery != nil {
		c.discover(opt.Discovery)
	}
	c.meterBy(opt.Metering)
	return gone
}

// replace puts other backends in force and has those checked that are new. c.mu is held.
func (c *Cluster) replace(specs []Spec) (gone []*Backend, changed bool) {
	old := map[string]*Backend{}
	for _, b := range c.Backends() {
		old[b.addr] = b
	}
	list := make([]*Backend, 0, len(specs))
	in := make(map[string]bool, len(specs))
	var added []*Backend
	for _, s := range specs {
		if in[s.Addr] || s.Leaving && (old[s.Addr] == nil || old[s.Addr].Sessions() <= 0) {
			continue
		}
		in[s.Addr] = true
		b := old[s.Addr]
		if b == nil {
			b = newBackend(c, s)
			c.recall(b)
			added = append(added, b)
		}
		delete(old, s.Addr)
		list = append(list, b)
	}
	for _, b := range old { // before others get their roles
		b.gone.Store(true)
		c.changes.Add(1)
		b.stop()
		gone = append(gone, b)
	}
	changed = assign(list, specs) || len(added)+len(gone) > 0
	c.backends.Store(&list)
	if c.list() {
		changed = true
	}
	for _, b := range added {
		c.checkers.Add(1)
		go func() {
			defer c.checkers.Done()
			c.check(b)
		}()
		if c.Options().Status == nil {
			continue
		}
		c.checkers.Add(1)
		go func() {
			defer c.checkers.Done()
			c.watchStatus(b)
		}()
	}
	return gone, changed
}

// assign gives the backends their new Specs. Those that do not lead come first: at no moment do two lead
// because the one has got its Spec and the other not yet.
func assign(list []*Backend, specs []Spec) (changed bool) {
	byAddr := make(map[string]*Spec, len(specs))
	for i := range specs {
		if s := specs[i]; byAddr[s.Addr] == nil {
			byAddr[s.Addr] = &s
		}
	}
	for _, leading := range []bool{false, true} {
		for _, b := range list {
			s := byAddr[b.addr]
			if leads(s.Role) == leading && !b.spec.Load().same(s) {
				b.spec.Store(s.settled())
				b.cluster.changes.Add(1)
				changed = true
			}
		}
	}
	return changed
}

// Close ends the discovery, marks all backends as gone, returns them, and waits for the checks under way,
// which are cut short.
func (c *Cluster) Close() []*Backend {
	c.apply.Lock()
	defer c.apply.Unlock()
	c.discover(nil)
	c.meterBy(nil)
	c.mu.Lock()
	c.closed = true
	c.dropHold(c.held.Load())
	gone, _ := c.replace(nil)
	c.mu.Unlock()
	c.checkers.Wait()
	c.Options().Status.close()
	return gone
}

// Pick chooses the backend for a session and counts the session in; Release counts it out. tried are
// backends that this session has come from in vain. It returns nil and the reason if none will do.
func (c *Cluster) Pick(want router.Want, tried []*Backend) (*Backend, string) {
	list := c.Backends()
	want.Spread = c.Options().Balance.Spread
	var space [8]router.Backend
	seen, listed := space[:0], false
	for _, b := range list {
		one := b.routed()
		one.Healthy, one.Tried, one.Sessions = b.Health() != Down, contains(tried, b), b.Sessions()
		one.Load = b.load.Load()
		if b.listed.Load() && !one.Drained {
			one.Drained, listed = true, true
		}
		seen = append(seen, one)
	}
	choice := router.Pick(seen, want, rand.Uint64())
	if choice.Index < 0 && listed { // none would be left
		for i, b := range list {
			seen[i].Drained = b.drained.Load() != nil
		}
		choice = router.Pick(seen, want, rand.Uint64())
	}
	if choice.Index < 0 {
		return nil, choice.Reason
	}
	b := list[choice.Index]
	b.sessions.Add(1)
	return b, choice.Reason
}

func contains(list []*Backend, b *Backend) bool {
	for _, x := range list {
		if x == b {
			return true
		}
	}
	return false
}

// TLSConfig returns the TLS configuration for a connection to b, nil with TLSDisable. It belongs to the
// options and not to the cluster so that the mode and the configuration of one connection are always of
// the same reload.
func (o *Options) TLSConfig(b *Backend) *tls.Config {
	cfg := o.TLS
	if cfg == nil || cfg.ServerName != "" {
		return cfg
	}
	cfg = cfg.Clone()
	if host, _, err := net.SplitHostPort(b.addr); err == nil {
		cfg.ServerName = host
	}
	return cfg
}

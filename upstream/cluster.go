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
	// FailoverTimeout is how long a client that shares server connections waits while no backend is fit for
	// it, if that is longer than RetryTimeout. FailoverClients may do so at one time; 0 = no limit.
	FailoverTimeout time.Duration
	FailoverClients int
	// Discovery finds the backends; nil: they are those in Backends.
	Discovery Discovery
	// Changed, if given, is called when backends have come or gone, or a role, a state, a lag or the hold has
	// changed. It is called from any goroutine, without locks, and must not block.
	Changed func(*Cluster)
	Socket  engine.SocketOptions
	Health  HealthOptions
	// TLSMode and TLS are for connections to the backends. TLS is nil with TLSDisable; its
	// ServerName may be empty, the backend's host is then meant.
	TLSMode codec.TLSMode
	TLS     *tls.Config
	// MaxServerConnections limits the connections of all pools to one backend; 0 = no limit.
	MaxServerConnections int
	// ControlUser may end other users' work on the backends (MySQL's KILL); "" = nobody.
	ControlUser, ControlPassword string
}

// HealthOptions say how backends are checked.
type HealthOptions struct {
	Interval, Timeout time.Duration
	Rise, Fall        int
	User              string // for protocols whose check names a user; "" = the protocol's default
}

// Cluster is a set of backends that share data.
type Cluster struct {
	name     string
	log      *zap.Logger
	opt      atomic.Pointer[Options]
	mu       sync.Mutex // of Update and Close
	backends atomic.Pointer[[]*Backend]
	checkers sync.WaitGroup

	tlsChanges atomic.Uint64
}

// NewCluster makes a cluster and begins to check its backends.
func NewCluster(opt Options, log *zap.Logger) *Cluster {
	c := &Cluster{name: opt.Name, log: log}
	c.backends.Store(&[]*Backend{})
	c.Update(opt)
	return c
}

// Name is the cluster's name in the configuration.
func (c *Cluster) Name() string { return c.name }

// Options are the options in force; not to be changed.
func (c *Cluster) Options() *Options { return c.opt.Load() }

// Backends are the backends in force; not to be changed.
func (c *Cluster) Backends() []*Backend { return *c.backends.Load() }

// Update puts other options in force. Backends that are not in them any more are marked as gone and
// returned; those that stay are untouched.
func (c *Cluster) Update(opt Options) (gone []*Backend) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteTLS(&opt)
	c.opt.Store(&opt)
	old := map[string]*Backend{}
	for _, b := range c.Backends() {
		old[b.addr] = b
	}
	list := make([]*Backend, 0, len(opt.Backends))
	var added []*Backend
	for _, s := range opt.Backends {
		b := old[s.Addr]
		if b == nil {
			b = newBackend(c, s)
			added = append(added, b)
		}
		delete(old, s.Addr)
		b.spec.Store(&s)
		list = append(list, b)
	}
	c.backends.Store(&list)
	for _, b := range old {
		b.gone.Store(true)
		b.stop()
		gone = append(gone, b)
	}
	for _, b := range added {
		c.checkers.Add(1)
		go func() {
			defer c.checkers.Done()
			c.check(b)
		}()
	}
	return gone
}

// Close marks all backends as gone, returns them, and waits for the checks under way, which are cut
// short.
func (c *Cluster) Close() []*Backend {
	opt := *c.Options()
	opt.Backends = nil
	gone := c.Update(opt)
	c.checkers.Wait()
	return gone
}

// Pick chooses the backend for a session and counts the session in; Release counts it out. tried are
// backends that this session has come from in vain. It returns nil and the reason if none will do.
func (c *Cluster) Pick(want router.Want, tried []*Backend) (*Backend, string) {
	list := c.Backends()
	var space [8]router.Backend
	seen := space[:0]
	for _, b := range list {
		seen = append(seen, router.Backend{
			Addr:     b.addr,
			Role:     b.spec.Load().Role,
			Healthy:  b.Health() != Down,
			Tried:    contains(tried, b),
			Sessions: b.Sessions(),
		})
	}
	choice := router.Pick(seen, want, rand.Uint64())
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

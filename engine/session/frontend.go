package session

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/router"
	"sluice/upstream"
)

// Settings are what is configured for one listening side. All fields are filled in by the caller.
type Settings struct {
	Name    string
	Listen  string // host:port
	Ports   Ports  // at which it listens, in place of that of Listen; zero: at that
	Cluster string // its name
	Roles   router.Roles
	Zone    string           // backends there go first; "" = no matter
	Tags    []router.TagRule // of the backends
	Lag     router.LagLimits // of the backends that do not lead
	// DrainTimeout is how long sessions may take to a safe point when their backend does not fit any more.
	DrainTimeout time.Duration

	// Namespaces are the tenants, in the order in which they are looked through. Clients of none are led to Cluster.
	Namespaces []Namespace

	Heading     Heading        // whether clients are named by proxies
	HeadingFrom []netip.Prefix // which are believed

	MaxConnections int // clients at a time; 0 = no limit
	Allow, Deny    []netip.Prefix
	IPv6Only       bool
	Backlog        int // 0 = the system's default
	Socket         engine.SocketOptions

	LoginTimeout time.Duration
	IdleTimeout  time.Duration // 0 = none

	TLSMode      codec.TLSMode
	TLS          *tls.Config // nil with TLSDisable
	TLSLeaf      []byte      // the certificate that clients are shown, DER
	TLSMatchUser bool        // the client's certificate must carry the user's name

	RequestLog  bool          // one log line per request
	RequestMin  time.Duration // only for requests that take at least this long
	RequestText int           // bytes of the statement's text in it

	Sharing *Sharing // nil: each client has a server connection of its own

	cluster *upstream.Cluster
	lagging *lagging
	spaces  []*Settings // of the namespaces
	space   *Namespace  // whose settings these are; nil: of clients of none
	tenant  *tenant     // of space
}

// want is what a session asks the router for.
func (set *Settings) want() router.Want {
	return router.Want{Roles: set.Roles, Zone: set.Zone, Tags: set.Tags, Behind: set.lagging.behind()}
}

func (set *Settings) listenOptions(reusePort bool) engine.ListenOptions {
	return engine.ListenOptions{ReusePort: reusePort, IPv6Only: set.IPv6Only, Backlog: set.Backlog}
}

// denial returns why a client at that address may not connect, if it may not.
func (set *Settings) denial(addr netip.Addr) *codec.Error {
	if within(set.Deny, addr) || len(set.Allow) > 0 && !within(set.Allow, addr) {
		return &codec.Error{Cond: codec.HostDenied, Text: "this host is not allowed to connect"}
	}
	return nil
}

// Frontend is a listening side.
type Frontend struct {
	p       *Proxy
	name    string
	set     atomic.Pointer[Settings]
	clients atomic.Int64
	closed  atomic.Bool
	asks    atomic.Pointer[[]asking] // who looks users up

	mu   sync.Mutex          // of looking at open; it changes only under the proxy's lock
	open map[string]*opening // by the address that is configured
}

// Name is the frontend's name in the configuration.
func (fe *Frontend) Name() string { return fe.name }

// Settings are the settings in force; not to be changed.
func (fe *Frontend) Settings() *Settings { return fe.set.Load() }

// lagging is what is known of the lag of the backends for a listener that goes on by those settings.
func (fe *Frontend) lagging(set *Settings) *lagging {
	if old := fe.set.Load(); old != nil && old.cluster == set.cluster {
		return old.lagging
	}
	return &lagging{}
}

// Clients is the number of its client connections.
func (fe *Frontend) Clients() int { return int(fe.clients.Load()) }

// Addr is the address at which it listens, the first of several; nil after its end.
func (fe *Frontend) Addr() net.Addr {
	if list := fe.Addrs(); len(list) > 0 {
		return list[0]
	}
	return nil
}

// Addrs are the addresses at which it listens, in the order of their ports.
func (fe *Frontend) Addrs() []net.Addr {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	list := []net.Addr{}
	for _, o := range fe.open {
		list = append(list, o.ln.Addr())
	}
	slices.SortFunc(list, func(a, b net.Addr) int {
		return cmp.Compare(addrPort(a).Port(), addrPort(b).Port())
	})
	return list
}

// AcceptPauses counts how often accepting rested because descriptors or memory had run out.
func (fe *Frontend) AcceptPauses() (n uint64) {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	for _, o := range fe.open {
		n += o.ln.Pauses()
	}
	return n
}

// listenAt has it listen at openings; those of them that are held go on. Those it had before are the caller's.
func (fe *Frontend) listenAt(open map[string]*opening, held []*opening) {
	fe.mu.Lock()
	fe.open = open
	fe.mu.Unlock()
	for _, o := range held {
		o.give(fe)
	}
}

// detach has it listen no more, and returns the openings it had.
func (fe *Frontend) detach() map[string]*opening {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	open := fe.open
	fe.open = nil
	return open
}

// stopListening closes its listening sockets.
func (fe *Frontend) stopListening() {
	for _, o := range fe.detach() {
		o.ln.Close()
	}
}

// retire ends it. Its openings are the caller's.
func (fe *Frontend) retire() {
	fe.closed.Store(true)
	fe.detach()
}

// close ends it, and its listening sockets.
func (fe *Frontend) close() {
	fe.closed.Store(true)
	fe.stopListening()
}

// refusingMax is how many clients at a time are told why they are refused, over all listeners; more
// are closed without a word. It bounds what a flood can cost.
const refusingMax = 512

// accept makes a session of a new client. It runs on the listener's goroutine.
func (fe *Frontend) accept(nc net.Conn) {
	p, set := fe.p, fe.set.Load()
	p.accepts.Add(1)
	p.clients.Add(1)
	from, in := addrPort(nc.RemoteAddr()), &loggingIn{}
	s := &Session{p: p, fe: fe, set: set, id: p.nextID.Add(1), from: from, cluster: set.cluster,
		opened: engine.Nano(), in: in}
	if len(set.spaces) > 0 || set.Heading != HeadingOff {
		s.origin = &origin{port: addrPort(nc.LocalAddr()).Port()}
	}
	refusal := fe.admit(set, from.Addr())
	switch {
	case refusal == nil && set.believes(from.Addr()):
		in.heading = &heading{} // who the client is will be said there
	case refusal == nil:
		in.refusal = s.enter(false)
	}
	if refusal != nil {
		in.refusal = refusal
		s.refused, s.counted = true, true
		if p.refusing.Add(1) > refusingMax {
			p.turned.Add(1)
			p.clientLeft(s)
			_ = nc.Close()
			return
		}
	}
	if set.RequestLog {
		s.log = p.requests
	}
	_ = set.Socket.Apply(nc) // fails on a socket that is dead already, which its loop will notice
	s.on = p.calmest()
	s.on.loop.Enroll(nc, (*clientSide)(s), func(error) {
		p.turned.Add(1)
		p.loginOver(s)
		p.clientLeft(s)
	})
}

// admit counts a client in, or returns why it is refused. Refused clients are not counted where others
// would have to make room for them.
func (fe *Frontend) admit(set *Settings, from netip.Addr) *codec.Error {
	switch believed := set.believes(from); {
	case believed: // it is the client's address that counts
	case set.Heading == HeadingRequire:
		return &errDirect
	default:
		if e := set.denial(from); e != nil {
			return e
		}
	}
	p, limits := fe.p, fe.p.limits.Load()
	full := &codec.Error{Cond: codec.TooManyConns, Text: "too many connections"}
	if !take(&fe.clients, set.MaxConnections) {
		return full
	}
	if !take(&p.admitted, limits.MaxConnections) {
		fe.clients.Add(-1)
		return full
	}
	if !take(&p.logins, limits.LoginMax) {
		fe.clients.Add(-1)
		p.admitted.Add(-1)
		return full
	}
	return nil
}

// take counts one more, unless that would pass the limit, 0 being none. Two that come at once can't
// refuse each other the last place.
func take(count *atomic.Int64, limit int) bool {
	for {
		n := count.Load()
		if limit > 0 && n >= int64(limit) {
			return false
		}
		if count.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// calmest returns the loop with the fewest connections.
func (p *Proxy) calmest() *loopState {
	best := p.loops[0]
	for _, on := range p.loops[1:] {
		if on.loop.Conns() < best.loop.Conns() {
			best = on
		}
	}
	return best
}

// loginOver counts the session's login out, once.
func (p *Proxy) loginOver(s *Session) {
	if !s.counted {
		s.counted = true
		p.logins.Add(-1)
	}
}

// clientLeft counts a client connection out.
func (p *Proxy) clientLeft(s *Session) {
	p.clients.Add(-1)
	if s.refused {
		p.refusing.Add(-1)
	} else {
		p.admitted.Add(-1)
		s.fe.clients.Add(-1)
	}
	if s.origin != nil && s.origin.tenant != nil {
		s.origin.tenant.clients.Add(-1)
	}
}

// addrPort makes an address of what the net package says; the zero one if it is none.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

package session

import (
	"crypto/tls"
	"net"
	"net/netip"
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
	Cluster string // its name
	Roles   router.Roles
	Zone    string           // backends there go first; "" = no matter
	Tags    []router.TagRule // of the backends
	Lag     router.LagLimits // of the backends that do not lead
	// DrainTimeout is how long sessions may take to a safe point when their backend does not fit any more.
	DrainTimeout time.Duration

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
}

// want is what a session asks the router for.
func (set *Settings) want() router.Want {
	return router.Want{Roles: set.Roles, Zone: set.Zone, Tags: set.Tags, Behind: set.lagging.behind()}
}

// sameSocket tells whether a listening socket that was opened for set will do for other.
func (set *Settings) sameSocket(other *Settings) bool {
	return set.Listen == other.Listen && set.IPv6Only == other.IPv6Only
}

func (set *Settings) listenOptions(reusePort bool) engine.ListenOptions {
	return engine.ListenOptions{ReusePort: reusePort, IPv6Only: set.IPv6Only, Backlog: set.Backlog}
}

// admits tells whether a client at that address may connect.
func (set *Settings) admits(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a prefix holds no address with a zone
	for _, n := range set.Deny {
		if n.Contains(addr) {
			return false
		}
	}
	for _, n := range set.Allow {
		if n.Contains(addr) {
			return true
		}
	}
	return len(set.Allow) == 0
}

// Frontend is a listening side.
type Frontend struct {
	p       *Proxy
	name    string
	set     atomic.Pointer[Settings]
	clients atomic.Int64
	closed  atomic.Bool
	ask     atomic.Pointer[upstream.AuthQuery] // nil: nobody to ask for users
	asked   upstream.AuthQueryOptions          // what ask was made of; under the proxy's lock
	askedOf *upstream.Cluster

	mu   sync.Mutex // of looking at open; it changes only under the proxy's lock
	open *opening
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

// Addr is the address at which it listens, nil after its end.
func (fe *Frontend) Addr() net.Addr {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	if fe.open == nil {
		return nil
	}
	return fe.open.ln.Addr()
}

// AcceptPauses counts how often accepting rested because descriptors or memory had run out.
func (fe *Frontend) AcceptPauses() uint64 {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	if fe.open == nil {
		return 0
	}
	return fe.open.ln.Pauses()
}

// listenAt has it listen at an opening that is held. The one it had before is the caller's.
func (fe *Frontend) listenAt(o *opening) {
	fe.mu.Lock()
	fe.open = o
	fe.mu.Unlock()
	o.give(fe)
}

// detach has it listen no more, and returns the opening it had.
func (fe *Frontend) detach() *opening {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	o := fe.open
	fe.open = nil
	return o
}

// retire ends it, and returns the opening it had.
func (fe *Frontend) retire() *opening {
	fe.closed.Store(true)
	return fe.detach()
}

// close stops listening.
func (fe *Frontend) close() {
	if o := fe.retire(); o != nil {
		o.ln.Close()
	}
}

// refusingMax is how many clients at a time are told why they are refused, over all listeners; more
// are closed without a word. It bounds what a flood can cost.
const refusingMax = 512

// accept makes a session of a new client. It runs on the listener's goroutine.
func (fe *Frontend) accept(nc net.Conn) {
	p, set := fe.p, fe.set.Load()
	p.accepts.Add(1)
	p.clients.Add(1)
	from := addrPort(nc.RemoteAddr())
	refusal := fe.admit(set, from.Addr())
	s := &Session{p: p, fe: fe, set: set, id: p.nextID.Add(1), from: from, cluster: set.cluster,
		opened: engine.Nano(), in: &loggingIn{refusal: refusal}}
	if refusal != nil {
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
	if !set.admits(from) {
		return &codec.Error{Cond: codec.HostDenied, Text: "this host is not allowed to connect"}
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
}

// addrPort makes an address of what the net package says; the zero one if it is none.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

package session

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"sluice/engine"
)

// opening is an open listening socket. It may go from one frontend to another without being closed.
// While it is held, the first client waits at the door, and those behind it in the kernel's queue.
type opening struct {
	ln *engine.Listener
	mu sync.Mutex // held while a client is handed on, and while it is not known who takes the clients
	to *Frontend  // nil if the socket is not to be used after all
}

// newOpening makes an opening that is held.
func newOpening() *opening {
	o := &opening{}
	o.hold()
	return o
}

// hold waits until the client that is being handed on, if any, is with its frontend.
func (o *opening) hold() { o.mu.Lock() }

// give hands the clients of an opening that is held to fe from now on.
func (o *opening) give(fe *Frontend) {
	o.to = fe
	o.mu.Unlock()
}

// abandon closes a new socket that is not to be used after all.
func (o *opening) abandon() {
	o.mu.Unlock()
	o.ln.Close()
}

// setBacklog changes the length of the kernel's queue of clients.
func (o *opening) setBacklog(n int) {
	_ = o.ln.SetBacklog(n) // the socket is open: listen(2) has no reason to refuse
}

// accept is called by the listener.
func (o *opening) accept(nc net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to == nil {
		_ = nc.Close()
		return
	}
	o.to.accept(nc)
}

// socketKey names a listening socket of a frontend by the address that is configured.
type socketKey struct{ frontend, addr string }

// sockets says which listening sockets a setup uses.
type sockets struct {
	kept   map[socketKey]*opening // stay with their frontend
	moved  map[socketKey]*opening // of another frontend, by the one that takes them over
	opened map[socketKey]*opening // new, and held
	left   map[socketKey]*opening // not used any more, by the frontend that they are of
}

// addrs are the addresses of the listening sockets for set.
func (set *Settings) addrs() []string {
	if set.Ports == (Ports{}) {
		return []string{set.Listen}
	}
	host, _, err := net.SplitHostPort(set.Listen)
	if err != nil {
		host = set.Listen
	}
	list := make([]string, 0, int(set.Ports.Last)-int(set.Ports.First)+1)
	for port := int(set.Ports.First); port <= int(set.Ports.Last); port++ {
		list = append(list, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return list
}

// findSockets finds a socket for each address of a setup: one that is open there, whoever has it now, or else
// a new one. If one can't be opened, none is.
func (p *Proxy) findSockets(sets []Settings, limits Limits) (*sockets, error) {
	k := &sockets{kept: map[socketKey]*opening{}, moved: map[socketKey]*opening{},
		opened: map[socketKey]*opening{}, left: map[socketKey]*opening{}}
	for name, fe := range p.frontends {
		for addr, o := range fe.open {
			k.left[socketKey{name, addr}] = o
		}
	}
	// Its own go first: with port 0 several frontends may have the same address.
	for i := range sets {
		set := &sets[i]
		fe := p.frontends[set.Name]
		if fe == nil || fe.set.Load().IPv6Only != set.IPv6Only {
			continue
		}
		for _, addr := range set.addrs() {
			if key := (socketKey{set.Name, addr}); k.left[key] != nil {
				k.kept[key] = k.left[key]
				delete(k.left, key)
			}
		}
	}
	if err := p.findOthers(sets, limits, k); err != nil {
		for _, o := range k.opened {
			o.abandon()
		}
		return nil, err
	}
	return k, nil
}

// findOthers finds the sockets that are not kept. All that can be taken over are, before one is opened.
func (p *Proxy) findOthers(sets []Settings, limits Limits, k *sockets) error {
	type missing struct {
		set  *Settings
		addr string
	}
	var list []missing
	for i := range sets {
		for _, addr := range sets[i].addrs() {
			key := socketKey{sets[i].Name, addr}
			if k.kept[key] == nil && !p.takeOver(&sets[i], addr, k) {
				list = append(list, missing{&sets[i], addr})
			}
		}
	}
	for _, m := range list {
		if err := p.openSocket(m.set, m.addr, limits, k); err != nil {
			return fmt.Errorf("listener %q: %w", m.set.Name, err)
		}
	}
	return nil
}

// install puts settings of fe in force, and has it listen where they say. Clients at an opening that it
// leaves must not meet them: such an opening is held, or closed here.
func (k *sockets) install(fe *Frontend, set *Settings) {
	open, held := map[string]*opening{}, []*opening(nil)
	for key, o := range k.left {
		if key.frontend == set.Name {
			o.ln.Close()
		}
	}
	old := fe.set.Swap(set)
	for _, addr := range set.addrs() {
		key := socketKey{set.Name, addr}
		switch {
		case k.opened[key] != nil:
			open[addr] = k.opened[key]
			held = append(held, open[addr])
		case k.moved[key] != nil:
			open[addr] = k.moved[key]
			open[addr].setBacklog(set.Backlog)
			held = append(held, open[addr])
		default:
			open[addr] = k.kept[key]
			if old.Backlog != set.Backlog {
				open[addr].setBacklog(set.Backlog)
			}
		}
	}
	fe.listenAt(open, held)
}

// takeOver finds a socket for an address of set among those that are left.
func (p *Proxy) takeOver(set *Settings, addr string, k *sockets) bool {
	for key, o := range k.left {
		if key.addr == addr && p.frontends[key.frontend].set.Load().IPv6Only == set.IPv6Only {
			k.moved[socketKey{set.Name, addr}] = o
			delete(k.left, key)
			return true
		}
	}
	return false
}

// openSocket opens a new socket for an address of set. Those that are left are closed only when all new ones
// are open, so that they may be in its way.
func (p *Proxy) openSocket(set *Settings, addr string, limits Limits, k *sockets) error {
	o := newOpening()
	opt := set.listenOptions(limits.ReusePort)
	opt.Failed = func(err error) {
		p.log.Warn("clients can't be accepted", zap.String("address", addr), zap.Error(err))
	}
	ln, err := engine.Listen(addr, opt, o.accept)
	if err == nil {
		o.ln = ln
		k.opened[socketKey{set.Name, addr}] = o
		return nil
	}
	if errors.Is(err, unix.EADDRINUSE) {
		for key, other := range k.left {
			if overlap(addr, set.IPv6Only, p.frontends[key.frontend].set.Load().IPv6Only, other.ln.Addr()) {
				return fmt.Errorf("%w: the address is still in use by this process's own listener %q; "+
					"to change this takes a restart, or two reloads: one that removes the old listener, "+
					"one that adds the new one", err, key.frontend)
			}
		}
	}
	return err
}

// overlap tells whether a socket that is open at that place is in the way of one for addr.
func overlap(addr string, ipv6Only, otherIPv6Only bool, at net.Addr) bool {
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return false
	}
	has, ok := at.(*net.TCPAddr)
	return ok && want.Port == has.Port &&
		(covers(want.IP, ipv6Only, has.IP) || covers(has.IP, otherIPv6Only, want.IP))
}

// covers tells whether a socket at ip, nil being all addresses, takes clients of one at other.
func covers(ip net.IP, ipv6Only bool, other net.IP) bool {
	switch {
	case ip == nil || ip.IsUnspecified() && ip.To4() == nil:
		return !ipv6Only || other.To4() == nil
	case ip.IsUnspecified():
		return other.To4() != nil
	}
	return ip.Equal(other)
}

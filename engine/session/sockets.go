package session

import (
	"errors"
	"fmt"
	"net"
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

// sockets says which listening sockets a setup uses, by names of frontends.
type sockets struct {
	kept   map[string]*opening // stay with their frontend
	moved  map[string]*opening // of another frontend, by the name of the one that takes it over
	opened map[string]*opening // new, and held
	left   map[string]*opening // not used any more, by the name of the frontend it is of
}

// findSockets finds a socket for each frontend of a setup: one that is open at its address, whoever has
// it now, or else a new one. If one can't be opened, none is.
func (p *Proxy) findSockets(sets []Settings, limits Limits) (*sockets, error) {
	k := &sockets{kept: map[string]*opening{}, moved: map[string]*opening{},
		opened: map[string]*opening{}, left: map[string]*opening{}}
	for name, fe := range p.frontends {
		k.left[name] = fe.open
	}
	// Its own goes first: with port 0 several frontends may have the same address.
	for i := range sets {
		set := &sets[i]
		if fe := p.frontends[set.Name]; fe != nil && fe.set.Load().sameSocket(set) {
			k.kept[set.Name] = fe.open
			delete(k.left, set.Name)
		}
	}
	var missing []*Settings
	for i := range sets {
		set := &sets[i]
		if k.kept[set.Name] == nil && !p.takeOver(set, k) {
			missing = append(missing, set)
		}
	}
	for _, set := range missing {
		if err := p.openSocket(set, limits, k); err != nil {
			for _, o := range k.opened {
				o.abandon()
			}
			return nil, fmt.Errorf("listener %q: %w", set.Name, err)
		}
	}
	return k, nil
}

// install puts settings of fe in force, and has it listen where they say. Clients at an opening that it
// leaves must not meet them: such an opening is held, or closed here.
func (k *sockets) install(fe *Frontend, set *Settings) {
	name := set.Name
	if o := k.left[name]; o != nil {
		o.ln.Close()
	}
	old := fe.set.Swap(set)
	switch {
	case k.opened[name] != nil:
		fe.listenAt(k.opened[name])
	case k.moved[name] != nil:
		o := k.moved[name]
		o.setBacklog(set.Backlog)
		fe.listenAt(o)
	case old.Backlog != set.Backlog:
		fe.open.setBacklog(set.Backlog)
	}
}

// takeOver finds a socket for set among those that are left.
func (p *Proxy) takeOver(set *Settings, k *sockets) bool {
	for name, o := range k.left {
		if p.frontends[name].set.Load().sameSocket(set) {
			k.moved[set.Name] = o
			delete(k.left, name)
			return true
		}
	}
	return false
}

// openSocket opens a new socket for set. Those that are left are closed only when all new ones are
// open, so that they may be in its way.
func (p *Proxy) openSocket(set *Settings, limits Limits, k *sockets) error {
	o := newOpening()
	opt := set.listenOptions(limits.ReusePort)
	opt.Failed = func(err error) {
		p.log.Warn("clients can't be accepted", zap.String("address", set.Listen), zap.Error(err))
	}
	ln, err := engine.Listen(set.Listen, opt, o.accept)
	if err == nil {
		o.ln = ln
		k.opened[set.Name] = o
		return nil
	}
	if errors.Is(err, unix.EADDRINUSE) {
		for name, other := range k.left {
			if overlap(set, p.frontends[name].set.Load(), other.ln.Addr()) {
				return fmt.Errorf("%w: the address is still in use by this process's own listener %q; "+
					"to change this takes a restart, or two reloads: one that removes the old listener, "+
					"one that adds the new one", err, name)
			}
		}
	}
	return err
}

// overlap tells whether a socket that is open for other, at that address, is in the way of one for set.
func overlap(set, other *Settings, at net.Addr) bool {
	want, err := net.ResolveTCPAddr("tcp", set.Listen)
	if err != nil {
		return false
	}
	has, ok := at.(*net.TCPAddr)
	return ok && want.Port == has.Port &&
		(covers(want.IP, set.IPv6Only, has.IP) || covers(has.IP, other.IPv6Only, want.IP))
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

package upstream

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"sluice/router"
)

// drainsMax bounds the addresses that a cluster remembers to be drained though no backend has them: those that
// have gone and not come back.
const drainsMax = 1024

// Drain has the backend emptied: it fits nobody any more (Fits says "drained"), and its sessions go elsewhere. That
// holds until Resume, also for a backend that goes and comes back at the same address, as a server does that is
// replaced.
func (b *Backend) Drain(why string) {
	c := b.cluster
	c.mu.Lock()
	was := b.drained.Swap(&why)
	if !c.closed && !b.Gone() {
		c.remember(b.addr, why)
	}
	c.changes.Add(1)
	c.mu.Unlock()
	if was == nil {
		c.tellChanged()
	}
}

// Resume ends what Drain began.
func (b *Backend) Resume() { b.cluster.Resume(b.addr) }

// Drained tells whether the backend is to be emptied, and why: by Drain, or as it stands in
// Options.OutOfService. The latter has no effect on sessions that have no other backend.
func (b *Backend) Drained() (why string, drained bool) {
	if p := b.drained.Load(); p != nil {
		return *p, true
	}
	if b.listed.Load() {
		return "it stands in out-of-service", true
	}
	return "", false
}

// Resume ends a drain by its address, also if no backend has it at present. It tells whether there was one.
func (c *Cluster) Resume(addr string) (was bool) {
	c.mu.Lock()
	_, was = c.drains[addr]
	delete(c.drains, addr)
	for _, b := range c.Backends() {
		if b.addr == addr && b.drained.Swap(nil) != nil {
			was = true
		}
	}
	c.changes.Add(1)
	c.mu.Unlock()
	if was {
		c.tellChanged()
	}
	return was
}

// Drains are the addresses that are drained by order, with why; of backends that have gone too.
func (c *Cluster) Drains() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.drains)
}

// remember keeps a drain for a backend that comes back. c.mu is held.
func (c *Cluster) remember(addr, why string) {
	if _, known := c.drains[addr]; !known && len(c.drains) >= drainsMax {
		here := map[string]bool{}
		for _, b := range c.Backends() {
			here[b.addr] = true
		}
		for old := range c.drains {
			if !here[old] {
				delete(c.drains, old)
				break
			}
		}
	}
	c.drains[addr] = why
}

// recall has a new backend drained if its address was. c.mu is held.
func (c *Cluster) recall(b *Backend) {
	if why, ok := c.drains[b.addr]; ok {
		b.drained.Store(&why)
	}
}

// list marks the backends that stand in Options.OutOfService. c.mu is held.
func (c *Cluster) list() (changed bool) {
	out := c.Options().OutOfService
	for _, b := range c.Backends() {
		in := slices.ContainsFunc(out, b.named)
		if b.listed.Swap(in) != in {
			c.changes.Add(1)
			changed = true
		}
	}
	return changed
}

// named tells whether a word of Options.OutOfService means the backend.
func (b *Backend) named(word string) bool {
	if strings.EqualFold(word, b.addr) {
		return true
	}
	host, _, err := net.SplitHostPort(b.addr)
	switch {
	case err != nil:
		return false
	case strings.EqualFold(strings.Trim(word, "[]"), host):
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false // the first label of an address is no name
	}
	pod, _, _ := strings.Cut(host, ".")
	return strings.EqualFold(word, pod)
}

// Suits tells whether the backend would fit a session that wants w if it were not to be emptied.
func (b *Backend) Suits(w router.Want) bool {
	one := b.spec.Load().routed
	one.Closing = false
	return !b.Gone() && router.Fits(&one, w) == ""
}

// Elsewhere tells whether a backend besides b fits a session that wants w and is not down; those in
// Options.OutOfService don't count.
func (c *Cluster) Elsewhere(w router.Want, b *Backend) bool {
	for _, o := range c.Backends() {
		if o == b || o.listed.Load() || o.Gone() || o.Health() == Down {
			continue
		}
		if one := o.routed(); router.Fits(&one, w) == "" {
			return true
		}
	}
	return false
}

package upstream

import (
	"context"
	"maps"

	"go.uber.org/zap"

	"sluice/router"
)

// Found replaces the backends by those that a discovery has found. Those whose address stays keep their
// health, their sessions and their figures.
func (c *Cluster) Found(backends []Spec) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if c.unfound && len(backends) == 0 { // who was in force before it is so until it has found some
		n := len(c.Backends())
		first := !c.mourned
		c.mourned = true
		c.mu.Unlock()
		if n > 0 && first {
			c.log.Warn("the discovery finds no backend at all: those that were in force stay", zap.String("cluster", c.name), zap.Int("backends", n))
		}
		return
	}
	c.unfound = false
	_, changed := c.replace(backends)
	if c.endHoldByLeader() {
		changed = true
	}
	c.mu.Unlock()
	if changed {
		c.tellChanged()
	}
}

// tellChanged must not be called with a lock of the cluster held.
func (c *Cluster) tellChanged() {
	if f := c.Options().Changed; f != nil {
		f(c)
	}
}

// Refresh looks at once which backends there are, and returns when that is in force or ctx ends. Without
// a discovery there is nothing to look for.
func (c *Cluster) Refresh(ctx context.Context) {
	if f := c.finder.Load(); f != nil {
		(*f).Refresh(ctx)
	}
}

// Hurry asks for a look soon: something speaks for a change that is not known yet. It does not block and
// may be called as often as there is a reason. The status ports are looked at soon too.
func (c *Cluster) Hurry() {
	for _, b := range c.Backends() {
		ask(b.kickStatus)
	}
	if f := c.finder.Load(); f != nil {
		(*f).Hurry()
	}
}

// Discovered is how well the discovery works; false: the cluster has none.
func (c *Cluster) Discovered() (FinderStatus, bool) {
	if f := c.finder.Load(); f != nil {
		return (*f).Status(), true
	}
	return FinderStatus{}, false
}

// discover has opt's discovery at work. c.mu is not held: what is closed here may be about to tell of
// what it found. Only Update and Close call it, one at a time.
func (c *Cluster) discover(d Discovery) {
	old := c.finder.Load()
	if old != nil && d != nil && (*old).Update(d) {
		return
	}
	if old != nil {
		c.finder.Store(nil)
		(*old).Close()
	}
	if d != nil {
		c.mu.Lock()
		c.unfound, c.mourned = true, false
		c.mu.Unlock()
		f := d.Start(c)
		c.finder.Store(&f)
	}
}

// same tells whether nothing has changed between two Specs of one address.
func (s *Spec) same(o *Spec) bool {
	return s.Role == o.Role && s.Zone == o.Zone && s.Name == o.Name && s.State == o.State && s.Out == o.Out &&
		s.NoBalance == o.NoBalance && s.Status == o.Status && s.Leaving == o.Leaving && s.Lag == o.Lag && s.Timeline == o.Timeline && maps.Equal(s.Tags, o.Tags)
}

// leads tells whether a backend in this role has the leader's lock.
func leads(r router.Role) bool { return r == router.Leader || r == router.StandbyLeader }

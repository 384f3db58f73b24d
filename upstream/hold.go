package upstream

import "time"

// hold is why no new work begins on the leader. It ends by itself when its timer fires.
type hold struct {
	why    string
	leader string // the backend that led as it began; "" = none did
	timer  *time.Timer
}

// Hold has no new work begin on the leader, as another one is about to take over: until one does, or
// EndHold, or max is over. A hold while there is one is the same hold: its time does not begin anew. The next
// leader is looked for meanwhile.
func (c *Cluster) Hold(why string, max time.Duration) {
	if c.hold(why, max) {
		c.tellChanged()
		c.Hurry()
	}
}

func (c *Cluster) hold(why string, max time.Duration) (begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.held.Load() != nil {
		return false
	}
	h := &hold{why: why, leader: c.leader()}
	h.timer = time.AfterFunc(max, func() { c.endHold(h) })
	c.held.Store(h)
	c.changes.Add(1)
	return true
}

// EndHold ends the hold, if there is one.
func (c *Cluster) EndHold() {
	if h := c.held.Load(); h != nil {
		c.endHold(h)
	}
}

// Held tells whether new work on the leader has to wait, and why. It costs one load.
func (c *Cluster) Held() (why string, held bool) {
	if h := c.held.Load(); h != nil {
		return h.why, true
	}
	return "", false
}

// endHold ends h, and no hold that has come after it.
func (c *Cluster) endHold(h *hold) {
	c.mu.Lock()
	ended := c.dropHold(h)
	c.mu.Unlock()
	if ended {
		c.tellChanged()
	}
}

// endHoldByLeader ends the hold if another backend leads now than when it began. c.mu is held.
func (c *Cluster) endHoldByLeader() bool {
	h := c.held.Load()
	if h == nil {
		return false
	}
	now := c.leader()
	return now != "" && now != h.leader && c.dropHold(h)
}

// dropHold forgets h, if it is still in force. c.mu is held.
func (c *Cluster) dropHold(h *hold) bool {
	if h == nil || !c.held.CompareAndSwap(h, nil) {
		return false
	}
	c.changes.Add(1)
	h.timer.Stop()
	return true
}

// leader is the address of the backend that leads; "" = none does.
func (c *Cluster) leader() string {
	for _, b := range c.Backends() {
		if leads(b.Role()) {
			return b.addr
		}
	}
	return ""
}

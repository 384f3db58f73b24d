package engine

import "time"

// scanMin and scanMax bound the time between two looks at the connections whose buffered bytes are
// waited for. gnet has no callback for "sent", so they are looked at; after each look without any
// progress the time doubles, so that a client that sleeps for an hour does not keep a loop awake.
const (
	scanMin = time.Millisecond
	scanMax = 16 * time.Millisecond
)

// watch has the connection looked at until its buffered bytes have left.
func (c *Conn) watch() {
	if c.watched {
		return
	}
	c.watched = true
	l := c.loop
	l.watched = append(l.watched, c)
	l.delay = scanMin
	l.scan.Reset(scanMin)
}

// scanWatched looks at the watched connections once. OnRoom may add to the list, so it is taken apart
// from the one that is being filled.
func (l *Loop) scanWatched() {
	list := l.watched
	l.watched = l.spare[:0]
	l.delay = min(2*l.delay, scanMax)
	for i, c := range list {
		list[i] = nil
		progress := c.look()
		if progress {
			l.delay = scanMin
		}
		if c.watched = c.waits(); c.watched {
			l.watched = append(l.watched, c)
		}
	}
	l.spare = list[:0]
	if len(l.watched) > 0 {
		l.scan.Reset(l.delay)
	}
}

// look does what is due on a watched connection and tells whether that was anything.
func (c *Conn) look() (progress bool) {
	if c.writesByHand() {
		was := c.gc.OutboundBuffered()
		_ = c.gc.Flush() // an error has closed the connection
		c.setInterest()
		progress = c.Buffered() < was
	}
	switch {
	case c.phase == phaseFlushing && c.Buffered() == 0:
		c.drain()
	case c.phase == phaseOpen && c.full && c.Buffered() <= c.loop.opt.LowWater:
		c.full = false
		c.h.OnRoom(c)
	default:
		return progress
	}
	return true
}

// waits tells whether a connection has to be watched.
func (c *Conn) waits() bool {
	if c.gc == nil {
		return false
	}
	return c.phase == phaseFlushing || (c.phase == phaseOpen && c.full) || c.writesByHand()
}

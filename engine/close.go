package engine

import (
	"time"

	"golang.org/x/sys/unix"
)

// scanMin and scanMax bound the time between two looks at the connections that wait for room. gnet
// has no callback for "sent", so they are looked at; after each look without any progress the time
// doubles, so that a client that sleeps for an hour does not keep a loop awake.
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
	l.full = append(l.full, c)
	l.delay = scanMin
	l.scan.Reset(scanMin)
}

// scanFull looks at the watched connections once. OnRoom may add to the list, so it is taken apart
// from the one that is being filled.
func (l *Loop) scanFull() {
	list := l.full
	l.full = l.spare[:0]
	n := len(list)
	for i, c := range list {
		list[i] = nil
		if c.stillFull() {
			l.full = append(l.full, c)
		}
	}
	l.spare = list[:0]
	if len(l.full) == 0 {
		return
	}
	if l.delay *= 2; len(l.full) < n {
		l.delay = scanMin
	}
	l.delay = min(l.delay, scanMax)
	l.scan.Reset(l.delay)
}

// stillFull tells whether a watched connection has to be looked at again, and acts if it need not.
func (c *Conn) stillFull() bool {
	limit := c.loop.opt.LowWater
	if c.phase == phaseFlushing {
		limit = 0
	}
	if c.gc != nil && c.phase != phaseDraining && c.gc.OutboundBuffered() > limit {
		return true
	}
	c.watched = false
	if c.gc == nil {
		return false
	}
	switch c.phase {
	case phaseOpen:
		c.full = false
		c.h.OnRoom(c)
	case phaseFlushing:
		c.drain()
	}
	return false
}

// Close ends the connection at once; what is buffered is lost. OnClose follows.
func (c *Conn) Close() {
	if c.gc == nil {
		return
	}
	if c.phase == phaseOpen {
		c.phase = phaseClosed
	}
	_ = c.loop.el.Close(c.gc)
}

// CloseFlushed ends the connection when the peer has had the chance to get what was written: buffered
// bytes are sent, then FIN, then the peer's bytes are dropped until its own FIN. Nothing more can be
// written, and OnData is not called any more. OnClose follows.
func (c *Conn) CloseFlushed() {
	if c.phase != phaseOpen || c.gc == nil {
		return
	}
	if c.tls != nil {
		c.tls.closeNotify()
		if c.gc == nil {
			return
		}
	}
	c.phase = phaseFlushing
	c.deadline = &Timer{Fn: c.Close}
	if c.gc.OutboundBuffered() == 0 {
		c.drain()
		return
	}
	if !c.paused {
		c.paused = true
		c.setInterest()
	}
	c.watch()
	c.loop.Arm(c.deadline, c.loop.opt.FlushTimeout)
}

// drain is the last phase of CloseFlushed: our side is said to be over, the peer's is awaited.
func (c *Conn) drain() {
	c.phase = phaseDraining
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		c.Close()
		return
	}
	c.loop.Arm(c.deadline, c.loop.opt.DrainTimeout)
	if c.paused {
		c.paused = false
		c.setInterest()
		if c.gc.InboundBuffered() > 0 {
			_, _ = c.gc.Next(-1)
		}
	}
}

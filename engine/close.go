package engine

import "golang.org/x/sys/unix"

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

// fail ends the connection for a reason of its own, which OnClose is told.
func (c *Conn) fail(err error) {
	if c.gc != nil && c.phase == phaseOpen {
		c.err = err
	}
	c.Close()
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
	c.deadline = &Timer{Fn: c.closingExpired}
	if c.gc.OutboundBuffered() == 0 {
		c.drain()
		return
	}
	c.setInterest()
	c.watch()
	c.unsent = c.notTaken()
	c.loop.Arm(c.deadline, c.loop.opt.FlushTimeout)
}

// closingExpired ends a phase of closing in which the peer took nothing for the whole time-out. A slow
// peer may take as long as it needs for what was written: only one that stands still is given up.
func (c *Conn) closingExpired() {
	timeout := c.loop.opt.FlushTimeout
	if c.phase == phaseDraining {
		timeout = c.loop.opt.DrainTimeout
	}
	if left := c.notTaken(); left < c.unsent {
		c.unsent = left
		c.loop.Arm(c.deadline, timeout)
		return
	}
	c.Close()
}

// notTaken is the number of written bytes that the peer has not acknowledged: what is buffered here
// and, by SIOCOUTQ of tcp(7), in the kernel.
func (c *Conn) notTaken() int {
	n, err := unix.IoctlGetInt(c.fd, unix.SIOCOUTQ)
	if err != nil {
		n = 0
	}
	return n + c.Buffered()
}

// drain is the last phase of CloseFlushed: our side is said to be over, the peer's is awaited.
func (c *Conn) drain() {
	c.phase = phaseDraining
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		c.Close()
		return
	}
	c.unsent = c.notTaken()
	c.loop.Arm(c.deadline, c.loop.opt.DrainTimeout)
	_ = c.takeInbound()
	c.setInterest()
}

package engine

import (
	"io"
	"net"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Handler hears what happens to a Conn. All calls come on the Conn's loop, and none from inside
// another Handler's call on that loop.
type Handler interface {
	// OnOpen tells that the Conn is on its loop.
	OnOpen(c *Conn)
	// OnData hands over bytes that have come. p is the loop's buffer: valid until OnData returns.
	OnData(c *Conn, p []byte)
	// OnRoom tells that a Conn that was Full has sent enough to be written to again.
	OnRoom(c *Conn)
	// OnClose tells that the Conn has ended, whoever ended it; err is nil after Close and
	// CloseFlushed and when the engine stops, io.EOF (wrapped) after the peer's FIN. It is the last
	// call.
	OnClose(c *Conn, err error)
}

// phase is how far a Conn is from its end; doc.go draws it.
type phase uint8

const (
	phaseOpen phase = iota
	phaseFlushing
	phaseDraining
	phaseClosed
)

// Conn is a connection on a loop. Only its loop may touch it.
type Conn struct {
	loop     *Loop
	gc       gnet.Conn // nil before OnOpen and from the end on: nothing can be written to a descriptor that is not ours any more
	h        Handler
	fd       int
	phase    phase
	paused   bool // the handler wants no OnData
	held     bool // bytes were read that deliver will hand over; until then no more are read
	full     bool // unsent bytes passed the high water mark and OnRoom is due
	broken   bool // a write failed; what the peer said before is still read
	watched  bool // in loop.watched
	enrolled bool // OnOpen came
	tls      *tlsLayer
	unsent   int    // while closing: what the peer had not taken at the last look
	deadline *Timer // of the present phase of closing
	err      error  // for OnClose
	remote   net.Addr

	departure *departure // to another loop, which its end here is then
}

// Loop is the loop on which the connection lives.
func (c *Conn) Loop() *Loop { return c.loop }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// LocalAddr is our own address; nil once the connection has ended.
func (c *Conn) LocalAddr() net.Addr {
	if c.gc == nil {
		return nil
	}
	return c.gc.LocalAddr()
}

// SetHandler gives the connection another handler, from the next call on.
func (c *Conn) SetHandler(h Handler) { c.h = h }

// Open tells that the connection can be read from and written to.
func (c *Conn) Open() bool { return c.gc != nil && c.phase == phaseOpen }

// Full tells that the unsent bytes have passed the high water mark. Who feeds the connection should
// pause until OnRoom; what is written meanwhile is still taken.
func (c *Conn) Full() bool { return c.full }

// Buffered is the number of bytes that were written and are not yet with the kernel.
func (c *Conn) Buffered() int {
	if c.gc == nil {
		return 0
	}
	return c.gc.OutboundBuffered()
}

// opened is the first thing that happens to a connection on its loop.
func (c *Conn) opened(gc gnet.Conn) {
	c.gc, c.fd, c.enrolled = gc, gc.Fd(), true
	c.loop.turns.enter(c)
	c.loop.endEnroll()
	c.h.OnOpen(c)
}

// received takes bytes from the socket.
func (c *Conn) received(p []byte) {
	switch {
	case c.phase != phaseOpen: // Draining: what comes now is no more of interest
	case c.tls != nil:
		c.tls.received(p)
	default:
		c.h.OnData(c, p)
	}
}

// Write sends p, or as much as the kernel takes, and keeps a copy of the rest. On a connection that
// has ended, or is about to, it does nothing.
func (c *Conn) Write(p []byte) {
	if c.phase != phaseOpen || len(p) == 0 {
		return
	}
	if c.tls != nil {
		c.tls.write(p)
		return
	}
	c.writeRaw(p)
}

// writeRaw writes to the socket. The usual case, nothing buffered and the kernel takes all, is one
// plain system call; anything else is left to gnet, but for one: gnet would close the connection at
// once when the peer has reset it, and the last words of a server that gave up would be lost. They are
// in the socket still; reading them goes on, and meets the end behind them.
func (c *Conn) writeRaw(p []byte) {
	if c.gc == nil || c.broken {
		return
	}
	armed := c.gc.OutboundBuffered() > 0
	if !armed {
		n, errno := writeNow(c.fd, p)
		if n == len(p) {
			return
		}
		if errno == unix.EPIPE || errno == unix.ECONNRESET {
			c.broken = true
			return
		}
		p = p[n:]
	}
	_, _ = c.gc.Write(p) // an error has closed the connection: lost was called
	if c.gc == nil {
		return
	}
	if !armed && !c.reads() {
		c.setInterest() // gnet armed reading along with writing
	}
	if !c.full && c.gc.OutboundBuffered() > c.loop.opt.HighWater {
		c.full = true
		c.watch()
	}
}

// writeNow writes what the kernel takes without blocking. A raw system call does not tell the
// scheduler: it saves about 100 ns, and the call never blocks.
func writeNow(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// PauseReads stops OnData until ResumeReads. The peer's FIN is not noticed meanwhile, its RST is.
func (c *Conn) PauseReads() {
	if c.paused || c.gc == nil {
		return
	}
	c.paused = true
	c.loop.pauses++
	c.setInterest()
}

// ResumeReads ends a pause. Bytes that were read before the pause took hold are handed over in a
// later turn, and nothing is read before that.
func (c *Conn) ResumeReads() {
	if !c.paused {
		return
	}
	c.paused = false
	if c.gc == nil {
		return
	}
	c.loop.resumes++
	if c.gc.InboundBuffered() > 0 || (c.tls != nil && c.tls.behind) {
		c.hold()
	}
	c.setInterest()
}

// Paused tells whether reading is paused.
func (c *Conn) Paused() bool { return c.paused }

// hold has the bytes that were read already handed over in a later turn.
func (c *Conn) hold() {
	if !c.held {
		c.held = true
		c.loop.Run(c.deliver)
	}
}

// deliver hands over the bytes that were read and not handed over. If there was another pause
// meanwhile they wait for its end.
func (c *Conn) deliver() {
	c.held = false
	if c.gc == nil || c.paused || c.phase != phaseOpen {
		return
	}
	p := c.takeInbound()
	if len(p) > 0 || c.tls != nil {
		c.received(p)
	}
	c.setInterest()
}

// takeInbound takes the bytes that gnet has read and kept.
func (c *Conn) takeInbound() []byte {
	if c.gc.InboundBuffered() == 0 {
		return nil // Next would give what the socket gave last
	}
	p, _ := c.gc.Next(-1)
	return p
}

// lost takes note of the connection's end. gnet closes the descriptor when this returns.
func (c *Conn) lost(err error) {
	if c.gc == nil {
		return
	}
	c.gc = nil
	c.loop.turns.forget(c)
	if c.departure != nil {
		c.loop.conns.Add(-1)
		c.loop.ended = append(c.loop.ended, c)
		return
	}
	if c.phase == phaseOpen {
		if err == io.EOF { // bare: gnet's word for an error that it did not look at
			err = socketError(c.fd)
		}
		c.err = err
	}
	c.phase = phaseClosed
	if c.deadline != nil {
		c.loop.Disarm(c.deadline)
	}
	if c.tls != nil {
		c.tls.end()
	}
	c.loop.conns.Add(-1)
	c.loop.ended = append(c.loop.ended, c)
}

// socketError is the error of a socket that its peer, or the network, has ended.
func socketError(fd int) error {
	if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
		return unix.Errno(n)
	}
	return unix.ECONNRESET // a write was told before
}

package engine

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Reasons why a connection can't be moved just now.
var (
	errNotOpen  = errors.New("engine: the connection is not open")
	errNotQuiet = errors.New("engine: the connection is paused, or has bytes that were not sent or not handed over")
	errSameLoop = errors.New("engine: the connection is on that loop")
)

// departure is what a connection takes along to another loop.
type departure struct {
	fd     int // a duplicate of its descriptor
	to     *Loop
	h      Handler
	tls    *tlsLayer
	moved  func(*Conn, error)
	remote net.Addr
}

// Move takes an open connection to another loop, where h will be its handler. An error says why it can't
// be moved at present: nothing has happened then, and nothing follows. Otherwise this Conn has come to
// its end without OnClose, and moved follows on the other loop, in place of OnOpen: with the Conn that
// stands for the connection there, or with an error if it was lost on the way. If the engine stops
// meanwhile, nothing follows.
//
// What the peer sends meanwhile waits in the socket, its FIN too. A handshake of TLS must be over; bytes
// that TLS has read ahead go along.
func (c *Conn) Move(to *Loop, h Handler, moved func(*Conn, error)) error {
	switch {
	case !c.Open() || c.broken:
		return errNotOpen
	case c.paused || c.held || c.full || c.Buffered() > 0 || c.gc.InboundBuffered() > 0 ||
		c.tls != nil && !c.tls.ready:
		return errNotQuiet
	case c.loop == to:
		return errSameLoop
	}
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	c.departure = &departure{fd: fd, to: to, h: h, tls: c.tls, moved: moved, remote: c.remote}
	c.phase = phaseClosed
	_ = c.loop.el.Close(c.gc) // the duplicate keeps the socket open
	return nil
}

// leave puts the duplicate on the other loop. It is called when no handler is under way any more on the
// loop that the connection leaves: what a call in progress still has in hand, bytes lent to TLS above
// all, is put away by then. Making a net.Conn of the descriptor, for gnet, takes some system calls: they
// are left to a goroutine.
func (d *departure) leave() {
	d.to.conns.Add(1)
	if d.tls != nil {
		d.tls.behind = true // whatever the call in progress has seen, the end of the stream even
	}
	reuse(func() {
		lost := func(err error) {
			d.to.Run(func() { d.moved(nil, err) })
		}
		nc, err := fdConn(d.fd)
		if err != nil {
			d.to.conns.Add(-1)
			lost(err)
			return
		}
		d.to.enroll(nc, arrival{d}, lost)
	})
}

// arrival is the handler of a connection that comes from another loop, until it is there.
type arrival struct{ *departure }

// OnOpen gives the connection what it had.
func (a arrival) OnOpen(c *Conn) {
	c.h, c.remote = a.h, a.remote
	if t := a.tls; t != nil {
		c.tls, t.c, t.mem.c = t, c, c
	}
	a.moved(c, nil)
	if c.Open() && c.tls != nil && !c.paused {
		c.hold()
		c.setInterest()
	}
}

// Nothing of this comes before OnOpen.

func (arrival) OnData(*Conn, []byte) {}
func (arrival) OnRoom(*Conn)         {}
func (arrival) OnClose(*Conn, error) {}

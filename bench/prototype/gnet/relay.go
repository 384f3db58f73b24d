package main

import (
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Water marks of what is buffered for an end, in bytes: above the high one its peer is not read, below
// the low one it is again. They are those of Sluice.
const (
	highWater = 256 << 10
	lowWater  = 64 << 10
)

// relay is the loop's state. Its methods with gnet's names are called on the loop alone.
type relay struct {
	gnet.BuiltinEventEngine
	client   *gnet.Client
	rawWrite bool

	watched  []*side // those that are waited for
	spare    []*side // storage for watched
	scanning bool    // a scan is due
	poller   int     // gnet's epoll instance; 0 if it was not needed yet
}

// OnOpen is gnet's word that a connection is registered.
func (r *relay) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	s := gc.Context().(*side)
	s.gc, s.opened = gc, true
	if s.peer.over {
		return nil, gnet.Close
	}
	if s.peer.gc != nil && s.peer.paused {
		r.resume(s.peer) // it had spoken already
	}
	return nil, gnet.None
}

// OnTraffic is gnet's word that bytes were read.
func (r *relay) OnTraffic(gc gnet.Conn) gnet.Action {
	s := gc.Context().(*side)
	switch {
	case s.paused:
		// gnet armed reading again after it had sent what was buffered. What it read stays in its
		// buffer, and that it does not happen again the rest is sent by hand.
		s.byHand = true
		r.setMask(s)
	case s.peer.over:
		_, _ = gc.Discard(-1)
	case s.peer.gc == nil:
		r.pause(s) // what was read stays in gnet's buffer
	default:
		r.forward(s)
	}
	return gnet.None
}

// OnClose is gnet's word that a connection ends; it may come from inside a write.
func (r *relay) OnClose(gc gnet.Conn, _ error) gnet.Action {
	s := gc.Context().(*side)
	s.gc, s.over = nil, true
	p := s.peer
	if p.gc == nil {
		return gnet.None
	}
	p.closing = true
	if p.gc.OutboundBuffered() == 0 {
		_ = p.gc.Close() // it only asks for it: the peer may be in the middle of OnTraffic
	} else {
		r.watch(p)
	}
	return gnet.None
}

// forward gives the peer what was read.
func (r *relay) forward(s *side) {
	b, _ := s.gc.Next(-1)
	to := s.peer
	r.write(to, b)
	if to.gc != nil && s.gc != nil && to.gc.OutboundBuffered() > highWater {
		r.pause(s)
	}
}

// write gives a side bytes; gnet copies what the kernel does not take.
func (r *relay) write(to *side, b []byte) {
	if r.rawWrite && len(b) > 0 && to.gc.OutboundBuffered() == 0 {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(to.gc.Fd()), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		if errno == 0 {
			b = b[n:]
		}
	}
	if len(b) > 0 {
		_, _ = to.gc.Write(b) // an error has closed the connection
	}
	if to.gc != nil && to.paused {
		r.setMask(to) // gnet may have armed reading
	}
}

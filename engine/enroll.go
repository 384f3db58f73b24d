package engine

import (
	"context"
	"net"

	"github.com/panjf2000/gnet/v2"
)

// Enroll puts an open socket on the loop: h.OnOpen follows there. It takes nc over. If it can't be
// done, failed is called, on any goroutine, and no handler is. Any goroutine may call Enroll; it does
// not block.
func (l *Loop) Enroll(nc net.Conn, h Handler, failed func(error)) {
	l.conns.Add(1)
	go l.enroll(nc, h, failed)
}

// enroll puts a socket on the loop that was counted already.
func (l *Loop) enroll(nc net.Conn, h Handler, failed func(error)) {
	if err := l.register(nc, h); err != nil {
		l.conns.Add(-1)
		failed(err)
	}
}

// register waits for gnet to register the socket.
func (l *Loop) register(nc net.Conn, h Handler) error {
	if !l.beginEnroll() {
		_ = nc.Close()
		return net.ErrClosed
	}
	defer l.enrolling.Done()
	c := &Conn{loop: l, h: h, remote: nc.RemoteAddr()}
	nc, err := unzoned(nc)
	if err != nil {
		return err
	}
	l.turns.due.Add(1)
	results, err := l.el.Enroll(gnet.NewContext(context.Background(), c), nc)
	if err != nil {
		l.turns.due.Add(-1)
		_ = nc.Close()
		return err
	}
	err = (<-results).Err
	if c.enrolled {
		return nil
	}
	l.turns.due.Add(-1)
	if err == nil {
		err = net.ErrClosed // gnet does not tell why the poller refused it
	}
	return err
}

// beginEnroll asks for leave to use gnet's loop; stop waits for who got it.
func (l *Loop) beginEnroll() bool {
	l.tasks.Lock()
	defer l.tasks.Unlock()
	if l.tasks.stopped {
		return false
	}
	l.enrolling.Add(1)
	return true
}

// unzoned returns a connection whose addresses have no IPv6 zone. When a connection ends, gnet gives
// its zones' bytes to a pool of buffers: but they are those of a string that others use. So a zoned
// connection, which only a link-local address is, gets addresses of its own. It closes nc if it fails.
func unzoned(nc net.Conn) (net.Conn, error) {
	tc, ok := nc.(*net.TCPConn)
	if nc.RemoteAddr() == nil || nc.LocalAddr() == nil { // reset already; gnet needs both
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	if !ok || (zone(tc.RemoteAddr()) == "" && zone(tc.LocalAddr()) == "") {
		return nc, nil
	}
	defer tc.Close()
	f, err := tc.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if nc, err = net.FileConn(f); err != nil {
		return nil, err
	}
	for _, a := range []net.Addr{nc.RemoteAddr(), nc.LocalAddr()} {
		if a, ok := a.(*net.TCPAddr); ok {
			a.Zone = ""
		}
	}
	return nc, nil
}

// zone is the IPv6 zone of a TCP address.
func zone(a net.Addr) string {
	if a, ok := a.(*net.TCPAddr); ok {
		return a.Zone
	}
	return ""
}

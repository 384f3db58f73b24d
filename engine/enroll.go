package engine

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// Enroll puts an open socket on the loop: h.OnOpen follows there. It takes nc over. If it can't be
// done, failed is called, on any goroutine and perhaps before Enroll returns, and no handler is. Any
// goroutine may call Enroll; it does not block.
func (l *Loop) Enroll(nc net.Conn, h Handler, failed func(error)) {
	l.conns.Add(1)
	l.enroll(nc, h, failed)
}

// enroll puts a socket on the loop that was counted already.
func (l *Loop) enroll(nc net.Conn, h Handler, failed func(error)) {
	if err := l.register(nc, h, failed); err != nil {
		l.conns.Add(-1)
		failed(err)
	}
}

// enrolment is a socket that gnet was told to register. That it did is known by OnOpen; a goroutine
// that waits for the answer would be one more to wake for each client. Only for the failures, which are
// rare, the answers are looked through from time to time.
type enrolment struct {
	c       *Conn
	results <-chan gnet.RegisteredResult
	failed  func(error)
}

// enrolLook is the time from an enrolment to the first look whether it has failed.
const enrolLook = 50 * time.Millisecond

// register hands a socket to gnet. If there is an error nothing else will come of it.
func (l *Loop) register(nc net.Conn, h Handler, failed func(error)) error {
	if !l.beginEnroll() {
		_ = nc.Close()
		return net.ErrClosed
	}
	c := &Conn{loop: l, h: h, remote: nc.RemoteAddr()}
	nc, err := unzoned(nc)
	if err != nil {
		l.endEnroll()
		return err
	}
	results, err := l.el.Enroll(gnet.NewContext(context.Background(), c), nc)
	if err != nil {
		l.endEnroll()
		_ = nc.Close()
		return err
	}
	l.enrolments.add(l, enrolment{c, results, failed})
	return nil
}

// beginEnroll asks for leave to tell gnet of a socket; stop waits for who got it. endEnroll follows
// when gnet has done it, or failed.
func (l *Loop) beginEnroll() bool {
	l.tasks.Lock()
	defer l.tasks.Unlock()
	if l.tasks.stopped {
		return false
	}
	l.turns.due.Add(1)
	l.enrolling.Add(1)
	return true
}

func (l *Loop) endEnroll() {
	l.turns.due.Add(-1)
	l.enrolling.Done()
}

// enrolments are those of which nothing was known at the last look.
type enrolments struct {
	sync.Mutex
	list    []enrolment
	timer   *time.Timer // of the next look
	stopped bool        // no look will come
}

// add has an enrolment looked at.
func (e *enrolments) add(l *Loop, one enrolment) {
	e.Lock()
	defer e.Unlock()
	if e.stopped {
		go func() { l.answered(one, <-one.results) }()
		return
	}
	if e.list = append(e.list, one); len(e.list) == 1 {
		e.timer.Reset(enrolLook)
	}
}

// take returns the enrolments about which gnet has answered, or OnOpen has told; the rest is left for
// the next look. Only on the loop.
func (e *enrolments) take() (done []enrolment) {
	e.Lock()
	defer e.Unlock()
	var left []enrolment
	for _, one := range e.list {
		if one.c.enrolled || len(one.results) > 0 {
			done = append(done, one)
		} else {
			left = append(left, one)
		}
	}
	if e.list = left; len(left) > 0 && !e.stopped {
		e.timer.Reset(enrolLook)
	}
	return done
}

// lookAtEnrolments tells of those that gnet could not do.
func (l *Loop) lookAtEnrolments() {
	for _, one := range l.enrolments.take() {
		if !one.c.enrolled {
			l.answered(one, <-one.results)
		}
	}
}

// answered takes gnet's answer about a socket. It is called where OnOpen is known to have come or not
// to come: on the loop, or with the answer, which is behind it.
func (l *Loop) answered(e enrolment, r gnet.RegisteredResult) {
	if e.c.enrolled {
		return
	}
	if r.Err == nil {
		r.Err = net.ErrClosed // gnet does not tell why the poller refused it
	}
	l.endEnroll()
	l.conns.Add(-1)
	e.failed(r.Err)
}

// awaitEnrolments waits for gnet's answers about all sockets that it was told of. No more looks come.
func (l *Loop) awaitEnrolments() {
	e := &l.enrolments
	e.timer.Stop()
	e.Lock()
	list := e.list
	e.list, e.stopped = nil, true
	e.Unlock()
	for _, one := range list {
		l.answered(one, <-one.results)
	}
	l.enrolling.Wait()
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

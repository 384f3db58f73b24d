package engine

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// addLoop gets hold of one more of gnet's loops. gnet gives out no handle on a loop, but each
// connection has one: so one end of a socket pair, the anchor, lives on each loop. gnet's client puts
// a new connection on the loop with the fewest, so each anchor lands on another loop. The other end is
// the loop's bell.
func (e *Engine) addLoop() error {
	near, bell, err := socketPair()
	if err != nil {
		return fmt.Errorf("engine: anchor: %w", err)
	}
	l := newLoop(len(e.loops), &e.opt, bell)
	l.beginEnroll()
	gc, err := e.client.EnrollContext(near, &Conn{loop: l, h: anchor{}})
	if err == nil {
		l.el = gc.EventLoop()
		err = l.findPoller(gc.Fd(), e.loops)
	}
	if err == nil && !e.opt.gnetTurns {
		l.initTurns(gc.Fd())
	}
	if err != nil {
		_ = unix.Close(bell)
		return fmt.Errorf("engine: anchor: %w", err)
	}
	e.loops = append(e.loops, l)
	return nil
}

// findPoller finds the epoll instance of a loop, of which anchor is the first connection.
func (l *Loop) findPoller(anchor int, others []*Loop) (err error) {
	for _, other := range others {
		if other.el == l.el {
			return errors.New("two anchors on one loop")
		}
	}
	l.epfd, err = findPoller(anchor)
	return err
}

// anchor handles the anchors: a byte on one says that tasks are queued.
//
// gnet has a task queue of its own, woken by an eventfd. It is not used: it is drained until empty, so
// a task that submits another one each time would keep the loop from its sockets; it does not keep
// order when it is long; and a task that is submitted while gnet stops is written to a descriptor that
// may be somebody else's by then. A byte on a socket takes its turn among the sockets.
type anchor struct{}

func (anchor) OnOpen(*Conn)             {}
func (anchor) OnData(c *Conn, _ []byte) { c.loop.runTasks() }
func (anchor) OnRoom(*Conn)             {}

// OnClose keeps the count right: anchors are not counted in, but every connection's end is counted.
func (anchor) OnClose(c *Conn, _ error) { c.loop.conns.Add(1) }

// stroke is what is written to a bell; the value does not matter.
var stroke = []byte{1}

// ring wakes the loop to run its tasks. It is called with the tasks' lock held, which keeps it from a
// bell that was closed, and only while no other stroke is under way.
func (l *Loop) ring() bool {
	_, err := unix.Write(l.bell, stroke)
	return err == nil
}

// socketPair returns two connected sockets, one as a net.Conn.
func socketPair() (near net.Conn, far int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, -1, err
	}
	if near, err = fdConn(fds[0]); err != nil {
		_ = unix.Close(fds[1])
		return nil, -1, err
	}
	return near, fds[1], nil
}

// fdConn makes a net.Conn of a socket's descriptor, which it takes over.
func fdConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	return net.FileConn(f)
}

package engine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Engine is a set of event loops. Make one with Start.
type Engine struct {
	opt    Options
	client *gnet.Client
	loops  []*Loop
	pairs  []net.Conn // the far ends of the anchors
}

// Start starts the loops. They run until Stop.
func Start(opt Options) (*Engine, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	e := &Engine{opt: opt}
	client, err := gnet.NewClient(&events{},
		gnet.WithNumEventLoop(opt.Loops),
		gnet.WithMulticore(opt.Loops > 1),
		gnet.WithLockOSThread(opt.LockThreads),
		gnet.WithReadBufferCap(opt.ReadBuffer),
		gnet.WithTicker(false),
		gnet.WithLogger(quiet{opt.Logger}))
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e.client = client
	if err := client.Start(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	for len(e.loops) < opt.Loops {
		if err := e.addLoop(); err != nil {
			e.Stop()
			return nil, err
		}
	}
	return e, nil
}

// addLoop gets hold of one more of gnet's loops. gnet gives out no handle on a loop, but each
// connection has one: so one end of a socket pair, the anchor, lives on each loop. gnet's client puts
// a new connection on the loop with the fewest, so each anchor lands on another loop.
func (e *Engine) addLoop() error {
	near, far, err := socketPair()
	if err != nil {
		return fmt.Errorf("engine: anchor: %w", err)
	}
	e.pairs = append(e.pairs, far)
	l := &Loop{id: len(e.loops), opt: &e.opt}
	a := &Conn{loop: l, h: anchor{}}
	gc, err := e.client.EnrollContext(near, a)
	if err != nil {
		return fmt.Errorf("engine: anchor: %w", err)
	}
	l.el = gc.EventLoop()
	for _, other := range e.loops {
		if other.el == l.el {
			return errors.New("engine: two anchors on one loop")
		}
	}
	if l.epfd, err = findPoller(gc.Fd()); err != nil {
		return err
	}
	l.init()
	e.loops = append(e.loops, l)
	return nil
}

// Loops returns the loops; the slice is not to be changed.
func (e *Engine) Loops() []*Loop { return e.loops }

// Stop ends all loops and with them every connection, at once. No handler is called any more once it
// has returned.
func (e *Engine) Stop() {
	for _, l := range e.loops {
		l.stop()
	}
	_ = e.client.Stop()
	for _, c := range e.pairs {
		_ = c.Close()
	}
}

// socketPair returns two connected sockets as net.Conns.
func socketPair() (near, far net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if near, err = fdConn(fds[0]); err != nil {
		_ = unix.Close(fds[1])
		return nil, nil, err
	}
	if far, err = fdConn(fds[1]); err != nil {
		_ = near.Close()
		return nil, nil, err
	}
	return near, far, nil
}

// fdConn makes a net.Conn of a socket's descriptor, which it takes over.
func fdConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	return net.FileConn(f)
}

// anchor handles the anchors, on which nothing happens.
type anchor struct{}

func (anchor) OnOpen(*Conn)         {}
func (anchor) OnData(*Conn, []byte) {}
func (anchor) OnRoom(*Conn)         {}
func (anchor) OnClose(*Conn, error) {}

// events turns gnet's callbacks into those of the Conn's Handler.
type events struct{ gnet.BuiltinEventEngine }

// OnOpen is gnet's word that the connection is registered with its loop.
func (*events) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	c := gc.Context().(*Conn)
	c.loop.enter()
	c.opened(gc)
	c.loop.leave()
	return nil, gnet.None
}

// OnTraffic is gnet's word that bytes were read.
func (*events) OnTraffic(gc gnet.Conn) gnet.Action {
	c := gc.Context().(*Conn)
	if c.paused {
		// Bytes that were under way when the pause began, or gnet armed reading again after it
		// had sent what was buffered. They stay in gnet's buffer until the pause ends.
		c.setInterest()
		return gnet.None
	}
	c.loop.enter()
	p, _ := gc.Next(-1)
	c.received(p)
	c.loop.leave()
	return gnet.None
}

// OnClose is gnet's word that the connection ends; it may come from inside a Write.
func (*events) OnClose(gc gnet.Conn, err error) gnet.Action {
	c := gc.Context().(*Conn)
	c.loop.enter()
	c.lost(err)
	c.loop.leave()
	return gnet.None
}

// quiet passes on gnet's errors only: its other lines tell what the handlers know already, or, like
// the warning about an event for a descriptor that was closed in the same turn, of nothing amiss.
type quiet struct{ l Logger }

func (quiet) Debugf(string, ...any) {}
func (quiet) Infof(string, ...any)  {}
func (quiet) Warnf(string, ...any)  {}
func (q quiet) Errorf(format string, args ...any) {
	if q.l != nil {
		q.l.Errorf("gnet: "+format, args...)
	}
}
func (q quiet) Fatalf(format string, args ...any) { q.Errorf(format, args...) }

// base is the origin of Nano's clock.
var base = time.Now()

// Nano is a monotonic clock in nanoseconds since the process began. It costs about 25 ns.
func Nano() int64 { return int64(time.Since(base)) }

package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Engine is a set of event loops. Make one with Start.
type Engine struct {
	opt    Options
	client *gnet.Client
	loops  []*Loop
	stop   sync.Once
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

// Loops returns the loops; the slice is not to be changed.
func (e *Engine) Loops() []*Loop { return e.loops }

// Stop ends all loops and with them every connection, at once. No handler is called any more once it
// has returned. It waits for the loops, so it must not be called on one.
func (e *Engine) Stop() {
	e.stop.Do(func() {
		for _, l := range e.loops {
			l.stop()
		}
		_ = e.client.Stop() // a second call would close descriptors that are not gnet's any more
		for _, l := range e.loops {
			_ = unix.Close(l.bell)
		}
	})
}

// events turns gnet's callbacks into those of the Conn's Handler.
type events struct{ gnet.BuiltinEventEngine }

// OnOpen is gnet's word that the connection is registered with its loop.
func (*events) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	c := gc.Context().(*Conn)
	c.loop.called()
	c.opened(gc)
	c.loop.leave()
	return nil, gnet.None
}

// OnTraffic is gnet's word that bytes were read.
func (*events) OnTraffic(gc gnet.Conn) gnet.Action {
	c := gc.Context().(*Conn)
	if !c.reads() {
		// gnet armed reading again after it had sent what was buffered. What it read stays in
		// its buffer until the pause ends.
		c.setInterest()
		return gnet.None
	}
	c.loop.called()
	p, _ := gc.Next(-1)
	c.received(p)
	c.loop.leave()
	if c.loop.turns.on {
		c.loop.goOn()
	}
	return gnet.None
}

// OnClose is gnet's word that the connection ends; it may come from inside a Write.
func (*events) OnClose(gc gnet.Conn, err error) gnet.Action {
	c := gc.Context().(*Conn)
	c.loop.called()
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

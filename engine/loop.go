package engine

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// Loop is one event loop. Its connections, timers and tasks all run on it, one after the other.
type Loop struct {
	id   int
	opt  *Options
	el   gnet.EventLoop
	epfd int // gnet's epoll instance

	// Data is for the loop's user: whatever belongs to this loop and needs no lock.
	Data any

	conns atomic.Int64 // enrolled and on their way; for the choice of a loop, from anywhere

	tasks struct {
		sync.Mutex
		queue   []func()
		spare   []func() // the slice that ran last, to be filled next
		queued  bool     // gnet was asked to run the queue
		stopped bool
	}
	runner gnet.Runnable

	depth int     // handlers under way
	ended []*Conn // whose OnClose is due once depth is 0

	full  []*Conn // Full, or Flushing: to be looked at until they have room
	spare []*Conn // what full was at the last scan, to be filled at the next
	scan  *time.Timer
	delay time.Duration // until the next scan

	wheel   wheel
	plain   []byte // what TLS connections decrypt into; made at the first one
	cipher  []byte // what they encrypt into
	pauses  uint64
	resumes uint64
	turns   uint64
}

// init makes what needs the loop to be complete.
func (l *Loop) init() {
	l.runner = runnable{l}
	l.delay = scanMin
	l.scan = time.AfterFunc(time.Hour, func() { l.Run(l.scanFull) })
	l.scan.Stop()
	l.wheel.init(l)
}

// runnable lets gnet run the loop's own task queue.
type runnable struct{ l *Loop }

func (r runnable) Run(context.Context) error { r.l.runTasks(); return nil }

// ID is the loop's number, from 0.
func (l *Loop) ID() int { return l.id }

// Conns is the number of connections that live on the loop or are about to. Any goroutine may ask.
func (l *Loop) Conns() int { return int(l.conns.Load()) }

// Counts are figures about a loop since its start.
type Counts struct {
	Pauses, Resumes uint64 // of reading, by back-pressure
	Turns           uint64 // events handled
	Full            int    // connections that are over their high water mark now
	Timers          int    // timers that are armed now
}

// Counts returns the loop's figures. Only on the loop.
func (l *Loop) Counts() Counts {
	return Counts{l.pauses, l.resumes, l.turns, len(l.full), l.wheel.armed}
}

// Run has f called on the loop, after everything that was given to Run before. It may be called from
// anywhere and never blocks; on the loop itself too, f then runs in a later turn. After Stop f is
// dropped and the result is false.
func (l *Loop) Run(f func()) bool {
	t := &l.tasks
	t.Lock()
	if t.stopped {
		t.Unlock()
		return false
	}
	t.queue = append(t.queue, f)
	wake := !t.queued
	t.queued = true
	t.Unlock()
	if wake {
		return l.el.Execute(context.Background(), l.runner) == nil
	}
	return true
}

// runTasks runs what is queued now; what these tasks queue in turn waits for the next turn, so that
// tasks can't keep the loop from its sockets. gnet's own queue would: it is drained until empty, and
// it does not keep order when it is long.
func (l *Loop) runTasks() {
	t := &l.tasks
	t.Lock()
	run := t.queue
	t.queue = t.spare[:0]
	t.spare = nil
	t.Unlock()

	l.enter()
	for i, f := range run {
		f()
		run[i] = nil
	}
	l.leave()

	t.Lock()
	t.spare = run[:0]
	again := len(t.queue) > 0 && !t.stopped
	t.queued = again
	t.Unlock()
	if again {
		_ = l.el.Execute(context.Background(), l.runner)
	}
}

// stop refuses further tasks and timers.
func (l *Loop) stop() {
	l.tasks.Lock()
	l.tasks.stopped = true
	l.tasks.queue = nil
	l.tasks.Unlock()
	if l.scan != nil {
		l.scan.Stop()
	}
}

// enter and leave frame each call of a handler; the last leave tells of the connections that ended
// meanwhile.
func (l *Loop) enter() {
	l.depth++
	l.turns++
}

func (l *Loop) leave() {
	if l.depth > 1 || len(l.ended) == 0 {
		l.depth--
		return
	}
	for i := 0; i < len(l.ended); i++ { // grows while it is walked
		c := l.ended[i]
		l.ended[i] = nil
		c.h.OnClose(c, c.err)
	}
	l.ended = l.ended[:0]
	l.depth--
}

// Enroll puts an open socket on the loop: h.OnOpen follows there. It takes nc over. If it can't be
// done, failed is called, on any goroutine, and no handler is. Any goroutine may call Enroll; it does
// not block.
func (l *Loop) Enroll(nc net.Conn, h Handler, failed func(error)) {
	l.conns.Add(1)
	go l.enroll(nc, h, failed)
}

// enroll waits for gnet to register the socket.
func (l *Loop) enroll(nc net.Conn, h Handler, failed func(error)) {
	c := &Conn{loop: l, h: h}
	results, err := l.el.Enroll(gnet.NewContext(context.Background(), c), nc)
	if err == nil {
		err = (<-results).Err
	} else {
		_ = nc.Close()
	}
	if err == nil && !c.enrolled {
		err = net.ErrClosed // gnet does not tell why the poller refused it
	}
	if err != nil {
		l.conns.Add(-1)
		failed(err)
	}
}

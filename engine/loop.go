package engine

import (
	"context"
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
	bell int // a byte written to it has the tasks run

	// Data is for the loop's user: whatever belongs to this loop and needs no lock.
	Data any

	conns      atomic.Int64   // enrolled and on their way; for the choice of a loop, from anywhere
	enrolling  sync.WaitGroup // sockets that gnet is registering
	enrolments enrolments
	tasks      tasks
	ctx        context.Context // of dials; ends with the loop
	cancel     context.CancelFunc

	depth int     // handlers under way
	now   int64   // Nano, once asked for in this batch of events; 0: not yet
	ended []*Conn // whose OnClose is due once depth is 0

	watched []*Conn // whose buffered bytes are waited for
	spare   []*Conn // what watched was at the last scan, to be filled at the next
	scan    *time.Timer
	delay   time.Duration // until the next scan

	turns   turns
	wheel   wheel
	plain   []byte // what TLS connections decrypt into; made at the first one
	cipher  []byte // what they encrypt into; empty between calls
	pauses  uint64
	resumes uint64
	events  uint64
}

// newLoop makes a Loop that has yet to be given gnet's.
func newLoop(id int, opt *Options, bell int) *Loop {
	l := &Loop{id: id, opt: opt, bell: bell, delay: scanMin}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	look := l.scanWatched
	l.scan = time.AfterFunc(time.Hour, func() { l.Run(look) })
	l.scan.Stop()
	failures := l.lookAtEnrolments
	l.enrolments.timer = time.AfterFunc(time.Hour, func() { l.Run(failures) })
	l.enrolments.timer.Stop()
	l.wheel.init(func(advance func()) { l.Run(advance) })
	return l
}

// ID is the loop's number, from 0.
func (l *Loop) ID() int { return l.id }

// Conns is the number of connections that live on the loop or are about to. Any goroutine may ask.
func (l *Loop) Conns() int { return int(l.conns.Load()) }

// Counts are figures about a loop since its start.
type Counts struct {
	Pauses, Resumes uint64 // reads paused and resumed
	Turns           uint64 // events handled
	Full            int    // connections whose buffered bytes are waited for now
	Timers          int    // timers that are armed now
}

// Counts returns the loop's figures. Only on the loop.
func (l *Loop) Counts() Counts {
	return Counts{l.pauses, l.resumes, l.events, len(l.watched), l.wheel.armed}
}

// Now is Nano as of the batch of events that the loop is at: it is read once for all of them, and does
// not move while a handler runs. Only on the loop.
func (l *Loop) Now() int64 {
	if l.now == 0 {
		l.now = Nano()
	}
	return l.now
}

// called is enter for a call of gnet's, whose batches are not known: the clock is read anew.
func (l *Loop) called() {
	if l.depth == 0 {
		l.now = 0
	}
	l.enter()
}

// enter and leave frame each call of a handler; the last leave tells of the connections that ended
// meanwhile.
func (l *Loop) enter() {
	l.depth++
	l.events++
}

func (l *Loop) leave() {
	if l.depth > 1 || len(l.ended) == 0 {
		l.depth--
		return
	}
	for i := 0; i < len(l.ended); i++ { // grows while it is walked
		c := l.ended[i]
		l.ended[i] = nil
		if c.departure != nil {
			c.departure.leave()
			continue
		}
		c.h.OnClose(c, c.err)
	}
	l.ended = l.ended[:0]
	l.depth--
}

package pool

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// real is loops that are goroutines, with the clock of the machine: for what a simulation can't show.
type real struct {
	t     testing.TB
	loops []*realLoop
	start time.Time
	open  atomic.Int32 // connections as the server sees them
	most  int32        // that there may be
	moves atomic.Int64
}

type realLoop struct {
	r     *real
	id    int
	now   int64 // of this turn
	mu    sync.Mutex
	tasks []func()
	rings atomic.Bool
	part  *Part
}

// realConn is a server connection; only the loop that it lives on touches it, or -race tells.
type realConn struct {
	Entry
	loop   *realLoop
	held   bool
	closed bool
}

func newReal(t testing.TB, loops int, opt *Options) (*real, *Pool) {
	r := &real{t: t, start: time.Now(), most: int32(opt.Size)}
	p := NewGroup(loops).Pool(Key{Backend: "b"}, opt)
	for i := range loops {
		r.loops = append(r.loops, &realLoop{r: r, id: i, now: 1})
	}
	for i, l := range r.loops {
		l.part = p.Part(i, l)
	}
	return r, p
}

// turn runs what other loops, and timers, have sent.
func (l *realLoop) turn() {
	l.now = int64(time.Since(l.r.start)) + 1
	if !l.rings.Load() {
		return
	}
	l.mu.Lock()
	tasks := l.tasks
	l.tasks = nil
	l.rings.Store(false)
	l.mu.Unlock()
	for _, f := range tasks {
		f()
	}
}

func (l *realLoop) run(f func()) {
	l.mu.Lock()
	l.tasks = append(l.tasks, f)
	l.rings.Store(true)
	l.mu.Unlock()
}

func (l *realLoop) Connect(*Part) *Entry {
	if n := l.r.open.Add(1); n > l.r.most {
		l.r.t.Errorf("%d connections of %d", n, l.r.most)
	}
	c := &realConn{loop: l}
	c.User = c
	l.run(func() { l.part.Connected(&c.Entry) })
	return &c.Entry
}

func (l *realLoop) lost(c *realConn) {
	c.closed = true
	l.r.open.Add(-1)
	l.part.Lost(&c.Entry)
}

func (l *realLoop) Close(e *Entry, _ string) {
	c := e.User.(*realConn)
	l.run(func() { l.lost(c) })
}

func (l *realLoop) Check(e *Entry) { l.run(func() { l.part.Checked(e, true) }) }

func (l *realLoop) Move(e *Entry, loop int) bool {
	c, to := e.User.(*realConn), l.r.loops[loop]
	l.r.moves.Add(1)
	to.run(func() {
		c.loop = to
		to.part.Arrived(e)
	})
	return true
}

func (l *realLoop) Now() int64 { return l.now }

func (l *realLoop) Run(loop int, f func()) { l.r.loops[loop].run(f) }

func (l *realLoop) After(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, func() { l.run(f) })
	return func() { t.Stop() }
}

// worker uses a pool: it gets, holds for some turns, and puts.
type worker struct {
	l      *realLoop
	waiter Waiter
	waits  bool
	has    *realConn
	turns  int
	served int
	last   *Entry // that it had; perhaps another loop's by now
	uses   uint64
}

func newWorker(l *realLoop) *worker {
	w := &worker{l: l}
	w.waiter.Grant = func(e *Entry) { w.waits = false; w.hold(e) }
	w.waiter.Fail = func(err error) {
		w.waits = false
		if !errors.Is(err, ErrDisabled) {
			l.r.t.Error(err)
		}
	}
	return w
}

func (w *worker) hold(e *Entry) {
	w.has = e.User.(*realConn)
	if w.has.held || w.has.closed || w.has.loop != w.l {
		w.l.r.t.Error("handed out twice, after its end, or on another loop")
	}
	w.has.held = true
	w.last, w.uses = e, e.Uses
	w.served++
}

func (w *worker) put() {
	c := w.has
	c.held, w.has = false, nil
	w.l.part.Put(&c.Entry)
}

// act is what the worker does in a turn.
func (w *worker) act(dice *rand.Rand, over bool) (busy bool) {
	switch {
	case w.waits:
		return true
	case w.has != nil:
		if w.turns--; w.turns > 0 {
			return true
		}
		if c := w.has; dice.IntN(200) == 0 {
			w.has = nil
			w.l.lost(c)
			return true
		}
		w.put()
	case !over && dice.IntN(4) == 0:
		w.turns = dice.IntN(20)
		if w.last != nil && w.l.part.GetSame(w.last, w.uses) {
			w.hold(w.last)
			return true
		}
		w.waits = true
		if e := w.l.part.Get(&w.waiter); e != nil {
			w.waits = false
			w.hold(e)
		}
	default:
		return false
	}
	return true
}

// TestLoopsAtOnce has real loops use one pool at once. Nobody is forgotten, no connection has two users,
// and there are never more than Size. Once with operators who pause, reconnect and disable it and with all
// time-outs; once without any of this, so that nothing but the pool itself can wake who waits.
func TestLoopsAtOnce(t *testing.T) {
	busy := &Options{Size: 5, IdleTimeout: 5 * time.Millisecond, CheckAfter: 100 * time.Microsecond,
		Lifetime: 20 * time.Millisecond}
	for _, loops := range []int{1, 2, 4} {
		together(t, loops, busy, operate)
		for range 4 {
			together(t, loops, &Options{Size: 3}, func(*Pool, int) {})
		}
	}
}

func together(t *testing.T, loops int, opt *Options, operate func(p *Pool, n int)) {
	const workers, each = 10, 150
	r, p := newReal(t, loops, opt)
	var left atomic.Int32
	var loopsDone sync.WaitGroup
	deadline := time.Now().Add(2 * time.Minute)
	left.Store(int32(loops))
	for i, l := range r.loops {
		loopsDone.Go(func() {
			dice := rand.New(rand.NewPCG(7, uint64(i)))
			var ws []*worker
			for range workers {
				ws = append(ws, newWorker(l))
			}
			for done := false; left.Load() > 0; {
				l.turn()
				busy, served := false, 0
				for _, w := range ws {
					busy = w.act(dice, w.served >= each) || busy
					served += min(w.served, each)
				}
				if !done && !busy && served == workers*each {
					done = true
					left.Add(-1)
				}
				if time.Now().After(deadline) {
					t.Errorf("somebody is never served: %v", l.part)
					return
				}
				runtime.Gosched() // others may have what it waits for
			}
		})
	}
	for n := 0; left.Load() > 0 && time.Now().Before(deadline); n++ {
		operate(p, n)
		<-time.After(100 * time.Microsecond)
	}
	p.Resume()
	p.Enable()
	loopsDone.Wait()
	if loops > 1 && r.moves.Load() == 0 {
		t.Error("no connection was moved")
	}
}

// operate turns a knob and turns it back.
func operate(p *Pool, n int) {
	switch n % 7 {
	case 0:
		p.Pause()
	case 1, 3:
		p.Resume()
		p.Enable()
	case 2:
		p.Disable(nil)
	case 4:
		p.Reconnect()
	}
}

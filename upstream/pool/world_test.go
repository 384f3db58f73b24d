package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is some loops with a clock of their own, and servers that do what the test wants: everything is
// decided by a seed. Loops take turns at tasks, so that whatever crosses loops comes late, in any order.
type world struct {
	t       testing.TB
	rnd     *rand.Rand
	now     int64
	loops   []*fakeLoop
	group   *Group
	open    map[*Pool]int // connections as the servers see them
	peak    map[*Pool]int
	conns   map[*conn]struct{}
	clients []*client
	opens   int
	closed  map[string]int // by reason

	connect   func(c *conn)   // begins a connection; nil = it is left to the test
	ends      func(c *conn)   // ends one that is closed; nil = soon
	held      func(c *client) // hears of each client that gets a connection; nil = nobody
	unmovable bool
	moves     int
}

// fakeLoop runs tasks and timers.
type fakeLoop struct {
	w      *world
	id     int
	tasks  []func()
	timers map[*fakeTimer]struct{}
}

type fakeTimer struct {
	due int64
	f   func()
}

// hooks are those of one part.
type hooks struct {
	on   *fakeLoop
	pool *Pool
}

// conn is a server connection.
type conn struct {
	Entry
	pool    *Pool
	phase   string // opening, idle, used, checking, moving, closing, closed
	loop    int
	bornOld uint32
}

var errServer = errors.New("server is down")

func newWorld(t testing.TB, seed uint64, loops int) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), now: 1, group: NewGroup(loops),
		open: map[*Pool]int{}, peak: map[*Pool]int{}, conns: map[*conn]struct{}{}, closed: map[string]int{}}
	for i := range loops {
		w.loops = append(w.loops, &fakeLoop{w: w, id: i, timers: map[*fakeTimer]struct{}{}})
	}
	w.connect = func(c *conn) { w.later(c.loop, func() { w.connected(c) }) }
	return w
}

// later has f run on a loop, behind what waits there.
func (w *world) later(loop int, f func()) {
	w.loops[loop].tasks = append(w.loops[loop].tasks, f)
}

// part returns the pool's part on a loop.
func (w *world) part(p *Pool, loop int) *Part {
	return p.Part(loop, &hooks{w.loops[loop], p})
}

func (h *hooks) Connect(p *Part) *Entry {
	w := h.on.w
	c := &conn{pool: h.pool, phase: "opening", loop: h.on.id, bornOld: h.pool.epoch.Load()}
	c.User = c
	w.conns[c] = struct{}{}
	w.opens++
	w.open[h.pool]++
	w.peak[h.pool] = max(w.peak[h.pool], w.open[h.pool])
	w.later(h.on.id, func() {
		if c.phase == "opening" {
			w.connect(c)
		}
	})
	return &c.Entry
}

// connected is the server's yes, refused its no.
func (w *world) connected(c *conn) {
	if c.phase == "opening" {
		c.phase = "idle"
		w.part(c.pool, c.loop).Connected(&c.Entry)
	}
}

func (w *world) refused(c *conn) {
	if c.phase == "opening" {
		w.gone(c)
		w.part(c.pool, c.loop).ConnectFailed(&c.Entry, errServer)
	}
}

// gone takes a connection from the server.
func (w *world) gone(c *conn) {
	c.phase = "closed"
	delete(w.conns, c)
	w.open[c.pool]--
}

// lost is a connection's end, whoever ended it.
func (w *world) lost(c *conn) {
	if c.phase != "closed" {
		w.gone(c)
	}
	w.part(c.pool, c.loop).Lost(&c.Entry)
}

func (h *hooks) Close(e *Entry, why string) {
	c, w := e.User.(*conn), h.on.w
	if c.phase != "idle" {
		w.t.Fatalf("Close(%q) of a connection that is %s", why, c.phase)
	}
	w.closed[why]++
	c.phase = "closing"
	if w.ends != nil {
		w.ends(c)
		return
	}
	if w.rnd.IntN(4) == 0 { // at once
		w.lost(c)
		return
	}
	w.later(c.loop, func() { w.lost(c) })
}

func (h *hooks) Check(e *Entry) {
	c, w := e.User.(*conn), h.on.w
	if c.phase != "idle" {
		w.t.Fatalf("Check of a connection that is %s", c.phase)
	}
	c.phase = "checking"
	w.later(c.loop, func() {
		if c.phase == "checking" {
			c.phase = "idle"
			w.part(c.pool, c.loop).Checked(e, w.rnd.IntN(4) > 0)
		}
	})
}

func (h *hooks) Move(e *Entry, loop int) bool {
	c, w := e.User.(*conn), h.on.w
	if c.phase != "idle" || c.loop != h.on.id {
		w.t.Fatalf("Move on loop %d of a connection that is %s on %d", h.on.id, c.phase, c.loop)
	}
	if w.unmovable {
		return false
	}
	w.moves++
	c.phase = "moving"
	w.later(loop, func() {
		c.loop = loop
		if c.phase == "moving" {
			c.phase = "idle"
			w.part(c.pool, loop).Arrived(e)
		}
	})
	return true
}

func (h *hooks) Now() int64 { return h.on.w.now }

func (h *hooks) Run(loop int, f func()) { h.on.w.later(loop, f) }

func (h *hooks) After(d time.Duration, f func()) (stop func()) {
	if d <= 0 {
		h.on.w.t.Fatalf("After(%v)", d)
	}
	t := &fakeTimer{h.on.w.now + int64(d), f}
	h.on.timers[t] = struct{}{}
	return func() { delete(h.on.timers, t) }
}

// step runs one task of a loop and tells whether there was one.
func (l *fakeLoop) step() bool {
	if len(l.tasks) == 0 {
		return false
	}
	f := l.tasks[0]
	l.tasks = l.tasks[1:]
	f()
	return true
}

// run runs tasks, the loops in any order, until there are none.
func (w *world) run() {
	for n := 0; ; n++ {
		if n > 1_000_000 {
			w.t.Fatal("the loops do not come to rest")
		}
		if !slices.ContainsFunc(w.loops, func(l *fakeLoop) bool { return len(l.tasks) > 0 }) {
			return
		}
		for _, i := range w.rnd.Perm(len(w.loops)) {
			w.loops[i].step()
		}
	}
}

// pass lets time go on and timers fire.
func (w *world) pass(d time.Duration) {
	w.now += int64(d)
	for _, l := range w.loops {
		for t := range l.timers {
			if t.due <= w.now {
				delete(l.timers, t)
				l.tasks = append(l.tasks, t.f)
			}
		}
	}
}

// client is somebody who uses a pool on one loop.
type client struct {
	w      *world
	part   *Part
	line   *[]*client // who waits at the part, in order
	waiter Waiter
	has    *conn
	uses   uint64
	waits  bool
	served int
	failed error
}

// client makes a client; lines holds the queue of its part, as it should be.
func (w *world) client(p *Pool, loop int, line *[]*client) *client {
	c := &client{w: w, part: w.part(p, loop), line: line}
	c.waiter.Grant = c.granted
	c.waiter.Fail = func(err error) {
		c.leaveLine()
		c.failed = err
	}
	w.clients = append(w.clients, c)
	return c
}

func (c *client) granted(e *Entry) {
	if len(*c.line) == 0 || (*c.line)[0] != c {
		c.w.t.Fatal("granted out of turn")
	}
	c.leaveLine()
	c.hold(e)
}

func (c *client) leaveLine() {
	if !c.waits {
		c.w.t.Fatal("called back without waiting")
	}
	c.waits = false
	for i, o := range *c.line {
		if o == c {
			*c.line = append((*c.line)[:i], (*c.line)[i+1:]...)
			return
		}
	}
}

func (c *client) hold(e *Entry) {
	sc := e.User.(*conn)
	if sc.phase != "idle" || sc.loop != c.part.loop || sc.pool != c.part.pool {
		c.w.t.Fatalf("loop %d was handed a connection that is %s on loop %d", c.part.loop, sc.phase, sc.loop)
	}
	if c.part.pool.Paused() {
		c.w.t.Fatal("handed out in a pause")
	}
	if e.Closing() {
		c.w.t.Fatal("handed out although it is to be closed")
	}
	sc.phase = "used"
	c.has, c.uses = sc, e.Uses
	c.served++
	if c.w.held != nil {
		c.w.held(c)
	}
}

func (c *client) get() {
	c.failed = nil
	*c.line = append(*c.line, c)
	c.waits = true
	if e := c.part.Get(&c.waiter); e != nil {
		if len(*c.line) != 1 {
			c.w.t.Fatal("Get overtook who waits")
		}
		c.leaveLine()
		c.hold(e)
	} else if !c.waits {
		c.w.t.Fatal("Get called back")
	}
}

func (c *client) put() {
	sc := c.has
	c.has = nil
	sc.phase = "idle"
	c.part.Put(&sc.Entry)
}

func (c *client) cancel() {
	c.leaveLine()
	c.part.Cancel(&c.waiter)
}

// String tells what a part is at.
func (p *Part) String() string {
	return fmt.Sprintf("loop %d: %d waiting, %d idle, %d used, %d opening, %d checking, %d coming, spare %t",
		p.loop, p.queue.n, p.idle.n, p.used, p.opening, p.checking, p.line.coming.Load(), p.line.spare.Load())
}

package pool

import (
	"slices"
	"testing"
	"time"
)

// Each seed is a life of a pool: clients come and go, servers fail, operators turn knobs. At any moment
// the server sees no more connections than it should; within a loop nobody overtakes; and whenever
// nothing moves any more, nobody waits for what is there.
func TestPoolKeepsItsWord(t *testing.T) {
	seeds := uint64(400)
	if raceDetector {
		seeds = 100
	}
	for seed := range seeds {
		loops := 1 + int(seed%4)
		live(t, seed, loops)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// life is a world with its pools and what may happen in it.
type life struct {
	*world
	pools []*Pool
	down  bool // no connection can be opened
}

func live(t *testing.T, seed uint64, loops int) {
	w := newWorld(t, seed, loops)
	l := &life{world: w}
	w.connect = func(c *conn) {
		switch w.rnd.IntN(8) {
		case 0:
			w.refused(c)
		case 1: // it takes its time
			w.later(c.loop, func() { w.connect(c) })
		default:
			if l.down {
				w.refused(c)
			} else {
				w.connected(c)
			}
		}
	}
	if seed%3 == 0 {
		limit := func(string) int { return 3 }
		w.group.SetCaps(Caps{PerBackend: limit})
	}
	for i := range 1 + seed%3 {
		p := w.group.Pool(Key{Backend: "b", Database: string(rune('a' + i))}, l.options())
		l.pools = append(l.pools, p)
		for loop := range loops {
			line := new([]*client)
			for range 4 {
				w.client(p, loop, line)
			}
		}
	}
	for range 1500 {
		l.event()
		l.check()
	}
	l.rest()
}

// options are any.
func (l *life) options() *Options {
	o := &Options{Size: 1 + l.rnd.IntN(5), Connects: 1 + l.rnd.IntN(3), RoundRobin: l.rnd.IntN(4) == 0}
	o.Min, o.Reserve = l.rnd.IntN(3), l.rnd.IntN(2)
	some := func(d time.Duration) time.Duration { return time.Duration(l.rnd.IntN(2)) * d }
	o.ReserveAfter = some(5 * time.Millisecond)
	o.IdleTimeout, o.Lifetime, o.CheckAfter = some(time.Second), some(3*time.Second), some(100*time.Millisecond)
	if l.rnd.IntN(4) == 0 {
		o.WaitTimeout = time.Second
	}
	return o
}

// event is one thing that happens.
func (l *life) event() {
	loop := l.loops[l.rnd.IntN(len(l.loops))]
	switch n := l.rnd.IntN(100); {
	case n < 45:
		loop.step()
	case n < 85:
		c := l.clients[l.rnd.IntN(len(l.clients))]
		switch {
		case c.has != nil && l.rnd.IntN(6) == 0:
			sc := c.has
			c.has = nil
			l.lost(sc)
		case c.has != nil:
			c.put()
		case c.waits && l.rnd.IntN(8) == 0:
			c.cancel()
		case !c.waits:
			c.get()
		}
	case n < 90:
		l.pass(time.Duration(l.rnd.IntN(300)) * time.Microsecond)
	case n < 93:
		l.pass(time.Duration(l.rnd.IntN(800)) * time.Millisecond)
	case n < 95:
		l.breakOne()
	case n < 96:
		l.down = !l.down
	default:
		l.order(l.pools[l.rnd.IntN(len(l.pools))])
	}
}

// breakOne ends a connection that nobody has, as servers do.
func (l *life) breakOne() {
	for c := range l.conns {
		if c.phase == "idle" || c.phase == "checking" || c.phase == "moving" {
			l.lost(c)
			return
		}
	}
}

// order is what an operator does.
func (l *life) order(p *Pool) {
	switch l.rnd.IntN(12) {
	case 0:
		p.Pause()
	case 1, 2, 3:
		p.Resume()
	case 4:
		p.Reconnect()
	case 5:
		p.Disable(nil)
	case 6, 7, 8:
		p.Enable()
	case 9:
		l.unmovable = !l.unmovable
	case 10:
		l.group.Pool(p.Key(), l.options())
		l.peak[p] = 0 // fewer may be allowed now than there are
	case 11:
		limit := l.rnd.IntN(5)
		l.group.SetCaps(Caps{PerDatabase: func(string) int { return limit }, PerUser: func(string) int { return 6 }})
	}
}

// check looks at what must hold at any moment.
func (l *life) check() {
	type counts struct{ used, idle, waiting int }
	var off [3]counts // of each pool, by how much it is off
	at := func(p *Pool) *counts { return &off[slices.Index(l.pools, p)] }
	for _, c := range l.clients {
		if c.has != nil {
			at(c.part.pool).used--
		}
		if c.waits {
			at(c.part.pool).waiting--
		}
	}
	for c := range l.conns {
		if c.phase == "idle" {
			at(c.pool).idle--
		}
	}
	for i, p := range l.pools {
		o := p.Options()
		if l.peak[p] > 0 && l.peak[p] > o.Size+o.Reserve {
			l.t.Fatalf("%d connections; Size is %d, Reserve %d", l.peak[p], o.Size, o.Reserve)
		}
		n := &off[i]
		for _, part := range p.parts() {
			n.used, n.idle, n.waiting = n.used+part.used, n.idle+part.idle.n, n.waiting+part.queue.n
		}
		if *n != (counts{}) || p.Open() != l.open[p] {
			l.t.Fatalf("the pool counts %d used, %d idle, %d waiting too many, and %d open for %d",
				n.used, n.idle, n.waiting, p.Open(), l.open[p])
		}
	}
}

// rest lets everything come to rest, first as it is, then with everything allowed.
func (l *life) rest() {
	l.run()
	l.check()
	for _, p := range l.pools {
		l.stranded(p)
	}
	l.down = false
	for _, p := range l.pools {
		p.Resume()
		p.Enable()
	}
	l.group.SetCaps(Caps{PerBackend: func(string) int { return 2 }})
	for round := 0; ; round++ {
		l.run()
		busy := false
		for _, c := range l.clients {
			if c.has != nil {
				c.put()
			}
			busy = busy || c.waits
		}
		if !busy {
			break
		}
		if round > 2000 {
			for _, p := range l.pools {
				l.t.Errorf("%v: open %d, mode %d", p.parts(), p.Open(), p.mode.Load())
			}
			l.t.Fatal("somebody is never served")
		}
		l.pass(20 * time.Millisecond)
	}
	l.run()
	l.check()
	for _, p := range l.pools {
		l.group.Drop(p)
	}
	l.run()
	if len(l.conns) > 0 {
		l.t.Fatalf("%d connections are left of pools that were dropped", len(l.conns))
	}
}

// stranded fails if, now that nothing moves any more, somebody waits although something is there for them.
func (l *life) stranded(p *Pool) {
	waiting, idle := 0, 0
	for _, part := range p.parts() {
		waiting, idle = waiting+part.queue.n, idle+part.idle.n
	}
	if waiting == 0 || p.mode.Load() != 0 {
		return
	}
	if idle > 0 && !l.unmovable {
		l.t.Errorf("%d wait while %d are idle: %v", waiting, idle, p.parts())
	}
	o := p.Options()
	if p.Open() < o.Size && l.now >= p.retryAt.Load() && !p.refused.Load() {
		l.t.Errorf("%d wait while %d of %d are open: %v", waiting, p.Open(), o.Size, p.parts())
	}
}

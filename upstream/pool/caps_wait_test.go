package pool

import (
	"testing"
	"time"
)

// TestCapKeptInVainAtOnce is TestCapKeptInVain for somebody of whose pool nothing else happens: that it is
// asked again does not hang on any other event.
func TestCapKeptInVainAtOnce(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.group.SetCaps(Caps{PerUser: func(string) int { return 2 }})
	p := w.group.Pool(Key{Database: "p"}, &Options{Size: 5})
	q := w.group.Pool(Key{Database: "q"}, &Options{Size: 5})
	ps, qs := w.users(p, 1)[1], w.users(q, 2)[0]
	w.has(ps[0], qs[0])
	qs[1].get() // the cap is reached
	w.run()
	w.pass(time.Millisecond)
	sc := ps[0].has
	ps[0].has = nil
	w.lost(sc)
	for w.loops[1].step() {
	}
	ps[0].get() // the room is kept for loop 0's client
	puts(qs[0]) // who is served in another way
	w.run()
	if qs[1].has == nil || ps[0].has != nil {
		t.Fatal("not the case that was meant")
	}
	w.pass(time.Duration(capRetry))
	if w.run(); ps[0].has == nil {
		t.Error("somebody waits though the cap has room")
	}
}

// busy has all clients of a pool use it without a pause, for so long.
func (w *world) busy(clients []*client, d time.Duration) {
	for range int(d / (5 * time.Millisecond)) {
		w.pass(5 * time.Millisecond)
		w.run()
		for _, c := range clients {
			if c.has != nil {
				c.put()
			}
			if !c.waits && c.has == nil {
				c.get()
			}
		}
	}
}

// TestCapIsNotYieldedToAPause: a pool that is paused has no use for what another one would give up for it.
func TestCapIsNotYieldedToAPause(t *testing.T) {
	w, _, q, ps, qs := under(t, 2, 20)
	w.has(ps[0], ps[1])
	qs[0].get()
	w.run()
	q.Pause()
	w.busy(ps, time.Second)
	if n := w.closed["evicted"]; n > 0 {
		t.Errorf("%d connections were closed for it", n)
	}
	q.Resume()
	w.run()
	if w.busy(ps, time.Second); qs[0].has == nil {
		t.Error("it is not served behind the pause")
	}
}

// TestCapsTogetherAreShared has a pool give up a connection though two caps keep the other one waiting: both
// count it.
func TestCapsTogetherAreShared(t *testing.T) {
	w := newWorld(t, 1, 1)
	two := func(string) int { return 2 }
	w.group.SetCaps(Caps{PerUser: two, PerDatabase: two})
	p := w.group.Pool(Key{Backend: "a", Database: "d", User: "u"}, &Options{Size: 5})
	q := w.group.Pool(Key{Backend: "b", Database: "d", User: "u"}, &Options{Size: 5})
	ps, qs := w.users(p, 20)[0], w.users(q, 1)[0]
	w.has(ps[0], ps[1])
	qs[0].get()
	if w.busy(ps, time.Second); qs[0].has == nil {
		t.Errorf("never served; closed %v", w.closed)
	}
}

// TestCapThatGivesNothing: no connection is given up where another cap keeps the one who waits from any.
func TestCapThatGivesNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	two := func(string) int { return 2 }
	w.group.SetCaps(Caps{PerUser: two, PerDatabase: two})
	p := w.group.Pool(Key{Database: "d", User: "u"}, &Options{Size: 5})
	q := w.group.Pool(Key{Database: "e", User: "u"}, &Options{Size: 5})
	r := w.group.Pool(Key{Database: "e", User: "v"}, &Options{Size: 5})
	ps, qs, rs := w.users(p, 20)[0], w.users(q, 1)[0], w.users(r, 2)[0]
	w.has(ps[0], ps[1], rs[0], rs[1])
	qs[0].get()
	if w.busy(ps, time.Second); w.closed["evicted"] > 0 {
		t.Errorf("closed %v", w.closed)
	}
}

// TestManyWaitsFailInTurns: when there is no hope for those who wait, not all of them are told in one turn
// of the loop.
func TestManyWaitsFailInTurns(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.connect = func(c *conn) { w.refused(c) }
	p := w.group.Pool(Key{}, &Options{Size: 1})
	all := w.users(p, 4*failsMax)[0]
	for _, c := range all {
		c.get()
	}
	most, failed := 0, 0
	for w.loops[0].step() {
		n := 0
		for _, c := range all {
			if c.failed != nil {
				n++
			}
		}
		most, failed = max(most, n-failed), n
	}
	if failed != len(all) || most > failsMax {
		t.Errorf("%d of %d were told, %d in one turn", failed, len(all), most)
	}
}

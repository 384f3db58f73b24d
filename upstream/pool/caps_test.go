package pool

import (
	"testing"
	"time"
)

// under makes two pools of one user under a cap of so many connections for the user.
func under(t *testing.T, limit, each int) (w *world, p, q *Pool, ps, qs []*client) {
	w = newWorld(t, 1, 1)
	w.group.SetCaps(Caps{PerUser: func(user string) int {
		if user != "u" {
			t.Errorf("asked for %q", user)
		}
		return limit
	}})
	p = w.group.Pool(Key{Backend: "b", Database: "p", User: "u"}, &Options{Size: 10})
	q = w.group.Pool(Key{Backend: "b", Database: "q", User: "u"}, &Options{Size: 10})
	return w, p, q, w.users(p, each)[0], w.users(q, each)[0]
}

// TestCapEvicts closes what is idle longest in another pool when a cap is reached and somebody waits.
func TestCapEvicts(t *testing.T) {
	w, p, q, ps, qs := under(t, 2, 3)
	w.has(ps[0], ps[1])
	puts(ps[0])
	qs[0].get()
	if w.run(); qs[0].has == nil || w.closed["evicted"] != 1 || p.Open() != 1 || q.Open() != 1 {
		t.Fatalf("%d and %d open, closed %v", p.Open(), q.Open(), w.closed)
	}
	qs[1].get()
	if w.run(); qs[1].has != nil {
		t.Fatal("more are open than the cap allows")
	}
	puts(ps[1]) // idle now, and so in the way
	if w.run(); qs[1].has == nil || p.Open() != 0 {
		t.Errorf("%d and %d open, closed %v", p.Open(), q.Open(), w.closed)
	}
}

// TestCapEvictsWhatComesIdle has a connection closed that was in use when the cap was found to be reached.
func TestCapEvictsWhatComesIdle(t *testing.T) {
	w, p, _, ps, qs := under(t, 2, 3)
	w.has(ps[0], ps[1])
	ps[2].get()
	w.pass(time.Millisecond)
	qs[0].get()
	w.run()
	puts(ps[0]) // for one who has waited longer
	if w.run(); ps[2].has == nil {
		t.Fatal("passed over")
	}
	puts(ps[1])
	if w.run(); qs[0].has == nil || p.Open() != 1 {
		t.Errorf("%d open, closed %v", p.Open(), w.closed)
	}
}

// TestCapLooksFurther finds an idle connection in a third pool when the second one's are in use by now.
func TestCapLooksFurther(t *testing.T) {
	w, _, _, ps, qs := under(t, 2, 1)
	r := w.group.Pool(Key{Backend: "b", Database: "r", User: "u"}, &Options{Size: 1})
	rs := w.users(r, 1)[0]
	w.has(ps[0])
	puts(ps[0])
	w.pass(time.Millisecond)
	w.has(qs[0])
	puts(qs[0])
	ps[0].get() // it seems to have idle ones still, and for longer
	rs[0].get()
	if w.run(); rs[0].has == nil || ps[0].has == nil || w.closed["evicted"] != 1 {
		t.Errorf("closed %v", w.closed)
	}
}

// TestCapKeptInVain asks again for room that was kept for a pool which did not need it after all.
func TestCapKeptInVain(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.group.SetCaps(Caps{PerUser: func(string) int { return 2 }})
	p := w.group.Pool(Key{Database: "p"}, &Options{Size: 5})
	q := w.group.Pool(Key{Database: "q"}, &Options{Size: 5})
	ps, qs := w.users(p, 2)[1], w.users(q, 2)[0]
	w.has(ps[0], qs[0])
	qs[1].get()
	w.pass(time.Millisecond)
	ps[1].get()
	w.run()
	sc := ps[0].has
	ps[0].has = nil
	w.lost(sc)
	for w.loops[1].step() { // loop 0 is busy: room is kept for its client
	}
	puts(qs[0]) // who is served in another way
	w.run()
	if qs[1].has == nil || ps[1].has != nil {
		t.Fatal("not the case that was meant")
	}
	w.pass(time.Duration(capRetry))
	if w.run(); ps[1].has == nil {
		t.Error("somebody waits though the cap has room")
	}
}

// TestCapIsShared has a pool whose connections are never idle give some up to another pool, whose clients
// have waited for longer.
func TestCapIsShared(t *testing.T) {
	w, p, q, ps, qs := under(t, 2, 20)
	w.has(ps[0], ps[1])
	for _, c := range ps[2:] {
		c.get()
	}
	qs[0].get()
	for range 100 {
		w.pass(5 * time.Millisecond)
		w.run()
		for _, c := range ps {
			if c.has != nil {
				c.put()
			}
			if !c.waits && c.has == nil {
				c.get()
			}
		}
		if qs[0].has != nil {
			break
		}
	}
	if qs[0].has == nil {
		t.Fatalf("the other pool starves: %d and %d open", p.Open(), q.Open())
	}
	if w.now > int64(300*time.Millisecond) {
		t.Errorf("it took %v", time.Duration(w.now))
	}
}

// TestCapFirstCome gives what a cap has left to the pool whose client has waited longest.
func TestCapFirstCome(t *testing.T) {
	w, p, _, ps, qs := under(t, 1, 3)
	w.has(ps[0])
	qs[0].get()
	w.pass(time.Millisecond)
	ps[1].get()
	w.run()
	sc := ps[0].has
	ps[0].has = nil
	w.lost(sc)
	if w.run(); qs[0].has == nil || ps[1].has != nil || p.Open() != 0 {
		t.Errorf("served: the first %t, the second %t", qs[0].has != nil, ps[1].has != nil)
	}
}

// TestSmallerCap closes what is above a cap that was made smaller, as it comes free.
func TestSmallerCap(t *testing.T) {
	w, p, q, ps, qs := under(t, 0, 3)
	w.has(ps[0], ps[1], qs[0], qs[1])
	puts(ps[1])
	w.group.SetCaps(Caps{PerUser: func(string) int { return 2 }})
	if w.run(); p.Open() != 1 {
		t.Errorf("%d open: the idle one stays", p.Open())
	}
	puts(qs[0], qs[1], ps[0])
	if w.run(); p.Open()+q.Open() != 2 {
		t.Errorf("%d and %d open", p.Open(), q.Open())
	}
}

// TestEachCap counts by backend, by database and by user.
func TestEachCap(t *testing.T) {
	two := func(name string) int {
		if name == "same" {
			return 2
		}
		return 0
	}
	tests := map[string]struct {
		caps Caps
		keys [2]Key
	}{
		"backend":  {Caps{PerBackend: two}, [2]Key{{Backend: "same", User: "a"}, {Backend: "same", User: "b"}}},
		"database": {Caps{PerDatabase: two}, [2]Key{{Database: "same", User: "a"}, {Database: "same", User: "b"}}},
		"user":     {Caps{PerUser: two}, [2]Key{{User: "same", Backend: "a"}, {User: "same", Backend: "b"}}},
	}
	for name, tt := range tests {
		w := newWorld(t, 1, 1)
		w.group.SetCaps(tt.caps)
		open := 0
		for _, k := range tt.keys {
			p := w.group.Pool(k, &Options{Size: 5})
			for _, c := range w.users(p, 3)[0] {
				c.get()
			}
			w.run()
			open += p.Open()
		}
		if open != 2 {
			t.Errorf("%s: %d open", name, open)
		}
	}
}

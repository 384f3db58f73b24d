package pool

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// small is a pool of a world's, and its clients: so many on each loop.
func small(t *testing.T, loops, clients int, opt Options) (*world, *Pool, [][]*client) {
	w := newWorld(t, 1, loops)
	p := w.group.Pool(Key{Backend: "b", Database: "d", User: "u"}, &opt)
	return w, p, w.users(p, clients)
}

// users makes clients of a pool.
func (w *world) users(p *Pool, each int) [][]*client {
	all := make([][]*client, len(w.loops))
	for loop := range all {
		line := new([]*client)
		for range each {
			all[loop] = append(all[loop], w.client(p, loop, line))
		}
	}
	return all
}

// has gets connections for clients, one after the other.
func (w *world) has(clients ...*client) {
	w.t.Helper()
	for _, c := range clients {
		c.get()
		w.run()
		if c.has == nil {
			w.t.Fatal("no connection came")
		}
	}
}

func puts(clients ...*client) {
	for _, c := range clients {
		c.put()
	}
}

// TestHottestFirst hands out what was used last; the others grow old. With RoundRobin it is their turn.
func TestHottestFirst(t *testing.T) {
	for _, robin := range []bool{false, true} {
		w, _, all := small(t, 1, 2, Options{Size: 2, RoundRobin: robin})
		a, b := all[0][0], all[0][1]
		w.has(a, b)
		first, last := a.has, b.has
		puts(a, b)
		a.get()
		if want := map[bool]*conn{false: last, true: first}[robin]; a.has != want {
			t.Errorf("RoundRobin %t: got the other one", robin)
		}
	}
}

// TestFirstComeFirstServed serves who waits in order of arrival, and forgets who gives up.
func TestFirstComeFirstServed(t *testing.T) {
	w, p, all := small(t, 1, 5, Options{Size: 1})
	c := all[0]
	w.has(c[0])
	for _, waiting := range c[1:] {
		waiting.get()
	}
	w.pass(time.Millisecond)
	part := w.part(p, 0)
	if part.Waiting() != 4 || part.Used() != 1 || part.Idle() != 0 || part.OldestWait() != time.Millisecond {
		t.Errorf("%v, oldest wait %v", part, part.OldestWait())
	}
	c[2].cancel()
	c[2].part.Cancel(&c[2].waiter) // once more does nothing
	for _, i := range []int{0, 1, 3, 4} {
		if c[i].has == nil {
			t.Fatalf("client %d was passed over", i)
		}
		c[i].put() // the next one gets it: granted checks the order
	}
	if w.opens != 1 || part.Idle() != 1 {
		t.Errorf("%d connections were opened; %v", w.opens, part)
	}
}

// TestGrantedAndNotWanted has everybody who waits give back at once what they are granted: they are not
// served from inside one another, however many they are.
func TestGrantedAndNotWanted(t *testing.T) {
	w, p, all := small(t, 1, 1, Options{Size: 1})
	w.has(all[0][0])
	part, depth, deepest, served := w.part(p, 0), 0, 0, 0
	for range 10_000 {
		waiter := &Waiter{}
		waiter.Grant = func(e *Entry) {
			depth++
			deepest = max(deepest, depth)
			part.Put(e)
			depth--
			served++
		}
		part.Get(waiter)
	}
	puts(all[0][0])
	if served != 10_000 || deepest != 1 || part.Idle() != 1 {
		t.Errorf("%d were served, %d deep; %v", served, deepest, part)
	}
}

// TestOtherLoopsTurn gives what comes free to another loop's waiter if that one has waited much longer
// than those here, and keeps it if not.
func TestOtherLoopsTurn(t *testing.T) {
	for _, later := range []time.Duration{100 * time.Microsecond, 5 * time.Millisecond} {
		w, _, all := small(t, 2, 2, Options{Size: 1})
		here, there := all[0], all[1]
		w.has(here[0])
		there[0].get()
		w.run()
		w.pass(later)
		here[1].get()
		w.run()
		here[0].put()
		w.run()
		if moved := there[0].has != nil; moved != (later > time.Millisecond) {
			t.Errorf("%v later: moved %t", later, moved)
		}
	}
}

// TestIdleElsewhere has one who waits on a loop without connections given an idle one of another loop, at
// once, if the pool may not open more.
func TestIdleElsewhere(t *testing.T) {
	w, p, all := small(t, 2, 3, Options{Size: 3})
	w.has(all[0]...)
	puts(all[0]...)
	for _, c := range all[1] {
		c.get()
	}
	w.run()
	for i, c := range all[1] {
		if c.has == nil {
			t.Fatalf("client %d waits: %v", i, p.parts())
		}
	}
	if w.moves != 3 || w.opens != 3 {
		t.Errorf("%d moves, %d opens", w.moves, w.opens)
	}
}

// TestSoonElsewhere has one who waits on another loop given what comes free, though it has not waited long.
func TestSoonElsewhere(t *testing.T) {
	w, _, all := small(t, 2, 1, Options{Size: 1})
	here, there := all[0][0], all[1][0]
	w.has(here)
	there.get()
	w.run()
	here.put()
	if w.run(); there.has == nil {
		t.Error("somebody waits while a connection is idle")
	}
}

// TestTooOldOnArrival has another idle connection sent if the first one has to be closed when it comes,
// before its end is known.
func TestTooOldOnArrival(t *testing.T) {
	w, p, all := small(t, 2, 2, Options{Size: 2, Lifetime: time.Hour})
	w.has(all[0]...)
	old := all[0][1].has
	puts(all[0]...)
	var closing []*conn
	w.ends = func(c *conn) { closing = append(closing, c) }
	all[1][0].get()
	for loop := 0; old.phase != "moving" && loop < 20; loop++ {
		w.loops[loop%2].step()
	}
	old.expires = w.now
	if w.run(); len(closing) != 1 || all[1][0].has == nil {
		t.Errorf("%d are being closed; %v", len(closing), p.parts())
	}
	w.lost(old)
	w.run()
}

// TestPatience lets a loop at work serve its own waiter, rather than have another loop send something.
func TestPatience(t *testing.T) {
	w, _, all := small(t, 2, 3, Options{Size: 2})
	here, there := all[0], all[1]
	w.has(here[0], there[0])
	here[0].put() // idle on the first loop
	there[1].get()
	there[0].put() // the second loop serves itself
	w.run()
	if there[1].has == nil || w.moves != 0 {
		t.Errorf("served %t, %d moves", there[1].has != nil, w.moves)
	}
}

// TestUnmovable closes an idle connection that can't be moved, so that the other loop can open its own.
func TestUnmovable(t *testing.T) {
	w, p, all := small(t, 2, 2, Options{Size: 1})
	w.unmovable = true
	w.has(all[0][0])
	puts(all[0][0])
	w.has(all[1][0])
	if w.closed["unmovable"] != 1 || w.peak[p] != 1 {
		t.Errorf("closed %v, at most %d open", w.closed, w.peak[p])
	}
}

// TestConnectsBound opens no more at a time than Connects, whoever waits: a server that comes back is not run
// over (pitfall 94).
func TestConnectsBound(t *testing.T) {
	w, p, all := small(t, 2, 5, Options{Size: 10, Connects: 3})
	var begun []*conn
	w.connect = func(c *conn) { begun = append(begun, c) }
	for _, c := range slices.Concat(all...) {
		c.get()
	}
	for want := 3; want > 0; want = min(3, 10-w.opens+len(begun)) {
		w.run()
		if len(begun) != want {
			t.Fatalf("%d are being opened after %d", len(begun), w.opens-len(begun))
		}
		for _, c := range begun {
			w.connected(c)
		}
		begun = nil
		if w.opens == 10 {
			break
		}
	}
	if w.run(); p.Open() != 10 {
		t.Errorf("%d are open", p.Open())
	}
}

// TestBackOff fails who waits when no connection can be opened, tries again after a time that doubles, and
// fails at once who comes meanwhile.
func TestBackOff(t *testing.T) {
	w, p, all := small(t, 2, 2, Options{Size: 5, RetryMin: 10 * time.Millisecond, RetryMax: 40 * time.Millisecond})
	w.connect = w.refused
	c, other := all[0][0], all[1][0]
	for _, delay := range []time.Duration{10, 20, 40, 40} {
		c.get()
		w.run()
		if !errors.Is(c.failed, errServer) || p.Usable(w.now) {
			t.Fatalf("failed: %v, usable %t", c.failed, p.Usable(w.now))
		}
		tried := w.opens
		w.pass(delay*time.Millisecond - 1)
		other.get()
		w.run()
		if !errors.Is(other.failed, errServer) || w.opens != tried {
			t.Fatalf("within %d ms: failed %v, %d attempts more", delay, other.failed, w.opens-tried)
		}
		w.pass(1)
		if !p.Usable(w.now) {
			t.Fatal("not usable after the time")
		}
	}
	w.connect = w.connected
	w.has(c)
	w.connect = w.refused
	other.get()
	w.run()
	if other.failed != nil {
		t.Error("failed although a connection is in use that may come free")
	}
	w.pass(10*time.Millisecond - 1) // it begins with the smallest again
	if w.run(); w.opens != 6 {
		t.Errorf("%d attempts", w.opens)
	}
	w.connect = w.connected
	w.pass(1)
	w.run()
	if other.has == nil {
		t.Error("who waits is forgotten after the time")
	}
}

// TestWaitTimeout ends waits in time, in a pause too, by one timer for all.
func TestWaitTimeout(t *testing.T) {
	w, p, all := small(t, 1, 4, Options{Size: 1, WaitTimeout: time.Second})
	c := all[0]
	w.has(c[0])
	for _, waiting := range c[1:] {
		waiting.get()
		w.pass(100 * time.Millisecond)
	}
	p.Pause()
	if n := len(w.loops[0].timers); n != 1 {
		t.Errorf("%d timers", n)
	}
	for i, waiting := range c[1:] {
		w.pass(w1(700, i))
		w.run()
		if !errors.Is(waiting.failed, ErrWait) {
			t.Errorf("client %d: %v", i, waiting.failed)
		}
		if i < 2 && c[i+2].failed != nil {
			t.Error("failed early")
		}
	}
}

// w1 is first for the first of several, then 100 ms.
func w1(first time.Duration, i int) time.Duration {
	if i == 0 {
		return first * time.Millisecond
	}
	return 100 * time.Millisecond
}

// TestReserve opens more than Size when somebody has waited for long, and closes it when nobody does.
func TestReserve(t *testing.T) {
	w, p, all := small(t, 1, 4, Options{Size: 1, Reserve: 1, ReserveAfter: 100 * time.Millisecond})
	c := all[0]
	w.has(c[0])
	c[1].get()
	c[2].get()
	w.pass(99 * time.Millisecond)
	if w.run(); w.opens != 1 {
		t.Fatal("the reserve was used early")
	}
	w.pass(time.Millisecond)
	if w.run(); c[1].has == nil || c[2].has != nil || w.opens != 2 {
		t.Fatalf("%d opens", w.opens)
	}
	puts(c[1], c[0], c[2])
	if w.run(); p.Open() != 1 || w.closed["surplus"] != 1 {
		t.Errorf("%d open, closed %v", p.Open(), w.closed)
	}
}

// TestIdleTimeout closes what is not used, few at a time, and keeps Min.
func TestIdleTimeout(t *testing.T) {
	w, p, all := small(t, 1, 10, Options{Size: 10, Min: 2, IdleTimeout: 10 * time.Second})
	w.has(all[0]...)
	puts(all[0]...)
	w.run()
	w.pass(8 * time.Second)
	if w.run(); p.Open() != 10 {
		t.Fatalf("%d open before the time", p.Open())
	}
	w.pass(4 * time.Second)
	if w.run(); p.Open() != 10-retireMax {
		t.Errorf("%d open after the first look", p.Open())
	}
	for range 10 {
		w.pass(time.Duration(retireEach))
		w.run()
	}
	if p.Open() != 2 || w.closed["idle"] != 8 {
		t.Errorf("%d open, closed %v", p.Open(), w.closed)
	}
}

// TestWarm opens Min ahead, spread over the pool's loops, and makes up for what is lost.
func TestWarm(t *testing.T) {
	w, p, _ := small(t, 2, 1, Options{Size: 16, Min: 5, IdleTimeout: time.Hour})
	w.run()
	a, b := w.part(p, 0).Idle(), w.part(p, 1).Idle()
	if p.Open() != 5 || min(a, b) != 2 {
		t.Fatalf("%d open, %d and %d idle", p.Open(), a, b)
	}
	for c := range w.conns {
		w.lost(c)
	}
	if w.run(); p.Open() != 5 {
		t.Errorf("%d open after all were lost", p.Open())
	}
}

// TestLifetime closes connections at their age: a used one when it comes free. For one that is in use the
// replacement is opened before.
func TestLifetime(t *testing.T) {
	w, p, all := small(t, 1, 2, Options{Size: 2, Lifetime: 100 * time.Second})
	c := all[0][0]
	w.has(c)
	first := c.has
	life := time.Duration(first.expires - first.Opened)
	if life < 90*time.Second || life > 110*time.Second {
		t.Errorf("it lives %v", life)
	}
	w.now = first.renew
	puts(c)
	if w.run(); w.opens != 2 || p.Open() != 2 {
		t.Fatalf("%d open at 95 %% of its life", p.Open())
	}
	c.get() // the hottest one is the replacement
	if c.has == first {
		t.Error("got the old one")
	}
	w.pass(time.Duration(first.expires - w.now))
	if w.run(); w.closed["lifetime"] != 1 || p.Open() != 1 {
		t.Errorf("closed %v", w.closed)
	}
	w.now = c.has.expires
	puts(c)
	if w.run(); w.closed["lifetime"] != 2 {
		t.Errorf("closed %v", w.closed)
	}
}

// TestCheckAfter has what was idle for long checked before it is handed out; one that fails is replaced.
func TestCheckAfter(t *testing.T) {
	w, p, all := small(t, 1, 2, Options{Size: 2, CheckAfter: time.Second})
	a, b := all[0][0], all[0][1]
	w.has(a)
	e := a.has
	puts(a)
	w.pass(time.Second - 1)
	if e.Due() {
		t.Error("Due is true of one that would be handed out at once")
	}
	if a.get(); a.has == nil {
		t.Fatal("not handed out at once")
	}
	puts(a)
	for range 20 { // by the dice a check fails
		w.pass(time.Second)
		if first := w.part(p, 0).idle.last; first == nil || !first.Due() {
			t.Fatal("Due is false of one that would be checked")
		}
		b.get()
		if b.has != nil || w.part(p, 0).checking != 1 {
			t.Fatal("handed out without a check")
		}
		w.run()
		if b.has == nil {
			t.Fatal("nothing came of it")
		}
		puts(b)
		w.run()
	}
	if w.closed["check"] == 0 || w.opens != 1+w.closed["check"] {
		t.Errorf("%d opened, closed %v", w.opens, w.closed)
	}
}

// TestReconnect closes what was opened before, what was being opened included, and nothing that came after.
func TestReconnect(t *testing.T) {
	w, p, all := small(t, 2, 3, Options{Size: 10})
	c := all[0]
	w.has(c[0], c[1])
	puts(c[1]) // one used, one idle
	var begun *conn
	w.connect = func(sc *conn) { begun = sc }
	c[1].get()
	c[2].get()
	w.run()
	p.Reconnect()
	if !c[0].has.Closing() {
		t.Error("Closing is false of an old one in use")
	}
	w.connect = w.connected
	w.connected(begun)
	w.run()
	puts(c[0], c[1])
	w.run()
	if w.closed["reconnect"] != 3 || c[2].has == nil || c[2].has.Closing() {
		t.Errorf("closed %v", w.closed)
	}
}

// TestPause keeps everybody waiting until Resume, while what is in use comes back and stays idle.
func TestPause(t *testing.T) {
	w, p, all := small(t, 2, 2, Options{Size: 2})
	a, b := all[0][0], all[1][0]
	w.has(a)
	e, uses := &a.has.Entry, a.uses
	p.Pause()
	b.get()
	all[0][1].get()
	puts(a)
	w.run()
	part := w.part(p, 0)
	if !p.Paused() || part.Used() != 0 || part.Idle() != 1 || w.opens != 1 || part.GetSame(e, uses) {
		t.Errorf("in the pause: %v, %d opens", part, w.opens)
	}
	p.Resume()
	if w.run(); b.has == nil || all[0][1].has == nil {
		t.Error("somebody waits after the pause")
	}
}

// TestDisable fails who waits and who comes, until Enable.
func TestDisable(t *testing.T) {
	w, p, all := small(t, 2, 2, Options{Size: 1})
	a, b := all[0][0], all[1][0]
	w.has(a)
	b.get()
	why := errors.New("maintenance")
	p.Disable(why)
	w.run()
	puts(a)
	a.get()
	w.run()
	if b.failed != why || a.failed != why || p.Usable(w.now) || w.part(p, 0).Idle() != 1 {
		t.Errorf("failed %v and %v, %v", b.failed, a.failed, w.part(p, 0))
	}
	p.Enable()
	w.has(b)
}

// TestDrop closes what is idle at once and what is used when it comes free; who waits fails.
func TestDrop(t *testing.T) {
	w, p, all := small(t, 1, 3, Options{Size: 2})
	c := all[0]
	w.has(c[0], c[1])
	puts(c[1])
	w.group.Drop(p)
	w.run()
	c[2].get()
	w.run()
	if c[2].failed != ErrDropped || p.Open() != 1 || len(w.group.Pools()) != 0 {
		t.Errorf("failed %v, %d open", c[2].failed, p.Open())
	}
	puts(c[0])
	if w.run(); p.Open() != 0 || w.closed["dropped"] != 2 {
		t.Errorf("%d open, closed %v", p.Open(), w.closed)
	}
	if again := w.group.Pool(p.Key(), p.Options()); again == p {
		t.Error("the dropped pool is given out again")
	}
}

// TestSmallerSize closes what is above a new Size as it comes free, though somebody waits.
func TestSmallerSize(t *testing.T) {
	w, p, all := small(t, 1, 5, Options{Size: 4})
	c := all[0]
	w.has(c[:4]...)
	c[4].get()
	p.SetOptions(&Options{Size: 2})
	puts(c[0], c[1])
	w.run()
	if p.Open() != 2 || c[4].has != nil {
		t.Errorf("%d open", p.Open())
	}
	puts(c[2])
	if w.run(); c[4].has == nil || p.Open() != 2 {
		t.Errorf("%d open, served %t", p.Open(), c[4].has != nil)
	}
}

// TestGetSame takes the very connection that a client had, if nobody has had it since, wherever it is.
func TestGetSame(t *testing.T) {
	w, p, all := small(t, 2, 3, Options{Size: 3})
	a, b := all[0][0], all[0][1]
	w.has(a, b)
	e, uses, part := &a.has.Entry, a.uses, w.part(p, 0)
	if part.GetSame(e, uses) {
		t.Error("got one that is in use")
	}
	puts(a, b)
	if !part.GetSame(e, uses) || part.Used() != 1 {
		t.Fatal("did not get the idle one")
	}
	part.Put(e)
	if part.GetSame(e, uses) {
		t.Error("got one that somebody has had since")
	}
	uses = e.Uses
	w.has(a, b, all[1][0])
	puts(a, b)
	all[1][1].get()
	all[1][2].get()
	w.run() // both have gone to the other loop
	if w.moves != 2 || part.GetSame(e, uses) {
		t.Errorf("%d moves; got one that is on another loop", w.moves)
	}
}

// TestLostInAnyState counts right whatever a connection is at when it ends, and ends it once.
func TestLostInAnyState(t *testing.T) {
	w, p, all := small(t, 2, 2, Options{Size: 2, CheckAfter: time.Second})
	w.connect = func(*conn) {}
	a := all[0][0]
	a.get()
	w.run()
	for c := range w.conns {
		w.lost(c) // while it is being opened
		w.lost(c)
	}
	w.connect = w.connected
	if w.run(); a.has == nil || p.Open() != 1 {
		t.Fatalf("%d open", p.Open())
	}
	sc := a.has
	a.has = nil
	w.lost(sc) // in use
	w.has(a)
	puts(a)
	w.pass(time.Second)
	a.get()
	for c := range w.conns {
		w.lost(c) // while it is checked
	}
	if w.run(); a.has == nil || p.Open() != 1 || w.part(p, 0).checking != 0 {
		t.Errorf("%v, %d open", w.part(p, 0), p.Open())
	}
}

// TestLostInGrant gives a connection back and loses it, both while it is granted.
func TestLostInGrant(t *testing.T) {
	w, p, all := small(t, 1, 1, Options{Size: 1})
	w.has(all[0][0])
	part := w.part(p, 0)
	waiter := &Waiter{}
	waiter.Grant = func(e *Entry) {
		part.Put(e)
		part.Lost(e)
		part.Lost(e)
	}
	part.Get(waiter)
	puts(all[0][0])
	if part.Idle() != 0 || part.Used() != 0 || p.Open() != 0 {
		t.Errorf("%v, %d open", part, p.Open())
	}
}

// TestOneCheckForOne checks no more idle connections than somebody waits for.
func TestOneCheckForOne(t *testing.T) {
	w, p, all := small(t, 1, 3, Options{Size: 3, CheckAfter: time.Second})
	w.has(all[0]...)
	puts(all[0]...)
	w.pass(time.Second)
	all[0][0].get()
	part := w.part(p, 0)
	part.settle()
	if part.checking != 1 {
		t.Errorf("%v", part)
	}
}

// TestFailuresTogether takes several attempts that fail together for one failure.
func TestFailuresTogether(t *testing.T) {
	w, p, all := small(t, 1, 3, Options{Size: 3, RetryMin: 10 * time.Millisecond})
	var begun []*conn
	w.connect = func(c *conn) { begun = append(begun, c) }
	for _, c := range all[0] {
		c.get()
	}
	w.run()
	w.pass(time.Millisecond)
	for _, c := range begun {
		w.refused(c)
	}
	w.pass(10 * time.Millisecond)
	if !p.Usable(w.now) || len(begun) != 3 {
		t.Errorf("%d attempts, usable %t after the shortest time", len(begun), p.Usable(w.now))
	}
}

// TestLoops spreads pools over the loops, one loop for each eight connections.
func TestLoops(t *testing.T) {
	g := NewGroup(4)
	first := map[int]bool{}
	for i := range 40 {
		p := g.Pool(Key{User: string(rune('a' + i))}, &Options{Size: 1})
		if len(p.Loops()) != 1 {
			t.Fatalf("one connection on %d loops", len(p.Loops()))
		}
		first[p.Loops()[0]] = true
	}
	if len(first) != 4 {
		t.Errorf("pools live on %d loops only", len(first))
	}
	for size, want := range map[int]int{0: 1, 8: 1, 15: 1, 16: 2, 31: 3, 32: 4, 1000: 4} {
		p := g.Pool(Key{User: "x"}, &Options{Size: size})
		loops := slices.Compact(slices.Sorted(slices.Values(p.Loops())))
		if len(loops) != want {
			t.Errorf("%d connections on loops %v, want %d", size, loops, want)
		}
	}
}

package session

import (
	"strconv"
	"testing"
	"time"
)

// TestHungServerKeepsNobody: sessions of a server that does not answer the question for their state hold up none of
// another server's, and are asked again when it does.
func TestHungServerKeepsNobody(t *testing.T) {
	a, b := startFakeDB(t, "a", 1000), startFakeDB(t, "b", 2000)
	s := startLines(t, fakeProto{}, func(s *Setup) {
		s.Clusters[0].Migrate.KeepState = 100 * time.Millisecond
		s.Clusters[0].Migrate.HoldTimeout = 50 * time.Millisecond
		other, in := s.Clusters[0], s.Frontends[0]
		other.Name, other.Backends = "other", lineSpecs(b)
		in.Name, in.Cluster = "beside", "other"
		s.Clusters, s.Frontends = append(s.Clusters, other), append(s.Frontends, in)
	}, a)
	a.pause("state?")
	clients := s.crowd(6 * keepsMax)
	for _, c := range clients {
		c.expect("add x 1", "1 I")
	}
	eventually(t, "as many as may be have been asked", func() bool { return a.count("state?") == 2*keepsMax })
	var beside []*lineClient
	for range 4 * keepsMax {
		c := loginLines(t, s.addr("beside"))
		c.expect("add x 1", "1 I")
		beside = append(beside, c)
	}
	known := func(c string) (n int) {
		for _, on := range s.loops {
			onLoop(t, on, func() {
				for _, one := range on.all() {
					if one.cluster.Name() == c && one.mv == nil && one.mob.mover.Known() {
						n++
					}
				}
			})
		}
		return n
	}
	eventually(t, "the states at the other server are known", func() bool { return known("other") == len(beside) })
	if n := a.count("state?"); n != 2*keepsMax {
		t.Errorf("the hung server was asked %d times, want %d", n, 2*keepsMax)
	}
	a.resume()
	eventually(t, "the states are known", func() bool { return known("pg") == len(clients) })
	for _, c := range append(clients, beside...) {
		c.Close()
	}
	s.expectEmpty()
	for _, on := range s.loops {
		onLoop(t, on, func() {
			if k := &on.keeper; k.under != 0 || len(k.waits) != 0 || len(k.slow) != 0 {
				t.Errorf("left over: %d, %d, %d", k.under, len(k.waits), len(k.slow))
			}
		})
	}
}

// TestKeeperFollowsTheConfiguration: sessions that are there already are asked when that is switched on, and as soon as
// it says from then on.
func TestKeeperFollowsTheConfiguration(t *testing.T) {
	for _, before := range []time.Duration{0, 24 * time.Hour} {
		a := startFakeDB(t, "a", 100)
		s := startLines(t, fakeProto{}, func(s *Setup) { s.Clusters[0].Migrate.KeepState = before }, a)
		c := loginLines(t, s.addr("in"))
		c.expect("add x 1", "1 I")
		s.setup.Clusters[0].Migrate.KeepState = 100 * time.Millisecond
		s.apply()
		eventually(t, "its state is known", func() bool {
			return s.holds(func(s *Session) bool { return s.mv == nil && s.mob.mover.Known() })
		})
		c.Close()
		s.expectEmpty()
	}
}

// TestLateAtAHungServer: a session whose old server does not answer the question for its state ends with the drain
// time-out, wherever that finds it.
func TestLateAtAHungServer(t *testing.T) {
	for _, hold := range []time.Duration{10 * time.Millisecond, 900 * time.Millisecond} {
		a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
		s := startLines(t, fakeProto{}, func(s *Setup) {
			s.Frontends[0].DrainTimeout = 300 * time.Millisecond
			s.Clusters[0].Migrate.HoldTimeout = hold
		}, a)
		c := loginLines(t, s.addr("in"))
		a.meet("state?", fateHang)
		s.setup.Clusters[0].Backends = lineSpecs(a, b)
		s.apply()
		s.backendOf(a).Drain("for a test")
		c.expectLost("drained")
		s.expectEmpty()
		s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
	}
}

// TestPendingIsNeverNegative: a move that was not counted in, as there were too many routes, is not counted out when
// some have made room.
func TestPendingIsNeverNegative(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a, b)
	stays, goes := s.backendOf(a), s.backendOf(b)
	var m moveStats
	for i := range routesMax {
		m.of(route{goes, stays, strconv.Itoa(i)})
	}
	mv := &moving{from: stays, to: stays, why: "order"}
	m.pend(mv)
	s.setup.Clusters[0].Backends = lineSpecs(a)
	s.apply()
	more := &moving{from: stays, to: stays, why: "order"}
	m.pend(more)
	mv.unpend()
	if f := m.of(route{stays, stays, "order"}); f.pending != 1 {
		t.Errorf("%d are under way, want 1", f.pending)
	}
	more.unpend()
	more.unpend()
	if f := m.of(route{stays, stays, "order"}); f.pending != 0 {
		t.Errorf("%d are under way, want none", f.pending)
	}
}

// TestQueueForgets: a wish that comes and goes while nobody's turn ends leaves nothing in the queue.
func TestQueueForgets(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	one, to := s.only(), s.backendOf(b)
	onLoop(t, one.on, func() {
		q := one.on.moves.of(&moving{from: one.backend})
		q.under += movesMax
		for range 100 {
			if !one.moveTo(to, "order") {
				t.Error("the session can't be moved")
			}
			one.mv.withdraw()
		}
		if n := q.waits.Len(); n != 0 {
			t.Errorf("%d wait", n)
		}
		one.moveTo(to, "order")
		q.under -= movesMax
		q.next()
	})
	s.awaits("moved", 1)
	c.expect("who", "b I")
	c.Close()
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
}

// TestHungServerHoldsUpNoMove: sessions leave a server that works, however many stand at one that does not answer.
func TestHungServerHoldsUpNoMove(t *testing.T) {
	const n, more = 5 * movesMax, 10
	a, b, c := startFakeDB(t, "a", 1000), startFakeDB(t, "b", 2000), startFakeDB(t, "c", 3000)
	s := startLines(t, fakeProto{}, func(s *Setup) {
		other, in := s.Clusters[0], s.Frontends[0]
		other.Name, other.Backends = "other", lineSpecs(b)
		in.Name, in.Cluster = "beside", "other"
		s.Clusters, s.Frontends = append(s.Clusters, other), append(s.Frontends, in)
	}, a)
	clients := s.crowd(n)
	var beside []*lineClient
	for range more {
		beside = append(beside, loginLines(t, s.addr("beside")))
	}
	s.setup.Clusters[0].Backends = lineSpecs(a, c)
	s.setup.Clusters[1].Backends = lineSpecs(b, c)
	s.apply()
	a.pause("state?")
	s.backendOf(a).Drain("for a test")
	eventually(t, "all turns are taken", func() bool {
		full := 0
		for _, on := range s.loops {
			onLoop(t, on, func() {
				under := 0
				for one := on.list.next; one != &on.list; one = one.next {
					if one.mv != nil && one.mv.slot && (one.mv.asked || one.mv.lined != nil) {
						under++
					}
				}
				if under == movesMax {
					full++
				}
			})
		}
		return full == len(s.loops)
	})
	s.backendOf(b).Drain("for a test")
	s.awaits("moved", more)
	for _, one := range beside {
		one.expect("who", "c I")
	}
	a.resume()
	s.awaits("moved", n+more)
	for _, one := range append(clients, beside...) {
		one.Close()
	}
	s.expectEmpty()
	for _, on := range s.loops {
		onLoop(t, on, func() {
			if q := &on.moves; len(q.leaving)+len(q.lines) != 0 {
				t.Errorf("left over: %v, %v", q.leaving, q.lines)
			}
		})
	}
}

package session

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd logs n clients in.
func (s *stand) crowd(n int) (clients []*lineClient) {
	s.t.Helper()
	for range n {
		clients = append(clients, loginLines(s.t, s.addr("in")))
	}
	return clients
}

// TestThousandSessionsLeave a backend that is emptied, in less than a second of the machine's time when it has nothing
// else to do; while they do so another client is served.
func TestThousandSessionsLeave(t *testing.T) {
	const n = 1000
	a, b := startFakeDB(t, "a", 10000), startFakeDB(t, "b", 20000)
	s := startLines(t, fakeProto{}, nil, a)
	clients := s.crowd(n)
	for _, c := range clients {
		c.expect("add x 1", "1 I")
	}
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	stop, worst := make(chan struct{}), time.Duration(0)
	var busy sync.WaitGroup
	busy.Add(1)
	go func() {
		defer busy.Done()
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			clients[0].say("add x 0")
			if _, err := clients[0].r.ReadString('\n'); err != nil {
				t.Error(err)
				return
			}
			worst = max(worst, time.Since(began))
		}
	}()
	began := time.Now()
	s.backendOf(a).Drain("for a test")
	s.awaits("moved", n)
	took := time.Since(began)
	close(stop)
	busy.Wait()
	t.Logf("%d sessions left in %v; a busy client waited for at most %v", n, took, worst)
	if took > 20*time.Second { // the machine may have much else to do
		t.Errorf("%d sessions took %v to leave", n, took)
	}
	for _, c := range clients {
		c.expect("add x 1", "2 I")
	}
	s.expectCounts(map[*fakeDB]int{a: 0, b: n})
	eventually(t, "the old server is empty", func() bool { return a.open() == 0 })
	for _, c := range clients {
		c.Close()
	}
	s.expectEmpty()
}

// TestLostSessionsTakeTurns: of many that have lost their server only some log in elsewhere at one time, and
// they do not stand behind sessions that only move.
func TestLostSessionsTakeTurns(t *testing.T) {
	const n = 5 * movesMax
	a, b := startFakeDB(t, "a", 1000), startFakeDB(t, "b", 2000)
	s := startLines(t, fakeProto{}, nil, a)
	clients := s.crowd(n)
	b.meet("login", fateHang)
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	a.stop()
	most, queued := 0, 0
	eventually(t, "as many as may be are on their way", func() bool {
		sum, full := 0, true
		queued = 0
		for _, on := range s.loops {
			onLoop(t, on, func() {
				q := &on.moves.lost
				most = max(most, q.under)
				sum += q.under
				queued += q.waits.Len()
				full = full && q.under == movesMax
			})
		}
		return full && sum+queued >= n
	})
	if most > movesMax || queued == 0 {
		t.Errorf("%d at a time, %d wait", most, queued)
	}
	b.meet("nothing", fateServe)
	b.cutAll()
	for _, c := range clients {
		c.expect("who", "b I")
		c.Close()
	}
	if got := s.losses(); got["kept"] != n || len(got) != 1 {
		t.Errorf("losses: %v", got)
	}
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
}

// TestLostSessionsWaitInVain: the time is over as well for those whose turn has not come.
func TestLostSessionsWaitInVain(t *testing.T) {
	const n = 5 * movesMax
	a, b := startFakeDB(t, "a", 1000), startFakeDB(t, "b", 2000)
	s := startLines(t, fakeProto{}, func(s *Setup) {
		s.Clusters[0].FailoverTimeout = 300 * time.Millisecond
		s.Clusters[0].ConnectTimeout = time.Second
	}, a)
	clients := s.crowd(n)
	b.meet("login", fateHang)
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	a.stop()
	for _, c := range clients {
		c.expectLost("the connection to the server was lost")
	}
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
	for _, on := range s.loops {
		onLoop(t, on, func() {
			if q := &on.moves; q.lost.under != 0 || len(q.leaving) != 0 {
				t.Errorf("turns are taken still: %d, %v", q.lost.under, q.leaving)
			}
		})
	}
}

// TestOtherReason: a move that is wanted for another reason meanwhile counts for that, and not twice.
func TestOtherReason(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	c.expect("begin", "ok T")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.move(b, "connection")
	s.standsBy()
	s.backendOf(a).Drain("for a test")
	figure := func(name, why, more string) string {
		return name + `{cluster="pg",from="` + a.addr() + `",to="` + b.addr() + `",reason="` + why + `"` + more
	}
	eventually(t, "it moves for another reason", func() bool {
		f := s.figures()
		return strings.Contains(f, figure("sluice_migrations_pending", "drained", "} 1")) &&
			strings.Contains(f, figure("sluice_migrations_pending", "connection", "} 0"))
	})
	c.expect("commit", "ok I")
	s.awaits("moved", 1)
	if f := s.figures(); !strings.Contains(f, figure("sluice_migrations_total", "drained", `,result="moved"} 1`)) ||
		!strings.Contains(f, figure("sluice_migrations_pending", "drained", "} 0")) {
		t.Error(f)
	}
	c.Close()
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
}

// TestStateIsAskedForLater: where it can't be asked for without a trace it is, as soon as it can, and only a few
// sessions are asked at a time.
func TestStateIsAskedForLater(t *testing.T) {
	a := startFakeDB(t, "a", 100)
	s := startLines(t, fakeProto{fragile: true}, func(s *Setup) { s.Clusters[0].Migrate.KeepState = 100 * time.Millisecond }, a)
	const n = 6 * keepsMax
	clients := s.crowd(n)
	var hold sync.WaitGroup
	hold.Add(1)
	asks := func(r moveResult) uint64 { sum, _ := s.snapshot(); return sum.moves.asks[r] }
	clients[0].expect("add x 1", "1 I")
	clients[0].expect("who", "a I")
	eventually(t, "it could not be asked", func() bool { return asks(moveNotPlaced) == 1 })
	if a.count("state?") != 0 {
		t.Error("it was")
	}
	clients[0].ask("id")
	eventually(t, "it was asked", func() bool { return asks(moveMade) == 1 })
	of := func(line string) fate {
		if line == "state?" {
			hold.Wait()
		}
		return fateServe
	}
	a.fate.Store(&of)
	for _, c := range clients {
		c.expect("add x 1", map[bool]string{true: "2 I", false: "1 I"}[c == clients[0]])
	}
	eventually(t, "the others wait", func() bool {
		under, waits := 0, 0
		for _, on := range s.loops {
			onLoop(t, on, func() {
				if on.keeper.under > keepsMax {
					t.Fatalf("%d are asked at a time", on.keeper.under)
				}
				under += on.keeper.under
				waits += len(on.keeper.waits)
			})
		}
		return under+waits == n && waits > 0
	})
	clients[n-1].Close() // wherever it stands
	hold.Done()
	eventually(t, "the states are known", func() bool { return asks(moveMade) >= n })
	for _, c := range clients[:n-1] {
		c.Close()
	}
	s.expectEmpty()
	for _, on := range s.loops {
		onLoop(t, on, func() {
			if on.keeper.under != 0 || len(on.keeper.waits) != 0 {
				t.Errorf("left over: %d, %d", on.keeper.under, len(on.keeper.waits))
			}
		})
	}
}

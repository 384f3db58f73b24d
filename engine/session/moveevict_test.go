package session

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/router"
	"sluice/upstream"
)

// standsBy waits until a move is ready but for a safe point.
func (s *stand) standsBy() {
	s.t.Helper()
	s.reaches(moveStandBy)
}

// reaches waits until a move is at that stage.
func (s *stand) reaches(stage moveStage) {
	s.t.Helper()
	eventually(s.t, "a move is "+stage.String(), func() bool {
		return s.holds(func(s *Session) bool { return s.mv != nil && s.mv.stage == stage })
	})
}

// TestEvictedSessionMoves: whatever makes a backend unfit, its sessions go elsewhere instead of ending.
func TestEvictedSessionMoves(t *testing.T) {
	for _, why := range []string{"gone", "drained", "role", "state"} {
		t.Run(why, func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{}, func(s *Setup) {
				s.Frontends[0].Roles = router.Roles(0).With(router.Leader)
			}, a)
			c := loginLines(t, s.addr("in"))
			c.expect("add x 5", "5 I")
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			s.apply()
			from := s.backendOf(a)
			switch why {
			case "gone":
				s.setup.Clusters[0].Backends = lineSpecs(b)
				s.apply()
			case "drained":
				from.Drain("for a test")
			case "role":
				s.setup.Clusters[0].Backends[0].Role = router.Async
				s.apply()
			case "state":
				s.setup.Clusters[0].Backends[0].Out = "it is out"
				s.apply()
			}
			s.awaits("moved", 1)
			c.expect("add x 1", "6 I")
			c.expect("who", "b I")
			eventually(t, "the counts are right", func() bool {
				return from.Sessions() == 0 && from.Outgoing() == 0 && s.backendOf(b).Sessions() == 1
			})
			c.Close()
			s.expectEmpty()
		})
	}
}

// TestEvictionTriesAgain: a session whose backend is to be emptied is tried again and again, elsewhere too.
func TestEvictionTriesAgain(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	b.meet("put", fateRefuse)
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.backendOf(a).Drain("for a test")
	eventually(t, "it was tried", func() bool { return s.results()["not_placed"] >= 2 })
	c.expect("who", "a I")
	b.meet("nothing", fateServe)
	s.awaits("moved", 1)
	c.expect("who", "b I")
	c.Close()
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
}

// TestEvictionEnds: what can't be moved until the drain time-out is cut off, wherever its move stands.
func TestEvictionEnds(t *testing.T) {
	for _, word := range []string{"login", "put", "no backend", "transaction"} {
		t.Run(word, func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{}, func(s *Setup) {
				s.Frontends[0].DrainTimeout = 300 * time.Millisecond
				s.Clusters[0].Migrate.HoldTimeout = 100 * time.Millisecond
			}, a)
			c := loginLines(t, s.addr("in"))
			switch word {
			case "transaction":
				c.expect("begin", "ok T")
			default:
				b.meet(word, fateHang)
			}
			s.setup.Clusters[0].Backends = lineSpecs(b)
			if word == "no backend" {
				b.stop()
			}
			s.apply()
			c.expectLost("left the cluster")
			s.expectEmpty()
			s.expectCounts(map[*fakeDB]int{b: 0})
		})
	}
}

// TestPinnedSession: it ends as before where its backend does not fit any more, and stays for a while where that is
// to be emptied, in case that its pin ends.
func TestPinnedSession(t *testing.T) {
	for _, asked := range []bool{false, true} {
		a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
		s := startLines(t, fakeProto{}, nil, a)
		c := loginLines(t, s.addr("in"))
		pin := func() { c.expect("pin", "ok I") }
		if !asked {
			pin()
		}
		s.setup.Clusters[0].Backends = lineSpecs(a, b)
		s.apply()
		if asked { // only the old server knows
			one := s.only()
			onLoop(t, one.on, func() { one.mob.history().pin = codec.Pin{Name: "asked", Reason: "by hand"} })
		}
		s.backendOf(a).Drain("for a test")
		s.settleNow(context.Background())
		want := map[bool]string{false: "pin", true: "asked"}[asked]
		if i := s.Sessions(1)[0]; i.Pin != want || i.PinReason == "" || i.Leaving != "" || i.Moving != "" {
			t.Errorf("shown is %+v", i)
		}
		c.expect("who", "a I")
		if !strings.Contains(s.figures(), `sluice_session_pins{listener="in",pin="`+want+`"} 1`) {
			t.Error("it is not among the figures")
		}
		if asked {
			c.expect("add x 1", "1 I") // what was asked for does not hold any more
		} else {
			c.expect("unpin", "ok I")
		}
		s.awaits("moved", 1)
		c.expect("who", "b I")

		pin()
		s.setup.Clusters[0].Backends = lineSpecs(a)
		s.apply()
		c.expectLost("left the cluster")
		s.expectEmpty()
	}
}

// TestDrainIsTakenBack: a session that waits for the end of its transaction stays when its backend is not to be
// emptied any more.
func TestDrainIsTakenBack(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	c.expect("begin", "ok T")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.backendOf(a).Drain("for a test")
	s.standsBy()
	s.backendOf(a).Resume()
	s.awaits("withdrawn", 1)
	c.expect("commit", "ok I")
	c.expect("who", "a I")
	s.expectCounts(map[*fakeDB]int{a: 1, b: 0})
	eventually(t, "the new server was let go", func() bool { return b.open() == 0 })
	c.Close()
	s.expectEmpty()
}

// TestTargetCeasesToFit while a session stands by: it does not go there, but to another one if it has to.
func TestTargetCeasesToFit(t *testing.T) {
	a, b, d := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200), startFakeDB(t, "d", 300)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	c.expect("begin", "ok T")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.backendOf(a).Drain("for a test")
	s.standsBy()
	s.setup.Clusters[0].Backends = lineSpecs(a, d)
	s.apply()
	c.expect("commit", "ok I")
	s.awaits("moved", 1)
	c.expect("who", "d I")
	if got := s.results(); got["unfit"]+got["replaced"] == 0 {
		t.Errorf("what came of it: %v", got)
	}
	s.expectCounts(map[*fakeDB]int{a: 0, d: 1})
	c.Close()
	s.expectEmpty()
}

// TestLeaveInAMove: who is to leave leaves, at whatever stage his move is.
func TestLeaveInAMove(t *testing.T) {
	for _, stage := range []moveStage{moveDialling, movePreparing, moveStandBy, moveAsked} {
		for _, drain := range []bool{true, false} {
			t.Run(fmt.Sprint(stage, " ", drain), func(t *testing.T) {
				a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
				s := startLines(t, fakeProto{}, func(s *Setup) {
					s.Clusters[0].Migrate.HoldTimeout = 200 * time.Millisecond
				}, a)
				c := loginLines(t, s.addr("in"))
				switch stage {
				case moveStandBy:
					c.expect("begin", "ok T")
				case movePreparing:
					b.meet("login", fateHang)
				case moveAsked:
					b.meet("put", fateHang)
				}
				s.setup.Clusters[0].Backends = lineSpecs(a, b)
				s.apply()
				s.move(b, "order")
				if stage != moveDialling {
					s.reaches(stage)
				}
				over := make(chan int, 1)
				if drain {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					go func() { over <- s.Drain(ctx) }()
				} else {
					s.setup.Frontends = nil
					s.apply()
				}
				if stage == moveStandBy {
					c.expect("add x 1", "1 T")
					c.say("commit")
					if got := c.read(); got != "ok I" {
						t.Fatalf("commit: %q", got)
					}
				}
				c.expectLost("")
				if drain {
					if forced := <-over; forced != 0 {
						t.Errorf("%d sessions were ended by force", forced)
					}
				}
				s.expectEmpty()
				s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
				eventually(t, "the servers have let go", func() bool { return a.open() == 0 && b.open() == 0 })
			})
		}
	}
}

// TestSessionOfADownBackendMoves, at the pace of who balances, but is not cut off if it can't.
func TestSessionOfADownBackendMoves(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, func(s *Setup) {
		s.Clusters[0].Health.Fall = 1
		s.Clusters[0].Balance = upstream.BalanceOptions{Spread: &router.Spread{}, Interval: 10 * time.Millisecond}
		s.Frontends[0].DrainTimeout = 50 * time.Millisecond
	}, a)
	c := loginLines(t, s.addr("in"))
	c.expect("add x 5", "5 I")
	a.mu.Lock()
	a.ln.Close() // the sessions there live on
	a.mu.Unlock()
	s.backendOf(a).Suspect()
	eventually(t, "it is down", func() bool { return s.backendOf(a).Health() == upstream.Down })
	c.expect("who", "a I")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.awaits("moved", 1)
	c.expect("add x 1", "6 I")
	c.expect("who", "b I")
	c.Close()
	s.expectEmpty()
}

// TestMovesTakeTurns: of many sessions that are to leave, only some are prepared at one time, the oldest first, and
// all of them get there.
func TestMovesTakeTurns(t *testing.T) {
	const n = 3*movesMax/2 + movesMax
	a, b := startFakeDB(t, "a", 1000), startFakeDB(t, "b", 2000)
	s := startLines(t, fakeProto{}, nil, a)
	var clients []*lineClient
	for i := range n {
		c := loginLines(t, s.addr("in"))
		c.expect("add x 1", "1 I")
		if i%3 == 0 {
			c.expect("begin", "ok T") // and stands by without a turn
		}
		clients = append(clients, c)
	}
	b.meet("login", fateHang)
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.backendOf(a).Drain("for a test")
	full := func() bool {
		under, most := 0, 0
		for _, on := range s.loops {
			onLoop(t, on, func() {
				for _, turns := range on.moves.leaving {
					under += turns.under
					most = max(most, turns.under)
				}
			})
		}
		if most > movesMax {
			t.Fatalf("%d moves are prepared at a time", most)
		}
		return under >= movesMax
	}
	eventually(t, "as many are prepared as may be", full)
	if waits := s.holds(func(s *Session) bool { return s.mv != nil && s.mv.stage == moveQueued }); !waits {
		t.Error("nobody waits for a turn")
	}
	b.meet("nothing", fateServe)
	b.cutAll()
	idle := n - (n+2)/3
	eventually(t, "all that are idle are moved", func() bool { full(); return s.results()["moved"] == idle })
	for i, c := range clients {
		if i%3 == 0 {
			c.expect("commit", "ok I")
		}
	}
	s.awaits("moved", n)
	for _, c := range clients {
		c.expect("add x 1", "2 I")
		c.expect("who", "b I")
		c.Close()
	}
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
}

// TestRelocate takes the oldest sessions that may be moved, and no more than it was told.
func TestRelocate(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	var clients []*lineClient
	for range 8 {
		c := loginLines(t, s.addr("in"))
		clients = append(clients, c)
	}
	clients[0].expect("pin", "ok I")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	started := 0
	for _, on := range s.loops {
		onLoop(t, on, func() {
			n := on.relocate(s.backendOf(a), s.backendOf(b), "order", 2, func(s *Session) bool { return s.id > 2 })
			if n > 2 {
				t.Errorf("%d were begun", n)
			}
			started += n
		})
	}
	if started == 0 {
		t.Fatal("none was begun")
	}
	s.awaits("moved", started)
	moved := 0
	for i, c := range clients {
		if c.ask("who") == "b I" {
			if moved++; i < 2 {
				t.Errorf("client %d was moved", i)
			}
		}
	}
	if moved != started {
		t.Errorf("%d are there, %d were moved", moved, started)
	}
	for _, on := range s.loops {
		onLoop(t, on, func() {
			all := 0
			for _, one := range on.all() {
				if one.backend == s.backendOf(b) && (one.mob.past.moved == 0 || one.mob.past.from != s.backendOf(a)) {
					t.Error("a session does not know that it was moved")
				}
				all++
			}
		})
	}
	for _, c := range clients {
		c.Close()
	}
	s.expectEmpty()
}

// TestHoldTimeoutOpensTheGate: a client does not wait for longer than it may for a safe point that does not come.
func TestHoldTimeoutOpensTheGate(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	late := make(chan struct{})
	of := func(line string) fate {
		if line == "slow" {
			<-late
		}
		return fateServe
	}
	a.fate.Store(&of)
	s := startLines(t, fakeProto{}, func(s *Setup) {
		s.Clusters[0].Migrate.HoldTimeout = 50 * time.Millisecond
		s.Clusters[0].Migrate.RetryAfter = patience // the gate rests until the safe point
	}, a)
	c := loginLines(t, s.addr("in"))
	c.say("slow")
	eventually(t, "it runs", func() bool { return a.count("slow") == 1 })
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.move(b, "order")
	s.standsBy()
	c.say("add x 1", "begin") // wait, as the answer is owed
	eventually(t, "the gate is open", func() bool {
		return s.holds(func(s *Session) bool { return s.mv != nil && s.mv.open && len(s.mv.held) == 0 && s.follow.Owed() == 3 })
	})
	close(late)
	for _, want := range []string{"ok I", "1 I", "ok T"} {
		if got := c.read(); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	c.expect("commit", "ok I")
	s.awaits("moved", 1)
	c.expect("add x 1", "2 I")
	c.expect("who", "b I")
	c.Close()
	s.expectEmpty()
}

// figures are the metrics.
func (s *stand) figures() string {
	var b strings.Builder
	s.WriteMetrics(&b)
	return b.String()
}

// TestHeldBytesAreBounded: a client that sends much while its session moves is not read on.
func TestHeldBytesAreBounded(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	b.meet("put", fateHang)
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.move(b, "order")
	s.reaches(moveAsked)
	const n = 200000
	sent := make(chan error, 1)
	go func() {
		var err error
		for range n {
			if _, err = io.WriteString(c, "add x 1\n"); err != nil {
				break
			}
		}
		sent <- err
	}()
	one := s.only()
	eventually(t, "the client is not read", func() bool {
		held, paused := 0, false
		onLoop(t, one.on, func() { held, paused = len(one.mv.held), one.client.Paused() })
		if held > waitMax+128<<10 {
			t.Fatalf("%d bytes are held", held)
		}
		return paused
	})
	b.cutAll()
	for i := range n {
		if got := c.read(); got != fmt.Sprint(i+1, " I") {
			t.Fatalf("answer %d is %q", i, got)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	c.Close()
	s.expectEmpty()
}

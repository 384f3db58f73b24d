package session

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
)

// TestSafePoint: there is one definition of it. What keeps a session from leaving keeps it from moving, from being
// asked for its state, and from outliving its server, and that is shown; once it is over, they all may.
func TestSafePoint(t *testing.T) {
	for _, tt := range []struct {
		busy       string
		unsent     bool // and the server knows nothing of it
		begin, end func(c *lineClient, a *fakeDB)
	}{
		{"transaction", false,
			func(c *lineClient, a *fakeDB) { c.expect("begin", "ok T") },
			func(c *lineClient, a *fakeDB) { c.expect("commit", "ok I") }},
		{"owed", false,
			func(c *lineClient, a *fakeDB) { a.pause("slow"); c.say("slow") },
			func(c *lineClient, a *fakeDB) { a.resume(); c.read() }},
		{"message", false,
			func(c *lineClient, a *fakeDB) { _, _ = io.WriteString(c, "sl") },
			func(c *lineClient, a *fakeDB) { c.expect("ow", "ok I") }},
		{"message", true, // that may be a KILL
			func(c *lineClient, a *fakeDB) { _, _ = io.WriteString(c, "kil") },
			func(c *lineClient, a *fakeDB) { c.expect("o", "ok I") }},
	} {
		for _, who := range []string{"leaves", "moves", "is asked", "outlives"} {
			t.Run(tt.busy+" "+who, func(t *testing.T) {
				a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
				s := startLines(t, fakeProto{}, func(s *Setup) { s.Clusters[0].Migrate.KeepState = time.Hour }, a)
				c := loginLines(t, s.addr("in"))
				c.expect("add x 1", "1 I")
				one := s.only()
				s.setup.Clusters[0].Backends = lineSpecs(a, b)
				s.apply()
				tt.begin(c, a)
				eventually(t, "it is busy", func() bool { return s.Sessions(1)[0].Busy == tt.busy })
				done := func() bool { return false }
				switch who {
				case "leaves":
					s.setup.Frontends = nil
					s.apply()
					done = func() bool { return !s.holds(func(*Session) bool { return true }) }
				case "moves":
					s.move(b, "order")
					done = func() bool { return s.results()["moved"] == 1 }
					if tt.unsent { // it moves at once, and takes along what was not sent
						s.awaits("moved", 1)
						break
					}
					s.standsBy()
				case "is asked":
					onLoop(t, one.on, func() {
						if one.keepable() {
							t.Error("it would be asked")
						}
					})
					done = func() (ok bool) {
						onLoop(t, one.on, func() { ok = one.keepable() })
						return ok
					}
				case "outlives":
					onLoop(t, one.on, func() {
						if ok := one.safeWithout() == ""; ok != tt.unsent {
							t.Errorf("at a safe point: %v", ok)
						}
					})
					done = func() (ok bool) {
						onLoop(t, one.on, func() { ok = one.safeWithout() == "" })
						return ok
					}
				}
				if done() && !tt.unsent {
					t.Error("it did not wait for the safe point")
				}
				tt.end(c, a)
				eventually(t, "it goes on at the safe point", done)
				c.Close()
				s.expectEmpty()
			})
		}
	}
}

// TestCommitForAMove: a machine may end a transaction where the client's next message would. Whatever becomes of that
// is told rightly.
func TestCommitForAMove(t *testing.T) {
	for _, what := range []string{"made", "refused", "lost", "slow, then lost", "slow, then made"} {
		t.Run(what, func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{}, func(s *Setup) {
				if what[0] == 's' {
					s.Clusters[0].Migrate.HoldTimeout = 50 * time.Millisecond
				}
			}, a)
			c := loginLines(t, s.addr("in"))
			c.expect("begin", "ok T")
			c.expect("add x 1", "1 T")
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			s.apply()
			switch what {
			case "refused":
				a.meet("commit", fateRefuse)
			case "lost":
				a.meet("commit", fateCut)
			case "slow, then lost", "slow, then made":
				a.pause("commit")
			}
			s.move(b, "order")
			s.standsBy()
			c.say("begin", "add x 1")
			switch what {
			case "made":
				if got := c.read() + c.read(); got != "ok T2 T" {
					t.Errorf("got %q", got)
				}
				s.awaits("moved", 1)
				c.expect("who", "b T")
			case "refused":
				if got := c.read() + c.read(); got != "no T2 T" || a.count("begin") != 1 {
					t.Errorf("got %q, %d begins", got, a.count("begin"))
				}
				s.awaits("not_placed", 1)
			case "slow, then made": // too late for the move, not for the client
				s.awaits("hold_timeout", 1)
				a.resume()
				if got := c.read() + c.read(); got != "ok T2 T" {
					t.Errorf("got %q", got)
				}
				c.expect("who", "a T")
			default:
				if what == "slow, then lost" {
					s.awaits("hold_timeout", 1)
					a.cutAll()
					a.resume()
				}
				c.expectLost("whether what was under way has been done is not known")
				if got := s.losses(); got["unknown"] != 1 || len(got) != 1 {
					t.Errorf("losses: %v", got)
				}
			}
			c.Close()
			s.expectEmpty()
			s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
		})
	}
}

// TestMovedRelayAllocatesNothing counts allocations over many round trips of a session that may move, of one that
// has, and of one whose bytes are translated since.
func TestMovedRelayAllocatesNothing(t *testing.T) {
	for _, renames := range []bool{false, true} {
		a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
		s := startLines(t, fakeProto{renames: renames}, nil, a)
		c := loginLines(t, s.addr("in"))
		direct := lineAllocs(t, loginLines(t, a.addr()), "1 I\n")
		check := func(when string, sum int) {
			t.Helper()
			if got := lineAllocs(t, c, fmt.Sprint(sum, " I\n")); got > direct+0.1 {
				t.Errorf("%s a round trip makes %.2f allocations, without the relay %.2f", when, got, direct)
			}
		}
		c.expect("add x 1", "1 I")
		check("before a move", 1)
		s.setup.Clusters[0].Backends = lineSpecs(a, b)
		s.apply()
		s.move(b, "order")
		s.awaits("moved", 1)
		check("behind a move", 1)
		want := map[bool]string{false: "b I", true: "B I"}[renames]
		_, _ = io.WriteString(c, "w")
		c.expect("ho", want) // half a message is held back
		if renames {
			c.expect("add X 4", "5 I") // x, at the server
		}
		c.Close()
		s.expectEmpty()
	}
}

// lineAllocs is what a round trip allocates in the whole process.
func lineAllocs(t *testing.T, c *lineClient, want string) float64 {
	t.Helper()
	ask, answer := []byte("add x 0\n"), make([]byte, len(want))
	if want == "1 I\n" {
		c.ask("add x 1") // of a connection of its own, or one more
		c.ask("add x -1")
	}
	trip := func() {
		_, _ = c.Write(ask)
		if _, err := io.ReadFull(c.r, answer); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		trip()
	}
	const n = 3000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		trip()
	}
	runtime.ReadMemStats(&after)
	if !bytes.HasSuffix(answer, []byte(" I\n")) {
		t.Fatalf("answer %q", answer)
	}
	return float64(after.Mallocs-before.Mallocs) / n
}

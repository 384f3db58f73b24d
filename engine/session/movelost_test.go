package session

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/codec"
)

func itoa(n uint32) string { return strconv.Itoa(int(n)) }

// losses are how many sessions have lost their server, by what that has meant for them.
func (s *stand) losses() map[string]int {
	sum, _ := s.snapshot()
	got := map[string]int{}
	for r, n := range sum.frontend("in").losses {
		if n > 0 {
			got[lossResult(r).String()] = int(n)
		}
	}
	return got
}

// TestCrash: a session whose state is known lives on elsewhere when its server dies at a safe point. What its client
// says meanwhile waits.
func TestCrash(t *testing.T) {
	for _, kept := range []bool{false, true} { // asked for behind a change, or as it was at the login
		for _, says := range []bool{false, true} {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{}, func(s *Setup) { s.Clusters[0].Migrate.KeepState = 100 * time.Millisecond }, a)
			c := loginLines(t, s.addr("in"))
			want := "1 I"
			if kept {
				c.expect("add x 5", "5 I")
				eventually(t, "its state is known", func() bool {
					return s.holds(func(s *Session) bool { return s.mv == nil && s.mob.mover.Known() })
				})
				c.expect("who", "a I")
				want = "6 I"
			}
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			b.meet("login", fateHang)
			s.apply()
			a.stop()
			eventually(t, "it is on its way", func() bool { return b.count("login") == 1 })
			if says {
				c.say("add x 1")
			}
			b.cutAll() // nor does the first try get there
			b.meet("nothing", fateServe)
			if !says {
				c.say("add x 1")
			}
			if got := c.read(); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			c.expect("who", "b I")
			if got := s.losses(); got["kept"] != 1 || len(got) != 1 {
				t.Errorf("losses: %v", got)
			}
			s.expectCounts(map[*fakeDB]int{a: 0, b: 1})
			c.Close()
			s.expectEmpty()
		}
	}
}

// TestCrashAndRestart: with one server alone, its sessions wait until it is back.
func TestCrashAndRestart(t *testing.T) {
	a := startFakeDB(t, "a", 100)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	a.stop()
	s.reaches(moveSeeking)
	if i := s.Sessions(1)[0]; i.Moving != "seeking" {
		t.Errorf("shown is %+v", i)
	}
	c.say("add x 3")
	a.restart(t)
	if got := c.read(); got != "3 I" {
		t.Errorf("got %q", got)
	}
	s.expectCounts(map[*fakeDB]int{a: 1})
	c.Close()
	s.expectEmpty()
}

// TestCrashWithoutEnd: a session that finds no other server ends with one clear error.
func TestCrashWithoutEnd(t *testing.T) {
	for _, why := range []string{"time", "too many", "shutdown", "client", "off"} {
		t.Run(why, func(t *testing.T) {
			a := startFakeDB(t, "a", 100)
			s := startLines(t, fakeProto{}, func(s *Setup) {
				switch why {
				case "time":
					s.Clusters[0].FailoverTimeout = 200 * time.Millisecond
				case "off":
					s.Clusters[0].FailoverTimeout = 0
				case "too many":
					s.Clusters[0].FailoverClients = 1
				}
			}, a)
			c := loginLines(t, s.addr("in"))
			var other *lineClient
			if why == "too many" {
				other = loginLines(t, s.addr("in"))
			}
			a.stop()
			switch why {
			case "shutdown":
				s.reaches(moveSeeking)
				s.setup.Frontends = nil
				s.apply()
				c.expectLost("the listener was removed")
			case "client":
				s.reaches(moveSeeking)
				c.say("who")
				c.Close()
			case "too many":
				eventually(t, "one is told", func() bool { return s.losses()["idle"] == 1 })
				c.Close()
				other.Close()
			default:
				c.expectLost("the connection to the server was lost")
				if got := s.losses(); got["idle"] != 1 {
					t.Errorf("losses: %v", got)
				}
			}
			s.expectEmpty()
			if i := s.Failover()["pg"]; i.Waiting != 0 {
				t.Errorf("waiting: %+v", i)
			}
		})
	}
}

// TestCrashInTheMiddle: what can't live on is told what became of its work.
func TestCrashInTheMiddle(t *testing.T) {
	for _, tt := range []struct{ name, want, result string }{
		{"state unknown", "the connection to the server was lost", "idle"},
		{"transaction", "the open transaction was rolled back", "not_run"},
		{"in flight", "whether what was under way has been done is not known", "unknown"},
		{"harmless", "what was under way has changed nothing", "not_run"},
		{"pinned", "the connection to the server was lost", "idle"},
		{"killed", "the connection to the server was lost", "idle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{}, nil, a)
			c := loginLines(t, s.addr("in"))
			one := s.only()
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			s.apply()
			switch tt.name {
			case "state unknown":
				c.expect("add x 1", "1 I")
			case "transaction":
				c.expect("begin", "ok T")
			case "harmless":
				onLoop(t, one.on, func() { one.follow.(*lineFollower).undone = true })
				fallthrough
			case "in flight":
				a.meet("who", fateHang)
				c.say("who")
				eventually(t, "it runs", func() bool { return a.count("who") == 1 })
			case "pinned":
				c.expect("pin", "ok I")
			case "killed":
				s.setup.Clusters[0].Backends = lineSpecs(a)
				s.apply()
				k := loginLines(t, s.addr("in"))
				k.say("kill " + itoa(c.id))
				if got := k.read(); got != "ok I" {
					t.Errorf("KILL: %q", got)
				}
				k.say("quit")
				k.Close()
				s.only()
			}
			a.cutAll()
			c.expectLost(tt.want)
			if got := s.losses(); got[tt.result] != 1 || len(got) != 1 {
				t.Errorf("losses: %v", got)
			}
			s.expectEmpty()
		})
	}
}

// TestOldServerDiesInItsMove: the move goes on if all is known that is needed of it; else the session lives on if its
// state was known, or its client is told.
func TestOldServerDiesInItsMove(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stage moveStage
		known bool
		want  string
	}{
		{"dialling", moveDialling, true, "kept"},
		{"preparing", movePreparing, true, "kept"},
		{"preparing, not known", movePreparing, false, "idle"},
		{"asked", moveAsked, true, "kept"},
		{"asked, not known", moveAsked, false, "idle"},
		{"answered", moveAsked, false, "moved"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			late := make(chan struct{})
			hold := func(word string) func(string) fate {
				return func(line string) fate {
					if strings.HasPrefix(line, word) {
						<-late
					}
					return fateServe
				}
			}
			s := startLines(t, fakeProto{}, nil, a)
			c := loginLines(t, s.addr("in"))
			want := "1 I"
			if !tt.known {
				c.expect("add x 5", "5 I")
				want = "6 I"
			}
			var of func(string) fate
			switch tt.name {
			case "dialling":
				of = hold("greet")
			case "preparing", "preparing, not known":
				of = hold("login")
			case "answered":
				of = hold("put")
			default:
				a.meet("state?", fateHang)
				of = hold("nothing")
			}
			b.fate.Store(&of)
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			s.apply()
			s.move(b, "order")
			switch {
			case tt.name == "dialling":
			case tt.name == "answered":
				eventually(t, "the state is put in place", func() bool { return b.count("put") == 1 })
			case tt.stage == moveAsked:
				eventually(t, "the old server is asked", func() bool { return a.count("state?") == 1 })
			default:
				s.reaches(tt.stage)
			}
			a.stop()
			eventually(t, "it is known", func() bool {
				return !s.holds(func(s *Session) bool { return s.server != nil && s.server.Open() && s.backend.Addr() == a.addr() })
			})
			close(late)
			switch tt.want {
			case "idle":
				c.expectLost("the connection to the server was lost")
			default:
				c.expect("add x 1", want)
				c.expect("who", "b I")
				c.Close()
			}
			if got := s.losses(); tt.want != "moved" && (got[tt.want] != 1 || len(got) != 1) || tt.want == "moved" && len(got) > 0 {
				t.Errorf("losses: %v", got)
			}
			s.expectEmpty()
			s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
		})
	}
}

// TestOldServerIsSlowToAnswer: when the client has waited for long enough the session stays where it is, and goes on
// as soon as the old server has said what it was asked.
func TestOldServerIsSlowToAnswer(t *testing.T) {
	for _, dies := range []bool{false, true} {
		a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
		late := make(chan struct{})
		of := func(line string) fate {
			if line == "state?" {
				<-late
			}
			return fateServe
		}
		a.fate.Store(&of)
		s := startLines(t, fakeProto{}, func(s *Setup) { s.Clusters[0].Migrate.HoldTimeout = 50 * time.Millisecond }, a)
		c := loginLines(t, s.addr("in"))
		c.expect("add x 1", "1 I")
		s.setup.Clusters[0].Backends = lineSpecs(a, b)
		s.apply()
		s.move(b, "order")
		s.reaches(moveAsked)
		c.say("add x 1")
		s.awaits("hold_timeout", 1)
		s.reaches(moveOwing)
		if dies {
			a.stop()
			close(late)
			c.expectLost("the connection to the server was lost") // and what waits was not sent
			if got := s.losses(); got["idle"] != 1 {
				t.Errorf("losses: %v", got)
			}
		} else {
			close(late)
			if got := c.read(); got != "2 I" {
				t.Errorf("got %q", got)
			}
			c.expect("who", "a I")
			c.Close()
		}
		s.expectEmpty()
		s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
	}
}

// TestStateIsAskedForOnce: a session at rest is asked for its state behind a change, and then no more.
func TestStateIsAskedForOnce(t *testing.T) {
	a := startFakeDB(t, "a", 100)
	s := startLines(t, fakeProto{}, func(s *Setup) { s.Clusters[0].Migrate.KeepState = 100 * time.Millisecond }, a)
	idle := loginLines(t, s.addr("in"))
	c := loginLines(t, s.addr("in"))
	c.expect("add x 1", "1 I")
	known := func(n int) {
		t.Helper()
		eventually(t, "it is known", func() bool {
			sum, _ := s.snapshot()
			return sum.moves.asks[moveMade] == uint64(n)
		})
	}
	known(1)
	c.expect("who", "a I")
	looks := func() (n int64) {
		sum := int64(0)
		for _, on := range s.loops {
			onLoop(t, on, func() { sum += on.keeper.rounds })
		}
		return sum
	}
	from := looks()
	eventually(t, "the keeper has looked again", func() bool { return looks() > from+6 })
	if n := a.count("state?"); n != 1 {
		t.Errorf("the state was asked for %d times", n)
	}
	c.expect("add x 1", "2 I")
	known(2)
	a.meet("state?", fateRefuse)
	c.expect("add x 1", "3 I")
	eventually(t, "it was refused", func() bool {
		sum, _ := s.snapshot()
		return sum.moves.asks[moveNotPlaced] == 1
	})
	c.expect("who", "a I")
	from = looks()
	eventually(t, "the keeper has looked again", func() bool { return looks() > from+6 })
	if n := a.count("state?"); n != 3 {
		t.Errorf("the state was asked for %d times", n)
	}
	idle.Close()
	c.Close()
	s.expectEmpty()
}

// TestKillBehindAMove: the keys of a session that has moved lead to where it is.
func TestKillBehindAMove(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c, k := loginLines(t, s.addr("in")), loginLines(t, s.addr("in"))
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.backendOf(a).Drain("for a test")
	s.awaits("moved", 2)
	id := c.askID()
	for i, named := range []uint32{c.id, id} {
		k.expect("kill "+itoa(named), "ok I")
		eventually(t, "the server was told its own id", func() bool { return b.count("kill") == i+1 })
	}
	if got := b.last("kill"); got != "kill "+itoa(id) {
		t.Errorf("the server was told %q", got)
	}
	// A client that is told this id by its greeting has it from then on.
	d := startFakeDB(t, "d", 1000)
	s.setup.Clusters[0].Backends = lineSpecs(a, b, d)
	s.apply()
	for range 100 {
		d.next.Store(id - 1) // a health check may have taken it
		n := loginLines(t, s.addr("in"))
		if n.id != id {
			n.say("quit")
			n.Close()
			continue
		}
		to, _ := s.keys.find(codec.Key{ID: id})
		if to.backend != s.backendOf(d) {
			t.Errorf("the id leads to %s", to.backend.Addr())
		}
		c.say("quit")
		c.Close()
		eventually(t, "the other session has ended", func() bool {
			return !s.holds(func(s *Session) bool { return s.id == 1 })
		})
		if to, ok := s.keys.find(codec.Key{ID: id}); !ok || to.backend != s.backendOf(d) {
			t.Error("the key has gone with a session that has lost it")
		}
		return
	}
	t.Error("nobody was told the id")
}

// TestKillInAMove: a session that is killed by its user while the new server is given its state does not go on there, though
// the old one alone was told.
func TestKillInAMove(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	one := s.only()
	k := loginLines(t, s.addr("in"))
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	b.pause("put")
	onLoop(t, one.on, func() { one.moveTo(s.backendOf(b), "order") })
	eventually(t, "the state is put in place", func() bool { return b.count("put") == 1 })
	k.expect("kill "+itoa(c.id), "ok I")
	b.resume()
	c.expectLost("the session was killed")
	k.Close()
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
}

// TestKillOfLongAgo: a KILL that the server has refused does not end the session at its next move, nor keeps it from
// outliving its server.
func TestKillOfLongAgo(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	one := s.only()
	refused := func(ago time.Duration, surely bool) {
		one.doom(surely)
		one.doomed.Add(-2 * int64(ago))
	}
	refused(2*time.Minute, true)
	if doomed, surely := one.isDoomed(0); doomed || surely {
		t.Errorf("a KILL of long ago: doomed %v, surely %v", doomed, surely)
	}
	one.doom(false)
	if doomed, surely := one.isDoomed(0); !doomed || surely {
		t.Errorf("another user's KILL: doomed %v, surely %v", doomed, surely)
	}
	refused(time.Millisecond, true)
	one.doom(false)
	if doomed, surely := one.isDoomed(0); !doomed || !surely {
		t.Errorf("the same user's KILL, and another's: doomed %v, surely %v", doomed, surely)
	}
	refused(2*time.Minute, true)
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.move(b, "order")
	s.awaits("moved", 1)
	c.expect("who", "b I")
	b.stop()
	eventually(t, "it lives on", func() bool { return s.losses()["kept"] == 1 })
	c.expect("who", "a I")
	c.Close()
	s.expectEmpty()
}

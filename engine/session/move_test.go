package session

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/upstream"
)

// TestMove: an idle session goes on at another server with all that it had, and its client sees nothing of it.
func TestMove(t *testing.T) {
	for _, proto := range []fakeProto{{}, {tls: true}, {work: true}, {tls: true, work: true}} {
		t.Run(fmt.Sprintf("tls %v, work %v", proto.tls, proto.work), func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, proto, func(s *Setup) {
				if proto.tls {
					a.tls, b.tls = serving(t), serving(t)
					s.Clusters[0].TLSMode, s.Clusters[0].TLS = codec.TLSRequire, &tls.Config{InsecureSkipVerify: true}
				}
			}, a)
			c := loginLines(t, s.addr("in"))
			c.expect("add x 5", "5 I")
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			s.apply()
			if !s.move(b, "order") {
				t.Fatal("the session can't be moved")
			}
			s.awaits("moved", 1)
			c.expect("add x 2", "7 I")
			c.expect("who", "b I")
			id := c.askID()
			if id < 200 || c.id > 200 {
				t.Errorf("the client was told %d, and has %d", c.id, id)
			}
			for _, k := range []uint32{c.id, id} {
				if to, ok := s.keys.find(codec.Key{ID: k}); !ok || to.backend != s.backendOf(b) || to.server.ID != id {
					t.Errorf("key %d leads to %+v, %v", k, to, ok)
				}
			}
			eventually(t, "the old server was said goodbye", func() bool { return a.byes.Load() == 1 && a.open() == 0 })
			s.expectCounts(map[*fakeDB]int{a: 0, b: 1})
			i := s.Sessions(10)[0]
			if i.Moves != 1 || i.MoveError != "" || i.Backend != b.addr() {
				t.Errorf("shown is %+v", i)
			}
			c.Close()
			s.expectEmpty()
		})
	}
}

// TestMoveWaitsForTheTransaction: a session in a transaction is prepared meanwhile, and moves behind it.
func TestMoveWaitsForTheTransaction(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	c.expect("begin", "ok T")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.move(b, "order")
	eventually(t, "it stands by", func() bool { return s.holds(func(s *Session) bool { return s.mv != nil && s.mv.stage == moveStandBy }) })
	c.expect("add x 1", "1 T")
	c.expect("who", "a T")
	if got := s.Sessions(1)[0]; got.Moving != "standing by" || got.MovingTo != b.addr() {
		t.Errorf("shown is %+v", got)
	}
	s.expectCountsNow(map[*fakeDB]int{a: 1, b: 1}, 1)
	c.expect("commit", "ok I")
	s.awaits("moved", 1)
	c.expect("who", "b I")
	c.expect("add x 1", "2 I")
	c.Close()
	s.expectEmpty()
}

// TestMoveBetweenChainedTransactions: a client that sends all ahead, without a gap, is moved between two of them.
func TestMoveBetweenChainedTransactions(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	c.expect("begin", "ok T")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	s.move(b, "order")
	eventually(t, "it stands by", func() bool { return s.holds(func(s *Session) bool { return s.mv != nil && s.mv.stage == moveStandBy }) })
	var lines, want []string
	for i := range 20 {
		lines = append(lines, "add x 1", "commit", "begin")
		want = append(want, fmt.Sprint(i+1, " T"), "ok I", "ok T")
	}
	c.say(lines...)
	for i, w := range want {
		if got := c.read(); got != w {
			t.Fatalf("answer %d is %q, want %q", i, got, w)
		}
	}
	c.expect("who", "b T")
	s.awaits("moved", 1)
	c.Close()
	s.expectEmpty()
}

// TestMoveFails: whatever goes wrong at the new server, at whatever step, the session stays where it was, its client
// sees nothing, all is counted, and another try gets there.
func TestMoveFails(t *testing.T) {
	for _, tt := range []struct {
		word string
		what fate
		want string
		tls  bool
	}{
		{"greet", fateHang, "timeout", false},
		{"greet", fateCut, "new_lost", false},
		{"login", fateRefuse, "refused", false},
		{"login", fateHang, "timeout", false},
		{"login", fateHalf, "timeout", false},
		{"login", fateCut, "new_lost", false},
		{"starttls", fateHang, "tls", true},
		{"starttls", fateCut, "new_lost", true},
		{"starttls", fateRefuse, "tls", true},
		{"put", fateRefuse, "not_placed", false},
		{"put", fateHang, "hold_timeout", false},
		{"put", fateCut, "new_lost", false},
		{"state?", fateRefuse, "not_placed", false},
		{"state?", fateHalf, "hold_timeout", false},
		{"state?", fateCut, "new_lost", true},
	} {
		t.Run(fmt.Sprintf("%s %d", tt.word, tt.what), func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{tls: tt.tls}, func(s *Setup) {
				if tt.tls {
					b.tls = serving(t)
					s.Clusters[0].TLSMode, s.Clusters[0].TLS = codec.TLSRequire, &tls.Config{InsecureSkipVerify: true}
				}
				s.Clusters[0].Migrate.HoldTimeout = 200 * time.Millisecond
				if tt.want == "timeout" || tt.want == "tls" {
					s.Clusters[0].ConnectTimeout = 300 * time.Millisecond
				}
			}, a)
			c := loginLines(t, s.addr("in"))
			c.expect("add x 5", "5 I")
			b.meet(tt.word, tt.what)
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			s.apply()
			s.move(b, "order")
			s.awaits(tt.want, 1)
			c.expect("add x 1", "6 I")
			c.expect("who", "a I")
			s.expectCounts(map[*fakeDB]int{a: 1, b: 0})
			if i := s.Sessions(1)[0]; i.Moves != 0 || i.MoveError == "" {
				t.Errorf("shown is %+v", i)
			}
			b.cutAll()
			b.meet("nothing", fateServe)
			s.setup.Clusters[0].ConnectTimeout = patience
			s.setup.Clusters[0].Migrate.HoldTimeout = patience
			s.apply()
			eventually(t, "it may be tried again", func() bool { return s.move(b, "order") })
			s.awaits("moved", 1)
			c.expect("add x 1", "7 I")
			c.expect("who", "b I")
			if i := s.Sessions(1)[0]; i.Moves != 1 || i.MoveError != "" {
				t.Errorf("shown is %+v", i)
			}
			s.expectCounts(map[*fakeDB]int{a: 0, b: 1})
			c.Close()
			s.expectEmpty()
			eventually(t, "the servers have let go", func() bool { return a.open() == 0 && b.open() == 0 })
		})
	}
}

// TestMoveToADeadServer: nobody listens there.
func TestMoveToADeadServer(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	eventually(t, "it was seen", func() bool { return s.backendOf(b).Health() == upstream.Up })
	b.stop()
	s.move(b, "order")
	s.awaits("dial", 1)
	c.expect("who", "a I")
	s.expectCounts(map[*fakeDB]int{a: 1, b: 0})
	c.Close()
	s.expectEmpty()
}

// TestClientLeavesItsMove: at whatever step a client goes, nothing is left of it.
func TestClientLeavesItsMove(t *testing.T) {
	for _, word := range []string{"greet", "login", "put", "state?"} {
		t.Run(word, func(t *testing.T) {
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{}, nil, a)
			c := loginLines(t, s.addr("in"))
			b.meet(word, fateHang)
			s.setup.Clusters[0].Backends = lineSpecs(a, b)
			s.apply()
			s.move(b, "order")
			eventually(t, "the new server hangs", func() bool { return word == "greet" && b.open() > 0 || b.count(word) > 0 })
			c.say("add x 1") // which may have to wait
			c.Close()
			s.awaits("left", 1)
			s.expectEmpty()
			s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
			eventually(t, "the servers have let go", func() bool { return a.open() == 0 && b.open() == 0 })
		})
	}
}

// TestClientLeavesWhileItsMoveComputes: the machine is in the hands of another goroutine then.
func TestClientLeavesWhileItsMoveComputes(t *testing.T) {
	for _, leaves := range []bool{true, false} {
		a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
		proto := fakeProto{work: true, working: newWorking()}
		s := startLines(t, proto, nil, a)
		c := loginLines(t, s.addr("in"))
		s.setup.Clusters[0].Backends = lineSpecs(a, b)
		s.apply()
		s.move(b, "order")
		eventually(t, "it works", func() bool { return s.holds(func(s *Session) bool { return s.mv != nil && s.mv.working }) })
		if leaves {
			c.Close()
			s.expectEmpty()
			close(*proto.working.Load())
		} else { // the new server does, and the session is moved again
			b.cutAll()
			s.awaits("new_lost", 1)
			c.expect("who", "a I")
			close(*proto.working.Load())
			eventually(t, "it may be tried again", func() bool { return s.move(b, "order") })
			s.awaits("moved", 1)
			c.expect("who", "b I")
			c.Close()
		}
		s.expectEmpty()
		s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
	}
}

// TestNewerWishWins: a move that is not as far as to ask is given up for another one.
func TestNewerWishWins(t *testing.T) {
	a, b, d := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200), startFakeDB(t, "d", 300)
	s := startLines(t, fakeProto{}, nil, a)
	c := loginLines(t, s.addr("in"))
	c.expect("begin", "ok T")
	s.setup.Clusters[0].Backends = lineSpecs(a, b, d)
	s.apply()
	s.move(b, "order")
	eventually(t, "it stands by", func() bool { return s.holds(func(s *Session) bool { return s.mv != nil && s.mv.stage == moveStandBy }) })
	s.move(d, "order")
	c.expect("commit", "ok I")
	s.awaits("moved", 1)
	if got := s.results(); got["replaced"] != 1 {
		t.Errorf("what came of it: %v", got)
	}
	c.expect("who", "d I")
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0, d: 1})

	b.meet("put", fateHang) // and one for which the client waits is not
	s.move(b, "order")
	eventually(t, "it is asked", func() bool { return s.holds(func(s *Session) bool { return s.mv != nil && s.mv.stage == moveAsked }) })
	if s.move(a, "order") {
		t.Error("another one was begun")
	}
	c.Close()
	s.expectEmpty()
}

// askID is the id by which the server knows the session.
func (c *lineClient) askID() uint32 {
	c.t.Helper()
	n, err := strconv.Atoi(strings.TrimSuffix(c.ask("id"), " I"))
	if err != nil {
		c.t.Fatal(err)
	}
	return uint32(n)
}

// lineSpecs are the backends at those servers.
func lineSpecs(list ...*fakeDB) (specs []upstream.Spec) {
	for _, f := range list {
		specs = append(specs, upstream.Spec{Addr: f.addr()})
	}
	return specs
}

// expectCountsNow holds that the sessions are counted so, and that so many part.
func (s *stand) expectCountsNow(at map[*fakeDB]int, parting int) {
	s.t.Helper()
	sum := 0
	for f, n := range at {
		b := s.backendOf(f)
		sum += b.Outgoing()
		if b.Sessions() != n {
			s.t.Errorf("%s has %d sessions, want %d", f.name, b.Sessions(), n)
		}
	}
	if sum != parting {
		s.t.Errorf("%d part, want %d", sum, parting)
	}
}

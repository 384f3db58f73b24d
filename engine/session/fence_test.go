package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/router"
	"sluice/upstream"
)

// statesAt counts the server connections to a server by their states.
func (s *stand) statesAt(db *fakePG) map[connState]int {
	n := map[connState]int{}
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for spec, h := range on.homes {
				for sc := range h.conns {
					if spec.backend.Addr() == db.addr() {
						n[sc.state]++
					}
				}
			}
		})
	}
	return n
}

// TestFenceLeavesNothing: what a client has left behind in the middle of something ends with its leader's time,
// though that server does not answer any more.
func TestFenceLeavesNothing(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, nil, a, b)
	c := login(t, s.addr("in"))
	c.ask("hang")
	<-a.stalled
	c.Close()
	eventually(t, "its connection is left to itself", func() bool { return s.statesAt(a)[connLeaving] == 1 })
	leads(s, f, b, a)
	eventually(t, "it is cut", func() bool { return len(s.statesAt(a)) == 0 })
	s.expectCalm()
}

// TestLoginLeavesAFormerLeader: a login that is under way at a server which does not answer goes on at the next
// leader, as soon as that is known.
func TestLoginLeavesAFormerLeader(t *testing.T) {
	t.Run("proxy", func(t *testing.T) {
		f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
		s := startProxy(t, discovered(f, nil))
		leads(s, f, a, b)
		a.silent.Store(true)
		before := a.logins.Load()
		c := connect(t, s.addr("in"))
		eventually(t, "it has asked", func() bool { return a.logins.Load() > before })
		leads(s, f, b, a)
		if tag, _ := c.ready().query("select"); tag != "db-b" {
			t.Errorf("it is at %s", tag)
		}
		c.Close()
		s.expectEmpty()
	})
	t.Run("funnel", func(t *testing.T) {
		a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
		s, f := startCluster(t, nil, a, b)
		a.unasked.Store(true)
		c := connect(t, s.addr("in"))
		eventually(t, "the server is asked for the settings", func() bool { return a.looks.Load() > 0 })
		leads(s, f, b, a)
		if tag, _ := c.ready().query("select"); tag != "db-b" {
			t.Errorf("it is at %s", tag)
		}
		c.Close()
		s.expectCalm()
	})
}

// TestReadsLeaveAFormerLeader: a read that waits for the position of a leader which does not answer is done
// elsewhere as soon as another one leads.
func TestReadsLeaveAFormerLeader(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, func(s *Setup) {
		for i := range s.Frontends {
			s.Frontends[i].Sharing.ReadRoles, s.Frontends[i].Sharing.OwnWrites = only(router.Async), OwnWritesLeader
		}
	}, a, b)
	c := login(t, s.addr("in"))
	c.query("write")
	a.log.mute.Store(true)
	c.ask("begin read only")
	eventually(t, "the leader is asked", func() bool { return s.statesAt(a)[connLocating] == 1 })
	begun := time.Now()
	leads(s, f, b, a)
	c.answer("db-b")
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v: as long as the question may", took)
	}
	c.query("commit")
	c.Close()
	s.expectCalm()
}

// TestLossIsForgotten: that a server connection was lost before a unit of work had begun does not count against
// the next unit, if the client has heard of a loss in between.
func TestLossIsForgotten(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) { one(s); s.Frontends[0].Sharing.KeepOnLoss = true }, db)
	c := login(t, s.addr("in"))
	c.query("select")
	session := s.only()
	onLoop(t, session.on, func() { session.sh.trouble().lostAt = session.on.loop.Now() })
	c.query("begin")
	db.cutAll()
	c.ask("select")
	c.fails("40001", "E")
	onLoop(t, session.on, func() {
		if session.sh.retry.lostAt != 0 {
			t.Error("the loss of before is remembered")
		}
	})
	c.query("rollback")
	c.Close()
	s.expectCalm()
}

// TestHoldForsakesNobody: what a client asks for of the server connection that it had before is answered while
// work is held: behind the hold it would be gone.
func TestHoldForsakesNobody(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, nil, a, b)
	c := login(t, s.addr("in"))
	c.query("select nextval('s')")
	f.finds.Hold("a switchover", time.Hour)
	s.settled()
	if tag, _ := c.query("select currval('s')"); tag != "db-a" {
		t.Errorf("told by %s", tag)
	}
	leads(s, f, b, a)
	c.Close()
	s.expectCalm()
}

// TestLeaderOutOfReach: where a discovery finds the leader, one that can't be reached is waited for as long as
// one that there is not: that it has gone may be known last by the discovery.
func TestLeaderOutOfReach(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, func(s *Setup) {
		s.Clusters[0].RetryTimeout, s.Clusters[0].Health.Fall = 0, 1000
	}, a, b)
	c := login(t, s.addr("in"))
	c.query("select")
	a.stop()
	eventually(t, "the pool is empty", func() bool { return len(s.statesAt(a)) == 0 })
	c.ask("select")
	s.seeking(1)
	leads(s, f, b)
	c.answer("db-b")
	c.Close()
	s.expectCalm()
}

// TestLoginInVainSaysWhy: a login whose time is over while it waits for a leader is told that there is none.
func TestLoginInVainSaysWhy(t *testing.T) {
	for _, mode := range []string{"proxy", "funnel"} {
		f, b := &fakeFinder{}, startFakePG(t, "db-b")
		s := startProxy(t, discovered(f, func(s *Setup) {
			s.Frontends[0].LoginTimeout = 300 * time.Millisecond
			if mode == "funnel" {
				s.Frontends[0].Sharing = trusting(2)
			}
		}))
		f.found(upstream.Spec{Addr: b.addr(), Role: router.Async})
		told := ""
		for range 8 { // the time may be over before it waits for a leader, on a machine that stalls
			c := connect(t, s.addr("in"))
			kind, body := c.next()
			for kind == 'R' {
				kind, body = c.next()
			}
			c.Close()
			if told = fmt.Sprintf("%c %q", kind, body); kind == 'E' && strings.Contains(body, "no server is available") {
				told = ""
				break
			}
		}
		if told != "" {
			t.Errorf("%s: the client is told %s", mode, told)
		}
		s.expectEmpty()
	}
}

// TestReadsMayStayAgain: a replica that serves only what reads, and fits again, is not left in the time of before.
func TestReadsMayStayAgain(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, func(s *Setup) {
		s.Frontends[0].Sharing.ReadRoles = only(router.Async)
		s.Frontends[0].Lag = router.LagLimits{Bytes: 1000, Return: 50}
	}, a, b)
	lags := func(bytes uint64) {
		f.found(member(a, router.Leader), behind(b, bytes))
		s.settled()
	}
	lags(0)
	c := login(t, s.addr("in"))
	if tag, _ := c.query("begin read only"); tag != "db-b" {
		t.Fatalf("it reads at %s", tag)
	}
	if lags(5000); s.deadlines() != 1 {
		t.Errorf("%d deadlines for a replica that is behind", s.deadlines())
	}
	if lags(0); s.deadlines() != 0 {
		t.Errorf("%d deadlines for one that is not any more", s.deadlines())
	}
	c.query("commit")
	c.Close()
	s.expectCalm()
}

// TestListenWhileThereIsNoLeader: who wants to listen waits for a leader, as who wants to work does, and listens
// where the leader is then.
func TestListenWhileThereIsNoLeader(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	a.utf8.Store(true)
	b.utf8.Store(true)
	s, f := startCluster(t, nil, a, b)
	c := login(t, s.addr("in"))
	c.query("select")
	noLeader(s, f, a, b)
	c.ask("listen news")
	s.seeking(1)
	s.deafen()
	leads(s, f, b, a)
	c.answer("LISTEN")
	if n := b.notify("other", ""); n != 1 {
		t.Errorf("%d connections listen at the leader", n)
	}
	c.Close()
	s.expectCalm()
}

// TestChannelsOutliveALeader: a session that listens stays when another server leads, though that takes nobody
// at first.
func TestChannelsOutliveALeader(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	a.utf8.Store(true)
	b.utf8.Store(true)
	s, f := startCluster(t, nil, a, b)
	c := login(t, s.addr("in"))
	c.query("listen news")
	takeAgain := b.refuseAll()
	before := b.logins.Load()
	leads(s, f, b, a)
	eventually(t, "it was tried again", func() bool { return b.logins.Load() > before+2 })
	takeAgain()
	eventually(t, "it is heard", func() bool { return b.notify("news", "new") == 1 })
	if kind, body := c.next(); kind != 'A' || !strings.HasSuffix(body, "news\x00new\x00") {
		t.Errorf("got %c %q", kind, body)
	}
	c.Close()
	s.expectCalm()
}

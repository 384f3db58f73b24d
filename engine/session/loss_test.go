package session

import (
	"context"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/router"
	"sluice/router/access"
)

// fails reads an error with that SQLSTATE that leaves the session open, and the transaction status behind it.
func (c *client) fails(code, status string) {
	c.t.Helper()
	kind, body := c.next()
	for kind == 'S' {
		kind, body = c.next()
	}
	if kind != 'E' || !strings.Contains(body, "C"+code+"\x00") || strings.Contains(body, "VFATAL\x00") {
		c.t.Fatalf("got %c %q, want an error %s", kind, body, code)
	}
	if kind, body := c.next(); kind != 'Z' || body != status {
		c.t.Fatalf("got %c %q behind the error, want the status %s", kind, body, status)
	}
}

// losses are the ways in which a server goes.
var losses = map[string]func(*fakePG){
	"cut":      (*fakePG).cutAll,
	"shutdown": func(f *fakePG) { f.shutDown("57P01") },
	"crash":    func(f *fakePG) { f.shutDown("57P02") },
}

// onLosses runs a test for each way in which a server goes, with a funnel whose clients stay. It is done when
// nothing is left behind.
func onLosses(t *testing.T, test func(t *testing.T, s *stand, db *fakePG, goes func())) {
	for name, goes := range losses {
		t.Run(name, func(t *testing.T) {
			db := startFakePG(t, "db-a")
			s := startFunnel(t, func(s *Setup) {
				one(s)
				s.Frontends[0].Sharing.KeepOnLoss = true
			}, db)
			test(t, s, db, func() { goes(db) })
			s.expectCalm()
		})
	}
}

// TestLossInABlock: a client whose server goes while it idles in a transaction is told so in place of its next
// answer, is in a failed transaction then, and goes on behind that as if nothing had been.
func TestLossInABlock(t *testing.T) {
	for _, end := range []string{"rollback", "commit"} {
		onLosses(t, func(t *testing.T, s *stand, db *fakePG, goes func()) {
			c := login(t, s.addr("in"))
			c.query("begin")
			goes()
			c.ask("select")
			c.fails("40001", "E")
			c.ask("select")
			c.fails("25P02", "E")
			if tag, status := c.query(end); tag != "ROLLBACK" || status != "I" {
				t.Errorf("%s: %q %q", end, tag, status)
			}
			if tag, status := c.query("select"); tag != "db-a" || status != "I" {
				t.Errorf("behind it: %q %q", tag, status)
			}
			if n := db.commits.Load(); n != 0 {
				t.Errorf("%d commits", n)
			}
			if n := s.PoolInfos()[0].Bereaved; n != 1 {
				t.Errorf("counted %d times", n)
			}
			c.Close()
		})
	}
}

// TestLossInAStatement: nobody knows what became of a statement without a block; a client that waits has nothing
// to do with it (pitfall 42).
func TestLossInAStatement(t *testing.T) {
	onLosses(t, func(t *testing.T, s *stand, db *fakePG, goes func()) {
		c, other := login(t, s.addr("in")), login(t, s.addr("in"))
		c.ask("stall")
		<-db.stalled
		other.ask("select")
		eventually(t, "the other one waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
		goes()
		c.fails("40003", "I")
		other.answer("db-a")
		c.query("select")
		c.Close()
		other.Close()
	})
}

// TestLossUnderAPipeline: what a client has sent ahead is answered in order: what was lost by errors, what was
// not sent yet as if nothing had been.
func TestLossUnderAPipeline(t *testing.T) {
	onLosses(t, func(t *testing.T, s *stand, db *fakePG, goes func()) {
		c := login(t, s.addr("in"))
		c.ask("stall")
		<-db.stalled
		session := s.only()
		onLoop(t, session.on, func() { session.hold([]byte(message('Q', "echo b\x00"))) }) // as if it could not be taken yet
		goes()
		c.fails("40003", "I")
		c.answer("echo b")
		c.ask("echo c")
		c.answer("echo c")
		c.Close()
	})
}

// TestLossInAMessage: the rest of a message whose front went with the server is not taken for another one.
func TestLossInAMessage(t *testing.T) {
	onLosses(t, func(t *testing.T, s *stand, db *fakePG, goes func()) {
		c := login(t, s.addr("in"))
		session := s.only()
		m := message('Q', "echo "+strings.Repeat("x", 1<<20)+"\x00")
		_, _ = c.Write(m[:1<<19])
		eventually(t, "its front is with the server", func() (sent bool) {
			onLoop(t, session.on, func() { sent = session.sh.at != nil && session.sh.at.host.Started() && session.bst.toServer >= 1<<19 })
			return sent
		})
		goes()
		_, _ = c.Write(m[1<<19:])
		kind, body := c.next()
		if kind != 'E' || !strings.Contains(body, "C40003\x00") && !strings.Contains(body, "C40001\x00") {
			t.Fatalf("got %c %q", kind, body)
		}
		c.next()
		c.ask("echo c")
		c.answer("echo c")
		c.Close()
	})
}

// TestLossOfAServerForLong: a client that was told goes on to wait for a server like any other; one that leaves
// meanwhile leaves nothing behind.
func TestLossOfAServerForLong(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, nil, a, b)
	c, gone := login(t, s.addr("in")), login(t, s.addr("in"))
	c.query("begin")
	gone.query("begin")
	noLeader(s, f, a, b) // those under way go on, until the server goes
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("in the transaction: %s", tag)
	}
	a.cutAll()
	c.ask("select")
	c.fails("40001", "E")
	gone.ask("select")
	gone.fails("40001", "E")
	c.ask("select") // a server has to say what it makes of that
	gone.ask("select")
	s.seeking(2)
	gone.Close()
	s.seeking(1)
	leads(s, f, b, a)
	c.fails("25P02", "E")
	c.query("rollback")
	if tag, _ := c.query("select"); tag != "db-b" {
		t.Errorf("behind it: %s", tag)
	}
	c.Close()
	s.expectCalm()
}

// TestFormerLeaderIsCutOff: a transaction that is open at the former leader when another one leads is over, and
// nothing of it is sent there any more.
func TestFormerLeaderIsCutOff(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, nil, a, b)
	c, runs := login(t, s.addr("in")), login(t, s.addr("in"))
	c.query("begin")
	runs.ask("stall")
	<-a.stalled
	leads(s, f, b, a)
	runs.fails("40003", "I")
	eventually(t, "its query is cancelled", func() bool { return a.cancels.Load() == 1 })
	a.stalled <- struct{}{}
	c.ask("insert")
	c.fails("40001", "E")
	c.ask("commit")
	if kind, body := c.next(); kind != 'C' || body != "ROLLBACK\x00" {
		t.Errorf("its commit: %c %q", kind, body)
	}
	c.next()
	for _, one := range []*client{c, runs} {
		if tag, _ := one.query("select"); tag != "db-b" {
			t.Errorf("behind it: %s", tag)
		}
		one.Close()
	}
	if n := a.commits.Load(); n != 0 {
		t.Errorf("the former leader was asked to commit %d times", n)
	}
	s.expectCalm()
}

// TestRefusedWriteIsDoneElsewhere: the first statement of a unit of work, refused by a leader that has been turned
// into a server that only reads, is run at the next leader, and the client is told nothing of it; with another
// statement before it in the transaction the server's own word is told.
func TestRefusedWriteIsDoneElsewhere(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, nil, a, b)
	c, other := login(t, s.addr("in")), login(t, s.addr("in"))
	other.query("begin")
	c.query("select")
	on := "on"
	a.standby.Store(&on)
	a.turned.Store(true)
	hurried, logins := f.hurry.Load(), a.logins.Load()
	c.ask("insert")
	eventually(t, "it is tried again", func() bool { return a.logins.Load() > logins+1 })
	if f.hurry.Load() == hurried {
		t.Error("the discovery was not asked to look")
	}
	other.ask("insert")
	if kind, body := other.next(); kind != 'E' || !strings.Contains(body, "C25006\x00") {
		t.Errorf("in the transaction: %c %q", kind, body)
	}
	leads(s, f, b, a)
	c.answer("db-b")
	c.Close()
	other.Close()
	s.expectCalm()
}

// TestLossEndsTheSession: where the client could not go on, or is not to: its server connection was its own, or
// it is configured so.
func TestLossEndsTheSession(t *testing.T) {
	for name, change := range map[string]func(*Sharing){
		"close": func(sh *Sharing) { sh.KeepOnLoss = false },
		"lasting": func(sh *Sharing) {
			sh.Access = access.New(access.Options{Method: codec.AuthTrust, AnyDatabase: true, Users: []access.User{{Name: "alice"}},
				Limits: access.Limits{Unit: access.UnitSession, PoolSize: 1}})
		},
	} {
		for how, code := range map[string]string{"cut": "08006", "shutdown": "57P01"} {
			t.Run(name+" "+how, func(t *testing.T) {
				db := startFakePG(t, "db-a")
				s := startFunnel(t, func(s *Setup) {
					one(s)
					s.Frontends[0].Sharing.KeepOnLoss = true
					change(s.Frontends[0].Sharing)
				}, db)
				c := login(t, s.addr("in"))
				c.query("begin")
				losses[how](db)
				c.expectError(code)
				s.expectCalm()
			})
		}
	}
}

// TestLossWhileLeaving: a client that was asked to leave in the middle of a transaction that is then lost leaves
// when the client has ended it.
func TestLossWhileLeaving(t *testing.T) {
	onLosses(t, func(t *testing.T, s *stand, db *fakePG, goes func()) {
		c := login(t, s.addr("in"))
		c.query("begin")
		over := make(chan int)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			over <- s.Drain(ctx)
		}()
		session := s.only()
		eventually(t, "it was asked to leave", func() (asked bool) {
			onLoop(t, session.on, func() { asked = session.leaving != nil })
			return asked
		})
		goes()
		c.ask("select")
		c.fails("40001", "E")
		c.ask("rollback")
		if kind, body := c.next(); kind != 'C' {
			t.Fatalf("got %c %q", kind, body)
		}
		c.next()
		c.expectError("57P01")
		if forced := <-over; forced != 0 {
			t.Errorf("%d were forced to leave", forced)
		}
	})
}

// TestLossIsNotARace: servers that go while many work never leave a client without an answer, or a server
// connection with nobody to take it back.
func TestLossIsNotARace(t *testing.T) {
	const clients, rounds = 8, 60
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, func(s *Setup) { s.Clusters[0].RetryTimeout = patience }, a, b)
	list := make([]*client, clients)
	for i := range list {
		list[i] = login(t, s.addr("in"))
	}
	done := make(chan string, clients)
	for _, c := range list {
		go func() { done <- c.toils(rounds) }()
	}
	for i, left := 0, clients; left > 0; i++ {
		select {
		case why := <-done:
			if left--; why != "" {
				t.Error(why)
			}
		case <-time.After(10 * time.Millisecond):
			switch i % 4 {
			case 0:
				a.cutAll()
			case 1:
				b.shutDown("57P01")
			case 2:
				f.found(member(b, router.Leader), member(a, router.Leader))
			case 3:
				f.found(member(a, router.Leader), member(b, router.Async))
			}
		}
	}
	leads(s, f, a, b)
	for _, c := range list {
		if _, status := c.query("rollback"); status != "I" {
			t.Errorf("the status is %s", status)
		}
		c.Close()
	}
	s.expectCalm()
}

// toils does transactions, whose statements may fail; it returns what was not as it should be.
func (c *client) toils(rounds int) (wrong string) {
	for range rounds {
		for _, sql := range []string{"begin", "select", "echo x", "commit", "select"} {
			c.ask(sql)
			for kind := byte(0); kind != 'Z'; {
				k, body, err := readMessage(c.r)
				switch {
				case err != nil:
					return "the session has ended: " + err.Error()
				case k == 'E' && strings.Contains(body, "VFATAL\x00"):
					return "told " + body
				}
				kind = k
			}
		}
	}
	return ""
}

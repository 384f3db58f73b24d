package session

import (
	"testing"
	"time"
)

// cancelInTime has a cancel request for c come to the server. One that the proxy gave up before it was
// connected is followed by another.
func cancelInTime(t *testing.T, s *stand, db *fakePG, c *client) {
	t.Helper()
	var next time.Time
	eventually(t, "the server was asked", func() bool {
		if db.cancels.Load() > 0 {
			return true
		}
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Second)
			if err := cancelBy(s.addr("in"), c.key); err != nil {
				t.Fatal(err)
			}
		}
		return false
	})
}

// cancelled makes a client whose query has ended while a cancel request for it is on its way.
func cancelled(t *testing.T, s *stand, db *fakePG) *client {
	t.Helper()
	c := login(t, s.addr("in"))
	_, _ = c.Write(message('Q', "stall\x00"))
	<-db.stalled
	cancelInTime(t, s, db, c)
	db.stalled <- struct{}{}
	for _, want := range []byte{'C', 'Z'} {
		if kind, body := c.next(); kind != want {
			t.Fatalf("got %c %q", kind, body)
		}
	}
	return c
}

// TestCancelHitsNobodyElse: a server connection is not handed out while a cancel request that may hit it is
// on its way.
func TestCancelHitsNobodyElse(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.holds = make(chan struct{})
	s := startFunnel(t, one, db)
	c := cancelled(t, s, db)
	s.expectState(connHeld)
	_, _ = c.Write(message('Q', "select\x00"))
	eventually(t, "it waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
	s.expectState(connHeld)
	close(db.holds)
	if kind, _ := c.next(); kind != 'C' {
		t.Errorf("got %c", kind)
	}
	if n := db.logins.Load(); n != 1 {
		t.Errorf("%d logins", n)
	}
	c.Close()
	s.expectCalm()
}

// TestCancelThatNeverEnds: the connection that it may still hit is replaced.
func TestCancelThatNeverEnds(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.holds = make(chan struct{})
	defer close(db.holds)
	s := startFunnel(t, func(s *Setup) {
		one(s)
		s.Frontends[0].Sharing.CancelTimeout = 300 * time.Millisecond
	}, db)
	c := cancelled(t, s, db)
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("got %q", tag)
	}
	if n := db.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	c.Close()
	s.expectCalm()
}

// TestCancelGivenUpWhileTheQueryRuns: the connection is replaced then too, when the query has ended, for the
// request may still come.
func TestCancelGivenUpWhileTheQueryRuns(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.holds = make(chan struct{})
	defer close(db.holds)
	s := startFunnel(t, func(s *Setup) {
		one(s)
		s.Frontends[0].Sharing.CancelTimeout = 300 * time.Millisecond
	}, db)
	c := login(t, s.addr("in"))
	_, _ = c.Write(message('Q', "stall\x00"))
	<-db.stalled
	cancelInTime(t, s, db, c)
	eventually(t, "the request was given up", func() bool { return s.cancels.Load() == 0 && s.Clients() == 1 })
	db.stalled <- struct{}{}
	for _, want := range []byte{'C', 'Z'} {
		if kind, body := c.next(); kind != want {
			t.Fatalf("got %c %q", kind, body)
		}
	}
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("got %q", tag)
	}
	if n := db.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	c.Close()
	s.expectCalm()
}

// TestServerDiesHeld: one that dies while a cancel request may hit it leaves nothing behind.
func TestServerDiesHeld(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.holds = make(chan struct{})
	s := startFunnel(t, one, db)
	c := cancelled(t, s, db)
	s.expectState(connHeld)
	db.cutAll()
	eventually(t, "the pool knows", func() bool { return len(s.states()) == 0 })
	close(db.holds)
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("got %q", tag)
	}
	c.Close()
	s.expectCalm()
}

// TestCancelOfNothing: a client that runs nothing has nothing cancelled, nor has one that waits.
func TestCancelOfNothing(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, one, db)
	has, idle := login(t, s.addr("in")), login(t, s.addr("in"))
	has.query("begin")
	for _, c := range []*client{has, idle} {
		if err := cancelBy(s.addr("in"), c.key); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both are done", func() bool { return s.Clients() == 2 && s.Logins() == 0 })
	if n := db.cancels.Load(); n != 0 {
		t.Errorf("the server got %d cancel requests", n)
	}
	if tag, status := has.query("select"); tag != "db-a" || status != "T" {
		t.Errorf("got %q %q", tag, status)
	}
}

package session

import (
	"testing"
	"time"

	"sluice/codec"
	"sluice/router/access"
	"sluice/upstream/pool"
)

// startFunnel is startProxy with a listener whose clients share server connections. They are trusted, and
// may name any database. A pool has two connections, unless change says otherwise.
func startFunnel(t *testing.T, change func(*Setup), backends ...*fakePG) *stand {
	t.Helper()
	return startProxy(t, func(s *Setup) {
		s.Frontends[0].Sharing = trusting(2)
		if change != nil {
			change(s)
		}
	}, backends...)
}

// trusting is sharing by pools of that size for clients whose word is enough.
func trusting(size int) *Sharing {
	return &Sharing{
		Access: access.New(access.Options{Method: codec.AuthTrust, AnyDatabase: true,
			Users:  []access.User{{Name: "alice"}, {Name: "bob"}},
			Limits: access.Limits{Unit: access.UnitTransaction, PoolSize: size}}),
		Pool:       pool.Options{RetryMin: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond},
		CheckQuery: "select 1", ResetQuery: "DISCARD ALL",
		PreparedMax: 10, StatementMax: 1 << 20,
		AbandonTimeout: 5 * time.Second, CancelTimeout: time.Second,
		SharedListen: true,
	}
}

// onLoop runs f on the session's loop and waits for it.
func onLoop(t *testing.T, on *loopState, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !on.loop.Run(func() { f(); close(done) }) {
		t.Fatal("the loop has stopped")
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the loop hangs")
	}
}

// only returns the one session that there is.
func (s *stand) only() *Session {
	s.t.Helper()
	var found *Session
	eventually(s.t, "there is one session", func() bool {
		n := 0
		for _, on := range s.loops {
			onLoop(s.t, on, func() {
				for _, one := range on.all() {
					if one.stage == stageRelay {
						found = one
						n++
					}
				}
			})
		}
		return n == 1
	})
	return found
}

// TestSharedFirst: clients one after the other use the server connections that there are.
func TestSharedFirst(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, nil, db)
	for range 5 {
		c := login(t, s.addr("in"))
		for range 3 {
			if tag, status := c.query("select"); tag != "db-a" || status != "I" {
				t.Errorf("query: %q %q", tag, status)
			}
		}
		c.Close()
	}
	if n := db.logins.Load(); n > 2 {
		t.Errorf("%d logins at the server, want 2 at most", n)
	}
}

package session

import (
	"fmt"
	"strings"
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
		AbandonTimeout: patience, CancelTimeout: patience,
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
	case <-time.After(patience):
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

// expectCalm holds that nothing is left of any session but server connections that are idle in a pool.
func (s *stand) expectCalm() {
	s.t.Helper()
	var left string
	if !comesTrue(func() bool { left = s.notCalm(); return left == "" }) {
		s.t.Fatalf("left over: %s", left)
	}
}

// notCalm names what the proxy still holds for sessions that share, "" if nothing.
func (s *stand) notCalm() (left string) {
	idle, held := 0, 0
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for spec, h := range on.homes {
				for sc := range h.conns {
					if idle++; sc.state != connIdle || sc.at != nil || sc.cancels != 0 {
						left += fmt.Sprintf("connection %d is %v; ", sc.id, sc.state)
					}
				}
				if h.part.Used() != 0 || h.part.Waiting() != 0 {
					left += fmt.Sprintf("%s: %d in use, %d wait; ", spec.user, h.part.Used(), h.part.Waiting())
				}
			}
			if on.count != 0 || len(on.grants) != 0 || on.watched != 0 || on.busy != 0 {
				left += fmt.Sprintf("%d sessions, %d grants, %d watched, %d busy; ", on.count, len(on.grants), on.watched, on.busy)
			}
		})
	}
	open := 0
	for _, spec := range s.pools.all() {
		open += spec.pool.Open()
	}
	for _, b := range s.Backends() {
		held += b.Sessions()
	}
	sum, _ := s.snapshot()
	s.sharers.mu.Lock()
	counted := len(s.sharers.users) + len(s.sharers.databases)
	s.sharers.mu.Unlock()
	if s.Clients() != 0 || int(sum.connected) != idle || open != idle || sum.pending != 0 || s.keys.len() != 0 ||
		s.logins.Load() != 0 || held != 0 || counted != 0 || s.cancels.Load() != 0 {
		left += fmt.Sprintf("%d clients, %d of %d connections counted, %d by the pools, %d pending, %d keys, %d logins, %d on backends, %d cancels",
			s.Clients(), sum.connected, idle, open, sum.pending, s.keys.len(), s.logins.Load(), held, s.cancels.Load())
	}
	return left
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
	s.expectCalm()
}

// TestSharedCheckInBetween: a server connection that is checked while a client's bytes are being used
// takes nothing away of what the client is told.
func TestSharedCheckInBetween(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.utf8.Store(true)
	s := startFunnel(t, func(s *Setup) { s.Frontends[0].Sharing.Pool.CheckAfter = 1 }, db)
	c := login(t, s.addr("in"))
	c.query("select")
	_, _ = c.Write(append(message('Q', "unlisten a\x00"), message('Q', "select\x00")...))
	for _, want := range []string{"UNLISTEN", "db-a"} {
		if kind, body := c.next(); kind != 'C' || body != want+"\x00" {
			t.Fatalf("got %c %q, want %s", kind, body, want)
		}
		c.next()
	}
}

// TestSharedClientIsReadOn: a client that was paused since its server took nothing is read on when it is
// parted from that server before it took anything.
func TestSharedClientIsReadOn(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, nil, db)
	c := login(t, s.addr("in"))
	one := s.only()
	_, _ = c.Write(message('Q', "copy\x00"))
	if kind, body := c.next(); kind != 'G' {
		t.Fatalf("got %c %q", kind, body)
	}
	data := message('d', strings.Repeat("x", 32<<10))
	sent, paused := uint64(0), false
	onLoop(t, one.on, func() { sent = one.bst.toServer })
	for n := 0; !paused; n++ {
		if n == 2000 {
			t.Fatal("the server's connection never got full")
		}
		if _, err := c.Write(data); err != nil {
			t.Fatal(err)
		}
		sent += uint64(len(data))
		eventually(t, "all has been used", func() (all bool) {
			onLoop(t, one.on, func() { all, paused = one.bst.toServer == sent, one.client.Paused() })
			return all
		})
	}
	db.stalled <- struct{}{} // the COPY fails, though nothing of its data was read
	for _, want := range []byte{'E', 'Z'} {
		if kind, body := c.next(); kind != want {
			t.Fatalf("got %c %q, want %c", kind, body, want)
		}
	}
	close(db.stalled)
	eventually(t, "the server has read all", func() (empty bool) {
		onLoop(t, one.on, func() { empty = one.sh.last.conn.Buffered() == 0 && !one.sh.last.conn.Full() })
		return empty
	})
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("the client's next query: %q", tag)
	}
}

// limitedTo is a table like that of trusting(1), with a time-out of queries.
func limitedTo(queries time.Duration) *access.Table {
	return access.New(access.Options{Method: codec.AuthTrust, AnyDatabase: true, Users: []access.User{{Name: "alice"}},
		Limits: access.Limits{Unit: access.UnitTransaction, PoolSize: 1, QueryTimeout: queries}})
}

// TestSharedForNothing: a server connection that is granted to a client of which nothing waits any more is
// given back.
func TestSharedForNothing(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) { s.Frontends[0].Sharing = trusting(1) }, db)
	c := login(t, s.addr("in"))
	one := s.only()
	onLoop(t, one.on, func() { one.on.around(one.again) })
	s.expectState(connIdle)
	other := login(t, s.addr("in"))
	for _, c := range []*client{other, c} {
		if tag, _ := c.query("select"); tag != "db-a" {
			t.Errorf("got %q", tag)
		}
		c.Close()
	}
	s.expectCalm()
}

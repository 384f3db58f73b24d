package session

import (
	"io"
	"strings"
	"testing"
	"time"

	"sluice/upstream"
)

// state tells the states of the server connections that there are, sorted by nothing.
func (s *stand) states() (list []connState) {
	s.t.Helper()
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for _, h := range on.homes {
				for sc := range h.conns {
					list = append(list, sc.state)
				}
			}
		})
	}
	return list
}

// expectState waits until there is one server connection, in that state.
func (s *stand) expectState(want connState) {
	s.t.Helper()
	var last []connState
	if !comesTrue(func() bool { last = s.states(); return len(last) == 1 && last[0] == want }) {
		s.t.Fatalf("server connections are %v, want one that is %v", last, want)
	}
}

// one is a stand with a pool of one connection.
func one(s *Setup) { s.Frontends[0].Sharing = trusting(1) }

// TestServerDiesWhileOpening: the client is told so in time, nothing is left, and the next one is served
// when the server is back. The time-outs are short only as long as something is wrong with the server.
func TestServerDiesWhileOpening(t *testing.T) {
	for _, where := range []string{"accept", "startup", "auth", "key", "silent", "refuses"} {
		t.Run(where, func(t *testing.T) {
			db := startFakePG(t, "db-a")
			code := "57P03"
			switch where {
			case "silent":
				db.silent.Store(true)
			case "refuses":
				db.refuse.Store(&code)
			default:
				db.dies.Store(&where)
			}
			s := startFunnel(t, func(s *Setup) {
				one(s)
				s.Clusters[0].ConnectTimeout = 300 * time.Millisecond
				s.Clusters[0].RetryTimeout = 500 * time.Millisecond
				s.Clusters[0].Health.Interval = 20 * time.Millisecond
			}, db)
			clients := []*client{connect(t, s.addr("in")), connect(t, s.addr("in"))}
			for _, c := range clients {
				if kind, body := c.next(); kind != 'R' && kind != 'E' {
					t.Errorf("got %c %q", kind, body)
				}
				_, _ = io.Copy(io.Discard, c.r)
				c.Close()
			}
			s.expectCalm()
			db.silent.Store(false)
			db.refuse.Store(nil)
			db.dies.Store(nil)
			db.cutAll() // a health check under way learns nothing of the change
			s.setup.Clusters[0].ConnectTimeout, s.setup.Clusters[0].RetryTimeout = patience, patience
			s.apply()
			eventually(t, "it is known to be up", func() bool { return s.Backends()[0].Health() == upstream.Up })
			c := login(t, s.addr("in"))
			c.query("select")
			c.Close()
			s.expectCalm()
		})
	}
}

// TestServerDiesIdle: an idle connection that is cut is replaced without a word.
func TestServerDiesIdle(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, one, db)
	c := login(t, s.addr("in"))
	for range 5 {
		c.query("select")
		s.expectState(connIdle)
		db.cutAll()
		eventually(t, "the pool knows", func() bool { return len(s.states()) == 0 })
	}
	c.query("select")
	c.Close()
	s.expectCalm()
}

// TestServerDiesUnderAClient: who has begun something is told; who waits is served by another connection.
func TestServerDiesUnderAClient(t *testing.T) {
	for _, begin := range []string{"stall", "begin"} {
		t.Run(begin, func(t *testing.T) {
			db := startFakePG(t, "db-a")
			s := startFunnel(t, one, db)
			c, other := login(t, s.addr("in")), login(t, s.addr("in"))
			_, _ = c.Write(message('Q', begin+"\x00"))
			if begin == "stall" {
				<-db.stalled
			} else {
				c.next()
				c.next()
			}
			_, _ = other.Write(message('Q', "select\x00"))
			eventually(t, "the other one waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
			db.cutAll()
			c.expectError("08006")
			if kind, body := other.next(); kind != 'C' || body != "db-a\x00" {
				t.Errorf("the other one got %c %q", kind, body)
			}
			other.Close()
			s.expectCalm()
		})
	}
}

// TestClientGoes: whatever its server connection was doing, it is free for others in the end, or
// replaced.
func TestClientGoes(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		after      func(db *fakePG)
	}{
		{"in a transaction", string(message('Q', "begin\x00")), nil},
		{"in a query", string(message('Q', "stall\x00")), func(db *fakePG) { <-db.stalled; db.stalled <- struct{}{} }},
		{"in a query whose server dies", string(message('Q', "stall\x00")), func(db *fakePG) { <-db.stalled; db.cutAll() }},
		{"in a query that never ends", string(message('Q', "hang\x00")), func(db *fakePG) { <-db.stalled }},
		{"in a message", "Q\x00\x10\x00\x00select", nil},
		{"in a result", string(message('Q', "rows\x00")), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := startFakePG(t, "db-a")
			s := startFunnel(t, func(s *Setup) {
				one(s)
				s.Frontends[0].Sharing.AbandonTimeout = 300 * time.Millisecond
			}, db)
			c := login(t, s.addr("in"))
			_, _ = io.WriteString(c, tt.send)
			s.expectState(connJoined)
			c.Close()
			if tt.after != nil {
				eventually(t, "the session is over", func() bool { return s.Clients() == 0 })
				tt.after(db)
			}
			other := login(t, s.addr("in"))
			if tag, status := other.query("select"); tag != "db-a" || status != "I" {
				t.Errorf("the next client: %q %q", tag, status)
			}
			other.Close()
			s.expectCalm()
		})
	}
}

// TestClientGoesWhileItWaits: for a server connection, at its login or later.
func TestClientGoesWhileItWaits(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, one, db)
	has, waits := login(t, s.addr("in")), login(t, s.addr("in"))
	has.query("begin")
	_, _ = waits.Write(message('Q', "select\x00"))
	eventually(t, "it waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
	waits.Close()
	eventually(t, "nobody waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 0 })
	has.query("commit")
	has.Close()
	s.expectCalm()
}

// TestSlowReader: a client that does not read its result holds its server connection, and next to no
// memory.
func TestSlowReader(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, one, db)
	slow := login(t, s.addr("in"))
	session := s.only()
	_, _ = slow.Write(message('Q', "rows\x00"))
	eventually(t, "the server is not read on", func() (paused bool) {
		onLoop(t, session.on, func() { paused = session.sh.at != nil && session.sh.at.conn.Paused() })
		return paused
	})
	onLoop(t, session.on, func() {
		if n := session.client.Buffered(); n > 1<<20 {
			t.Errorf("%d bytes wait for the client", n)
		}
	})
	for i := 0; i <= bigRows; i++ {
		if kind, _ := slow.next(); kind != 'D' && kind != 'C' {
			t.Fatalf("%d: %c", i, kind)
		}
	}
	slow.next()
	if tag, _ := slow.query("select"); tag != "db-a" {
		t.Errorf("the next query: %q", tag)
	}
	slow.Close()
	s.expectCalm()
}

// TestSlowReaderIsTimedOut: the time-out of queries holds for one whose client does not read, though the
// server does not see to a cancel then.
func TestSlowReaderIsTimedOut(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) {
		one(s)
		sh := s.Frontends[0].Sharing
		sh.AbandonTimeout = time.Second
		s.Frontends[0].Sharing.Access = limitedTo(200 * time.Millisecond)
	}, db)
	slow := login(t, s.addr("in"))
	session := s.only()
	_, _ = slow.Write(message('Q', "rows\x00"))
	eventually(t, "its session is over", func() (over bool) {
		onLoop(t, session.on, func() { over = session.stage == stageOver })
		return over
	})
	s.setup.Frontends[0].Sharing = trusting(1)
	s.apply()
	other := login(t, s.addr("in"))
	if tag, _ := other.query("select"); tag != "db-a" {
		t.Errorf("the other one got %q", tag)
	}
	n, err := io.Copy(io.Discard, slow.r)
	if n >= bigRows*int64(len(bigRow)) || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the slow one got %d bytes, then %v", n, err)
	}
	slow.Close()
	other.Close()
	s.expectCalm()
}

// TestLongCopy: a client's data that the server does not take is not gathered.
func TestLongCopy(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, one, db)
	c := login(t, s.addr("in"))
	session := s.only()
	_, _ = c.Write(message('Q', "copy\x00"))
	c.next()
	wrote := make(chan error, 1)
	go func() {
		data := []byte(strings.Repeat(string(message('d', strings.Repeat("x", 1<<16))), 16))
		for range 32 {
			if _, err := c.Write(data); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	eventually(t, "the client is not read on", func() (paused bool) {
		onLoop(t, session.on, func() { paused = session.client.Paused() })
		return paused
	})
	onLoop(t, session.on, func() {
		if n := session.sh.at.conn.Buffered() + cap(session.sh.held); n > 1<<20 {
			t.Errorf("%d bytes wait for the server", n)
		}
	})
	db.stalled <- struct{}{}
	close(db.stalled)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	for _, want := range []byte{'E', 'Z'} {
		if kind, body := c.next(); kind != want {
			t.Fatalf("got %c %q, want %c", kind, body, want)
		}
	}
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("the next query: %q", tag)
	}
	c.Close()
	s.expectCalm()
}

// TestServerThatRefusesIsLeft: one that can take nobody at present is left for another, at a login and
// later; who may not log in at all is told so at once.
func TestServerThatRefusesIsLeft(t *testing.T) {
	for _, code := range []string{"57P03", "53300"} {
		bad, good := startFakePG(t, "db-a"), startFakePG(t, "db-b")
		s := startFunnel(t, func(s *Setup) { one(s); s.Clusters[0].Health.Fall = 1000 }, bad, good)
		old := []*client{login(t, s.addr("in")), login(t, s.addr("in"))}
		bad.refuse.Store(&code)
		bad.cutAll()
		for range 4 {
			if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
				t.Errorf("%s: the answer is from %s", code, tag)
			}
		}
		for _, c := range old {
			if tag, _ := c.query("select"); tag != "db-b" {
				t.Errorf("%s: the answer is from %s", code, tag)
			}
		}
	}
	db, code := startFakePG(t, "db-a"), "28P01"
	db.refuse.Store(&code)
	s := startFunnel(t, func(s *Setup) { s.Clusters[0].RetryTimeout = time.Minute }, db)
	connect(t, s.addr("in")).expectError("28P01")
}

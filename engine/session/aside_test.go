package session

import (
	"strings"
	"testing"
)

// hear gives the session something to hear, as the shared listening connection would.
func hear(t *testing.T, s *Session, payload string, times int) {
	t.Helper()
	onLoop(t, s.on, func() {
		if s.stage != stageRelay {
			return
		}
		if s.sh.news == nil {
			s.sh.news = &news{s: s, channels: map[string]*subscription{}}
		}
		for range times {
			s.sh.news.take(7, "channel", payload)
		}
	})
}

// TestNews: notifications come between two units of work, in order.
func TestNews(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, nil, db)
	c := login(t, s.addr("in"))
	one := s.only()
	hear(t, one, "first", 1)
	if kind, body := c.next(); kind != 'A' || !strings.HasSuffix(body, "channel\x00first\x00") {
		t.Errorf("got %c %q", kind, body)
	}
	c.query("begin")
	hear(t, one, "second", 2)
	if tag, status := c.query("select"); tag != "db-a" || status != "T" {
		t.Errorf("in a transaction: %q %q", tag, status)
	}
	c.query("commit")
	for range 2 {
		if kind, body := c.next(); kind != 'A' || !strings.HasSuffix(body, "channel\x00second\x00") {
			t.Errorf("got %c %q", kind, body)
		}
	}
	onLoop(t, one.on, func() {
		if n := one.sh.news; n.size != 0 || len(n.queue) != 0 {
			t.Errorf("%d notifications of %d bytes are still counted", len(n.queue), n.size)
		}
	})
}

// TestNewsAreBounded: a client for which too many notifications wait is told so and goes, and its loop
// lives on.
func TestNewsAreBounded(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, nil, db)
	c := login(t, s.addr("in"))
	c.query("begin")
	one := s.only()
	hear(t, one, strings.Repeat("x", newsMax/16), 20)
	onLoop(t, one.on, func() {})
	c.expectError("54000")
	s.expectCalm()
}

// TestNewsOfAClientThatDoesNotRead: what waits for it is bounded too.
func TestNewsOfAClientThatDoesNotRead(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, nil, db)
	login(t, s.addr("in"))
	one := s.only()
	most, over := 0, false
	for range 1000 {
		hear(t, one, strings.Repeat("x", 8000), 8) // 64 MB if nothing ends it
		onLoop(t, one.on, func() { most, over = max(most, one.client.Buffered()), one.stage == stageOver })
		if over {
			break
		}
	}
	if !over || most > 4<<20 {
		t.Errorf("over: %v; up to %d bytes waited in the connection", over, most)
	}
}

// TestManyAsides: what Sluice can answer at once is answered in a loop, however many there are.
func TestManyAsides(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.utf8.Store(true)
	s := startFunnel(t, nil, db)
	c := login(t, s.addr("in"))
	const n = 3000
	go func() { _, _ = c.Write([]byte(strings.Repeat(string(message('Q', "unlisten a\x00")), n))) }()
	for i := range n {
		if kind, body := c.next(); kind != 'C' || body != "UNLISTEN\x00" {
			t.Fatalf("%d: %c %q", i, kind, body)
		}
		c.next()
	}
	if db.logins.Load() > 1 {
		t.Error("a server was asked")
	}
}

// TestChannelsFollowTheSession: what a client listens to is heard from the server that its session is at
// now, also if it asks for nothing in between; it can end that, and what it leaves behind ends too.
func TestChannelsFollowTheSession(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	a.utf8.Store(true)
	b.utf8.Store(true)
	s := startFunnel(t, nil, a)
	c := login(t, s.addr("in"))
	if tag, _ := c.query("listen news"); tag != "LISTEN" {
		t.Fatalf("got %q", tag)
	}
	for _, db := range []*fakePG{a, b, a} {
		s.setup.Clusters[0].Backends = specs(db)
		s.apply()
		eventually(t, "it is heard from there", func() bool { return db.notify("news", db.name) == 1 })
		for {
			kind, body := c.next()
			if kind != 'A' {
				t.Fatalf("got %c %q", kind, body)
			}
			if strings.HasSuffix(body, "news\x00"+db.name+"\x00") {
				break
			}
		}
	}
	eventually(t, "it is heard from one alone", func() bool { return b.notify("news", "old") == 0 })
	session := s.only()
	c.Close()
	eventually(t, "nobody listens", func() (none bool) {
		onLoop(t, session.on, func() { none = len(session.on.listeners) == 0 && session.sh.news.channels == nil })
		return none
	})
	s.expectCalm()
}

// TestChannelsThatAreLost: a session whose channels can't be heard any more ends, or its client would not
// know.
func TestChannelsThatAreLost(t *testing.T) {
	a, b, code := startFakePG(t, "db-a"), startFakePG(t, "db-b"), "28000"
	a.utf8.Store(true)
	b.refuse.Store(&code)
	s := startFunnel(t, nil, a)
	c := login(t, s.addr("in"))
	c.query("listen news")
	s.setup.Clusters[0].Backends = specs(b)
	s.apply()
	c.expectError("08006")
	s.expectCalm()
}

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
			s.sh.news = &news{s: s, cancel: map[string]func(){}}
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

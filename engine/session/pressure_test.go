package session

import (
	"bytes"
	"io"
	"testing"

	"sluice/codec"
)

// unsentMax is what the proxy may hold for one slow peer: the high water mark and one read buffer.
const unsentMax = 256<<10 + 64<<10

// TestSlowClient asks for 32 MiB and does not read: the server is paused, little is kept, and in the
// end every byte is there.
func TestSlowClient(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c, other := login(t, s.addr("in")), login(t, s.addr("in"))
	_, _ = c.Write(message('Q', "rows\x00"))
	eventually(t, "the server is paused", func() bool {
		return s.holds(func(s *Session) bool { return s.server != nil && s.server.Paused() })
	})
	other.query("select")
	if s.holds(func(s *Session) bool { return s.client.Buffered() > unsentMax }) {
		t.Error("too much is buffered for the client")
	}
	got := make([]byte, len(bigRow))
	for i := range bigRows {
		if _, err := io.ReadFull(c.r, got); err != nil || !bytes.Equal(got, bigRow) {
			t.Fatalf("row %d: %v, equal %t", i, err, bytes.Equal(got, bigRow))
		}
	}
	if kind, _ := c.next(); kind != 'C' {
		t.Errorf("behind the rows: %c", kind)
	}
	c.next()
	c.query("select")
}

// TestSlowServer sends 32 MiB to a server that does not read: the client is paused, little is kept, and
// in the end the server has all of it.
func TestSlowServer(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	_, _ = c.Write(message('Q', "stall\x00"))
	<-db.stalled
	sent := make(chan error, 1)
	go func() {
		for range bigRows {
			if _, err := c.Write(message('Q', string(bigRow)+"\x00")); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	eventually(t, "the client is paused", func() bool {
		return s.holds(func(s *Session) bool { return s.client.Paused() })
	})
	if s.holds(func(s *Session) bool { return s.server.Buffered() > unsentMax }) {
		t.Error("too much is buffered for the server")
	}
	select {
	case err := <-sent:
		t.Errorf("the client could send everything: %v", err)
	default:
	}
	db.stalled <- struct{}{}
	for i := range bigRows + 1 {
		if kind, _ := c.next(); kind != 'C' {
			t.Fatalf("answer %d: %c", i, kind)
		}
		c.next()
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestEarlyBytes sends more than is kept while the server is awaited, and reaches that limit: the rest
// stays in the socket, and everything is answered in order.
func TestEarlyBytes(t *testing.T) {
	db := startFakeMySQL(t)
	s := startMySQL(t, nil, db)
	c := greet(t, s.addr("in"))
	hold := make(chan struct{})
	for _, on := range s.loops { // as if the machine were computing
		on.each(func(x *Session) { x.in.op = codec.OpWork }, func() { hold <- struct{}{} })
		<-hold
	}
	c.respond("alice")
	const n = 4000
	go func() { _, _ = c.Write(bytes.Repeat(ask("select 0123456789 /* so that it is not too short */"), n)) }()
	early := func(s *Session) int { return len(s.in.early[codec.Client]) }
	eventually(t, "the client is paused", func() bool {
		return s.holds(func(s *Session) bool { return s.client.Paused() && early(s) > earlyMax })
	})
	if s.holds(func(s *Session) bool { return early(s) > earlyMax+64<<10 }) {
		t.Error("too much is kept")
	}
	for _, on := range s.loops {
		on.each(func(x *Session) { x.step(codec.OpMore) }, nil)
	}
	if p := c.next(2); p[0] != 0 {
		t.Fatalf("login: %q", p)
	}
	for i := range n {
		if got := c.answer(); got != "ok" {
			t.Fatalf("answer %d: %s", i, got)
		}
	}
	if got := len(db.statements()); got != n {
		t.Errorf("the server has heard %d statements, want %d", got, n)
	}
}

// TestIdleTimerSeesProgress: a client that takes in an answer slowly, though steadily, is not idle.
func TestIdleTimerSeesProgress(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	look := func(x *Session, unsent int) (over bool) {
		x.unsent, x.active = unsent, -1<<62
		x.set = &Settings{Name: "in", IdleTimeout: 1 << 40}
		x.idle()
		return x.stage == stageOver
	}
	if s.holds(func(x *Session) bool { return look(x, 1) }) {
		t.Error("a session that has sent something since the last look was ended")
	}
	if !s.holds(func(x *Session) bool { return look(x, 0) }) {
		t.Error("a session without any progress goes on")
	}
	c.Close()
	s.expectEmpty()
}

package session

import (
	"testing"
	"time"

	"sluice/upstream"
)

// at is the backend of a server.
func (s *stand) at(db *fakePG) *upstream.Backend {
	s.t.Helper()
	for _, b := range s.Backends() {
		if b.Addr() == db.addr() {
			return b
		}
	}
	s.t.Fatalf("no backend %s", db.addr())
	return nil
}

// TestDrainedBackend: its sessions leave it at once, those in a transaction behind it, and new ones go elsewhere.
func TestDrainedBackend(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, nil, a, b)
	s.at(b).Drain("so that both are at a")
	login(t, s.addr("in"))
	busy := login(t, s.addr("in"))
	if n := s.at(a).Sessions(); n != 2 {
		t.Fatalf("%d sessions at a", n)
	}
	busy.query("begin")
	s.at(b).Resume()
	s.at(a).Drain("for the test")
	eventually(t, "the idle one has left", func() bool { return s.at(a).Sessions() == 1 })
	if tag, status := busy.query("select"); tag != "db-a" || status != "T" {
		t.Errorf("in the transaction: %q %q", tag, status)
	}
	if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
		t.Errorf("a new session is at %s", tag)
	}
	busy.query("commit")
	eventually(t, "the busy one has left", func() bool { return s.at(a).Sessions() == 0 })
	s.at(a).Resume()
	if tag, _ := login(t, s.addr("in")).query("select"); tag == "" {
		t.Error("nobody serves")
	}
}

// TestDrainOfTheLastBackend: its sessions have nowhere to go and stay, beyond the drain time-out. They leave when
// another backend is there for them.
func TestDrainOfTheLastBackend(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, func(set *Setup) { set.Frontends[0].DrainTimeout = time.Millisecond }, a, b)
	s.at(b).Drain("first")
	c := login(t, s.addr("in"))
	s.at(a).Drain("last")
	s.settled()
	if n := s.deadlines(); n != 0 {
		t.Errorf("%d deadlines", n)
	}
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("the session is at %q", tag)
	}
	s.at(b).Resume()
	eventually(t, "it has left", func() bool { return s.at(a).Sessions() == 0 })
}

// TestOutOfServiceOfSessions: sessions leave a backend that comes onto the list, and not if none is left then.
func TestOutOfServiceOfSessions(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, func(set *Setup) { set.Clusters[0].OutOfService = []string{b.addr()} }, a, b)
	c := login(t, s.addr("in"))
	s.setup.Clusters[0].OutOfService = []string{a.addr(), b.addr()}
	s.apply()
	s.settled()
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("the session is at %q", tag)
	}
	s.setup.Clusters[0].OutOfService = []string{a.addr()}
	s.apply()
	eventually(t, "it has left", func() bool { return s.at(a).Sessions() == 0 })
	if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
		t.Errorf("a new session is at %s", tag)
	}
}

// TestDrainedBackendOfSharing: clients that share server connections hear nothing of it, those in the middle of a
// transaction either; the next unit of work is done elsewhere. Of the last backend they stay clients.
func TestDrainedBackendOfSharing(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, nil, a, b)
	s.at(b).Drain("so that both are at a")
	idle, busy := login(t, s.addr("in")), login(t, s.addr("in"))
	if tag, _ := idle.query("select"); tag != "db-a" {
		t.Fatalf("it works at %s", tag)
	}
	busy.query("begin")
	s.at(b).Resume()
	s.at(a).Drain("for the test")
	s.settled()
	if tag, _ := idle.query("select"); tag != "db-b" {
		t.Errorf("the idle one works at %s", tag)
	}
	if tag, status := busy.query("select"); tag != "db-a" || status != "T" {
		t.Errorf("in its transaction: %q %q", tag, status)
	}
	if _, status := busy.query("commit"); status != "I" {
		t.Errorf("behind its transaction: %q", status)
	}
	if tag, _ := busy.query("select"); tag != "db-b" {
		t.Errorf("then it works at %s", tag)
	}
	eventually(t, "nobody is left at a", func() bool { return s.at(a).Sessions() == 0 })
	s.at(a).Resume()
	s.at(b).Drain("the other way round")
	s.settled()
	for _, c := range []*client{idle, busy} {
		if tag, _ := c.query("select"); tag != "db-a" {
			t.Errorf("behind the resume it works at %s", tag)
		}
	}
}

// TestDrainedPool: the idle server connections of a backend that is drained are closed, and one in use behind its unit
// of work; not while there is no other backend.
func TestDrainedPool(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, func(s *Setup) { s.Frontends[0].Sharing = trusting(5) }, a, b)
	s.at(b).Drain("so that all are at a")
	idle, busy := login(t, s.addr("in")), login(t, s.addr("in"))
	busy.query("begin")
	idle.query("select")
	open := func(db *fakePG) (n int) {
		for _, spec := range s.pools.all() {
			if spec.backend == s.at(db) {
				n += spec.pool.Open()
			}
		}
		return n
	}
	if n := open(a); n != 2 {
		t.Fatalf("%d connections to a", n)
	}
	s.at(a).Drain("with nobody else")
	s.settled()
	if n := open(a); n != 2 {
		t.Errorf("%d connections to the last backend", n)
	}
	s.at(b).Resume()
	eventually(t, "the idle connection is closed", func() bool { return open(a) == 1 })
	if tag, status := busy.query("commit"); tag == "" || status != "I" {
		t.Errorf("in the transaction: %q %q", tag, status)
	}
	eventually(t, "the busy one is closed", func() bool { return open(a) == 0 })
	for _, c := range []*client{idle, busy} {
		if tag, _ := c.query("select"); tag != "db-b" {
			t.Errorf("it goes on at %s", tag)
		}
	}
	if n := open(a); n != 0 {
		t.Errorf("%d connections to a", n)
	}
}

package session

import (
	"net"
	"testing"
	"time"

	"sluice/router"
)

// TestLoginWaitsForALeader: before anything is known of a cluster, and while nobody leads it, logins wait; they
// go on as soon as somebody does.
func TestLoginWaitsForALeader(t *testing.T) {
	f, a := &fakeFinder{}, startFakePG(t, "db-a")
	s := startProxy(t, discovered(f, nil))
	waits := func(what string) *client {
		before := f.hurry.Load()
		c := connect(t, s.addr("in"))
		eventually(t, what, func() bool { return f.hurry.Load() > before })
		return c
	}
	if names := s.Undiscovered(); len(names) != 1 || names[0] != "pg" {
		t.Errorf("undiscovered: %v", names)
	}
	first := waits("one waits for the first view")
	f.found(behind(a, 0))
	if names := s.Undiscovered(); len(names) != 0 {
		t.Errorf("undiscovered: %v", names)
	}
	second := waits("one waits for a leader")
	f.found(member(a, router.Leader))
	for _, c := range []*client{first, second} {
		if tag, _ := c.ready().query("select"); tag != "db-a" {
			t.Errorf("got %q", tag)
		}
	}
}

// TestLoginWaitsForASwitchover: nobody is let in at a leader that is about to be none.
func TestLoginWaitsForASwitchover(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, nil))
	f.found(member(a, router.Leader), behind(b, 0))
	s.Clusters()[0].Hold("a switchover", patience)
	c := connect(t, s.addr("in"))
	eventually(t, "one waits", func() bool { return f.hurry.Load() > 0 })
	login(t, s.addr("reads")).query("select")
	f.found(behind(a, 0), member(b, router.Leader))
	if tag, _ := c.ready().query("select"); tag != "db-b" || a.logins.Load() != 0 {
		t.Errorf("got %q, %d logins at the old leader", tag, a.logins.Load())
	}
}

// TestLoginWaitsForALeaderInVain: not for longer than a fail-over may take.
func TestLoginWaitsForALeaderInVain(t *testing.T) {
	f := &fakeFinder{}
	s := startProxy(t, discovered(f, func(s *Setup) {
		s.Clusters[0].RetryTimeout, s.Clusters[0].FailoverTimeout = 0, 50*time.Millisecond
	}))
	begun := time.Now()
	connect(t, s.addr("in")).expectError("08006")
	if took := time.Since(begun); took < 50*time.Millisecond {
		t.Errorf("it was given up after %v", took)
	}
}

// TestRefusedDialHurries: a backend that can't be had speaks for a change.
func TestRefusedDialHurries(t *testing.T) {
	f, a := &fakeFinder{}, startFakePG(t, "db-a")
	s := startProxy(t, discovered(f, nil))
	f.found(member(a, router.Leader))
	s.settled()
	a.stop()
	c := connect(t, s.addr("in"))
	eventually(t, "the discovery was hurried", func() bool { return f.hurry.Load() > 0 })
	b := startFakePG(t, "db-b")
	f.found(member(b, router.Leader))
	if tag, _ := c.ready().query("select"); tag != "db-b" {
		t.Errorf("got %q", tag)
	}
}

// TestReadyOnAnUnfitBackend: a client whose backend has ceased to fit while it logged in does not stay there. If it
// was told nothing of it yet, it hears nothing of the change.
func TestReadyOnAnUnfitBackend(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, nil))
	f.found(member(a, router.Leader))
	gate := make(chan struct{})
	a.gate.Store(&gate)
	c := connect(t, s.addr("in"))
	eventually(t, "the login is under way", func() bool { return a.logins.Load() == 1 })
	f.found(behind(a, 0), member(b, router.Leader))
	s.settled()
	if tag, _ := c.ready().query("select"); tag != "db-b" {
		t.Errorf("got %q", tag)
	}
	close(gate)
}

// TestReadyOnAnOldLeader: nor does one that may go to whoever there is, but was let in at the leader.
func TestReadyOnAnOldLeader(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, func(s *Setup) { s.Frontends[0].Roles = router.AnyRole }))
	f.found(member(a, router.Leader))
	gate := make(chan struct{})
	a.gate.Store(&gate)
	c := connect(t, s.addr("in"))
	eventually(t, "the login is under way", func() bool { return a.logins.Load() == 1 })
	f.found(behind(a, 0), member(b, router.Leader))
	s.settled()
	close(gate)
	c.ready().expectEvicted("its role is async now")
}

// TestDialledWhileItCeasedToFit: a connection that comes up at a backend that is not fit any more is not used.
func TestDialledWhileItCeasedToFit(t *testing.T) {
	f, a := &fakeFinder{}, startFakePG(t, "db-a")
	s := startProxy(t, discovered(f, nil))
	f.found(behind(a, 0))
	c := connect(t, s.addr("in"))
	eventually(t, "one waits for a leader", func() bool {
		return s.holds(func(s *Session) bool { return s.in != nil && s.in.dial.pauses })
	})
	late, err := net.Dial("tcp", a.addr())
	if err != nil {
		t.Fatal(err)
	}
	s.holds(func(s *Session) bool {
		s.on.loop.Disarm(&s.in.dial.timer)
		s.backend, _ = s.cluster.Pick(router.Want{Roles: router.AnyRole}, nil)
		s.on.stats.pending++
		s.in.dial.now, s.in.dial.pauses = &attempt{s}, false
		s.on.loop.Enroll(late, s.in.dial.now, func(err error) { t.Error(err) })
		return true
	})
	eventually(t, "it waits again", func() bool {
		return s.holds(func(s *Session) bool { return s.in != nil && s.in.dial.pauses && s.backend == nil })
	})
	f.found(member(a, router.Leader))
	if tag, _ := c.ready().query("select"); tag != "db-a" {
		t.Errorf("got %q", tag)
	}
	c.Close()
	s.expectEmpty()
}

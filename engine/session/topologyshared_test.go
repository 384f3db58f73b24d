package session

import (
	"testing"
	"time"

	"sluice/router"
)

// startSharing runs a proxy whose listeners share, in front of what f finds.
func startSharing(t *testing.T, f *fakeFinder, change func(*Setup)) *stand {
	t.Helper()
	return startFunnel(t, discovered(f, func(s *Setup) {
		for i := range s.Frontends {
			s.Frontends[i].Sharing = trusting(5)
		}
		if change != nil {
			change(s)
		}
	}))
}

// leads has a server say what it is: the leader, or a replica.
func (f *fakePG) leads(yes bool) {
	recovers := "on"
	if yes {
		recovers = "off"
	}
	f.standby.Store(&recovers)
}

// startMembers starts servers of which the first one leads.
func startMembers(t *testing.T, names ...string) (list []*fakePG) {
	for i, name := range names {
		db := startFakePG(t, name)
		db.leads(i == 0)
		list = append(list, db)
	}
	return list
}

// TestSharingFollowsTheLeader: sessions between two units of work hear nothing of a change of leader, those in
// the middle of one are cut off from the old one.
func TestSharingFollowsTheLeader(t *testing.T) {
	f, db := &fakeFinder{}, startMembers(t, "db-a", "db-b")
	a, b := db[0], db[1]
	s := startSharing(t, f, nil)
	f.found(member(a, router.Leader), behind(b, 0))
	idle, busy, reads := login(t, s.addr("in")), login(t, s.addr("in")), login(t, s.addr("reads"))
	idle.query("select")
	busy.query("begin")
	if tag, _ := reads.query("begin"); tag != "db-b" {
		t.Fatalf("it reads at %s", tag)
	}
	a.leads(false)
	b.leads(true)
	f.found(behind(a, 0), member(b, router.Leader))
	busy.expectError("08006")
	if tag, _ := idle.query("select"); tag != "db-b" {
		t.Errorf("the leader is %s", tag)
	}
	if tag, status := reads.query("select"); tag != "db-b" || status != "T" {
		t.Errorf("in the transaction: %q %q", tag, status)
	}
	reads.query("commit")
	if tag, _ := reads.query("select"); tag != "db-a" {
		t.Errorf("it reads at %s", tag)
	}
	sum, _ := s.snapshot()
	if got := sum.frontend("in").evicted; got != [len(evictions)]uint64{len(evictions) - 1: 1} {
		t.Errorf("evicted: %v", got)
	}
	if got := sum.frontend("reads").evicted; got != [len(evictions)]uint64{} {
		t.Errorf("evicted: %v", got)
	}
}

// TestSharingLeavesInTime: a unit of work on a backend that is not fit any more is cut off when the time is
// over, and no other.
func TestSharingLeavesInTime(t *testing.T) {
	f, db := &fakeFinder{}, startMembers(t, "db-a", "db-b", "db-d")
	a, b, d := db[0], db[1], db[2]
	s := startSharing(t, f, func(s *Setup) { s.Frontends[1].DrainTimeout = 50 * time.Millisecond })
	f.found(member(a, router.Leader), behind(b, 0))
	stuck := login(t, s.addr("reads"))
	stuck.query("begin")
	f.found(member(a, router.Leader), behind(b, 0), behind(d, 0))
	fine := login(t, s.addr("reads"))
	for tag, _ := fine.query("begin"); tag != "db-d"; tag, _ = fine.query("begin") {
		fine = login(t, s.addr("reads"))
	}
	f.found(member(a, router.Leader), behind(b, 1e9), behind(d, 0))
	stuck.expectError("08006")
	if _, status := fine.query("select"); status != "T" {
		t.Errorf("the transaction elsewhere: %q", status)
	}
}

// TestLastingSharingIsEvicted: a client that keeps its server connection to its end can't go elsewhere. It is
// asked to leave, or cut off when the time is over.
func TestLastingSharingIsEvicted(t *testing.T) {
	f, db := &fakeFinder{}, startMembers(t, "db-a", "db-b")
	a, b := db[0], db[1]
	s := startSharing(t, f, func(s *Setup) { s.Frontends[1].Sharing = lasting(5) })
	f.found(member(a, router.Leader), behind(b, 0))
	idle, busy := login(t, s.addr("reads")), login(t, s.addr("reads"))
	idle.query("select")
	busy.query("begin")
	f.found(member(a, router.Leader), behind(b, 1e9))
	idle.expectEvicted("its replication is too far behind")
	busy.query("select")
	busy.query("commit")
	busy.expectEvicted("its replication is too far behind")
}

// TestLastingSharingIsFenced: nor does anything more of it reach an old leader, not even what would clean up
// behind it.
func TestLastingSharingIsFenced(t *testing.T) {
	f, db := &fakeFinder{}, startMembers(t, "db-a", "db-b")
	a, b := db[0], db[1]
	s := startSharing(t, f, func(s *Setup) { s.Frontends[0].Sharing = lasting(5) })
	f.found(member(a, router.Leader), behind(b, 0))
	busy, runs := login(t, s.addr("in")), login(t, s.addr("in"))
	busy.query("begin")
	runs.query("begin")
	_, _ = runs.Write(message('Q', "stall\x00"))
	<-a.stalled
	f.found(behind(a, 0), member(b, router.Leader))
	busy.expectEvicted("another server is the leader now")
	runs.expectEvicted("another server is the leader now")
	a.stalled <- struct{}{}
	eventually(t, "the old leader has no session of theirs, and was told to cancel", func() bool {
		return a.open() == 0 && a.cancels.Load() > 0
	})
	if n := a.resets.Load(); n != 0 || a.cancels.Load() != 1 {
		t.Errorf("%d sessions were wiped there, %d queries cancelled", n, a.cancels.Load())
	}
	s.expectCalm()
}

// TestRoleChangeRenewsPools: the server connections of a pool, and what its clients are told of the server, are
// not those of the time before its backend became the leader.
func TestRoleChangeRenewsPools(t *testing.T) {
	f, db := &fakeFinder{}, startMembers(t, "db-a", "db-b")
	a, b := db[0], db[1]
	s := startSharing(t, f, func(s *Setup) { s.Frontends[1].Roles = router.AnyRole })
	a.leads(false)
	f.found(behind(a, 0))
	c := login(t, s.addr("reads"))
	c.query("select")
	home := s.hubSpec(a.addr())
	logins := a.logins.Load()
	a.leads(true)
	f.found(member(a, router.Leader), behind(b, 1e9))
	s.settled()
	for _, on := range s.loops {
		onLoop(t, on, func() {
			if h := on.homes[home]; h != nil && len(h.intros) > 0 {
				t.Errorf("%d introductions are left", len(h.intros))
			}
		})
	}
	_, _ = c.Write(message('Q', "select\x00"))
	if kind, body := c.next(); kind != 'S' || body != "in_hot_standby\x00off\x00" {
		t.Errorf("the client was told %c %q", kind, body)
	}
	if kind, body := c.next(); kind != 'C' || body != "db-a\x00" || a.logins.Load() != logins+1 {
		t.Errorf("got %c %q, behind %d logins", kind, body, a.logins.Load()-logins)
	}
}

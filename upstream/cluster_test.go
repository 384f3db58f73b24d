package upstream

import (
	"crypto/tls"
	"slices"
	"testing"

	"sluice/router"
)

// TestUpdateKeepsWhatStays: a backend that is in both configurations keeps its identity, its health and
// its sessions; one that is not is marked and no longer checked.
func TestUpdateKeepsWhatStays(t *testing.T) {
	a, b, d := startServer(t, welcome), startServer(t, welcome), startServer(t, welcome)
	c := newCluster(t, options(a, b))
	stays, goes := c.Backends()[0], c.Backends()[1]
	eventually(t, "both are up", func() bool { return stays.Health() == Up && goes.Health() == Up })
	for range 2 { // one session on each
		c.Pick(router.Want{Roles: router.AnyRole}, nil)
	}

	opt := options(d, a)
	opt.Backends[1].Role, opt.Backends[1].Zone = router.Async, "z"
	gone := c.Update(opt)
	if !slices.Equal(gone, []*Backend{goes}) || !goes.Gone() || stays.Gone() {
		t.Errorf("gone: %v", gone)
	}
	list := c.Backends()
	if len(list) != 2 || list[1] != stays || list[0].Addr() != d.addr() {
		t.Fatalf("backends: %v", list)
	}
	if stays.Health() != Up || stays.Sessions() != 1 || stays.Spec().Role != router.Async || stays.Spec().Zone != "z" {
		t.Errorf("what stays: %v, %d sessions, %+v", stays.Health(), stays.Sessions(), stays.Spec())
	}
	if goes.Sessions() != 1 || goes.ctx.Err() == nil {
		t.Errorf("what goes: %d sessions, context %v", goes.Sessions(), goes.ctx.Err())
	}
	goes.Release()
	if goes.Sessions() != 0 {
		t.Errorf("after its last session: %d", goes.Sessions())
	}
	eventually(t, "the new one is up", func() bool { return list[0].Health() == Up })
	if made, _ := stays.Checks(); made != 1 {
		t.Errorf("the update had what stays checked: %d checks", made)
	}
	if left := c.Close(); len(left) != 2 || len(c.Backends()) != 0 {
		t.Errorf("Close: %d backends went, %d are left", len(left), len(c.Backends()))
	}
	expectNoChecker(t)
}

// TestPick: those that were tried, are down or have another role are out; a session is counted in.
func TestPick(t *testing.T) {
	a, b, down := startServer(t, welcome), startServer(t, welcome), startServer(t, welcome)
	down.stop()
	opt := options(a, b, down)
	opt.Backends[1].Role = router.Sync
	c := newCluster(t, opt)
	list := c.Backends()
	eventually(t, "the third is down", func() bool { return list[2].Health() == Down })
	leader, anyRole := router.Want{Roles: router.Roles(0).With(router.Leader)}, router.Want{Roles: router.AnyRole}

	if got, why := c.Pick(leader, nil); got != list[0] || got.Sessions() != 1 {
		t.Errorf("for the leader: %v (%s)", got, why)
	}
	if got, why := c.Pick(anyRole, nil); got != list[1] {
		t.Errorf("with the fewest sessions: %v (%s)", got, why)
	}
	if got, why := c.Pick(anyRole, []*Backend{list[0]}); got != list[1] {
		t.Errorf("but the first: %v (%s)", got, why)
	}
	if got, why := c.Pick(anyRole, []*Backend{list[0], list[1]}); got != nil || why != "tried" {
		t.Errorf("when both were tried: %v (%s)", got, why)
	}
	if got, why := c.Pick(router.Want{Roles: router.Roles(0).With(router.Async)}, nil); got != nil || why != "role" {
		t.Errorf("in a role that nobody has: %v (%s)", got, why)
	}
	if n := list[0].Sessions() + list[1].Sessions(); n != 3 {
		t.Errorf("%d sessions are counted, want 3", n)
	}
	c.Update(Options{Protocol: opt.Protocol, Health: opt.Health})
	if got, why := c.Pick(anyRole, nil); got != nil || why != "no backends" {
		t.Errorf("when all have gone: %v (%s)", got, why)
	}
}

// TestTLSName: without a configured name it is the host of the backend that is verified.
func TestTLSName(t *testing.T) {
	b := newBackend(nil, Spec{Addr: "db.example:5432"})
	if cfg := (&Options{}).TLSConfig(b); cfg != nil {
		t.Errorf("without TLS: %v", cfg)
	}
	if got := (&Options{TLS: &tls.Config{}}).TLSConfig(b).ServerName; got != "db.example" {
		t.Errorf("without a name: %q", got)
	}
	if got := (&Options{TLS: &tls.Config{ServerName: "other"}}).TLSConfig(b).ServerName; got != "other" {
		t.Errorf("with a name: %q", got)
	}
}

// TestFits judges by what is known of the backend, allocates nothing, and follows what is found.
func TestFits(t *testing.T) {
	opt := options(startServer(t, welcome))
	opt.Backends[0].Role = router.Async
	c := newCluster(t, opt)
	b := c.Backends()[0]
	replica, leader := router.Want{Roles: router.Roles(0).With(router.Async)}, router.Want{Roles: router.Roles(0).With(router.Leader)}
	behind := replica
	behind.Behind = map[string]bool{b.Addr(): true}
	expect := func(w router.Want, want string) {
		t.Helper()
		if why := b.Fits(w); why != want {
			t.Errorf("it does not fit for reason %q, want %q", why, want)
		}
	}
	expect(replica, "")
	expect(leader, "role")
	expect(behind, "lag")
	if n := testing.AllocsPerRun(100, func() { b.Fits(behind) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	c.Found([]Spec{{Addr: b.Addr(), Role: router.Leader}})
	expect(replica, "role")
	expect(leader, "")
	c.Found([]Spec{{Addr: b.Addr(), Role: router.Leader, Out: "starting"}})
	expect(leader, "state")
	c.Found(nil)
	expect(leader, "gone")
}

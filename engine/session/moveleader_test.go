package session

import (
	"testing"
	"time"

	"sluice/codec"
	"sluice/router"
	"sluice/upstream"
)

// TestLeaderCrash: a session whose leader dies waits until another one leads, and goes on there; one that was at the
// former leader when it is found to live on is cut off from it all the same, and one that has moved since is not.
func TestLeaderCrash(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	f := &fakeFinder{}
	s := startProxy(t, discovered(f, func(s *Setup) {
		cl := &s.Clusters[0]
		cl.Protocol, cl.Health.Fall = fakeProto{}, 1000
		cl.Migrate = upstream.MigrateOptions{Move: &codec.MoveOptions{}, HoldTimeout: patience, RetryAfter: 50 * time.Millisecond}
		for i := range s.Frontends {
			s.Frontends[i].Lag = router.LagLimits{}
		}
	}))
	leads := func(leader, other *fakeDB) {
		t.Helper()
		f.found(upstream.Spec{Addr: leader.addr(), Name: leader.addr(), Role: router.Leader, State: "running"},
			upstream.Spec{Addr: other.addr(), Name: other.addr(), Role: router.Async, State: "streaming"})
		s.settled()
	}
	leads(a, b)
	c := loginLines(t, s.addr("in"))
	c.expect("who", "a I")
	a.stop()
	s.reaches(moveSeeking) // the other one follows, so that it does not do
	c.say("add x 3")
	leads(b, a)
	if got := c.read(); got != "3 I" {
		t.Errorf("got %q", got)
	}
	c.expect("who", "b I")
	if got := s.losses(); got["kept"] != 1 || len(got) != 1 {
		t.Errorf("losses: %v", got)
	}
	s.expectCounts(map[*fakeDB]int{a: 0, b: 1})

	a.restart(t)
	leads(b, a)
	c.expect("add x 1", "4 I")
	leads(a, b) // and b lives on
	c.expectLost("another server is the leader now")
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
}

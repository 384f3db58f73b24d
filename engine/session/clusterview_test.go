package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice/engine"
	"sluice/router"
)

// TestChangesAreLogged: each change of a cluster is one line, a hold is told with its reason, and what is told
// again is no change.
func TestChangesAreLogged(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	f := &fakeFinder{}
	core, logged := observer.New(zap.InfoLevel)
	eng, err := engine.Start(engine.Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := New(eng, zap.New(core), zap.NewNop())
	t.Cleanup(func() { p.Close(); eng.Stop() })
	s := &stand{Proxy: p, t: t, setup: startProxy(t, discovered(&fakeFinder{}, nil)).setup}
	s.setup.Clusters[0].Discovery = f
	s.setup.Frontends[0].Lag = router.LagLimits{} // that of the listener "reads" is enough
	s.apply()
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"found", func() { f.found(member(a, router.Leader), behind(b, 0)) },
			[]string{"a backend was found", "a backend was found", "the cluster has a leader"}},
		{"told again", func() { f.found(member(a, router.Leader), behind(b, 0)) }, nil},
		{"held", func() { f.finds.Hold("a switchover", time.Hour) }, []string{"new work on the leader is held back"}},
		{"held again", func() { f.finds.Hold("another", time.Hour) }, nil},
		{"no leader", func() { f.found(behind(a, 0), behind(b, 0)) },
			[]string{"the role of a backend has changed", "the state of a backend has changed", "the cluster has no leader"}},
		{"no leader again", func() { f.found(behind(a, 0), behind(b, 0)) }, nil},
		{"another leader", func() { f.found(behind(a, 0), member(b, router.Leader)) },
			[]string{"the role of a backend has changed", "the state of a backend has changed", "the cluster has another leader",
				"new work on the leader is not held back any more"}},
		{"too far behind", func() { f.found(behind(a, 1001), member(b, router.Leader)) }, []string{"a backend is too far behind"}},
		{"still so", func() { f.found(behind(a, 5000), member(b, router.Leader)) }, nil},
		{"not any more", func() { f.found(behind(a, 0), member(b, router.Leader)) },
			[]string{"a backend is not too far behind any more"}},
		{"gone", func() { f.found(member(b, router.Leader)) }, []string{"a backend has gone"}},
	} {
		logged.TakeAll()
		step.do()
		s.settled()
		var got []string
		for _, e := range logged.TakeAll() {
			fields := e.ContextMap()
			if fields["cluster"] != "pg" {
				continue // of something else, such as an address that is listened on
			}
			got = append(got, e.Message)
			if e.Message == "new work on the leader is held back" && fields["why"] != "a switchover" {
				t.Errorf("the reason of the hold is %v", fields["why"])
			}
			if e.Message == "the cluster has another leader" && (fields["leader"] != b.addr() || fields["was"] != a.addr()) {
				t.Errorf("the leaders are told as %v", fields)
			}
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: the log has\n%s\nwant\n%s", step.what, strings.Join(got, "\n"), strings.Join(step.want, "\n"))
		}
	}
}

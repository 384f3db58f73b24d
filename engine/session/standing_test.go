package session

import (
	"strings"
	"testing"

	"sluice/router"
)

// TestStandingOfEmptied: that sessions have no other backend is said of a backend that is emptied or about to stop only
// if it would suit them: what other listeners look for in vain is no matter of its.
func TestStandingOfEmptied(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, func(set *Setup) {
		set.Frontends[0].Roles = only(router.Leader)
		reads, tenant := set.Frontends[0], set.Frontends[0]
		reads.Name, reads.Roles = "reads", only(router.Sync, router.Async)
		tenant.Name, tenant.Tags = "tenant", []router.TagRule{{Name: "of", Value: "nobody"}}
		set.Frontends = append(set.Frontends, reads, tenant)
	}, a, b)
	expect := func(when string, stuck bool, words string) {
		t.Helper()
		if st := s.StandingOf(s.at(a)); st.Stuck != stuck || !strings.Contains(st.Explain, words) {
			t.Errorf("%s: %+v", when, st)
		}
	}
	s.at(a).Drain("for a test")
	expect("another one is there", false, "it is emptied: for a test")
	s.at(b).Drain("too")
	expect("the other one is drained too", true, "sessions have no other backend")
	s.at(a).Resume()
	expect("it is not drained any more", false, "")
	s.setup.Clusters[0].Backends[0].Leaving = true
	s.at(a).Join() // else it would be gone
	defer s.at(a).Release()
	s.apply()
	expect("it is about to stop", true, "about to stop, but sessions have no other backend")
	s.at(b).Resume()
	expect("it is about to stop, and the other one is there", false, "while it still serves")
}

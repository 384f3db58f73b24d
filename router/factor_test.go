package router

import (
	"math/rand/v2"
	"testing"
)

// TestFactors: each factor rejects, or prefers, as its place in the table says.
func TestFactors(t *testing.T) {
	leader, async := Backend{Addr: "l", Role: Leader, Healthy: true}, Backend{Addr: "a", Role: Async, Healthy: true}
	with := func(b Backend, change func(*Backend)) Backend { change(&b); return b }
	out := func(b *Backend) { b.Out = true }
	noBalance := func(b *Backend) { b.NoBalance = true }
	closing := func(b *Backend) { b.Closing = true }
	drained := func(b *Backend) { b.Drained = true }
	fast := func(b *Backend) { b.Tags = map[string]string{"disk": "fast"} }
	blank := func(b *Backend) { b.Tags = map[string]string{"disk": ""} }
	near := func(b *Backend) { b.Zone, b.Sessions = "here", 100 }
	behind := map[string]bool{"a": true, "l": true}
	must, mustNot := []TagRule{{Name: "disk", Value: "fast"}}, []TagRule{{Name: "disk", Value: "fast", Not: true}}
	tests := []struct {
		name     string
		backends []Backend
		want     Want
		index    int
		reason   string
	}{
		{"out by its state", []Backend{with(async, out)}, Want{}, -1, "state"},
		{"even as leader", []Backend{with(leader, out)}, Want{}, -1, "state"},
		{"its server stops", []Backend{with(async, closing), leader}, Want{}, 1, "only one"},
		{"its server stops, and no other", []Backend{with(async, closing)}, Want{}, -1, "shutdown"},
		{"drained", []Backend{with(leader, drained), async}, Want{}, 1, "only one"},
		{"drained, and no other", []Backend{with(leader, drained)}, Want{}, -1, "drained"},
		{"a stop is heard before a drain", []Backend{with(with(leader, drained), closing)}, Want{}, -1, "shutdown"},
		{"not balanced to", []Backend{with(async, noBalance), leader}, Want{}, 1, "only one"},
		{"not balanced to, and no other", []Backend{with(async, noBalance)}, Want{}, -1, "tags"},
		{"not balanced to, but the leader", []Backend{with(leader, noBalance)},
			Want{Roles: Roles(0).With(Leader)}, 0, "only one"},
		{"not balanced to, standby leader", []Backend{with(Backend{Role: StandbyLeader, Healthy: true}, noBalance)},
			Want{}, -1, "tags"},
		{"a tag that it has", []Backend{async, with(async, fast)}, Want{Tags: must}, 1, "only one"},
		{"a tag that it lacks", []Backend{async}, Want{Tags: must}, -1, "tags"},
		{"a tag with another value", []Backend{with(async, blank)}, Want{Tags: must}, -1, "tags"},
		{"a tag that it must not have", []Backend{with(async, fast)}, Want{Tags: mustNot}, -1, "tags"},
		{"another value than it must not have", []Backend{with(async, blank)}, Want{Tags: mustNot}, 0, "only one"},
		{"none of what it must not have", []Backend{async}, Want{Tags: mustNot}, 0, "only one"},
		{"all rules hold", []Backend{with(async, fast)},
			Want{Tags: []TagRule{must[0], {Name: "old", Value: "true", Not: true}}}, 0, "only one"},
		{"one of the rules does not", []Backend{with(async, fast)},
			Want{Tags: []TagRule{must[0], {Name: "new", Value: "true"}}}, -1, "tags"},
		{"an empty value is one", []Backend{async, with(async, blank)}, Want{Tags: []TagRule{{Name: "disk"}}}, 1, "only one"},
		{"behind", []Backend{async}, Want{Behind: behind}, -1, "lag"},
		{"the leader is never behind", []Backend{leader, async}, Want{Behind: behind}, 0, "only one"},
		{"nor is the standby leader", []Backend{{Addr: "l", Role: StandbyLeader, Healthy: true}}, Want{Behind: behind}, 0, "only one"},
		{"the zone before sessions", []Backend{async, with(async, near)}, Want{Zone: "here"}, 1, "zone"},
		{"no zone is asked for", []Backend{async, with(async, near)}, Want{}, 0, "sessions"},
		{"nobody is in the zone", []Backend{async}, Want{Zone: "here"}, 0, "only one"},
		{"who is in the zone is down", []Backend{async, with(async, func(b *Backend) { near(b); b.Healthy = false })},
			Want{Zone: "here"}, 0, "only one"},
		{"state is heard before tags", []Backend{with(async, out)}, Want{Tags: must}, -1, "state"},
		{"lag is heard before health", []Backend{{Addr: "a", Role: Async}}, Want{Behind: behind}, -1, "lag"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.Roles == 0 {
				tt.want.Roles = AnyRole
			}
			got := Pick(tt.backends, tt.want, 1)
			if got.Index != tt.index || got.Reason != tt.reason {
				t.Errorf("Pick = %+v, want index %d for reason %q", got, tt.index, tt.reason)
			}
		})
	}
}

// TestFits: how a backend does at the moment is no reason against it, all else is.
func TestFits(t *testing.T) {
	want := Want{Roles: Roles(0).With(Async), Behind: map[string]bool{"b": true}, Tags: []TagRule{{Name: "x", Value: "1"}}}
	x := map[string]string{"x": "1"}
	for why, b := range map[string]Backend{
		"":         {Addr: "a", Role: Async, Tags: x, Tried: true, Sessions: 9},
		"role":     {Addr: "a", Role: Sync, Tags: x, Healthy: true},
		"state":    {Addr: "a", Role: Async, Tags: x, Healthy: true, Out: true},
		"tags":     {Addr: "a", Role: Async, Healthy: true},
		"shutdown": {Addr: "a", Role: Async, Tags: x, Healthy: true, Closing: true},
		"drained":  {Addr: "a", Role: Async, Tags: x, Healthy: true, Drained: true},
		"lag":      {Addr: "b", Role: Async, Tags: x, Healthy: true},
	} {
		if got := Fits(&b, want); got != why {
			t.Errorf("Fits(%+v) = %q, want %q", b, got, why)
		}
	}
	if factors[fitting-1].name != "lag" || factors[fitting].name != "label" {
		t.Errorf("the first %d factors are not those that say whether a backend is fit", fitting)
	}
}

// TestPickIsTheBest holds the choice among many random ones against the plain definition of the policy.
func TestPickIsTheBest(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	coin := func(n int) bool { return random.IntN(n) == 0 }
	for range 20000 {
		backends := make([]Backend, random.IntN(6))
		want := Want{Roles: Roles(random.IntN(int(AnyRole) + 1)), Behind: map[string]bool{}}
		for i := range backends {
			b := Backend{Addr: string(rune('a' + i)), Role: Role(random.IntN(5)), Zone: string(rune('x' + random.IntN(2))),
				Out: coin(8), NoBalance: coin(6), Healthy: !coin(6), Tried: coin(8), Sessions: random.IntN(3)}
			if coin(2) {
				b.Tags = map[string]string{"t": "1"}
			}
			want.Behind[b.Addr] = coin(5)
			backends[i] = b
		}
		if coin(2) {
			want.Zone = "x"
		}
		if coin(3) {
			want.Tags = []TagRule{{Name: "t", Value: "1", Not: coin(2)}}
		}
		expectBest(t, backends, want, Pick(backends, want, random.Uint64()))
	}
}

// expectBest holds that a choice may be made, and that none that may be made is better.
func expectBest(t *testing.T, backends []Backend, want Want, got Choice) {
	t.Helper()
	may := func(b *Backend) bool {
		tag := len(want.Tags) == 0 || (b.Tags["t"] == "1") != want.Tags[0].Not
		return want.Roles.Has(b.Role) && !b.Out && (!b.NoBalance || b.Role == Leader) && tag &&
			(b.Role == Leader || b.Role == StandbyLeader || !want.Behind[b.Addr]) && b.Healthy && !b.Tried
	}
	cost := func(b *Backend) int {
		if want.Zone != "" && b.Zone != want.Zone {
			return 1000 + b.Sessions
		}
		return b.Sessions
	}
	for i := range backends {
		b := &backends[i]
		if fit := Fits(b, want) == ""; (fit && b.Healthy && !b.Tried) != may(b) {
			t.Fatalf("%+v for %+v: fit %v", b, want, fit)
		}
		switch {
		case !may(b):
			if got.Index == i {
				t.Fatalf("chose %+v for %+v", b, want)
			}
		case got.Index < 0:
			t.Fatalf("chose none (%s) for %+v, there is %+v", got.Reason, want, b)
		case cost(b) < cost(&backends[got.Index]):
			t.Fatalf("chose %+v for %+v, %+v is better", backends[got.Index], want, b)
		}
	}
}

// TestPickAllocatesNothing: with every factor at work.
func TestPickAllocatesNothing(t *testing.T) {
	backends, want := crowd(10)
	if n := testing.AllocsPerRun(100, func() {
		if Pick(backends, want, 7).Index < 0 {
			t.Error("chose none")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

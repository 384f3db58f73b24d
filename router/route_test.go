package router

import (
	"math/rand/v2"
	"testing"
)

// doing is a backend that does by those figures.
func doing(name, zone string, sessions int, change func(*Load)) Backend {
	l := unknown
	l.CPU, l.CPUNow, l.CPUMean, l.CPUSessions, l.PerSession = 0.2, 0.2, 0.2, sessions, 0.001
	if change != nil {
		change(&l)
	}
	return Backend{Addr: name, Zone: zone, Healthy: true, Sessions: sessions, Load: &l}
}

func busy(share float64) func(*Load) {
	return func(l *Load) { l.CPU, l.CPUNow, l.CPUMean = share, share, share }
}

// TestRoute: who takes a new session by policy and routing.
func TestRoute(t *testing.T) {
	risky := func(l *Load) { l.Memory, l.Risk = 0.8, 2 }
	raised := func(l *Load) { l.Memory, l.Risk = 0.65, 1 }
	failing := func(l *Load) { l.KVFailures, l.Failing = 0.5, 2 }
	resources, location := Spread{Policy: ByResources, CountRatio: 1.2}, Spread{Policy: ByLocation, CountRatio: 1.2, Zone: "east"}
	idlest := func(s Spread) Spread { s.Routing = Idlest; return s }
	tests := []struct {
		name     string
		spread   Spread
		zone     string
		backends []Backend
		want     string // names of those that may be chosen
	}{
		{"the fewest sessions", resources, "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, nil)}, "b"},
		{"of equals any", resources, "", []Backend{doing("a", "", 5, nil), doing("b", "", 5, nil), doing("c", "", 6, nil)}, "ab"},
		{"not one that would be relieved for CPU", resources, "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, busy(0.9))}, "a"},
		{"one that is a little busier all the same", resources, "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, busy(0.25))}, "b"},
		{"the idlest is another one", idlest(resources), "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, busy(0.25))}, "a"},
		{"not one out of memory", resources, "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, risky)}, "a"},
		{"one whose memory is raised", resources, "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, raised)}, "b"},
		{"not that for the idlest", idlest(resources), "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, raised)}, "a"},
		{"not one that fails", resources, "", []Backend{doing("a", "", 50, nil), doing("b", "", 4, failing)}, "a"},
		{"unless all do", resources, "", []Backend{doing("a", "", 50, failing), doing("b", "", 4, failing)}, "b"},
		{"not one whose usage is not known", idlest(resources), "", []Backend{doing("a", "", 50, nil), doing("b", "", 4, busy(nan))}, "a"},
		{"nothing is known", resources, "", []Backend{{Addr: "a", Healthy: true, Sessions: 5}, {Addr: "b", Healthy: true, Sessions: 4}}, "b"},
		{"the zone", location, "", []Backend{doing("a", "east", 50, nil), doing("b", "west", 4, nil)}, "a"},
		{"the zone before CPU", location, "", []Backend{doing("a", "east", 50, busy(0.9)), doing("b", "west", 4, nil)}, "a"},
		{"the zone behind CPU", Spread{Policy: ByResources, Zone: "east"}, "", []Backend{doing("a", "east", 50, busy(0.9)), doing("b", "west", 4, nil)}, "b"},
		{"the zone that is asked for", resources, "west", []Backend{doing("a", "east", 5, nil), doing("b", "west", 50, busy(0.9))}, "b"},
		{"by connections figures are of no concern", Spread{}, "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, busy(0.9))}, "b"},
		{"any, with random", Spread{Policy: ByResources, Routing: Random}, "", []Backend{doing("a", "", 5, nil), doing("b", "", 4, busy(0.9))}, "ab"},
		{"any of the zone, with random", Spread{Routing: Random}, "west",
			[]Backend{doing("a", "east", 5, nil), doing("b", "west", 4, nil), doing("c", "west", 40, nil)}, "bc"},
		{"one that is down, with random", Spread{Routing: Random}, "", []Backend{{Addr: "a"}, doing("b", "", 4, nil)}, "b"},
		{"none with another tag", Spread{Label: "tenant", LabelValue: "shop"}, "", []Backend{doing("a", "", 5, nil),
			{Addr: "b", Healthy: true, Sessions: 9, Tags: map[string]string{"tenant": "shop"}}}, "b"},
		{"none at all", Spread{Label: "tenant", LabelValue: "shop"}, "", []Backend{doing("a", "", 5, nil)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen := map[string]bool{}
			random := rand.New(rand.NewPCG(1, 2))
			for range 500 {
				if c := Pick(tt.backends, Want{Roles: AnyRole, Zone: tt.zone, Spread: &tt.spread}, random.Uint64()); c.Index >= 0 {
					seen[tt.backends[c.Index].Addr] = true
				} else if c.Reason != "label" {
					t.Fatalf("none, for %q", c.Reason)
				}
			}
			got := ""
			for _, b := range tt.backends {
				if seen[b.Addr] {
					got += b.Addr
				}
			}
			if got != tt.want {
				t.Errorf("chosen were %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRandomPrefersTheBest: by a tenth.
func TestRandomPrefersTheBest(t *testing.T) {
	backends := []Backend{doing("a", "", 5, nil), doing("b", "", 1, nil), doing("c", "", 9, nil)}
	spread := Spread{Routing: Random}
	random := rand.New(rand.NewPCG(3, 4))
	var hits [3]int
	const n = 62000
	for range n {
		hits[Pick(backends, Want{Roles: AnyRole, Spread: &spread}, random.Uint64()).Index]++
	}
	for i, want := range []int{20000, 22000, 20000} {
		if hits[i] < want*97/100 || hits[i] > want*103/100 {
			t.Errorf("%s was chosen %d times, want about %d", backends[i].Addr, hits[i], want)
		}
	}
}

// TestThirtySessionsOnThree: whoever comes before the others are done goes where fewer are: ten to each.
func TestThirtySessionsOnThree(t *testing.T) {
	for _, routing := range []Routing{PreferIdle, Idlest} {
		spread := Spread{Routing: routing, CountRatio: 1.2}
		backends := []Backend{{Addr: "a", Healthy: true}, {Addr: "b", Healthy: true}, {Addr: "c", Healthy: true}}
		random := rand.New(rand.NewPCG(5, 6))
		for range 30 {
			backends[Pick(backends, Want{Roles: AnyRole, Spread: &spread}, random.Uint64()).Index].Sessions++
		}
		for _, b := range backends {
			if b.Sessions != 10 {
				t.Errorf("routing %d: %s has %d", routing, b.Addr, b.Sessions)
			}
		}
	}
}

// TestTriedInTurn: who has been tried is not chosen again, until all are.
func TestTriedInTurn(t *testing.T) {
	spread := Spread{}
	backends := []Backend{{Addr: "a", Healthy: true}, {Addr: "b", Healthy: true}, {Addr: "c", Healthy: true}}
	for range backends {
		c := Pick(backends, Want{Roles: AnyRole, Spread: &spread}, 7)
		if c.Index < 0 || backends[c.Index].Tried {
			t.Fatalf("chose %+v", c)
		}
		backends[c.Index].Tried = true
	}
	if c := Pick(backends, Want{Roles: AnyRole, Spread: &spread}, 7); c.Index >= 0 || c.Reason != "tried" {
		t.Errorf("with all tried: %+v", c)
	}
}

// TestRouteAllocatesNothing: with figures, and each routing.
func TestRouteAllocatesNothing(t *testing.T) {
	var backends []Backend
	for i := range 8 {
		backends = append(backends, doing(string(rune('a'+i)), "east", i, busy(float64(i)/10)))
	}
	for _, routing := range []Routing{PreferIdle, Random, Idlest} {
		spread := &Spread{Policy: ByResources, Routing: routing, Zone: "east", CountRatio: 1.2}
		if n := testing.AllocsPerRun(100, func() {
			if Pick(backends, Want{Roles: AnyRole, Spread: spread}, 7).Index < 0 {
				t.Error("chose none")
			}
		}); n != 0 {
			t.Errorf("routing %d: %v allocations", routing, n)
		}
	}
}

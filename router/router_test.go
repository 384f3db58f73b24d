package router

import "testing"

func TestPick(t *testing.T) {
	up := func(role Role, sessions int) Backend {
		return Backend{Role: role, Healthy: true, Sessions: sessions}
	}
	tests := []struct {
		name     string
		backends []Backend
		roles    Roles
		index    int
		reason   string
	}{
		{name: "none at all", roles: AnyRole, index: -1, reason: "no backends"},
		{name: "one", backends: []Backend{up(Leader, 9)}, roles: AnyRole, index: 0, reason: "only one"},
		{name: "fewest sessions", backends: []Backend{up(Leader, 3), up(Leader, 1), up(Leader, 2)},
			roles: AnyRole, index: 1, reason: "sessions"},
		{name: "role before sessions", backends: []Backend{up(Leader, 3), up(Async, 1)},
			roles: Roles(0).With(Leader), index: 0, reason: "only one"},
		{name: "wrong role", backends: []Backend{up(Async, 0)}, roles: Roles(0).With(Leader),
			index: -1, reason: "role"},
		{name: "unhealthy", backends: []Backend{{Role: Leader}}, roles: AnyRole, index: -1, reason: "health"},
		{name: "healthy one wins", backends: []Backend{{Role: Leader}, up(Leader, 7)}, roles: AnyRole,
			index: 1, reason: "only one"},
		{name: "the leader is down, a replica is of no use", backends: []Backend{{Role: Leader}, up(Async, 0)},
			roles: Roles(0).With(Leader), index: -1, reason: "health"},
		{name: "all tried", backends: []Backend{{Role: Leader, Healthy: true, Tried: true}}, roles: AnyRole,
			index: -1, reason: "tried"},
		{name: "several roles", backends: []Backend{up(Leader, 0), up(Sync, 5), up(Async, 4)},
			roles: Roles(0).With(Sync).With(Async), index: 2, reason: "sessions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Pick(tt.backends, Want{Roles: tt.roles}, 1)
			if got.Index != tt.index || got.Reason != tt.reason {
				t.Errorf("Pick = %+v, want index %d for reason %q", got, tt.index, tt.reason)
			}
		})
	}
}

// TestPickSpreads holds that equals are all chosen, about equally often.
func TestPickSpreads(t *testing.T) {
	backends := make([]Backend, 5)
	for i := range backends {
		backends[i] = Backend{Role: Leader, Healthy: true}
	}
	var hits [5]int
	random := uint64(88172645463325252)
	const n = 50000
	for range n {
		random = mix(random)
		hits[Pick(backends, Want{Roles: AnyRole}, random).Index]++
	}
	for i, h := range hits {
		if h < n/5*8/10 || h > n/5*12/10 {
			t.Errorf("backend %d was chosen %d times of %d", i, h, n)
		}
	}
}

// TestPickKeepsBalance connects and disconnects at random: the backends stay within one session.
func TestPickKeepsBalance(t *testing.T) {
	backends := make([]Backend, 4)
	for i := range backends {
		backends[i] = Backend{Role: Leader, Healthy: true}
	}
	random := uint64(1)
	for range 1001 {
		random = mix(random)
		backends[Pick(backends, Want{Roles: AnyRole}, random).Index].Sessions++
	}
	for i := range backends {
		if s := backends[i].Sessions; s < 250 || s > 251 {
			t.Errorf("backend %d has %d sessions of 1001", i, s)
		}
	}
}

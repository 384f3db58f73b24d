package router

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestJudge: over the limit is behind, at it is not; who is behind comes back only when it is well within.
func TestJudge(t *testing.T) {
	bytes := func(n uint64) Lag { return Lag{Bytes: n, Known: true} }
	took := func(d time.Duration) Lag { return Lag{Time: d, TimeKnown: true} }
	both := func(n uint64, d time.Duration) Lag { return Lag{Bytes: n, Known: true, Time: d, TimeKnown: true} }
	size := LagLimits{Bytes: 1000, Return: 50}
	span := LagLimits{Time: 10 * time.Second, Return: 30}
	pair := LagLimits{Bytes: 1000, Time: 10 * time.Second, Return: 50}
	open := LagLimits{Bytes: 1000, Return: 50, Unknown: true}
	huge := LagLimits{Bytes: math.MaxUint64, Time: math.MaxInt64, Return: 99}
	tests := []struct {
		name   string
		was    bool
		lag    Lag
		limits LagLimits
		behind bool
	}{
		{"no limit, whatever the lag", true, bytes(math.MaxUint64), LagLimits{Return: 50}, false},
		{"no limit, lag not known", true, Lag{}, LagLimits{Return: 50}, false},
		{"none", false, bytes(0), size, false},
		{"at the limit", false, bytes(1000), size, false},
		{"over it", false, bytes(1001), size, true},
		{"back at the limit", true, bytes(1000), size, true},
		{"just over half", true, bytes(501), size, true},
		{"at half", true, bytes(500), size, false},
		{"the limit is where it comes back", true, bytes(1000), LagLimits{Bytes: 1000, Return: 100}, false},
		{"a limit of one byte", true, bytes(1), LagLimits{Bytes: 1, Return: 1}, true},
		{"a limit of one byte, caught up", true, bytes(0), LagLimits{Bytes: 1, Return: 1}, false},
		{"time at the limit", false, took(10 * time.Second), span, false},
		{"time over it", false, took(10*time.Second + 1), span, true},
		{"time well within", true, took(3 * time.Second), span, false},
		{"time nearly well within", true, took(3*time.Second + 1), span, true},
		{"bytes speak against it", false, both(1001, 0), pair, true},
		{"time speaks against it", false, both(0, 11*time.Second), pair, true},
		{"one is well within, one is not", true, both(1, 6*time.Second), pair, true},
		{"both are well within", true, both(500, 5*time.Second), pair, false},
		{"not known", false, Lag{}, size, true},
		{"not known is allowed", false, Lag{}, open, false},
		{"not known any more", true, Lag{}, open, false},
		{"bytes are known, time is not", false, bytes(0), pair, true},
		{"time is known, and there is no limit for it", false, took(0), size, true},
		{"huge, at the limit", false, both(math.MaxUint64, math.MaxInt64), huge, false},
		{"huge, stays behind", true, both(math.MaxUint64, math.MaxInt64), huge, true},
		{"huge, comes back", true, both(math.MaxUint64/2, math.MaxInt64/2), huge, false},
		{"a clock that goes backwards", true, took(-time.Second), span, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Judge(tt.was, tt.lag, tt.limits); got != tt.behind {
				t.Errorf("Judge = %v", got)
			}
		})
	}
}

// TestJudgeDoesNotFlap: a lag that swings about the limit, but not as far as where a replica comes back, changes
// the judgement once.
func TestJudgeDoesNotFlap(t *testing.T) {
	limits := LagLimits{Bytes: 16 << 20, Return: 50}
	random := rand.New(rand.NewPCG(1, 2))
	behind, changes := false, 0
	for range 10000 {
		lag := limits.Bytes/2 + 1 + random.Uint64N(limits.Bytes)
		if now := Judge(behind, Lag{Bytes: lag, Known: true}, limits); now != behind {
			behind = now
			changes++
		}
	}
	if !behind || changes != 1 {
		t.Errorf("behind %v after %d changes", behind, changes)
	}
}

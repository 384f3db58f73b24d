package upstream

import (
	"testing"
	"time"

	"sluice/router"
)

// TestSessionsOfOldFigures: figures that become known late are of the sessions that there were then, as far as that is
// remembered; new ones are of those that there are.
func TestSessionsOfOldFigures(t *testing.T) {
	b := newBackend(&Cluster{}, Spec{Addr: "a:1"})
	begin := time.Now()
	for i := range 100 { // one more session each second; who balances looks more often
		b.Join()
		for tenth := range 10 {
			b.CountSessions(begin.Add(time.Duration(i)*time.Second + time.Duration(tenth)*100*time.Millisecond))
		}
	}
	if n := len(b.counts); n > int(countsFor/countsEvery)+1 {
		t.Errorf("%d counts are kept", n)
	}
	now := begin.Add(99*time.Second + 900*time.Millisecond)
	for _, tt := range []struct {
		ago      time.Duration
		sessions int
	}{
		{119 * time.Second, 40}, // the oldest that is known
		{50 * time.Second, 50},
		{15 * time.Second, 85},
		{3 * time.Second, 97},
		{time.Second, 100},
		{0, 100},
	} {
		b.AddReadings(now, router.Reading{At: now.Add(-tt.ago)})
		all := b.Readings()
		if got := all[len(all)-1].Sessions; got != tt.sessions {
			t.Errorf("%v ago there were %d sessions, want %d", tt.ago, got, tt.sessions)
		}
	}
	fresh := newBackend(&Cluster{}, Spec{Addr: "b:1"})
	fresh.Join()
	fresh.AddReadings(now, router.Reading{At: now.Add(-time.Minute)})
	if got := fresh.Readings()[0].Sessions; got != 1 {
		t.Errorf("where nothing was counted there were %d sessions", got)
	}
}

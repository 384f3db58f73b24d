package engine

import (
	"io"
	"runtime"
	"testing"
	"time"
)

// TestRelayAllocations relays commands and answers: none costs an allocation.
func TestRelayAllocations(t *testing.T) {
	const echoes = 10_000
	r := newRelay(t, one(t))
	p := make([]byte, 100)
	turn := func() {
		for way := range 2 {
			if _, err := r.far[way].Write(p); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(r.far[1-way], p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 100 {
		turn()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range echoes {
		turn()
	}
	runtime.ReadMemStats(&after)
	// gnet makes its list of events anew when their number changes; the runtime does a little, too.
	if n := after.Mallocs - before.Mallocs; n > echoes/100 {
		t.Errorf("%d allocations for %d commands and answers", n, echoes)
	}
}

// TestRelayTurnAllocations measures the loop's side alone: what one event costs from gnet's callback to
// the peer's socket.
func TestRelayTurnAllocations(t *testing.T) {
	r := newRelay(t, one(t))
	p := make([]byte, 100)
	allocs := -1.0
	on(t, r.loop, func() {
		allocs = testing.AllocsPerRun(100, func() {
			for _, c := range []*Conn{r.client, r.server} {
				r.loop.enter()
				c.received(p)
				r.loop.leave()
			}
		})
	})
	if allocs != 0 {
		t.Errorf("a relayed command and its answer cost %v allocations", allocs)
	}
}

// TestLoopAllocations measures what sessions do on a loop beside relaying.
func TestLoopAllocations(t *testing.T) {
	l := one(t)
	c, _ := connect(t, l, hooks{})
	tm, f := &Timer{Fn: func() {}}, func() {}
	tests := []struct {
		name string
		do   func()
	}{
		{"arm and disarm a timer", func() { l.Arm(tm, time.Minute); l.Disarm(tm) }},
		{"pause and resume", func() { c.PauseReads(); c.ResumeReads() }},
		{"run a task", func() { l.Run(f); l.runTasks() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			allocs := -1.0
			on(t, l, func() { allocs = testing.AllocsPerRun(100, tt.do) })
			if allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

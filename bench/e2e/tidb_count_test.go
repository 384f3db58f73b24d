package e2e

import (
	"fmt"
	"testing"

	"sluice/bench/e2e/wire"
)

// TestTiDBCountsBehindMoves holds that each command of a session that moves is counted once, with its bytes, at the
// instance that has answered it, and that what Sluice asks for the move's sake is nobody's command.
func TestTiDBCountsBehindMoves(t *testing.T) {
	every := trio(t)[:2]
	m := startMoving(t, racy(t), every)
	m.only(t, 0)
	c := loginMySQL(t, m.addr, wire.Usual)
	figure := func(i int, name, label string) float64 {
		n, err := m.Metric(name, fmt.Sprintf("backend=%q", every[i].Addr), label)
		if err != nil {
			t.Log(err) // there is none before the first
		}
		return n
	}
	var bytes [2]float64
	for round := range 4 {
		at := round % 2
		for range 5 {
			c.Query("select repeat('x', 1000)")
		}
		if got, want := figure(at, "sluice_commands_total", `command="query"`), float64(5*(round/2+1)); got != want {
			t.Errorf("round %d: %v commands are counted, want %v", round, got, want)
		}
		if more := figure(at, "sluice_bytes_total", `direction="to_client"`) - bytes[at]; more < 5000 || more > 7500 {
			t.Errorf("round %d: %v bytes are counted for 5 answers of a thousand", round, more)
		}
		m.swap(t, at, 1-at)
		bytes[at] = figure(at, "sluice_bytes_total", `direction="to_client"`)
	}
	c.End()
}

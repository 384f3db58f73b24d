package e2e

import (
	"testing"

	"sluice/bench/e2e/real"
)

// trio are the shared instances. Tests that use them leave them running.
func trio(t *testing.T) []*real.TiDB {
	t.Helper()
	every := []*real.TiDB{tidb(t, 0), tidb(t, 1), tidb(t, 2)}
	prepareStateful(t, every)
	return every
}

// TestTiDBStateMoves holds what is compared against what it was before: sessions move there and back, and nothing of
// their state is another's, or lost.
func TestTiDBStateMoves(t *testing.T) {
	every := trio(t)[:2]
	m := startMoving(t, racy(t), every)
	m.only(t, 0)
	const sessions = 12
	before := make([]string, sessions)
	all := make([]*stateful, sessions)
	for i := range all {
		options := []string{"", "tls=ours", "compress=true"}[i%3]
		user := []string{"app", "sha"}[i%2]
		if user == "sha" {
			options += "&tls=ours"
		}
		var err error
		if all[i], err = newStateful(within(t, soon), openMySQL(t, m.addr, user, options), i); err != nil {
			t.Fatal(err)
		}
		if before[i], err = all[i].look(within(t, soon)); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		from, to := round%2, 1-round%2
		m.swap(t, from, to)
		for i, s := range all {
			if got := at(t, s.Conn); got != real.Port(every[to].Addr) {
				t.Errorf("session %d is at port %d, want it at %s", i, got, every[to].Addr)
			}
			if got, err := s.look(within(t, soon)); err != nil || got != before[i] {
				t.Errorf("session %d after %d moves: %v\n got %s\nwant %s", i, round+1, err, got, before[i])
			}
			// What is done behind a move is a part of the state that moves next.
			if _, err := s.statements[2].ExecContext(within(t, soon), "again"); err != nil {
				t.Error(err)
			}
			var err error
			if before[i], err = s.look(within(t, soon)); err != nil {
				t.Error(err)
			}
		}
	}
}

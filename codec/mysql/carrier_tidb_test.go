package mysql

import (
	"strings"
	"testing"

	"sluice/codec"
)

// fullStates is a state of a real one's size.
func fullStates() string {
	return strings.Replace(longStates(1), `"rand_seed1"`, `"character_set_connection": "utf8mb4", "character_set_results": "utf8mb4", `+
		`"character_set_server": "utf8mb4", "collation_connection": "utf8mb4_bin", "collation_server": "utf8mb4_bin", "sql_mode": "ANSI_QUOTES", "rand_seed1"`, 1)
}

// BenchmarkCarryTiDB is what a move of a TiDB session costs Sluice itself beside the talk with the servers: the state
// is looked into, kept, and made a command.
func BenchmarkCarryTiDB(b *testing.B) {
	m := newMover(moveModern, nil, &codec.MoveOptions{StateMax: 1 << 20}, account{user: "app"}, kindTiDB)
	states, token := fullStates(), tokenOf()
	b.SetBytes(int64(len(states)))
	b.ReportAllocs()
	for b.Loop() {
		c := tidbCarrier{m: m}
		if _, err := c.answered(0, &answer{rows: [][]field{{field(states), field(token)}}}); err != nil {
			b.Fatal(err)
		}
		if len(c.put()) != 2 {
			b.Fatal("nothing to put")
		}
	}
}

// TestKnownBehindMove: what the old server has told is known of the session at the new one, if anybody can make use of it.
func TestKnownBehindMove(t *testing.T) {
	for _, credible := range []bool{false, true} {
		r := newRun(t, &script{})
		if credible {
			r.m.account.proved = &proof{password: "secret", known: true}
		}
		if op := r.run(); op != codec.OpReady || r.m.Known() != credible || r.m.kept.asked != credible {
			t.Errorf("credible %t: %v, known is %t, kept %t", credible, op, r.m.Known(), r.m.kept.asked)
		}
		// A move that comes to nothing keeps nothing.
		r = newRun(t, &script{say: map[string][]string{atStates: {errOf(1105, "oops")}}})
		r.m.account.proved = &proof{password: "secret", known: true}
		if op := r.run(); op != codec.OpClose || r.m.kept.asked {
			t.Errorf("a move in vain: %v, kept %t", op, r.m.kept.asked)
		}
	}
}

package mysql

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// longStates makes a state of a real one's size, of which a little is the session's own.
func longStates(seed int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"sys-vars": {"rand_seed1": "%d"`, seed*7919)
	for i := range 300 {
		fmt.Fprintf(&b, `, "tidb_variable_number_%d": "%d"`, i, i*i)
	}
	fmt.Fprintf(&b, `}, "user-var-values": {"u": "%d"}}`, seed)
	return b.String()
}

// TestPackStates: a state that is kept takes a few hundred bytes, and comes back as it was.
func TestPackStates(t *testing.T) {
	usual.Store(nil)
	for seed := range 20 {
		states := longStates(seed)
		k := packStates(states, 5)
		if got, err := k.unpack(); err != nil || got != states || k.mark != 5 {
			t.Fatalf("state %d: %v", seed, err)
		}
		if len(k.packed) > 300 {
			t.Errorf("state %d takes %d bytes of %d", seed, len(k.packed), len(states))
		}
	}
	// One that is too long to be packed on a loop.
	long := strings.Repeat("x", maxPacked+1)
	if k := packStates(long, 0); k.packed != long || k.usual != nil {
		t.Error("a long state is packed")
	} else if got, err := k.unpack(); err != nil || got != long {
		t.Errorf("a long state: %v", err)
	}
}

// TestPackStatesTurns: a session that has much of its own does not take the dictionary from the others; many that
// have nothing in common with it do.
func TestPackStatesTurns(t *testing.T) {
	usual.Store(nil)
	r := rand.New(rand.NewPCG(1, 2))
	noise := func() string {
		b := make([]byte, 4<<10)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	first := packStates(longStates(1), 0)
	for i := range poorPackings {
		if k := packStates(noise(), 0); k.usual != first.usual {
			t.Fatalf("the dictionary is another one behind %d poor packings", i)
		}
	}
	if k := packStates(longStates(2), 0); k.usual == first.usual {
		t.Error("the dictionary never changes")
	}
	if got, err := first.unpack(); err != nil || got != longStates(1) {
		t.Errorf("a state packed by the dictionary before: %v", err)
	}
}

func BenchmarkPackStates(b *testing.B) {
	usual.Store(nil)
	states := longStates(3)
	packStates(longStates(1), 0)
	b.ReportAllocs()
	for b.Loop() {
		packStates(states, 0)
	}
}

// TestParseStates: what is missing or null is empty, what is of another sort than TiDB's is an error.
func TestParseStates(t *testing.T) {
	full := tidbStates{database: "sh\"op", mode: "ANSI", results: "gbk", prepared: []tidbPrepared{{"", "select ?"}, {"p", "select 'é'"}}}
	for states, want := range map[string]tidbStates{
		`{}`:   {},
		`null`: {},
		`{"current-db": null, "sys-vars": null, "prepared-stmts": null, "more": [[{}]]}`: {},
		`{"current-db": "sh\"op", "sys-vars": {"x": "1", "sql_mode": "ANSI", "character_set_results": "gbk"},` +
			` "prepared-stmts": {"1": {"text": "select ?"}, "2": {"text": "select '\u00e9'", "name": "p"}}}`: full,
	} {
		if got, err := parseStates(states); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", states, got, err)
		}
	}
	for _, states := range []string{
		``, `{`, `{} {}`, `[]`, `""`, `1`, `{"x": }`,
		`{"current-db": 1}`, `{"sys-vars": "x"}`, `{"sys-vars": {"sql_mode": {}}}`, `{"prepared-stmts": []}`,
		`{"prepared-stmts": {"1": "select ?"}}`, `{"prepared-stmts": {"1": {"name": false}}}`,
		strings.Repeat("[", 1<<20), `{"x": ` + strings.Repeat(`{"x": `, 1<<20),
	} {
		if got, err := parseStates(states); err == nil {
			t.Errorf("%.40s: %+v", states, got)
		}
	}
}

func BenchmarkParseStates(b *testing.B) {
	states := longStates(3)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseStates(states); err != nil {
			b.Fatal(err)
		}
	}
}

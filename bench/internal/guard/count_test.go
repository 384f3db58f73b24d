package guard

import (
	"maps"
	"strings"
	"testing"
)

// file is what cachegrind writes, cut down to a few functions.
const file = `desc: I1 cache:         32768 B, 64 B, 8-way associative
cmd: sluice run
events: Ir
fl=???
fn=sluice/codec/mysql.(*Follower).Server
0 40
7 2
fn=memeqbody
0 3
fl=/src/conn.go
fn=github.com/panjf2000/gnet/v2.(*conn).Next
12 50
fn=runtime.mallocgc
0 5
`

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(file + "summary: 100\n"))
	want := count{
		"sluice/codec/mysql.(*Follower).Server":     42,
		"memeqbody":                                 3,
		"github.com/panjf2000/gnet/v2.(*conn).Next": 50,
		"runtime.mallocgc":                          5,
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestParseRefusesWhatIsNotWhole(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"cut short", file, "no end"},
		{"a line is missing", file + "summary: 101\n", "add up to 100"},
		{"no number at the end", file + "summary: many\n", `"many"`},
		{"a line without a count", file + "99\nsummary: 100\n", `"99"`},
		{"a line before any function", "events: Ir\n1 2\nsummary: 2\n", `"1 2"`},
		{"empty", "", "no end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c, err := parse(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want an error with %s", c, err, tt.want)
			}
		})
	}
}

// TestPerQuery has the short run alone call init, the long one alone call rare, and both the rest.
func TestPerQuery(t *testing.T) {
	p := pair{
		short: count{"sluice/codec.F": 1000, "runtime.lock2": 50, "memeqbody": 10, "os.init": 20},
		long:  count{"sluice/codec.F": 4000, "runtime.lock2": 150, "memeqbody": 40, "sluice/engine.rare": 30},
	}
	got := perQuery(p, 10)
	if got.Program != 300-2+3 || got.Runtime != 10+3 {
		t.Errorf("got %v; want 301 and 13", got)
	}
	const dearest = "   300.0  sluice/codec.F\n    10.0  runtime.lock2\n"
	if list := got.dearest(2); list != dearest {
		t.Errorf("the dearest are\n%swant\n%s", list, dearest)
	}
	if list := got.dearest(100); strings.Count(list, "\n") != len(got.functions) {
		t.Errorf("all functions are\n%s", list)
	}
}

func TestOfRuntime(t *testing.T) {
	tests := map[string]bool{
		"runtime.(*mcache).refill":                  true,
		"internal/runtime/syscall/linux.Syscall6":   true,
		"internal/bytealg.IndexByte":                true,
		"memeqbody":                                 true,
		"sluice/engine.(*Loop).enter":               false,
		"github.com/panjf2000/gnet/v2.(*conn).Next": false,
		"golang.org/x/sys/unix.read":                false,
		"syscall.Syscall":                           false,
		"internal/poll.(*FD).Read":                  false,
	}
	for name, want := range tests {
		if got := ofRuntime(name); got != want {
			t.Errorf("%s: got %v; want %v", name, got, want)
		}
	}
}

// TestLeast takes the lower of each run, whichever pair it is in.
func TestLeast(t *testing.T) {
	low, high := count{"a.f": 1}, count{"a.f": 2}
	for _, p := range []pair{{low, high}, {high, low}, {high, high}, {low, low}} {
		if got := p.least(pair{low, low}); got.short.total() != 1 || got.long.total() != 1 {
			t.Errorf("of %v and 1, 1: got %v", p, got)
		}
		if got := (pair{high, high}).least(p); got.short.total() != p.short.total() || got.long.total() != p.long.total() {
			t.Errorf("of 2, 2 and %v: got %v", p, got)
		}
	}
}

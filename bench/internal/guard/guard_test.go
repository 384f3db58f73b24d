package guard

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	update    = flag.Bool("update", false, "write the figures to the record in place of comparing them")
	functions = flag.Int("functions", 0, "list so many of the dearest functions of each cell")
	only      = flag.String("cells", "", "count only the cells whose name contains this; nothing is written then")
	program   = flag.String("sluice", "", "Sluice's program; built from the source if not given")
)

// recordFile is the record, beside its test.
const recordFile = "instructions.json"

// attempts is how often a cell is counted until it is within its tolerance, or for the record.
const attempts = 6

// enough is the longest time that the whole may take, on a machine with much other work.
const enough = 40 * time.Minute

// TestInstructionsPerQuery counts the instructions of each cell and compares them with the record.
func TestInstructionsPerQuery(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	g := guard{t: t, program: sluice(t), got: newRecord()}
	if !*update {
		var err error
		if g.want, err = readRecord(recordFile); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range cells() {
		if strings.Contains(c.name, *only) {
			g.check(ctx, c)
		}
	}
	if *only != "" {
		return
	}
	for _, l := range loads {
		g.checkLoops(l)
	}
	if *update && !t.Failed() {
		if err := g.got.write(recordFile); err != nil {
			t.Fatal(err)
		}
	}
}

// guard is one run over all cells.
type guard struct {
	t         *testing.T
	program   string
	got, want *Record // want is nil for an update
}

// check counts one cell until it is within its tolerance, and at most attempts times.
func (g *guard) check(ctx context.Context, c cell) {
	var least pair
	var got Figure
	var cheaper bool
	var err error
	for i := range attempts {
		p, failed := c.measure(ctx, g.program, g.t.TempDir())
		if failed != nil {
			g.t.Fatalf("%s: %v", c.name, failed)
		}
		if i == 0 {
			least = p
		}
		least = least.least(p)
		got = perQuery(least, c.queries)
		if g.want == nil {
			continue
		}
		want, ok := g.want.Cells[c.name]
		if !ok {
			g.t.Errorf("%s: is not in the record; make guard-update writes it", c.name)
			break
		}
		if cheaper, err = c.tolerance().compare(got, want); err == nil {
			break
		}
	}
	g.got.Cells[c.name] = got
	g.t.Logf("%-28s %v", c.name, got)
	if *functions > 0 {
		g.t.Logf("the dearest functions:\n%s", got.dearest(*functions))
	}
	if err != nil {
		g.t.Errorf("%s: %v\nrecorded with %s, counted with %s\nthe dearest functions now:\n%s",
			c.name, err, g.want.compiler(), g.got.compiler(), got.dearest(40))
	}
	if cheaper {
		g.t.Logf("%s: cheaper than the record (%v): make guard-update", c.name, g.want.Cells[c.name])
	}
}

// loopsMax is what the program's part may grow by with a second loop.
const loopsMax = 1.05

// checkLoops holds that a query costs no more with two loops than with one. The runtime's part is left
// out: valgrind has one thread run at a time, so each loop waits for the other one behind each of its
// system calls, and the runtime takes that for a system call that lasts, which it does not like.
func (g *guard) checkLoops(l load) {
	one, two := g.got.Cells[l.name+busy], g.got.Cells[l.name+busyTwoLoops]
	if one.Program == 0 || two.Program > loopsMax*one.Program {
		g.t.Errorf("%s: with one loop %v, with two %v; want at most %v times the program's part",
			l.name, one, two, loopsMax)
	}
}

// sluice builds the program as it is shipped, but for the tables of a debugger, which valgrind would
// spend a second on.
func sluice(t *testing.T) string {
	t.Helper()
	if *program != "" {
		return *program
	}
	out := filepath.Join(t.TempDir(), "sluice")
	cmd := exec.Command("go", "build", "-C", "../../..", "-trimpath", "-buildvcs=false", "-ldflags=-w", "-o", out, "./cmd/sluice")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

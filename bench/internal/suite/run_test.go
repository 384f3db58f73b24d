package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// built makes Sluice's program, once for all tests.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builtDir, "sluice")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/sluice")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// smallOptions are those of a run in small, with all programs in place.
func smallOptions(t *testing.T) Options {
	t.Helper()
	sluice, err := built()
	if err != nil {
		t.Fatal(err)
	}
	floor, err := filepath.Abs("../../floor/relay.c")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Rounds: 1, Window: 250 * time.Millisecond, Threads: 1, Floor: floor, Sluice: sluice, Progress: io.Discard}
}

// measured runs and returns what there was, as scenario/load: contenders.
func measured(t *testing.T, o Options) (*Report, []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	report, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range report.Results {
		at := slices.IndexFunc(scenarios, func(s Scenario) bool { return s.Name == r.Scenario })
		if want := o.rounds(cell{Scenario: scenarios[at]}); len(r.Rounds) != want {
			t.Errorf("%s, %s, %s: %d rounds; want %d", r.Scenario, r.Load, r.Contender, len(r.Rounds), want)
		}
		line := r.Scenario + "/" + r.Load + ":"
		if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], line) {
			lines = append(lines, line)
		}
		lines[len(lines)-1] += " " + r.Contender
	}
	return report, lines
}

// plausible holds a sample against what must be so.
func plausible(t *testing.T, r *Result) {
	t.Helper()
	for _, s := range r.Rounds {
		if hasProcess := r.Contender != directName; hasProcess != (s.CPU > 0) || hasProcess != (s.Resident > 0) {
			t.Errorf("%s, %s: CPU %v, memory %v", r.Load, r.Contender, s.CPU, s.Resident)
		}
		if s.PerSecond <= 0 || s.P50 <= 0 || s.P99 < s.P50 || s.P999 < s.P99 || s.AllCPU <= s.CPU || s.Switches < s.Voluntary {
			t.Errorf("%s, %s: %+v", r.Load, r.Contender, s)
		}
	}
}

// TestRun makes a run in small, against real servers, plain and with TLS on both sides. What is
// offered by a paced load must be what is done.
func TestRun(t *testing.T) {
	o := smallOptions(t)
	o.Window, o.Rate = 700*time.Millisecond, 500
	o.Only = []string{"paced", "connect", "tls-both", "pg-prepared", "my-text", "my-connect", "floor", "pgbouncer", "sluice"}
	report, got := measured(t, o)
	want := []string{
		"paced/pg-prepared: floor pgbouncer sluice", "tls-both/pg-prepared: floor pgbouncer sluice",
		"paced/my-text: floor sluice", "connect/my-connect: floor sluice", "tls-both/my-text: floor sluice"}
	if !slices.Equal(got, want) {
		t.Errorf("measured %q; want %q", got, want)
	}
	// A machine that stalls for a moment does less, and then more to catch up: not three times in a row.
	off := offPace(report)
	o.Only = []string{"paced", "pg-prepared", "my-text", "floor", "pgbouncer", "sluice"}
	for tries := 1; len(off) > 0 && tries < 3; tries++ {
		t.Logf("500 queries per second were offered, done were %v", off)
		again, _ := measured(t, o)
		off = offPace(again)
	}
	if len(off) > 0 {
		t.Errorf("500 queries per second were offered, done were %v", off)
	}
	for _, r := range report.Results {
		plausible(t, r)
		if passes := r.Scenario == "tls-both" && r.Contender == floorName; passes != (r.Note != "") {
			t.Errorf("%s, %s, %s: the note %q", r.Scenario, r.Load, r.Contender, r.Note)
		}
	}
}

// offPace are the paced results that are far from the 500 queries per second that were offered.
func offPace(report *Report) (off []string) {
	for _, r := range report.Results {
		if s := r.Rounds[0]; r.Scenario == "paced" && (s.PerSecond < 200 || s.PerSecond > 1000) {
			off = append(off, fmt.Sprintf("%s at %s: %.0f", r.Load, r.Contender, s.PerSecond))
		}
	}
	return off
}

// TestContenders has each of them, with two threads, stand in front of a synthetic server of either
// protocol.
func TestContenders(t *testing.T) {
	o := smallOptions(t)
	o.Threads = 2
	o.Only = []string{"clients", "open", "rows", "syn-pg-32", "syn-pg-open", "syn-my-64k",
		"floor", "haproxy", "nginx", "pgbouncer", "sluice", "mine"}
	o.Variants = []Variant{{Name: "mine", Env: []string{"GOGC=50"}}}
	report, got := measured(t, o)
	want := []string{
		"clients/syn-pg-32: floor haproxy nginx pgbouncer sluice mine",
		"open/syn-pg-open: floor haproxy nginx pgbouncer sluice mine",
		"rows/syn-my-64k: floor haproxy nginx sluice mine"}
	if !slices.Equal(got, want) {
		t.Errorf("measured %q; want %q", got, want)
	}
	peak := report.find("clients", "syn-pg-32", haproxyName).Rounds[0].PerSecond
	for _, r := range report.Results {
		plausible(t, r)
		if r.Scenario == "open" && math.Abs(r.Rate*3/peak-1) > 1e-6 {
			t.Errorf("%s, %s: %.0f per second offered; the peak is %.0f", r.Load, r.Contender, r.Rate, peak)
		}
	}
}

// TestIdle: thousands of silent clients cost memory, and Sluice tells of its own heap.
func TestIdle(t *testing.T) {
	o := smallOptions(t)
	o.Only = []string{"idle", "syn-pg-idle", "haproxy", "sluice"}
	report, got := measured(t, o)
	if want := []string{"idle/syn-pg-idle: haproxy sluice"}; !slices.Equal(got, want) {
		t.Fatalf("measured %q; want %q", got, want)
	}
	for _, r := range report.Results {
		s := r.Rounds[0]
		own := r.Contender == sluiceName
		if r.Clients < 100 || s.ResidentEach < 500 || s.ResidentEach > 64<<10 || own != (s.HeapEach > 0) || own != (s.HeapScanEach > 0) {
			t.Errorf("%s with %d clients: %+v", r.Contender, r.Clients, s)
		}
		if _, ok := r.Summary[heapScanEach.name]; ok != own {
			t.Errorf("%s: the summary has a scanned heap: %t", r.Contender, ok)
		}
	}
}

// TestProfile takes one of Sluice under a synthetic load.
func TestProfile(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	r := &run{Options: smallOptions(t), dir: t.TempDir(), report: &Report{}}
	r.Profiles = filepath.Join(r.dir, "profiles")
	s, err := startSynthServer(ctx, Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	sluice := contenders[slices.IndexFunc(contenders, func(c Contender) bool { return c.Name == sluiceName })]
	e, err := startEntrant(ctx, sluice, r.station(stage{backend: backend{Postgres, true}}, s, sluice))
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	l, _ := loadNamed("syn-pg-32")
	if err := r.profile(ctx, cell{Scenario{Name: "clients"}, l}, e, 0); err != nil {
		t.Fatal(err)
	}
	if p := r.report.Profiles; len(p) != 1 || p[0].Name != "clients-syn-pg-32" || !strings.Contains(p[0].Top, "linux.Syscall6") ||
		!strings.Contains(p[0].Sched, "Type: delay") {
		t.Errorf("got %+v, notes %q", p, r.report.Notes)
	}
	if trace, err := os.Stat(filepath.Join(r.Profiles, "clients-syn-pg-32.trace")); err != nil || trace.Size() == 0 {
		t.Errorf("the trace: %v", err)
	}
	merged := filepath.Join(r.dir, "default.pgo")
	if err := r.report.MergeProfiles(ctx, merged); err != nil {
		t.Fatal(err)
	}
	if table, err := top(ctx, merged); err != nil || !strings.Contains(table, "Type: cpu") {
		t.Errorf("the merged profile: %v\n%s", err, table)
	}
	if err := new(Report).MergeProfiles(ctx, merged); err == nil {
		t.Error("nothing was merged without an error")
	}
}

// TestMissingContender: who is not installed is left out, and the report says so, unless it is a guest
// that nobody asked for.
func TestMissingContender(t *testing.T) {
	nothing := func(string, ...string) (string, error) { return "", errors.New("not installed") }
	tests := []struct {
		only, programs string
		want, note     string
	}{
		{"clients", "", "sluice", "floor takes no part: cc is not installed."},
		{"clients,pgcat,sluice", "", "sluice", "pgcat takes no part: pgcat is not installed."},
		{"clients,pgcat,haproxy", "pgcat", "pgcat", "haproxy takes no part: haproxy is not installed."},
	}
	for _, tt := range tests {
		r := &run{Options: Options{Only: strings.Split(tt.only, ","), Programs: map[string]string{tt.programs: "/opt/program"}},
			look: nothing, programs: map[string]string{}, report: &Report{}}
		list, err := r.contenders(context.Background())
		if err != nil || lineupNames(list) != tt.want || !slices.Contains(r.report.Notes, tt.note) {
			t.Errorf("%s: %s, %v, with the notes %q", tt.only, lineupNames(list), err, r.report.Notes)
		}
		if guest := "odyssey takes no part: odyssey is not installed."; slices.Contains(r.report.Notes, guest) {
			t.Errorf("%s: a guest that nobody asked for is missed", tt.only)
		}
	}
}

// TestGuestsMayFail: a guest that does not start, and one that serves nobody, are left out with a word
// about why; the others are measured all the same.
func TestGuestsMayFail(t *testing.T) {
	deaf := func(ctx context.Context, at station) (running, error) {
		at.server = "127.0.0.1:1" // nobody is there
		return startHAProxy(ctx, at)
	}
	absent := func(context.Context, station) (running, error) {
		return running{}, errors.New("no licence\nof any kind")
	}
	haproxy, err := program("haproxy")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	r := &run{Options: smallOptions(t), dir: t.TempDir(), report: &Report{}, programs: map[string]string{"deaf": haproxy}}
	r.list = []Contender{{Name: directName}, {Name: "deaf", Guest: true, start: deaf}, {Name: "absent", Guest: true, start: absent}}
	s, err := startSynthServer(ctx, Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	l, _ := loadNamed("syn-pg-32")
	st := stage{backend: backend{Postgres, true}, cells: []cell{{Scenario{Name: "clients"}, l}}}
	r.Only = []string{directName, "deaf", "absent"}
	if err := r.stage(ctx, st, s); err != nil {
		t.Fatal(err)
	}
	if direct := r.report.find("clients", "syn-pg-32", directName); direct == nil || len(direct.Rounds) != 1 {
		t.Errorf("direct: %+v", direct)
	}
	if len(r.report.Notes) != 2 || !strings.HasPrefix(r.report.Notes[0], "absent takes no part") ||
		!strings.HasSuffix(r.report.Notes[0], "no licence") || !strings.HasPrefix(r.report.Notes[1], "deaf is left out of clients, syn-pg-32") {
		t.Errorf("the notes: %q", r.report.Notes)
	}
}

// TestFailuresLoseNothing: a contender that ends in the middle and a load that never covers its window
// are left out with a word about why, and the run says in the end that it is not what it should be. All
// else is measured.
func TestFailuresLoseNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	haproxy, err := program("haproxy")
	if err != nil {
		t.Fatal(err)
	}
	mortal := func(ctx context.Context, at station) (running, error) {
		at.program = haproxy
		return startHAProxy(ctx, at)
	}
	r := &run{Options: smallOptions(t), dir: t.TempDir(), report: &Report{}, programs: map[string]string{}}
	r.list = []Contender{{Name: directName}, {Name: "mortal", start: mortal}}
	r.Only = []string{directName, "mortal"}
	s, err := startSynthServer(ctx, Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	good, _ := loadNamed("syn-pg-32")
	tries := 0
	late := good
	late.Name = "late"
	late.start = func(ctx context.Context, l Load, at target) (*generator, error) {
		g, err := good.start(ctx, l, at)
		if err == nil {
			tries++
			g.result = func(from, to time.Time) (clientView, error) { return clientView{}, errOutlasted }
		}
		return g, err
	}
	killing := good
	killing.Name = "killing"
	killing.start = func(ctx context.Context, l Load, at target) (*generator, error) {
		g, err := good.start(ctx, l, at)
		if err == nil && at.addr != s.addr {
			g.Kill()
		}
		return g, err
	}
	var cells []cell
	for _, l := range []Load{late, killing, good} {
		cells = append(cells, cell{Scenario{Name: "clients"}, l})
	}
	if err := r.stage(ctx, stage{backend: backend{Postgres, true}, cells: cells}, s); err != nil {
		t.Fatal(err)
	}
	for load, want := range map[string]string{"late": "direct 0, mortal 0", "killing": "direct 1, mortal 0", "syn-pg-32": "direct 1, mortal 1"} {
		var got []string
		for _, x := range r.list {
			got = append(got, fmt.Sprintf("%s %d", x.Name, len(r.report.find("clients", load, x.Name).Rounds)))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: measured %q; want %s", load, got, want)
		}
	}
	if want := 2 * sampleTries; tries < want {
		t.Errorf("a load that ends too early was tried %d times; want %d at least", tries, want)
	}
	if want := "direct is left out of clients, late after 0 rounds: " + errOutlasted.Error(); len(r.report.Notes) < 3 || r.report.Notes[0] != want {
		t.Errorf("the notes: %q; want %q first", r.report.Notes, want)
	}
	if !errors.Is(r.failed, errOutlasted) {
		t.Errorf("the run's error is %v", r.failed)
	}
}

// TestEntrantEnds: who has ended by itself is started anew for the next load.
func TestEntrantEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	haproxy, err := program("haproxy")
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Options: Options{Only: []string{haproxyName}, Threads: 1}, dir: t.TempDir(), report: &Report{},
		programs: map[string]string{haproxyName: haproxy}}
	r.list = []Contender{contenders[slices.IndexFunc(contenders, func(c Contender) bool { return c.Name == haproxyName })]}
	s, err := startSynthServer(ctx, Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	l, _ := loadNamed("syn-pg-32")
	c, st, standing := cell{Scenario{Name: "clients"}, l}, stage{backend: backend{Postgres, true}}, map[string]*entrant{}
	first, err := r.entrants(ctx, st, s, c, standing)
	if err != nil {
		t.Fatal(err)
	}
	p := first[0].processes[0]
	p.Kill()
	<-p.Done()
	second, err := r.entrants(ctx, st, s, c, standing)
	if err != nil {
		t.Fatal(err)
	}
	defer second[0].stop()
	if second[0] == first[0] || second[0].ended() || child.Accepts(second[0].addr) != nil {
		t.Error("who has ended was not started anew")
	}
}

// TestRunEndsEarly cancels a run in the middle; everything it started must be gone with it, which
// Run's return means.
func TestRunEndsEarly(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	stopAtFirst := writerFunc(func(p []byte) {
		if strings.Contains(string(p), "1/30") {
			cancel()
		}
	})
	report, err := Run(ctx, Options{Rounds: 50, Window: 100 * time.Millisecond, Threads: 1,
		Only: []string{"clients", "syn-pg-1", "direct"}, Progress: stopAtFirst})
	if err == nil || report == nil || len(report.Results) != 1 || len(report.Results[0].Rounds) < 1 {
		t.Fatalf("got %+v, %v; want an error and what had been measured", report, err)
	}
	if text := report.Markdown(); !strings.Contains(text, "| direct |") {
		t.Errorf("the report of a cancelled run:\n%s", text)
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

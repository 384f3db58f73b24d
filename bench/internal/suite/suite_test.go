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

	"sluice/bench/internal/synth"
)

// TestMain lets this program be the synthetic servers and clients that a run starts.
func TestMain(m *testing.M) {
	synth.RunAsChild()
	dir, err := os.MkdirTemp("", "sluice-suite-")
	if err != nil {
		panic(err)
	}
	builtDir = dir
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// builtDir is where the program is that built makes.
var builtDir string

func names(cells []cell) string {
	var out []string
	for _, c := range cells {
		out = append(out, c.Scenario.Name+"/"+c.Load.Name)
	}
	return strings.Join(out, " ")
}

func lineupNames(list []Contender) string {
	var out []string
	for _, c := range list {
		out = append(out, c.Name)
	}
	return strings.Join(out, " ")
}

// TestTables holds the tables together: every load that a scenario names exists, none is forgotten,
// every scenario has a line-up of contenders that exist, and the peak is found before it is needed.
func TestTables(t *testing.T) {
	used := map[string]bool{}
	peaks := map[string]bool{}
	for _, s := range scenarios {
		for _, name := range append(slices.Clone(s.Loads), s.Quick...) {
			l, ok := loadNamed(name)
			if !ok {
				t.Errorf("%s names %q, which does not exist", s.Name, name)
			}
			if s.Paced && !peaks[name] && !peaks[l.Peak] {
				t.Errorf("%s stands before the scenario that finds the peak of %s", s.Name, name)
			}
			if slices.Contains(peakScenarios, s.Name) {
				peaks[name] = true
			}
			used[name] = true
			if s.Idle != (l.Unit == unitClient) {
				t.Errorf("%s, %s: only idle clients count clients", s.Name, name)
			}
		}
		if lineups[s.Name] == nil {
			t.Errorf("%s has no line-up", s.Name)
		}
	}
	for _, l := range loads {
		if !used[l.Name] {
			t.Errorf("no scenario uses %s", l.Name)
		}
	}
	known := map[string]bool{}
	for _, c := range contenders {
		known[c.Name] = true
	}
	for line, names := range lineups {
		scenario, load, _ := strings.Cut(line, "/")
		if !slices.ContainsFunc(scenarios, func(s Scenario) bool {
			return s.Name == scenario && (load == "" || slices.Contains(s.Loads, load))
		}) {
			t.Errorf("the line-up %q is for nothing", line)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s: no contender is called %q", line, name)
			}
		}
	}
}

func TestOnly(t *testing.T) {
	tests := []struct {
		name  string
		only  []string
		quick bool
		want  string
	}{
		{"a scenario", []string{"connect"}, false, "connect/pg-connect connect/my-connect"},
		{"a load", []string{"pg-simple"}, false, "saturated/pg-simple paced/pg-simple"},
		{"both", []string{"paced", "pg-simple"}, false, "paced/pg-simple"},
		{"a contender leaves the cells alone", []string{"sluice", "bulk"}, false, "bulk/pg-bulk bulk/my-bulk"},
		{"quick", []string{"pg-prepared", "pg-bulk"}, true, "saturated/pg-prepared paced/pg-prepared"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Only: tt.only, Quick: tt.quick}
			if got := names(o.cells()); got != tt.want {
				t.Errorf("got %s; want %s", got, tt.want)
			}
		})
	}
}

// TestLineup: who takes part where, by default and when names were given.
func TestLineup(t *testing.T) {
	tests := []struct {
		name           string
		o              Options
		scenario, load string
		want           string
	}{
		{"all who can", Options{}, "saturated", "pg-simple", "direct floor haproxy nginx pgbouncer sluice odyssey pg_doorman pgdog pgcat"},
		{"by protocol", Options{}, "saturated", "my-text", "direct floor haproxy nginx sluice proxysql tiproxy"},
		{"a line of its own", Options{}, "saturated", "my-readwrite", "floor haproxy sluice proxysql tiproxy"},
		{"who ends TLS", Options{}, "tls-client", "pg-prepared", "pgbouncer sluice"},
		{"who ends or passes TLS", Options{}, "tls-both", "my-text", "haproxy sluice"},
		{"quick", Options{Quick: true, Only: nil}, "saturated", "my-text", "floor haproxy sluice proxysql tiproxy"},
		{"by name", Options{Only: []string{"nginx", "direct", "tiproxy"}}, "connect", "pg-connect", "direct nginx"},
		{"a variant", Options{Variants: []Variant{{Name: "two"}}, Quick: true}, "rows", "syn-my-1k", "floor haproxy sluice proxysql tiproxy two"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c cell
			c.Load, _ = loadNamed(tt.load)
			for _, s := range scenarios {
				if s.Name == tt.scenario {
					c.Scenario = s
				}
			}
			if got := lineupNames(tt.o.lineup(c, tt.o.allContenders())); got != tt.want {
				t.Errorf("got %s; want %s", got, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	good := Options{Rounds: 1, Window: time.Second, Threads: 1, Only: []string{"floor", "bulk", "mine"},
		Variants: []Variant{{Name: "mine"}}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*Options){
		"rounds":  func(o *Options) { o.Rounds = 0 },
		"seconds": func(o *Options) { o.Window = time.Hour },
		"threads": func(o *Options) { o.Threads = 0 },
		"rate":    func(o *Options) { o.Rate = -1 },
		"calm":    func(o *Options) { o.Calm = -1 },
		"only":    func(o *Options) { o.Only = []string{"nonsense"} },
	} {
		o := good
		spoil(&o)
		if err := o.Check(); err == nil || !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("got %v; want an error about %s", err, want)
		}
	}
}

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
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	report, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range report.Results {
		if len(r.Rounds) != o.Rounds {
			t.Errorf("%s, %s, %s: %d rounds; want %d", r.Scenario, r.Load, r.Contender, len(r.Rounds), o.Rounds)
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
	for _, r := range report.Results {
		plausible(t, r)
		if s := r.Rounds[0]; r.Scenario == "paced" && (s.PerSecond < 350 || s.PerSecond > 650) {
			t.Errorf("%s at %s: %.0f queries per second; 500 were offered", r.Load, r.Contender, s.PerSecond)
		}
		if passes := r.Scenario == "tls-both" && r.Contender == floorName; passes != (r.Note != "") {
			t.Errorf("%s, %s, %s: the note %q", r.Scenario, r.Load, r.Contender, r.Note)
		}
	}
}

// TestContenders has each of them, with two threads, stand in front of a synthetic server of either
// protocol.
func TestContenders(t *testing.T) {
	o := smallOptions(t)
	o.Threads = 2
	o.Only = []string{"clients", "open", "rows", "syn-pg-32", "syn-pg-open", "syn-my-64k",
		"direct", "floor", "haproxy", "nginx", "pgbouncer", "sluice", "mine"}
	o.Variants = []Variant{{Name: "mine", Env: []string{"GOGC=50"}}}
	report, got := measured(t, o)
	want := []string{
		"clients/syn-pg-32: direct floor haproxy nginx pgbouncer sluice mine",
		"open/syn-pg-open: direct floor haproxy nginx pgbouncer sluice mine",
		"rows/syn-my-64k: direct floor haproxy nginx sluice mine"}
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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
	if p := r.report.Profiles; len(p) != 1 || p[0].Name != "clients-syn-pg-32" || !strings.Contains(p[0].Top, "linux.Syscall6") {
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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

// TestInCalm plays the shares of other programs that a machine might show.
func TestInCalm(t *testing.T) {
	busy := slices.Repeat([]float64{2}, calmTries)
	tests := []struct {
		name    string
		calm    float64
		shares  []float64
		want    float64 // share of the sample that counts
		retaken int
	}{
		{"calm at once", 0.5, []float64{0.4}, 0.4, 0},
		{"calm at the third try", 0.5, []float64{1.5, 0.6, 0.5}, 0.5, 2},
		{"never calm", 0.5, append(busy[1:], 3), 3, calmTries - 1},
		{"calm was not asked for", 0, []float64{2}, 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			taken := 0
			s, retaken, err := inCalm(tt.calm, func() (Sample, error) {
				taken++
				return Sample{ForeignShare: tt.shares[taken-1]}, nil
			})
			if err != nil || s.ForeignShare != tt.want || retaken != tt.retaken || taken != len(tt.shares) {
				t.Errorf("took %d samples, threw away %d, kept %v, %v", taken, retaken, s.ForeignShare, err)
			}
		})
	}
	failure := errors.New("broken")
	if _, _, err := inCalm(0.5, func() (Sample, error) { return Sample{ForeignShare: 2}, failure }); err != failure {
		t.Errorf("got %v; want the failure", err)
	}
}

// TestRunEndsEarly cancels a run in the middle; everything it started must be gone with it, which
// Run's return means.
func TestRunEndsEarly(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	stopAtFirst := writerFunc(func(p []byte) {
		if strings.Contains(string(p), "1/50") {
			cancel()
		}
	})
	report, err := Run(ctx, Options{Rounds: 50, Window: 100 * time.Millisecond, Threads: 1,
		Only: []string{"saturated", "pg-simple", "direct"}, Progress: stopAtFirst})
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

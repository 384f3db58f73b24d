package suite

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
			if l.Versus != "" && (!s.Alternate || !slices.Contains(s.Loads, l.Versus)) {
				t.Errorf("%s, %s: is compared with %s, which is not measured in the same rounds", s.Name, name, l.Versus)
			}
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
		for scenario := range c.Remarks {
			if lineups[scenario] == nil {
				t.Errorf("%s has a remark on %q, which is no scenario", c.Name, scenario)
			}
		}
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
		{"by protocol", Options{}, "saturated", "my-text", "direct floor haproxy sluice proxysql tiproxy"},
		{"a line of its own", Options{}, "saturated", "my-readwrite", "haproxy sluice proxysql tiproxy"},
		{"who ends TLS", Options{}, "tls-client", "pg-prepared", "pgbouncer sluice"},
		{"who ends or passes TLS", Options{}, "tls-both", "my-text", "haproxy sluice"},
		{"quick", Options{Quick: true, Only: nil}, "saturated", "my-text", "floor haproxy sluice proxysql tiproxy"},
		{"by name", Options{Only: []string{"nginx", "direct", "tiproxy"}}, "connect", "pg-connect", "direct nginx"},
		{"a funnel", Options{}, "funnel", "pg-funnel-simple", "direct pgbouncer sluice sluice-2 odyssey pg_doorman pgdog pgcat"},
		{"a funnel of many", Options{}, "funnel-clients", "syn-pg-funnel-5000", "pgbouncer sluice odyssey pg_doorman pgdog pgcat"},
		{"who can not share", Options{Only: []string{"haproxy", "floor", "sluice-2", "moves"}, Relays: []Relay{{Name: "moves"}}},
			"funnel", "pg-funnel-prepared", "sluice-2"},
		{"a variant of a funnel", Options{Variants: []Variant{{Name: "two"}}, Quick: true}, "funnel-clients", "syn-pg-funnel-512",
			"pgbouncer sluice odyssey pg_doorman pgdog pgcat two"},
		{"a variant", Options{Variants: []Variant{{Name: "two"}}, Quick: true}, "rows", "syn-my-1k", "haproxy sluice proxysql tiproxy two"},
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

// TestVersions: who is too old for prepared statements over shared server connections takes no part in
// loads with them, and the report says so.
func TestVersions(t *testing.T) {
	for said, want := range map[string]string{
		"PgBouncer 1.18.0": "simple extended", "PgBouncer 1.21.0": "simple extended prepared",
		"PgBouncer 2.0": "simple extended prepared", "no idea": "simple extended"} {
		program := filepath.Join(t.TempDir(), "pgbouncer")
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho "+said+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		r := &run{Options: Options{Only: []string{"funnel", pgbouncerName}, Programs: map[string]string{pgbouncerName: program}},
			look: lookNowhere, programs: map[string]string{}, report: &Report{}}
		list, err := r.contenders(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range r.cells() {
			kind, real := strings.CutPrefix(c.Load.Name, "pg-funnel-")
			if real && len(r.lineup(c, list)) > 0 {
				got = append(got, kind)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: takes part in %q; want %s", said, got, want)
		}
		noted := slices.ContainsFunc(r.report.Notes, func(note string) bool { return strings.HasPrefix(note, said+" knows no prepared statements") })
		if old := !strings.Contains(want, "prepared"); noted != old {
			t.Errorf("%s: the notes are %q", said, r.report.Notes)
		}
	}
}

func lookNowhere(name string, _ ...string) (string, error) {
	return "", errors.New("not to be looked for: " + name)
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

package publish

import (
	"cmp"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/bench/internal/suite"
)

var update = flag.Bool("update", false, "write the files in testdata anew; look at them before they are kept")

// TestBlock compares what is made of a known run with what was last looked at.
func TestBlock(t *testing.T) {
	file := filepath.Join("testdata", "block.md")
	got := (&Run{Report: wholeRun()}).Block("bench/results/2026-11-22-abc")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: run with -update and look at the change. Got:\n%s", file, got)
	}
}

func TestVerdict(t *testing.T) {
	ratio := target{figure: cpu, against: haproxy, limit: 1.1}
	least := target{figure: perSecond, against: haproxy, limit: 0.95, atLeast: true}
	size := target{figure: resident, limit: 8192}
	of := target{figure: perSecond, of: sluiceTwo, against: pgbouncer, limit: 1.1, atLeast: true}
	fewer := target{figure: perSecond, fewer: true, limit: 0.9, atLeast: true}
	tests := []struct {
		name   string
		t      target
		median float64
		rounds int
		want   string
		counts bool
	}{
		{"below", ratio, 1.0, 5, "1.00 (0.90–1.25) ✓ met", true},
		{"at the limit", ratio, 1.1, 5, "1.10 (0.99–1.38) ✓ met", true},
		{"above", ratio, 1.2, 5, "1.20 (1.08–1.50) **missed**", false},
		{"above by less than is shown", ratio, 1.1004, 5, "1.1004 (0.9904–1.3755) **missed**", false},
		{"few rounds", ratio, 1.0, 3, "1.00 (0.90–1.25) ✓ met, in 3 of 5 rounds", false},
		{"enough", least, 1.0, 5, "1.00 (0.90–1.25) ✓ met", true},
		{"too little", least, 0.9, 5, "0.90 (0.81–1.12) **missed**", false},
		{"too little by less than is shown", least, 0.949, 5, "0.949 (0.854–1.186) **missed**", false},
		{"memory in one round", size, 4000, 1, "4000 ✓ met", true},
		{"memory in two rounds", size, 4000, 2, "4000 (3600–5000) ✓ met", true},
		{"memory above by less than is shown", size, 8192.4, 1, "8192.4 **missed**", false},
		{"of two loops", of, 1.2, 5, "1.20 (1.08–1.50) ✓ met", true},
		{"of two loops, too little", of, 1.05, 5, "1.05 (0.95–1.31) **missed**", false},
		{"beside fewer clients", fewer, 0.95, 5, "0.95 (0.85–1.19) ✓ met", true},
		{"beside fewer clients, few rounds", fewer, 0.95, 1, "0.95 ✓ met, in 1 of 5 rounds", false},
		{"nobody took it", ratio, 0, 5, "not measured", false},
	}
	for _, tt := range tests {
		r := &suite.Report{}
		name := tt.t.figure
		if tt.t.against != "" {
			name += "/" + tt.t.against
		}
		if tt.t.fewer {
			name += "/less"
		}
		add(r, "s", "l", "query", cmp.Or(tt.t.of, sluice), tt.rounds, map[string]float64{name: tt.median}).Versus = "less"
		v := (&Run{Report: r}).judge(tt.t, "s", "l")
		if got := v.text(); got != tt.want {
			t.Errorf("%s: got %q; want %q", tt.name, got, tt.want)
		}
		if got := v.met() && v.decided(); got != tt.counts {
			t.Errorf("%s: counts as met: %t", tt.name, got)
		}
	}
}

// TestFiguresAreTheSuites: a target on a figure that no sample has could never be met.
func TestFiguresAreTheSuites(t *testing.T) {
	var names []string
	sample := reflect.TypeFor[suite.Sample]()
	for i := range sample.NumField() {
		name, _, _ := strings.Cut(sample.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	for _, figure := range []string{perSecond, cpu, p50, p99, p999, voluntary, resident, heapScan} {
		if !slices.Contains(names, figure) {
			t.Errorf("samples have no %s but %v", figure, names)
		}
	}
}

// TestNamesAreTheSuites: what is looked for in a report is what the suite calls by that name.
func TestNamesAreTheSuites(t *testing.T) {
	names := slices.Concat(slices.Collect(maps.Keys(scenarioNames)), slices.Collect(maps.Keys(loadNames)),
		slices.Collect(maps.Keys(contenderNames)), slices.Collect(maps.Keys(counted)))
	for _, l := range lines {
		names = append(append(names, l.scenario), l.loads...)
		for _, c := range l.shown {
			names = append(names, c.contenders...)
		}
		for _, t := range l.targets {
			if t.against != "" {
				names = append(names, t.against)
			}
		}
	}
	for _, name := range names {
		o := suite.Defaults(false)
		o.Only = []string{name}
		if err := o.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestNewest takes the newest of the whole runs, and no newer one that looked at less.
func TestNewest(t *testing.T) {
	results := t.TempDir()
	if run, err := Newest(results); run != nil || err != nil {
		t.Fatalf("of nothing: %v, %v", run, err)
	}
	for name, date := range map[string]string{"a": "2026-11-25T00:00:00Z", "b": "2026-11-24T00:00:00Z"} {
		r := wholeRun()
		r.Date = date
		save(t, results, name, r)
	}
	part := wholeRun()
	part.Date = "2026-11-26T00:00:00Z"
	part.Results = slices.DeleteFunc(part.Results, func(res *suite.Result) bool { return res.Scenario == "bulk" })
	save(t, results, "c", part)
	run, err := Newest(results)
	if err != nil || filepath.Base(run.Dir) != "a" {
		t.Fatalf("got %v, %v; want the run in a", run, err)
	}
	if err := os.WriteFile(filepath.Join(results, "a", reportFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Newest(results); err == nil {
		t.Error("a report that can't be read is passed over in silence")
	}
}

// TestOlderRuns: a run from before there were funnels is whole without them, and shows none; a newer one
// lacks something.
func TestOlderRuns(t *testing.T) {
	run := &Run{Report: wholeRun()}
	run.Report.Results = slices.DeleteFunc(run.Report.Results, func(res *suite.Result) bool { return strings.HasPrefix(res.Scenario, "funnel") })
	if got := run.missing(); !slices.Equal(got, []string{"funnel", "funnel-clients", funnelIdle}) {
		t.Errorf("lacks %q", got)
	}
	_, of := run.count()
	run.Report.Date = "2026-11-22T04:00:00Z"
	if _, less := run.count(); !run.Whole() || less != of-9-2-1 || strings.Contains(run.Block("."), "server connections\n") {
		t.Errorf("lacks %q; %d targets of %d; shows:\n%s", run.missing(), less, of, run.Block("."))
	}
}

func TestLoadLimit(t *testing.T) {
	file := filepath.Join(t.TempDir(), reportFile)
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, reportSizeMax+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a report of %d bytes: %v", reportSizeMax+1, err)
	}
}

// TestWriteReadme puts a run between the marks, then another, and leaves the rest alone.
func TestWriteReadme(t *testing.T) {
	top := t.TempDir()
	readme := filepath.Join(top, "README.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := save(t, filepath.Join(top, "bench", "results"), "x", wholeRun())
	write("# Head\n" + markBegin + "old\n" + markEnd + "Foot")
	for range 2 {
		if err := run.WriteReadme(readme); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(readme)
		if want := "# Head\n" + markBegin + run.Block("bench/results/x") + markEnd + "Foot"; err != nil || string(text) != want {
			t.Fatalf("%v, got:\n%s\nwant:\n%s", err, text, want)
		}
	}
	for _, text := range []string{"", markBegin, markEnd + markBegin, markBegin + markBegin + markEnd, markBegin + markEnd + markEnd} {
		write(text)
		if err := run.WriteReadme(readme); !errors.Is(err, errMarks) {
			t.Errorf("marks %q: %v", text, err)
		}
	}
	run.Report.Results = run.Report.Results[:3]
	if err := run.WriteReadme(readme); err == nil || !strings.Contains(err.Error(), "paced, bulk, connect, idle, funnel, funnel-clients, funnel-idle") {
		t.Errorf("a part of a run: %v; want the names of what it lacks", err)
	}
}

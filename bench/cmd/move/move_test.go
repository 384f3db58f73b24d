package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMove measures little, of all kinds, and holds the table to limits that a slow machine keeps too.
func TestMove(t *testing.T) {
	sluice := filepath.Join(t.TempDir(), "sluice")
	build := exec.Command("go", "build", "-C", "../../..", "-o", sluice, "./cmd/sluice")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Chdir("../..") // where the program is run
	var out strings.Builder
	results := t.TempDir()
	if err := run(t.Context(), []string{"-sluice", sluice, "-sessions", "40", "-busy", "1,2", "-rounds", "2", "-out", results}, &out); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &out)
	files, err := filepath.Glob(filepath.Join(results, "*-move", "report.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("reports %q: %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil || r.Machine.Commit == "" {
		t.Fatalf("of commit %q: %v", r.Machine.Commit, err)
	}
	if len(r.Results) != len(kinds) {
		t.Fatalf("%d kinds of servers, want %d", len(r.Results), len(kinds))
	}
	for _, one := range r.Results {
		one.plausible(t)
		for _, table := range []string{"| %s | 40 |", "| %s | 1 | 2 |", "| %s | 2 | 4 |"} {
			if row := fmt.Sprintf(table, one.Servers); !strings.Contains(out.String(), row) {
				t.Errorf("no row %q", row)
			}
		}
	}
}

// plausible holds figures to limits that a slow machine keeps too.
func (r result) plausible(t *testing.T) {
	if len(r.Leaving) != 2 || len(r.Working) != 4 {
		t.Errorf("%s: %d times left, %d worked", r.Servers, len(r.Leaving), len(r.Working))
	}
	for _, l := range r.Leaving {
		if l.Seconds <= 0 || l.Seconds > patience.Seconds() || l.ServersCPU <= 0 || l.SluiceCPU <= 0 || l.Foreign < 0 || l.Foreign > 1.1 {
			t.Errorf("%s: 40 sessions leave: %+v", r.Servers, l)
		}
	}
	for _, w := range r.Working {
		if len(w.PausesMS) != w.Clients || slices.Min(w.PausesMS) <= 0 || w.Others.Answers < w.Clients*(warmUp+coolDown) ||
			w.Others.P50 <= 0 || w.Others.P99 < w.Others.P50 || w.Others.Worst < w.Others.P99 || w.Ratio <= 0 {
			t.Errorf("%s: clients work: %+v", r.Servers, w)
		}
	}
}

// TestQuantile holds the figures' rule.
func TestQuantile(t *testing.T) {
	all := []float64{5, 1, 4, 2, 3}
	for percent, want := range map[int]float64{0: 1, 50: 3, 99: 5, 100: 5} {
		if got := quantile(all, percent); got != want {
			t.Errorf("quantile %d is %v, want %v", percent, got, want)
		}
	}
	if got := quantile(nil, 50); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
}

// TestParse turns away what can't be measured.
func TestParse(t *testing.T) {
	for _, args := range []string{"-servers oracle", "-sessions 0", "-busy 0", "-busy 8,x", "-rounds 0"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

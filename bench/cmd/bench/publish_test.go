package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bench/internal/suite"
)

// TestPublish puts a run into a README, with the flag behind the report and before it, and then only
// draws its charts.
func TestPublish(t *testing.T) {
	top := t.TempDir()
	readme, report := filepath.Join(top, "README.md"), filepath.Join(top, "results", "x", "report.json")
	r := &suite.Report{Date: "2026-11-22T01:02:03Z", Machine: suite.Machine{Commit: "abc"}}
	for _, scenario := range []string{"saturated", "paced", "bulk", "connect", "idle"} {
		r.Results = append(r.Results, &suite.Result{Scenario: scenario, Load: "pg-simple", Unit: "query", Contender: "sluice",
			Rounds: make([]suite.Sample, 5), Summary: map[string]suite.Spread{"cpu_us_per_query": {Median: 12, Min: 11, Max: 13}}})
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(report), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(report, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{report, "-readme", readme}, {"-readme", readme, report}, {report, "-readme", ""}} {
		const before = "<!-- bench:begin -->\n<!-- bench:end -->\n"
		if err := os.WriteFile(readme, []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		chart := filepath.Join(filepath.Dir(report), "saturated-cpu.svg")
		_ = os.Remove(chart) // left by the turn before
		if err := run(context.Background(), append([]string{"publish"}, args...)); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		text, err := os.ReadFile(readme)
		if err != nil {
			t.Fatal(err)
		}
		shown := strings.Contains(string(text), "(results/x/saturated-cpu.svg)")
		if wanted := args[len(args)-1] != ""; shown != wanted || !wanted && string(text) != before {
			t.Errorf("%v: the README is\n%s", args, text)
		}
		if _, err := os.Stat(chart); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"wants the report.json": {"publish"},
		"of one run":            {"publish", "a/report.json", "b/report.json"},
		"report.json of":        {"publish", "results/2026-11-22-abc.json"},
		"no such file":          {"publish", filepath.Join(t.TempDir(), "report.json")},
		"flag provided":         {"publish", "-nonsense"},
	} {
		if err := run(context.Background(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v; want %q", args, err, want)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/bench/internal/suite"
)

// TestWriteKeepsEarlierReports writes two reports of one day and commit.
func TestWriteKeepsEarlierReports(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	for _, note := range []string{"the first", "the second"} {
		r := &suite.Report{Date: "2026-11-22T01:02:03Z", Machine: suite.Machine{Commit: "abc"}, Notes: []string{note}}
		if err := write(r, dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, note := range map[string]string{"2026-11-22-abc": "the first", "2026-11-22-abc-2": "the second"} {
		text, err := os.ReadFile(filepath.Join(dir, name+".md"))
		if err != nil || !strings.Contains(string(text), note) {
			t.Errorf("%s.md: %v; want %q in it:\n%s", name, err, note, text)
		}
		var back suite.Report
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &back); err != nil || len(back.Notes) != 1 || back.Notes[0] != note {
			t.Errorf("%s.json: %v, %v", name, back.Notes, err)
		}
	}
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		`unexpected argument "now"`: {"now"},
		"only:":                     {"-only", "nonsense"},
		"rounds:":                   {"-rounds", "-1"},
		"calm:":                     {"-calm", "-1"},
		"variant":                   {"-variant", "nameless"},
	} {
		if err := run(context.Background(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v; want %q", args, err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, quick := range []bool{false, true} {
		o, seconds, out := suite.Options{Quick: quick}, 0.0, ""
		fillDefaults(&o, &seconds, &out)
		want := suite.Options{Quick: quick, Rounds: roundsFull, Window: 3500 * time.Millisecond}
		wantOut := outFull
		if quick {
			want.Rounds, want.Window, wantOut = roundsQuick, 500*time.Millisecond, outQuick
		}
		if o.Rounds != want.Rounds || o.Window != want.Window || out != wantOut {
			t.Errorf("quick %t: %d rounds of %v into %s", quick, o.Rounds, o.Window, out)
		}
	}
	o, seconds, out := suite.Options{Rounds: 9}, 1.5, "here"
	if fillDefaults(&o, &seconds, &out); o.Rounds != 9 || o.Window != 1500*time.Millisecond || out != "here" {
		t.Errorf("given values were changed: %d rounds of %v into %s", o.Rounds, o.Window, out)
	}
}

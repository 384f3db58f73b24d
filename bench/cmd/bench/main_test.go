package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bench/internal/suite"
	"sluice/bench/internal/synth"
)

// TestMain lets this program be the synthetic servers and clients that a run starts.
func TestMain(m *testing.M) {
	synth.RunAsChild()
	os.Exit(m.Run())
}

// TestWriteKeepsEarlierReports writes two reports of one day and commit.
func TestWriteKeepsEarlierReports(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	for _, note := range []string{"the first", "the second"} {
		r := &suite.Report{Date: "2026-11-22T01:02:03Z", Machine: suite.Machine{Commit: "abc"}, Notes: []string{note},
			Profiles: []suite.Profile{{Name: "paced-pg-simple", Top: "flat " + note, Sched: "delay " + note}, {Name: "without"}}}
		if err := write(r, dir, false); err != nil {
			t.Fatal(err)
		}
	}
	for name, note := range map[string]string{"2026-11-22-abc": "the first", "2026-11-22-abc-2": "the second"} {
		for _, file := range []string{"report.md", "profiles/paced-pg-simple.txt", "profiles/paced-pg-simple.sched.txt"} {
			text, err := os.ReadFile(filepath.Join(dir, name, file))
			if err != nil || !strings.Contains(string(text), note) {
				t.Errorf("%s/%s: %v; want %q in it:\n%s", name, file, err, note, text)
			}
		}
		var back suite.Report
		data, err := os.ReadFile(filepath.Join(dir, name, "report.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &back); err != nil || len(back.Notes) != 1 || back.Notes[0] != note {
			t.Errorf("%s: %v, %v", name, back.Notes, err)
		}
	}
}

// TestWriteKeepsSmallProfiles: one stands beside the report, and one that is too large does not.
func TestWriteKeepsSmallProfiles(t *testing.T) {
	from, dir := t.TempDir(), t.TempDir()
	r := &suite.Report{Date: "2026-11-22T01:02:03Z", Machine: suite.Machine{Commit: "abc"}}
	for name, size := range map[string]int{"small": profileMax, "large": profileMax + 1} {
		p := suite.Profile{Name: name, CPU: filepath.Join(from, name+".cpu.pprof")}
		if err := os.WriteFile(p.CPU, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		r.Profiles = append(r.Profiles, p)
	}
	if err := write(r, dir, true); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadDir(filepath.Join(dir, "2026-11-22-abc", "profiles"))
	if err != nil || len(kept) != 1 || kept[0].Name() != "small.cpu.pprof" {
		t.Errorf("kept %v, %v", kept, err)
	}
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		`unexpected argument "now"`: {"now"},
		"only:":                     {"-only", "nonsense"},
		"rounds:":                   {"-rounds", "-1"},
		"calm:":                     {"-calm", "-1"},
		"variant":                   {"-variant", "nameless"},
		"contender":                 {"-contender", "nobody=here"},
		`relay "nameless"`:          {"-relay", "nameless"},
	} {
		if err := run(context.Background(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v; want %q", args, err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	tests := []struct {
		args, want string
	}{
		{"", "5 rounds of 1.7s, 1 threads, into results, profiles out/profiles"},
		{"-quick", "3 rounds of 700ms, 1 threads, into out, profiles "},
		{"-quick -profiles here", "3 rounds of 700ms, 1 threads, into out, profiles here"},
		{"-rounds 9 -seconds 1.5 -threads 2 -out there -profiles none", "9 rounds of 1.5s, 2 threads, into there, profiles "},
	}
	for _, tt := range tests {
		c, err := parse(strings.Fields(tt.args))
		got := fmt.Sprintf("%d rounds of %v, %d threads, into %s, profiles %s", c.Rounds, c.Window, c.Threads, c.out, c.Profiles)
		if err != nil || got != tt.want {
			t.Errorf("%q: got %s, %v; want %s", tt.args, got, err, tt.want)
		}
	}
	c, err := parse([]string{"-contender", "pgdog=/opt/pgdog", "-contender", "pgcat=/opt/pgcat"})
	if err != nil || c.Programs["pgdog"] != "/opt/pgdog" || c.Programs["pgcat"] != "/opt/pgcat" {
		t.Errorf("got %v, %v", c.Programs, err)
	}
}

package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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
	if err := run(context.Background(), []string{"-sluice", sluice, "-sessions", "40", "-busy", "2", "-rounds", "2"}, &out); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &out)
	row := regexp.MustCompile(`(?m)^\| (tidb|mariadb|postgres) +\| +40 \| +([0-9.]+) s \| +([0-9.]+) s \| +[0-9.]+ ms \| +[0-9.]+ ms \| +([0-9.]+) ms \|`)
	rows := row.FindAllStringSubmatch(out.String(), -1)
	if len(rows) != len(kinds) {
		t.Fatalf("%d rows, want %d", len(rows), len(kinds))
	}
	for _, r := range rows {
		left, err := time.ParseDuration(r[3] + "s")
		if err != nil || left <= 0 || left > time.Minute {
			t.Errorf("%s: 40 sessions left within %v (%v)", r[1], left, err)
		}
		pause, err := time.ParseDuration(r[4] + "ms")
		if err != nil || pause <= 0 || pause > 10*time.Second {
			t.Errorf("%s: a busy client had to wait for %v (%v)", r[1], pause, err)
		}
	}
	if got := strings.Count(out.String(), "4 pauses"); got != len(kinds) {
		t.Errorf("%d kinds had all their pauses measured, want %d", got, len(kinds))
	}
}

// TestQuantile holds the figures' rule.
func TestQuantile(t *testing.T) {
	all := []time.Duration{5, 1, 4, 2, 3}
	for percent, want := range map[int]time.Duration{0: 1, 50: 3, 99: 5, 100: 5} {
		if got := quantile(all, percent); got != want {
			t.Errorf("quantile %d is %d, want %d", percent, got, want)
		}
	}
	if got := quantile(nil, 50); got != 0 {
		t.Errorf("of nothing it is %d", got)
	}
}

// TestParse turns away what can't be measured.
func TestParse(t *testing.T) {
	for _, args := range []string{"-servers oracle", "-sessions 0", "-busy 0", "-rounds 0"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

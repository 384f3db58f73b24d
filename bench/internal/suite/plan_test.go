package suite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// standing is who takes part when no guest is there.
func standing() []Contender {
	return slices.DeleteFunc(slices.Clone(contenders), func(c Contender) bool { return c.Guest })
}

// TestPlansEndInTime: the run that make bench starts stays below half an hour by its own estimate, and
// the quick one below four minutes, with some room for a machine that is slower than expected.
func TestPlansEndInTime(t *testing.T) {
	for _, tt := range []struct {
		quick bool
		most  time.Duration
	}{{false, 27*time.Minute + 30*time.Second}, {true, 230 * time.Second}} {
		o := Defaults(tt.quick)
		o.Profiles = "somewhere"
		p := o.plan(standing())
		t.Logf("quick %t:\n%s", tt.quick, p)
		if p.takes > tt.most || p.takes < tt.most/2 {
			t.Errorf("quick %t: %v; want at most %v, and no less than half of it", tt.quick, p.takes, tt.most)
		}
	}
}

// TestRoundsOfTargets: what the targets are judged by is measured five times, funnels seven times; few
// clients beside many, which is the ratio of two loads, ten times.
func TestRoundsOfTargets(t *testing.T) {
	judged := map[string]int{"saturated": 5, "paced": 5, "connect": 5, "bulk": 5, "funnel": 7, "funnel-clients": 10}
	o := Defaults(false)
	for _, c := range o.cells() {
		if rounds := o.rounds(c); rounds < judged[c.Scenario.Name] {
			t.Errorf("%s, %s: %d rounds", c.Scenario.Name, c.Load.Name, rounds)
		}
	}
}

// TestPlanAddsUp counts a small plan by hand: two rounds of three contenders under one load, and one
// profile.
func TestPlanAddsUp(t *testing.T) {
	o := Options{Rounds: 2, Window: time.Second, Threads: 1, Profiles: "somewhere",
		Only: []string{"saturated", "pg-simple", "direct", "floor", "sluice"}}
	p := o.plan(contenders)
	const sample = 3*time.Second + 250*time.Millisecond  // 1 + 1 + 0.3 to whole seconds, and its start
	const profile = 5*time.Second + 250*time.Millisecond // 1 + 3 + 0.3
	want := buildTakes + realServerTakes + 3*contenderTakes + 6*sample + profile
	if p.samples != 6 || p.takes != want || !strings.Contains(p.String(), "saturated         6 samples      25s") {
		t.Errorf("got %v, want %v:\n%s", p.takes, want, p)
	}
}

// TestGroups: loads that are compared with each other are measured in the same rounds, others one after
// the other; and contenders are set up for all clients.
func TestGroups(t *testing.T) {
	o := Options{Only: []string{"saturated", "funnel-clients", "pg-simple", "pg-extended", "syn-pg-funnel-512", "syn-pg-funnel-5000",
		"syn-pg-funnel-prepared-512", "syn-pg-funnel-prepared-5000"}}
	var got []string
	for _, s := range o.stages() {
		for _, g := range s.groups() {
			got = append(got, fmt.Sprintf("%s for %d", names(g), s.clients()))
		}
	}
	want := []string{"saturated/pg-simple for 1000", "saturated/pg-extended for 1000", "funnel-clients/syn-pg-funnel-512 funnel-clients/syn-pg-funnel-5000 for 5500",
		"funnel-clients/syn-pg-funnel-prepared-512 funnel-clients/syn-pg-funnel-prepared-5000 for 5500"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

// TestTurns: what is compared is measured one right after the other, and neither a contender nor a load
// always comes first.
func TestTurns(t *testing.T) {
	var works []*work
	for _, load := range []string{"few", "many"} {
		w := &work{cell: cell{Load: Load{Name: load}}}
		for _, x := range []string{"a", "b"} {
			w.entrants = append(w.entrants, &entrant{Contender: Contender{Name: x}})
		}
		works = append(works, w)
	}
	works[0].entrants = append(works[0].entrants, &entrant{Contender: Contender{Name: "c"}})
	for round, want := range []string{"a few, a many, b few, b many, c few", "b many, b few, c few, a many, a few",
		"c few, a few, a many, b few, b many"} {
		var got []string
		for _, t := range turnsOf(works, round) {
			got = append(got, t.entrants[t.i].Name+" "+t.Load.Name)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("round %d: %q; want %q", round, got, want)
		}
	}
}

func TestPace(t *testing.T) {
	for window, want := range map[time.Duration]time.Duration{
		700 * time.Millisecond: 2 * time.Second, 701 * time.Millisecond: 3 * time.Second, 1700 * time.Millisecond: 3 * time.Second} {
		if got := wholeSecond.lasts(window); got != want {
			t.Errorf("%v: got %v; want %v", window, got, want)
		}
	}
	if got := fraction.lasts(101 * time.Millisecond); got != 460*time.Millisecond {
		t.Errorf("got %v; want 460ms", got)
	}
}

// TestStages: each server is started once, and plain connections come before encrypted ones.
func TestStages(t *testing.T) {
	o := Options{Only: []string{"saturated", "tls-both", "tls-client", "idle", "funnel", "funnel-clients", "pg-simple", "pg-prepared", "pg-funnel-simple",
		"pg-funnel-prepared", "syn-pg-funnel-512", "syn-pg-idle"}}
	var got []string
	for _, s := range o.stages() {
		name := strings.TrimSpace(s.backend.String() + " " + string(s.sides))
		if s.pool > 0 {
			name += fmt.Sprintf(" over %d", s.pool)
		}
		got = append(got, name+": "+names(s.cells))
	}
	want := []string{"postgres: saturated/pg-simple saturated/pg-prepared", "postgres client: tls-client/pg-prepared",
		"postgres both: tls-both/pg-prepared", "postgres over 20: funnel/pg-funnel-simple funnel/pg-funnel-prepared",
		"synthetic postgres: idle/syn-pg-idle", "synthetic postgres over 20: funnel-clients/syn-pg-funnel-512"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

package suite

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestSpreadOf(t *testing.T) {
	tests := []struct {
		of   []float64
		want Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{5, 1, 3}, Spread{3, 1, 5}},
		{[]float64{4, 1, 3, 2}, Spread{2.5, 1, 4}},
	}
	for _, tt := range tests {
		if got := SpreadOf(tt.of); got != tt.want {
			t.Errorf("of %v: got %v; want %v", tt.of, got, tt.want)
		}
	}
	if s := SpreadOf(nil); s.Known() {
		t.Errorf("of nothing: %v", s)
	}
	text, err := json.Marshal([]Spread{SpreadOf(nil), {1, 0, 2}})
	if err != nil || string(text) != `[null,{"median":1,"min":0,"max":2}]` {
		t.Errorf("got %s, %v", text, err)
	}
}

// TestRatios: the median of ratios is not the ratio of medians; a slow second round cancels out.
func TestRatios(t *testing.T) {
	got := ratios([]float64{10, 40, 12}, []float64{5, 20, 4})
	if s := SpreadOf(got); s != (Spread{2, 2, 3}) {
		t.Errorf("got %v of %v", s, got)
	}
	if got := ratios([]float64{1, 0, 8}, []float64{0, 1, 2}); len(got) != 1 || got[0] != 4 {
		t.Errorf("with nothing on one side: %v; want [4]", got)
	}
}

// sampleReport is a run of two rounds with known figures.
func sampleReport() *Report {
	rounds := func(cpu ...float64) []Sample {
		var out []Sample
		for _, c := range cpu {
			out = append(out, Sample{PerSecond: 1000, P50: 1, P99: 2, P999: 3, CPU: c, User: c / 10, System: c * 0.9,
				AllCPU: 50, Switches: 1.5, Voluntary: 1, Forced: 0.5, Resident: 3 << 20, ForeignShare: 0.1})
		}
		return out
	}
	r := &Report{Date: "2026-11-22T01:02:03Z", Machine: Machine{CPU: "A CPU", Cores: 2, Kernel: "6.1", Commit: "abc"},
		Settings: Settings{Rounds: 2, Seconds: 1, Threads: 1, Calm: 0.25}, Retaken: 4, Restless: 1, TookSeconds: 90, Notes: []string{"A note."},
		Results: []*Result{
			{Scenario: "paced", Load: "pg-simple", Unit: "query", Rate: 333, Clients: 32, Contender: "direct", Rounds: rounds(0, 0)},
			{Scenario: "paced", Load: "pg-simple", Unit: "query", Rate: 333, Clients: 32, Contender: floorName, Note: "Of one.", Rounds: rounds(10, 20)},
			{Scenario: "paced", Load: "pg-simple", Unit: "query", Rate: 333, Clients: 32, Contender: sluiceName, Rounds: rounds(12, 22)},
			{Scenario: "idle", Load: "syn-pg-idle", Unit: unitClient, Clients: 100, Contender: haproxyName, Note: "Of all.",
				Rounds: []Sample{{Resident: 5 << 20, ResidentEach: 2048}}},
			{Scenario: "idle", Load: "syn-pg-idle", Unit: unitClient, Clients: 100, Contender: sluiceName, Note: "Of all.",
				Rounds: []Sample{{Resident: 6 << 20, ResidentEach: 4096, HeapEach: 3072, HeapScanEach: 1024}}},
		}}
	r.sum()
	return r
}

func TestMarkdown(t *testing.T) {
	got := sampleReport().Markdown()
	for _, want := range []string{
		"# Benchmark of 2026-11-22 at abc\n", "A CPU, 2 cores", "2 rounds of 1 s each, of 0.4 s and often fewer", "A note.",
		"more than 0.25 of a core were taken again: 4 were thrown away, 1 had to stay in.", "## paced\n", "### pg-simple, 32 clients, 333 per second offered",
		"| contender | queries/s |",
		"| direct | 1000 (1000–1000) | 1 | 2 (2–2) | 3 (3–3) |  |  |  |  |  | 50.0 (50.0–50.0) |  | 10 % |\n",
		"| sluice | 1000 (1000–1000) | 1 | 2 (2–2) | 3 (3–3) | 17.00 (12.00–22.00) | 1.7 + 15.3 | 1.15 (1.10–1.20) |  | 1.00 + 0.50 | 50.0 (50.0–50.0) | 3.0 | 10 % |\n",
		"\nfloor: Of one.\n", "## idle\n", "### syn-pg-idle, 100 clients\n", "\nOf all.\n", " 2 minutes in all.",
		"| contender | resident KiB/client | Go heap KiB/client |",
		"| haproxy | 2.00 (2.00–2.00) |  |  | 5.0 (5.0–5.0) |\n",
		"| sluice | 4.00 (4.00–4.00) | 3.00 (3.00–3.00) | 1.00 (1.00–1.00) | 6.0 (6.0–6.0) |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "## saturated") {
		t.Error("the report has a scenario that was not run")
	}
}

func TestReportAsJSON(t *testing.T) {
	text, err := json.Marshal(sampleReport())
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Results []struct {
			Contender string
			Rounds    []map[string]float64
			Summary   map[string]Spread
		}
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	sluice := back.Results[2]
	if len(sluice.Rounds) != 2 || sluice.Rounds[1]["cpu_us_per_query"] != 22 {
		t.Errorf("rounds: %v", sluice.Rounds)
	}
	if r := sluice.Summary["cpu_us_per_query/floor"].Median; math.Abs(r-1.15) > 1e-9 {
		t.Errorf("ratio to the floor: %v; want 1.15", r)
	}
	for _, f := range figures {
		if _, ok := sluice.Rounds[0][f.name]; !ok {
			t.Errorf("a sample has no %q: the summary's names are those of the samples", f.name)
		}
	}
}

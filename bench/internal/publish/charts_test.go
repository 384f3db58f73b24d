package publish

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/bench/internal/suite"
)

// TestCharts: each scenario has the charts that suit it, with its figures in the words of the chart.
func TestCharts(t *testing.T) {
	want := []struct {
		file string
		says []string // in its description
	}{
		{"saturated-cpu.svg", []string{"µs of the proxy's CPU per query.", "PostgreSQL, simple: haproxy 15.0 (13.5 to 18.8), sluice 14.5"}},
		{"saturated-latency.svg", []string{"direct p50 0.400 (0.360 to 0.500) p99 1.10", "sluice p50 0.500", "p99.9 3.00"}},
		{"saturated-rate.svg", []string{"queries per second.", "direct 40.0k", "sluice 31.0k"}},
		{"paced-cpu.svg", nil},
		{"paced-latency.svg", nil},
		{"bulk-cpu.svg", []string{"CPU per MiB", "sluice 200"}},
		{"bulk-latency.svg", []string{"p99 31.0"}},
		{"bulk-rate.svg", []string{"MiB per second.", "sluice 1440"}},
		{"connect-cpu.svg", nil},
		{"connect-rate.svg", []string{"sessions per second.", "haproxy 900"}},
		{"clients.svg", []string{"PostgreSQL: queries per second: sluice at 1: 30.0k", "at 512: 35.1k"}},
		{"pipeline.svg", []string{"MySQL: µs of the proxy's CPU per query: sluice at 1: 12.0", "at 8: 12.0"}},
		{"tls-both-cpu.svg", []string{"sluice 34.0 (30.6 to 42.5). haproxy: Passes TLS through.</desc>"}},
		{"rows-cpu.svg", []string{"(108 to 150). Of all.</desc>"}},
		{"idle-memory.svg", []string{"KiB per client", "haproxy 32.2", "sluice 4.00"}},
		{"funnel-cpu.svg", []string{"pgbouncer 20.0", "sluice 19.0", "sluice-2 24.0"}},
		{"funnel-latency.svg", nil},
		{"funnel-rate.svg", []string{"sluice-2 22.4k"}},
		{"funnel-clients-cpu.svg", []string{"5,000 clients"}},
		{"funnel-clients-rate.svg", nil},
		{"funnel-idle-memory.svg", []string{"sluice 2.93"}},
	}
	got := Charts(wholeRun())
	var files []string
	for _, c := range got {
		files = append(files, c.File)
	}
	var wanted []string
	for _, w := range want {
		wanted = append(wanted, w.file)
	}
	if !slices.Equal(files, wanted) {
		t.Fatalf("got %v; want %v", files, wanted)
	}
	for i, w := range want {
		svg := strings.ReplaceAll(string(got[i].SVG), "&#39;", "'")
		for _, text := range w.says {
			if !strings.Contains(svg, text) {
				t.Errorf("%s does not say %q:\n%s", w.file, text, svg)
			}
		}
		if !strings.Contains(svg, "<title id=\"title\">"+got[i].Title+"</title>") {
			t.Errorf("%s is not titled %q", w.file, got[i].Title)
		}
	}
	if none := Charts(&suite.Report{Results: []*suite.Result{{Scenario: "saturated"}}}); none != nil {
		t.Errorf("of a result without rounds: %v", none)
	}
}

func TestWriteCharts(t *testing.T) {
	dir := t.TempDir()
	r := wholeRun()
	if err := WriteCharts(r, dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range Charts(r) {
		text, err := os.ReadFile(filepath.Join(dir, c.File))
		if err != nil || string(text) != string(c.SVG) {
			t.Errorf("%s: %v, or another text", c.File, err)
		}
	}
	if err := WriteCharts(r, filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there passes")
	}
}

package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Markdown writes the report for people.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark of %s at %s\n\n", r.Date[:min(len(r.Date), 10)], r.Machine.Commit)
	fmt.Fprintf(&b, "%s, %d cores, Linux %s. %d rounds of %g s each; HAProxy with %d thread(s), Sluice with as many loops.\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Settings.Rounds, r.Settings.Seconds, r.Settings.Threads)
	for _, name := range slices.Sorted(maps.Keys(r.Machine.Versions)) {
		fmt.Fprintf(&b, "- %s: %s\n", name, r.Machine.Versions[name])
	}
	for _, about := range r.Settings.About {
		fmt.Fprintf(&b, "- %s\n", about)
	}
	b.WriteString("\nEach figure is the median over the rounds, with the least and the most behind it. Ratios are those of the\n" +
		"contender's own CPU per query, taken within each round. What the columns mean is told in bench/README.md.\n")
	if r.Settings.Calm > 0 {
		fmt.Fprintf(&b, "\nSamples during which other programs used more than %g of a core were taken again: %d were thrown away, %d had to stay in.\n",
			r.Settings.Calm, r.Retaken, r.Restless)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	for _, s := range scenarios {
		r.scenario(&b, s)
	}
	return b.String()
}

func (r *Report) scenario(b *strings.Builder, s Scenario) {
	begun := false
	for _, load := range s.Loads {
		var rows []*Result
		for _, res := range r.Results {
			if res.Scenario == s.Name && res.Load == load && len(res.Rounds) > 0 {
				rows = append(rows, res)
			}
		}
		if len(rows) == 0 {
			continue
		}
		if !begun {
			fmt.Fprintf(b, "\n## %s\n%s\n", s.Name, s.About)
			begun = true
		}
		table(b, load, rows)
	}
}

// table writes one load's contenders, a row each.
func table(b *strings.Builder, load string, rows []*Result) {
	unit := rows[0].Unit
	fmt.Fprintf(b, "\n### %s", load)
	if rate := rows[0].Rate; rate > 0 {
		fmt.Fprintf(b, ", %.0f per second offered", rate)
	}
	fmt.Fprintf(b, "\n\n| contender | %s/s | p50 µs | p99 µs | CPU µs/%s | user + system | × floor | × HAProxy | switches/%s (forced) | all CPU µs/%s | memory MiB | foreign |\n",
		plural(unit), unit, unit, unit)
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, res := range rows {
		s := res.Summary
		hasProcess := s[cpu.name].Median > 0
		own := func(text string) string {
			if !hasProcess {
				return ""
			}
			return text
		}
		fmt.Fprintf(b, "| %s | %s | %.0f | %s | %s | %s | %s | %s | %s | %s | %s | %.0f %% |\n",
			res.Contender,
			s[perSecond.name].text("%.0f"),
			s["p50_us"].Median,
			s[p99.name].text("%.0f"),
			own(s[cpu.name].text("%.2f")),
			own(fmt.Sprintf("%.1f + %.1f", s["cpu_user_us_per_query"].Median, s["cpu_system_us_per_query"].Median)),
			own(s.ratio(floorName)), own(s.ratio(haproxyName)),
			own(fmt.Sprintf("%.2f (%.2f)", s["switches_per_query"].Median, s["forced_switches_per_query"].Median)),
			s[allCPU.name].text("%.1f"),
			own(fmt.Sprintf("%.1f", s["resident_bytes"].Median/(1<<20))),
			s["foreign_cpu_share"].Median*100)
	}
}

// text is the median with the spread behind it.
func (s Spread) text(format string) string {
	if !s.Known() {
		return ""
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Min, s.Max)
}

// ratio is the CPU per query against another contender's.
func (s summary) ratio(to string) string {
	r, ok := s[ratioName(cpu, to)]
	if !ok {
		return ""
	}
	return r.text("%.2f")
}

func plural(unit string) string {
	switch unit {
	case "query":
		return "queries"
	case "MiB":
		return unit
	}
	return unit + "s"
}

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
	fmt.Fprintf(&b, "%s, %d cores, Linux %s. ", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel)
	fmt.Fprintf(&b, "%d rounds of %g s each, of %.2g s and often fewer where less hangs on the figures; %.0f minutes in all. ",
		r.Settings.Rounds, r.Settings.Seconds, r.Settings.Seconds*shortShare, r.TookSeconds/60)
	fmt.Fprintf(&b, "%d thread(s) for each contender that can have several.\n", r.Settings.Threads)
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
	fmt.Fprintf(b, "\n### %s, %d clients", load, rows[0].Clients)
	if pool := rows[0].Pool; pool > 0 {
		fmt.Fprintf(b, " over %d server connections", pool)
	}
	if rate := rows[0].Rate; rate > 0 {
		fmt.Fprintf(b, ", %.0f per second offered", rate)
	}
	b.WriteString("\n\n")
	columns := queryColumns(rows[0].Unit, rows[0].Pool > 0)
	if rows[0].Unit == unitClient {
		columns = idleColumns
	}
	var heads, lines []string
	for _, c := range columns {
		heads, lines = append(heads, c.head), append(lines, "---")
	}
	writeRow(b, heads)
	b.WriteString("|" + strings.Join(lines, "|") + "|\n")
	for _, res := range rows {
		var row []string
		for _, c := range columns {
			row = append(row, c.of(res))
		}
		writeRow(b, row)
	}
	notes(b, rows)
}

func writeRow(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// notes writes what is to be known of the rows, once for all that share it.
func notes(b *strings.Builder, rows []*Result) {
	var texts []string
	who := map[string][]string{}
	for _, res := range rows {
		if res.Note == "" {
			continue
		}
		if who[res.Note] == nil {
			texts = append(texts, res.Note)
		}
		who[res.Note] = append(who[res.Note], res.Contender)
	}
	for _, text := range texts {
		if len(who[text]) == len(rows) {
			fmt.Fprintf(b, "\n%s\n", text)
			continue
		}
		fmt.Fprintf(b, "\n%s: %s\n", strings.Join(who[text], ", "), text)
	}
}

// column is one column of a table.
type column struct {
	head string
	of   func(*Result) string
}

// spread is a column of one figure, with its least and most; scale turns it into the column's unit.
func spread(head, format string, f figure, scale float64) column {
	return column{head, func(r *Result) string {
		s, ok := r.Summary[f.name]
		if !ok {
			return ""
		}
		return Spread{s.Median / scale, s.Min / scale, s.Max / scale}.text(format)
	}}
}

// own is a column for contenders that are a process.
func own(c column) column {
	return column{c.head, func(r *Result) string {
		if !(r.Summary[cpu.name].Median > 0) {
			return ""
		}
		return c.of(r)
	}}
}

// pair is a column of two medians.
func pair(head, format, a, b string) column {
	return column{head, func(r *Result) string {
		return fmt.Sprintf(format, r.Summary[a].Median, r.Summary[b].Median)
	}}
}

// ratioTo is a column of one figure divided by PgBouncer's.
func ratioTo(head string, f figure) column {
	return column{head, func(r *Result) string {
		if s, ok := r.Summary[ratioName(f, pgbouncerName)]; ok {
			return s.text("%.2f")
		}
		return ""
	}}
}

// toRelays and toPooler are what a contender is compared with, one by one or through a funnel.
var (
	toRelays = []column{
		own(column{"× floor", func(r *Result) string { return r.Summary.ratio(floorName) }}),
		own(column{"× HAProxy", func(r *Result) string { return r.Summary.ratio(haproxyName) }}),
	}
	toPooler = []column{
		own(ratioTo("CPU × PgBouncer", cpu)), ratioTo("rate × PgBouncer", perSecond), ratioTo("p99 × PgBouncer", p99),
		{"rate × that of fewer clients", func(r *Result) string {
			if s, ok := r.Summary[ratioName(perSecond, r.Versus)]; ok {
				return s.text("%.2f")
			}
			return ""
		}},
	}
)

// queryColumns are those of loads that ask.
func queryColumns(unit string, pooled bool) []column {
	to := toRelays
	if pooled {
		to = toPooler
	}
	front := []column{
		{"contender", func(r *Result) string { return r.Contender }},
		spread(plural(unit)+"/s", "%.0f", perSecond, 1),
		{"p50 µs", func(r *Result) string { return fmt.Sprintf("%.0f", r.Summary[p50.name].Median) }},
		spread("p99 µs", "%.0f", p99, 1),
		spread("p99.9 µs", "%.0f", p999, 1),
		own(spread("CPU µs/"+unit, "%.2f", cpu, 1)),
		own(pair("user + system", "%.1f + %.1f", "cpu_user_us_per_query", "cpu_system_us_per_query")),
	}
	back := []column{
		own(pair("switches/"+unit+": voluntary + forced", "%.2f + %.2f", "voluntary_switches_per_query", "forced_switches_per_query")),
		spread("all CPU µs/"+unit, "%.1f", allCPU, 1),
		own(column{"memory MiB", func(r *Result) string { return fmt.Sprintf("%.1f", r.Summary[resident.name].Median/(1<<20)) }}),
		{"foreign", func(r *Result) string { return fmt.Sprintf("%.0f %%", r.Summary["foreign_cpu_share"].Median*100) }},
	}
	return slices.Concat(front, to, back)
}

// idleColumns are those of clients that are silent.
var idleColumns = []column{
	{"contender", func(r *Result) string { return r.Contender }},
	spread("resident KiB/client", "%.2f", residentEach, 1<<10),
	spread("Go heap KiB/client", "%.2f", heapEach, 1<<10),
	spread("of it scanned KiB/client", "%.2f", heapScanEach, 1<<10),
	spread("memory MiB in all", "%.1f", resident, 1<<20),
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

package publish

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// embedded are the charts that the README shows; it links the others.
var embedded = []string{"saturated-cpu.svg", "paced-cpu.svg"}

// minutesMax is how long a whole run may take.
const minutesMax = 30

// Block writes the README's part about a run. dir is the run's folder as seen from the README, with
// slashes.
func (r *Run) Block(dir string) string {
	var b strings.Builder
	r.preface(&b, dir)
	charts := Charts(r.Report)
	for _, c := range charts {
		if isEmbedded(c) {
			fmt.Fprintf(&b, "\n![%s](%s)\n", c.Title, path.Join(dir, c.File))
		}
	}
	for _, l := range linesOf(r.Report.Date) {
		r.table(&b, l)
	}
	var links []string
	for _, c := range charts {
		if !isEmbedded(c) {
			links = append(links, fmt.Sprintf("[%s](%s)", c.Title, path.Join(dir, c.File)))
		}
	}
	if len(links) > 0 {
		fmt.Fprintf(&b, "\nFurther charts: %s.\n", strings.Join(links, "; "))
	}
	return b.String()
}

func isEmbedded(c Chart) bool {
	for _, file := range embedded {
		if c.File == file {
			return true
		}
	}
	return false
}

// preface tells where the figures are from and how to read them.
func (r *Run) preface(b *strings.Builder, dir string) {
	report := r.Report
	m, settings := report.Machine, report.Settings
	threads := "one thread or loop"
	if settings.Threads != 1 {
		threads = strconv.Itoa(settings.Threads) + " threads or loops"
	}
	met, of := r.count()
	fmt.Fprintf(b, "From the [run of %s](%s) at commit `%s`: %s, %d cores that load generators, proxy and servers share, Linux %s; "+
		"%d rounds of %g s in turn, %s for each proxy.\n",
		report.Date[:min(len(report.Date), len("2006-01-02"))], path.Join(dir, "report.md"), m.Commit,
		m.CPU, m.Cores, m.Kernel, settings.Rounds, settings.Seconds, threads)
	b.WriteString("Ratios are taken within a round. What is judged stands as median (least–most); other figures are medians. The relay in C is called floor in the charts.\n\n")
	fmt.Fprintf(b, "**%d of %d targets are met.**", met, of)
	if report.TookSeconds > 0 {
		verdict := "✓ met"
		if report.TookSeconds > minutesMax*60 {
			verdict = "**missed**"
		}
		fmt.Fprintf(b, " The whole run took %.1f minutes, at most %d: %s.", report.TookSeconds/60, minutesMax, verdict)
	}
	b.WriteString("\n")
}

// count adds up the verdicts. A target that was not measured, or in too few rounds, is not met.
func (r *Run) count() (met, of int) {
	for _, l := range linesOf(r.Report.Date) {
		for _, load := range l.loads {
			for _, t := range l.targets {
				of++
				if v := r.judge(t, l.scenario, load); v.met() && v.decided() {
					met++
				}
			}
		}
	}
	return met, of
}

// table writes one line of what must hold, a row for each load.
func (r *Run) table(b *strings.Builder, l line) {
	fmt.Fprintf(b, "\n#### %s\n%s\n\n| load |", l.title, l.about)
	for _, t := range l.targets {
		fmt.Fprintf(b, " %s |", t.headingText())
	}
	for _, c := range l.shown {
		fmt.Fprintf(b, " %s |", c.headingText())
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(l.targets)+len(l.shown)) + "\n")
	for _, load := range l.loads {
		fmt.Fprintf(b, "| %s |", r.loadText(l.scenario, load))
		for _, t := range l.targets {
			fmt.Fprintf(b, " %s |", r.judge(t, l.scenario, load).text())
		}
		for _, c := range l.shown {
			fmt.Fprintf(b, " %s |", r.cell(c, l.scenario, load))
		}
		b.WriteString("\n")
	}
}

// loadText names a load, with the number of its clients where that is not the same in every run.
func (r *Run) loadText(scenario, load string) string {
	if res := r.result(scenario, load, sluice); (scenario == idle || scenario == funnelIdle) && res != nil {
		return fmt.Sprintf("%s, %d clients", loadName(load), res.Clients)
	}
	return loadName(load)
}

func (c column) headingText() string {
	names := make([]string, len(c.contenders))
	for i, contender := range c.contenders {
		names[i] = contenderNames[contender]
	}
	return c.heading + ": " + strings.Join(names, ", ")
}

// cell writes the medians of a column. A dash stands for who did not take part.
func (r *Run) cell(c column, scenario, load string) string {
	texts := make([]string, len(c.contenders))
	for i, contender := range c.contenders {
		texts[i] = "–"
		if s, ok := spreadOf(r.result(scenario, load, contender), c.figure); ok {
			texts[i] = strconv.FormatFloat(s.Median/c.divisor, 'f', c.decimals, 64)
		}
	}
	return strings.Join(texts, ", ")
}

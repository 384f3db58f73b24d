package publish

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bench/internal/chart"
	"sluice/bench/internal/suite"
)

// Chart is a picture of a part of a report.
type Chart struct {
	File  string // its name beside the report
	Title string
	SVG   []byte
}

// WriteCharts writes all charts of a report into a folder.
func WriteCharts(r *suite.Report, dir string) error {
	for _, c := range Charts(r) {
		if err := os.WriteFile(filepath.Join(dir, c.File), c.SVG, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Charts draws what a report holds, scenario by scenario in the report's order: CPU, latency and rate
// of each load; lines where a scenario varies a count; memory where it has idle clients.
func Charts(r *suite.Report) []Chart {
	var charts []Chart
	for _, s := range scenariosOf(r) {
		if count, ok := counted[s.name]; ok {
			charts = append(charts, s.overCount(count))
			continue
		}
		if s.name == idle || s.name == funnelIdle {
			charts = append(charts, s.bars("memory", "resident memory per client", resident, "KiB per client", kib))
			continue
		}
		unit := s.results[0].Unit
		charts = append(charts, s.bars("cpu", "CPU per "+unit, cpu, "µs of the proxy's CPU per "+unit, 1))
		charts = append(charts, s.latency())
		if s.results[0].Rate == 0 {
			per := plural(unit) + " per second"
			charts = append(charts, s.bars("rate", per, perSecond, per, 1))
		}
	}
	return slices.DeleteFunc(charts, func(c Chart) bool { return c.SVG == nil })
}

// scenario is the part of a report that is drawn together.
type scenario struct {
	name    string
	results []*suite.Result // of any load and contender, each with rounds
}

func scenariosOf(r *suite.Report) []scenario {
	var all []scenario
	for _, res := range r.Results {
		if len(res.Rounds) == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == res.Scenario })
		if i < 0 {
			i = len(all)
			all = append(all, scenario{name: res.Scenario})
		}
		all[i].results = append(all[i].results, res)
	}
	return all
}

// loads are those of a scenario in the report's order.
func (s scenario) loads() []string {
	var names []string
	for _, res := range s.results {
		if !slices.Contains(names, res.Load) {
			names = append(names, res.Load)
		}
	}
	return names
}

// of are the results of one load.
func (s scenario) of(load string) []*suite.Result {
	return slices.DeleteFunc(slices.Clone(s.results), func(res *suite.Result) bool { return res.Load != load })
}

// note is what a report says of a load: once of all contenders, else with their names.
func (s scenario) note(load string) string {
	results := s.of(load)
	var texts []string
	who := map[string][]string{}
	for _, res := range results {
		if res.Note == "" {
			continue
		}
		if who[res.Note] == nil {
			texts = append(texts, res.Note)
		}
		who[res.Note] = append(who[res.Note], res.Contender)
	}
	for i, text := range texts {
		if len(who[text]) < len(results) {
			texts[i] = strings.Join(who[text], ", ") + ": " + text
		}
	}
	return strings.Join(texts, " ")
}

// bars draws one figure of every contender under every load. A chart without any has no SVG.
func (s scenario) bars(kind, what, figure, unit string, divisor float64) Chart {
	c := chart.Bars{Title: scenarioName(s.name) + ": " + what, Unit: unit, Subject: sluice}
	for _, load := range s.loads() {
		g := chart.Group{Name: loadName(load), Note: s.note(load)}
		for _, res := range s.of(load) {
			if f, ok := figureOf(res, figure, divisor); ok {
				g.Bars = append(g.Bars, chart.Bar{Name: res.Contender, Figure: f})
			}
		}
		if len(g.Bars) > 0 {
			c.Groups = append(c.Groups, g)
		}
	}
	if len(c.Groups) == 0 {
		return Chart{}
	}
	return Chart{File: s.name + "-" + kind + ".svg", Title: c.Title, SVG: c.SVG()}
}

// latency draws the percentiles of every contender under every load.
func (s scenario) latency() Chart {
	c := chart.Dots{Title: scenarioName(s.name) + ": latency", Unit: "ms, as the clients saw it", Subject: sluice,
		Marks: []string{"p50", "p99", "p99.9"}}
	for _, load := range s.loads() {
		g := chart.DotGroup{Name: loadName(load), Note: s.note(load)}
		for _, res := range s.of(load) {
			row, any := chart.DotRow{Name: res.Contender}, false
			for _, figure := range []string{p50, p99, p999} {
				f, ok := figureOf(res, figure, 1000)
				row.Figures, any = append(row.Figures, f), any || ok
			}
			if any {
				g.Rows = append(g.Rows, row)
			}
		}
		if len(g.Rows) > 0 {
			c.Groups = append(c.Groups, g)
		}
	}
	if len(c.Groups) == 0 {
		return Chart{}
	}
	return Chart{File: s.name + "-latency.svg", Title: c.Title, SVG: c.SVG()}
}

// figureOf is a figure of a report as charts take it.
func figureOf(res *suite.Result, figure string, divisor float64) (chart.Figure, bool) {
	s, ok := spreadOf(res, figure)
	if !ok {
		return chart.Figure{}, false
	}
	return chart.Figure{Value: s.Median / divisor, Min: s.Min / divisor, Max: s.Max / divisor}, true
}

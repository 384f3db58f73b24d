package publish

import (
	"slices"
	"strings"

	"sluice/bench/internal/chart"
	"sluice/bench/internal/suite"
)

// A count is what a scenario varies from load to load.
type count struct {
	what string
	of   func(*suite.Result) int
}

// counted are the scenarios that vary a count: they are drawn as lines over it.
var counted = map[string]count{
	"clients":  {"clients", func(res *suite.Result) int { return res.Clients }},
	"pipeline": {"queries under way per client", func(res *suite.Result) int { return max(res.Depth, 1) }},
}

// protocols are the panels of such a scenario, by how the names of their loads begin.
var protocols = []struct{ prefix, name string }{
	{"syn-pg-", "PostgreSQL"},
	{"syn-my-", "MySQL"},
}

// overCount draws rate and CPU over a count, a panel for each protocol. Without any figure it has no
// SVG.
func (s scenario) overCount(over count) Chart {
	c := chart.Lines{Title: scenarioName(s.name), Count: over.what, Subject: sluice}
	for _, protocol := range protocols {
		for _, figure := range []struct{ name, words string }{
			{perSecond, "queries per second"}, {cpu, "µs of the proxy's CPU per query"},
		} {
			p := chart.Panel{Name: protocol.name + ": " + figure.words}
			p.Lines = s.linesOver(over, protocol.prefix, figure.name)
			if len(p.Lines) > 0 {
				c.Panels = append(c.Panels, p)
			}
		}
	}
	if len(c.Panels) == 0 {
		return Chart{}
	}
	return Chart{File: s.name + ".svg", Title: c.Title, SVG: c.SVG()}
}

// linesOver gathers one figure of each contender over the loads with a prefix.
func (s scenario) linesOver(over count, prefix, figure string) []chart.Line {
	var lines []chart.Line
	for _, res := range s.results {
		f, ok := figureOf(res, figure, 1)
		if !ok || !strings.HasPrefix(res.Load, prefix) {
			continue
		}
		i := slices.IndexFunc(lines, func(l chart.Line) bool { return l.Name == res.Contender })
		if i < 0 {
			i = len(lines)
			lines = append(lines, chart.Line{Name: res.Contender})
		}
		lines[i].Points = append(lines[i].Points, chart.Point{Count: float64(over.of(res)), Figure: f})
	}
	for _, l := range lines {
		slices.SortFunc(l.Points, func(a, b chart.Point) int { return int(a.Count - b.Count) })
	}
	return lines
}

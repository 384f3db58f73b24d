package suite

import (
	"context"
	"time"
)

// Report is what a run found.
type Report struct {
	Date     string    `json:"date"` // of the run's begin, UTC
	Machine  Machine   `json:"machine"`
	Settings Settings  `json:"settings"`
	Notes    []string  `json:"notes"`
	Results  []*Result `json:"results"`

	// With Options.Calm: samples that were thrown away because of other programs, and samples that
	// stayed in although they were no calmer at the last try.
	Retaken  int `json:"retaken"`
	Restless int `json:"restless"`
}

// Settings are the options that figures depend on.
type Settings struct {
	Rounds  int      `json:"rounds"`
	Seconds float64  `json:"seconds"`
	Threads int      `json:"threads"`
	Calm    float64  `json:"calm"`
	About   []string `json:"contenders"` // who took part, in words
}

// Result is one contender under one load: every round, and the sums over them.
type Result struct {
	Scenario  string   `json:"scenario"`
	Load      string   `json:"load"`
	Unit      string   `json:"unit"`
	Rate      float64  `json:"rate_per_second"` // offered; 0 = as much as possible
	Contender string   `json:"contender"`
	Rounds    []Sample `json:"rounds"`

	Summary summary `json:"summary"`
}

// summary holds the spread of each figure by its name in the JSON of a Sample, and of each ratio by
// ratioName.
type summary map[string]Spread

func newReport(ctx context.Context, o Options) *Report {
	r := &Report{
		Date:    time.Now().UTC().Format(time.RFC3339),
		Machine: readMachine(ctx),
		Settings: Settings{
			Rounds: o.Rounds, Seconds: o.Window.Seconds(), Threads: o.Threads, Calm: o.Calm},
	}
	for _, c := range chosen(o.allContenders(), o.Only, func(c Contender) string { return c.Name }) {
		r.Settings.About = append(r.Settings.About, c.Name+": "+c.About)
	}
	if haproxy, err := program("haproxy"); err == nil {
		r.Machine.Versions[haproxyName] = versionOf(ctx, haproxy, "-v")
	}
	if sysbench, err := program("sysbench"); err == nil {
		r.Machine.Versions["sysbench"] = versionOf(ctx, sysbench, "--version")
	}
	return r
}

// A figure is one column that is summed up over the rounds.
type figure struct {
	name string
	of   func(Sample) float64
}

var perSecond = figure{"per_second", func(s Sample) float64 { return s.PerSecond }}
var cpu = figure{"cpu_us_per_query", func(s Sample) float64 { return s.CPU }}
var p99 = figure{"p99_us", func(s Sample) float64 { return s.P99 }}
var allCPU = figure{"all_cpu_us_per_query", func(s Sample) float64 { return s.AllCPU }}

// figures are all columns.
var figures = []figure{
	perSecond,
	{"p50_us", func(s Sample) float64 { return s.P50 }},
	p99,
	cpu,
	{"cpu_user_us_per_query", func(s Sample) float64 { return s.User }},
	{"cpu_system_us_per_query", func(s Sample) float64 { return s.System }},
	allCPU,
	{"switches_per_query", func(s Sample) float64 { return s.Switches }},
	{"forced_switches_per_query", func(s Sample) float64 { return s.Forced }},
	{"resident_bytes", func(s Sample) float64 { return s.Resident }},
	{"foreign_cpu_share", func(s Sample) float64 { return s.ForeignShare }},
}

// compared are the figures for which ratios to the floor and to HAProxy are reported.
var compared = []figure{perSecond, p99, cpu, allCPU}

// ratioName is the summary's key of a ratio.
func ratioName(f figure, to string) string { return f.name + "/" + to }

func (r *Result) figures(f figure) []float64 {
	out := make([]float64, len(r.Rounds))
	for i, s := range r.Rounds {
		out[i] = f.of(s)
	}
	return out
}

func (r *Report) find(scenario, load, contender string) *Result {
	for _, res := range r.Results {
		if res.Scenario == scenario && res.Load == load && res.Contender == contender {
			return res
		}
	}
	return nil
}

// sum fills the summaries.
func (r *Report) sum() {
	for _, res := range r.Results {
		res.Summary = make(summary)
		for _, f := range figures {
			res.Summary[f.name] = SpreadOf(res.figures(f))
		}
		for _, to := range []string{floorName, haproxyName} {
			other := r.find(res.Scenario, res.Load, to)
			if other == nil {
				continue
			}
			for _, f := range compared {
				if s := SpreadOf(ratios(res.figures(f), other.figures(f))); s.Known() {
					res.Summary[ratioName(f, to)] = s
				}
			}
		}
	}
}

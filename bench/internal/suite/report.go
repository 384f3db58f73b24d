package suite

import (
	"context"
	"slices"
	"time"
)

// Report is what a run found.
type Report struct {
	Date     string    `json:"date"` // of the run's begin, UTC
	Machine  Machine   `json:"machine"`
	Settings Settings  `json:"settings"`
	Notes    []string  `json:"notes"`
	Results  []*Result `json:"results"`
	Profiles []Profile `json:"profiles,omitempty"`

	TookSeconds float64 `json:"took_seconds"` // the whole run

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
	Clients   int      `json:"clients"`
	Depth     int      `json:"depth,omitempty"`  // queries that a client has under way; 0 = one
	Bytes     int64    `json:"bytes,omitempty"`  // of a result; 0 = one small row
	Pool      int      `json:"pool,omitempty"`   // server connections that the clients share; 0 = one for each
	Versus    string   `json:"versus,omitempty"` // the load that this one is compared with
	Note      string   `json:"note,omitempty"`
	Rounds    []Sample `json:"rounds"`

	Summary summary `json:"summary"`
}

// summary holds the spread of each figure by its name in the JSON of a Sample, and of each ratio by
// ratioName.
type summary map[string]Spread

func newReport(ctx context.Context, o Options) *Report {
	r := &Report{
		Date:    time.Now().UTC().Format(time.RFC3339),
		Machine: ReadMachine(ctx),
		Settings: Settings{
			Rounds: o.Rounds, Seconds: o.Window.Seconds(), Threads: o.Threads, Calm: o.Calm},
	}
	for name, flag := range map[string]string{haproxyName: "-v", "nginx": "-v", pgbouncerName: "--version", "sysbench": "--version"} {
		path, err := o.Programs[name], error(nil)
		if path == "" {
			path, err = program(name)
		}
		if err == nil {
			r.Machine.Versions[name] = versionOf(ctx, path, flag)
		}
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
var p50 = figure{"p50_us", func(s Sample) float64 { return s.P50 }}
var p999 = figure{"p999_us", func(s Sample) float64 { return s.P999 }}
var p99 = figure{"p99_us", func(s Sample) float64 { return s.P99 }}
var allCPU = figure{"all_cpu_us_per_query", func(s Sample) float64 { return s.AllCPU }}

var resident = figure{"resident_bytes", func(s Sample) float64 { return s.Resident }}

// figures are all columns of loads that ask queries.
var figures = []figure{
	perSecond,
	p50,
	p99,
	p999,
	cpu,
	{"cpu_user_us_per_query", func(s Sample) float64 { return s.User }},
	{"cpu_system_us_per_query", func(s Sample) float64 { return s.System }},
	allCPU,
	{"switches_per_query", func(s Sample) float64 { return s.Switches }},
	{"voluntary_switches_per_query", func(s Sample) float64 { return s.Voluntary }},
	{"forced_switches_per_query", func(s Sample) float64 { return s.Forced }},
	resident,
	{"foreign_cpu_share", func(s Sample) float64 { return s.ForeignShare }},
}

var residentEach = figure{"resident_per_client_bytes", func(s Sample) float64 { return s.ResidentEach }}
var heapEach = figure{"heap_per_client_bytes", func(s Sample) float64 { return s.HeapEach }}
var heapScanEach = figure{"heap_scan_per_client_bytes", func(s Sample) float64 { return s.HeapScanEach }}

// idleFigures are the columns of idle clients.
var idleFigures = []figure{resident, residentEach, heapEach, heapScanEach}

// unitClient is the unit of idle clients.
const unitClient = "client"

// compared are the figures for which ratios to the floor, to HAProxy and to PgBouncer are reported, and
// to another load of the same contender where one is named.
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

// Empty reports whether nothing was measured.
func (r *Report) Empty() bool {
	return !slices.ContainsFunc(r.Results, func(res *Result) bool { return len(res.Rounds) > 0 })
}

func (r *Report) find(scenario, load, contender string) *Result {
	for _, res := range r.Results {
		if res.Scenario == scenario && res.Load == load && res.Contender == contender {
			return res
		}
	}
	return nil
}

// note adds a sentence for the reader, once.
func (r *Report) note(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// sumIdle leaves out what a contender does not tell.
func (r *Result) sumIdle() {
	for _, f := range idleFigures {
		if s := SpreadOf(r.figures(f)); s.Known() && s.Max > 0 {
			r.Summary[f.name] = s
		}
	}
}

// sum fills the summaries.
func (r *Report) sum() {
	for _, res := range r.Results {
		res.Summary = make(summary)
		if res.Unit == unitClient {
			res.sumIdle()
			continue
		}
		for _, f := range figures {
			res.Summary[f.name] = SpreadOf(res.figures(f))
		}
		for _, to := range []string{floorName, haproxyName, pgbouncerName} {
			res.compare(r.find(res.Scenario, res.Load, to), to)
		}
		if res.Versus != "" {
			res.compare(r.find(res.Scenario, res.Versus, res.Contender), res.Versus)
		}
	}
}

// compare adds the ratios to another result, which may be nil, under the name that tells them apart.
func (r *Result) compare(other *Result, to string) {
	if other == nil {
		return
	}
	for _, f := range compared {
		if s := SpreadOf(ratios(r.figures(f), other.figures(f))); s.Known() {
			r.Summary[ratioName(f, to)] = s
		}
	}
}

package publish

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sluice/bench/internal/suite"
)

// Run is a recorded run: its report, and the folder that the report lies in.
type Run struct {
	Dir    string
	Report *suite.Report
}

// reportFile is the report's name in the folder of its run.
const reportFile = "report.json"

// reportSizeMax bounds a report. A whole run has about 300 results of five samples of 600 bytes.
const reportSizeMax = 64 << 20

// Load reads a report.
func Load(file string) (*Run, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > reportSizeMax {
		return nil, fmt.Errorf("%s: a report of %d bytes; at most %d are read", file, info.Size(), reportSizeMax)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &suite.Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &Run{Dir: filepath.Dir(file), Report: r}, nil
}

// Newest finds the newest whole run in the folder of results. Without any it is nil.
func Newest(results string) (*Run, error) {
	files, err := filepath.Glob(filepath.Join(results, "*", reportFile))
	if err != nil {
		return nil, err
	}
	var newest *Run
	for _, file := range files { // in order of their names: of two with one date the latter is taken
		run, err := Load(file)
		if err != nil {
			return nil, err
		}
		if run.Whole() && (newest == nil || run.Report.Date >= newest.Report.Date) {
			newest = run
		}
	}
	return newest, nil
}

// Whole reports whether Sluice took part in every scenario that a target is about and that the suite had
// at the time: whether the run is more than a look at one question.
func (r *Run) Whole() bool { return len(r.missing()) == 0 }

// missing names the scenarios that a whole run would have.
func (r *Run) missing() []string {
	var names []string
	for _, l := range linesOf(r.Report.Date) {
		has := slices.ContainsFunc(r.Report.Results, func(res *suite.Result) bool {
			return res.Scenario == l.scenario && res.Contender == sluice && len(res.Rounds) > 0
		})
		if !has {
			names = append(names, l.scenario)
		}
	}
	return names
}

// result finds a contender's result under a load; nil = it has none.
func (r *Run) result(scenario, load, contender string) *suite.Result {
	for _, res := range r.Report.Results {
		if res.Scenario == scenario && res.Load == load && res.Contender == contender && len(res.Rounds) > 0 {
			return res
		}
	}
	return nil
}

// spreadOf is a figure of a result. It is not ok if nobody took it: a report says so by leaving it out
// or by null, and none of the figures here can be 0.
func spreadOf(res *suite.Result, figure string) (s suite.Spread, ok bool) {
	if res == nil {
		return s, false
	}
	s, ok = res.Summary[figure]
	return s, ok && s.Median > 0
}

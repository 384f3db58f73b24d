package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Options say what a run measures and how long. The zero value is not usable; see Check.
type Options struct {
	Rounds   int           // how often each cell is measured
	Window   time.Duration // how long each time
	Threads  int           // of HAProxy, and loops of Sluice
	Quick    bool          // only the quick scenarios
	Only     []string      // names of scenarios, loads and contenders; others are left out
	Variants []Variant     // further contenders
	Rate     float64       // of the paced scenarios, per second; 0 = a third of the peak
	Calm     float64       // a sample with more foreign CPU, in cores, is taken again; 0 = none is
	Sluice   string        // its program
	Floor    string        // source of the relay
	Progress io.Writer     // a line per sample
}

// Check refuses what can not be run, with the name of what is wrong.
func (o *Options) Check() error {
	switch {
	case o.Rounds < 1:
		return fmt.Errorf("rounds: %d; at least 1", o.Rounds)
	case o.Window < 100*time.Millisecond || o.Window > time.Minute:
		return fmt.Errorf("seconds: %v; between 0.1 and 60", o.Window.Seconds())
	case o.Threads < 1:
		return fmt.Errorf("threads: %d; at least 1", o.Threads)
	case o.Rate < 0:
		return fmt.Errorf("rate: %v; at least 0", o.Rate)
	case o.Calm < 0:
		return fmt.Errorf("calm: %v; at least 0", o.Calm)
	}
	for _, name := range o.Only {
		if !o.known(name) {
			return fmt.Errorf("only: %q is no scenario, load or contender", name)
		}
	}
	return nil
}

func (o *Options) known(name string) bool {
	isScenario := func(s Scenario) bool { return s.Name == name }
	isLoad := func(l Load) bool { return l.Name == name }
	isContender := func(c Contender) bool { return c.Name == name }
	return slices.ContainsFunc(scenarios, isScenario) || slices.ContainsFunc(loads, isLoad) ||
		slices.ContainsFunc(o.allContenders(), isContender)
}

func (o *Options) allContenders() []Contender {
	all := slices.Clone(contenders)
	for _, v := range o.Variants {
		all = append(all, v.contender())
	}
	return all
}

// chosen keeps the items that Options.Only names. When it names none of this sort, all are kept: each
// sort of name restricts its own dimension.
func chosen[T any](all []T, only []string, name func(T) string) []T {
	unnamed := func(x T) bool { return !slices.Contains(only, name(x)) }
	if named := slices.DeleteFunc(slices.Clone(all), unnamed); len(named) > 0 {
		return named
	}
	return all
}

// cell is one line of work: a load under a scenario, to be measured at each contender.
type cell struct {
	Scenario
	Load
}

// cells lays out the work in the order of the tables.
func (o *Options) cells() []cell {
	var out []cell
	for _, s := range chosen(scenarios, o.Only, func(s Scenario) string { return s.Name }) {
		if o.Quick && !s.Quick {
			continue
		}
		for _, name := range s.Loads {
			l, ok := loadNamed(name)
			if !ok {
				panic("suite: scenario " + s.Name + " names a load that does not exist: " + name)
			}
			out = append(out, cell{s, l})
		}
	}
	return chosen(out, o.Only, func(c cell) string { return c.Load.Name })
}

// Run measures everything that the options ask for. When it ends early it returns what it has measured
// until then along with the error; the report is nil only if nothing was begun.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// The servers run as other users and have to reach their folders below.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	r := &run{Options: o, dir: dir, report: newReport(ctx, o)}
	err = r.all(ctx)
	r.report.sum()
	return r.report, err
}

// all measures on one kind of server after the other.
func (r *run) all(ctx context.Context) (err error) {
	if r.list, err = r.contenders(ctx); err != nil {
		return err
	}
	for _, db := range []Database{Postgres, MariaDB} {
		if err := r.database(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// run is a run under way.
type run struct {
	Options
	dir    string
	relay  string // the floor's program
	list   []Contender
	report *Report
}

// contenders chooses who takes part. Without a C compiler the floor does not, and the report says so.
func (r *run) contenders(ctx context.Context) ([]Contender, error) {
	list := chosen(r.allContenders(), r.Only, func(c Contender) string { return c.Name })
	isFloor := func(c Contender) bool { return c.Name == floorName }
	if !slices.ContainsFunc(list, isFloor) {
		return list, nil
	}
	if _, err := program("cc", "/usr/bin"); err != nil {
		r.report.Notes = append(r.report.Notes, "There is no C compiler on this machine, so the floor is missing.")
		return slices.DeleteFunc(list, isFloor), nil
	}
	relay, err := buildFloor(ctx, r.Floor, r.dir)
	r.relay = relay
	return list, err
}

// database measures all cells of one kind of server.
func (r *run) database(ctx context.Context, db Database) error {
	cells := slices.DeleteFunc(r.cells(), func(c cell) bool { return c.Database != db })
	if len(cells) == 0 {
		return nil
	}
	fmt.Fprintf(r.Progress, "starting %s\n", db)
	s, err := startServer(ctx, db, r.dir)
	if err != nil {
		return err
	}
	defer s.stop()
	r.report.Machine.Versions[string(db)] = s.version
	entrants, err := startEntrants(ctx, r.list, station{
		server: s.addr, database: db, dir: r.dir, threads: r.Threads, relay: r.relay, sluice: r.Sluice})
	if err != nil {
		return err
	}
	defer stopEntrants(entrants)
	for _, c := range cells {
		if err := r.cell(ctx, c, s, entrants); err != nil {
			return err
		}
	}
	return nil
}

// cell measures one load in rounds. Each round begins with another contender, so that none always
// follows the same one.
func (r *run) cell(ctx context.Context, c cell, s *server, entrants []*entrant) error {
	rate, err := r.rate(ctx, c, s, entrants)
	if err != nil {
		return err
	}
	results := make([]*Result, len(entrants))
	for i, e := range entrants {
		results[i] = &Result{Scenario: c.Scenario.Name, Load: c.Load.Name, Unit: c.Unit, Rate: rate, Contender: e.Name}
	}
	r.report.Results = append(r.report.Results, results...)
	for round := range r.Rounds {
		for turn := range entrants {
			i := (round + turn) % len(entrants)
			sample, err := r.sample(ctx, c.Load, s, entrants[i], rate)
			if err != nil {
				return fmt.Errorf("%s, %s, %s: %w", c.Scenario.Name, c.Load.Name, entrants[i].Name, err)
			}
			results[i].Rounds = append(results[i].Rounds, sample)
			fmt.Fprintf(r.Progress, "%-9s %-11s %d/%d  %-10s %9.0f/s  p99 %6.0f µs  CPU %6.2f µs  foreign %3.0f %%\n",
				c.Scenario.Name, c.Load.Name, round+1, r.Rounds, entrants[i].Name,
				sample.PerSecond, sample.P99, sample.CPU, sample.ForeignShare*100)
		}
	}
	return nil
}

// sample takes one sample, in calm if that was asked for. What was thrown away is counted: a reader
// should know how calm the machine was.
func (r *run) sample(ctx context.Context, l Load, s *server, e *entrant, rate float64) (Sample, error) {
	sample, retaken, err := inCalm(r.Calm, func() (Sample, error) {
		for try := 1; ; try++ {
			sample, err := measure(ctx, l, s, e, rate, r.Window, r.dir)
			if try == outlastedTries || !errors.Is(err, errOutlasted) {
				return sample, err
			}
		}
	})
	r.report.Retaken += retaken
	if r.Calm > 0 && sample.ForeignShare > r.Calm {
		r.report.Restless++
	}
	return sample, err
}

// outlastedTries is how often a sample is tried whose load ends before its window does.
const outlastedTries = 3

// calmTries is how often a sample is taken in the hope of a calm machine.
const calmTries = 10

// inCalm takes a sample until other programs leave the machine alone, or for the last time.
func inCalm(calm float64, take func() (Sample, error)) (s Sample, retaken int, err error) {
	for {
		s, err = take()
		if err != nil || calm == 0 || s.ForeignShare <= calm || retaken == calmTries-1 {
			return s, retaken, err
		}
		retaken++
	}
}

// rate is what a paced scenario offers: a third of the peak of HAProxy (or of the last contender, if
// it takes no part), as measured in this run or, if that scenario was left out, in one window now.
func (r *run) rate(ctx context.Context, c cell, s *server, entrants []*entrant) (float64, error) {
	if !c.Paced {
		return 0, nil
	}
	if r.Rate > 0 {
		return r.Rate, nil
	}
	reference := entrants[len(entrants)-1]
	for _, e := range entrants {
		if e.Name == haproxyName {
			reference = e
		}
	}
	if found := r.report.find(peakScenario, c.Load.Name, reference.Name); found != nil {
		return SpreadOf(found.figures(perSecond)).Median * pacedShare, nil
	}
	sample, err := measure(ctx, c.Load, s, reference, 0, r.Window, r.dir)
	if err != nil {
		return 0, err
	}
	return sample.PerSecond * pacedShare, nil
}

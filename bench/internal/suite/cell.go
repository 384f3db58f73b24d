package suite

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// work is one cell that is being measured.
type work struct {
	cell
	rate     float64
	entrants []*entrant
	results  []*Result // of each entrant
	failed   []bool    // those that have dropped out
}

// prepare finds out what a cell offers and enters it into the report.
func (r *run) prepare(ctx context.Context, c cell, s *server, entrants []*entrant) (*work, error) {
	w := &work{cell: c, entrants: entrants, failed: make([]bool, len(entrants))}
	var err error
	if w.rate, err = r.rate(ctx, c, s, entrants); err != nil {
		return nil, err
	}
	var list []Contender
	for _, e := range entrants {
		list = append(list, e.Contender)
	}
	w.results = r.begin(c, w.rate, list)
	return w, nil
}

// turn is one sample of a round.
type turn struct {
	*work
	i int // of the entrant
}

// turnsOf is the order of a round: a contender's loads one right after the other, for they are compared
// with each other. Each round begins with another contender, and each second one goes through the loads
// the other way, so that none always follows the same one.
func turnsOf(works []*work, round int) []turn {
	var names []string // of contenders, as they come
	by := map[string][]turn{}
	for _, w := range works {
		for i, e := range w.entrants {
			if by[e.Name] == nil {
				names = append(names, e.Name)
			}
			by[e.Name] = append(by[e.Name], turn{w, i})
		}
	}
	var out []turn
	for n := range names {
		turns := by[names[(round+n)%len(names)]]
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		out = append(out, turns...)
	}
	return out
}

// measureAll measures loads on one server in rounds, of one scenario and so of as many each.
func (r *run) measureAll(ctx context.Context, s *server, works []*work) error {
	for round := range r.rounds(works[0].cell) {
		for _, t := range turnsOf(works, round) {
			if err := r.take(ctx, s, t.work, t.i, round); err != nil {
				return err
			}
		}
	}
	for _, w := range works {
		if err := r.profileWork(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// take takes the sample of one entrant in one round. Who fails is left out of the load from then on: the
// rounds of all others stay comparable.
func (r *run) take(ctx context.Context, s *server, w *work, i, round int) error {
	if w.failed[i] {
		return nil
	}
	c, e := w.cell, w.entrants[i]
	sample, err := r.sample(ctx, c, s, e, w.rate)
	if err != nil {
		w.failed[i] = true
		what := fmt.Sprintf("%s is left out of %s, %s after %d rounds", e.Name, c.Scenario.Name, c.Load.Name, round)
		return r.goOn(ctx, e.Guest, what, err)
	}
	w.results[i].Rounds = append(w.results[i].Rounds, sample)
	fmt.Fprintf(r.Progress, "%-10s %-15s %d/%d  %-10s %9.0f/s  p99 %6.0f µs  CPU %6.2f µs  foreign %3.0f %%\n",
		c.Scenario.Name, c.Load.Name, round+1, r.rounds(c), e.Name,
		sample.PerSecond, sample.P99, sample.CPU, sample.ForeignShare*100)
	return nil
}

// profileWork profiles Sluice under a load that asks for it.
func (r *run) profileWork(ctx context.Context, w *work) error {
	if !w.profiled() || r.Profiles == "" {
		return nil
	}
	for _, e := range w.entrants {
		if e.Name != sluiceName {
			continue
		}
		if err := r.profile(ctx, w.cell, e, w.rate); err != nil {
			what := fmt.Sprintf("There is no profile of %s, %s", w.Scenario.Name, w.Load.Name)
			if err := r.goOn(ctx, false, what, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// sample takes one sample, in calm if that was asked for. What was thrown away is counted: a reader
// should know how calm the machine was.
func (r *run) sample(ctx context.Context, c cell, s *server, e *entrant, rate float64) (Sample, error) {
	sample, retaken, err := inCalm(r.Calm, func() (Sample, error) { return r.measure(ctx, c, s, e, rate) })
	r.report.Retaken += retaken
	if r.Calm > 0 && sample.ForeignShare > r.Calm {
		r.report.Restless++
	}
	return sample, err
}

// measure takes a sample, once more if that fails: a busy machine may have a load end before its window,
// or before all its clients are connected, so that the next try has more time.
func (r *run) measure(ctx context.Context, c cell, s *server, e *entrant, rate float64) (Sample, error) {
	at := target{addr: e.addr, sides: c.Sides, certs: r.certs, rate: rate, window: r.window(c), dir: r.dir}
	if c.crowds(e.Contender) {
		at.more = crowdTakes
	}
	for try := 1; ; try++ {
		sample, err := measure(ctx, c.Load, s, e, at)
		if err == nil || try == sampleTries || ctx.Err() != nil {
			return sample, err
		}
		at.more += time.Duration(try) * sampleMore
	}
}

// sampleTries is how often a sample is tried, and sampleMore by how much longer its load lasts each time.
const (
	sampleTries = 4
	sampleMore  = 5 * time.Second
)

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
	peak := c.Load.Name
	if c.Load.Peak != "" {
		peak = c.Load.Peak
	}
	for _, scenario := range peakScenarios {
		if found := r.report.find(scenario, peak, reference.Name); found != nil && len(found.Rounds) > 0 {
			return SpreadOf(found.figures(perSecond)).Median * pacedShare, nil
		}
	}
	sample, err := r.measure(ctx, c, s, reference, 0)
	if err != nil {
		return 0, err
	}
	return sample.PerSecond * pacedShare, nil
}

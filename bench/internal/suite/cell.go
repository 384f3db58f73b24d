package suite

import (
	"context"
	"errors"
	"fmt"
)

// work is one cell that is being measured.
type work struct {
	cell
	rate     float64
	entrants []*entrant
	results  []*Result // of each entrant
	failed   []bool    // guests that have dropped out
}

// prepare finds out what a cell offers and enters it into the report.
func (r *run) prepare(ctx context.Context, c cell, s *server, entrants []*entrant) (*work, error) {
	w := &work{cell: c, entrants: entrants, failed: make([]bool, len(entrants))}
	if len(entrants) == 0 {
		return w, nil
	}
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

// measureAll measures loads on one server in rounds, of one scenario and so of as many each. Each
// round begins with another contender, or load, so that none always follows the same one.
func (r *run) measureAll(ctx context.Context, s *server, works []*work) error {
	type turn struct {
		*work
		i int // of the entrant
	}
	var turns []turn
	for _, w := range works {
		for i := range w.entrants {
			turns = append(turns, turn{w, i})
		}
	}
	if len(turns) == 0 {
		return nil
	}
	for round := range r.rounds(works[0].cell) {
		for n := range turns {
			t := turns[(round+n)%len(turns)]
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

// take takes the sample of one entrant in one round.
func (r *run) take(ctx context.Context, s *server, w *work, i, round int) error {
	if w.failed[i] {
		return nil
	}
	c, e := w.cell, w.entrants[i]
	sample, err := r.sample(ctx, c, s, e, w.rate)
	if w.failed[i] = r.excused(ctx, e.Contender, err); w.failed[i] {
		r.report.note(fmt.Sprintf("%s is left out of %s, %s after %d rounds: %s",
			e.Name, c.Scenario.Name, c.Load.Name, round, firstOf(err)))
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s, %s, %s: %w", c.Scenario.Name, c.Load.Name, e.Name, err)
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
			return fmt.Errorf("%s, %s, profile: %w", w.Scenario.Name, w.Load.Name, err)
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

// measure takes a sample, once more if its load ended before its window did.
func (r *run) measure(ctx context.Context, c cell, s *server, e *entrant, rate float64) (Sample, error) {
	at := target{addr: e.addr, sides: c.Sides, certs: r.certs, rate: rate, window: r.window(c), dir: r.dir}
	if c.crowds(e.Contender) {
		at.more = crowdTakes
	}
	for try := 1; ; try++ {
		sample, err := measure(ctx, c.Load, s, e, at)
		if try == outlastedTries || !errors.Is(err, errOutlasted) {
			return sample, err
		}
	}
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

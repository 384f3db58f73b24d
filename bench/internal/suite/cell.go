package suite

import (
	"context"
	"errors"
	"fmt"
)

// cell measures one load in rounds. Each round begins with another contender, so that none always
// follows the same one.
func (r *run) cell(ctx context.Context, c cell, s *server, entrants []*entrant) error {
	if len(entrants) == 0 {
		return nil
	}
	rate, err := r.rate(ctx, c, s, entrants)
	if err != nil {
		return err
	}
	var list []Contender
	for _, e := range entrants {
		list = append(list, e.Contender)
	}
	results := r.begin(c, rate, list)
	failed := make([]bool, len(entrants))
	for round := range r.rounds(c) {
		for turn := range entrants {
			i := (round + turn) % len(entrants)
			if failed[i] {
				continue
			}
			sample, err := r.sample(ctx, c, s, entrants[i], rate)
			if failed[i] = r.excused(ctx, entrants[i].Contender, err); failed[i] {
				r.report.note(fmt.Sprintf("%s is left out of %s, %s after %d rounds: %s",
					entrants[i].Name, c.Scenario.Name, c.Load.Name, round, firstOf(err)))
				continue
			}
			if err != nil {
				return fmt.Errorf("%s, %s, %s: %w", c.Scenario.Name, c.Load.Name, entrants[i].Name, err)
			}
			results[i].Rounds = append(results[i].Rounds, sample)
			fmt.Fprintf(r.Progress, "%-10s %-15s %d/%d  %-10s %9.0f/s  p99 %6.0f µs  CPU %6.2f µs  foreign %3.0f %%\n",
				c.Scenario.Name, c.Load.Name, round+1, r.rounds(c), entrants[i].Name,
				sample.PerSecond, sample.P99, sample.CPU, sample.ForeignShare*100)
		}
	}
	if !c.profiled() || r.Profiles == "" {
		return nil
	}
	for _, e := range entrants {
		if e.Name != sluiceName {
			continue
		}
		if err := r.profile(ctx, c, e, rate); err != nil {
			return fmt.Errorf("%s, %s, profile: %w", c.Scenario.Name, c.Load.Name, err)
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

package suite

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Options say what a run measures and how long. The zero value is not usable; see Check.
type Options struct {
	Rounds   int               // how often each cell is measured
	Window   time.Duration     // how long each time
	Threads  int               // of each contender that can have several, and loops of Sluice
	Quick    bool              // only the quick scenarios
	Only     []string          // names of scenarios, loads and contenders; others are left out
	Variants []Variant         // further contenders
	Relays   []Relay           // further contenders
	Programs map[string]string // paths of contenders' programs that are not to be looked for
	Rate     float64           // of the paced scenarios, per second; 0 = a third of the peak
	Calm     float64           // a sample with more foreign CPU, in cores, is taken again; 0 = none is
	Sluice   string            // its program
	Floor    string            // source of the relay
	Profiles string            // folder for profiles of Sluice; "" = none are taken
	Progress io.Writer         // a line per sample
}

// Defaults is what a run measures that says nothing else. Windows are as long as they can be with a
// lead and a tail that make whole seconds of them: 3 in the full run, 2 in the quick one, which ends
// within four minutes.
func Defaults(quick bool) Options {
	if quick {
		return Options{Quick: true, Rounds: 3, Window: 700 * time.Millisecond, Threads: 1}
	}
	return Options{Rounds: 5, Window: 1700 * time.Millisecond, Threads: 1}
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
	for _, r := range o.Relays {
		all = append(all, r.contender())
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
		names := s.Loads
		if o.Quick {
			names = s.Quick
		}
		for _, name := range names {
			l, ok := loadNamed(name)
			if !ok {
				panic("suite: scenario " + s.Name + " names a load that does not exist: " + name)
			}
			out = append(out, cell{s, l})
		}
	}
	return chosen(out, o.Only, func(c cell) string { return c.Load.Name })
}

// rounds is how often a cell is measured.
func (o *Options) rounds(c cell) int {
	rounds := o.Rounds
	if c.RoundsTimes > 0 && !o.Quick {
		rounds = max(int(float64(rounds)*c.RoundsTimes+0.5), 1)
	}
	if c.RoundsMax > 0 {
		return min(rounds, c.RoundsMax)
	}
	return rounds
}

// windowMin is the shortest window that a scenario's share leaves.
const windowMin = 100 * time.Millisecond

// window is how long a sample of a cell lasts.
func (o *Options) window(c cell) time.Duration {
	if c.Share == 0 {
		return o.Window
	}
	return max(time.Duration(float64(o.Window)*c.Share).Round(time.Millisecond), windowMin)
}

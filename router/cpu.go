package router

import (
	"fmt"
	"math"
	"time"
)

const (
	// cpuHalf is how long it takes until a smoothed usage has followed half of a step.
	cpuHalf = 5 * time.Second
	// cpuGap is the interval without a reading behind which what was before says nothing any more.
	cpuGap = 45 * time.Second
	// perSessionMin is the least that a session is taken to use: that of an idle one can't be told from none.
	perSessionMin = 0.001
	// idleUsage is the mean usage up to which what a session takes is not measured anew: next to nothing goes on.
	idleUsage = 0.1
)

// measureCPU finds the usage between each two readings. A counter that has gone down is that of another process:
// what was before is forgotten.
func (l *Load) measureCPU(readings []Reading, now time.Time) {
	var last *Reading
	busy, over := 0.0, 0.0 // CPU seconds per CPU, seconds
	readings = fresh(readings, now, cpuExpiry)
	for i := range readings {
		r := &readings[i]
		if !finite(r.CPU, r.Procs) || r.Procs <= 0 {
			continue
		}
		if last == nil || r.CPU < last.CPU || r.At.Sub(last.At) > cpuGap {
			l.CPU, l.CPUNow, l.CPUMean, busy, over, last = math.NaN(), math.NaN(), math.NaN(), 0, 0, r
			continue
		}
		d := r.At.Sub(last.At).Seconds()
		if d <= 0 {
			continue
		}
		usage := min((r.CPU-last.CPU)/d/r.Procs, 1)
		busy, over, last = busy+usage*d, over+d, r
		if math.IsNaN(l.CPU) {
			l.CPU = usage
		}
		l.CPU += (1 - math.Exp2(-d/cpuHalf.Seconds())) * (usage - l.CPU)
		l.CPUNow, l.CPUMean, l.CPUSessions = usage, busy/over, r.Sessions
	}
}

// perSession is the share of a backend's CPUs that a session takes, by all backends that have some and are known.
// was is what was found before.
func perSession(loads []*Load, was float64) float64 {
	usage, sessions, n := 0.0, 0, 0
	for _, l := range loads {
		if l.CPUNow > 0 && l.CPUSessions > 0 { // not NaN
			usage, sessions, n = usage+l.CPUNow, sessions+l.CPUSessions, n+1
		}
	}
	if n == 0 {
		return max(was, perSessionMin)
	}
	u := usage / float64(sessions)
	if u < perSessionMin && usage/float64(n) <= idleUsage {
		u = was
	}
	return max(u, perSessionMin)
}

// cpuNow is the usage that is to be expected with the sessions that a side has by now: those that have come or gone
// since the last reading are in none yet.
func (v *side) cpuNow() float64 {
	return v.expect(v.load.CPUNow)
}

// cpu is the same of the smoothed usage.
func (v *side) cpu() float64 { return v.expect(v.load.CPU) }

func (v *side) expect(usage float64) float64 {
	return min(max(usage+float64(v.score-v.load.CPUSessions)*v.load.PerSession, 0), 1)
}

// cpuKnown tells whether the side's usage is known.
func (v *side) cpuKnown() bool { return !math.IsNaN(v.load.CPUNow) }

// What is left of a backend's CPUs is seen as a share of this: there is always something, so that a ratio of two can
// be had.
const cpuWhole = 1.3

const (
	// cpuBetter is how many times as much the target must have left for a move.
	cpuBetter = 1.2
	// cpuWorse is how many times as much as the target the source may have left behind a move, so that it is not
	// undone.
	cpuWorse = 1.1
	// A backend that is not busy is relieved too if it has used lastingTimes as much, and lastingGap of its CPUs
	// more, for as long as is known.
	lastingTimes = 1.5
	lastingGap   = 0.1
	// cpuSpan is the time in which the CPUs of a backend would be freed, in seconds.
	cpuSpan = 600
)

// adviseCPU compares what is left of the CPUs of both, by the smoothed usage and by that of the moment. A backend
// whose usage is not known is not left for that; nor is anything moved from one to the other for less.
func adviseCPU(from, to *side) (verdict, float64) {
	switch known := from.cpuKnown(); {
	case known != to.cpuKnown():
		return stop, 0
	case !known:
		return goOn, 0
	}
	u := from.load.PerSession
	worse := func(f, t float64) bool { return (cpuWhole-(t+u))*cpuWorse < cpuWhole-(f-u) }
	if worse(from.cpu(), to.cpu()) || worse(from.cpuNow(), to.cpuNow()) {
		return stop, 0
	}
	better := func(f, t float64) bool { return cpuWhole-t >= (cpuWhole-f)*cpuBetter }
	if better(from.cpu(), to.cpu()) && better(from.cpuNow(), to.cpuNow()) || lastingly(from, to) {
		return move, 1 / (u * cpuSpan)
	}
	return goOn, 0
}

// lastingly tells whether the source uses much more than the target, and has for as long as is known.
func lastingly(from, to *side) bool {
	more := func(f, t float64) bool { return f >= t*lastingTimes && f-t >= lastingGap }
	return more(from.load.CPUMean, to.load.CPUMean) && more(from.cpu(), to.cpu()) && more(from.cpuNow(), to.cpuNow())
}

// whyCPU explains the factor.
func whyCPU(from, to *side) string {
	return fmt.Sprintf("%s uses %.0f %% of its CPUs, now %.0f %%, and %s %.0f %%, now %.0f %%", from.Addr,
		100*from.cpu(), 100*from.cpuNow(), to.Addr, 100*to.cpu(), 100*to.cpuNow())
}

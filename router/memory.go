package router

import (
	"fmt"
	"math"
	"time"
)

const (
	// memoryEnd is the share of its quota at which a backend counts as out of memory: then it begins to end queries.
	memoryEnd = 0.9
	// A backend is at risk 2, or 1, above these shares, or if memoryEnd comes within these times.
	memoryHigh, memoryRaised = 0.75, 0.6
	oomSoon, oomLater        = 45 * time.Second, 3 * time.Minute
	// growthFrom is the share up to which growth is not looked at: a process that has just begun grows fast and
	// means nothing by that.
	growthFrom = 0.3
	// growthSoft is the share at which growth is taken as it is: below, the time that is left counts for more.
	growthSoft = 0.6
	// growthLeast is the growth that is worth the name.
	growthLeast = 1e-4
)

// growthSpans are the times over which growth is measured. It must have lasted for both, or it is a query's.
var growthSpans = [...]time.Duration{10 * time.Second, 30 * time.Second}

// measureMemory finds the share in use and how long it will last.
func (l *Load) measureMemory(readings []Reading, now time.Time) {
	var at [2 * 60]int // the readings that say something, newest first
	n := 0
	usable := fresh(readings, now, figureExpiry)
	for i := len(usable) - 1; i >= 0 && n < len(at); i-- {
		r := &usable[i]
		if n > 0 && r.CPU > usable[at[n-1]].CPU {
			break // of the process before
		}
		if finite(r.Memory, r.Quota) && r.Quota > 0 {
			at[n] = i
			n++
		}
	}
	if n == 0 {
		return
	}
	last := &usable[at[0]]
	l.Memory = last.Memory / last.Quota
	l.OOM = timeLeft(usable, at[:n], l.Memory)
	l.Risk = riskOf(l.Memory)
	switch {
	case l.OOM > 0 && l.OOM < oomSoon:
		l.Risk = 2
	case l.OOM > 0 && l.OOM < oomLater:
		l.Risk = max(l.Risk, 1)
	}
}

// timeLeft is how long it takes to memoryEnd if memory goes on to grow; 0 = it does not, or that can't be said yet.
// at are the readings that say something, newest first.
func timeLeft(readings []Reading, at []int, usage float64) (left time.Duration) {
	if usage <= growthFrom || usage >= memoryEnd {
		return 0
	}
	last := &readings[at[0]]
	for _, span := range growthSpans {
		found := false
		for _, i := range at {
			r := &readings[i]
			d := last.At.Sub(r.At)
			if d < span {
				continue
			}
			grown := usage - r.Memory/r.Quota
			if found = grown > growthLeast; found {
				seconds := d.Seconds() * (memoryEnd - usage) / grown * growthSoft / usage
				left = max(left, time.Duration(min(seconds, 1e6)*float64(time.Second)), 1)
			}
			break
		}
		if !found {
			return 0
		}
	}
	return left
}

// risk is the side's risk, with the memory of the sessions that would come or go.
func (v *side) risk() int {
	switch {
	case v.memory == 0 || math.IsNaN(v.load.Memory):
		return v.load.Risk
	case v.memory < 0:
		return riskOf(v.load.Memory + v.memory) // what has made it grow may be what goes
	}
	return max(v.load.Risk, riskOf(v.load.Memory+v.memory))
}

// riskOf is the risk at a share of the quota that does not grow.
func riskOf(usage float64) int {
	switch {
	case usage > memoryHigh:
		return 2
	case usage > memoryRaised:
		return 1
	}
	return 0
}

const (
	// memorySpan and memorySpanSoon are the times in which the sessions of a backend at risk would have left it, in
	// seconds.
	memorySpan, memorySpanSoon = 60, 10
)

// adviseMemory moves away from a backend at risk, to one that is safe.
func adviseMemory(from, to *side) (verdict, float64) {
	if from.risk()-to.risk() < 2 {
		return goOn, 0
	}
	if left := from.load.OOM; left > 0 && left < oomSoon {
		return move, float64(from.score) / memorySpanSoon
	}
	return move, float64(from.score) / memorySpan
}

// whyMemory explains the factor.
func whyMemory(from, to *side) string {
	say := func(v *side) string {
		text := fmt.Sprintf("%s uses %.0f %% of its memory", v.Addr, 100*v.load.Memory)
		if math.IsNaN(v.load.Memory) {
			text = v.Addr + " does not say how much memory it uses"
		}
		if v.load.OOM > 0 && v.load.OOM < oomLater {
			text += fmt.Sprintf(" and is out of it in %v", v.load.OOM.Round(time.Second))
		}
		return text
	}
	return say(from) + ", " + say(to)
}

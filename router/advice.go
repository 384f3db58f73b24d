package router

import "fmt"

// side is a backend as it is judged: what a snapshot says of it, and what moves would change.
type side struct {
	*Standing
	i     int // in the snapshot
	load  *Load
	score int // sessions, with those that have been ordered to come or go
	// memory is the share of its memory that those would take, or free.
	memory float64
	grades [Factors]int
	takes  bool // it may take sessions
}

// verdict is what a factor says of moving a session from one side to another.
type verdict int8

const (
	stop verdict = iota - 1 // the source is not to be relieved at all: it would be undone
	goOn                    // nothing: the next factor is heard
	move
)

// unknownUsage is the grade by CPU of a backend whose usage is not known: it counts as busy. cpuBand is the share of
// CPUs that one grade stands for.
const (
	cpuBand      = 0.05
	unknownUsage = 20
)

// countMax is the worst grade by connections.
const countMax = 65535

// grade is how bad the side is by a factor, 0 being the best. zone is where the sessions go first.
func (v *side) grade(f Factor, s *Spread, zone string) int {
	bad := false
	switch f {
	case FactorLabel:
		bad = !s.allows(v.Tags)
	case FactorStatus:
		bad = !v.Healthy
	case FactorHealth:
		return v.load.Failing
	case FactorMemory:
		return v.risk()
	case FactorCPU:
		if !v.cpuKnown() {
			return unknownUsage
		}
		return int(v.cpuNow()/cpuBand + 1e-9)
	case FactorLocation:
		bad = zone != "" && v.Zone != zone
	case FactorConnection:
		return min(max(v.score, 0), countMax)
	}
	if bad {
		return 1
	}
	return 0
}

// judge sets the side's grades.
func (v *side) judge(s *Spread, zone string) {
	for _, f := range orders[s.Policy] {
		v.grades[f] = v.grade(f, s, zone)
	}
}

// steady is the speed at which sessions leave a backend that is not as bad as to hurry, per second.
const steady = 1

// statusSpan is the time in which the sessions of a backend that fails its checks would have left it, in seconds.
const statusSpan = 5

// advise is what one factor says, and how many sessions per second it would move.
func advise(f Factor, from, to *side, s *Spread) (verdict, float64) {
	if from.grades[f] < to.grades[f] {
		return stop, 0
	}
	said, speed := goOn, 0.0
	switch f {
	case FactorLabel, FactorLocation:
		said, speed = move, steady
	case FactorStatus:
		said, speed = move, float64(from.score)/statusSpan
	case FactorHealth:
		said, speed = adviseHealth(from, to)
	case FactorMemory:
		said, speed = adviseMemory(from, to)
	case FactorCPU:
		said, speed = adviseCPU(from, to)
	case FactorConnection:
		said, speed = adviseConnection(from, to, s)
	}
	if said == move && from.grades[f] == to.grades[f] {
		said = goOn
	}
	if said == move && s.Speeds[f] > 0 {
		speed = s.Speeds[f]
	}
	return said, speed
}

// walk hears the factors in order, from the first of them or behind some, and returns the one that would move
// sessions; ok is false if none would.
func walk(list []Factor, from, to *side, s *Spread) (f Factor, speed float64, ok bool) {
	for _, f := range list {
		switch said, speed := advise(f, from, to, s); said {
		case stop:
			return 0, 0, false
		case move:
			return f, speed, true
		}
	}
	return 0, 0, false
}

const (
	// countSpan is the time in which a difference in number would be gone, in seconds.
	countSpan = 120
	// countSpeedMin is the least of the speeds for it, per second: what is left at last is gone in a while too.
	countSpeedMin = 0.05
)

// adviseConnection compares the numbers of sessions: the source may have so many times as many as the target with one
// more.
func adviseConnection(from, to *side, s *Spread) (verdict, float64) {
	r, f, t := s.CountRatio, float64(from.score), float64(to.score+1)
	if r <= 1 || f <= t*r {
		return goOn, 0
	}
	return move, max(((f+t)/(1+r)-t)/countSpan, countSpeedMin)
}

// why explains, in one line, that a factor moves sessions.
func why(f Factor, from, to *side, s *Spread) string {
	switch f {
	case FactorLabel:
		return fmt.Sprintf("%s has not the tag %s=%s, %s has", from.Addr, s.Label, s.LabelValue, to.Addr)
	case FactorStatus:
		return fmt.Sprintf("%s fails its checks, %s does not", from.Addr, to.Addr)
	case FactorHealth:
		return whyHealth(from, to)
	case FactorMemory:
		return whyMemory(from, to)
	case FactorCPU:
		return whyCPU(from, to)
	case FactorLocation:
		return fmt.Sprintf("%s stands in zone %q, %s in zone %q", from.Addr, from.Zone, to.Addr, to.Zone)
	}
	return fmt.Sprintf("%s has %d sessions, %s %d, and %g times as many are allowed", from.Addr, from.score, to.Addr,
		to.score, s.CountRatio)
}

// after is the side with n sessions more, of which each takes that share of memory.
func (v *side) after(n int, share float64, s *Spread, zone string) side {
	w := *v
	w.score += n
	w.memory += float64(n) * share
	w.judge(s, zone)
	return w
}

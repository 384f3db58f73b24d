package chart

import (
	"math"
	"slices"
)

// scale turns a value into a place on an axis, in pixels.
type scale struct {
	from, to   float64 // values at the ends
	start, end float64 // their places
	log        bool
	ticks      []float64 // values that are written at the axis, ascending
}

func (s scale) at(v float64) float64 {
	from, to := s.from, s.to
	if s.log {
		v, from, to = math.Log(v), math.Log(from), math.Log(to)
	}
	if from == to {
		return (s.start + s.end) / 2
	}
	return s.start + (s.end-s.start)*(v-from)/(to-from)
}

// linear is an axis from 0 to the first tick at or above most, a positive number. It has at most
// intervals between its ticks.
func linear(most float64, intervals int, start, end float64) scale {
	step := roundStep(most / float64(intervals))
	n := int(math.Ceil(most/step - 1e-9)) // what is a tick but for rounding is one
	s := scale{to: float64(n) * step, start: start, end: end}
	for i := range n + 1 {
		s.ticks = append(s.ticks, float64(i)*step)
	}
	return s
}

// roundStep is the least of 1, 2 and 5 times a power of ten that is at least v.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= v*(1-1e-9) {
			return factor * power
		}
	}
	return 10 * power
}

// logarithmic is an axis between the ticks around two positive numbers.
func logarithmic(least, most, start, end float64) scale {
	const decadesFine = 3 // over more of them only powers of ten are written
	factors := []float64{1, 2, 5}
	if math.Log10(most/least) > decadesFine {
		factors = factors[:1]
	}
	s := scale{start: start, end: end, log: true}
	for decade := math.Floor(math.Log10(least)); len(s.ticks) == 0 || s.ticks[len(s.ticks)-1] < most; decade++ {
		for _, factor := range factors {
			s.ticks = append(s.ticks, factor*math.Pow(10, decade))
		}
	}
	for len(s.ticks) > 2 && s.ticks[1] <= least {
		s.ticks = s.ticks[1:]
	}
	for len(s.ticks) > 2 && s.ticks[len(s.ticks)-2] >= most {
		s.ticks = s.ticks[:len(s.ticks)-1]
	}
	s.from, s.to = s.ticks[0], s.ticks[len(s.ticks)-1]
	return s
}

// counts is a logarithmic axis with a tick at each of the counts that were measured, all positive.
func counts(values []float64, start, end float64) scale {
	ticks := slices.Compact(slices.Sorted(slices.Values(values)))
	return scale{from: ticks[0], to: ticks[len(ticks)-1], start: start, end: end, log: true, ticks: ticks}
}

// tickText writes a round number: a tick, or a count.
func tickText(v float64) string {
	if v == 0 {
		return "0"
	}
	return inUnit(v, trimmed)
}

package publish

import (
	"fmt"
	"math"
	"strconv"

	"sluice/bench/internal/suite"
)

// verdict is what a run says about one target under one load.
type verdict struct {
	target
	measured suite.Spread
	known    bool
	rounds   int
}

// judge looks a target up in a run.
func (r *Run) judge(t target, scenario, load string) verdict {
	v := verdict{target: t}
	of := sluice
	if t.of != "" {
		of = t.of
	}
	res := r.result(scenario, load, of)
	name := t.figure
	switch {
	case t.against != "":
		name += "/" + t.against
	case t.fewer && res != nil:
		name += "/" + res.Versus
	}
	if v.measured, v.known = spreadOf(res, name); v.known {
		v.rounds = len(res.Rounds)
	}
	return v
}

// met reports whether the median of a known figure keeps to the limit.
func (v verdict) met() bool { return v.known && v.keeps(v.measured.Median) }

func (v verdict) keeps(figure float64) bool {
	if v.atLeast {
		return figure >= v.limit
	}
	return figure <= v.limit
}

// decided reports whether the figure was taken in as many rounds as the target asks for: what is not
// divided, memory, hardly differs from round to round.
func (v verdict) decided() bool { return v.known && (!v.divided() || v.rounds >= roundsMin) }

// divided reports whether a target is about a ratio.
func (t target) divided() bool { return t.against != "" || t.fewer }

// text is the verdict as a cell of a table.
func (v verdict) text() string {
	if !v.known {
		return "not measured"
	}
	decimals := v.decimals()
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', decimals, 64) }
	text := number(v.measured.Median)
	if v.rounds > 1 {
		text += fmt.Sprintf(" (%s–%s)", number(v.measured.Min), number(v.measured.Max))
	}
	if v.met() {
		text += " ✓ met"
	} else {
		text += " **missed**"
	}
	if !v.decided() {
		text += fmt.Sprintf(", in %d of %d rounds", v.rounds, roundsMin)
	}
	return text
}

// decimals are those that the target's unit needs, and more where a rounded median would be on the
// other side of the limit than the median itself.
func (v verdict) decimals() int {
	const most = 6
	decimals := 2
	if !v.divided() {
		decimals = 0
	}
	for ; decimals < most; decimals++ {
		power := math.Pow(10, float64(decimals))
		if v.keeps(math.Round(v.measured.Median*power)/power) == v.met() {
			break
		}
	}
	return decimals
}

// headingText is the column's heading: what is compared, with whom, and the limit.
func (t target) headingText() string {
	text, limit := t.heading, strconv.FormatFloat(t.limit, 'f', 0, 64)
	if t.of != "" {
		text += " of " + contenderNames[t.of]
	}
	switch {
	case t.against != "":
		text += " ÷ " + contenderNames[t.against]
	case t.fewer:
		text += " ÷ that of fewer clients"
	}
	if t.divided() {
		limit = strconv.FormatFloat(t.limit, 'f', 2, 64)
	}
	if t.atLeast {
		return text + ", at least " + limit
	}
	return text + ", at most " + limit
}

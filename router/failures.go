package router

import (
	"fmt"
	"math"
	"time"
)

// failureSpan is the time over which failures are counted.
const failureSpan = 2 * time.Minute

// Shares of failed requests, to PD and to TiKV: up to failNormal all is well, from these on the backend fails.
const (
	failNormal       = 0.1
	pdFails, kvFails = 0.5, 0.3
)

// healthSpan is the time in which the sessions of a backend that fails would have left it, in seconds.
const healthSpan = 60

// measureFailures finds the shares of what the backend asked of others that failed.
func (l *Load) measureFailures(readings []Reading, now time.Time) {
	usable := fresh(readings, now, failureSpan)
	pd := func(r *Reading) (failed, total float64) { return r.PDFailed, r.PDTotal }
	kv := func(r *Reading) (failed, total float64) { return r.KVFailed, r.KVTotal }
	pdLevel, kvLevel := 0, 0
	l.PDFailures, pdLevel = failures(usable, now, pdFails, pd)
	l.KVFailures, kvLevel = failures(usable, now, kvFails, kv)
	l.Failing = max(pdLevel, kvLevel)
}

// failures is the share of one kind of request, and what it means. A counter that is not there counts nothing: it
// appears with the first thing to count. One that has gone down is that of another process: what was before is
// forgotten.
func failures(readings []Reading, now time.Time, fails float64, of func(*Reading) (failed, total float64)) (share float64, level int) {
	var failed, total, wasFailed, wasTotal float64
	var last *Reading
	for i := range readings {
		r := &readings[i]
		f, t := of(r)
		if !finite(f) && !finite(t) {
			continue
		}
		restarted := last != nil && (f < wasFailed || t < wasTotal || r.CPU < last.CPU)
		switch {
		case restarted:
			failed, total, wasFailed, wasTotal = 0, 0, 0, 0
		case last != nil:
			failed, total = failed+grown(f, wasFailed), total+grown(t, wasTotal)
		}
		wasFailed, wasTotal, last = max(wasFailed, grown(f, 0)), max(wasTotal, grown(t, 0)), r
	}
	switch {
	case last == nil || now.Sub(last.At) > figureExpiry || failed == 0 && total == 0:
		return math.NaN(), 0
	case total == 0:
		return 1, 2
	}
	switch share = failed / total; {
	case share >= fails:
		level = 2
	case share > failNormal:
		level = 1
	}
	return share, level
}

// grown is how far a counter has come since it was at was.
func grown(is, was float64) float64 {
	if !finite(is) {
		return 0
	}
	return is - was
}

// adviseHealth moves away from a backend that fails, to one that does not.
func adviseHealth(from, to *side) (verdict, float64) {
	if from.load.Failing-to.load.Failing < 2 {
		return goOn, 0
	}
	return move, float64(from.score) / healthSpan
}

// whyHealth explains the factor.
func whyHealth(from, to *side) string {
	say := func(v *side) string {
		text := ""
		for _, one := range [...]struct {
			name  string
			share float64
		}{{"PD", v.load.PDFailures}, {"TiKV", v.load.KVFailures}} {
			if !math.IsNaN(one.share) {
				text += fmt.Sprintf(", %.0f %% of its requests to %s failed", 100*one.share, one.name)
			}
		}
		if text == "" {
			return v.Addr + " does not fail"
		}
		return "at " + v.Addr + text[1:]
	}
	return say(from) + "; " + say(to)
}

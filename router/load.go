package router

import (
	"math"
	"time"
)

// How old the last reading may be from which a figure is taken. CPU stays known for longer, as one that is not
// known keeps sessions away.
const (
	cpuExpiry    = 2 * time.Minute
	figureExpiry = time.Minute
)

// Load is how a backend does by its own figures. It is shared and not changed.
type Load struct {
	// CPU is the share of its CPUs in use, 0..1: smoothed, of the last interval, and over all that is known. NaN =
	// not known.
	CPU, CPUNow, CPUMean float64
	CPUSessions          int // that were at it when CPUNow was measured
	// PerSession is the share of a backend's CPUs that a session takes, over all backends.
	PerSession float64

	Memory float64       // share of its quota in use; NaN = not known
	OOM    time.Duration // until it is used up, if it goes on to grow like this; 0 = it does not grow
	Risk   int           // of running out of memory: 0, 1, 2

	// PDFailures and KVFailures are the shares of what it asked of PD and TiKV that failed. NaN = it asked nothing.
	PDFailures, KVFailures float64
	Failing                int // by those: 0, 1, 2
}

// unknown is the load of a backend that says nothing of itself.
var unknown = Load{CPU: math.NaN(), CPUNow: math.NaN(), CPUMean: math.NaN(), PerSession: perSessionMin,
	Memory: math.NaN(), PDFailures: math.NaN(), KVFailures: math.NaN()}

// measure makes a backend's figures of its readings, oldest first. PerSession is left to who knows all backends.
func measure(readings []Reading, now time.Time) Load {
	l := unknown
	l.measureCPU(readings, now)
	l.measureMemory(readings, now)
	l.measureFailures(readings, now)
	return l
}

// finite tells that all values were said.
func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// fresh returns the readings of the last span, without those that are not of the past.
func fresh(readings []Reading, now time.Time, span time.Duration) []Reading {
	for len(readings) > 0 && now.Sub(readings[0].At) > span {
		readings = readings[1:]
	}
	for n := len(readings); n > 0 && readings[n-1].At.After(now); n = len(readings) {
		readings = readings[:n-1]
	}
	return readings
}

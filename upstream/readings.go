package upstream

import (
	"slices"
	"time"

	"sluice/router"
)

// What is kept of a backend's figures.
const (
	readingsFor = 2 * time.Minute
	readingsMax = 240 // the newest
)

// How many sessions a backend had is kept second by second, for countsFor, which is longer than a Prometheus takes to
// tell. Figures older than countsFresh are of the sessions of then.
const (
	countsEvery = time.Second
	countsFor   = time.Minute
	countsFresh = 2 * time.Second
)

// counted is how many sessions a backend had.
type counted struct {
	at       time.Time
	sessions int
}

// CountSessions takes note of how many sessions the backend has, for figures of now that will be known later. Who
// balances the cluster calls it, as often as it likes.
func (b *Backend) CountSessions(now time.Time) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if n := len(b.counts); n > 0 && now.Sub(b.counts[n-1].at) < countsEvery {
		return
	}
	for len(b.counts) > 0 && now.Sub(b.counts[0].at) > countsFor {
		b.counts = b.counts[1:]
	}
	b.counts = append(b.counts, counted{now, b.Sessions()})
}

// sessionsAt is how many sessions the backend had at a moment, as far as that is known. b.reading is held.
func (b *Backend) sessionsAt(at, now time.Time) int {
	if now.Sub(at) < countsFresh {
		return b.Sessions()
	}
	for i := len(b.counts) - 1; i >= 0; i-- {
		if c := &b.counts[i]; !c.at.After(at) || i == 0 {
			return c.sessions
		}
	}
	return b.Sessions()
}

// Readings are the backend's figures of the last two minutes, the oldest first. The slice is not to be changed;
// another one takes its place when there is a new reading.
func (b *Backend) Readings() []router.Reading {
	if p := b.readings.Load(); p != nil {
		return *p
	}
	return nil
}

// AddReadings adds figures that are newer than those that are known; others are passed over. list begins with the
// oldest. The number of this proxy's sessions in a reading is filled in here. now is the end of the two minutes.
func (b *Backend) AddReadings(now time.Time, list ...router.Reading) {
	b.reading.Lock()
	defer b.reading.Unlock()
	old := b.Readings()
	all := slices.Clone(old)
	for _, r := range list {
		if n := len(all); n > 0 && !r.At.After(all[n-1].At) {
			continue
		}
		r.Sessions = b.sessionsAt(r.At, now)
		all = append(all, r)
	}
	from := now.Add(-readingsFor)
	first := max(0, len(all)-readingsMax)
	for first < len(all) && all[first].At.Before(from) {
		first++
	}
	if len(all) == len(old) && first == 0 {
		return
	}
	all = slices.Clone(all[first:])
	b.readings.Store(&all)
}

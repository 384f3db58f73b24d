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
		r.Sessions = b.Sessions()
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

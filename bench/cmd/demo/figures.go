package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// textsMax bounds how many different error texts are remembered.
const textsMax = 20

// figures is what the clients saw. All clients write to it; its lock is held for moments.
type figures struct {
	mu         sync.Mutex
	recent     []time.Duration // answers since the last snapshot
	answers    int64
	ends       errorCount // sessions that ended with their server
	unexpected errorCount
}

// errorCount counts errors, all of them and by text.
type errorCount struct {
	all    int64
	byText map[string]int64
}

func (c *errorCount) add(text string) {
	c.all++
	if c.byText == nil {
		c.byText = make(map[string]int64)
	}
	if _, known := c.byText[text]; known || len(c.byText) < textsMax {
		c.byText[text]++
	}
}

// answered notes a query that was answered.
func (f *figures) answered(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, took)
	f.answers++
}

// ended notes a session that ended because its server did.
func (f *figures) ended(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends.add(err.Error())
}

// failed notes an error that no death of a server explains.
func (f *figures) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unexpected.add(err.Error())
}

// snapshot is the figures since the last snapshot, and some since the begin.
type snapshot struct {
	perSecond  float64
	p50, p99   time.Duration
	answers    int64 // since the begin
	ended      int64 // since the begin
	unexpected int64 // since the begin
}

// take sums up what came in over the time since the last call.
func (f *figures) take(over time.Duration) snapshot {
	f.mu.Lock()
	recent := f.recent
	f.recent = nil
	s := snapshot{
		perSecond:  float64(len(recent)) / over.Seconds(),
		answers:    f.answers,
		ended:      f.ends.all,
		unexpected: f.unexpected.all,
	}
	f.mu.Unlock()
	slices.Sort(recent)
	if n := len(recent); n > 0 {
		s.p50, s.p99 = recent[n/2], recent[n*99/100]
	}
	return s
}

// texts returns copies of what was counted by text.
func (f *figures) texts() (ends, unexpected map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.ends.byText), maps.Clone(f.unexpected.byText)
}

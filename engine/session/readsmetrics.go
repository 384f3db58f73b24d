package session

// readResult is where a unit of work that only reads was done, and why there.
type readResult uint8

const (
	readReplica readResult = iota // at another backend than the session's own
	readChosen                    // at its own: it was the best
	readBehind                    // at its own: no replica had what the session wrote in time
	readUnfit                     // at its own: no other was fit and up, or could be asked
	readResults = iota
)

// String returns the result's metric label.
func (r readResult) String() string { return [...]string{"replica", "chosen", "behind", "unfit"}[r] }

// readStats are a loop's figures of one listener's units that only read.
type readStats struct {
	results [readResults]uint64
	waited  histogram // for positions
}

func (c *readStats) add(o *readStats) {
	for i := range c.results {
		c.results[i] += o.results[i]
	}
	c.waited.add(&o.waited)
}

// writeReads writes the figures of units of work that only read, of the listeners that have had some.
func writeReads(m *metricWriter, sum *loopStats) {
	var names []string
	for _, n := range sortedKeys(sum.frontends) {
		if sum.frontends[n].reads.results != [readResults]uint64{} {
			names = append(names, n)
		}
	}
	m.meta("sluice_reads_total", "counter")
	for _, n := range names {
		for i, count := range sum.frontends[n].reads.results {
			m.value("sluice_reads_total", label("listener", n)+","+label("result", readResult(i).String()), float64(count))
		}
	}
	m.meta("sluice_read_wait_seconds", "histogram")
	for _, n := range names {
		m.histogram("sluice_read_wait_seconds", label("listener", n), &sum.frontends[n].reads.waited)
	}
}

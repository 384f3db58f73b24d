package session

import (
	"sync"
	"time"

	"sluice/upstream"
)

// seekOutcome is how it ends that a session seeks.
type seekOutcome uint8

const (
	soughtFound  seekOutcome = iota // it has got a server connection
	soughtVain                      // the time was over
	soughtTooFar                    // too many sought already
	soughtLeft                      // the session ended for another reason
	seekOutcomes = iota
)

// String returns the outcome's metric label.
func (o seekOutcome) String() string {
	return [...]string{"found", "timeout", "too_many", "left"}[o]
}

// seekers counts the sessions that seek, by cluster, over all loops. It is asked at the begin and the end of a
// wait that is long in any case.
type seekers struct {
	mu   sync.Mutex
	list map[*upstream.Cluster]*seekCount
}

// seekCount is the count of one cluster.
type seekCount struct {
	now  int
	over [seekOutcomes]uint64
}

// of returns the count of a cluster. With the lock held.
func (k *seekers) of(c *upstream.Cluster) *seekCount {
	n := k.list[c]
	if n == nil {
		if k.list == nil {
			k.list = map[*upstream.Cluster]*seekCount{}
		}
		n = &seekCount{}
		k.list[c] = n
	}
	return n
}

// lookEach is the time that passes, at least, between two looks of all the sessions that seek, by a clock: when
// there are very many each of them looks less often. lookMax bounds that.
const (
	lookEach = 200 * time.Microsecond
	lookMax  = time.Second
)

// pause is the time after which a session is to look again that would do so after that time if it were alone.
func (k *seekers) pause(c *upstream.Cluster, after time.Duration) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(after, min(time.Duration(k.of(c).now)*lookEach, lookMax))
}

// enter counts a session in, unless as many seek as may.
func (k *seekers) enter(c *upstream.Cluster) bool {
	limit := c.Options().FailoverClients
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.of(c)
	if limit > 0 && n.now >= limit {
		n.over[soughtTooFar]++
		return false
	}
	n.now++
	return true
}

// leave counts a session out.
func (k *seekers) leave(c *upstream.Cluster, o seekOutcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.of(c)
	n.now--
	n.over[o]++
}

// drop forgets clusters that are not in use any more.
func (k *seekers) drop(stays func(*upstream.Cluster) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c, n := range k.list {
		if n.now == 0 && !stays(c) {
			delete(k.list, c)
		}
	}
}

// FailoverInfo tells of the sessions of a cluster that wait for a backend.
type FailoverInfo struct {
	Waiting int // at present
	// Found have got one, Timeouts have waited in vain, TooMany were not let wait, Left have ended for another
	// reason.
	Found, Timeouts, TooMany, Left uint64
}

// Failover returns the sessions of each cluster that wait, or have waited, for a backend, by the cluster's name.
func (p *Proxy) Failover() map[string]FailoverInfo {
	k := &p.pools.seekers
	k.mu.Lock()
	defer k.mu.Unlock()
	list := map[string]FailoverInfo{}
	for c, n := range k.list {
		i := list[c.Name()]
		i.Waiting += n.now
		i.Found += n.over[soughtFound]
		i.Timeouts += n.over[soughtVain]
		i.TooMany += n.over[soughtTooFar]
		i.Left += n.over[soughtLeft]
		list[c.Name()] = i
	}
	return list
}

// writeFailover writes the figures of the sessions that wait for a backend.
func (p *Proxy) writeFailover(m *metricWriter) {
	list := p.Failover()
	names := sortedKeys(list)
	m.meta("sluice_failover_waiting", "gauge")
	for _, n := range names {
		m.value("sluice_failover_waiting", label("cluster", n), float64(list[n].Waiting))
	}
	m.meta("sluice_failover_waits_total", "counter")
	for _, n := range names {
		i := list[n]
		for o, count := range [...]uint64{i.Found, i.Timeouts, i.TooMany, i.Left} {
			m.value("sluice_failover_waits_total", label("cluster", n)+","+label("outcome", seekOutcome(o).String()), float64(count))
		}
	}
}

package session

import (
	"errors"
	"sync"
	"time"

	"sluice/codec"
	"sluice/router"
	"sluice/upstream"
)

// A session seeks while no backend will do for its next unit of work: none fits, none of those that fit is up,
// the one that should is not ready yet, or the work on the leader is held since another one is about to take
// over. It looks again every retryPause, and at once when the topology has changed (wake).

// notYetPause is the time between two attempts at a server that is not what it has to be yet.
const notYetPause = 50 * time.Millisecond

// errSeekers is what a client is told when too many seek already.
var errSeekers = codec.Error{Cond: codec.PoolWait, Text: "too many clients wait for a server"}

// isNotYet tells whether a server could not be used for a reason that will pass soon: it starts up or shuts
// down, or it is about to become, or to be, no leader any more.
func isNotYet(err error) bool {
	var own codec.Error
	return errors.As(err, &own) && own.Cond == codec.WrongPart
}

// held tells whether work that is to begin at a backend has to wait for another leader.
func (s *Session) held(b *upstream.Backend, want *router.Want) bool {
	_, held := s.cluster.Held()
	return held && b.Leads() && want.Roles.Has(router.Leader)
}

// placed tells whether a unit of work may begin at the session's backend, as far as the topology goes.
func (s *Session) placed() bool {
	want := s.want()
	return s.backend.Fits(want) == "" && !s.held(s.backend, &want)
}

// forsaken tells that there is no backend for the session's next unit of work.
func (s *Session) forsaken() bool {
	want := s.want()
	for _, b := range s.cluster.Backends() {
		if b.Health() != upstream.Down && b.Fits(want) == "" && !s.held(b, &want) {
			return false
		}
	}
	return true
}

// seek has the session look for a backend again by calling then after a while, or when the topology has changed.
// It ends when the time for that is over, or if too many seek. cause is why, for the log.
func (s *Session) seek(cause error, after time.Duration, then func()) {
	sh, r := s.sh, s.sh.trouble()
	if sh.since == 0 {
		sh.since = s.on.loop.Now()
	}
	if cause != nil {
		r.err = cause
	}
	if !r.seeking {
		if !s.p.pools.seekers.enter(s.cluster) {
			s.endWaiting(errSeekers, cause)
			return
		}
		r.seeking = true
	}
	if s.retryLeft() <= 0 {
		s.sought(soughtVain)
		s.endInVain()
		return
	}
	s.pause(s.p.pools.seekers.pause(s.cluster, after), then)
}

// sought counts the session out of those that seek.
func (s *Session) sought(o seekOutcome) {
	if r := s.sh.retry; r != nil && r.seeking {
		r.seeking = false
		s.p.pools.seekers.leave(s.cluster, o)
	}
}

// wake has the sessions of all loops look.
func (p *Proxy) wake() {
	for _, on := range p.loops {
		on.loop.Run(on.wake)
	}
}

// wake has the sessions look that wait for a server connection, as the topology has changed: those that seek,
// and those that wait for one at a backend at which nothing is to begin any more.
func (on *loopState) wake() {
	on.around(on.moveListeners)
	on.visit(on.all(), func(s *Session) { on.around(s.look) }, nil)
}

// look is wake for one session.
func (s *Session) look() {
	sh := s.sh
	if sh == nil || sh.since == 0 || sh.at != nil {
		return
	}
	switch r := sh.retry; {
	case r != nil && r.then != nil:
		then := r.then
		r.then = nil
		s.on.loop.Disarm(&r.timer)
		then()
	case sh.waiter.Waits() && (!s.placed() || s.backend.Health() == upstream.Down && s.hasProspects()):
		sh.home.part.Cancel(&sh.waiter)
		s.again()
	}
}

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

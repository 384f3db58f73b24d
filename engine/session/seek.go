package session

import (
	"errors"
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

// placing is all on which it depends whether a unit of work may begin at a backend. It is asked for each unit, and
// the topology hardly ever changes: so a home keeps with what the answer was yes.
type placing struct {
	set     *Settings
	behind  *map[string]bool
	changes uint64 // of the cluster
}

// placed tells whether a unit of work may begin at the session's backend, as far as the topology goes.
func (s *Session) placed() bool {
	set := s.wishes()
	now := placing{set, set.lagging.addrs.Load(), s.cluster.Changes()}
	if s.sh.home.placed == now && !s.sh.away() {
		return true
	}
	return s.placedNow(now)
}

// placedNow is placed, found anew.
func (s *Session) placedNow(now placing) bool {
	want := s.want()
	ok := s.backend.Fits(want) == "" && !s.held(s.backend, &want)
	if ok && !s.sh.away() && s.sh.home.spec.backend == s.backend {
		s.sh.home.placed = now
	}
	return ok
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
// It ends when the time for that is over, if too many seek, or if it was asked to leave. cause is why, for the log.
func (s *Session) seek(cause error, after time.Duration, then func()) {
	sh, r := s.sh, s.sh.trouble()
	if sh.since == 0 {
		sh.since = s.on.loop.Now()
	}
	if cause != nil {
		r.err = cause
	}
	if s.stage == stageRelay && s.leaving != nil {
		s.leave(Drained)
		return
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

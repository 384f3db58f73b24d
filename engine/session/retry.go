package session

import (
	"errors"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
	"sluice/upstream/pool"
)

// retrying is what a session remembers that can't get a server connection.
type retrying struct {
	timer  engine.Timer
	err    error // why not
	faults int   // answers in a row that no time will change
	lostAt int64 // engine.Nano at which one was lost before the unit of work had begun; 0: none was

	then    func() // what the timer is to call; nil: it is not set
	seeking bool   // counted among the sessions for which there is no backend
}

// retryPause is the time between two attempts of a session to get a server connection, after the pool
// has said that none can be opened.
const retryPause = 100 * time.Millisecond

// trouble is what the session remembers, made at the first occasion.
func (sh *shared) trouble() *retrying {
	if sh.retry == nil {
		sh.retry = &retrying{}
	}
	return sh.retry
}

// pause has then called after a while, if the session has not ended or got a server connection by then.
func (s *Session) pause(after time.Duration, then func()) {
	r := s.sh.trouble()
	r.then = then
	r.timer.Fn = func() {
		r.then = nil
		if s.stage != stageOver && s.sh.at == nil && s.sh.since > 0 {
			s.on.around(then)
		}
	}
	s.on.loop.Arm(&r.timer, min(after, max(s.retryLeft(), 0)))
}

// retryLeft is the time in which the session may still try to get a server connection.
func (s *Session) retryLeft() time.Duration {
	opt := s.cluster.Options()
	limit := opt.RetryTimeout
	if r := s.sh.retry; r != nil && r.seeking {
		limit = max(limit, opt.FailoverTimeout)
	}
	return limit - asDuration(engine.Nano()-s.sh.since)
}

// waitFailed tries again, at another backend if there is one, until the cluster's retry time-out; then
// the client is told.
func (s *Session) waitFailed(err error) {
	sh := s.sh
	if s.stage == stageOver || sh.at != nil {
		return
	}
	sh.home.counts.errors++
	if sh.away() {
		s.readFailed()
		return
	}
	r := sh.trouble()
	if r.err = err; s.isFault(err) {
		r.faults++
	} else {
		r.faults = 0
	}
	switch {
	case isNotYet(err), errors.Is(err, pool.ErrWait) && sh.home.spec.notYet.Load(),
		!errors.Is(err, pool.ErrDisabled) && r.faults == 0 && (s.forsaken() || s.isLost(err)):
		sh.failed = true
		s.seek(err, pauseBehind(err), s.againLater)
	case errors.Is(err, pool.ErrDropped) && s.hasProspects():
		s.again()
	case errors.Is(err, pool.ErrWait):
		s.endWaiting(codec.Error{Cond: codec.PoolWait, Text: "no server connection became free in time"}, err)
	case errors.Is(err, pool.ErrDisabled), s.retryLeft() <= 0, r.faults >= max(len(s.cluster.Backends()), 1):
		s.endInVain()
	default:
		sh.failed = true // another backend may do better
		s.pause(retryPause, s.againLater)
	}
}

// isLost tells whether an attempt has failed since the server can't be reached, where a discovery may find another
// one: it may be the last to know that this one has gone.
func (s *Session) isLost(err error) bool {
	if s.cluster.Options().Discovery == nil || errors.Is(err, pool.ErrWait) || errors.Is(err, pool.ErrDropped) {
		return false
	}
	var own codec.Error
	return !errors.As(err, &own)
}

// pauseBehind is the time after an attempt that has failed until the next one.
func pauseBehind(err error) time.Duration {
	if isNotYet(err) {
		return notYetPause
	}
	return retryPause
}

// isFault tells whether an attempt has failed for a reason that no time will change: the user, at its login,
// or how Sluice and the server are set up.
func (s *Session) isFault(err error) bool {
	var own codec.Error
	if !errors.As(err, &own) {
		return false
	}
	switch own.Cond {
	case codec.AuthDenied:
		return s.sh.intro
	case codec.ClearPassword, codec.ServerNotSupport:
		return true
	}
	return false
}

// againLater queues once more, if there is a point in it; for those who wait for a backend to come back
// looking is all they do.
func (s *Session) againLater() {
	switch {
	case s.hasProspects():
		s.again()
	case s.forsaken():
		s.seek(nil, retryPause, s.againLater)
	case s.retryLeft() <= 0:
		s.endInVain()
	default:
		s.pause(retryPause, s.againLater)
	}
}

// hasProspects tells whether an attempt to get a server connection may lead to one.
func (s *Session) hasProspects() bool {
	b, spec, want := s.backend, s.sh.home.spec, s.want()
	if s.placed() && (spec.dropped.Load() || b.Health() != upstream.Down && spec.usable(s.on.loop.Now())) {
		return true
	}
	for _, other := range s.cluster.Backends() {
		if other != b && other.Health() != upstream.Down && other.Fits(want) == "" && !s.held(other, &want) {
			return true
		}
	}
	return b.Gone() && s.cluster.Options().Discovery == nil // nobody will find another one
}

// lostEarly takes note that a server connection was lost before the unit of work had begun: another one will
// do. A server that does so again and again is given pauses, and in the end up.
func (s *Session) lostEarly(err error) {
	sh := s.sh
	if sh.away() {
		s.readFailed()
		return
	}
	r := sh.trouble()
	if r.lostAt == 0 {
		r.lostAt = s.on.loop.Now()
		s.again()
		return
	}
	sh.need, sh.since = codec.NeedHost, r.lostAt
	s.waitFailed(err)
}

// endInVain ends a session that has tried for long enough to get a server connection.
func (s *Session) endInVain() {
	var own codec.Error
	err := s.sh.trouble().err
	if isNotYet(err) {
		_ = errors.As(err, &own)
		own.Cond, own.Text = codec.NoBackend, "no server is available" // Raw, if it is the server's own word
	} else if !errors.As(err, &own) || own.Raw == "" && own.Cond != codec.AuthDenied && !s.isFault(err) {
		own = codec.Error{Cond: codec.NoBackend, Text: "no server is available"}
	}
	s.endWaiting(own, err)
}

// endWaiting ends a session that can't get a server connection.
func (s *Session) endWaiting(e codec.Error, cause error) {
	if s.stage == stageLogin {
		s.refuse(outcomeOf(e.Cond), e, cause)
		return
	}
	s.end(outcomeOf(e.Cond), &e, cause)
}

// leaveDown has sessions leave a backend that is down which would not notice: those that only listen, and those
// that wait for a server connection in use, of which nobody knows when it will end.
func (on *loopState) leaveDown() {
	on.moveListeners()
	down := false
	for spec, h := range on.homes {
		down = down || h.part.Waiting() > 0 && spec.backend.Health() == upstream.Down
	}
	if !down {
		return
	}
	for _, s := range on.all() {
		if sh := s.sh; sh != nil && sh.waiter.Waits() && s.backend.Health() == upstream.Down && s.hasProspects() {
			sh.home.part.Cancel(&sh.waiter)
			s.again()
		}
	}
}

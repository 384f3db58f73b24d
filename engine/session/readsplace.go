package session

import (
	"sluice/router"
	"sluice/upstream"
)

// place is where a session gets its server connections.
type place struct {
	home    *home
	backend *upstream.Backend // the session is counted there
}

// goAway makes the second place the session's home.
func (s *Session) goAway() {
	r := s.sh.reads
	r.own = place{s.sh.home, s.backend}
	r.away = true
	s.standAt(r.to)
}

// goHome makes the session's own place its home again.
func (s *Session) goHome() {
	if s.sh.away() {
		r := s.sh.reads
		r.away = false
		s.standAt(r.own)
		r.own = place{}
	}
}

func (s *Session) standAt(p place) {
	s.sh.home, s.backend = p.home, p.backend
	s.bst = p.home.bst
}

// leaveAway gives the second place up.
func (s *Session) leaveAway() {
	r := s.sh.reads
	if r.to.backend != nil {
		r.to.backend.Release()
	}
	r.to = place{}
}

// findAway finds a second place that will do for a unit that only reads: the one of the unit before, or
// another one. With bound its position has to compare with the leader's. It returns readReplica, or why the
// unit is for the session's own place.
func (s *Session) findAway(bound bool) readResult {
	r := s.sh.reads
	want := s.readWant()
	b := r.to.backend
	if b == nil || b.Health() == upstream.Down || b.Fits(want) != "" || !r.to.home.spec.usable(s.on.loop.Now()) {
		var tried []*upstream.Backend
		if b != nil {
			tried = []*upstream.Backend{b}
		}
		s.leaveAway()
		if r.to.backend, _ = s.cluster.Pick(want, tried); r.to.backend == nil {
			return readUnfit
		}
		b = r.to.backend
	}
	switch {
	case b == s.backend:
		s.leaveAway()
		return readChosen
	case s.held(b, &want), bound && !r.compares(b):
		s.leaveAway()
		return readUnfit
	}
	if r.to.home == nil || r.to.home.spec.dropped.Load() {
		s.settleAway()
	}
	if !r.to.home.spec.usable(s.on.loop.Now()) {
		s.leaveAway()
		return readUnfit
	}
	return readReplica
}

// settleAway finds the pool for units that only read at the backend of the second place.
func (s *Session) settleAway() {
	r, own := s.sh.reads, s.backend
	s.backend, r.away = r.to.backend, true // as wanted has it
	spec := s.spec()
	s.backend, r.away = own, false
	if here := s.sh.home.spec; here.user == spec.user { // the newest that is known to be right
		spec.secret.Store(here.secret.Load())
	}
	r.to.home = s.on.homeOf(spec)
}

// readWant is what a unit that only reads asks the router for.
func (s *Session) readWant() router.Want {
	w := s.want()
	w.Roles = s.sharing().ReadRoles
	return w
}

// canAskOwn tells whether there are prospects that the server of the session's own home tells its position.
func (s *Session) canAskOwn() bool {
	spec := s.sh.home.spec
	return s.placed() && s.backend.Health() != upstream.Down && !spec.dropped.Load() && spec.usable(s.on.loop.Now())
}

// compares tells whether the backend is on the floor's timeline, as far as that is known. What a discovery says
// of a replica may be out of date, but then it names one that the replica has left since.
func (r *reading) compares(b *upstream.Backend) bool {
	line := b.Spec().Timeline
	return line == r.line || line == 0 || r.line == 0
}

package session

import (
	"errors"

	"sluice/codec"
	"sluice/router"
	"sluice/router/access"
	"sluice/upstream"
)

// settleHome makes sure that the session's next unit of work can begin at its home. While it can't, there or
// at another backend, the session seeks. It tells whether the unit can begin.
func (s *Session) settleHome() bool {
	if s.backend.Health() != upstream.Down && !s.sh.failed && s.sh.home.spec.usable(s.on.loop.Now()) && s.placed() {
		return true
	}
	want := s.want()
	s.sh.failed = false
	s.on.turn.Flush() // what the client was told comes before what it may be told here
	switch why, over := s.rehome(want); {
	case over:
		return false
	case why != "":
		_, cause := noServer(why)
		s.seek(cause, retryPause, s.againLater)
		return false
	case s.held(s.backend, &want):
		s.seek(errHeld, retryPause, s.againLater)
		return false
	}
	return true
}

// errHeld is why a session waits that has a backend.
var errHeld = errors.New("another server is about to take over")

// rehome has the session's home at a backend that fits, and if possible is up: where it is, or at another one.
// why is the router's reason if there is none; over tells that the session has ended.
func (s *Session) rehome(want router.Want) (why string, over bool) {
	b, home := s.backend, s.sh.home
	fits := b.Fits(want) == ""
	dropped := home.spec.dropped.Load()
	if dropped && s.fe.closed.Load() {
		s.endWaiting(listenerGone, nil) // nothing is opened for it any more
		return "", true
	}
	if !fits || b.Health() == upstream.Down || !dropped {
		next, why := s.cluster.Pick(want, []*upstream.Backend{b})
		switch {
		case next != nil:
			b.Release()
			s.backend = next
			s.moveIn()
			return "", false
		case b.Gone() && s.cluster.Options().Discovery == nil: // nobody will find another one
			s.endWaiting(codec.Error{Cond: codec.NoBackend, Text: "no server is available"}, errors.New(why))
			return "", true
		case !fits:
			return why, false
		}
	}
	if dropped {
		s.moveIn()
	}
	return "", false
}

// wishes are the settings by which the session's backend is chosen: its listener's present ones, unless those
// lead elsewhere.
func (s *Session) wishes() *Settings {
	if set := s.present(); set.cluster == s.cluster {
		return set
	}
	return s.set
}

// want is what the session asks the router for.
func (s *Session) want() router.Want {
	w := s.wishes().want()
	if s.sh != nil && s.sh.away() {
		w.Roles = s.sharing().ReadRoles
	}
	return w
}

// moveIn finds the session's pool at its backend.
func (s *Session) moveIn() {
	s.sh.home = s.on.homeOf(s.spec())
	s.bst = s.sh.home.bst
	s.listenElsewhere()
}

// spec finds the pool for the session's client at its backend. What it is opened with are the listener's
// present settings, though the session may have come before them.
func (s *Session) spec() *poolSpec {
	for {
		present := s.fe.set.Load()
		w := s.wanted(s.present())
		// A reload puts settings in force before it drops the pools that do not fit them: a pool made by
		// others after that would stay.
		if spec := s.p.pools.find(s.p, w, func() bool { return s.fe.set.Load() == present }); spec != nil {
			return spec
		}
	}
}

// wanted says which pool is the session's, under the listener's settings.
func (s *Session) wanted(set *Settings) *wanted {
	sh := s.sh
	if set.Sharing == nil || set.cluster != s.set.cluster {
		set = s.set
	}
	if set != s.set {
		sh.redefine(set)
	}
	user, secret := sh.found.Login(sh.learned())
	w := &wanted{set: set, backend: s.backend, found: sh.found, limits: sh.found.Limits,
		client: s.user, user: user, secret: secret, reads: sh.away()}
	if set != s.set {
		w.limits = set.limitsOf(s.user, sh.found.Database.Name)
	}
	if sh.gate == nil {
		if sh.home.spec.user == user { // what the client has shown is known to its pool alone
			w.secret, w.known = codec.Secret{}, sh.home.spec.secret.Load()
		}
	} else {
		if w.special = sh.gate.Special(); w.special != (codec.Param{}) {
			w.params, w.session = sh.gate.Settings(), s.id
			alone := *sh.found
			alone.Limits.Unit, alone.Limits.PoolSize = access.UnitSession, 1
			alone.Limits.PoolMin, alone.Limits.PoolReserve = 0, 0
			sh.found, w.found, w.limits = &alone, &alone, alone.Limits
		}
	}
	return w
}

// redefine takes over what a reload has changed about the client's database: where it is, and who logs
// in there.
func (sh *shared) redefine(set *Settings) {
	d, ok := set.Sharing.Access.Database(sh.found.Database.Name)
	if ok && (d.Target != sh.found.Database.Target || d.User != sh.found.Database.User) {
		found := *sh.found
		found.Database = d
		sh.found = &found
	}
}

// learned is what the client's login has shown of its secret.
func (sh *shared) learned() codec.Secret {
	if sh.gate != nil {
		return sh.gate.Learned()
	}
	return codec.Secret{}
}

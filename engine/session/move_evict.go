package session

import "sluice/upstream"

// down is why a session leaves a backend that fits it, but that the checks find down: not at all costs, as those may
// be wrong.
const down = "health"

// evades has a session that is to leave its backend move instead, as soon as that can be, and again when it could
// not. It tells whether that is worth waiting for.
func (s *Session) evades(why string) bool {
	if s.sh != nil || !s.movable() || why == "namespace" {
		return false
	}
	switch {
	case s.mv != nil && s.mv.settled():
	case s.pin().Name != "":
		if !emptied(why) {
			return false
		}
		s.tryLater() // what binds it may end
	case !s.moveTo(nil, why):
		s.tryLater()
	}
	return true
}

// shun has the session leave a backend that is down, if there is another one.
func (s *Session) shun(b *upstream.Backend) {
	switch {
	case s.sh != nil || !s.movable():
	case b.Health() != upstream.Down:
		if s.mv != nil && s.mv.why == down && !s.mv.order {
			s.mv.withdraw()
		}
	case s.pin().Name == "" && !s.moveTo(nil, down):
		s.tryLater()
	}
}

// withdraw ends a move that nobody wants any more, unless the client waits for it.
func (mv *moving) withdraw() {
	if !mv.settled() {
		mv.abandon(moveWithdrawn, nil)
	}
}

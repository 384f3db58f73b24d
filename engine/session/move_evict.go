package session

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

// withdraw ends a move that nobody wants any more, unless the client waits for it.
func (mv *moving) withdraw() {
	if !mv.settled() {
		mv.abandon(moveWithdrawn, nil)
	}
}

package session

import (
	"slices"

	"sluice/engine"
)

// bestLoop is where a client of that pool should live: on a loop that the pool has server connections on,
// or else these would have to be moved for it. Of several it is the present one, or the calmest.
func (s *Session) bestLoop(spec *poolSpec) *loopState {
	loops := spec.pool.Loops()
	if slices.Contains(loops, s.on.loop.ID()) || len(loops) == 0 {
		return s.on
	}
	best := s.p.loops[loops[0]]
	for _, i := range loops[1:] {
		if on := s.p.loops[i]; on.loop.Conns() < best.loop.Conns() {
			best = on
		}
	}
	return best
}

// changeLoop takes a session to another loop, where its login goes on. A client that can't be moved at this
// moment, since it has sent something ahead, stays: that costs it a move of a server connection now and then.
func (s *Session) changeLoop(to *loopState) {
	from := s.on
	from.loop.Disarm(&s.timer)
	from.remove(s)
	s.st.sessions--
	from.stats.pending--
	s.on = to // before anything can happen there
	err := s.client.Move(to.loop, (*clientSide)(s), func(c *engine.Conn, err error) {
		to.around(func() { s.arrive(c, err) })
	})
	if err != nil {
		s.on = from
		s.settleOn()
		s.prepare()
	}
}

// settleOn enters the session on its loop.
func (s *Session) settleOn() {
	on := s.on
	on.add(s)
	s.st = on.stats.frontend(s.fe.name)
	s.st.sessions++
	on.stats.pending++
	on.loop.Arm(&s.timer, s.set.LoginTimeout-asDuration(engine.Nano()-s.opened))
}

// arrive goes on with a login on another loop.
func (s *Session) arrive(c *engine.Conn, err error) {
	s.settleOn()
	if err != nil {
		s.end(ClientGone, nil, err)
		s.p.clientLeft(s)
		return
	}
	s.client = c
	if e := s.expelled(); e != nil {
		s.refuse(Drained, *e, nil)
		return
	}
	s.prepare()
}

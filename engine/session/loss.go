package session

import (
	"sluice/codec"
)

// ends takes note that the server has announced the end of the connection, and that the client was not told:
// what is left of the connection is of no use.
func (sc *serverConn) ends() {
	s := sc.at
	started := sc.host.Started()
	_, said := sc.host.Ending()
	sc.home.spec.cluster.Hurry()
	sc.close()
	s.loses(sc, started, codec.Error{Cond: codec.BackendLost, Text: "the server has ended the connection", Raw: string(said)})
}

// loseServer cuts the server connection that the session has at hand, as its server is not to be used any
// more: what has not reached it is not sent, and what it runs is cancelled. For the client it is as if the
// server had gone.
func (s *Session) loseServer(cause error) {
	sc := s.sh.at
	if sc == nil || s.stage == stageOver {
		return
	}
	started := sc.host.Started()
	if s.sh.guest.Owed() > 0 {
		sc.cancel(nil)
	}
	sc.cut()
	s.loses(sc, started, cause)
}

// loses has the session go on without the server connection that it had, which is closed. started tells
// whether something of its unit of work has reached the server.
func (s *Session) loses(sc *serverConn, started bool, cause error) {
	sh := s.sh
	sc.at, sh.at = nil, nil
	switch {
	case s.stage == stageOver:
	case !started && s.stage == stageRelay && !sh.lasting() || sh.intro:
		sh.guest.Detach()
		s.lostEarly(cause)
	case s.bereaved(sc, cause):
	default:
		s.endLost(sc, cause)
	}
}

// bereaved tells the client what has become of its unit of work, and goes on with what it has sent since, if
// that can be done.
func (s *Session) bereaved(sc *serverConn, cause error) bool {
	sh, t := s.sh, &s.on.turn
	t.Client.Open(s.client)
	t.Server.Open(nil)
	again, ok := sh.guest.Bereave(t)
	t.Flush()
	if !ok {
		return false
	}
	sc.home.counts.took(s.on.loop.Now() - sc.joined)
	sc.home.counts.bereaved++
	sh.pin, s.deep = "", false
	s.endUnit()
	if len(again) == 0 {
		if r := sh.retry; r != nil {
			r.lostAt, r.faults, r.err = 0, 0, nil // of units before
		}
		s.resume()
		return true
	}
	sh.held = append(append(s.on.spareBuffer(), again...), sh.held...)
	s.lostEarly(cause)
	return true
}

// endLost ends a session whose server connection is lost.
func (s *Session) endLost(sc *serverConn, cause error) {
	ending, said := sc.host.Ending()
	switch {
	case ending && !sc.host.Withheld(): // and the client has heard so
		s.end(ServerClosed, nil, nil)
	case ending:
		s.end(ServerClosed, &codec.Error{Cond: codec.BackendLost, Text: "the server has ended the connection", Raw: string(said)}, nil)
	default:
		s.end(ServerLost, &codec.Error{Cond: codec.BackendLost, Text: "the connection to the server was lost"}, cause)
	}
}

package session

import (
	"sluice/codec"
	"sluice/upstream/pool"
)

// checkout takes a server connection from the pool for the session, or queues for one. With NeedSame it
// is the one that the session had before, or the guest is told that this can't be had. rest are the bytes of
// the client that the unit of work begins with.
func (s *Session) checkout(need codec.Need, rest []byte) *serverConn {
	sh := s.sh
	if need == codec.NeedSame {
		// A hold is no reason to forsake it: what the client asks for would be gone behind that.
		if last := sh.last; last != nil && sh.lastHome == sh.home && s.backend.Fits(s.want()) == "" &&
			sh.home.part.GetSame(&last.Entry, sh.lastUses) {
			last.join(s)
			return last
		}
		sh.guest.Forsaken()
		return nil
	}
	next := stepOwn
	if s.readsOnly(rest) {
		var sc *serverConn
		if sc, next = s.beginRead(); next == stepHere {
			return sc
		}
	}
	if next == stepOwn {
		if !s.settleHome() {
			return nil
		}
		if e := sh.home.part.Get(&sh.waiter); e != nil {
			sc := e.User.(*serverConn)
			sc.join(s)
			return sc
		}
	}
	if sh.since == 0 {
		sh.since = s.on.loop.Now()
	}
	return nil
}

// again queues the session for a server connection, in place of one that it could not have or has lost.
func (s *Session) again() {
	sh := s.sh
	if sh.away() {
		s.readAgain()
		return
	}
	sh.need = codec.NeedHost
	if sh.since == 0 {
		sh.since = s.on.loop.Now()
	}
	if !s.settleHome() {
		return
	}
	if e := sh.home.part.Get(&sh.waiter); e != nil {
		s.on.grants = append(s.on.grants, grant{s, e.User.(*serverConn)})
	}
}

// onGrant takes a server connection for which the session has waited. It is called from inside the
// pool; the session goes on later.
func (s *Session) onGrant(e *pool.Entry) {
	s.on.grants = append(s.on.grants, grant{s, e.User.(*serverConn)})
	if s.on.busy == 0 {
		s.on.loop.Run(s.on.settle)
	}
}

// granted goes on with a server connection for which the session has waited.
func (s *Session) granted(sc *serverConn) {
	sh, on := s.sh, s.on
	switch {
	case sc.state == connClosed: // meanwhile
		if s.stage != stageOver && sh.at == nil {
			s.again()
		}
		return
	case s.stage == stageOver || sh.at != nil:
		sc.home.part.Put(&sc.Entry)
		return
	case !s.placed(): // since a moment ago
		sc.home.part.Put(&sc.Entry)
		s.again()
		return
	case sh.away():
		if sc = s.grantedRead(sc); sc == nil {
			return
		}
	}
	now := on.loop.Now()
	if sh.since > 0 {
		h := sh.home
		h.counts.waits++
		h.counts.waited += now - sh.since
		h.counts.wait.observe(now - sh.since)
		sh.since, sh.noticed = 0, false
	}
	if sh.intro {
		if in, ok := s.adopt(); ok { // somebody was told meanwhile
			sh.intro, sh.need = false, codec.NeedBytes
			sc.home.part.Put(&sc.Entry)
			s.welcomed(in)
			return
		}
	}
	if sh.away() {
		s.joinRead(sc)
	} else {
		sc.join(s)
	}
	t := &on.turn
	t.Client.Open(s.client)
	t.Server.Open(sc.conn)
	if sh.intro {
		t.Client.Open(nil) // the client is told by the gate
		sh.guest.Introduce(sc.host, t)
		t.Flush()
		s.introduceIfFree()
		return
	}
	need := sh.guest.Attach(sc.host, t)
	if need != codec.NeedBytes {
		t.Flush()
		sh.need = need
		return
	}
	t.Flush()
	s.resume()
}

// onFail takes note that no server connection can be had.
func (s *Session) onFail(err error) {
	s.on.loop.Run(func() { s.on.around(func() { s.waitFailed(err) }) })
}

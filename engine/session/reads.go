package session

import (
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream/pool"
)

// Where a listener has ReadRoles, a unit of work that says that it only reads may be done by a replica. For
// that unit the session is away: its home and its backend are those of a second place, so that all that is
// done with a home is done with that one. Behind the unit it is at its own again.
//
// With OwnWrites such a unit has to see what its session has written before. That lies, in the log that all
// servers of a cluster share, in front of the place where the leader stands when it is asked behind the
// session's last other unit: the floor. A replica that has replayed up to the floor will do. Three facts are
// needed, and each is asked for only if it is not known yet:
//
//	the floor          of the session's own home; asked behind the last unit that may have written
//	the replica's      of the second home; at the floor, or behind it
//	the connection's   it was open before the replica was asked
//
// The last is why a position that a replica has told can be relied on later: it only goes on from there, but
// for a restart, behind which a standby may be at an earlier place than it had reached; and a restart ends all
// connections.
//
// Positions on two timelines do not compare: behind a promotion the log of the new leader goes on otherwise
// than that of the old one may have done. So a replica will do only if the discovery, where it tells of
// timelines, has it on that of the floor. A floor of a leader that has lost its role since stays good: a replica on
// the new timeline that is at it has all of the old leader's log that the new leader has, and the rest is lost.

// reading is what a session has whose client has said of a unit of work that it only reads.
type reading struct {
	away bool  // the present unit is at the second place
	own  place // while away
	to   place // the second place; no backend: none yet

	wrote   int64  // engine.Nano at the end of the last unit that may have written; 0: there was none
	floor   uint64 // of units behind wrote, if
	floorAt int64  // engine.Nano at which it was asked for, is behind that
	line    uint64 // timeline of the floor; 0: not known
	after   int64  // engine.Nano behind which the replica has to be asked; 0: it does not matter

	since      int64  // engine.Nano at which the unit began to wait for a position; 0: it did not
	at         *gauge // whose position it waits for
	forFloor   bool   // that is the floor
	next, prev *Session
	timer      engine.Timer // until it waits no longer for a replica
}

// step is what comes next for a unit that only reads.
type step uint8

const (
	stepOwn  step = iota // it is done at the session's own home, as others are
	stepWait             // it waits
	stepHere             // it has a server connection
)

// away tells that the session's present unit of work is done, or is to be done, at its second place.
func (sh *shared) away() bool { return sh.reads != nil && sh.reads.away }

// sharing is what is configured for the session's listener at present.
func (s *Session) sharing() *Sharing {
	if set := s.present(); set.cluster == s.cluster && set.Sharing != nil {
		return set.Sharing
	}
	return s.set.Sharing
}

// readsOnly tells that the unit of work that begins with those bytes of the client says that it only reads,
// and may be done by a replica.
func (s *Session) readsOnly(rest []byte) bool {
	if s.sharing().ReadRoles == 0 || s.sh.lasting() {
		return false
	}
	guest, ok := s.sh.guest.(codec.Reader)
	return ok && guest.ReadOnly(rest)
}

// beginRead begins a unit of work that only reads. With stepHere the server connection is the session's.
func (s *Session) beginRead() (*serverConn, step) {
	sh := s.sh
	if sh.reads == nil {
		sh.reads = &reading{}
		if sh.worked {
			sh.reads.wrote = engine.Nano()
		}
	}
	sh.reads.since, sh.reads.after = 0, 0
	sc, next := s.seekRead()
	if next == stepHere {
		s.joinRead(sc)
	}
	return sc, next
}

// seekRead takes a unit that only reads as far as it comes. The server connection that it may return is the
// session's to join.
func (s *Session) seekRead() (*serverConn, step) {
	sh, r := s.sh, s.sh.reads
	s.goHome()
	bound := r.wrote > 0 && s.sharing().OwnWrites != OwnWritesOff
	if bound && r.floorAt <= r.wrote {
		if !s.canAskOwn() {
			return nil, s.readAtOwn(readUnfit)
		}
		g := sh.home.gauge()
		if !g.known || g.at.Replica || g.asked <= r.wrote {
			return nil, s.await(g, true)
		}
		r.floor, r.floorAt, r.line = g.at.Log, g.asked, g.at.Timeline
	}
	if why := s.findAway(bound); why != readReplica {
		return nil, s.readAtOwn(why)
	}
	if bound {
		if g := r.to.home.gauge(); !s.trusts(g) || g.asked <= r.after || g.at.Log < r.floor {
			return nil, s.await(g, false)
		}
	}
	s.goAway()
	e := sh.home.part.Get(&sh.waiter)
	if e == nil {
		return nil, stepWait
	}
	return s.tryRead(e)
}

// tryRead returns a server connection that the pool has handed out for a unit that only reads, unless it does
// not hold that its server has told its position since it was opened.
func (s *Session) tryRead(e *pool.Entry) (*serverConn, step) {
	r, sc := s.sh.reads, e.User.(*serverConn)
	bound := r.wrote > 0 && s.sharing().OwnWrites != OwnWritesOff
	if !bound || sc.opened < r.to.home.gauge().asked {
		return sc, stepHere
	}
	sc.home.part.Put(&sc.Entry)
	if r.after > 0 && s.sharing().OwnWrites != OwnWritesWait { // it was asked for this reason before
		return nil, s.readAtOwn(readBehind)
	}
	r.after = sc.opened
	return s.seekRead()
}

// grantedRead is tryRead for a server connection for which the unit has waited; nil: the unit goes on otherwise.
func (s *Session) grantedRead(sc *serverConn) *serverConn {
	sc, next := s.tryRead(&sc.Entry)
	if next == stepOwn {
		s.again()
	}
	return sc
}

// joinRead gives the session its server connection for a unit that only reads.
func (s *Session) joinRead(sc *serverConn) {
	s.readPlaced(readReplica)
	sc.join(s)
	s.sh.guest.(codec.Reader).Sole()
}

// readAgain goes on with a unit that only reads and has waited, or has lost its server connection before it
// had begun.
func (s *Session) readAgain() {
	sh := s.sh
	sh.need = codec.NeedHost
	if sh.since == 0 {
		sh.since = s.on.loop.Now()
	}
	switch sc, next := s.seekRead(); next {
	case stepOwn:
		s.again()
	case stepHere:
		s.on.grants = append(s.on.grants, grant{s, sc})
	}
}

// readFailed has a unit that only reads done at the session's own home: its second one has no server
// connection to give.
func (s *Session) readFailed() {
	s.goHome()
	s.leaveAway()
	s.readAtOwn(readUnfit)
	s.again()
}

// readAtOwn has the unit done at the session's own home.
func (s *Session) readAtOwn(why readResult) step {
	s.goHome()
	s.readPlaced(why)
	return stepOwn
}

// readPlaced counts where a unit that only reads is done.
func (s *Session) readPlaced(why readResult) {
	r, c := s.sh.reads, &s.st.reads
	c.results[why]++
	if r.since > 0 {
		c.waited.observe(engine.Nano() - r.since)
		r.since = 0
	}
}

// endUnit takes note that a unit of work is over.
func (s *Session) endUnit() {
	sh := s.sh
	switch r := sh.reads; {
	case s.stage == stageLogin: // it was the session's introduction
	case r == nil:
		sh.worked = true
	case r.away:
		s.goHome()
	default:
		r.wrote = engine.Nano() // not the loop's clock, which may stand still since before the server's answer
	}
}

// endReads gives back what the session has for units that only read.
func (s *Session) endReads() {
	if r := s.sh.reads; r != nil {
		s.goHome()
		if r.at != nil {
			r.at.remove(s)
		}
		s.on.loop.Disarm(&r.timer)
		s.leaveAway()
	}
}

// readLeft is the time for which the unit may still wait for a replica.
func (s *Session) readLeft() time.Duration {
	return s.sharing().ReadWait - asDuration(engine.Nano()-s.sh.reads.since)
}

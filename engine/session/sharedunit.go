package session

import "sluice/codec"

// afterHost goes on with a client when its server connection has been heard.
func (s *Session) afterHost(sc *serverConn) {
	sh := s.sh
	if s.stage == stageOver || sh.at != sc {
		return
	}
	if s.deep && sh.guest.Owed() <= owedLow {
		s.deep = false
		s.readOn()
	}
	if sh.intro {
		s.introduceIfFree()
		return
	}
	if sh.need == codec.NeedTurn && sh.guest.Ready() {
		if sh.away() && sc.host.Free() {
			s.partIfFree() // what waits is for another unit
		}
		s.resume()
		if s.stage == stageOver || sh.at != sc {
			return
		}
	}
	s.partIfFree()
}

// partIfFree gives the server connection back at the end of a unit of work.
func (s *Session) partIfFree() {
	sh := s.sh
	sc := sh.at
	if s.stage != stageRelay || sc == nil || !sc.host.Free() {
		if sc != nil {
			sh.notePin(sc)
			s.noteEnd(sc)
		}
		s.afterUnit()
		return
	}
	if s.set.Sharing.SchemaWatch && sc.schemaChanged() {
		e := sc.home.spec.schema.Add(1)
		if e != sc.schema+1 { // others have changed it too
			sc.host.Forget()
		}
		sc.schema = e
	}
	sh.pin = ""
	if sh.lasting() {
		s.noteEnd(sc)
	} else {
		sc.part()
	}
	s.afterUnit()
}

// noteEnd notes that no transaction is open on a server connection that its client keeps.
func (s *Session) noteEnd(sc *serverConn) {
	if sh := s.sh; sh.found.Limits.TransactionTimeout > 0 && sh.guest.Owed() == 0 && !sh.guest.InTransaction() {
		sc.begun = 0
	}
}

// notePin counts the sessions that are bound to their server connection.
func (sh *shared) notePin(sc *serverConn) {
	pin := sh.guest.Pin()
	if pin == sh.pin {
		return
	}
	if sh.pin = pin; pin != "" {
		c := &sc.home.counts
		if c.pins == nil {
			c.pins = map[string]uint64{}
		}
		c.pins[pin]++
	}
}

// afterUnit does what may be done between two units of work.
func (s *Session) afterUnit() {
	if s.stage != stageRelay {
		return
	}
	if s.sh.news != nil && s.sh.at == nil {
		s.tellNews()
	}
	if s.leaving != nil {
		s.leaveIfSafe()
	}
}

// schemaChanged tells that a statement has changed the schema since it was asked last.
func (sc *serverConn) schemaChanged() bool {
	w, ok := sc.host.(interface{ SchemaChanged() bool })
	return ok && w.SchemaChanged()
}

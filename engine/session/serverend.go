package session

import (
	"errors"

	"sluice/codec"
)

// close gives up a connection that is not with the pool, or takes it out of the pool.
func (sc *serverConn) close() {
	if sc.state == connIdle {
		defer sc.home.part.Lost(&sc.Entry) // or it would be handed out
	}
	sc.shut()
}

// shut closes a connection that the pool does not hand out. The pool hears of it when it has ended.
func (sc *serverConn) shut() {
	if sc.state == connClosed {
		return
	}
	on := sc.home.on
	on.loop.Disarm(&sc.timer)
	polite := sc.host != nil && sc.host.Free()
	sc.state = connClosed
	on.stats.connected--
	if sc.host != nil {
		sc.home.counts.parses.ofHost(sc.host)
	}
	sc.home.forget(sc)
	if sc.conn == nil || !sc.conn.Open() {
		return
	}
	if polite {
		on.buf = sc.host.AppendGoodbye(on.buf[:0])
		sc.conn.Write(on.buf)
	}
	// The server's process is gone only when it closes in turn: until then the connection counts.
	sc.conn.CloseFlushed()
}

// lost takes note that the server connection has ended by itself.
func (sc *serverConn) lost(err error) {
	s := sc.at
	started := s != nil && sc.host.Started()
	ending, _ := sc.host.Ending()
	if sc.state == connChecking {
		sc.checked(false)
	}
	sc.close()
	sc.home.part.Lost(&sc.Entry)
	if !ending {
		sc.home.spec.backend.Suspect()
	}
	if s == nil {
		return
	}
	sc.at, s.sh.at = nil, nil
	if !started && s.stage == stageRelay && !s.sh.lasting() || s.sh.intro {
		s.sh.guest.Detach()
		s.lostEarly(orEOF(err))
		return
	}
	if ending { // and the client has heard so
		s.end(ServerClosed, nil, nil)
		return
	}
	s.end(ServerLost, &codec.Error{Cond: codec.BackendLost, Text: "the connection to the server was lost"}, err)
}

// broken gives up a connection whose server sent what makes no sense.
func (sc *serverConn) broken(err error) {
	s := sc.at
	sc.at = nil
	sc.close()
	sc.home.spec.backend.Suspect()
	if s != nil {
		s.sh.at = nil
		s.end(ServerProtocol, nil, err)
	}
}

// orEOF gives a close without a reason one.
func orEOF(err error) error {
	if err == nil {
		return errors.New("closed")
	}
	return err
}

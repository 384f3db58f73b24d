package session

import (
	"errors"
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
	polite := sc.host != nil && sc.host.Free()
	sc.retire()
	if sc.conn == nil || !sc.conn.Open() {
		return
	}
	if polite {
		on := sc.home.on
		on.buf = sc.host.AppendGoodbye(on.buf[:0])
		sc.conn.Write(on.buf)
	}
	// The server's process is gone only when it closes in turn: until then the connection counts.
	sc.conn.CloseFlushed()
}

// cut closes a connection that is at hand at once: what has not been sent yet is not sent any more.
func (sc *serverConn) cut() {
	if sc.state == connClosed {
		return
	}
	sc.retire()
	sc.conn.Close()
}

// retire takes a connection that is being closed out of what is counted.
func (sc *serverConn) retire() {
	on := sc.home.on
	on.loop.Disarm(&sc.timer)
	if g := sc.home.where; sc.state == connLocating {
		on.loop.Run(func() { on.around(g.lost) })
	}
	sc.state = connClosed
	on.stats.connected--
	if sc.host != nil {
		sc.home.counts.parses.ofHost(sc.host)
	}
	sc.home.forget(sc)
}

// lost takes note that the server connection has ended by itself.
func (sc *serverConn) lost(err error) {
	s := sc.at
	started := s != nil && sc.host.Started()
	if sc.state == connChecking {
		sc.checked(false)
	}
	sc.close()
	sc.home.part.Lost(&sc.Entry)
	if ending, _ := sc.host.Ending(); !ending {
		sc.home.spec.backend.Suspect()
	}
	sc.home.spec.cluster.Hurry()
	if s != nil {
		s.loses(sc, started, orEOF(err))
	}
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

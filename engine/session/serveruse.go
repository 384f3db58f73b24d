package session

// join gives the connection to a client.
func (sc *serverConn) join(s *Session) {
	on := sc.home.on
	sc.state, sc.at = connJoined, s
	sc.joined = on.loop.Now()
	sc.active, sc.heard, sc.begun = sc.joined, sc.joined, sc.joined
	s.sh.at = sc
	if s.sh.retry != nil {
		s.sought(soughtFound)
	}
	if e := sc.home.spec.schema.Load(); e != sc.schema {
		sc.schema = e
		sc.host.Forget()
	}
}

// part takes the connection, which is free, from its client.
func (sc *serverConn) part() {
	s := sc.at
	s.sh.guest.Detach()
	sc.at, s.sh.at = nil, nil
	if r := s.sh.retry; r != nil {
		r.lostAt, r.faults, r.err = 0, 0, nil
	}
	s.readOn() // it may have been paused until this connection had room
	if !s.sh.away() {
		s.sh.last, s.sh.lastUses, s.sh.lastHome = sc, sc.Uses, sc.home
	}
	s.endUnit()
	sc.home.counts.took(sc.home.on.loop.Now() - sc.joined)
	if sc.conn.Paused() {
		sc.conn.ResumeReads()
	}
	sc.giveBack()
}

// giveBack has the pool use a connection that is free for others, unless it can't be.
func (sc *serverConn) giveBack() {
	switch {
	case sc.host.Failed() != nil || sc.stray:
		sc.close()
	case sc.cancels > 0:
		sc.state = connHeld
	default:
		if ending, _ := sc.host.Ending(); ending {
			sc.close()
			return
		}
		sc.state = connIdle
		sc.home.part.Put(&sc.Entry)
	}
}

// leave takes the connection from a client that goes while it is not free.
func (sc *serverConn) leave(reset bool) {
	on, s := sc.home.on, sc.at
	sc.at, s.sh.at = nil, nil
	t := &on.turn
	t.Client.Open(nil)
	t.Server.Open(sc.conn)
	running := s.sh.guest.Owed() > 0
	cancel, ok := sc.host.Abandon(t)
	t.Flush()
	if sc.state == connClosed {
		return
	}
	if !ok {
		if running {
			sc.cancel(nil) // a server that is at work does not look whether anybody is still there
		}
		sc.close()
		return
	}
	sc.state, sc.reset = connLeaving, reset
	if sc.conn.Paused() {
		sc.conn.ResumeReads()
	}
	sc.timer.Fn = func() { sc.close() }
	on.loop.Arm(&sc.timer, sc.home.spec.sharing.Load().AbandonTimeout)
	if cancel {
		sc.cancel(nil)
	}
	if sc.host.Free() {
		sc.left()
	}
}

// left goes on when a connection has done with a client that is gone.
func (sc *serverConn) left() {
	if sc.reset {
		sc.reset = false
		t := &sc.home.on.turn
		t.Server.Open(sc.conn)
		t.Client.Open(nil)
		sc.host.Reset(sc.home.spec.sharing.Load().ResetQuery, t)
		t.Flush()
		if !sc.host.Free() {
			return
		}
	}
	sc.home.on.loop.Disarm(&sc.timer)
	sc.giveBack()
}

// cancel has the server cancel what runs on the connection. Until that is over nobody else gets it.
// done, if given, is called on the loop then.
func (sc *serverConn) cancel(done func(error)) {
	on, spec := sc.home.on, sc.home.spec
	key := sc.host.Key()
	sc.cancels++
	sc.home.counts.cancels++
	spec.p.cancels.Add(1)
	timeout := spec.sharing.Load().CancelTimeout
	go func() {
		err := spec.cluster.Cancel(spec.backend, key, timeout)
		spec.p.cancels.Add(-1)
		on.loop.Run(func() {
			on.around(func() { sc.cancelOver(err) })
			if done != nil {
				done(err)
			}
		})
	}()
}

// cancelOver takes note of the end of a cancel request. After an error it may still come, whatever the
// connection does by then: nobody else is to get it.
func (sc *serverConn) cancelOver(err error) {
	sc.cancels--
	sc.stray = sc.stray || err != nil
	if sc.state == connHeld && (sc.stray || sc.cancels == 0) {
		sc.giveBack()
	}
}

// check has the server show that it is alive.
func (sc *serverConn) check() {
	on := sc.home.on
	sc.state = connChecking
	t := &on.ownTurn // a session's may be under way
	t.Client.Open(nil)
	t.Server.Open(sc.conn)
	sc.host.Check(sc.home.spec.sharing.Load().CheckQuery, t)
	t.Flush()
	sc.timer.Fn = func() { sc.checked(false) }
	on.loop.Arm(&sc.timer, sc.home.spec.cluster.Options().ConnectTimeout)
}

// checked tells the pool what came of a check.
func (sc *serverConn) checked(ok bool) {
	on := sc.home.on
	on.loop.Disarm(&sc.timer)
	sc.state = connIdle
	sc.home.part.Checked(&sc.Entry, ok) // closes it if it is not ok
}

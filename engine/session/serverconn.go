package session

import (
	"errors"
	"fmt"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream/pool"
)

// connState is where a server connection of a pool stands.
//
//	Opening ─▶ Idle ◀─▶ Joined ─▶ Leaving ─┐
//	            ▲ ▲────── Checking         │
//	            └─┴─────── Held ◀──────────┘
type connState uint8

const (
	connOpening  connState = iota // dialling and logging in
	connIdle                      // with the pool
	connJoined                    // a client has it
	connLeaving                   // its client has gone; it works its way back
	connChecking                  // it has to show that it is alive
	connHeld                      // free, but a cancel request may still hit it
	connClosed
)

// String returns the state's name as it is shown to operators.
func (s connState) String() string {
	return [...]string{"login", "idle", "active", "leaving", "tested", "being_canceled", "closed"}[s]
}

// serverConn is one server connection of a pool. It belongs to one loop at a time.
type serverConn struct {
	pool.Entry
	id    uint64
	home  *home
	conn  *engine.Conn
	host  codec.Host // nil until logged in
	state connState
	at    *Session // the client that has it
	open  *openingConn

	cancels   int          // requests under way that may hit it
	stray     bool         // one of them has no known end: it may hit whoever has the connection then
	timer     engine.Timer // of opening, leaving and checking
	opened    int64        // engine.Nano
	joined    int64        // engine.Nano of the present unit's begin
	active    int64        // engine.Nano of the last bytes of the client at hand
	begun     int64        // engine.Nano of the present unit's begin, of many that a client may have before it parts; 0: none
	schema    uint64       // the schema's epoch that its statements are of
	heard     int64        // engine.Nano of the server's last bytes for the client at hand
	cancelled int64        // begin of the command that was cancelled since it took too long
	reset     bool         // the reset statement has to run before others may have it
}

// openingConn is what a server connection needs only until it is logged in.
type openingConn struct {
	m     codec.Opener
	op    codec.Op
	early []byte
	stop  func()
}

// errOpenTime is why a connection is given up that did not come up in time.
var errOpenTime = errors.New("no answer within the connect time-out")

// OnOpen begins the login at the server.
func (sc *serverConn) OnOpen(c *engine.Conn) {
	if sc.state != connOpening {
		c.Close()
		return
	}
	sc.conn = c
	sc.openStep(sc.open.m.Start())
}

// OnData takes bytes of the server.
func (sc *serverConn) OnData(_ *engine.Conn, p []byte) {
	on := sc.home.on
	on.busy++
	switch {
	case sc.state == connOpening:
		sc.openBytes(p)
	case sc.state != connClosed:
		sc.fromServer(p)
	}
	on.busy--
	on.settle()
}

// OnRoom lets the client go on after the server has caught up.
func (sc *serverConn) OnRoom(*engine.Conn) {
	if s := sc.at; s != nil {
		s.readOn()
	}
}

// OnClose takes the connection out of its pool.
func (sc *serverConn) OnClose(_ *engine.Conn, err error) {
	on := sc.home.on
	on.busy++
	switch sc.state {
	case connOpening:
		sc.openFailed(fmt.Errorf("the server closed the connection during the login: %w", orEOF(err)))
	case connClosed:
		sc.home.part.Lost(&sc.Entry)
	default:
		sc.lost(err)
	}
	on.busy--
	on.settle()
}

// orEOF gives a close without a reason one.
func orEOF(err error) error {
	if err == nil {
		return errors.New("closed")
	}
	return err
}

// openBytes gives the login what the server said.
func (sc *serverConn) openBytes(p []byte) {
	o := sc.open
	if o.op == codec.OpMore {
		sc.openStep(o.m.Server(p))
		return
	}
	if o.early = append(o.early, p...); len(o.early) > earlyMax {
		sc.openFailed(errors.New("the server sent too much during the login"))
	}
}

// openStep carries out what the login at the server asks for.
func (sc *serverConn) openStep(op codec.Op) {
	o := sc.open
	for sc.state == connOpening {
		if p := o.m.Take(); len(p) > 0 {
			sc.conn.Write(p)
		}
		o.op = op
		switch op {
		case codec.OpMore:
			if len(o.early) == 0 {
				return
			}
			p := o.early
			o.early = nil
			op = o.m.Server(p)
			continue
		case codec.OpServerTLS:
			sc.openTLS()
		case codec.OpWork:
			go func() {
				o.m.Work()
				sc.home.on.loop.Run(func() {
					if sc.state == connOpening {
						sc.openStep(o.m.Worked())
					}
				})
			}()
		case codec.OpReady:
			sc.isOpen()
		case codec.OpClose:
			sc.openFailed(o.m.Refusal())
		default:
			sc.openFailed(fmt.Errorf("login at the server: unexpected %v", op))
		}
		return
	}
}

// openTLS shakes hands with the server.
func (sc *serverConn) openTLS() {
	if len(sc.open.early) > 0 {
		sc.openFailed(errors.New("plain bytes of the server in front of TLS"))
		return
	}
	opt := sc.home.spec.cluster.Options()
	sc.conn.StartTLS(opt.TLSConfig(sc.home.spec.backend), false, nil, opt.ConnectTimeout, func(err error) {
		if sc.state != connOpening {
			return
		}
		if err != nil {
			sc.openFailed(codec.Error{Cond: codec.TLSFailed, Text: "TLS with the server failed: " + err.Error()})
			return
		}
		var cert []byte
		if state, ok := sc.conn.TLS(); ok && len(state.PeerCertificates) > 0 {
			cert = state.PeerCertificates[0].Raw
		}
		sc.openStep(sc.open.m.ServerSecured(cert))
	})
}

// isOpen gives the pool a connection that is logged in.
func (sc *serverConn) isOpen() {
	on := sc.home.on
	on.loop.Disarm(&sc.timer)
	sc.host = sc.open.m.Host()
	rest := append([]byte(nil), sc.open.m.Rest()...)
	rest = append(rest, sc.open.early...)
	sc.open = nil
	sc.state = connIdle
	sc.opened = engine.Nano()
	sc.schema = sc.home.spec.schema.Load()
	on.stats.pending--
	on.stats.connected++
	sc.home.opens++
	sc.home.spec.opened.Store(true)
	if len(rest) > 0 {
		sc.fromServer(rest)
		if sc.state != connIdle {
			return
		}
	}
	sc.home.part.Connected(&sc.Entry)
}

// openFailed tells the pool that there is no connection.
func (sc *serverConn) openFailed(err error) {
	if sc.state != connOpening {
		return
	}
	on := sc.home.on
	on.loop.Disarm(&sc.timer)
	sc.state = connClosed
	if sc.open.stop != nil {
		sc.open.stop()
	}
	sc.open = nil
	if sc.conn != nil {
		sc.conn.Close()
	}
	on.stats.pending--
	on.stats.dialFails++
	var own codec.Error
	if !errors.As(err, &own) || own.Cond != codec.AuthDenied {
		sc.home.spec.backend.Suspect()
	}
	sc.home.forget(sc)
	sc.home.part.ConnectFailed(&sc.Entry, err)
}

// fromServer gives the host what the server said, and does what follows from it.
func (sc *serverConn) fromServer(p []byte) {
	on, s := sc.home.on, sc.at
	t := &on.turn
	t.Server.Open(sc.conn)
	if s != nil {
		s.clock.now = 0
		s.bst.toClient += uint64(len(p))
		sc.home.counts.sent += uint64(len(p))
		sc.heard = on.loop.Now()
		t.Client.Open(s.client)
	}
	if s == nil || s.sh.intro { // then the client is told by the gate
		t.Client.Open(nil)
	}
	err := sc.host.Server(p, t)
	t.Flush()
	if err != nil {
		sc.broken(err)
		return
	}
	if s != nil {
		if s.client.Full() {
			sc.conn.PauseReads() // until OnRoom of the client
		}
		s.afterHost(sc)
		return
	}
	sc.alone()
}

// alone goes on with a connection that no client has, after its server has spoken.
func (sc *serverConn) alone() {
	if ending, _ := sc.host.Ending(); ending {
		sc.close() // nobody is to get it in the moment before the server closes
		return
	}
	switch sc.state {
	case connIdle:
		if sc.host.Failed() != nil {
			sc.close()
		}
	case connLeaving:
		if err := sc.host.Failed(); err != nil {
			sc.close()
		} else if sc.host.Free() {
			sc.left()
		}
	case connChecking:
		if err := sc.host.Failed(); err != nil {
			sc.checked(false)
		} else if sc.host.Free() {
			sc.checked(true)
		}
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

// join gives the connection to a client.
func (sc *serverConn) join(s *Session) {
	on := sc.home.on
	sc.state, sc.at = connJoined, s
	sc.joined = on.loop.Now()
	sc.active, sc.heard, sc.begun = sc.joined, sc.joined, sc.joined
	s.sh.at = sc
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
	s.readOn() // it may have been paused until this connection had room
	s.sh.last, s.sh.lastUses, s.sh.lastHome = sc, sc.Uses, sc.home
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
		s.again()
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

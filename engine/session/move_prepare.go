package session

import (
	"errors"
	"fmt"

	"sluice/codec"
	"sluice/engine"
	"sluice/router"
	"sluice/upstream"
)

// What goes wrong with a move while it is prepared.
var (
	errMoveNoBackend = errors.New("no other backend is fit and up")
	errMoveUnfit     = errors.New("the server to move to does not fit any more")
	errMoveNoAnswer  = errors.New("the server to move to did not answer within the connect time-out")
	errMovePlain     = errors.New("plain bytes of the server in front of TLS")
)

// begin takes up a move whose turn it is: it chooses a backend if need be, and connects to it.
func (mv *moving) begin() {
	s := mv.s
	if mv.seek != nil {
		mv.seekNext()
		return
	}
	if mv.to == nil {
		want := s.want()
		b, _ := s.cluster.Pick(want, []*upstream.Backend{mv.from})
		if b == nil || b == mv.from || b.Health() == upstream.Down || s.held(b, &want) {
			if b != nil {
				b.Release()
			}
			mv.abandon(moveNoBackend, errMoveNoBackend)
			return
		}
		mv.aim(b)
	}
	if !mv.fit() {
		mv.abandon(moveUnfit, errMoveUnfit)
		return
	}
	mv.dial()
}

// fit tells whether the new backend may still be moved to.
func (mv *moving) fit() bool {
	return mv.to.Fits(mv.s.want()) == "" && mv.to.Health() != upstream.Down
}

// dial connects to the new backend.
func (mv *moving) dial() {
	s := mv.s
	opt := s.cluster.Options()
	mv.stage, mv.opt = moveDialling, opt
	s.on.stats.dials++
	s.on.stats.pending++
	mv.dialled = true
	mv.timer.Fn = func() { mv.abandon(moveTimeout, errMoveNoAnswer) }
	s.on.loop.Arm(&mv.timer, opt.ConnectTimeout)
	mv.leg = &newSide{mv}
	mv.stop = s.on.loop.Dial(mv.to.Addr(), opt.Socket, opt.ConnectTimeout, mv.leg, mv.leg.failed)
}

// newSide is the handler of the connection to the new server, until the session has arrived there.
type newSide struct{ mv *moving }

// OnOpen begins the login at the new server.
func (n *newSide) OnOpen(c *engine.Conn) {
	mv := n.mv
	if mv.stage != moveDialling || mv.leg != n {
		c.Close()
		return
	}
	s := mv.s
	mv.stop, mv.conn, mv.stage = nil, c, movePreparing
	s.introduce(c)
	mv.cfg.TLS, mv.cfg.Part = mv.opt.TLSMode, s.part()
	mv.m = s.mob.mover.NewMove(&mv.cfg)
	mv.step(mv.m.Connected())
}

// OnData takes bytes of the new server.
func (n *newSide) OnData(c *engine.Conn, p []byte) {
	if mv := n.mv; mv.conn == c {
		mv.bytes(codec.LegNew, p)
	}
}

// OnRoom has nothing to go on with: what is said to the new server is short.
func (*newSide) OnRoom(*engine.Conn) {}

// OnClose ends the move: the new server has gone.
func (n *newSide) OnClose(c *engine.Conn, err error) {
	if mv := n.mv; mv.conn == c {
		mv.to.Suspect()
		mv.s.cluster.Hurry()
		mv.abandon(moveNewLost, orEOF(err))
	}
}

// failed tells that there is no connection.
func (n *newSide) failed(err error) {
	if mv := n.mv; mv.stage == moveDialling && mv.leg == n {
		mv.s.on.stats.dialFails++
		mv.to.Suspect()
		mv.s.cluster.Hurry()
		mv.abandon(moveDialFailed, err)
	}
}

// bytes gives the machine what a server has said, or keeps it while the machine can't take any.
func (mv *moving) bytes(leg codec.Leg, p []byte) {
	if mv.op == codec.OpWork || mv.op == codec.OpServerTLS {
		mv.early[leg] = append(mv.early[leg], p...)
		if len(mv.early[leg]) > earlyMax {
			mv.legConn(leg).PauseReads() // until the operation is over
		}
		return
	}
	mv.step(mv.m.Server(leg, p))
}

// oldLeft takes note that the old server has gone.
func (mv *moving) oldLeft(err error) {
	mv.oldGone, mv.oldErr = true, err
	mv.unsure = mv.asked && mv.seek == nil && mv.s.follow.Tx() == codec.TxOpen && !mv.working && mv.m.Owes()
	switch {
	case !mv.asked && mv.stage < moveOwing:
		mv.abandon(moveOldLost, err)
	case mv.stage == moveOwing && !mv.working:
		mv.settle()
	case mv.stage != moveOwing && mv.op != codec.OpWork && mv.op != codec.OpServerTLS:
		mv.oldTold = true
		mv.step(mv.m.OldLost())
	}
}

// legConn is the connection of that leg.
func (mv *moving) legConn(leg codec.Leg) *engine.Conn {
	switch leg {
	case codec.LegClient:
		return mv.s.client
	case codec.LegOld:
		return mv.s.server
	}
	return mv.conn
}

// step sends what the machine has to say and carries out what it asks for.
func (mv *moving) step(op codec.Op) {
	for mv.s.mv == mv && mv.stage < moveOwing {
		mv.say()
		if mv.s.mv != mv {
			return // a write has ended the session
		}
		mv.op = op
		switch op {
		case codec.OpMore:
			next, more := mv.feedEarly()
			if !more {
				return
			}
			op = next
			continue
		case codec.OpServerTLS:
			mv.secure()
		case codec.OpWork:
			mv.work()
		case codec.OpStandBy:
			mv.standBy()
		case codec.OpReady:
			mv.done = true
			mv.arrive()
		case codec.OpClose:
			mv.done = true
			mv.refused()
		default:
			mv.abandon(moveRefused, fmt.Errorf("unexpected %v", op))
		}
		return
	}
}

// say sends what the machine has for the three peers.
func (mv *moving) say() {
	for leg := codec.LegClient; leg < codec.Legs; leg++ {
		if c := mv.legConn(leg); c != nil {
			c.Write(mv.m.Take(leg))
		}
	}
}

// feedEarly gives the machine what came while it was busy.
func (mv *moving) feedEarly() (op codec.Op, more bool) {
	for leg := codec.LegOld; leg < codec.Legs; leg++ {
		p := mv.early[leg]
		if len(p) == 0 {
			continue
		}
		mv.early[leg] = nil
		mv.legConn(leg).ResumeReads()
		return mv.m.Server(leg, p), true
	}
	if mv.oldGone && !mv.oldTold {
		mv.oldTold = true
		return mv.m.OldLost(), true
	}
	return codec.OpMore, false
}

// secure shakes hands with the new server.
func (mv *moving) secure() {
	if len(mv.early[codec.LegNew]) > 0 {
		mv.abandon(moveTLSFailed, errMovePlain)
		return
	}
	conn := mv.conn
	conn.StartTLS(mv.opt.TLSConfig(mv.to), false, nil, mv.opt.ConnectTimeout, func(err error) {
		if mv.conn != conn {
			return
		}
		if err != nil {
			mv.abandon(moveTLSFailed, fmt.Errorf("TLS handshake: %w", err))
			return
		}
		var cert []byte
		if state, ok := conn.TLS(); ok && len(state.PeerCertificates) > 0 {
			cert = state.PeerCertificates[0].Raw
		}
		mv.step(mv.m.Secured(cert))
	})
}

// work has the machine compute off the loop.
func (mv *moving) work() {
	mv.working = true
	m := mv.m
	go func() {
		m.Work()
		mv.s.on.loop.Run(func() {
			mv.working = false
			switch {
			case mv.m != m || mv.stage == moveOver:
				return // the session has ended
			case mv.stage == moveOwing:
				mv.letGo()
				return
			case mv.seek != nil && mv.stage == moveSeeking: // another backend is tried
				mv.forget()
				return
			}
			mv.step(m.Worked())
		})
	}()
}

// refused takes note that the machine has ended the move.
func (mv *moving) refused() {
	err := mv.m.Refusal()
	if err == nil {
		err = errors.New("the move was given up")
	}
	var pin codec.PinError
	var refused codec.RefusedError
	switch {
	case errors.As(err, &pin):
		mv.abandon(movePinned, err)
	case mv.asked && !errors.As(err, &refused):
		mv.abandon(moveNotPlaced, err)
	default:
		mv.abandon(moveRefused, err)
	}
}

// part is what the session's server has to be by its own word. Where nobody watches over the roles of the backends
// they are what they are said to be.
func (s *Session) part() codec.Part {
	roles := s.want().Roles
	switch {
	case s.cluster.Options().Discovery == nil:
	case roles == router.Roles(0).With(router.Leader):
		return codec.PartPrimary
	case !roles.Has(router.Leader):
		return codec.PartReplica
	}
	return codec.PartAny
}

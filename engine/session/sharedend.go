package session

import (
	"errors"

	"sluice/codec"
	"sluice/engine"
)

// refusal says why the login has ended.
func (s *Session) refusal() error {
	if s.sh != nil {
		err := s.sh.gate.Refusal()
		var own codec.Error
		if ask := s.fe.askOf(s.set); ask != nil && errors.As(err, &own) && own.Cond == codec.AuthFailed {
			ask.Stale(s.user, s.sh.found.AskIn) // the password may be a new one
		}
		return err
	}
	return s.in.m.Refusal()
}

// peer is what is known of the client's TLS.
func (s *Session) peer() codec.Peer {
	p := codec.Peer{TLS: true, Cert: s.set.TLSLeaf}
	if state, ok := s.client.TLS(); ok && len(state.VerifiedChains) > 0 {
		p.Name = state.PeerCertificates[0].Subject.CommonName
	}
	return p
}

// refuseShared ends a login at Sluice with an error.
func (s *Session) refuseShared(o Outcome, e codec.Error, cause error) {
	in, g := s.in, s.sh.gate
	if in.op != codec.OpClientTLS && in.op != codec.OpWork && in.op != codec.OpCancel {
		again := in.objected
		op := g.Refuse(e)
		if op == codec.OpMore && !again && o != LoginTimeout && o != Forced {
			in.refusal, in.cause, in.objected = &e, cause, true
			s.on.loop.Arm(&s.timer, refusalWait)
			s.gateStep(op)
			return
		}
		if p := g.Take(); len(p) > 0 {
			s.client.Write(p)
		}
	}
	s.end(o, nil, cause)
}

// tellShared sends the client the last word, if there is a place for it in its stream.
func (s *Session) tellShared(e codec.Error) {
	sh := s.sh
	switch {
	case sh.desk != nil:
		s.on.buf = sh.desk.desk.AppendError(s.on.buf[:0], e)
	case sh.guest == nil || sh.guest.Mid():
		return
	default:
		s.on.buf = sh.guest.AppendError(s.on.buf[:0], e)
	}
	s.client.Write(s.on.buf)
}

// sharedBusy names what keeps this moment from being a safe point.
func (s *Session) sharedBusy() string {
	sh := s.sh
	switch {
	case sh.desk != nil:
		if sh.desk.running != nil {
			return "command"
		}
		return ""
	case sh.waits():
		return "waiting"
	case len(sh.held) > 0:
		return "message"
	}
	return sh.guest.Busy()
}

// sharedRoom goes on after the client has caught up.
func (s *Session) sharedRoom() {
	switch sh := s.sh; {
	case sh.desk != nil:
		if sh.desk.more { // or a command is under way
			s.moreAnswer()
		}
	case sh.at != nil:
		sh.at.conn.ResumeReads()
	default:
		s.tellNews()
	}
}

// sharedInfo describes a session that shares.
func (s *Session) sharedInfo(i Info) Info {
	sh := s.sh
	i.Stage, i.Busy, i.Owed = "relay", s.busy(), s.owed()
	i.Database = sh.found.Database.Name
	if sh.desk != nil {
		return i
	}
	i.Tx = "idle"
	if sh.guest.InTransaction() {
		i.Tx = "open"
	}
	i.Pin = sh.guest.Pin()
	if sh.at != nil {
		i.Server = sh.at.id
	}
	if sh.since > 0 {
		i.Waiting = asDuration(engine.Nano() - sh.since)
	}
	if s.client.Paused() {
		i.Paused = "client"
	}
	return i
}

// cancelShared has the query of another session cancelled, if it has one under way. The answer, a close,
// comes when that is over.
func (s *Session) cancelShared(other *Session) {
	if s.p.cancels.Load() >= cancelsMax {
		s.end(Cancelled, nil, errCancelFlood)
		return
	}
	s.on.stats.cancels++
	over := func(err error) { s.on.loop.Run(func() { s.end(Cancelled, nil, err) }) }
	reached := other.on.loop.Run(func() {
		sh := other.sh
		switch {
		case other.stage != stageRelay:
			over(nil)
		case sh.desk != nil:
			if sh.desk.running != nil {
				sh.desk.running(codec.ErrCancelled)
			}
			over(nil)
		case sh.at == nil || sh.guest.Owed() == 0:
			over(nil) // nothing runs: it must hit nobody else
		default:
			sh.at.cancel(over)
		}
	})
	if !reached {
		s.end(Cancelled, nil, errors.New("shutting down"))
	}
}

// endShared parts an ended session from its server connection and from the pool.
func (s *Session) endShared() {
	sh := s.sh
	if sh.home != nil {
		sh.home.part.Cancel(&sh.waiter)
	}
	if sh.retry != nil {
		s.on.loop.Disarm(&sh.retry.timer)
		s.sought(soughtLeft)
	}
	if sc := sh.at; sc != nil {
		special := sh.home.spec.special != (codec.Param{})
		if special {
			sc.at, sh.at = nil, nil
			sc.close()
		} else if sc.host.Free() && !sh.lasting() {
			sc.part()
		} else {
			sc.leave(sh.lasting() && s.set.Sharing.ResetQuery != "")
		}
	}
	s.endReads()
	if sh.news != nil {
		sh.news.stop()
		delete(s.on.listeners, s)
	}
	if sh.guest != nil {
		if sh.home != nil {
			sh.home.counts.parses.ofGuest(sh.guest)
		}
		sh.guest.Close()
	}
	if sh.home != nil && sh.home.spec.special != (codec.Param{}) {
		spec := sh.home.spec
		s.p.pools.drop(func(other *poolSpec) bool { return other == spec })
	}
	if sh.home != nil && s.in != nil { // it never was ready
		s.p.pools.dropVain(sh.home.spec)
	}
	if sh.desk != nil {
		s.endDesk()
	}
	if sh.watched {
		s.on.watched--
	}
	s.p.shareOver(s)
	sh.held = nil
}

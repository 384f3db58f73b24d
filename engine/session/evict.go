package session

import (
	"errors"

	"sluice/codec"
	"sluice/router"
	"sluice/upstream"
)

// evictions are why sessions are asked to leave a backend, or cut off from it: labels in the metrics. All but
// the last are a router's reason, "gone", or "namespace".
var evictions = [...]string{"role", "state", "shutdown", "drained", "tags", "lag", "gone", "namespace", "fenced"}

// fenced is the last of evictions: the backend has led, and another one leads now.
const fenced = "fenced"

// post is where the session stands: the backend that works for it. ok is false if none does; a session that
// shares server connections finds a fit one by itself when it needs one.
func (s *Session) post() (at post, ok bool) {
	b := s.backend
	if s.stage != stageRelay {
		return post{}, false
	}
	if s.sh != nil {
		if s.sh.at == nil {
			return post{}, false
		}
		b = s.sh.at.home.spec.backend
	}
	return s.postAt(b), b != nil
}

// postAt is the session's post at a backend.
func (s *Session) postAt(b *upstream.Backend) post {
	return post{s.fe, s.present().namespace(), b}
}

// review has the session follow a change of its cluster, or of the configuration: it leaves a backend that is
// not fit for it any more, stays at one that is again, and goes on if it waits for one. f is the cluster's
// former leader, if another one has just taken over.
func (s *Session) review(f *fence) {
	if s.stage == stageLogin {
		s.reviewLogin()
		return
	}
	if s.strayed() {
		s.stray()
		return
	}
	s.recount()
	if s.mob != nil {
		s.on.keep(s)
	}
	if s.mv != nil && s.mv.seek != nil {
		s.mv.look() // its server is lost, and there may be a backend for it now
		return
	}
	at, ok := s.post()
	if !ok {
		s.stay()
		return
	}
	want := s.want()
	why := s.unfit(at.backend)
	switch {
	case f != nil && at.backend == f.backend && want.Roles.Has(router.Leader) && (why != "" || s.since() < f.since):
		s.cutOff(at.backend, fenced)
	case why == "":
		s.stay()
	default:
		s.evict(at, why)
	}
}

// reviewLogin has a login follow the change: it is not kept by a backend that does not fit any more, and may be
// about to hang, unless the client has been told something of that.
func (s *Session) reviewLogin() {
	switch {
	case s.sh == nil && s.backend != nil && !s.in.told && s.in.op != codec.OpWork && s.backend.Fits(s.want()) != "":
		s.retry(errUnfit)
	case s.sh == nil:
		s.redial()
	case s.sh.at != nil && s.backend.Fits(s.want()) != "":
		s.loseServer(errUnfit)
	}
}

// since is when the session, or the unit of work at hand, came to the backend, as engine.Nano.
func (s *Session) since() int64 {
	if s.sh != nil {
		return s.sh.at.joined
	}
	if s.mob != nil && s.mob.past != nil {
		return max(s.opened, s.mob.past.arrived)
	}
	return s.opened
}

// stay has the session not leave after all, if all that it was asked for was to leave its backend.
func (s *Session) stay() {
	if s.leaving != nil && s.leaving.Cond == codec.BackendGone && !s.strayed() {
		s.leaving = nil
	}
	if s.mv != nil && !s.mv.order && !s.mv.cfg.AskOnly {
		s.mv.withdraw()
	}
}

// evict has the session leave the backend at its next safe point. One that shares server connections goes on
// elsewhere behind its unit of work, unless it is bound to this one; one that has its own moves, if it can.
func (s *Session) evict(at post, why string) {
	within := s.fe.set.Load().DrainTimeout
	if within == 0 {
		s.cutOff(at.backend, why)
		return
	}
	s.p.topology.expect(at, within)
	if s.leaving != nil || s.sh != nil && !s.bound() || s.evades(why) {
		return
	}
	s.countEviction(why)
	s.askToLeave(evicted(at.backend, why, s.want()))
}

// bound tells that a session that shares does not give its server connection back at the end of a unit of work.
func (s *Session) bound() bool { return s.sh.lasting() || s.sh.guest.Pin() != "" }

// overstays ends the session's stay at a backend that it should have left by now.
func (s *Session) overstays(over map[post]bool) {
	at, ok := s.post()
	if !ok || !over[at] || s.mv != nil && s.mv.seek != nil {
		return
	}
	if mv := s.mv; mv != nil && mv.settled() && mv.stage != moveOwing {
		s.mob.history().late = true // it is over within the hold time-out
		return
	}
	if why := s.unfit(at.backend); why != "" {
		s.cutOff(at.backend, why)
	}
}

// cutOff ends the session's stay at a backend at once. Nothing more is sent there. A client that shares server
// connections hears what became of its unit of work and stays, if it can.
func (s *Session) cutOff(b *upstream.Backend, why string) {
	e := evicted(b, why, s.want())
	if s.leaving == nil || why == fenced {
		s.countEviction(why)
	}
	switch {
	case s.sh == nil:
		if c := s.server; c != nil {
			s.server = nil
			c.Close()
		}
	case s.leaving == nil && !s.bound():
		s.loseServer(errors.New(e.Text))
		return
	default:
		sc := s.sh.at
		if s.sh.guest.Owed() > 0 {
			sc.cancel(nil)
		}
		sc.cut()
		sc.at, s.sh.at = nil, nil
	}
	if s.leaving == nil || s.leaving.Cond == codec.BackendGone {
		s.leaving = &e
	}
	s.leave(Forced)
}

// fence cuts the loop off from a former leader, but for what a session has at hand, which review sees to, and what
// the pools close: nothing more is sent there, and nobody waits for what it says.
func (on *loopState) fence(b *upstream.Backend) {
	var asked []*gauge
	for spec, h := range on.homes {
		if spec.backend != b {
			continue
		}
		for sc := range h.conns {
			switch sc.state {
			case connLeaving, connChecking, connHeld, connLocating:
				sc.cut()
			}
		}
		if h.where != nil {
			asked = append(asked, h.where)
		}
	}
	for _, g := range asked { // who waits makes new homes
		g.h.part.Cancel(&g.waiter)
		g.fail()
	}
}

// countEviction counts one by its reason.
func (s *Session) countEviction(why string) {
	for i, name := range evictions {
		if name == why {
			s.st.evicted[i]++
		}
	}
}

// evicted is what a client is told whose backend may not serve it any more.
func evicted(b *upstream.Backend, why string, want router.Want) codec.Error {
	text := "it left the cluster"
	switch why {
	case fenced:
		text = "another server is the leader now"
	case "namespace":
		return elsewhere
	case "role":
		text = "it is not the leader any more"
		if want.Roles != router.Roles(0).With(router.Leader) {
			text = "its role is " + b.Role().String() + " now"
		}
	case "state":
		text = "its state does not allow sessions"
		if state := b.Spec().State; plain(state) {
			text = "its state is " + state
		}
	case "shutdown":
		text = "it is shutting down"
	case "drained":
		text = "it is being drained"
	case "tags":
		text = "its tags do not allow it any more"
	case "lag":
		text = "its replication is too far behind"
	}
	return codec.Error{Cond: codec.BackendGone, Text: "the server was taken out of service: " + text}
}

// plainMax bounds, in bytes, what of a discovery's words a client is told.
const plainMax = 64

// plain tells whether a word of a discovery's can be told to a client.
func plain(word string) bool {
	for i := range len(word) {
		if word[i] < ' ' || word[i] > '~' {
			return false
		}
	}
	return word != "" && len(word) <= plainMax
}

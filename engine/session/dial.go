package session

import (
	"context"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// dialling is the search for a backend that takes the session.
type dialling struct {
	tried  []*upstream.Backend // in this round
	since  int64               // engine.Nano of the first attempt
	rounds int                 // in which all backends were tried in vain
	stop   context.CancelFunc  // of the dial under way
	timer  engine.Timer        // of the attempt under way, or of the pause before the next
	last   error               // why the last attempt failed
	reason codec.Condition     // to tell the client, if not NoBackend
}

// roundPause and roundPauseMax bound the pause after all backends were tried in vain; it doubles.
const (
	roundPause    = 100 * time.Millisecond
	roundPauseMax = time.Second
)

// dialFirst begins the search.
func (s *Session) dialFirst() {
	d := &s.in.dial
	d.since = engine.Nano()
	d.reason = codec.NoBackend
	s.dialNext()
}

// dialNext tries the next backend, or pauses, or gives up.
func (s *Session) dialNext() {
	d := &s.in.dial
	opt := s.cluster.Options()
	left := opt.RetryTimeout - time.Duration(engine.Nano()-d.since)
	b, why := s.cluster.Pick(s.set.want(), d.tried)
	switch {
	case b != nil && (left > 0 || d.rounds == 0 && len(d.tried) == 0):
		s.dialOne(b, opt.ConnectTimeout)
	case b != nil:
		b.Release()
		s.noBackend(why)
	case left <= 0 || why == "no backends" || why == "role":
		s.noBackend(why)
	default:
		pause := min(roundPause<<d.rounds, roundPauseMax, left)
		d.rounds = min(d.rounds+1, 8)
		d.tried = d.tried[:0]
		d.timer.Fn = s.dialNext
		s.on.loop.Arm(&d.timer, pause)
	}
}

// dialOne tries b: to connect, and to hear from it.
func (s *Session) dialOne(b *upstream.Backend, timeout time.Duration) {
	in := s.in
	s.backend = b
	s.on.stats.dials++
	s.on.stats.pending++
	in.answer = false
	in.dial.timer.Fn = func() { s.lostInLogin(errNoAnswer) }
	s.on.loop.Arm(&in.dial.timer, timeout)
	in.dial.stop = s.on.loop.Dial(b.Addr(), s.cluster.Options().Socket, timeout, (*serverSide)(s),
		func(err error) {
			if s.stage == stageLogin && s.backend == b && s.server == nil && in.dial.stop != nil {
				s.on.stats.dialFails++
				s.lostInLogin(err)
			}
		})
}

// errNoAnswer is why a backend is given up that accepts but does not speak.
var errNoAnswer = &codec.Error{Cond: codec.NoBackend, Text: "no answer within the connect time-out"}

// connected goes on with the login at the backend.
func (s *Session) connected(c *engine.Conn) {
	if s.stage != stageLogin || s.server != nil || s.in.dial.stop == nil {
		c.Close()
		return
	}
	s.in.dial.stop = nil
	s.server = c
	s.step(s.in.m.Connected())
}

// heard notes that the backend speaks; the time-out of the attempt ends with that.
func (s *Session) heard() {
	if !s.in.answer {
		s.in.answer = true
		s.on.loop.Disarm(&s.in.dial.timer)
	}
}

// lostInLogin tries another backend in place of one that failed, if the client has not been told
// anything by it yet.
func (s *Session) lostInLogin(err error) {
	if s.stage != stageLogin {
		return
	}
	s.in.dial.last = err
	if s.in.told {
		s.backend.Suspect()
		s.refuse(ServerLost, codec.Error{Cond: codec.BackendLost,
			Text: "the connection to the server was lost during the login"}, err)
		return
	}
	s.retry(err)
}

// retry drops the backend at hand and tries another.
func (s *Session) retry(err error) {
	in := s.in
	in.dial.last = err
	b := s.backend
	b.Suspect()
	s.dropBackend()
	s.on.stats.retries++
	in.dial.tried = append(in.dial.tried, b)
	if in.op != codec.OpRetry {
		in.op = codec.OpDial
	}
	s.dialNext()
}

// stopDialling ends the attempt under way.
func (s *Session) stopDialling() {
	if s.in == nil {
		return
	}
	d := &s.in.dial
	s.on.loop.Disarm(&d.timer)
	if d.stop != nil {
		d.stop()
		d.stop = nil
	}
}

// dropBackend gives up the backend at hand, and the connection to it.
func (s *Session) dropBackend() {
	s.stopDialling()
	if c := s.server; c != nil {
		s.server = nil
		c.Close()
	}
	if s.backend == nil {
		return
	}
	s.forgetKey()
	s.backend.Release()
	s.backend = nil
	if s.in != nil {
		s.on.stats.pending--
		s.in.early[codec.Server] = nil
	}
}

// noBackend ends a login for which no backend could be had.
func (s *Session) noBackend(why string) {
	in := s.in
	if in.op == codec.OpRetry { // the server's own words are the best answer
		s.step(in.m.Refused())
		return
	}
	text := "no server is available"
	switch {
	case in.dial.reason == codec.TLSFailed:
		text = "TLS with the server failed"
	case why == "role" || why == "no backends":
		text = "no server of the wanted role is configured"
	}
	err := in.dial.last
	e := codec.Error{Cond: in.dial.reason, Text: text}
	if err == nil {
		err = e
	}
	s.refuse(NoBackend, e, err)
}

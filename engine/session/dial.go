package session

import (
	"context"
	"errors"
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
	pauses bool                // none is tried at present
	now    *attempt            // under way; nil between attempts and once connected
	stop   context.CancelFunc  // of now
	led    bool                // the backend led when it was chosen
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
	d.pauses = false
	opt := s.cluster.Options()
	left := dialTime(opt) - asDuration(engine.Nano()-d.since)
	want := s.want()
	b, why := s.cluster.Pick(want, d.tried)
	switch {
	case b != nil && s.held(b, &want): // another one is about to lead
		b.Release()
		d.tried = append(d.tried, b)
		s.dialNext()
	case b != nil && (left > 0 || d.rounds == 0 && len(d.tried) == 0):
		s.dialOne(b, opt.ConnectTimeout)
	case b != nil:
		b.Release()
		s.noBackend(why)
	case left <= 0 || !mayChange(opt, why):
		s.noBackend(why)
	default:
		s.cluster.Hurry()
		d.pauses = true
		pause := min(roundPause<<d.rounds, roundPauseMax, left)
		d.rounds = min(d.rounds+1, 8)
		d.tried = d.tried[:0]
		d.timer.Fn = s.dialNext
		s.on.loop.Arm(&d.timer, pause)
	}
}

// dialTime is how long a client may wait for a backend that takes it. One whose cluster finds its backends by
// itself waits for a new leader too.
func dialTime(opt *upstream.Options) time.Duration {
	if opt.Discovery != nil {
		return max(opt.RetryTimeout, opt.FailoverTimeout)
	}
	return opt.RetryTimeout
}

// mayChange tells whether time may bring a backend when there is none for the router's reason: that it is fit
// is for a discovery to find out, or for the configuration to say.
func mayChange(opt *upstream.Options, why string) bool {
	switch why {
	case "health", "tried":
		return true
	}
	return opt.Discovery != nil
}

// redial has a login that pauses look for a backend at once.
func (s *Session) redial() {
	if s.in != nil && s.in.dial.pauses {
		s.on.loop.Disarm(&s.in.dial.timer)
		s.dialNext()
	}
}

// attempt is one dial for a session. It is the handler of its connection until that is the session's:
// a connection that comes up when its attempt was given up already must not be taken for that of the
// next one, which is to another backend.
type attempt struct{ s *Session }

// OnOpen hands the connection to the session.
func (a *attempt) OnOpen(c *engine.Conn) {
	s := a.s
	if s.stage != stageLogin || s.in.dial.now != a {
		c.Close()
		return
	}
	s.in.dial.now, s.in.dial.stop = nil, nil
	if s.backend.Fits(s.want()) != "" { // not any more
		c.Close()
		s.retry(errUnfit)
		return
	}
	c.SetHandler((*serverSide)(s))
	s.server = c
	s.introduce(c)
	s.step(s.in.m.Connected())
}

// OnData, OnRoom and OnClose concern connections that were given up.
func (*attempt) OnData(*engine.Conn, []byte) {}
func (*attempt) OnRoom(*engine.Conn)         {}
func (*attempt) OnClose(*engine.Conn, error) {}

// failed tells that there is no connection.
func (a *attempt) failed(err error) {
	if s := a.s; s.stage == stageLogin && s.in.dial.now == a {
		s.on.stats.dialFails++
		s.lostInLogin(err)
	}
}

// dialOne tries b: to connect, and to hear something that the client can be told.
func (s *Session) dialOne(b *upstream.Backend, timeout time.Duration) {
	d := &s.in.dial
	s.backend = b
	d.led = b.Leads()
	s.on.stats.dials++
	s.on.stats.pending++
	d.timer.Fn = func() { s.lostInLogin(errNoAnswer) }
	s.on.loop.Arm(&d.timer, timeout)
	d.now = &attempt{s}
	d.stop = s.on.loop.Dial(b.Addr(), s.cluster.Options().Socket, timeout, d.now, d.now.failed)
}

// errUnfit is why a backend is given up that ceased to be fit while it was dialled.
var errUnfit = errors.New("the server was taken out of service")

// errNoAnswer is why a backend is given up that accepts but does not speak.
var errNoAnswer = &codec.Error{Cond: codec.NoBackend, Text: "no answer within the connect time-out"}

// lostInLogin tries another backend in place of one that failed, if the client has not been told
// anything by it yet.
func (s *Session) lostInLogin(err error) {
	if s.stage != stageLogin {
		return
	}
	s.in.dial.last = err
	if s.in.told {
		s.backend.Suspect()
		s.cluster.Hurry()
		e := codec.Error{Cond: codec.BackendLost, Text: "the connection to the server was lost during the login"}
		if s.in.dial.reason == codec.TLSFailed {
			e = codec.Error{Cond: codec.TLSFailed, Text: "TLS with the server failed"}
		}
		s.refuse(outcomeOf(e.Cond), e, err)
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
	s.cluster.Hurry()
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
	d.pauses = false
	s.on.loop.Disarm(&d.timer)
	if d.stop != nil {
		d.stop()
		d.now, d.stop = nil, nil
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

// noServer is what a client is told for which there is no backend, and what the log is, for the router's
// reason.
func noServer(why string) (told string, cause error) {
	switch why {
	case "role", "no backends":
		told = "no server of the wanted role is configured"
		return told, errors.New(told)
	case "health":
		return "no server is available", errors.New("all backends are down")
	case "state", "tags", "lag":
		return "no server is available", errors.New("no backend is fit: " + why)
	}
	return "no server is available", errors.New("no backend can be had")
}

// noBackend ends a login for which no backend could be had.
func (s *Session) noBackend(why string) {
	in := s.in
	if in.op == codec.OpRetry { // the server's own words are the best answer
		s.step(in.m.Refused())
		return
	}
	text, cause := noServer(why)
	if in.dial.reason == codec.TLSFailed {
		text = "TLS with the server failed"
	}
	err := in.dial.last
	e := codec.Error{Cond: in.dial.reason, Text: text}
	if err == nil {
		err = cause
	}
	s.refuse(NoBackend, e, err)
}

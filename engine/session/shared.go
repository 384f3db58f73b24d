package session

import (
	"errors"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/router/access"
	"sluice/upstream"
	"sluice/upstream/pool"
)

// shared is what a session has whose client shares server connections with others.
type shared struct {
	gate     codec.Gate // until the session is ready
	guest    codec.Guest
	found    *access.Found // what holds for the client; after its login, shared with others of its kind
	home     *home         // where its server connections come from
	at       *serverConn   // the one at hand; nil between units of work
	last     *serverConn   // the one before, and how often it had been used then
	lastUses uint64
	lastHome *home

	waiter  pool.Waiter
	need    codec.Need // what the bytes in held wait for; NeedBytes: nothing
	held    []byte     // bytes of the client that have not been used
	paused  bool       // the client is not read since held is full
	since   int64      // engine.Nano at which the present wait began; 0: none
	retry   *engine.Timer
	intro   bool   // the wait, or the server connection at hand, is for the end of the login
	counted bool   // in the limits of user and database
	pin     string // what bound it when it was looked last
	news    *news  // what it listens to
	desk    *deskState
	watched bool // its work is limited in time
	noticed bool // the client was told that it waits
	failed  bool // its backend's pool could open no server connection for it
}

// heldMax bounds, in bytes, what a client may send while it waits; then it is read no further.
const heldMax = 64 << 10

// lasting tells that the client keeps its server connection to the end.
func (sh *shared) lasting() bool { return sh.found.Limits.Unit == access.UnitSession && sh.desk == nil }

// waits tells that the client's bytes have to wait.
func (sh *shared) waits() bool { return sh.need != codec.NeedBytes }

// hold keeps bytes of the client that can't be used yet.
func (s *Session) hold(p []byte) {
	sh := s.sh
	if sh.held == nil {
		sh.held = s.on.spareBuffer()
	}
	sh.held = append(sh.held, p...)
	if len(sh.held) > heldMax && !sh.paused {
		sh.paused = true
		s.client.PauseReads()
	}
}

// fromGuest takes bytes of a client that shares.
func (s *Session) fromGuest(p []byte) {
	sh := s.sh
	if s.set.IdleTimeout > 0 {
		s.active = s.on.loop.Now()
	}
	if sh.desk != nil {
		s.deskBytes(p)
		return
	}
	if sh.waits() || len(sh.held) > 0 {
		s.hold(p)
		return
	}
	s.on.busy++
	s.clock.now = 0
	s.use(p)
	s.on.busy--
	s.on.settle()
}

// resume goes on with the bytes that were held, now that what they waited for has come.
func (s *Session) resume() {
	sh := s.sh
	was := sh.need
	sh.need = codec.NeedBytes
	p := sh.held
	sh.held, sh.paused = nil, false
	if len(p) > 0 || was == codec.NeedTurn { // then the guest may have something to say
		s.clock.now = 0
		s.use(p)
	} else {
		s.partIfFree() // nothing is asked of the server connection, if there is one
	}
	s.on.keepBuffer(p)
	s.readOn()
}

// readOn reads the client on, unless something still speaks against it.
func (s *Session) readOn() {
	sh := s.sh
	if s.stage != stageRelay || sh.paused || s.deep || sh.at != nil && sh.at.conn.Full() {
		return
	}
	s.client.ResumeReads()
}

// use gives the guest bytes of the client, for as long as it needs nothing that takes time.
func (s *Session) use(p []byte) {
	sh, on := s.sh, s.on
	t := &on.turn
	t.Client.Open(s.client)
	t.Server.Open(nil)
	if sh.at != nil {
		t.Server.Open(sh.at.conn)
		sh.at.active = on.loop.Now()
		if sh.at.begun == 0 {
			sh.at.begun = sh.at.active
		}
	}
	for s.stage == stageRelay {
		n, need, err := sh.guest.Client(p, t)
		s.bst.toServer += uint64(n)
		sh.home.counts.received += uint64(n)
		p = p[n:]
		if err != nil {
			t.Flush()
			s.broken(codec.Client, err)
			return
		}
		if need == codec.NeedHost || need == codec.NeedSame {
			if sc := s.checkout(need); sc != nil {
				t.Server.Open(sc.conn)
				need = sh.guest.Attach(sc.host, t)
				if need == codec.NeedBytes {
					continue
				}
			} else if need == codec.NeedSame {
				continue // it was told that it can't have that
			}
		}
		if need == codec.NeedAside {
			if err, done := s.aside(); done {
				s.answer(err, t)
				continue
			}
		}
		t.Flush()
		s.stop(p, need)
		return
	}
}

// stop ends a turn of the client's: what is left of its bytes waits for need.
func (s *Session) stop(rest []byte, need codec.Need) {
	sh := s.sh
	if s.stage != stageRelay {
		return
	}
	if need == codec.NeedEnd {
		s.end(ClientQuit, nil, nil)
		return
	}
	sh.need = need
	if len(rest) > 0 {
		s.hold(rest)
	}
	if sc := sh.at; sc != nil {
		if sc.conn.Full() {
			s.client.PauseReads() // until OnRoom of the server
		}
		if sh.guest.Owed() > owedHigh && !s.deep {
			s.deep = true
			s.client.PauseReads() // until afterHost finds it shallow
		}
	}
	s.partIfFree()
}

// checkout takes a server connection from the pool for the session, or queues for one. With NeedSame it
// is the one that the session had before, or the guest is told that this can't be had.
func (s *Session) checkout(need codec.Need) *serverConn {
	sh := s.sh
	if need == codec.NeedSame {
		if last := sh.last; last != nil && sh.lastHome == sh.home &&
			sh.home.part.GetSame(&last.Entry, sh.lastUses) {
			last.join(s)
			return last
		}
		sh.guest.Forsaken()
		return nil
	}
	if !s.settleHome() {
		return nil
	}
	if e := sh.home.part.Get(&sh.waiter); e != nil {
		sc := e.User.(*serverConn)
		sc.join(s)
		return sc
	}
	sh.since = s.on.loop.Now()
	return nil
}

// again queues the session for a server connection, in place of one that was lost before it was of use.
func (s *Session) again() {
	sh := s.sh
	sh.need = codec.NeedHost
	if sh.since == 0 {
		sh.since = s.on.loop.Now()
	}
	if !s.settleHome() {
		return
	}
	if e := sh.home.part.Get(&sh.waiter); e != nil {
		s.on.grants = append(s.on.grants, grant{s, e.User.(*serverConn)})
	}
}

// onGrant takes a server connection for which the session has waited. It is called from inside the
// pool; the session goes on later.
func (s *Session) onGrant(e *pool.Entry) {
	s.on.grants = append(s.on.grants, grant{s, e.User.(*serverConn)})
	if s.on.busy == 0 {
		s.on.loop.Run(s.on.settle)
	}
}

// granted goes on with a server connection for which the session has waited.
func (s *Session) granted(sc *serverConn) {
	sh, on := s.sh, s.on
	switch {
	case sc.state == connClosed: // meanwhile
		if s.stage != stageOver && sh.at == nil {
			s.again()
		}
		return
	case s.stage == stageOver || sh.at != nil:
		sc.home.part.Put(&sc.Entry)
		return
	}
	now := on.loop.Now()
	if sh.since > 0 {
		h := sh.home
		h.counts.waits++
		h.counts.waited += now - sh.since
		h.counts.wait.observe(now - sh.since)
		sh.since, sh.noticed = 0, false
	}
	if sh.intro {
		if in, ok := s.adopt(); ok { // somebody was told meanwhile
			sh.intro, sh.need = false, codec.NeedBytes
			sc.home.part.Put(&sc.Entry)
			s.welcomed(in)
			return
		}
	}
	sc.join(s)
	t := &on.turn
	t.Client.Open(s.client)
	t.Server.Open(sc.conn)
	if sh.intro {
		t.Client.Open(nil) // the client is told by the gate
		sh.guest.Introduce(sc.host, t)
		t.Flush()
		s.introduceIfFree()
		return
	}
	need := sh.guest.Attach(sc.host, t)
	if need != codec.NeedBytes {
		t.Flush()
		sh.need = need
		return
	}
	t.Flush()
	s.resume()
}

// onFail takes note that no server connection can be had.
func (s *Session) onFail(err error) {
	s.on.loop.Run(func() { s.on.around(func() { s.waitFailed(err) }) })
}

// retryPause is the time between two attempts of a session to get a server connection, after the pool
// has said that none can be opened.
const retryPause = 100 * time.Millisecond

// waitFailed tries again, at another backend if there is one, until the cluster's retry time-out; then
// the client is told.
func (s *Session) waitFailed(err error) {
	sh := s.sh
	if s.stage == stageOver || sh.at != nil {
		return
	}
	sh.home.counts.errors++
	if errors.Is(err, pool.ErrWait) {
		s.endWaiting(codec.Error{Cond: codec.PoolWait, Text: "no server connection became free in time"}, err)
		return
	}
	left := s.cluster.Options().RetryTimeout - asDuration(engine.Nano()-sh.since)
	var own codec.Error
	lasting := errors.As(err, &own) && own.Cond == codec.AuthDenied && sh.intro // no time will help
	if errors.Is(err, pool.ErrDisabled) || lasting || left <= 0 {
		if own.Raw == "" && own.Cond != codec.AuthDenied {
			own = codec.Error{Cond: codec.NoBackend, Text: "no server is available"}
		}
		s.endWaiting(own, err)
		return
	}
	sh.failed = true // another backend may do better
	if sh.retry == nil {
		sh.retry = &engine.Timer{}
	}
	sh.retry.Fn = func() { s.on.around(s.againLater) }
	s.on.loop.Arm(sh.retry, min(retryPause, left))
}

// againLater queues once more, if the session still waits.
func (s *Session) againLater() {
	if s.stage != stageOver && s.sh.at == nil && s.sh.since > 0 {
		s.again()
	}
}

// endWaiting ends a session that can't get a server connection.
func (s *Session) endWaiting(e codec.Error, cause error) {
	if s.stage == stageLogin {
		s.refuse(outcomeOf(e.Cond), e, cause)
		return
	}
	s.end(outcomeOf(e.Cond), &e, cause)
}

// settleHome makes sure that the session's home is at a backend that can be used, and finds another one if
// not. It tells whether the session goes on.
func (s *Session) settleHome() bool {
	b, home := s.backend, s.sh.home
	up := !b.Gone() && b.Health() != upstream.Down
	if up && !s.sh.failed && home.spec.pool.Usable(s.on.loop.Now()) {
		return true
	}
	s.sh.failed = false
	s.on.turn.Flush() // what the client was told comes before what it may be told here
	dropped := home.spec.dropped.Load()
	if dropped && s.fe.closed.Load() {
		s.endWaiting(listenerGone, nil) // nothing is opened for it any more
		return false
	}
	if !up || !dropped {
		next, why := s.cluster.Pick(s.set.want(), []*upstream.Backend{b})
		if next == nil && b.Gone() {
			s.endWaiting(codec.Error{Cond: codec.NoBackend, Text: "no server is available"}, errors.New(why))
			return false
		}
		if next != nil {
			b.Release()
			s.backend = next
			s.moveIn()
			return true
		}
	}
	if dropped {
		s.moveIn()
	}
	return true
}

// moveIn finds the session's pool at its backend.
func (s *Session) moveIn() {
	s.sh.home = s.on.homeOf(s.spec())
	s.bst = s.sh.home.bst
	s.listenElsewhere()
}

// spec finds the pool for the session's client at its backend. What it is opened with are the listener's
// present settings, though the session may have come before them.
func (s *Session) spec() *poolSpec {
	sh, set := s.sh, s.fe.set.Load()
	if set.Sharing == nil || set.cluster != s.set.cluster {
		set = s.set
	}
	if set != s.set {
		sh.redefine(set)
	}
	user, secret := sh.found.Login(sh.learned())
	w := &wanted{set: set, backend: s.backend, found: sh.found, limits: sh.found.Limits,
		client: s.user, user: user, secret: secret}
	if set != s.set {
		w.limits = set.limitsOf(s.user, sh.found.Database.Name)
	}
	if sh.gate == nil {
		if sh.home.spec.user == user { // what the client has shown is known to its pool alone
			w.secret, w.known = codec.Secret{}, sh.home.spec.secret.Load()
		}
	} else {
		if w.special = sh.gate.Special(); w.special != (codec.Param{}) {
			w.params, w.session = sh.gate.Settings(), s.id
			alone := *sh.found
			alone.Limits.Unit, alone.Limits.PoolSize = access.UnitSession, 1
			alone.Limits.PoolMin, alone.Limits.PoolReserve = 0, 0
			sh.found, w.found, w.limits = &alone, &alone, alone.Limits
		}
	}
	return s.p.pools.find(s.p, w)
}

// redefine takes over what a reload has changed about the client's database: where it is, and who logs
// in there.
func (sh *shared) redefine(set *Settings) {
	d, ok := set.Sharing.Access.Database(sh.found.Database.Name)
	if ok && (d.Target != sh.found.Database.Target || d.User != sh.found.Database.User) {
		found := *sh.found
		found.Database = d
		sh.found = &found
	}
}

// learned is what the client's login has shown of its secret.
func (sh *shared) learned() codec.Secret {
	if sh.gate != nil {
		return sh.gate.Learned()
	}
	return codec.Secret{}
}

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

// endShared parts an ended session from its server connection and from the pool.
func (s *Session) endShared() {
	sh := s.sh
	if sh.home != nil {
		sh.home.part.Cancel(&sh.waiter)
	}
	if sh.retry != nil {
		s.on.loop.Disarm(sh.retry)
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

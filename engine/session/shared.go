package session

import (
	"sluice/codec"
	"sluice/router/access"
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
	reads    *reading // nil: none has said that it only reads

	waiter  pool.Waiter
	need    codec.Need // what the bytes in held wait for; NeedBytes: nothing
	held    []byte     // bytes of the client that have not been used
	worked  bool       // there was a unit of work
	paused  bool       // the client is not read since held is full
	since   int64      // engine.Nano at which the present wait began; 0: none
	retry   *retrying  // nil unless it has been in trouble
	intro   bool       // the wait, or the server connection at hand, is for the end of the login
	counted bool       // in the limits of user and database
	pin     string     // what bound it when it was looked last
	news    *news      // what it listens to
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
			if sc := s.checkout(need, p); sc != nil {
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

package session

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"

	"sluice/codec"
	"sluice/engine"
	"sluice/router/access"
)

// beginShared starts the login of a client that logs in at Sluice.
func (s *Session) beginShared() {
	sh := &shared{}
	sh.waiter.Grant, sh.waiter.Fail = s.onGrant, s.onFail
	s.sh = sh
	sharer := s.cluster.Options().Protocol.(codec.Sharer)
	sh.gate = sharer.NewGate(&codec.GateConfig{ClientTLS: s.set.TLSMode, Salt: s.p.salt})
	s.gateStep(sh.gate.Start())
}

// gateStep sends what the login has to say and carries out what it asks for.
func (s *Session) gateStep(op codec.Op) {
	for s.stage == stageLogin {
		in, g := s.in, s.sh.gate
		if op == codec.OpIdentify {
			s.user = g.User()
			if e := s.enter(true); e != nil && in.refusal == nil {
				in.refusal = e
			}
			if e := s.gateObjection(); e != nil && !in.objected {
				in.objected, in.refusal = true, e
				op = g.Refuse(*e)
				continue
			}
		}
		if p := g.Take(); len(p) > 0 {
			s.client.Write(p)
		}
		in.op = op
		switch op {
		case codec.OpMore:
			p := in.early[codec.Client]
			if len(p) == 0 {
				return
			}
			in.early[codec.Client] = nil
			s.client.ResumeReads()
			op = g.Client(p)
			continue
		case codec.OpClientTLS:
			s.clientTLS()
		case codec.OpIdentify:
			s.identify()
		case codec.OpWork:
			go func() {
				g.Work()
				s.on.loop.Run(func() {
					if s.stage == stageLogin {
						s.gateStep(g.Worked())
					}
				})
			}()
		case codec.OpWelcome:
			s.welcome()
		case codec.OpReady:
			s.sharedReady()
		case codec.OpCancel:
			s.cancel(g.Target())
		case codec.OpClose:
			s.loginEnded()
		}
		return
	}
}

// gateObjection is what speaks against a login before anything was proved.
func (s *Session) gateObjection() *codec.Error {
	if s.in.refusal != nil {
		return s.in.refusal
	}
	if s.user == "" {
		return nil
	}
	return s.wrongCertificate(s.user)
}

// identify finds out what is known of the user.
func (s *Session) identify() {
	sh, table := s.sh, s.set.Sharing.Access
	_, secure := s.client.TLS()
	found := table.Find(access.Query{User: s.user, Database: sh.gate.Database(), From: s.from.Addr(),
		TLS: secure, Replication: sh.gate.Special().Value == "true"})
	sh.found = &found
	ask := s.fe.askOf(s.set)
	if !sh.found.Ask || ask == nil {
		s.gateStep(sh.gate.Identified(sh.found.Account))
		return
	}
	user, database := s.user, sh.found.AskIn
	if secret, known, ok := ask.Cached(user, database); ok {
		sh.found.Answer(secret, known, ask.Usual())
		s.gateStep(sh.gate.Identified(sh.found.Account))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.set.LoginTimeout)
	go func() {
		defer cancel()
		secret, known, err := ask.Ask(ctx, user, database)
		s.on.loop.Run(func() {
			switch {
			case s.stage != stageLogin:
			case err != nil:
				s.refuse(NoBackend, codec.Error{Cond: codec.NoBackend, Text: "the user could not be looked up"}, err)
			default:
				sh.found.Answer(secret, known, ask.Usual())
				s.gateStep(sh.gate.Identified(sh.found.Account))
			}
		})
	}()
}

// welcome prepares the session of a client that has proved who it is.
func (s *Session) welcome() {
	sh := s.sh
	if e := s.expelled(); e != nil {
		s.refuse(Drained, *e, nil)
		return
	}
	if sh.found.Console {
		s.welcomeDesk()
		return
	}
	if !s.p.welcomes(sh.found.Database.Name) {
		s.refuse(LoginRefused, errDisabled, nil)
		return
	}
	if e := s.p.shareTake(s); e != nil {
		s.refuse(LimitReached, *e, nil)
		return
	}
	s.findBackend()
}

// findBackend chooses a backend for the client. While there is none that is up it is looked for again, as
// for a client that is in.
func (s *Session) findBackend() {
	sh := s.sh
	b, why := s.cluster.Pick(s.want(), nil)
	if b == nil {
		text, cause := noServer(why)
		if s.cluster.Options().Discovery == nil && (why == "no backends" || why == "role") {
			s.refuse(NoBackend, codec.Error{Cond: codec.NoBackend, Text: text}, cause)
			return
		}
		s.seek(cause, retryPause, s.findBackend)
		return
	}
	s.sought(soughtFound)
	s.backend, sh.since = b, 0
	s.on.stats.pending++ // as in other logins: until ready
	if to := s.bestLoop(s.spec()); to != s.on {
		s.changeLoop(to)
		return
	}
	s.prepare()
}

// prepare has the guest made ready for its first unit of work, on the loop where the client will live.
func (s *Session) prepare() {
	sh := s.sh
	s.moveIn()
	cfg := s.set.Sharing.guests[sh.found.Limits.Unit]
	sh.guest = sh.home.shelf.NewGuest(sh.gate, cfg, s)
	if in, ok := s.adopt(); ok {
		s.welcomed(in)
		return
	}
	sh.intro = true
	s.again()
	s.on.settle()
}

// adopt looks for what another client of the kind was told at the end of its login, and returns it with
// what is this client's own.
func (s *Session) adopt() (in codec.Introduction, ok bool) {
	sh := s.sh
	if in, ok = sh.home.intros[sh.guest.IntroductionKey()]; !ok || sh.lasting() {
		return nil, false
	}
	sh.guest.Adopt(in)
	in, err := sh.guest.Introduction()
	return in, err == nil
}

// introduceIfFree ends the login when the server connection has told what the client has to know.
func (s *Session) introduceIfFree() {
	sh := s.sh
	sc := sh.at
	if sc == nil || !sc.host.Free() {
		return
	}
	sh.intro, sh.need = false, codec.NeedBytes
	in, err := sh.guest.Introduction()
	former := sc.Closing() // what its server has said may not hold any more
	sc.part()
	if err != nil {
		var told codec.Error
		if !errors.As(err, &told) {
			told = codec.Error{Cond: codec.Internal, Text: "the session could not be prepared"}
		}
		s.refuse(LoginRefused, told, err)
		return
	}
	if !former {
		intros := sh.home.intros
		if len(intros) >= introsMax {
			clear(intros)
		}
		intros[sh.guest.IntroductionKey()] = in
	}
	s.welcomed(in)
}

// welcomed gives the client its key and ends the login.
func (s *Session) welcomed(in codec.Introduction) {
	sh := s.sh
	secret := make([]byte, 4+sh.gate.KeySize())
	_, _ = rand.Read(secret) // never fails
	s.key = codec.Key{ID: binary.BigEndian.Uint32(secret) >> 1, Secret: string(secret[4:])}
	s.keyed = true
	s.p.keys.add(s.key, target{backend: s.backend, user: s.user, shared: s})
	s.gateStep(sh.gate.Welcomed(in, s.key))
}

// sharedReady turns the login into a session.
func (s *Session) sharedReady() {
	in, sh := s.in, s.sh
	rest := append([]byte(nil), sh.gate.Rest()...)
	rest = append(rest, in.early[codec.Client]...)
	s.on.loop.Disarm(&s.timer)
	s.p.loginOver(s)
	if s.backend != nil {
		s.on.stats.pending--
	}
	s.st.ready++
	s.st.login.observe(engine.Nano() - s.opened)
	s.stage = stageRelay
	s.in = nil
	sh.gate = nil
	if sh.home == nil || sh.home.spec.special == (codec.Param{}) {
		sh.found = s.on.intern(s.set.Sharing.Access, s.user, sh.found)
	}
	if sh.desk == nil {
		s.on.watch(s)
	}
	s.client.ResumeReads()
	s.startIdle()
	if len(rest) > 0 {
		s.fromGuest(rest)
	}
	if s.stage == stageRelay {
		if e := s.expelled(); e != nil {
			s.askToLeave(*e)
		}
	}
}

// kindOf names what clients have in common for whom the same holds.
type kindOf struct {
	table          *access.Table
	user, database string
}

// kindsMax bounds the kinds of clients that a loop remembers.
const kindsMax = 10000

// intern returns what holds for a client in a copy that is shared with other clients of its kind: an idle
// client should not cost more than it must.
func (on *loopState) intern(table *access.Table, user string, f *access.Found) *access.Found {
	k := kindOf{table, user, f.Database.Name}
	if known := on.kinds[k]; known != nil {
		known.User = f.User // its secret may be a newer one
		return known
	}
	if on.kinds == nil || len(on.kinds) >= kindsMax {
		on.kinds = map[kindOf]*access.Found{}
	}
	kept := *f
	kept.Account = codec.Account{}
	on.kinds[k] = &kept
	return &kept
}

// shareCounts are the clients that share, by listener and user, and by listener and database.
type shareCounts struct {
	mu        sync.Mutex
	users     map[[2]string]int
	databases map[[2]string]int
}

// shareTake counts a client in, or says which limit it would pass.
func (p *Proxy) shareTake(s *Session) *codec.Error {
	c, found := &p.sharers, s.sh.found
	user, db := [2]string{s.fe.name, s.user}, [2]string{s.fe.name, s.sh.found.Database.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case found.MaxUserConnections > 0 && c.users[user] >= found.MaxUserConnections:
		return &codec.Error{Cond: codec.TooManyConns, Text: "too many connections of this user"}
	case found.MaxDatabaseConnections > 0 && c.databases[db] >= found.MaxDatabaseConnections:
		return &codec.Error{Cond: codec.TooManyConns, Text: "too many connections to this database"}
	}
	c.users[user]++
	c.databases[db]++
	s.sh.counted = true
	return nil
}

// shareOver counts a client out.
func (p *Proxy) shareOver(s *Session) {
	if !s.sh.counted {
		return
	}
	s.sh.counted = false
	c := &p.sharers
	user, db := [2]string{s.fe.name, s.user}, [2]string{s.fe.name, s.sh.found.Database.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users[user]--; c.users[user] <= 0 {
		delete(c.users, user)
	}
	if c.databases[db]--; c.databases[db] <= 0 {
		delete(c.databases, db)
	}
}

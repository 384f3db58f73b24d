package session

import (
	"testing"

	"sluice/codec"
	"sluice/upstream"
)

// poolOf returns the one pool that there is.
func (s *stand) poolOf() *poolSpec {
	s.t.Helper()
	all := s.pools.all()
	if len(all) != 1 {
		s.t.Fatalf("%d pools", len(all))
	}
	return all[0]
}

// TestReloadOfPoolSize: a session that was there before a reload does not bring the old settings back when
// it has to find a pool.
func TestReloadOfPoolSize(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, nil, a)
	c := login(t, s.addr("in"))
	c.query("select")
	s.setup.Frontends[0].Sharing = trusting(7)
	s.setup.Clusters[0].Backends = specs(b)
	s.apply()
	if tag, _ := c.query("select"); tag != "db-b" {
		t.Errorf("the answer is from %s", tag)
	}
	if spec := s.poolOf(); spec.pool.Options().Size != 7 || spec.sharing.Load() != s.setup.Frontends[0].Sharing {
		t.Errorf("the new pool's size is %d", spec.pool.Options().Size)
	}
	c.Close()
	s.expectCalm()
}

// TestReloadTakesABackendOutAndIn: the pool of a backend that has come back is a new one.
func TestReloadTakesABackendOutAndIn(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, nil, a)
	c := login(t, s.addr("in"))
	for _, db := range []*fakePG{b, a, b, a} {
		s.setup.Clusters[0].Backends = specs(db)
		s.apply()
		if tag, _ := c.query("select"); tag != db.name {
			t.Errorf("the answer is from %s, want %s", tag, db.name)
		}
		if spec := s.poolOf(); spec.backend.Gone() || spec.dropped.Load() {
			t.Error("the pool is that of a backend that is gone")
		}
	}
	c.Close()
	s.expectCalm()
}

// TestSecretFollowsTheSession: what a client has proved at its login is still known when its session has
// to find a pool at another backend, and is not replaced by less.
func TestSecretFollowsTheSession(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, nil, a)
	c := login(t, s.addr("in"))
	c.query("select")
	keys := &codec.Secret{ClientKey: []byte("client"), ServerKey: []byte("server")}
	s.poolOf().secret.Store(keys)
	one := s.only()
	onLoop(t, one.on, func() { one.sh.found.User.Secret = codec.Secret{Verifier: "no good for a login"} })
	s.setup.Clusters[0].Backends = specs(b)
	s.apply()
	c.query("select")
	if got := s.poolOf().secret.Load(); got != keys {
		t.Errorf("the new pool logs in by %+v", got)
	}
}

// TestListenerGoes: its sessions and pools go with it; nothing is opened again for one that waits.
func TestListenerGoes(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) {
		s.Frontends[0].Sharing = trusting(1)
		s.Frontends = append(s.Frontends, s.Frontends[0])
		s.Frontends[1].Name = "other"
	}, db)
	has, waits, idle := login(t, s.addr("in")), login(t, s.addr("in")), login(t, s.addr("in"))
	has.query("begin")
	_, _ = waits.Write(message('Q', "select\x00"))
	eventually(t, "one waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
	s.setup.Frontends = s.setup.Frontends[1:]
	s.apply()
	idle.expectError("57P01")
	waits.expectError("57P01")
	if tag, _ := has.query("select"); tag != "db-a" {
		t.Errorf("in the transaction: %q", tag)
	}
	_, _ = has.Write(message('Q', "commit\x00"))
	has.next()
	has.next()
	has.expectError("57P01")
	s.expectCalm()
	if n := len(s.pools.all()); n != 0 {
		t.Errorf("%d pools are left", n)
	}
	for _, on := range s.loops {
		onLoop(t, on, func() {
			if len(on.homes) != 0 {
				t.Errorf("%d homes are left", len(on.homes))
			}
		})
	}
}

// TestListenerGoesWithItsQuestions: who looks users up for a listener that is removed is let go.
func TestListenerGoesWithItsQuestions(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) {
		s.Frontends[0].Sharing.Ask = upstream.AuthQueryOptions{Query: "select $1", User: "asker"}
	}, db)
	fe := s.Frontends()[0]
	if fe.askOf(fe.Settings()) == nil {
		t.Fatal("nobody looks users up")
	}
	s.setup.Frontends = nil
	s.apply()
	if fe.askOf(fe.Settings()) != nil {
		t.Error("somebody still looks users up")
	}
}

// TestVisitLeavesOutWhoMoved: a session that has moved to another loop since the list was made is that
// loop's alone.
func TestVisitLeavesOutWhoMoved(t *testing.T) {
	s := startFunnel(t, nil, startFakePG(t, "db-a"))
	here, there := s.loops[0], s.loops[1]
	visited := 0
	onLoop(t, here, func() {
		here.visit([]*Session{{on: there}, {on: here}}, func(one *Session) {
			if visited++; one.on != here {
				t.Error("a session of the other loop was visited")
			}
		}, nil)
	})
	if visited != 1 {
		t.Errorf("%d were visited", visited)
	}
}

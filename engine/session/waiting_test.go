package session

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/codec"
	"sluice/router"
	"sluice/router/access"
	"sluice/upstream"
	"sluice/upstream/pool"
)

// refuseAll has a server refuse logins, health checks among them, until the result is called.
func (f *fakePG) refuseAll() (takeAgain func()) {
	code := "57P03" // cannot_connect_now
	f.refuse.Store(&code)
	return func() { f.refuse.Store(nil) }
}

// watched has the health of the backend looked at all the time.
func watched(s *Setup) { s.Clusters[0].Health.Interval = 20 * time.Millisecond }

// isKnown waits until the health of the only backend is known to be that.
func (s *stand) isKnown(h upstream.Health) {
	s.t.Helper()
	eventually(s.t, "the backend is known to be "+h.String(), func() bool { return s.Backends()[0].Health() == h })
}

// inLogin is the number of sessions that are in their login and wait for a backend.
func (s *stand) inLogin() (n int) {
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for _, one := range on.all() {
				if one.stage == stageLogin && one.sh != nil && one.sh.since > 0 {
					n++
				}
			}
		})
	}
	return n
}

// TestLoginWaitsForABackend: a login while the only backend is known to be down is let in when it is up
// again, as a client waits that is in already.
func TestLoginWaitsForABackend(t *testing.T) {
	db := startFakePG(t, "db-a")
	takeAgain := db.refuseAll()
	s := startFunnel(t, func(s *Setup) {
		watched(s)
		s.Clusters[0].RetryTimeout = patience
	}, db)
	s.isKnown(upstream.Down)
	clients := []*client{connect(t, s.addr("in")), connect(t, s.addr("in"))}
	eventually(t, "they wait", func() bool { return s.inLogin() == len(clients) })
	gone := connect(t, s.addr("in"))
	eventually(t, "so does one who goes", func() bool { return s.inLogin() == len(clients)+1 })
	gone.Close()
	eventually(t, "it has gone", func() bool { return s.inLogin() == len(clients) })
	takeAgain()
	for _, c := range clients {
		c.ready()
		c.query("select")
		c.Close()
	}
	s.expectCalm()
}

// TestLoginWaitsInVain: it is told so when the time for trying is over, or when all have to leave.
func TestLoginWaitsInVain(t *testing.T) {
	for _, drained := range []bool{false, true} {
		db := startFakePG(t, "db-a")
		db.refuseAll()
		s := startFunnel(t, func(s *Setup) {
			watched(s)
			s.Clusters[0].RetryTimeout = 300 * time.Millisecond
			if drained {
				s.Clusters[0].RetryTimeout = time.Hour
			}
		}, db)
		s.isKnown(upstream.Down)
		begun := time.Now()
		c := connect(t, s.addr("in"))
		if drained {
			eventually(t, "it waits", func() bool { return s.inLogin() == 1 })
			go s.Drain(t.Context())
		}
		for kind, body := c.next(); ; kind, body = c.next() {
			if kind == 'R' {
				continue
			}
			if kind != 'E' || !drained && !strings.Contains(body, "no server is available") {
				t.Errorf("got %c %q", kind, body)
			}
			break
		}
		if took := time.Since(begun); !drained && took < 300*time.Millisecond {
			t.Errorf("told after %v", took)
		}
		c.Close()
		s.expectCalm()
	}
}

// errors is how many waits have ended in an error.
func (s *stand) waitErrors() (n int) {
	for _, i := range s.PoolInfos() {
		n += int(i.Errors)
	}
	return n
}

// TestWaitsWithoutABackend: those who wait while no server connection can be opened are not all of them told
// so by the pool again and again; and when the backend is known to be back, none of them sits out the time
// that the pool would leave between two attempts.
func TestWaitsWithoutABackend(t *testing.T) {
	const many = 20
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) {
		watched(s)
		s.Frontends[0].Sharing.Pool.RetryMin, s.Frontends[0].Sharing.Pool.RetryMax = time.Hour, time.Hour
		s.Clusters[0].RetryTimeout = patience
	}, db)
	var clients []*client
	for range many {
		clients = append(clients, login(t, s.addr("in")))
	}
	takeAgain := db.refuseAll()
	db.cutAll()
	s.isKnown(upstream.Down)
	eventually(t, "the pool is empty", func() bool { return len(s.states()) == 0 })
	before := s.waitErrors()
	for _, c := range clients {
		_, _ = c.Write(message('Q', "select\x00"))
	}
	eventually(t, "all have been told", func() bool { return s.waitErrors()-before >= many })
	begun, n := time.Now(), 0
	eventually(t, "each has looked a few times", func() bool {
		n = max(n, s.waitErrors()-before)
		return time.Since(begun) > 5*retryPause
	})
	if n > many {
		t.Errorf("%d waits ended in an error", n)
	}
	takeAgain()
	for _, c := range clients {
		if kind, body := c.next(); kind != 'C' {
			t.Fatalf("got %c %q", kind, body)
		}
		c.Close()
	}
	s.expectCalm()
}

// TestServerThatEndsEachBegin: a server that closes each connection as soon as it is asked for anything is not
// connected to over and over without a pause, and the client is told in time.
func TestServerThatEndsEachBegin(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.condemns.Store(1 << 40)
	s := startFunnel(t, func(s *Setup) { s.Clusters[0].RetryTimeout = time.Second }, db)
	c := connect(t, s.addr("in"))
	for {
		kind, body := c.next()
		if kind == 'E' {
			if !strings.Contains(body, "no server is available") {
				t.Errorf("told %q", body)
			}
			break
		}
	}
	if n := db.logins.Load(); n > 20 {
		t.Errorf("%d connections in a second", n)
	}
	c.Close()
	s.expectCalm()
}

// TestReloadOfRoles: a session leaves a backend that has not the role any more which its listener asks for, and
// waits while there is none that has.
func TestReloadOfRoles(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, func(s *Setup) {
		s.Frontends[0].Roles = router.Roles(0).With(router.Leader)
		s.Clusters[0].Backends[1].Role = router.Async
	}, a, b)
	c := login(t, s.addr("in"))
	for _, want := range []struct {
		a, b router.Role
		name string
	}{{router.Leader, router.Async, "db-a"}, {router.Async, router.Leader, "db-b"}, {router.Async, router.Async, ""},
		{router.Leader, router.Async, "db-a"}} {
		s.setup.Clusters[0].Backends = specs(a, b)
		s.setup.Clusters[0].Backends[0].Role, s.setup.Clusters[0].Backends[1].Role = want.a, want.b
		s.apply()
		if want.name == "" {
			_, _ = c.Write(message('Q', "select\x00"))
			eventually(t, "it waits", func() bool { return s.Failover()["pg"].Waiting == 1 })
			continue
		}
		if s.Failover()["pg"].Waiting == 1 {
			if kind, body := c.next(); kind != 'C' || body != want.name+"\x00" {
				t.Errorf("behind the wait: %c %q", kind, body)
			}
			c.next()
		}
		if tag, _ := c.query("select"); tag != want.name {
			t.Errorf("with roles %v, %v the answer is from %s, want %s", want.a, want.b, tag, want.name)
		}
	}
	s.setup.Frontends[0].Roles = router.Roles(0).With(router.Async)
	s.apply()
	if tag, _ := c.query("select"); tag != "db-b" {
		t.Errorf("the listener asks for another role, and the answer is from %s", tag)
	}
	c.Close()
	s.expectCalm()
}

// TestReloadOfSecret: server connections for clients that are here are opened by the secret that a reload has
// given, and by what a client has shown as long as it gives no other.
func TestReloadOfSecret(t *testing.T) {
	db := startFakePG(t, "db-a")
	with := func(password string) *Sharing {
		sh := trusting(1)
		sh.Access = access.New(access.Options{Method: codec.AuthTrust,
			Databases: []access.Database{{Name: "shop", Target: "shop", User: "app", Secret: codec.Secret{Password: password}}},
			Users:     []access.User{{Name: "alice"}},
			Limits:    access.Limits{Unit: access.UnitTransaction, PoolSize: 1}})
		sh.Warm = []Warm{{Database: "shop", User: "alice"}}
		return sh
	}
	s := startFunnel(t, func(s *Setup) { s.Frontends[0].Sharing = with("old") }, db)
	c := connectTo(t, s.addr("in"), "shop").ready()
	c.query("select")
	s.setup.Frontends[0].Sharing = with("new")
	s.apply()
	if got := s.poolOf().secret.Load().Password; got != "new" {
		t.Errorf("logs in by %q", got)
	}
	shown := &codec.Secret{Password: "new", ClientKey: []byte("key")}
	s.poolOf().secret.Store(shown)
	s.setup.Frontends[0].Sharing = with("new")
	s.apply()
	if s.poolOf().secret.Load() != shown {
		t.Error("what a client has shown is forgotten")
	}
	c.Close()
	s.expectCalm()
}

// TestOrdersAtOnce: whatever orders come at once, what is in force for the pools is what is noted.
func TestOrdersAtOnce(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, nil, db)
	c := login(t, s.addr("in"))
	c.query("select")
	over, cancel := context.WithCancel(t.Context())
	cancel() // Pause is not to wait
	for range 200 {
		var all sync.WaitGroup
		for _, order := range []func(){
			func() { _ = s.Pause(over, "") }, func() { _ = s.Resume("") },
			func() { _ = s.Pause(over, "alice") }, func() { _ = s.Resume("alice") },
		} {
			all.Go(order)
		}
		all.Wait()
		everything, dbs := s.PauseState()
		if want := everything || len(dbs) > 0; s.poolOf().pool.Paused() != want {
			t.Fatalf("paused is %t, noted are %t and %q", s.poolOf().pool.Paused(), everything, dbs)
		}
	}
	_ = s.Pause(over, "")
	_ = s.Pause(over, "alice")
	if err := s.Resume("alice"); err != nil || !s.poolOf().pool.Paused() {
		t.Errorf("%v; everything is paused still", err)
	}
	_ = s.Resume("")
	c.query("select")
	c.Close()
	s.expectCalm()
}

// TestLoginThatNoTimeHelps: what is wrong with how Sluice and the server are set up is told at once.
func TestLoginThatNoTimeHelps(t *testing.T) {
	db := startFakePG(t, "db-a")
	where := "auth" // a password in clear, without TLS
	db.dies.Store(&where)
	s := startFunnel(t, func(s *Setup) { s.Clusters[0].RetryTimeout = patience }, db)
	begun := time.Now()
	c := connect(t, s.addr("in"))
	kind, body := c.next()
	for kind == 'R' {
		kind, body = c.next()
	}
	if kind != 'E' || !strings.Contains(body, "clear password") {
		t.Errorf("got %c %q", kind, body)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("told after %v", took)
	}
	c.Close()
	s.expectCalm()
}

// TestHomeOfDroppedPool: a loop that comes to a pool too late does not keep its part of it for ever.
func TestHomeOfDroppedPool(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, nil, db)
	c := login(t, s.addr("in"))
	c.query("select")
	spec, on := s.poolOf(), s.only().on
	c.Close()
	s.expectCalm()
	s.pools.drop(func(*poolSpec) bool { return true })
	eventually(t, "it has gone", func() bool { return len(s.states()) == 0 })
	onLoop(t, on, func() { on.homeOf(spec) })
	left := -1
	eventually(t, "nothing is left of it", func() bool {
		onLoop(t, on, func() { left = len(on.homes) + len(on.shelves) })
		return left == 0
	})
}

// TestWaitsLeaveABackendThatIsDown: who waits for a server connection of a backend that is found to be down is
// served by another one, though the first one's connections are still there.
func TestWaitsLeaveABackendThatIsDown(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, func(s *Setup) {
		watched(s)
		s.Frontends[0].Sharing = trusting(1)
	}, a)
	has, waits := login(t, s.addr("in")), login(t, s.addr("in"))
	has.query("begin")
	_, _ = waits.Write(message('Q', "select\x00"))
	eventually(t, "one waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
	s.setup.Clusters[0].Backends = specs(a, b)
	s.apply()
	a.refuseAll()
	if kind, body := waits.next(); kind != 'C' || body != "db-b\x00" {
		t.Errorf("got %c %q", kind, body)
	}
	waits.next()
	if tag, _ := has.query("select"); tag != "db-a" {
		t.Errorf("in the transaction: %s", tag)
	}
	has.query("commit")
	has.Close()
	waits.Close()
	s.expectCalm()
}

// TestPauseWaitsForWhatIsOnItsWay: a server connection that was handed out, to a session that has yet to go on
// with it, is in use.
func TestPauseWaitsForWhatIsOnItsWay(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, one, db)
	c := login(t, s.addr("in"))
	c.query("select")
	s.expectState(connIdle)
	session, e := s.only(), (*pool.Entry)(nil)
	onLoop(t, session.on, func() { e = session.sh.home.part.Get(&pool.Waiter{}) })
	ctx, cancel := context.WithTimeout(t.Context(), 5*ordersPoll)
	defer cancel()
	if err := s.Pause(ctx, ""); err == nil {
		t.Error("the pause does not wait for it")
	}
	onLoop(t, session.on, func() { session.sh.home.part.Put(e) })
	if err := s.Pause(t.Context(), ""); err != nil {
		t.Error(err)
	}
	_ = s.Resume("")
	c.query("select")
	c.Close()
	s.expectCalm()
}

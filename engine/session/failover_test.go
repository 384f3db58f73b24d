package session

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/router"
	"sluice/upstream"
)

// startCluster is a funnel in front of servers that a discovery finds: the first leads, the others follow it.
// Each says of itself what it is.
func startCluster(t *testing.T, change func(*Setup), dbs ...*fakePG) (*stand, *fakeFinder) {
	t.Helper()
	f := &fakeFinder{}
	s := startProxy(t, discovered(f, func(s *Setup) {
		for i := range s.Frontends {
			s.Frontends[i].Sharing = trusting(2)
			s.Frontends[i].Sharing.KeepOnLoss = true
			s.Frontends[i].Lag = router.LagLimits{}
		}
		if change != nil {
			change(s)
		}
	}))
	leads(s, f, dbs...)
	return s, f
}

// leads has the first of the servers be the leader, by its own word and by the discovery's.
func leads(s *stand, f *fakeFinder, dbs ...*fakePG) {
	s.t.Helper()
	var specs []upstream.Spec
	on, off := "on", "off"
	for i, db := range dbs {
		if i == 0 {
			db.standby.Store(&off)
			specs = append(specs, member(db, router.Leader))
			continue
		}
		db.standby.Store(&on)
		specs = append(specs, member(db, router.Async))
	}
	f.found(specs...)
	s.settled()
}

// noLeader has all the servers follow a leader that there is not.
func noLeader(s *stand, f *fakeFinder, dbs ...*fakePG) {
	s.t.Helper()
	var specs []upstream.Spec
	for _, db := range dbs {
		specs = append(specs, member(db, router.Async))
	}
	f.found(specs...)
	s.settled()
}

// seeking waits until so many sessions wait for a backend.
func (s *stand) seeking(n int) {
	s.t.Helper()
	last := 0
	if !comesTrue(func() bool { last = s.Failover()["pg"].Waiting; return last == n }) {
		s.t.Fatalf("%d sessions wait for a backend, want %d", last, n)
	}
}

// deafen has no session that waits for a backend look by itself: it has to be woken.
func (s *stand) deafen() {
	s.t.Helper()
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for _, one := range on.all() {
				if one.sh != nil && one.sh.retry != nil && one.sh.retry.then != nil {
					on.loop.Arm(&one.sh.retry.timer, time.Hour)
				}
			}
		})
	}
}

// ask sends a query; answer reads what comes of it.
func (c *client) ask(sql string) { _, _ = c.Write(message('Q', sql+"\x00")) }

func (c *client) answer(want string) {
	c.t.Helper()
	for {
		kind, body := c.next()
		switch {
		case kind == 'S': // a parameter that differs
		case kind != 'C' || body != want+"\x00":
			c.t.Fatalf("got %c %q, want the answer of %s", kind, body, want)
		default:
			if kind, body := c.next(); kind != 'Z' {
				c.t.Fatalf("got %c %q behind the answer", kind, body)
			}
			return
		}
	}
}

// TestSeek: while nobody leads, clients and logins wait, and are woken when somebody does.
func TestSeek(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, nil, a, b)
	c := login(t, s.addr("in"))
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Fatalf("the leader is %s", tag)
	}
	noLeader(s, f, a, b)
	c.ask("select")
	s.seeking(1)
	late := connect(t, s.addr("in")) // it is told of its session by what another one was told
	s.seeking(2)
	gone := login(t, s.addr("reads"))
	gone.query("select")
	gone.Close()
	s.deafen()
	leads(s, f, b, a)
	c.answer("db-b")
	late.ready()
	late.ask("select")
	late.answer("db-b")
	if i := s.Failover()["pg"]; i != (FailoverInfo{Found: 2}) {
		t.Errorf("counted: %+v", i)
	}
	c.Close()
	late.Close()
	s.expectCalm()
}

// TestSeekWhileNobodyIsKnown: so they do before the discovery has found anything, and when all is gone.
func TestSeekWhileNobodyIsKnown(t *testing.T) {
	a := startFakePG(t, "db-a")
	s, f := startCluster(t, nil)
	early := connect(t, s.addr("in"))
	s.seeking(1)
	leads(s, f, a)
	early.ready()
	early.ask("select")
	early.answer("db-a")
	f.found()
	s.settled()
	early.ask("select")
	s.seeking(1)
	leads(s, f, a)
	early.answer("db-a")
	early.Close()
	s.expectCalm()
}

// TestSeekInVain: the client is told when the time is over, which is the longer one of the two.
func TestSeekInVain(t *testing.T) {
	const long = 300 * time.Millisecond
	a := startFakePG(t, "db-a")
	s, f := startCluster(t, nil, a)
	c := login(t, s.addr("in"))
	c.query("select")
	for _, times := range [][2]time.Duration{{long, 0}, {0, long}} {
		s.setup.Clusters[0].RetryTimeout, s.setup.Clusters[0].FailoverTimeout = times[0], times[1]
		s.apply()
		noLeader(s, f, a)
		begun := time.Now()
		c.ask("select")
		for _, one := range []*client{c, connect(t, s.addr("in"))} {
			kind, body := one.next()
			for kind == 'R' {
				kind, body = one.next()
			}
			if kind != 'E' || !strings.Contains(body, "C08006\x00") || !strings.Contains(body, "no server is available") {
				t.Errorf("got %c %q", kind, body)
			}
			if took := time.Since(begun); took < long*9/10 {
				t.Errorf("told after %v", took)
			}
			one.Close()
		}
		leads(s, f, a)
		c = login(t, s.addr("in"))
	}
	if i := s.Failover()["pg"]; i.Waiting != 0 || i.Timeouts < 4 {
		t.Errorf("counted: %+v", i)
	}
	c.Close()
	s.expectCalm()
}

// TestSeekersAreBounded: one more than may wait is told that there are too many; a place that comes free is
// used again.
func TestSeekersAreBounded(t *testing.T) {
	a := startFakePG(t, "db-a")
	s, f := startCluster(t, func(s *Setup) { s.Clusters[0].FailoverClients = 2 }, a)
	var clients []*client
	for range 4 {
		clients = append(clients, login(t, s.addr("in")))
	}
	noLeader(s, f, a)
	clients[0].ask("select")
	clients[1].ask("select")
	s.seeking(2)
	clients[2].ask("select")
	if kind, body := clients[2].next(); kind != 'E' || !strings.Contains(body, "C53300\x00") || !strings.Contains(body, "too many clients wait") {
		t.Errorf("got %c %q", kind, body)
	}
	clients[2].Close()
	clients[0].Close()
	s.seeking(1)
	clients[3].ask("select")
	s.seeking(2)
	leads(s, f, a)
	for _, c := range []*client{clients[1], clients[3]} {
		c.answer("db-a")
		c.Close()
	}
	if i := s.Failover()["pg"]; i != (FailoverInfo{Found: 2, TooMany: 1, Left: 1}) {
		t.Errorf("counted: %+v", i)
	}
	s.expectCalm()
}

// TestSeekersLeave: who waits for a backend, or is about to, is not waited for when all have to leave.
func TestSeekersLeave(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, nil, a, b)
	seeks, works := login(t, s.addr("in")), login(t, s.addr("in"))
	works.query("begin")
	noLeader(s, f, a, b)
	seeks.ask("select")
	s.seeking(1)
	over := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		over <- s.Drain(ctx)
	}()
	seeks.expectError("57P01")
	// The one that works is in a transaction: it leaves behind that, or when it would have to wait with it.
	a.cutAll()
	works.ask("select")
	works.fails("40001", "E")
	works.ask("select")
	works.expectError("57P01")
	if forced := <-over; forced != 0 {
		t.Errorf("%d were forced to leave", forced)
	}
}

// TestSeekersLookSeldom: the more there are, the less often each of them looks.
func TestSeekersLookSeldom(t *testing.T) {
	var k seekers
	c := upstream.NewCluster(upstream.Options{Name: "c"}, testLog(t))
	for _, tt := range []struct {
		n     int
		after time.Duration
	}{{1, retryPause}, {500, retryPause}, {1000, 200 * time.Millisecond}, {100_000, time.Second}} {
		for k.of(c).now < tt.n {
			k.enter(c)
		}
		if got := k.pause(c, retryPause); got != tt.after {
			t.Errorf("with %d the pause is %v, want %v", tt.n, got, tt.after)
		}
	}
	c.Close()
}

// TestHold: no unit of work begins at a leader whose work is held; those under way go on, and who waited for a
// server connection does not get it. A hold that ends as it began leaves all as it was.
func TestHold(t *testing.T) {
	for _, turns := range []bool{false, true} {
		a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
		s, f := startCluster(t, func(s *Setup) {
			for i := range s.Frontends {
				s.Frontends[i].Sharing = trusting(1)
			}
		}, a, b)
		has, queued, reads := login(t, s.addr("in")), login(t, s.addr("in")), login(t, s.addr("reads"))
		idle := login(t, s.addr("in"))
		has.query("begin")
		queued.ask("select")
		eventually(t, "one waits in the pool", func() bool { return s.PoolInfos()[0].ClientsWaiting+s.PoolInfos()[1].ClientsWaiting == 1 })
		f.finds.Hold("a switchover", time.Hour)
		s.settled()
		s.seeking(1)
		idle.ask("select")
		s.seeking(2)
		s.deafen()
		if tag, status := has.query("select"); tag != "db-a" || status != "T" {
			t.Errorf("in the transaction: %s %s", tag, status)
		}
		if tag, status := has.query("commit"); tag != "db-a" || status != "I" {
			t.Errorf("its end: %s %s", tag, status)
		}
		if tag, _ := reads.query("select"); tag != "db-b" {
			t.Errorf("the replica's clients: %s", tag)
		}
		has.ask("select")
		s.seeking(3)
		s.deafen()
		want := "db-a"
		if turns {
			want = "db-b"
			leads(s, f, b, a)
		} else {
			f.finds.EndHold()
			s.settled()
		}
		for _, c := range []*client{has, queued, idle} {
			c.answer(want)
			c.Close()
		}
		reads.Close()
		s.expectCalm()
	}
}

// TestHoldAndPause: an operator's pause outlasts a hold, and the other way round.
func TestHoldAndPause(t *testing.T) {
	a := startFakePG(t, "db-a")
	s, f := startCluster(t, nil, a)
	c := login(t, s.addr("in"))
	c.query("select")
	for _, holdFirst := range []bool{true, false} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		f.finds.Hold("a switchover", time.Hour)
		s.settled()
		if err := s.Pause(ctx, ""); err != nil {
			t.Fatal(err)
		}
		cancel()
		c.ask("select")
		s.seeking(1)
		if holdFirst {
			f.finds.EndHold()
			s.settled()
			eventually(t, "it waits for the end of the pause", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
		}
		if err := s.Resume(""); err != nil {
			t.Fatal(err)
		}
		if !holdFirst {
			s.seeking(1)
			f.finds.EndHold()
		}
		c.answer("db-a")
	}
	c.Close()
	s.expectCalm()
}

// TestLeaderToBe: a server that the discovery takes for the leader already, though it is not by its own word, or
// takes nobody yet, is asked again soon each time, and the client is told nothing of it.
func TestLeaderToBe(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
		s, f := startCluster(t, func(s *Setup) {
			for i := range s.Frontends { // what a failure costs otherwise
				s.Frontends[i].Sharing.Pool.RetryMin, s.Frontends[i].Sharing.Pool.RetryMax = time.Hour, time.Hour
			}
			s.Clusters[0].Health.Fall = 1000
		}, a, b)
		c := login(t, s.addr("in"))
		c.query("select")
		takeAgain := func() {}
		if refuses {
			takeAgain = b.refuseAll()
		}
		before, begun := b.logins.Load(), time.Now()
		hurried := f.hurry.Load()
		on, off := "on", "off"
		a.standby.Store(&on)
		f.found(member(b, router.Leader), member(a, router.Async))
		s.settled()
		c.ask("select")
		eventually(t, "it was tried a few times", func() bool { return b.logins.Load()-before > 5 })
		if most := 2 + int64(time.Since(begun)/notYetPause); b.logins.Load()-before > most {
			t.Errorf("%d logins in %v", b.logins.Load()-before, time.Since(begun))
		}
		if f.hurry.Load() == hurried {
			t.Error("the discovery was not asked to look")
		}
		b.standby.Store(&off)
		takeAgain()
		c.answer("db-b")
		c.Close()
		s.expectCalm()
	}
}

// TestPoolWaitDoesNotEndASearch: the time that a client may wait for a server connection in use is not what bounds
// its wait for a leader, though a connection to the former one is in use still.
func TestPoolWaitDoesNotEndASearch(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, func(s *Setup) {
		for i := range s.Frontends {
			s.Frontends[i].Sharing.Pool.WaitTimeout = 150 * time.Millisecond
		}
	}, a, b)
	has, waits := login(t, s.addr("in")), login(t, s.addr("in"))
	has.query("begin")
	on := "on"
	a.standby.Store(&on)
	if err := s.Reconnect(""); err != nil { // so that a new one is needed
		t.Fatal(err)
	}
	waits.ask("select")
	s.seeking(1) // the pool's time is over
	has.query("commit")
	leads(s, f, b, a)
	waits.answer("db-b")
	waits.Close()
	has.Close()
	s.expectCalm()
}

// TestFitAllocatesNothing: that a unit of work may begin at its session's backend costs no memory, whatever the
// listener asks for.
func TestFitAllocatesNothing(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, func(s *Setup) {
		s.Frontends[0].Tags = []router.TagRule{{Name: "nofailover", Not: true}}
		s.Frontends[0].Zone = "z"
		s.Frontends[0].Lag = router.LagLimits{Bytes: 10, Return: 50}
	}, a)
	off := "off"
	a.standby.Store(&off)
	f.found(member(a, router.Leader), behind(b, 1000))
	s.settled()
	c := login(t, s.addr("in"))
	c.query("select")
	one := s.only()
	if len(one.want().Behind) != 1 {
		t.Fatal("not the case that was meant")
	}
	allocs := 0.0
	eventually(t, "it allocates nothing", func() bool { // what else runs in the test may
		onLoop(t, one.on, func() {
			allocs = testing.AllocsPerRun(200, func() {
				if !one.settleHome() {
					t.Error("it may not begin")
				}
			})
		})
		return allocs == 0
	})
	c.Close()
	s.expectCalm()
}

// TestPartOfAPool: what a listener's servers have to be follows from its roles, where a discovery watches over
// them.
func TestPartOfAPool(t *testing.T) {
	cluster := func(d upstream.Discovery) *upstream.Cluster {
		c := upstream.NewCluster(upstream.Options{Name: "c", Discovery: d}, testLog(t))
		t.Cleanup(func() { c.Close() })
		return c
	}
	found, static := cluster(&fakeFinder{}), cluster(nil)
	for _, tt := range []struct {
		of    *upstream.Cluster
		roles router.Roles
		reads router.Roles // of a pool for what only reads
		want  codec.Part
	}{
		{of: found, roles: only(router.Leader), want: codec.PartPrimary},
		{of: found, roles: only(router.Sync, router.Async), want: codec.PartReplica},
		{of: found, roles: only(router.StandbyLeader), want: codec.PartReplica},
		{of: found, roles: only(router.Leader, router.Async), want: codec.PartAny},
		{of: found, roles: only(router.Leader), reads: only(router.Async), want: codec.PartReplica},
		{of: found, roles: only(router.Leader), reads: only(router.Async, router.Leader), want: codec.PartAny},
		{of: static, roles: only(router.Leader), want: codec.PartAny},
	} {
		w := &wanted{set: &Settings{Roles: tt.roles, cluster: tt.of, Sharing: &Sharing{ReadRoles: tt.reads}}, reads: tt.reads != 0}
		if got := w.part(); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// TestRolesOfAPoolChange: when a reload asks for other roles, the server connections that there are make room
// for such as were checked.
func TestRolesOfAPoolChange(t *testing.T) {
	a := startFakePG(t, "db-a")
	s, _ := startCluster(t, func(s *Setup) { s.Frontends[0].Roles = router.AnyRole }, a)
	c := login(t, s.addr("in"))
	c.query("select")
	before := a.logins.Load()
	s.setup.Frontends[0].Roles = only(router.Leader)
	s.apply()
	s.settled()
	c.query("select")
	if a.logins.Load() == before {
		t.Error("a server connection is used that was not checked")
	}
	c.Close()
	s.expectCalm()
}

// TestTurnedServersAreIntroducedAnew: what a server has said at a login before its role changed is told to no
// client after that (pitfall 45).
func TestTurnedServersAreIntroducedAnew(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s, f := startCluster(t, func(s *Setup) { s.Frontends[0].Roles = router.AnyRole }, a)
	told := func() (standby string) {
		c := connect(t, s.addr("in"))
		defer c.Close()
		for {
			kind, body := c.next()
			switch {
			case kind == 'S' && strings.HasPrefix(body, "in_hot_standby\x00"):
				standby = strings.Trim(strings.TrimPrefix(body, "in_hot_standby\x00"), "\x00")
			case kind == 'Z':
				return standby
			case kind == 'E':
				t.Fatalf("login: %q", body)
			}
		}
	}
	if got := told(); got != "off" {
		t.Fatalf("at the leader: %q", got)
	}
	old := login(t, s.addr("in"))
	old.query("select")
	on := "on"
	a.standby.Store(&on)
	off := "off"
	b.standby.Store(&off)
	out := member(b, router.Leader) // so that a is all there is
	out.Out = "starting"
	f.found(member(a, router.Async), out)
	s.settled()
	if got := told(); got != "on" {
		t.Errorf("at the replica: %q", got)
	}
	old.ask("select")
	if kind, body := old.next(); kind != 'S' || body != "in_hot_standby\x00on\x00" {
		t.Errorf("a client that was there before is told %c %q", kind, body)
	}
	old.answer("db-a")
	old.Close()
	s.expectCalm()
}

// shutDown has a server end all its connections as one that is stopped.
func (f *fakePG) shutDown(code string) {
	f.mu.Lock()
	var list []net.Conn
	for c := range f.conns {
		list = append(list, c)
	}
	f.mu.Unlock()
	for _, c := range list {
		_, _ = c.Write(message('E', "SFATAL\x00VFATAL\x00C"+code+"\x00Mterminating connection due to administrator command\x00\x00"))
		c.Close()
	}
}

package session

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/upstream"
)

// fakeFinder is a discovery that finds what a test says.
type fakeFinder struct {
	mu     sync.Mutex
	finds  upstream.Finds
	looks  func(context.Context) // what Refresh does
	at     time.Time
	hurry  atomic.Int64
	closed atomic.Int64
}

func (f *fakeFinder) Start(c upstream.Finds) upstream.Finder {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finds = c
	return f
}

func (f *fakeFinder) Update(d upstream.Discovery) bool { return d == upstream.Discovery(f) }
func (f *fakeFinder) Hurry()                           { f.hurry.Add(1) }
func (f *fakeFinder) Close()                           { f.closed.Add(1) }

func (f *fakeFinder) Refresh(ctx context.Context) {
	f.mu.Lock()
	looks := f.looks
	f.mu.Unlock()
	if looks != nil {
		looks(ctx)
	}
}

func (f *fakeFinder) Status() upstream.FinderStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return upstream.FinderStatus{Polls: 7, Failures: 2, At: f.at, Stale: true}
}

// found tells what was found.
func (f *fakeFinder) found(specs ...upstream.Spec) {
	f.mu.Lock()
	c := f.finds
	f.at = time.Now()
	f.mu.Unlock()
	c.Found(specs)
}

// member is what is found of a server.
func member(db *fakePG, role router.Role) upstream.Spec {
	return upstream.Spec{Addr: db.addr(), Name: db.name, Role: role, State: "running"}
}

// behind is a replica with that lag.
func behind(db *fakePG, bytes uint64) upstream.Spec {
	s := member(db, router.Async)
	s.State, s.Lag = "streaming", router.Lag{Bytes: bytes, Known: true}
	return s
}

// only are roles.
func only(roles ...router.Role) (set router.Roles) {
	for _, r := range roles {
		set = set.With(r)
	}
	return set
}

// discovered makes the cluster of a setup one whose backends f finds, with a second listener for replicas.
func discovered(f *fakeFinder, change func(*Setup)) func(*Setup) {
	return func(s *Setup) {
		s.Clusters[0].Discovery, s.Clusters[0].Backends = f, nil
		s.Clusters[0].FailoverTimeout = patience
		in := &s.Frontends[0]
		in.Roles = only(router.Leader)
		in.Lag = router.LagLimits{Bytes: 1000, Return: 50}
		reads := *in
		reads.Name, reads.Roles = "reads", only(router.Sync, router.Async, router.Quorum)
		s.Frontends = append(s.Frontends, reads)
		if change != nil {
			change(s)
		}
	}
}

// settled waits until all that has changed is carried out.
func (s *stand) settled() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	s.settleNow(ctx)
	if ctx.Err() != nil {
		s.t.Fatal("what has changed was never carried out")
	}
}

// expectEvicted holds that the client is told that its server was taken out of service, and why.
func (c *client) expectEvicted(why string) {
	c.t.Helper()
	for {
		switch kind, body := c.next(); {
		case kind == 'E':
			if !strings.Contains(body, "C57P01\x00") || !strings.Contains(body, why) || strings.Contains(body, "127.0.0.1") {
				c.t.Errorf("the client was told %q, want %q", body, why)
			}
			c.Close() // or the proxy would wait for it
			return
		case kind != 'N':
			c.t.Fatalf("got %c %q, want an error: %s", kind, body, why)
		}
	}
}

// TestReplicaFallsBehind: idle sessions there end, one in a transaction may finish it, others are not touched,
// and it comes back only when it has caught up.
func TestReplicaFallsBehind(t *testing.T) {
	f, a, b, d := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b"), startFakePG(t, "db-d")
	s := startProxy(t, discovered(f, nil))
	f.found(member(a, router.Leader), behind(b, 1000))
	idle, busy, writes := login(t, s.addr("reads")), login(t, s.addr("reads")), login(t, s.addr("in"))
	busy.query("begin")
	f.found(member(a, router.Leader), behind(b, 1000), behind(d, 0))
	other := login(t, s.addr("reads"))
	if tag, _ := other.query("select"); tag != "db-d" {
		t.Fatalf("the session is at %s", tag)
	}
	f.found(member(a, router.Leader), behind(b, 1001), behind(d, 0))
	idle.expectEvicted("its replication is too far behind")
	if tag, status := busy.query("select"); tag != "db-b" || status != "T" {
		t.Errorf("in the transaction: %q %q", tag, status)
	}
	busy.query("commit")
	busy.expectEvicted("its replication is too far behind")
	for _, lag := range []uint64{1000, 501} {
		f.found(member(a, router.Leader), behind(b, lag), behind(d, 0))
		s.settled()
		if tag, _ := login(t, s.addr("reads")).query("select"); tag != "db-d" {
			t.Errorf("at a lag of %d, over half of the limit, it serves again: %s", lag, tag)
		}
	}
	f.found(member(a, router.Leader), behind(b, 500), behind(d, 0))
	s.settled()
	if tag, _ := login(t, s.addr("reads")).query("select"); tag != "db-b" {
		t.Errorf("it does not serve again: %s", tag)
	}
	other.query("select")
	writes.query("select")
}

// TestFitsAgain: a session that has not left yet when its backend is fit again stays.
func TestFitsAgain(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, nil))
	f.found(member(a, router.Leader), behind(b, 0))
	c := login(t, s.addr("reads"))
	c.query("begin")
	f.found(member(a, router.Leader), behind(b, 5000))
	s.settled()
	if n := s.deadlines(); n != 1 {
		t.Errorf("%d deadlines, want 1", n)
	}
	if list := s.Sessions(10); len(list) != 1 || !strings.Contains(list[0].Leaving, "too far behind") {
		t.Errorf("sessions: %+v", list)
	}
	f.found(member(a, router.Leader), behind(b, 0))
	s.settled()
	if n := s.deadlines(); n != 0 {
		t.Errorf("%d deadlines are left", n)
	}
	c.query("commit")
	if tag, _ := c.query("select"); tag != "db-b" {
		t.Errorf("got %q", tag)
	}
}

// deadlines is how many there are.
func (s *stand) deadlines() int {
	s.topology.mu.Lock()
	defer s.topology.mu.Unlock()
	return len(s.topology.due)
}

// TestEvictedByForce: who does not leave in time is cut off, with a time of 0 at once; whoever is not at that
// backend is left alone.
func TestEvictedByForce(t *testing.T) {
	for name, within := range map[string]time.Duration{"at once": 0, "in time": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
			s := startProxy(t, discovered(f, func(s *Setup) { s.Frontends[1].DrainTimeout = within }))
			f.found(member(a, router.Leader), behind(b, 0))
			c, writes := login(t, s.addr("reads")), login(t, s.addr("in"))
			c.query("begin")
			writes.query("begin")
			started := member(b, router.Async)
			started.State, started.Out = "starting", "its state is starting"
			f.found(member(a, router.Leader), started)
			c.expectEvicted("its state is starting")
			if tag, status := writes.query("select"); tag != "db-a" || status != "T" {
				t.Errorf("at the leader: %q %q", tag, status)
			}
			sum, _ := s.snapshot()
			if fe := sum.frontend("reads"); fe.ended[Forced] != 1 || fe.evicted[1] != 1 {
				t.Errorf("ended: %v, evicted: %v", fe.ended, fe.evicted)
			}
			if n := s.deadlines(); n != 0 {
				t.Errorf("%d deadlines are left", n)
			}
		})
	}
}

// TestOldLeaderIsFenced: as soon as another one leads nobody who may write stays at the old one, whatever is at
// work there (pitfall 46).
func TestOldLeaderIsFenced(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, func(s *Setup) {
		everyone := s.Frontends[0]
		everyone.Name, everyone.Roles = "any", router.AnyRole
		s.Frontends = append(s.Frontends, everyone)
	}))
	f.found(member(a, router.Leader))
	writes, any, idle := login(t, s.addr("in")), login(t, s.addr("any")), login(t, s.addr("in"))
	f.found(member(a, router.Leader), behind(b, 0))
	reads := login(t, s.addr("reads"))
	writes.query("begin")
	any.query("begin")
	reads.query("begin")
	f.found(behind(a, 0), behind(b, 0))
	idle.expectEvicted("it is not the leader any more")
	if tag, status := writes.query("select"); tag != "db-a" || status != "T" {
		t.Errorf("while nobody leads: %q %q", tag, status)
	}
	late := login(t, s.addr("any"))
	for tag, _ := late.query("begin"); tag != "db-a"; tag, _ = late.query("begin") {
		late = login(t, s.addr("any"))
	}
	f.found(behind(a, 0), member(b, router.Leader))
	writes.expectEvicted("another server is the leader now")
	any.expectEvicted("another server is the leader now")
	if tag, status := late.query("select"); tag != "db-a" || status != "T" {
		t.Errorf("who came to a replica: %q %q", tag, status)
	}
	reads.query("commit")
	reads.expectEvicted("its role is leader now")
	if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
		t.Errorf("the leader is %s", tag)
	}
}

// TestConfiguredLeaderIsNotFenced: who leads by configuration is the operator's to say, and when.
func TestConfiguredLeaderIsNotFenced(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, func(s *Setup) { s.Frontends[0].Roles = only(router.Leader) }, a)
	busy, idle := login(t, s.addr("in")), login(t, s.addr("in"))
	busy.query("begin")
	s.setup.Clusters[0].Backends = []upstream.Spec{{Addr: a.addr(), Role: router.Async}, {Addr: b.addr()}}
	s.apply()
	idle.expectEvicted("it is not the leader any more")
	busy.query("commit")
	busy.expectEvicted("it is not the leader any more")
}

// TestReloadOfWishes: sessions leave a backend that their listener does not want any more.
func TestReloadOfWishes(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, nil))
	replica := behind(b, 500)
	replica.Tags = map[string]string{"disk": "slow"}
	f.found(member(a, router.Leader), replica)
	for _, tt := range []struct {
		change func(set *Settings)
		why    string
	}{
		{func(set *Settings) { set.Tags = []router.TagRule{{Name: "disk", Value: "slow", Not: true}} }, "its tags do not"},
		{func(set *Settings) { set.Lag.Bytes = 400 }, "its replication is too far behind"},
		{func(set *Settings) { set.Roles = only(router.Sync) }, "its role is async now"},
	} {
		before := s.setup.Frontends[1]
		c, writes := login(t, s.addr("reads")), login(t, s.addr("in"))
		tt.change(&s.setup.Frontends[1])
		s.apply()
		c.expectEvicted(tt.why)
		writes.query("select")
		s.setup.Frontends[1] = before
		s.apply()
		s.settled()
		f.found(member(a, router.Leader), behind(b, 0)) // so that it comes back
		f.found(member(a, router.Leader), replica)
		s.settled()
	}
}

// TestUpdateClusters: what a discovery finds when it is asked is in force when the answer comes.
func TestUpdateClusters(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, nil))
	f.found(member(a, router.Leader), behind(b, 0))
	for range 20 {
		login(t, s.addr("reads")).query("select")
	}
	f.looks = func(context.Context) { f.found(member(a, router.Leader), behind(b, 1e6)) }
	if n := s.UpdateClusters(t.Context()); n != 1 {
		t.Errorf("%d clusters", n)
	}
	for _, one := range s.Backends() {
		if n := one.Sessions(); n != 0 {
			t.Errorf("%d sessions are on %s", n, one.Addr())
		}
	}
	hangs := make(chan struct{})
	f.looks = func(ctx context.Context) { <-ctx.Done(); close(hangs) }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.UpdateClusters(ctx)
	<-hangs
}

// TestSessionsThatDoNotCareAreUntouched: of 500 changes of others a session notices nothing, nor does anything
// of them stay.
func TestSessionsThatDoNotCareAreUntouched(t *testing.T) {
	t.Run("proxy", func(t *testing.T) {
		f := &fakeFinder{}
		expectUntouched(t, f, startProxy(t, discovered(f, nil)))
	})
	t.Run("funnel", func(t *testing.T) {
		f := &fakeFinder{}
		expectUntouched(t, f, startSharing(t, f, nil))
	})
}

func expectUntouched(t *testing.T, f *fakeFinder, s *stand) {
	db := startMembers(t, "db-a", "db-b", "db-d")
	a, b, d := db[0], db[1], db[2]
	f.found(member(a, router.Leader), behind(d, 10))
	var clients []*client
	for _, name := range []string{"in", "reads"} {
		for range 5 {
			c := login(t, s.addr(name))
			c.query("begin")
			clients = append(clients, c)
		}
	}
	s.settled()
	before := goroutinesAtWork()
	others := []upstream.Spec{behind(b, 0), behind(b, 2000), member(b, router.Sync), behind(b, 700), member(b, router.Quorum)}
	out := behind(b, 0)
	out.Out, out.State = "its state is stopped", "stopped"
	for i := range 500 {
		list := []upstream.Spec{member(a, router.Leader), behind(d, uint64(i))}
		switch n := i % 7; n {
		case 5:
		case 6:
			list = append(list, out)
		default:
			list = append(list, others[n])
		}
		f.found(list...)
		if i%50 == 0 {
			s.settled()
			login(t, s.addr("reads")).Close()
		}
		c := clients[i%len(clients)]
		if _, status := c.query("select"); status != "T" {
			t.Fatalf("after change %d the transaction is gone", i)
		}
	}
	f.found(member(a, router.Leader), behind(d, 10))
	s.settled()
	if sum, _ := s.snapshot(); sum.frontend("in").evicted != [len(evictions)]uint64{} {
		t.Errorf("evicted: %v", sum.frontend("in").evicted)
	}
	if n := len(s.topology.known); n != 1 || s.deadlines() > 1 {
		t.Errorf("%d clusters are known, %d deadlines", n, s.deadlines())
	}
	eventually(t, "no goroutine is left of it", func() bool { return goroutinesAtWork() <= before })
	if n := topologiesAtWork(); n != 1 {
		t.Errorf("%d goroutines follow the topology, want 1", n)
	}
	s.Close()
	if n := topologiesAtWork(); n != 0 {
		t.Errorf("behind Close %d goroutines follow the topology", n)
	}
}

// topologiesAtWork is the number of goroutines that follow what changes about clusters.
func topologiesAtWork() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "session.(*topology).run(")
}

// TestEvictedIsToldWhy: in words that have nothing of a server's address or of odd bytes.
func TestEvictedIsToldWhy(t *testing.T) {
	f, a := &fakeFinder{}, startFakePG(t, "db-a")
	s := startProxy(t, discovered(f, nil))
	for _, tt := range []struct{ state, why, text string }{
		{"starting", "state", "its state is starting"},
		{"in archive recovery", "state", "its state is in archive recovery"},
		{"odd\x00", "state", "its state does not allow sessions"},
		{"", "state", "its state does not allow sessions"},
		{strings.Repeat("x", plainMax), "state", "its state is " + strings.Repeat("x", plainMax)},
		{strings.Repeat("x", plainMax+1), "state", "its state does not allow sessions"},
		{"running", "tags", "its tags do not allow it any more"},
		{"running", "gone", "it left the cluster"},
	} {
		is := member(a, router.Leader)
		is.State = tt.state
		f.found(is)
		e := evicted(s.Backends()[0], tt.why, router.Want{Roles: router.AnyRole})
		if want := "the server was taken out of service: " + tt.text; e.Text != want {
			t.Errorf("%q, %s: %q, want %q", tt.state, tt.why, e.Text, want)
		}
	}
}

// TestTopologyMetrics: what is known of the members and of how it becomes known.
func TestTopologyMetrics(t *testing.T) {
	f, a, b := &fakeFinder{}, startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, discovered(f, nil))
	replica := behind(b, 2000)
	replica.Out, replica.Timeline, replica.Zone = "its state is stopped", 3, "z"
	replica.Lag.Time, replica.Lag.TimeKnown = 1500*time.Millisecond, true
	f.found(member(a, router.Leader), replica)
	s.settled()
	login(t, s.addr("in")).query("select")
	s.Clusters()[0].Hold("a switchover", patience)
	var text strings.Builder
	s.WriteMetrics(&text)
	at := `{cluster="pg",backend="` + b.addr() + `"`
	for _, line := range []string{
		"sluice_backend_info" + at + `,role="async",name="db-b",state="streaming",zone="z"} 1`,
		"sluice_backend_leads" + at + "} 0", `sluice_backend_leads{cluster="pg",backend="` + a.addr() + `"} 1`,
		"sluice_backend_out" + at + "} 1", "sluice_backend_lag_bytes" + at + "} 2000", "sluice_backend_lag_seconds" + at + "} 1.5",
		"sluice_backend_timeline" + at + "} 3",
		`sluice_backend_behind{listener="reads",cluster="pg",backend="` + b.addr() + `"} 1`,
		`sluice_discovery_polls_total{cluster="pg"} 7`, `sluice_discovery_failures_total{cluster="pg"} 2`,
		`sluice_discovery_stale{cluster="pg"} 1`, `sluice_topology_changes_total{cluster="pg"} 3`,
		`sluice_cluster_held{cluster="pg"} 1`, `sluice_evictions_total{listener="in",reason="fenced"} 0`,
		`sluice_discovery_age_seconds{cluster="pg"} `,
	} {
		if !strings.Contains(text.String(), "\n"+line) {
			t.Errorf("there is no line %q", line)
		}
	}
	if strings.Contains(text.String(), `sluice_backend_lag_bytes{cluster="pg",backend="`+a.addr()) {
		t.Error("the leader has a lag")
	}
}

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// What TestPatroniChurn does: so many changes, before and after which Sluice is measured.
const (
	churnChanges = 500
	churnWarmUp  = 50
	churnMemory  = 4 << 20 // bytes that the heap may differ by
)

// churnStage is Sluice before two clusters whose members come, go and change all the time, but for some.
type churnStage struct {
	s *real.Sluice
	// raw is a cluster of line servers, of which leader and steady never change. pg has two PostgreSQL
	// servers; the leader never changes.
	raw, pg              *fakeStage
	master, steady, some string // listeners of raw: its leader, its replicas with the tag, any replica
	write, read          string // funnels of pg: its leader, and anybody
	random               *rand.Rand
	leader               real.FakeMember
}

var churners = []string{"a", "b", "c", "d"}

func startChurn(t *testing.T) *churnStage {
	t.Helper()
	e := &churnStage{raw: newFakes(t, append([]string{"leader", "steady"}, churners...)...), pg: newFakes(t), random: rand.New(rand.NewPCG(500, 1))}
	e.master, e.steady, e.some, e.write, e.read = real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	e.leader = real.NewFakeMember("zero", "leader", "running", postgres(t, 0).Addr)
	e.calm(t)
	pg := fakeConfig{name: "pg", protocol: "postgres", urls: []string{e.pg.api.URL()}, cluster: []string{`failover-timeout = "5m"`}}.String()
	e.s = startSluice(t, racy(t), e.raw.config()+pg+
		listener("master", e.master, "fake", roles("leader"), cutting)+
		listener("steady", e.steady, "fake", roles("async"), `tags = ["steady"]`, cutting)+
		listener("some", e.some, "fake", roles("async", "sync"), "max-lag = 1000", cutting)+
		funnel("write", e.write, "pg", roles("leader"))+
		funnel("read", e.read, "pg", roles("leader", "async"), "max-lag = 1000")+users("app"))
	e.update(t)
	return e
}

func (e *churnStage) update(t *testing.T) {
	t.Helper()
	text, err := e.s.Get("/update_clusters")
	if err != nil || text != "Updated 2 cluster(s)\n" {
		t.Fatalf("%q, %v", text, err)
	}
}

func (e *churnStage) stable() []real.FakeMember {
	return []real.FakeMember{e.raw.member("leader", "leader"), e.raw.member("steady", "replica", "tags", map[string]any{"steady": true})}
}

// calm has all members be there and be well.
func (e *churnStage) calm(t *testing.T) {
	members := e.stable()
	for _, n := range churners {
		members = append(members, e.raw.member(n, "replica"))
	}
	e.raw.Set(members...)
	e.pg.Set(e.leader, real.NewFakeMember("one", "replica", "streaming", postgres(t, 1).Addr))
}

// change changes something about some members.
func (e *churnStage) change(t *testing.T) {
	members := e.stable()
	for _, n := range churners {
		m := e.raw.member(n, "replica")
		switch e.random.IntN(8) {
		case 0:
			continue // it has gone
		case 1:
			m = m.With("state", "restarting")
		case 2:
			m = m.With("lag", 5000)
		case 3:
			m = m.With("role", "sync_standby")
		case 4:
			m = m.With("tags", map[string]any{"noloadbalance": true})
		case 5:
			m = m.With("host", nil)
		}
		members = append(members, m)
	}
	e.random.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	e.raw.Set(members...)
	other := real.NewFakeMember("one", "replica", "streaming", postgres(t, 1).Addr)
	switch e.random.IntN(4) {
	case 0:
		e.pg.Set(e.leader)
	case 1:
		e.pg.Set(e.leader, other.With("lag", 5000))
	case 2:
		e.pg.Set(e.leader, other.With("state", "starting"))
	default:
		e.pg.Set(other, e.leader)
	}
	e.update(t)
}

// churnLoad keeps clients busy until the context ends. Those on members that never change may see no error at all,
// nor may those that share; the others may only be let go.
type churnLoad struct {
	sync.WaitGroup
	ctx       context.Context
	t         *testing.T
	asked     atomic.Int64
	came, cut atomic.Int64 // sessions of the members that change, and those of them that were let go
}

// lines asks at addr, always in the same session, which is with server.
func (l *churnLoad) lines(addr, server string) {
	l.Go(func() {
		c, err := real.DialLine(addr)
		if err != nil {
			l.t.Error(err)
			return
		}
		defer c.Close()
		for l.ctx.Err() == nil {
			name, err := c.Server()
			if err != nil || name != server {
				l.t.Errorf("a session of %s: %q, %v", server, name, err)
				return
			}
			l.asked.Add(1)
		}
	})
}

// shortly asks at addr in sessions that come and go, and that may be let go.
func (l *churnLoad) shortly(addr string) {
	l.Go(func() {
		for l.ctx.Err() == nil {
			c, err := real.DialLine(addr)
			if err != nil {
				l.t.Error(err)
				return
			}
			l.came.Add(1)
			for range 50 {
				if _, err := c.Server(); err != nil {
					l.cut.Add(1)
					break
				}
				l.asked.Add(1)
			}
			c.Close()
		}
	})
}

// queries asks by a funnel, in and out of transactions.
func (l *churnLoad) queries(addr string) {
	l.Go(func() {
		c, err := pgx.Connect(context.Background(), funnelDSN(addr, "app", ""))
		if err != nil {
			l.t.Error(err)
			return
		}
		defer c.Close(context.Background())
		for i := 0; l.ctx.Err() == nil; i++ {
			sql := []string{"select 1", "begin", "select 2", "select 3", "commit"}[i%5]
			if _, err := c.Exec(context.Background(), sql); err != nil {
				l.t.Errorf("%s: %v", sql, err)
				return
			}
			l.asked.Add(1)
		}
	})
}

// TestPatroniChurn changes the members of two clusters 500 times under load: whose server has not changed sees
// nothing of it, nor does who shares, and Sluice holds no more behind it than before.
func TestPatroniChurn(t *testing.T) {
	e := startChurn(t)
	run := func(changes int) *churnLoad {
		ctx, cancel := context.WithCancel(context.Background())
		l := &churnLoad{ctx: ctx, t: t}
		for range 3 {
			l.lines(e.master, "leader")
			l.lines(e.steady, "steady")
			l.shortly(e.some)
			l.queries(e.write)
			l.queries(e.read)
		}
		for range changes {
			e.change(t)
		}
		cancel()
		l.Wait()
		e.calm(t)
		e.update(t)
		return l
	}
	run(churnWarmUp)
	before := e.rest(t)
	l := run(churnChanges)
	after := e.rest(t)
	t.Logf("%d questions; of %d sessions on members that change %d were let go; before %v, after %v",
		l.asked.Load(), l.came.Load(), l.cut.Load(), before, after)
	if l.cut.Load() == 0 {
		t.Error("no change was felt by any session: this has tested nothing")
	}
	if n, err := e.s.Metric("sluice_topology_changes_total"); err != nil || n < churnChanges {
		t.Errorf("%v changes were seen: %v", n, err)
	}
	if after.goroutines > before.goroutines+25 { // the runtime keeps some for later
		t.Errorf("%v goroutines, %v before", after.goroutines, before.goroutines)
	}
	if after.files > before.files+25 {
		t.Errorf("%d open files, %d before", after.files, before.files)
	}
	if after.memory > before.memory+churnMemory {
		t.Errorf("%.0f bytes of memory, %.0f before", after.memory, before.memory)
	}
	lands(t, e.some, append([]string{"steady"}, churners...)...)
}

// holdings are what Sluice has when there is nothing to do.
type holdings struct {
	memory     float64 // bytes of the heap
	goroutines float64
	files      int
}

func (h holdings) String() string {
	return fmt.Sprintf("%.1f MiB, %v goroutines, %d files", h.memory/(1<<20), h.goroutines, h.files)
}

func (e *churnStage) rest(t *testing.T) (h holdings) {
	t.Helper()
	await(t, e.s, 0, "sluice_sessions")
	await(t, e.s, 0, "sluice_backend_sessions") // a count that is lost once decides wrongly for ever
	// The funnels' pools differ by what the last change has left of them: each gets a connection.
	for _, addr := range []string{e.write, e.read} {
		if err := selectOne(addr); err != nil {
			t.Fatal(err)
		}
	}
	// Memory that is only waiting to be collected is none that is held.
	if _, err := e.s.Get("/debug/pprof/heap?gc=1"); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.memory, err = e.s.Metric("go_memstats_heap_alloc_bytes"); err != nil {
		t.Fatal(err)
	}
	if h.goroutines, err = e.s.Metric("go_goroutines"); err != nil {
		t.Fatal(err)
	}
	if h.files, err = real.OpenFiles(e.s.PID); err != nil {
		t.Fatal(err)
	}
	return h
}

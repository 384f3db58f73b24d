package patroni

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/codec/tcp"
	"sluice/upstream"
)

// TestPoll: a first look, a change of leader, and no leader, which is a finding like any other.
func TestPoll(t *testing.T) {
	a, b := startFake(t), startFake(t)
	say := func(first, second Role, timeline int) {
		for _, f := range []*fake{a, b} {
			f.says(member("1", first, timeline, a.URL), member("2", second, timeline, b.URL))
		}
	}
	say(Leader, SyncStandby, 1)
	p := startPoller(t, usual(a))
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	got, _ := p.last()
	expectLines(t, got, []string{"10.0.0.1:5432 leader 1/running tl 1 lag 0", "10.0.0.2:5432 sync 2/streaming tl 1 lag 0"})
	if b.asked.Load() != 0 {
		t.Error("a second host was asked though the leader itself had answered")
	}
	say(Replica, Leader, 2)
	p.refreshed(t, "after a switchover", "2")
	if b.asked.Load() == 0 || p.Status().From != b.URL {
		t.Errorf("the new leader was not asked itself: %+v", p.Status())
	}
	say(Replica, Replica, 2)
	p.refreshed(t, "without a leader", "")
	if s := p.Status(); s.Stale || s.Polls < 3 || s.Failures != 0 || s.At.IsZero() || s.LastError != "" {
		t.Errorf("status %+v", s)
	}
}

// TestRefreshIsOfNow: a look that has begun before does not count for one who asks for another.
func TestRefreshIsOfNow(t *testing.T) {
	f := startFake(t)
	var polls atomic.Int64
	begun, goOn := make(chan struct{}), make(chan struct{})
	f.does(func(w http.ResponseWriter, _ *http.Request) {
		if polls.Add(1) == 1 {
			close(begun)
			<-goOn
			fmt.Fprint(w, answerOf(member("1", Leader, 1, "")))
			return
		}
		fmt.Fprint(w, answerOf(member("2", Leader, 2, "")))
	})
	p := startPoller(t, usual(f))
	<-begun
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Refresh(t.Context())
	}()
	eventually(t, "it waits", func() bool {
		p.Poller.mu.Lock()
		defer p.Poller.mu.Unlock()
		return len(p.waiters) == 1
	})
	close(goOn)
	<-done
	if p.leader() != "2" || polls.Load() != 2 {
		t.Errorf("the leader is %q after %d polls", p.leader(), polls.Load())
	}
	f.hangs()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Refresh(ctx) // returns
	p.Close()
	p.Refresh(t.Context()) // returns
	expectNoGoroutine(t)
}

// TestUpdate: hosts, interval, port and states change in place; a look that hangs is cut short.
func TestUpdate(t *testing.T) {
	a, b := startFake(t), startFake(t)
	a.says(member("1", Leader, 8, ""), member("2", Replica, 8, ""))
	b.says(member("3", Leader, 2, ""))
	p := startPoller(t, usual(a))
	eventually(t, "the first look", func() bool { return p.leader() == "1" })

	a.hangs() // what follows must not need an answer
	opt := usual(a)
	opt.Port, opt.States, opt.Log = 7000, []string{"none"}, p.opt.Log
	if !p.Poller.Update(opt) {
		t.Fatal("it could not")
	}
	eventually(t, "port and states are in force", func() bool {
		got, _ := p.last()
		return slices.Equal(got, []string{"10.0.0.1:7000 leader 1/running tl 8 lag 0",
			`10.0.0.2:7000 async 2/streaming tl 8 lag 0 OUT: its state is "streaming"`})
	})
	asked := a.asked.Load()
	eventually(t, "a new look", func() bool { return a.asked.Load() > 1 || asked > 1 })

	other := usual(b) // another cluster, on an older timeline
	other.Log = p.opt.Log
	done := make(chan struct{})
	go func() { defer close(done); p.Refresh(t.Context()) }()
	p.Poller.Update(other)
	<-done
	eventually(t, "the other cluster", func() bool { return p.leader() == "3" })
	if s := p.Status(); s.From != b.URL || s.Stale {
		t.Errorf("status %+v", s)
	}
	if p.Poller.Update(nil) {
		t.Error("it goes on by nothing")
	}
}

// TestEtcdOptions: etcd is watched while that is configured, and by what is configured now.
func TestEtcdOptions(t *testing.T) {
	f := startFake(t)
	f.says(member("1", Leader, 1, ""))
	with := func(e *EtcdOptions) *Options {
		opt := usual(f)
		opt.Etcd = e
		return opt
	}
	p := startPoller(t, with(&EtcdOptions{Endpoints: []string{"http://127.0.0.1:1"}, Namespace: "service", Scope: "c"}))
	first := p.watch
	p.Poller.Update(with(&EtcdOptions{Endpoints: []string{"http://127.0.0.1:1"}, Namespace: "service", Scope: "c"}))
	if first == nil || p.watch != first {
		t.Error("the watch began anew though nothing has changed")
	}
	p.Poller.Update(with(&EtcdOptions{Endpoints: []string{"http://127.0.0.1:1"}, Namespace: "service", Scope: "d"}))
	if p.watch == first || p.watch == nil {
		t.Error("the watch goes on for another scope")
	}
	p.Poller.Update(with(nil))
	if p.watch != nil {
		t.Error("there is a watch though none is configured")
	}
	p.Poller.Update(with(&EtcdOptions{Endpoints: []string{"http://127.0.0.1:1"}, Namespace: "service", Scope: "c"}))
	p.refreshed(t, "without etcd's help", "1")
	p.Close()
	expectNoGoroutine(t)
}

// TestAllAtOnce: calls from everywhere, among reloads, end in what is configured last.
func TestAllAtOnce(t *testing.T) {
	f, g := startFake(t), startFake(t)
	f.says(member("1", Leader, 9, f.URL))
	g.says(member("2", Leader, 1, g.URL))
	p := startPoller(t, usual(f))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				p.Hurry()
				p.Refresh(ctx)
				if s := p.Status(); s.Failures > s.Polls {
					t.Errorf("status %+v", s)
				}
			}
		})
	}
	for range 50 {
		p.Poller.Update(usual(f))
		p.Poller.Update(usual(g))
		p.Refresh(t.Context())
	}
	cancel()
	all.Wait()
	if p.leader() != "2" {
		t.Errorf("the leader is %q", p.leader())
	}
	p.Close()
	expectNoGoroutine(t)
}

// TestClose: nothing is told behind it, and nothing is left, whatever is under way.
func TestClose(t *testing.T) {
	f := startFake(t)
	f.hangs()
	opt := usual(f)
	opt.Hedge = time.Millisecond
	opt.Hosts = append(opt.Hosts, f.URL+"/second")
	p := startPoller(t, opt)
	eventually(t, "it asks", func() bool { return f.asked.Load() == 1 })
	p.Close()
	expectNoGoroutine(t)
	f.says(member("1", Leader, 1, ""))
	if _, n := p.last(); n != 0 {
		t.Errorf("%d lists were told", n)
	}
}

// TestWarnings: what is odd about a member is told once until it changes.
func TestWarnings(t *testing.T) {
	f := startFake(t)
	p := startPoller(t, usual(f))
	warned := func() int { return p.logs.FilterMessageSnippet("odd about a member").Len() }
	say := func(odd string) {
		f.says(member("1", Leader, 1, ""), odd)
		p.Refresh(t.Context())
	}
	steps := []struct {
		odd  string
		want int
	}{
		{`{"name":"x","role":"replica"}`, 1}, {`{"name":"x","role":"replica"}`, 1}, {`{"name":"x","role":"king"}`, 2},
		{member("2", Replica, 1, ""), 2}, {`{"name":"x","role":"king"}`, 3}, {member("1", Leader, 1, ""), 4},
	}
	for i, step := range steps {
		if say(step.odd); warned() != step.want || p.leader() != "1" {
			t.Errorf("step %d: %d warnings, want %d", i, warned(), step.want)
		}
	}
}

// TestOnCluster: the whole of it with the upstream's cluster.
func TestOnCluster(t *testing.T) {
	a, b := startFake(t), startFake(t)
	say := func(first, second Role, timeline int) {
		for _, f := range []*fake{a, b} {
			f.says(member("1", first, timeline, a.URL), member("2", second, timeline, b.URL))
		}
	}
	say(Leader, Replica, 1)
	c := upstream.NewCluster(upstream.Options{Name: "c", Discovery: usual(a), Protocol: tcp.Protocol{},
		Health: upstream.HealthOptions{Interval: time.Hour, Timeout: time.Millisecond, Rise: 1, Fall: 1}}, zap.NewNop())
	defer c.Close()
	c.Refresh(t.Context())
	list := c.Backends()
	if len(list) != 2 || !list[0].Leads() || list[1].Leads() {
		t.Fatalf("backends %v", list)
	}
	say(Replica, Leader, 2)
	c.Refresh(t.Context())
	if list[0].Leads() || !list[1].Leads() || list[0].Gone() {
		t.Error("the lead has not changed")
	}
	b.says(member("2", Leader, 2, b.URL))
	c.Refresh(t.Context())
	if now := c.Backends(); len(now) != 1 || now[0] != list[1] || !list[0].Gone() {
		t.Errorf("backends %v", now)
	}
	if s, ok := c.Discovered(); !ok || s.Polls < 3 {
		t.Errorf("status %+v", s)
	}
	c.Hold("an operator asked for it", time.Hour)
	say(Leader, Replica, 3)
	eventually(t, "the end of the hold, though polls are an hour apart", func() bool { _, held := c.Held(); return !held })
}

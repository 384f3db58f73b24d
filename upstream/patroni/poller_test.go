package patroni

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

// TestHedge: one that hangs delays for no longer than Hedge, one that is dead not at all.
func TestHedge(t *testing.T) {
	slow, dead, good := startFake(t), startFake(t), startFake(t)
	slow.hangs()
	dead.stop()
	good.says(member("1", Leader, 1, ""))
	opt := usual(slow, dead, good)
	opt.Hedge = 10 * time.Millisecond
	p := startPoller(t, opt)
	eventually(t, "an answer in spite of the others", func() bool { return p.leader() == "1" })
	if s := p.Status(); s.From != good.URL || slow.asked.Load() != 1 {
		t.Errorf("status %+v, the slow one was asked %d times", s, slow.asked.Load())
	}
	p.refreshed(t, "again", "1")
	if slow.asked.Load() != 1 {
		t.Error("the one that hangs was asked again, before the one that has answered last")
	}
}

// TestAllFail: what was known stays, the log says so once, and once when it is over. What counts as a
// failure: every way of not answering.
func TestAllFail(t *testing.T) {
	f := startFake(t)
	good := func() { f.says(member("1", Leader, 1, f.URL), member("2", Replica, 1, "")) }
	good()
	p := startPoller(t, usual(f))
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	before, _ := p.last()
	other := startFake(t)
	other.says(member("9", Leader, 9, ""))
	ways := map[string]http.HandlerFunc{
		"status is 503": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, answerOf(good1), http.StatusServiceUnavailable)
		},
		"status is 500": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, answerOf(good1), http.StatusInternalServerError)
		},
		"status is 302": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/cluster", http.StatusFound)
		},
		"status is 204": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"empty":         func(http.ResponseWriter, *http.Request) {},
		"not what Pat":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"end of JSON":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answerOf(good1)[:50]) },
		"unexpected EOF": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			fmt.Fprint(w, answerOf(good1))
		},
		"longer than": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, answerOf(good1), strings.Repeat(" ", answerMax))
		},
		"no member": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answerOf()) },
		"no host":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answerOf(`{"name":"x","role":"replica"}`)) },
		"EOF":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, // Patroni without its store
	}
	for want, serve := range ways {
		f.does(serve)
		failures := p.Status().Failures
		p.refreshed(t, want, "1")
		s := p.Status()
		if !s.Stale || s.Failures != failures+1 || !strings.Contains(s.LastError, want) || !strings.Contains(s.LastError, f.URL) {
			t.Errorf("%s: status %+v", want, s)
		}
		if now, _ := p.last(); !slices.Equal(now, before) {
			t.Errorf("%s: what was known has changed to %v", want, now)
		}
	}
	if other.asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
	good()
	p.refreshed(t, "when it is back", "1")
	if s := p.Status(); s.Stale {
		t.Errorf("status %+v", s)
	}
	var told []string
	for _, e := range p.logs.All() {
		told = append(told, e.Level.String()+" "+e.Message)
	}
	want := []string{"warn patroni can't be asked: what is known stays in force", "info patroni answers again"}
	if !slices.Equal(told, want) {
		t.Errorf("the log has %q", told)
	}
}

// TestTimeout: one that hangs fails after Timeout.
func TestTimeout(t *testing.T) {
	f := startFake(t)
	f.hangs()
	opt := usual(f)
	opt.Timeout = 20 * time.Millisecond
	p := startPoller(t, opt)
	p.refreshed(t, "hanging", "?")
	if s := p.Status(); !s.Stale || !strings.Contains(s.LastError, "no answer within 20ms") || !s.At.IsZero() {
		t.Errorf("status %+v", s)
	}
}

// TestOlderTimeline: an answer that speaks of an older timeline is refused, until nothing else was heard for
// a while.
func TestOlderTimeline(t *testing.T) {
	a, b := startFake(t), startFake(t)
	a.says(member("1", Leader, 7, ""), member("2", Replica, 7, ""))
	b.says(member("1", Replica, 6, ""), member("2", Leader, 6, b.URL)) // it even says it of itself
	opt := usual(a, b)
	opt.Interval = patience
	p := startPoller(t, opt)
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	a.does(http.NotFound)
	for range olderPolls + 1 {
		p.refreshed(t, "as only the old one answers", "1")
	}
	if s := p.Status(); !s.Stale || !strings.Contains(s.LastError, "timeline 6, but 7 is known") {
		t.Errorf("status %+v", s)
	}
	a.says(member("1", Leader, 7, ""), member("2", Replica, 7, ""))
	p.refreshed(t, "as the other one is back", "1")
	if s := p.Status(); s.Stale || s.From != a.URL {
		t.Errorf("status %+v", s)
	}
	a.does(http.NotFound)
	fast := *opt
	fast.Interval = 20 * time.Millisecond
	p.Update(&fast)
	eventually(t, "the cluster that was made anew", func() bool { return p.leader() == "2" })
	if p.logs.FilterMessageSnippet("made anew").Len() != 1 {
		t.Errorf("the log has %v", p.logs.All())
	}
}

// TestFreshest: of answers that contradict each other the one of the higher timeline wins, in whichever order
// they come.
func TestFreshest(t *testing.T) {
	for _, late := range []int{0, 1} {
		a, b := startFake(t), startFake(t)
		fakes := []*fake{a, b}
		answers := []string{
			answerOf(member("1", Leader, 3, ""), member("2", Replica, 3, "")),
			answerOf(member("1", Replica, 4, ""), member("2", Leader, 4, "")),
		}
		gone := make(chan struct{})
		var once sync.Once
		for i, f := range fakes {
			f.does(func(w http.ResponseWriter, r *http.Request) {
				if i == late {
					<-gone // the other one goes first
				}
				fmt.Fprint(w, answers[i])
				if i != late {
					once.Do(func() { close(gone) })
				}
			})
		}
		opt := usual(a, b)
		if late == 0 {
			opt.Hedge = 20 * time.Millisecond // until the second one is asked
		}
		p := startPoller(t, opt)
		eventually(t, "an answer", func() bool { return p.leader() != "?" })
		if p.leader() != "2" {
			t.Errorf("late %d: the leader is %q", late, p.leader())
		}
	}
}

// TestSecondWord: a change of leader that another one tells of is taken if nobody contradicts it in time.
func TestSecondWord(t *testing.T) {
	a, slow := startFake(t), startFake(t)
	slow.hangs()
	a.says(member("1", Leader, 1, ""), member("2", Replica, 1, ""))
	opt := usual(a, slow)
	opt.Hedge = 20 * time.Millisecond
	p := startPoller(t, opt)
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	if slow.asked.Load() != 1 {
		t.Errorf("the other one was asked %d times, want 1: nobody knew a leader before", slow.asked.Load())
	}
	p.refreshed(t, "nothing new", "1")
	if slow.asked.Load() != 1 {
		t.Error("the other one was asked though nothing has changed")
	}
	a.says(member("1", Replica, 2, ""), member("2", Leader, 2, ""))
	p.refreshed(t, "a change", "2")
	if slow.asked.Load() != 2 {
		t.Error("the other one was not asked though the leader has changed")
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

// TestHurry: it brings polls though the interval is long, some more behind the first, and however often it
// is called they keep their distance.
func TestHurry(t *testing.T) {
	f := startFake(t)
	f.says(member("1", Leader, 1, ""))
	p := startPoller(t, usual(f))
	eventually(t, "the first look", func() bool { return f.asked.Load() == 1 && p.leader() == "1" })
	begin := time.Now()
	for f.asked.Load() < 4 && time.Since(begin) < patience {
		p.Hurry()
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(begin); took < 2*hurryGap || took >= patience {
		t.Errorf("three polls took %v", took)
	}
	eventually(t, "one more without a word", func() bool { return f.asked.Load() > 4 })
}

// TestLeaderless: while there is no leader the polls follow each other.
func TestLeaderless(t *testing.T) {
	f := startFake(t)
	f.says(member("1", Replica, 1, ""))
	p := startPoller(t, usual(f))
	eventually(t, "some polls without a leader", func() bool { return f.asked.Load() >= 3 })
	f.says(member("1", Leader, 2, ""))
	eventually(t, "the leader", func() bool { return p.leader() == "1" })
}

// TestPause is the pace itself.
func TestPause(t *testing.T) {
	p := &Poller{inForce: &View{Leader: "1"}}
	opt := &Options{Interval: time.Second}
	expect := func(when string, low, high time.Duration) {
		t.Helper()
		if got := p.next(opt); got < low || got > high {
			t.Errorf("%s: %v, want %v to %v", when, got, low, high)
		}
	}
	usual := func(when string) { t.Helper(); expect(when, 900*time.Millisecond, 1100*time.Millisecond) }
	usual("as usual")
	p.pause = hurryGap
	for _, ms := range []time.Duration{250, 375, 562, 843} {
		expect("after Hurry", ms*time.Millisecond, (ms+1)*time.Millisecond)
	}
	usual("when that is over")
	p.inForce = &View{}
	for _, ms := range []time.Duration{250, 375, 500, 500, 500} {
		expect("without a leader", ms*time.Millisecond, ms*time.Millisecond)
	}
	p.inForce = &View{Leader: "1"}
	for range 3 {
		p.next(opt)
	}
	usual("with one again")
	p.holding = time.Now().Add(time.Hour)
	for _, ms := range []time.Duration{250, 375, 500, 500, 500} {
		expect("held", ms*time.Millisecond, ms*time.Millisecond)
	}
	opt.Interval, p.inForce = 100*time.Millisecond, &View{}
	expect("never longer than the interval", 90*time.Millisecond, 110*time.Millisecond)
	p, opt.Interval = &Poller{}, 0
	expect("never without a pause", intervalMin, intervalMin)
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

// TestScheduledSwitchover: work is held back when the time has come, though nothing else tells of it.
func TestScheduledSwitchover(t *testing.T) {
	f := startFake(t)
	at := time.Now().Add(-time.Second).UTC().Format(time.RFC3339Nano)
	f.does(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, strings.TrimSuffix(answerOf(member("1", Leader, 1, ""), member("2", Replica, 1, "")), "}")+
			`,"scheduled_switchover":{"at":"`+at+`","from":"1","to":"2"}}`)
	})
	p := startPoller(t, usual(f))
	eventually(t, "a hold", func() bool { return len(p.held()) == 1 })
	eventually(t, "polls meanwhile", func() bool { return f.asked.Load() > 3 })
	f.says(member("1", Leader, 1, ""), member("2", Replica, 1, ""))
	eventually(t, "its end", func() bool { h := p.held(); return h[len(h)-1] == "end" })
	if len(p.held()) != 2 {
		t.Errorf("holds: %q", p.held())
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
}

package patroni

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestOlderEndsNoPoll: an answer of an older timeline that comes first does not keep a slower host from being
// heard.
func TestOlderEndsNoPoll(t *testing.T) {
	slow, old := startFake(t), startFake(t)
	slow.says(member("1", Leader, 7, ""), member("2", Replica, 7, ""))
	old.says(member("1", Replica, 6, ""), member("2", Leader, 6, ""))
	opt := usual(slow, old)
	p := startPoller(t, opt)
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	slow.does(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(300 * time.Millisecond): // much more than a hedge
		case <-r.Context().Done():
		}
		fmt.Fprint(w, answerOf(member("1", Leader, 7, ""), member("2", Replica, 7, "")))
	})
	fast := *opt
	fast.Hedge = 5 * time.Millisecond
	p.Update(&fast)
	p.refreshed(t, "with the slow one", "1")
	if s := p.Status(); s.Stale || s.From != slow.URL {
		t.Errorf("status %+v", s)
	}
}

// TestLeaderlessIsDoubtful: one host that knows of no leader does not hide another one that does.
func TestLeaderlessIsDoubtful(t *testing.T) {
	a, b := startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.says(member("1", Replica, 1, ""), member("2", Replica, 1, ""))
	}
	p := startPoller(t, usual(a, b))
	eventually(t, "the first look", func() bool { return p.leader() == "" })
	other := a
	if p.Status().From == a.URL { // which is asked first
		other = b
	}
	other.says(member("1", Replica, 1, ""), member("2", Leader, 1, ""))
	p.refreshed(t, "as one knows a leader", "2")
}

// TestHurryIsDoubt: a leader that does not know yet that another one leads is believed by and by only as long
// as nothing speaks against it.
func TestHurryIsDoubt(t *testing.T) {
	a, b, dead := startFake(t), startFake(t), startFake(t)
	dead.hangs()
	for _, f := range []*fake{a, b} {
		f.says(member("1", Leader, 1, a.URL), member("2", Replica, 1, b.URL))
	}
	opt := usual(a, dead, b)
	opt.Hedge = 100 * time.Millisecond
	p := startPoller(t, opt)
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	b.says(member("1", Replica, 2, a.URL), member("2", Leader, 2, b.URL))
	p.refreshed(t, "while nothing speaks for a change", "1")
	p.Hurry()
	eventually(t, "the new leader", func() bool { return p.leader() == "2" })
	p.Hurry()
	polls := p.Status().Polls
	eventually(t, "a look that asks both", func() bool { return p.Status().Polls > polls+2 })
	if p.leader() != "2" || p.Status().Stale {
		t.Errorf("the leader is %q; %+v", p.leader(), p.Status())
	}
}

// TestTwoSayTheyLead: of two that both do, on one timeline, it is the one in force until the other has a
// timeline of its own.
func TestTwoSayTheyLead(t *testing.T) {
	for _, first := range []int{0, 1} {
		a, b := startFake(t), startFake(t)
		fakes := []*fake{a, b}
		for _, f := range fakes {
			f.says(member("1", Leader, 4, a.URL), member("2", Replica, 4, b.URL))
		}
		opt := usual(fakes[first], fakes[1-first])
		p := startPoller(t, opt)
		eventually(t, "the first look", func() bool { return p.leader() == "1" })
		b.says(member("1", Replica, 4, a.URL), member("2", Leader, 4, b.URL))
		asked := b.asked.Load()
		polls := p.Status().Polls
		p.Hurry()
		eventually(t, "a look in doubt", func() bool { return p.Status().Polls > polls && b.asked.Load() > asked })
		p.refreshed(t, "on one timeline", "1")
		b.says(member("1", Replica, 5, a.URL), member("2", Leader, 5, b.URL))
		p.Hurry()
		eventually(t, "the new timeline", func() bool { return p.leader() == "2" })
	}
}

// TestOnlyOthersAnswer: the new leader itself can't be asked. Two others are believed as soon as both have
// answered, and a single one after Hedge.
func TestOnlyOthersAnswer(t *testing.T) {
	a, b, unreachable := startFake(t), startFake(t), startFake(t)
	unreachable.stop()
	say := func(first, second Role, timeline int) {
		for _, f := range []*fake{a, b} {
			f.says(member("1", first, timeline, unreachable.URL), member("2", second, timeline, unreachable.URL+"/2"))
		}
	}
	say(Leader, Replica, 1)
	p := startPoller(t, usual(a, b))
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	say(Replica, Leader, 2)
	p.refreshed(t, "as both tell", "2")
	b.stop()
	say(Leader, Replica, 3)
	p.refreshed(t, "as one tells", "1")
	a.stop()
	p.refreshed(t, "as nobody tells", "1")
	if !p.Status().Stale {
		t.Error("it is not stale")
	}
}

// TestStrayTimeline: a member that went astray on a timeline of its own bars no leader, as one is about to
// start again and tells of no timeline.
func TestStrayTimeline(t *testing.T) {
	f := startFake(t)
	stray := member("2", Replica, 9, "")
	f.says(member("1", Leader, 8, ""), stray)
	p := startPoller(t, usual(f))
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	starting := `{"name":"1","role":"leader","state":"starting","host":"10.0.0.1","port":5432}`
	f.says(starting, stray)
	p.refreshed(t, "as it starts", "1")
	f.says(member("1", Leader, 8, ""), stray)
	p.refreshed(t, "as it runs", "1")
	if got, _ := p.last(); p.Status().Stale || got[0] != "10.0.0.1:5432 leader 1/running tl 8 lag 0" {
		t.Errorf("told is %q; %+v", got, p.Status())
	}
	f.says(member("1", Replica, 7, ""), member("2", Replica, 7, ""))
	p.refreshed(t, "as all tell of an older one", "1")

	g := startFake(t)
	g.says(starting, stray)
	q := startPoller(t, usual(g))
	eventually(t, "the first look", func() bool { return q.leader() == "1" })
	g.says(member("1", Leader, 8, ""), stray)
	q.refreshed(t, "as it runs", "1")
	if q.Status().Stale {
		t.Errorf("status %+v", q.Status())
	}
}

// TestMadeAnew: however long the interval is, a cluster that was made anew is known after some seconds.
func TestMadeAnew(t *testing.T) {
	p := &Poller{finds: &found{}, inForce: &View{Leader: "1", Timeline: 7}}
	opt := &Options{Interval: time.Hour}
	v := &View{Leader: "1", Timeline: 1}
	for range olderPolls {
		if p.believe(v, opt) == nil {
			t.Error("it is believed at once")
		}
	}
	p.since = time.Now().Add(-olderMost)
	if err := p.believe(v, opt); err != nil {
		t.Error(err)
	}
}

// TestBeginsBeforePatroni: a Patroni that begins to answer is heard of soon, however long the interval is.
func TestBeginsBeforePatroni(t *testing.T) {
	f := startFake(t)
	p := startPoller(t, usual(f)) // polls once an hour
	eventually(t, "a failure", func() bool { return p.Status().Stale })
	f.says(member("1", Leader, 1, ""))
	eventually(t, "the leader", func() bool { return p.leader() == "1" })
}

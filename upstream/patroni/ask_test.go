package patroni

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

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
	if s := p.Status(); s.From != good.URL {
		t.Errorf("status %+v", s)
	}
	patient := *opt
	patient.Hedge = patience // the good one may take its time
	p.Update(&patient)
	p.refreshed(t, "again", "1")
	if slow.asked.Load() > 1 {
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

// TestDrip: hosts that send for ever, byte by byte, are cut off after Timeout, and leave nothing behind.
func TestDrip(t *testing.T) {
	a, b := startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.does(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		})
	}
	opt := usual(a, b)
	opt.Timeout, opt.Hedge, opt.Times = 30*time.Millisecond, 5*time.Millisecond, true
	p := startPoller(t, opt)
	before := runtime.NumGoroutine()
	for range 10 {
		p.refreshed(t, "dripping", "?")
	}
	if s := p.Status(); !s.Stale || !strings.Contains(s.LastError, "no answer within 30ms") {
		t.Errorf("status %+v", s)
	}
	eventually(t, "nothing is left of ten polls", func() bool { return runtime.NumGoroutine() <= before+4 })
	good := member("1", Leader, 1, a.URL)
	drip := a.serve
	a.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cluster" {
			fmt.Fprint(w, answerOf(good))
			return
		}
		drip(w, r)
	})
	eventually(t, "the leader, as only the position drips", func() bool { // 30 ms may be too short for an answer
		p.Refresh(t.Context())
		return p.leader() == "1"
	})
	p.Close()
	expectNoGoroutine(t)
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

// TestSecondWord: where only another one tells of the leader, a change needs a second word, and nothing else
// does.
func TestSecondWord(t *testing.T) {
	a, b := startFake(t), startFake(t)
	say := func(first, second Role, timeline int) {
		for _, f := range []*fake{a, b} {
			f.says(member("1", first, timeline, ""), member("2", second, timeline, ""))
		}
	}
	say(Leader, Replica, 1)
	p := startPoller(t, usual(a, b))
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	expect := func(when string, want int64) {
		t.Helper()
		if asked := a.asked.Load() + b.asked.Load(); asked != want {
			t.Errorf("%s: %d were asked up to now, want %d", when, asked, want)
		}
	}
	expect("nobody knew a leader before", 2)
	p.refreshed(t, "nothing new", "1")
	expect("nothing new", 3)
	say(Replica, Leader, 2)
	p.refreshed(t, "a change", "2")
	expect("a change", 5)
}

// TestNoSecondWord: a change is believed without one if none comes in time.
func TestNoSecondWord(t *testing.T) {
	a, hung := startFake(t), startFake(t)
	hung.hangs()
	opt := usual(a, hung)
	opt.Hedge = 20 * time.Millisecond
	a.says(member("1", Leader, 1, ""), member("2", Replica, 1, ""))
	p := startPoller(t, opt)
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	a.says(member("1", Replica, 2, ""), member("2", Leader, 2, ""))
	p.refreshed(t, "a change", "2")
}

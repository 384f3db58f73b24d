package patroni

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
	finds := &found{}
	p := &Poller{finds: finds, inForce: &View{Leader: "1"}}
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
	finds.Hold("whoever", time.Hour)
	for _, ms := range []time.Duration{250, 375, 500, 500, 500} {
		expect("held", ms*time.Millisecond, ms*time.Millisecond)
	}
	opt.Interval, p.inForce = 100*time.Millisecond, &View{}
	expect("never longer than the interval", 90*time.Millisecond, 110*time.Millisecond)
	finds.EndHold()
	for name, p := range map[string]*Poller{"while nothing is known": {finds: finds},
		"while an older timeline is refused": {finds: finds, inForce: &View{Leader: "1"}, older: 1}} {
		opt.Interval = time.Hour
		for _, ms := range []time.Duration{250, 375, 500, 500} {
			if got := p.next(opt); got != ms*time.Millisecond {
				t.Errorf("%s: %v, want %v ms", name, got, int64(ms))
			}
		}
	}
	p, opt.Interval = &Poller{finds: finds}, 0
	expect("never without a pause", intervalMin, intervalMin)
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

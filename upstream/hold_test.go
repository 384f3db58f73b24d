package upstream

import (
	"testing"
	"time"

	"sluice/router"
)

// TestHold: a hold ends by EndHold, by another leader, and by itself; not by the same leader.
func TestHold(t *testing.T) {
	d := &fakeDiscovery{}
	c, opt, changes := discovered(t, d)
	dead := startServer(t, welcome)
	dead.stop()
	leader := func(addr string) []Spec {
		specs := []Spec{{Addr: dead.addr(), Role: router.Async}, {Addr: "127.0.0.1:1", Role: router.Async}}
		for i := range specs {
			if specs[i].Addr == addr {
				specs[i].Role = router.Leader
			}
		}
		return specs
	}
	d.finder.to.Found(leader(dead.addr()))
	eventually(t, "the checks are done", func() bool { return changes.Load() == 3 })
	expect := func(when, want string) {
		t.Helper()
		if why, held := c.Held(); why != want || held != (want != "") {
			t.Errorf("%s: held %v (%q), want %q", when, held, why, want)
		}
	}
	expect("at first", "")
	c.EndHold()
	c.Hold("switchover", time.Hour)
	c.Hold("another", time.Nanosecond)
	expect("the first one counts", "switchover")
	d.finder.to.Found(leader(""))
	expect("no leader", "switchover")
	d.finder.to.Found(leader(dead.addr()))
	expect("the same leader", "switchover")
	d.finder.to.Found(leader("127.0.0.1:1"))
	expect("another leader", "")
	c.Hold("again", time.Hour)
	expect("again", "again")
	told := changes.Load()
	c.EndHold()
	expect("after its end", "")
	if changes.Load() != told+1 {
		t.Error("the end was not told")
	}

	c.Hold("short", time.Millisecond)
	eventually(t, "the time is over", func() bool { _, held := c.Held(); return !held && changes.Load() == told+3 })
	c.Hold("static", time.Hour)
	opt.Discovery, opt.Backends = nil, leader("127.0.0.1:1")
	c.Update(opt)
	expect("without its discovery", "")
	c.Hold("by hand", time.Hour)
	c.Update(opt)
	expect("a reload is no reason", "by hand")
	opt.Backends = leader(dead.addr())
	c.Update(opt)
	expect("another configured leader", "")
	if n := testing.AllocsPerRun(100, func() { c.Held() }); n != 0 {
		t.Errorf("Held allocates %v times", n)
	}
}

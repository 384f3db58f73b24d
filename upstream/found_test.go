package upstream

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/router"
)

// fakeDiscovery counts what is asked of it, and tells what the test says.
type fakeDiscovery struct {
	kind   string
	finder *fakeFinder // the one started last
}

type fakeFinder struct {
	kind                     string
	to                       Finds
	updated, refreshed, ends int
	hurried                  atomic.Int64
}

func (d *fakeDiscovery) Start(c Finds) Finder {
	d.finder = &fakeFinder{kind: d.kind, to: c}
	return d.finder
}

func (f *fakeFinder) Update(d Discovery) bool {
	f.updated++
	return d.(*fakeDiscovery).kind == f.kind
}
func (f *fakeFinder) Refresh(context.Context) { f.refreshed++ }
func (f *fakeFinder) Hurry()                  { f.hurried.Add(1) }
func (f *fakeFinder) Status() FinderStatus    { return FinderStatus{Polls: 7} }
func (f *fakeFinder) Close()                  { f.ends++ }

// discovered makes a cluster with a discovery; changes counts the calls of Changed.
func discovered(t *testing.T, d Discovery) (c *Cluster, opt Options, changes *atomic.Int64) {
	t.Helper()
	opt = options()
	opt.Discovery = d
	changes = new(atomic.Int64)
	opt.Changed = func(c *Cluster) {
		c.mu.Lock() // blocks for ever if it is called with the lock
		defer c.mu.Unlock()
		changes.Add(1)
	}
	opt.Health.Interval = time.Hour
	c = NewCluster(opt, zap.NewNop())
	t.Cleanup(func() { c.Close() })
	return c, opt, changes
}

func addrs(list []*Backend) (all []string) {
	for _, b := range list {
		all = append(all, b.Addr())
	}
	return all
}

// TestFound: what a discovery finds is in force at once; what stays keeps its identity and its counters;
// what has not changed is not told.
func TestFound(t *testing.T) {
	a, b := startServer(t, welcome), startServer(t, welcome)
	d := &fakeDiscovery{}
	c, _, changes := discovered(t, d)
	if got, why := c.Pick(router.Want{Roles: router.AnyRole}, nil); got != nil || why != "no backends" {
		t.Errorf("before anything was found: %v (%s)", got, why)
	}
	first := []Spec{{Addr: a.addr(), Name: "a", Tags: map[string]string{"x": "1"}}, {Addr: b.addr(), Role: router.Async},
		{Addr: a.addr(), Role: router.Sync}} // the first of two counts
	d.finder.to.Found(first)
	list := c.Backends()
	if want := []string{a.addr(), b.addr()}; !slices.Equal(addrs(list), want) || list[0].Spec().Name != "a" {
		t.Fatalf("found %v, want %v", addrs(list), want)
	}
	eventually(t, "both are up and the three changes told", func() bool {
		return list[0].Health() == Up && list[1].Health() == Up && changes.Load() == 3
	})
	got, _ := c.Pick(router.Want{Roles: router.Roles(0).With(router.Leader)}, nil)
	if got != list[0] || !got.Leads() || list[1].Leads() {
		t.Errorf("the leader is %v", got)
	}
	first[0].Tags = map[string]string{"x": "1"} // equal, not the same
	d.finder.to.Found(first)
	if changes.Load() != 3 {
		t.Errorf("a change was told where nothing had changed")
	}

	second := []Spec{{Addr: b.addr()}, {Addr: a.addr(), Role: router.Async}}
	d.finder.to.Found(second)
	if now := c.Backends(); now[0] != list[1] || now[1] != list[0] || changes.Load() != 4 {
		t.Errorf("after the change of leader: %v, %d changes", addrs(now), changes.Load())
	}
	if list[0].Leads() || !list[1].Leads() || list[0].Sessions() != 1 || list[0].Health() != Up {
		t.Errorf("the old leader: leads %v, %d sessions", list[0].Leads(), list[0].Sessions())
	}
	d.finder.to.Found(second[:1])
	if !list[0].Gone() || list[0].Leads() || len(c.Backends()) != 1 {
		t.Errorf("the old leader has not gone")
	}
}

// TestDiscoveryOfNobody: static backends stay until a discovery that takes their place has found somebody, also if it
// answers that there is nobody: it may be asked at the wrong place. From then on it is believed.
func TestDiscoveryOfNobody(t *testing.T) {
	a, b := startServer(t, welcome), startServer(t, welcome)
	opt := options()
	opt.Health.Interval, opt.Backends = time.Hour, []Spec{{Addr: a.addr()}}
	core, log := observer.New(zapcore.InfoLevel)
	c := NewCluster(opt, zap.New(core))
	t.Cleanup(func() { c.Close() })
	was := c.Backends()[0]
	for range 2 {
		d := &fakeDiscovery{}
		opt.Discovery, opt.Backends = d, nil
		c.Update(opt)
		for range 3 {
			d.finder.to.Found(nil)
		}
		if was.Gone() || len(c.Backends()) != 1 {
			t.Fatal("who was there has gone")
		}
		opt.Discovery, opt.Backends = nil, []Spec{{Addr: a.addr()}}
		c.Update(opt)
	}
	if n := log.FilterMessageSnippet("finds no backend at all").Len(); n != 2 {
		t.Errorf("it is said %d times", n)
	}
	d := &fakeDiscovery{}
	opt.Discovery, opt.Backends = d, nil
	c.Update(opt)
	d.finder.to.Found([]Spec{{Addr: b.addr()}})
	if !was.Gone() || !slices.Equal(addrs(c.Backends()), []string{b.addr()}) {
		t.Errorf("behind that there are %v", addrs(c.Backends()))
	}
	d.finder.to.Found(nil)
	if len(c.Backends()) != 0 {
		t.Error("a discovery that has found some is not believed")
	}
}

// TestDiscoveryOverReload: found backends stay over reloads while there is a discovery, and it goes on
// if it can; static ones replace them.
func TestDiscoveryOverReload(t *testing.T) {
	a, b := startServer(t, welcome), startServer(t, welcome)
	d := &fakeDiscovery{kind: "one"}
	c, opt, changes := discovered(t, d)
	if _, ok := c.Discovered(); !ok {
		t.Error("the discovery does not show")
	}
	d.finder.to.Found([]Spec{{Addr: a.addr()}})
	found := c.Backends()[0]
	eventually(t, "it is up", func() bool { return found.Health() == Up && changes.Load() == 2 })

	same := &fakeDiscovery{kind: "one"}
	opt.Discovery = same
	if gone := c.Update(opt); gone != nil || same.finder != nil || d.finder.updated != 1 || d.finder.ends != 0 {
		t.Errorf("same kind: %v went, %+v", gone, d.finder)
	}
	other := &fakeDiscovery{kind: "two"}
	opt.Discovery, opt.Backends = other, []Spec{{Addr: b.addr()}}
	if gone := c.Update(opt); gone != nil || d.finder.ends != 1 || other.finder == nil {
		t.Errorf("another kind: %v went, %+v", gone, d.finder)
	}
	if now := c.Backends(); len(now) != 1 || now[0] != found {
		t.Errorf("what was found did not stay: %v", addrs(now))
	}
	c.Refresh(t.Context())
	c.Hurry()
	if s, _ := c.Discovered(); other.finder.refreshed != 1 || other.finder.hurried.Load() != 1 || s.Polls != 7 {
		t.Errorf("passed on: %+v", other.finder)
	}

	opt.Discovery = nil
	if gone := c.Update(opt); !slices.Equal(gone, []*Backend{found}) || other.finder.ends != 1 {
		t.Errorf("static: %v went, %+v", addrs(gone), other.finder)
	}
	if _, ok := c.Discovered(); ok || !slices.Equal(addrs(c.Backends()), []string{b.addr()}) {
		t.Errorf("static: %v", addrs(c.Backends()))
	}
	c.Refresh(t.Context())
	c.Hurry()
	c.Close()
	c.Found([]Spec{{Addr: a.addr()}})
	c.Hold("late", time.Hour)
	if _, held := c.Held(); held || len(c.Backends()) != 0 {
		t.Error("a closed cluster was told something")
	}
	expectNoChecker(t)
}

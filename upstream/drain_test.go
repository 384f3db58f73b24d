package upstream

import (
	"fmt"
	"slices"
	"testing"

	"sluice/codec"
	"sluice/router"
)

// unchecked is a protocol whose checks wait for the end of the test before they begin.
type unchecked struct {
	codec.Protocol
	end chan struct{}
}

func (u unchecked) NewProbe(user string) codec.Probe {
	<-u.end
	return u.Protocol.NewProbe(user)
}

// drainable makes a cluster whose backends are not checked while the test runs.
func drainable(t *testing.T, addrs ...string) (*Cluster, *fakeFinder, func() int64) {
	t.Helper()
	d := &fakeDiscovery{kind: "d"}
	c, opt, changes := discovered(t, d)
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	opt.Protocol = unchecked{opt.Protocol, end}
	c.Update(opt)
	c.Found(specs(addrs...))
	return c, d.finder, changes.Load
}

// specs are backends that may lead, at those addresses.
func specs(addrs ...string) (list []Spec) {
	for _, a := range addrs {
		list = append(list, Spec{Addr: a})
	}
	return list
}

// fits are the addresses of the backends that fit a session that wants any role.
func fits(c *Cluster) (list []string) {
	for _, b := range c.Backends() {
		if b.Fits(router.Want{Roles: router.AnyRole}) == "" {
			list = append(list, b.addr)
		}
	}
	return list
}

// TestDrain: a drained backend takes nobody, by whatever the discovery says of it, until it is resumed; also when it
// has gone in between. Each change is counted and told.
func TestDrain(t *testing.T) {
	const one, two = "127.0.0.1:1", "127.0.0.1:2"
	c, _, told := drainable(t, one, two)
	any := router.Want{Roles: router.AnyRole}
	b := c.Backends()[0]
	changes, tellings := c.Changes(), told()
	b.Drain("for the test")
	if why, drained := b.Drained(); !drained || why != "for the test" || b.Fits(any) != "drained" {
		t.Errorf("drained: %q, %v, fits %q", why, drained, b.Fits(any))
	}
	if c.Changes() == changes || told() != tellings+1 {
		t.Errorf("%d changes, told %d times", c.Changes()-changes, told()-tellings)
	}
	for range 20 {
		if p, _ := c.Pick(any, nil); p.addr != two {
			t.Fatalf("picked %s", p.addr)
		}
	}
	other := specs(one, two)
	other[0].Zone = "elsewhere"
	c.Found(other)
	if b.Spec().Zone != "elsewhere" || b.Fits(any) != "drained" {
		t.Errorf("behind a change it is %+v, fits %q", b.Spec(), b.Fits(any))
	}
	c.Found(specs(two))
	c.Found(specs(two, one))
	if got := fits(c); !slices.Equal(got, []string{two}) {
		t.Errorf("behind its return fit: %v", got)
	}
	if !c.Resume(one) || c.Resume(one) {
		t.Error("a drain was resumed not once")
	}
	if got := fits(c); !slices.Equal(got, []string{two, one}) || len(c.Drains()) != 0 {
		t.Errorf("resumed, fit: %v, drains: %v", got, c.Drains())
	}
}

// TestDrainAll: the last one may be drained too: then nobody is picked, and the reason is told.
func TestDrainAll(t *testing.T) {
	c, _, _ := drainable(t, "127.0.0.1:1", "127.0.0.1:2")
	for _, b := range c.Backends() {
		b.Drain("all")
	}
	if b, why := c.Pick(router.Want{Roles: router.AnyRole}, nil); b != nil || why != "drained" {
		t.Errorf("picked %v, %q", b, why)
	}
}

// TestDrainsAreBounded: addresses that don't come back are forgotten, those that are there never.
func TestDrainsAreBounded(t *testing.T) {
	c, _, _ := drainable(t, "127.0.0.1:1")
	c.Backends()[0].Drain("stays")
	for i := range drainsMax + 10 {
		addr := fmt.Sprintf("127.0.1.1:%d", i+1)
		c.Found(specs("127.0.0.1:1", addr))
		c.Backends()[1].Drain("goes")
	}
	drains := c.Drains()
	if len(drains) != drainsMax || drains["127.0.0.1:1"] != "stays" {
		t.Errorf("%d drains, %q", len(drains), drains["127.0.0.1:1"])
	}
}

// TestOutOfService: who is named there takes nobody while another one fits that is up, and serves when none does.
func TestOutOfService(t *testing.T) {
	const tidb0, tidb1, other = "tidb-0.peer.example:4000", "tidb-1.peer.example:4000", "127.0.0.9:4000"
	tests := []struct {
		name  string
		out   []string
		down  []string
		drain []string
		fits  []string
	}{
		{name: "nobody", fits: []string{tidb0, tidb1, other}},
		{name: "a pod", out: []string{"tidb-0"}, fits: []string{tidb1, other}},
		{name: "a pod, in capitals", out: []string{"TIDB-0"}, fits: []string{tidb1, other}},
		{name: "an address", out: []string{tidb1}, fits: []string{tidb0, other}},
		{name: "a host", out: []string{"127.0.0.9"}, fits: []string{tidb0, tidb1}},
		{name: "the begin of a host", out: []string{"127"}, fits: []string{tidb0, tidb1, other}},
		{name: "somebody else", out: []string{"tidb-2", "127.0.0.1", "127.0.0.9:4001"}, fits: []string{tidb0, tidb1, other}},
		{name: "all", out: []string{"tidb-0", "tidb-1", other}, fits: []string{tidb0, tidb1, other}},
		{name: "all that are up", out: []string{"tidb-0", "tidb-1"}, down: []string{other}, fits: []string{tidb0, tidb1, other}},
		{name: "all but drained ones", out: []string{"tidb-0"}, drain: []string{tidb1, other}, fits: []string{tidb0}},
		{name: "and drained itself", out: []string{"tidb-0"}, drain: []string{tidb0}, fits: []string{tidb1, other}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, _ := drainable(t, tidb0, tidb1, other)
			opt := *c.Options()
			opt.OutOfService = tt.out
			c.Update(opt)
			for _, b := range c.Backends() {
				if slices.Contains(tt.down, b.addr) {
					b.health.Store(uint32(Down))
				} else {
					b.health.Store(uint32(Up))
				}
				if slices.Contains(tt.drain, b.addr) {
					b.Drain(tt.name)
				}
			}
			if got := fits(c); !slices.Equal(got, tt.fits) {
				t.Errorf("fit: %v, want %v", got, tt.fits)
			}
			picked := map[string]bool{}
			for range 300 {
				b, _ := c.Pick(router.Want{Roles: router.AnyRole}, nil)
				picked[b.addr] = true
			}
			for _, b := range c.Backends() {
				want := slices.Contains(tt.fits, b.addr) && !slices.Contains(tt.down, b.addr)
				if picked[b.addr] != want {
					t.Errorf("%s was picked: %v", b.addr, picked[b.addr])
				}
			}
		})
	}
}

// TestOutOfServiceFollowsHealth: when the last other one goes down, that is told as a change of who fits.
func TestOutOfServiceFollowsHealth(t *testing.T) {
	c, _, told := drainable(t, "127.0.0.1:1", "127.0.0.2:1")
	opt := *c.Options()
	opt.OutOfService = []string{"127.0.0.1"}
	c.Update(opt)
	other := c.Backends()[1]
	for _, b := range c.Backends() {
		c.conclude(b, byGreeting, Down, errNotAccepted)
	}
	changes, tellings := c.Changes(), told()
	c.conclude(other, byGreeting, Up, nil)
	if c.Changes() == changes || told() == tellings {
		t.Errorf("%d changes, told %d times", c.Changes()-changes, told()-tellings)
	}
	if got := fits(c); !slices.Equal(got, []string{"127.0.0.2:1"}) {
		t.Errorf("fit: %v", got)
	}
	c.judge(other, byGreeting, errNotAccepted, opt.Health.Fall)
	if got := fits(c); len(got) != 2 {
		t.Errorf("with the other one down fit: %v", got)
	}
}

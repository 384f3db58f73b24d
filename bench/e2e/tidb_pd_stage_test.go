package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// pd is an etcd as PD has one. Its instances of TiDB live on in it until they leave.
type pd struct {
	*real.Etcd
	mu    sync.Mutex
	lives []*real.TiDB
}

// startPD starts one that knows of instances.
func startPD(t *testing.T, every ...*real.TiDB) *pd {
	t.Helper()
	store, err := real.StartEtcd(filepath.Join(t.TempDir(), "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	p := &pd{Etcd: store}
	for _, d := range every {
		p.enters(t, d)
	}
	over := make(chan struct{})
	var renewing sync.WaitGroup
	renewing.Go(func() { p.renew(over) })
	t.Cleanup(func() {
		close(over)
		renewing.Wait()
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// renew writes the keys of those that live well before their lease ends. While the etcd is down it can't.
func (p *pd) renew(over <-chan struct{}) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		for _, d := range p.lives {
			_ = d.Register(p.Etcd)
		}
		p.mu.Unlock()
	}
}

// enters has an instance known.
func (p *pd) enters(t *testing.T, d *real.TiDB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := d.Register(p.Etcd); err != nil {
		t.Fatal(err)
	}
	p.lives = append(p.lives, d)
}

// ends has an instance's sign of life not be renewed any more: what is there ends with its lease.
func (p *pd) ends(d *real.TiDB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives = slices.DeleteFunc(p.lives, func(x *real.TiDB) bool { return x == d })
}

// leaves has an instance's sign of life be gone.
func (p *pd) leaves(t *testing.T, d *real.TiDB) {
	t.Helper()
	p.ends(d)
	if err := d.Expire(p.Etcd); err != nil {
		t.Fatal(err)
	}
}

// pdCluster is a cluster whose servers PD at addrs knows. more are subtables of it, beside those of TLS, health and PD.
func pdCluster(name string, addrs []string, more ...string) string {
	lines := append([]string{fmt.Sprintf("name = %q", name), `protocol = "mysql"`, `discovery = "pd"`}, unless(nil, unhurriedCluster)...)
	lines = append(lines, tlsCA("cluster", "verify-full"), "[cluster.pd]", `addrs = ["`+strings.Join(addrs, `", "`)+`"]`)
	return section("[[cluster]]", append(lines, more...)...)
}

// quickStatus has the status ports looked at often. A look may take its time.
const quickStatus = "[cluster.status]\ninterval = \"300ms\"\ntimeout = \"1m\"\n[cluster.health]\n" + unhurriedHealth

// tidbListener is a listener before a cluster, with TLS.
func tidbListener(name, addr string) string {
	return listener(name, addr, name, tlsTable("listener", "prefer", stage.cert))
}

// startDiscovering starts Sluice before one cluster "ti" that PD at addrs knows.
func startDiscovering(t *testing.T, addrs []string, more ...string) moving {
	t.Helper()
	m := moving{addr: real.FreeAddr()}
	m.Sluice = startSluice(t, racy(t), pdCluster("ti", addrs, append(more, quickStatus)...)+tidbListener("ti", m.addr))
	return m
}

// backend is what the admin side says of one.
type backend struct {
	Cluster, Addr, Name, Zone, Health, Version string
	StatusPort                                 string    `json:"status_port"`
	FiguresRead                                time.Time `json:"figures_read"`
	Sessions                                   int
	Closing                                    bool
	Tags                                       map[string]string
}

// backends are all that Sluice knows.
func backends(s *real.Sluice) ([]backend, error) {
	page, err := s.Get("/api/backends")
	if err != nil {
		return nil, err
	}
	var list []backend
	return list, json.Unmarshal([]byte(page), &list)
}

// knows waits until Sluice knows just these instances, all of which are up.
func knows(t *testing.T, s *real.Sluice, every ...*real.TiDB) {
	t.Helper()
	var want []string
	for _, d := range every {
		want = append(want, d.Addr+" up")
	}
	slices.Sort(want)
	eventually(t, func() error {
		list, err := backends(s)
		if err != nil {
			return err
		}
		var got []string
		for _, b := range list {
			got = append(got, b.Addr+" "+b.Health)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("it knows %q, want %q", got, want)
		}
		return nil
	})
}

// of is what Sluice says of one backend of a cluster; its zero if it does not know it.
func of(t *testing.T, s *real.Sluice, cluster, addr string) backend {
	t.Helper()
	list, err := backends(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if b.Cluster == cluster && b.Addr == addr {
			return b
		}
	}
	return backend{}
}

// stale waits until PD tells of a cluster's servers, or does not.
func stale(t *testing.T, s *real.Sluice, cluster string, want bool) {
	t.Helper()
	await(t, s, map[bool]float64{true: 1}[want], "sluice_discovery_stale", fmt.Sprintf("cluster=%q", cluster))
}

// welcomes logs in anew until a session begins at d.
func welcomes(t *testing.T, addr string, d *real.TiDB) {
	t.Helper()
	eventually(t, func() error {
		db := openMySQL(t, addr, "app", "tls=ours")
		defer db.Close()
		c := single(t, db)
		defer c.Close()
		if got := at(t, c); got != real.Port(d.Addr) {
			return errors.New("no new session comes to " + d.Addr)
		}
		return nil
	})
}

// companions are n sessions with state of their own, and what it looks like.
type companions struct {
	all   []*stateful
	looks []string
}

func newCompanions(t *testing.T, addr string, n int) *companions {
	t.Helper()
	c := &companions{}
	db := openMySQL(t, addr, "app", "tls=ours")
	for i := range n {
		s, err := newStateful(within(t, soon), db, i)
		if err != nil {
			t.Fatal(err)
		}
		look, err := s.look(within(t, soon))
		if err != nil {
			t.Fatal(err)
		}
		c.all, c.looks = append(c.all, s), append(c.looks, look)
	}
	return c
}

// unchanged holds that the state of each is what it was, wherever it is now.
func (c *companions) unchanged(t *testing.T) {
	t.Helper()
	for i, s := range c.all {
		if got, err := s.look(within(t, soon)); err != nil || got != c.looks[i] {
			t.Errorf("session %d: %v\n got %s\nwant %s", i, err, got, c.looks[i])
		}
	}
}

// allAt waits until they are at one instance.
func (c *companions) allAt(t *testing.T, d *real.TiDB) {
	t.Helper()
	for i, s := range c.all {
		eventually(t, func() error {
			if got := at(t, s.Conn); got != real.Port(d.Addr) {
				return fmt.Errorf("session %d is at port %d, want it at %s", i, got, d.Addr)
			}
			return nil
		})
	}
}

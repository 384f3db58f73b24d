package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// patroniStage is a Patroni cluster that tests share, one after the other: what a test has broken is mended
// for the next, or made anew.
type patroniStage struct {
	sync.Mutex
	running *real.Patroni
	made    int
}

var debianPatroni, newerPatroni patroniStage

// well returns the cluster in good health.
func (p *patroniStage) well(t *testing.T, name string, options func() real.PatroniOptions) *real.Patroni {
	t.Helper()
	p.Lock()
	defer p.Unlock()
	if p.running != nil {
		err := p.running.Mend()
		if err == nil {
			return p.running
		}
		t.Logf("%v: it is made anew", err)
		if err := p.running.Close(); err != nil {
			t.Error(err)
		}
		p.running = nil
	}
	p.made++
	start := time.Now()
	c, err := real.StartPatroni(filepath.Join(stage.dir, fmt.Sprint(name, p.made)), options())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("three nodes of Patroni were there after %v", time.Since(start).Round(100*time.Millisecond))
	p.running = c
	return c
}

// debian is the cluster of Debian's Patroni, whose API speaks no TLS.
func debian(t *testing.T) *real.Patroni {
	t.Helper()
	return debianPatroni.well(t, "pat", func() real.PatroniOptions { return real.PatroniOptions{} })
}

// newer is the cluster of a newer Patroni with quorum commit, whose API speaks TLS and wants a certificate.
func newer(t *testing.T) *real.Patroni {
	t.Helper()
	return newerPatroni.well(t, "new", func() real.PatroniOptions {
		patroni, control, err := real.InstallPatroni(filepath.Join(stage.dir, "venv"), real.NewerPatroni)
		if err != nil {
			t.Fatal(err)
		}
		return real.PatroniOptions{Program: patroni, Control: control, TLS: true, ClientCert: true, Quorum: true,
			Authority: stage.ca, Cert: stage.cert}
	})
}

// unhurriedPatroni are the time-outs that a busy machine must not reach.
const unhurriedPatroni = `timeout = "30s"`

// patroniCluster is the [[cluster]] section "pg" for c, whose API is asked at urls, or at its own addresses
// if there are none. More are lines for [cluster.patroni].
func patroniCluster(c *real.Patroni, urls []string, more ...string) string {
	if urls == nil {
		for _, n := range c.Nodes {
			urls = append(urls, n.URL())
		}
	}
	quoted := make([]string, len(urls))
	for i, u := range urls {
		quoted[i] = fmt.Sprintf("%q", u)
	}
	lines := []string{`name = "pg"`, `protocol = "postgres"`, `discovery = "patroni"`, `failover-timeout = "5m"`}
	lines = slices.Concat(lines, unless(nil, unhurriedCluster), []string{"[cluster.health]", unhurriedHealth, "[cluster.patroni]",
		"hosts = [" + strings.Join(quoted, ", ") + "]"}, unless(more, unhurriedPatroni), unless(more, `interval = "500ms"`), more)
	if o := c.Options; o.TLS {
		lines = append(lines, "[cluster.patroni.tls]", fmt.Sprintf("ca = %q", o.Authority.CertFile))
		if o.ClientCert {
			lines = append(lines, fmt.Sprintf("cert = %q", o.Cert.CertFile), fmt.Sprintf("key = %q", o.Cert.KeyFile))
		}
	}
	return section("[[cluster]]", lines...)
}

// watched are the lines by which Sluice hears at once what happens to c. They end [cluster.patroni].
func watched(c *real.Patroni) string {
	return fmt.Sprintf("[cluster.patroni.etcd]\nendpoints = [%q]\nscope = %q", c.Etcd.URL(), real.Scope)
}

// roles is the line of a listener.
func roles(names ...string) string {
	return `roles = ["` + strings.Join(names, `", "`) + `"]`
}

// nodeOf is the name of the node that a session of c is on at the moment.
func nodeOf(t *testing.T, c *real.Patroni, conn *pgx.Conn) string {
	t.Helper()
	return nodeAt(c, one[string](t, conn, whereSQL))
}

// nodeAt is the name of the node with that address, "" if none has it.
func nodeAt(c *real.Patroni, addr string) string {
	for _, n := range c.Nodes {
		if n.Addr == addr {
			return n.Name
		}
	}
	return ""
}

// reaches fails the test unless clients that come to addr one after the other are spread over exactly the
// nodes named, which must be all there before long.
func reaches(t *testing.T, c *real.Patroni, dsn string, nodes ...string) {
	t.Helper()
	slices.Sort(nodes)
	eventually(t, func() error {
		seen := map[string]bool{}
		var open []*pgx.Conn
		defer func() {
			for _, conn := range open {
				_ = conn.Close(context.Background())
			}
		}()
		for range 3 * len(nodes) {
			conn, err := pgx.Connect(within(t, soon), dsn)
			if err != nil {
				return err
			}
			open = append(open, conn)
			// A funnel's client has a server as long as its transaction.
			if _, err := conn.Exec(within(t, soon), "begin"); err != nil {
				return err
			}
			var at string
			if err := conn.QueryRow(within(t, soon), whereSQL).Scan(&at); err != nil {
				return err
			}
			seen[nodeAt(c, at)] = true
		}
		var got []string
		for n := range seen {
			got = append(got, n)
		}
		slices.Sort(got)
		if !slices.Equal(got, nodes) {
			return fmt.Errorf("clients come to %v, want %v", got, nodes)
		}
		return nil
	})
}

func nodeNames(nodes ...*real.Node) (names []string) {
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return names
}

// parts are the nodes of c by what they are at the moment.
type parts struct{ leader, sync, async *real.Node }

func partsOf(t *testing.T, c *real.Patroni) (p parts) {
	t.Helper()
	eventually(t, func() (err error) {
		if p.leader, err = c.Leader(); err != nil {
			return err
		}
		if p.sync, err = c.Sync(); err != nil {
			return err
		}
		p.async, err = c.Async()
		return err
	})
	return p
}

// freshTable makes an empty table in database app, by the leader itself.
func freshTable(t *testing.T, leader *real.Node, name, columns string) {
	t.Helper()
	for _, sql := range []string{"drop table if exists " + name, "create table " + name + " (" + columns + ")"} {
		if err := leader.Exec("app", sql); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPatroniDebian is all that is done to the cluster of Debian's Patroni, one after the other.
func TestPatroniDebian(t *testing.T) {
	t.Parallel() // most of it is waiting
	t.Run("roles", testPatroniRoles)
	t.Run("switchover", testPatroniSwitchover)
	t.Run("switchover-polled", testPatroniSwitchoverPolled)
	t.Run("switchover-held", testPatroniSwitchoverHeld)
	t.Run("crash-failover", func(t *testing.T) { testPatroniCrash(t, 0) })
	t.Run("crash-restart", func(t *testing.T) { testPatroniCrash(t, 300) })
	t.Run("lag", testPatroniLag)
	t.Run("reads", testPatroniReads)
	t.Run("reads-follow", testPatroniReadsFollow)
	t.Run("split", testPatroniSplit)
}

// TestPatroniNewer is what is done to the cluster of a newer Patroni with TLS.
func TestPatroniNewer(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := newer(t)
	t.Run("roles", func(t *testing.T) { testPatroniQuorum(t, c) })
	t.Run("group", func(t *testing.T) {
		t.Run("api-gone", func(t *testing.T) { t.Parallel(); testPatroniGone(t, c) })
		t.Run("network-cut", func(t *testing.T) { t.Parallel(); testPatroniCut(t, c) })
	})
	t.Run("switchover", func(t *testing.T) { testPatroniNewerSwitchover(t, c) })
}

// testPatroniRoles has a listener for each role come to the nodes that have it, in both modes, and follow a
// switchover.
func testPatroniRoles(t *testing.T) {
	c := debian(t)
	addr := map[string]string{}
	config := patroniCluster(c, nil)
	for _, role := range []string{"leader", "sync", "async", "any"} {
		for mode, section := range map[string]func(name, addr, cluster string, more ...string) string{"funnel": funnel, "proxy": listener} {
			name := mode + "-" + role
			addr[name] = real.FreeAddr()
			more := []string{roles(strings.ToUpper(role))}
			config += section(name, addr[name], "pg", more...)
		}
	}
	startSluice(t, racy(t), config+users("app"))
	check := func() {
		p := partsOf(t, c)
		for _, mode := range []string{"funnel", "proxy"} {
			for role, nodes := range map[string][]string{
				"leader": nodeNames(p.leader), "sync": nodeNames(p.sync), "async": nodeNames(p.async), "any": nodeNames(c.Nodes...),
			} {
				reaches(t, c, funnelDSN(addr[mode+"-"+role], "app", ""), nodes...)
			}
		}
	}
	check()
	p := partsOf(t, c)
	if _, err := c.Switchover(p.leader, p.sync); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(); err != nil {
		t.Fatal(err)
	}
	check()
}

// testPatroniQuorum has listeners find the nodes of a cluster with quorum commit, whose API wants a
// certificate.
func testPatroniQuorum(t *testing.T, c *real.Patroni) {
	leader, err := c.Leader()
	if err != nil {
		t.Fatal(err)
	}
	var others []string
	for _, n := range c.Nodes {
		if n != leader {
			others = append(others, n.Name)
		}
	}
	lead, quorum, every, near := real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), patroniCluster(c, nil)+
		funnel("leader", lead, "pg", roles("leader"))+
		funnel("quorum", quorum, "pg", roles("quorum"), `max-lag = "16MiB"`)+
		funnel("any", every, "pg", roles("any"))+
		funnel("near", near, "pg", roles("quorum"), fmt.Sprintf("tags = [%q]", "zone=zone-"+others[1]))+users("app"))
	reaches(t, c, funnelDSN(lead, "app", ""), leader.Name)
	reaches(t, c, funnelDSN(quorum, "app", ""), others...)
	reaches(t, c, funnelDSN(every, "app", ""), nodeNames(c.Nodes...)...)
	reaches(t, c, funnelDSN(near, "app", ""), others[1])
	if strings.Contains(s.Log(), "\twarn\t") {
		t.Errorf("Sluice warns of something:\n%s", tail(s.Log(), 2000))
	}
}

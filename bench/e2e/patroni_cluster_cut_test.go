package e2e

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// testPatroniGone has nobody answer for a minute where Sluice asks for the cluster: nothing ends, and new
// sessions come to where they came before.
func testPatroniGone(t *testing.T, c *real.Patroni) {
	leader, err := c.Leader()
	if err != nil {
		t.Fatal(err)
	}
	var relays []*real.Relay
	var urls []string
	for _, n := range c.Nodes {
		r, err := real.NewRelay(n.API, real.AtRandom(1, 4096))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		relays = append(relays, r)
		urls = append(urls, "https://"+r.Addr)
	}
	lead, others, proxy := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), patroniCluster(c, urls, "learn-hosts = false", `timeout = "1s"`)+
		funnel("leader", lead, "pg", roles("leader"), "pool-size = 20")+
		funnel("others", others, "pg", roles("quorum"), "pool-size = 20", `max-lag = "16MiB"`)+
		listener("proxy", proxy, "pg", roles("any"))+users("app"))
	names := nodeNames(c.Nodes...)
	reaches(t, c, funnelDSN(proxy, "app", ""), names...)
	var clients []*readers
	for _, addr := range []string{lead, others, proxy} {
		clients = append(clients, startReaders(t, c, funnelDSN(addr, "app", ""), 4))
	}
	for _, r := range relays {
		r.Hold()
	}
	await(t, s, 1, "sluice_discovery_stale", `cluster="pg"`)
	over := time.NewTimer(time.Minute)
	for gone := false; !gone; {
		for _, r := range clients {
			r.fresh(t, 50)
		}
		reaches(t, c, funnelDSN(lead, "app", ""), leader.Name)
		select {
		case <-over.C:
			gone = true
		default:
		}
	}
	await(t, s, 1, "sluice_discovery_stale", `cluster="pg"`)
	for _, r := range relays {
		r.Release()
	}
	await(t, s, 0, "sluice_discovery_stale", `cluster="pg"`)
	for _, r := range clients {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}
	reaches(t, c, funnelDSN(proxy, "app", ""), names...)
}

// testPatroniCut cuts the network between Sluice, in a namespace of its own, and one replica, of which all
// others say that it is well. What is on the other nodes notices nothing.
func testPatroniCut(t *testing.T, c *real.Patroni) {
	leader, err := c.Leader()
	if err != nil {
		t.Fatal(err)
	}
	var replicas []*real.Node
	var hosts []string
	for _, n := range c.Nodes {
		if n != leader {
			replicas = append(replicas, n)
		}
		host, _, err := net.SplitHostPort(n.Addr)
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, host)
	}
	gone, stays := replicas[0], replicas[1]
	cable, _, _ := net.SplitHostPort(gone.Addr)
	network, err := real.NewNetwork(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	at := func() string { return net.JoinHostPort(network.Addr, strconv.Itoa(real.FreePort())) }
	lead, others, proxy := at(), at(), at()
	config := patroniCluster(c, nil, `timeout = "1s"`)
	// What has not been acknowledged for some seconds is lost, and a check that is not answered has failed.
	config = strings.Replace(config, "[cluster.health]\n"+unhurriedHealth, "tcp-user-timeout = \"4s\"\n[cluster.health]\n"+
		"interval = \"500ms\"\ntimeout = \"2s\"", 1)
	// Nor are sessions evened out over those that are left: each is looked for where it was.
	config = strings.Replace(config, "[cluster.health]\n", "[cluster.balance]\npolicy = \"off\"\n[cluster.health]\n", 1)
	config = strings.Replace(config, `connect-timeout = "1m"`, `connect-timeout = "2s"`, 1)
	s, err := real.StartSluiceIn(network, racy(t), t.TempDir(), unhurried(config+
		funnel("leader", lead, "pg", roles("leader"), "pool-size = 20")+
		funnel("others", others, "pg", roles("quorum"), "pool-size = 20")+
		listener("proxy", proxy, "pg", roles("any"))+users("app")))
	if err != nil {
		t.Fatal(err)
	}
	stopsWell(t, s)
	reaches(t, c, funnelDSN(others, "app", ""), gone.Name, stays.Name)
	onLeader := startReaders(t, c, funnelDSN(lead, "app", ""), 4)
	sessions := map[*pgx.Conn]string{}
	for range 9 {
		conn := connect(t, funnelDSN(proxy, "app", ""))
		sessions[conn] = nodeOf(t, c, conn)
	}

	if err := network.Cut(cable); err != nil {
		t.Fatal(err)
	}
	// Until it is known a client may wait for the one that is cut off, but is not told of any error.
	reaches(t, c, funnelDSN(others, "app", ""), stays.Name)
	onReplica := startReaders(t, c, funnelDSN(others, "app", ""), 4)
	if on := onReplica.fresh(t, 100); on[stays.Name] < 100 {
		t.Errorf("answers by node: %v", on)
	}
	onLeader.fresh(t, 100)
	var lost sync.WaitGroup
	for conn, node := range sessions {
		if node == gone.Name {
			lost.Go(func() {
				if _, err := conn.Exec(context.Background(), "select 1"); err == nil {
					t.Error("a session of the node that is cut off was answered")
				}
			})
			continue
		}
		if got := nodeOf(t, c, conn); got != node {
			t.Errorf("a session of %s is on %s", node, got)
		}
	}
	lost.Wait()
	await(t, s, 0, "sluice_discovery_stale", `cluster="pg"`)

	if err := network.Join(cable); err != nil {
		t.Fatal(err)
	}
	usedAgain(t, c, funnelDSN(others, "app", ""), gone)
	for _, r := range []*readers{onLeader, onReplica} {
		if err := r.stop(); err != nil {
			t.Error(fmt.Errorf("a client of another node: %w", err))
		}
	}
}

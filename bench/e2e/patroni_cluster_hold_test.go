package e2e

import (
	"net/http"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// testPatroniSwitchoverHeld is testPatroniSwitchoverPolled, but that the switchover is announced to Sluice by
// HTTP, as a script of Patroni's before_stop can do it: no client sees an error.
func testPatroniSwitchoverHeld(t *testing.T) {
	c := debian(t)
	benchDatabase(t, c)
	leader, others := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), patroniCluster(c, nil)+
		funnel("leader", leader, "pg", roles("leader"), "pool-size = 20", `auth.method = "trust"`)+
		funnel("others", others, "pg", roles("sync", "async"), "pool-size = 20", `auth.method = "trust"`)+users("scram"))
	announce := func() {
		resp, err := http.Post("http://"+s.Admin+"/api/clusters/pg/hold?max=5m", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("hold: %s", resp.Status)
		}
		await(t, s, 1, "sluice_cluster_held", `cluster="pg"`)
		await(t, s, 0, "sluice_pool_server_connections", `listener="leader"`, `state="active"`) // what was under way is over
	}
	write, read, cost := underLoad{c: c, leader: leader, others: others, mode: "extended", changes: 1, announce: announce}.run(t)
	good := write.flawless(t) + read.flawless(t)
	await(t, s, 0, "sluice_cluster_held", `cluster="pg"`)
	t.Logf("%d transactions, without an error; no server took a write for %v, no client for %v", good, cost[0].own.Round(time.Millisecond),
		cost[0].pause.Round(time.Millisecond))
}

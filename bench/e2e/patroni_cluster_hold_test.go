package e2e

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// testPatroniSwitchoverHeld is testPatroniSwitchoverPolled, but that the switchover is announced to Sluice by
// HTTP, as a script of Patroni's before_stop can do it, or asked of Sluice: no client sees an error.
func testPatroniSwitchoverHeld(t *testing.T) {
	c := debian(t)
	leader, others := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), patroniCluster(c, nil, fmt.Sprintf("user = %q\npassword = %q", real.APIUser, real.Password))+
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
	ask := func(_, to *real.Node) (time.Duration, error) {
		start := time.Now()
		resp, err := http.Post("http://"+s.Admin+"/api/clusters/pg/switchover?candidate="+to.Name, "", nil)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		return time.Since(start), err
	}
	for what, u := range map[string]underLoad{"announced": {announce: announce}, "asked for": {by: ask}} {
		u.c, u.leader, u.others, u.mode, u.changes = c, leader, others, "extended", 1
		heldSwitchover(t, what, s, u)
	}
}

func heldSwitchover(t *testing.T, what string, s *real.Sluice, u underLoad) {
	t.Helper()
	benchDatabase(t, u.c)
	write, read, cost := u.run(t)
	good := write.flawless(t) + read.flawless(t)
	await(t, s, 0, "sluice_cluster_held", `cluster="pg"`)
	t.Logf("%s: %d transactions, without an error; no server took a write for %v, no client for %v", what, good, cost[0].own.Round(time.Millisecond),
		cost[0].pause.Round(time.Millisecond))
}

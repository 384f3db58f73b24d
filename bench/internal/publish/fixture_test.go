package publish

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"sluice/bench/internal/suite"
)

// spread is a figure that hardly changed over the rounds.
func spread(median float64) suite.Spread {
	return suite.Spread{Median: median, Min: median * 0.9, Max: median * 1.25}
}

// add puts a contender's result into a report. Figures come as name and median in turn.
func add(r *suite.Report, scenario, load, unit, contender string, rounds int, figures map[string]float64) *suite.Result {
	res := &suite.Result{Scenario: scenario, Load: load, Unit: unit, Contender: contender, Clients: 32,
		Rounds: make([]suite.Sample, rounds), Summary: map[string]suite.Spread{}}
	for name, median := range figures {
		res.Summary[name] = spread(median)
	}
	r.Results = append(r.Results, res)
	return res
}

// wholeRun is a report in which each thing occurs that a block must tell apart: targets met, missed,
// not measured, measured in too few rounds, missed by less than is shown.
func wholeRun() *suite.Report {
	r := &suite.Report{Date: "2026-11-23T01:02:03Z", TookSeconds: 1500,
		Machine:  suite.Machine{CPU: "A CPU", Cores: 2, Kernel: "6.1", Commit: "abc"},
		Settings: suite.Settings{Rounds: 5, Seconds: 2, Threads: 1}}
	queries(r, "saturated", "pg-simple", 5, 1.28, 0.97, 1.08)
	queries(r, "saturated", "my-text", 5, 1.301, 1.002, 1.10)
	queries(r, "saturated", "my-prepared", 3, 1.2, 1.0, 1.0)
	for _, load := range []string{"pg-simple", "pg-prepared", "my-text", "my-prepared"} {
		queries(r, "paced", load, 5, 1.5, 1.12, 0.95)
	}
	add(r, "bulk", "pg-bulk", "MiB", haproxy, 5, map[string]float64{perSecond: 1500, cpu: 190, p99: 30000})
	add(r, "bulk", "pg-bulk", "MiB", sluice, 5, map[string]float64{perSecond: 1440, cpu: 200, p99: 31000,
		perSecond + "/haproxy": 0.96, cpu + "/haproxy": 1.05})
	add(r, "connect", "my-connect", "session", haproxy, 5, map[string]float64{perSecond: 900, cpu: 90})
	add(r, "connect", "my-connect", "session", sluice, 5, map[string]float64{perSecond: 800, cpu: 95, perSecond + "/haproxy": 0.89})
	for _, clients := range []int{512, 1} { // whatever the order, lines go from few to many
		add(r, "clients", "syn-pg-"+map[int]string{1: "1", 512: "512"}[clients], "query", sluice, 5,
			map[string]float64{perSecond: 30000 + float64(clients)*10, cpu: 12}).Clients = clients
	}
	for _, depth := range []int{0, 8} {
		add(r, "pipeline", "syn-my-depth-"+map[int]string{0: "1", 8: "8"}[depth], "query", sluice, 5,
			map[string]float64{perSecond: 30000 + float64(depth)*10, cpu: 12}).Depth = depth
	}
	add(r, "tls-both", "pg-prepared", "query", haproxy, 5, map[string]float64{cpu: 14}).Note = "Passes TLS through."
	add(r, "tls-both", "pg-prepared", "query", sluice, 5, map[string]float64{cpu: 34})
	for _, contender := range []string{haproxy, sluice} {
		add(r, "rows", "syn-my-16m", "MiB", contender, 5, map[string]float64{cpu: 120}).Note = "Of all."
	}
	add(r, "idle", "syn-pg-idle", "client", haproxy, 1, map[string]float64{resident: 33000})
	add(r, "idle", "syn-pg-idle", "client", sluice, 1, map[string]float64{resident: 4100, heapScan: 1030}).Clients = 9900
	funnels(r)
	return r
}

// funnels adds PgBouncer and Sluice with one loop and with two, with Sluice's ratios.
func funnels(r *suite.Report) {
	const few, many = "syn-pg-funnel-512", "syn-pg-funnel-5000"
	add(r, "funnel", "pg-funnel-simple", "query", pgbouncer, 5, map[string]float64{perSecond: 20000, cpu: 20, p99: 30000})
	add(r, "funnel", "pg-funnel-simple", "query", sluice, 5, map[string]float64{perSecond: 21000, cpu: 19, p99: 31000,
		cpu + "/pgbouncer": 0.95, p99 + "/pgbouncer": 1.03, perSecond + "/pgbouncer": 1.05})
	add(r, "funnel", "pg-funnel-simple", "query", sluiceTwo, 5, map[string]float64{perSecond: 22400, cpu: 24, p99: 29000,
		perSecond + "/pgbouncer": 1.12})
	add(r, "funnel-clients", few, "query", sluice, 5, map[string]float64{perSecond: 40000, cpu: 12})
	add(r, "funnel-clients", many, "query", sluice, 5, map[string]float64{perSecond: 38000, cpu: 13, perSecond + "/" + few: 0.95}).Versus = few
	add(r, "funnel-idle", "syn-pg-idle", "client", sluice, 1, map[string]float64{resident: 3000}).Clients = 10000
}

// queries adds HAProxy and Sluice under a load of queries, with Sluice's ratios.
func queries(r *suite.Report, scenario, load string, rounds int, toFloor, toHAProxy, p99ToHAProxy float64) {
	var rate float64
	if scenario == "paced" {
		rate = 9000
	}
	add(r, scenario, load, "query", direct, rounds, map[string]float64{perSecond: 40000, cpu: 0, p50: 400, p99: 1100}).Rate = rate
	add(r, scenario, load, "query", haproxy, rounds, map[string]float64{perSecond: 30000, cpu: 15, p50: 500, p99: 1500, p999: 2500, voluntary: 1.1}).Rate = rate
	add(r, scenario, load, "query", sluice, rounds, map[string]float64{perSecond: 31000, cpu: 15 * toHAProxy, p50: 500, p99: 1500 * p99ToHAProxy,
		p999: 3000, voluntary: 2.3, cpu + "/floor": toFloor, cpu + "/haproxy": toHAProxy, p99 + "/haproxy": p99ToHAProxy}).Rate = rate
}

// save writes a report into a folder of its own below results.
func save(t *testing.T, results, name string, r *suite.Report) *Run {
	t.Helper()
	dir := filepath.Join(results, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, reportFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return &Run{Dir: dir, Report: r}
}

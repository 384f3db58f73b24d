package publish

import "slices"

// Names of contenders in a report.
const (
	direct    = "direct"
	floor     = "floor"
	haproxy   = "haproxy"
	pgbouncer = "pgbouncer"
	sluice    = "sluice"
	sluiceTwo = "sluice-2"
)

// contenderNames are those of the README.
var contenderNames = map[string]string{
	direct: "direct", floor: "relay in C", haproxy: "HAProxy", pgbouncer: "PgBouncer", sluice: "Sluice", sluiceTwo: "Sluice with two loops",
}

// Names of figures in a report's summaries. A ratio to another contender, taken round by round, is
// named by the figure and that contender.
const (
	perSecond = "per_second"
	cpu       = "cpu_us_per_query"
	p50       = "p50_us"
	p99       = "p99_us"
	p999      = "p999_us"
	voluntary = "voluntary_switches_per_query"
	resident  = "resident_per_client_bytes"
	heapScan  = "heap_scan_per_client_bytes"
)

// A target is one thing that must hold under each load of a line.
type target struct {
	heading string // of its column; the limit is added
	figure  string
	of      string // whose figure it is; "" = Sluice's
	against string // contender whose figure of the same round it is divided by; "" = not divided
	fewer   bool   // instead it is divided by its own under the load with fewer clients
	limit   float64
	atLeast bool // the figure must reach the limit, else it must not pass it
}

// A column shows medians without judging them, so that a ratio can be seen for what it is.
type column struct {
	heading    string // the contenders are added
	figure     string
	divisor    float64 // of the figure, for its unit in the heading
	decimals   int
	contenders []string
}

// A line is a table of the README: loads of one scenario, what is shown and what must hold of them.
type line struct {
	title    string
	about    string
	scenario string
	loads    []string
	shown    []column
	targets  []target
	since    string // the date from which on runs have the scenario; "" = from the first on
}

const kib = 1 << 10

// lines is what must hold.
var lines = []line{
	{
		title:    "Small queries, as many as possible",
		about:    "32 clients, each of which sends its next query as soon as it has the answer; real servers.",
		scenario: "saturated",
		loads:    []string{"pg-simple", "pg-extended", "pg-prepared", "my-text", "my-prepared"},
		shown: []column{
			{"CPU µs per query", cpu, 1, 1, []string{floor, haproxy, pgbouncer, sluice}},
			{"p99 ms", p99, 1000, 1, []string{direct, floor, haproxy, pgbouncer, sluice}},
		},
		targets: []target{
			{heading: "CPU", figure: cpu, against: floor, limit: 1.30},
			{heading: "CPU", figure: cpu, against: haproxy, limit: 1.00},
			{heading: "p99", figure: p99, against: haproxy, limit: 1.10},
		},
	},
	{
		title:    "Small queries, at a third of the peak rate",
		about:    "The same at the rate at which people live: a proxy sleeps between queries, and every one wakes it. Latency counts from when a query was due.",
		scenario: "paced",
		loads:    []string{"pg-simple", "pg-prepared", "my-text", "my-prepared"},
		shown: []column{
			{"CPU µs per query", cpu, 1, 1, []string{floor, haproxy, pgbouncer, sluice}},
			{"p99 ms", p99, 1000, 1, []string{direct, floor, haproxy, pgbouncer, sluice}},
			{"voluntary context switches per query", voluntary, 1, 2, []string{floor, haproxy, sluice}},
		},
		targets: []target{
			{heading: "CPU", figure: cpu, against: haproxy, limit: 1.00},
			{heading: "p99", figure: p99, against: haproxy, limit: 1.00},
		},
	},
	{
		title:    "Large results",
		about:    "4 clients fetch results of 16 MiB in rows of 1 MiB; real servers.",
		scenario: "bulk",
		loads:    []string{"pg-bulk", "my-bulk"},
		shown: []column{
			{"MiB/s", perSecond, 1, 0, []string{floor, haproxy, pgbouncer, sluice}},
			{"CPU µs per MiB", cpu, 1, 0, []string{floor, haproxy, pgbouncer, sluice}},
		},
		targets: []target{
			{heading: "MiB/s", figure: perSecond, against: haproxy, limit: 0.95, atLeast: true},
			{heading: "CPU", figure: cpu, against: haproxy, limit: 1.10},
		},
	},
	{
		title:    "Connect, ask once, leave",
		about:    "8 clients; real servers.",
		scenario: "connect",
		loads:    []string{"pg-connect", "my-connect"},
		shown: []column{
			{"sessions/s", perSecond, 1, 0, []string{floor, haproxy, pgbouncer, sluice}},
		},
		targets: []target{
			{heading: "sessions/s", figure: perSecond, against: haproxy, limit: 0.90, atLeast: true},
		},
	},
	{
		title:    "Idle clients",
		about:    "Logged in and silent, each with its server connection.",
		scenario: "idle",
		loads:    []string{"syn-pg-idle", "syn-my-idle"},
		shown: []column{
			{"resident KiB per client", resident, kib, 1, []string{floor, haproxy, pgbouncer, sluice}},
		},
		targets: []target{
			{heading: "resident bytes per client", figure: resident, limit: 8 * kib},
			{heading: "Go heap that the collector visits, bytes per client", figure: heapScan, limit: 1 * kib},
		},
	},
	{
		title:    "Many clients over a few server connections",
		about:    "512 clients over 20 server connections, as many queries as possible; real servers. PgBouncer shares server connections with prepared statements from version 1.21 on; where an older one ran, there is nothing to compare them with.",
		scenario: "funnel",
		loads:    []string{"pg-funnel-simple", "pg-funnel-extended", "pg-funnel-prepared"},
		shown: []column{
			{"CPU µs per query", cpu, 1, 1, []string{pgbouncer, sluice, sluiceTwo}},
			{"queries/s", perSecond, 1, 0, []string{direct, pgbouncer, sluice, sluiceTwo}},
			{"p99 ms", p99, 1000, 1, []string{direct, pgbouncer, sluice, sluiceTwo}},
		},
		targets: []target{
			{heading: "CPU", figure: cpu, against: pgbouncer, limit: 1.00},
			{heading: "queries/s", figure: perSecond, of: sluiceTwo, against: pgbouncer, limit: 1.10, atLeast: true},
			{heading: "p99", figure: p99, against: pgbouncer, limit: 1.00},
		},
		since: funnelSince,
	},
	{
		title:    "Many clients, and ten times as many",
		about:    "512 and 5,000 clients over 20 server connections, as many queries as possible; a server that costs next to nothing.",
		scenario: "funnel-clients",
		loads:    []string{"syn-pg-funnel-5000", "syn-pg-funnel-prepared-5000"},
		shown: []column{
			{"CPU µs per query", cpu, 1, 1, []string{pgbouncer, sluice}},
			{"queries/s", perSecond, 1, 0, []string{pgbouncer, sluice}},
			{"p99 ms", p99, 1000, 1, []string{pgbouncer, sluice}},
		},
		targets: []target{
			{heading: "queries/s", figure: perSecond, fewer: true, limit: 0.90, atLeast: true},
		},
		since: funnelSince,
	},
	{
		title:    "Idle clients that share server connections",
		about:    "Logged in and silent; they share 20 server connections.",
		scenario: funnelIdle,
		loads:    []string{"syn-pg-idle"},
		shown: []column{
			{"resident KiB per client", resident, kib, 1, []string{pgbouncer, sluice}},
		},
		targets: []target{
			{heading: "resident bytes per client", figure: resident, limit: 8 * kib},
		},
		since: funnelSince,
	},
}

// funnelSince is when the suite got its funnels.
const funnelSince = "2026-11-22T09:30:00Z"

// linesOf are those that a run of that date can have.
func linesOf(date string) []line {
	return slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return date < l.since })
}

// roundsMin is how many rounds a ratio must have been taken in for its median to count.
const roundsMin = 5

package suite

import (
	"context"
	"fmt"
	"math"
	"time"

	"sluice/bench/internal/child"
)

// Load is what the clients do: a generator and how it is to be called.
type Load struct {
	Name      string
	Database  Database
	Synthetic bool // the server is the suite's own, which costs next to nothing
	Clients   int
	Depth     int   // queries that a client has under way; 0 = one
	Bytes     int64 // size of a result; 0 = one small row
	// PerQuery is how many units one query counts for, and Unit what they are: queries, or MiB
	// where the work is in the bytes.
	PerQuery float64
	Unit     string
	Note     string // what a reader of its figures has to know
	Peak     string // the load whose peak sets the rate of this one; "" = itself
	Versus   string // a load of the same scenario that this one is compared with, round by round; "" = none
	Prepared bool   // queries by prepared statements that last
	Counter  string // MariaDB's own counter of what is measured
	Args     []string
	Script   string // text of a script file for the generator; "" = none
	start    func(ctx context.Context, l Load, at target) (*generator, error)
	pace     pace
}

// pace is the time that a generator needs around a window.
type pace struct {
	lead time.Duration // from its first query until the window may begin
	tail time.Duration // allows for the delay with which the driver hears that the lead is over
	unit time.Duration // of which its run is a multiple
	over time.Duration // to start, to connect, and to hand over its figures
}

// The paces. The first is that of pgbench and sysbench, which report once a second; the second that of
// the suite's own clients. What they need beside their run was measured on two cores.
var (
	wholeSecond = pace{lead: time.Second, tail: 300 * time.Millisecond, unit: time.Second, over: 250 * time.Millisecond}
	fraction    = pace{lead: 200 * time.Millisecond, tail: 150 * time.Millisecond, unit: 10 * time.Millisecond, over: 150 * time.Millisecond}
)

// with is the same pace with another time to start.
func (p pace) with(over time.Duration) pace { p.over = over; return p }

// lasts is how long the generator has to run for a window.
func (p pace) lasts(window time.Duration) time.Duration {
	whole := math.Ceil(float64(p.lead+window+p.tail) / float64(p.unit))
	return time.Duration(whole) * p.unit
}

// target is where a load goes and how.
type target struct {
	addr   string
	sides  Sides
	certs  certs
	rate   float64       // queries per second over all clients; 0 = as many as possible
	window time.Duration // that is to be measured
	more   time.Duration // that the run has to be longer for its begin
	lasts  time.Duration // the whole run
	dir    string        // for files
}

// generator is a load under way.
type generator struct {
	*child.Process
	// warm tells, by no longer returning an error, that all clients have worked for the lead.
	warm func() error
	// result tells what the clients saw, between two moments where the generator keeps that apart.
	// It may be called once the process has ended.
	result func(from, to time.Time) (clientView, error)
	// said is what it has written on the standard output, if anybody listens there.
	said *output
}

// saidMax is how much of a generator's output goes into an error, in bytes.
const saidMax = 1000

// explain adds to an error what the generator said at last: some tell their troubles there.
func (g *generator) explain(err error) error {
	if g.said == nil {
		return err
	}
	said := g.said.String()
	return fmt.Errorf("%w\n%s", err, said[max(len(said)-saidMax, 0):])
}

// clientView is a load seen from its clients.
type clientView struct {
	queries        int64 // in the interval; -1 if only the server knows
	p50, p99, p999 time.Duration
}

// loads is what scenarios choose from: those on real servers first.
var loads = append([]Load{
	pgbench("pg-simple", 32, "--select-only", "--protocol=simple"),
	pgbench("pg-extended", 32, "--select-only", "--protocol=extended"),
	pgbench("pg-prepared", 32, "--select-only", "--protocol=prepared"),
	pgbench("pg-connect", 8, "--select-only", "--protocol=simple", "--connect").counts("session"),
	pgbench("pg-bulk", 4, "--protocol=simple").mib(16).
		script("SELECT repeat('x', 1048576) FROM generate_series(1, 16);\n"),

	pgbench("pg-funnel-simple", funnelClients, "--select-only", "--protocol=simple").at(manyReal),
	pgbench("pg-funnel-extended", funnelClients, "--select-only", "--protocol=extended").at(manyReal),
	pgbench("pg-funnel-prepared", funnelClients, "--select-only", "--protocol=prepared").at(manyReal).preparing(),

	sysbench("my-text", 32, "oltp_point_select", "--db-ps-mode=disable"),
	sysbench("my-prepared", 32, "oltp_point_select", "--db-ps-mode=auto"),
	sysbench("my-readwrite", 32, "oltp_read_write", "--db-ps-mode=auto").countedBy("Questions").
		noting("Latency is that of a whole transaction of 20 statements; all other figures are per statement."),
	sysbench("my-connect", 8, "--db-ps-mode=disable").counts("session").script(connectLua),
	sysbench("my-bulk", 4, "--db-ps-mode=disable").mib(16).script(bulkLua),
}, syntheticLoads()...)

func pgbench(name string, clients int, args ...string) Load {
	return Load{Name: name, Database: Postgres, Clients: clients, PerQuery: 1, Unit: "query", Args: args,
		start: startPgbench, pace: wholeSecond}
}

func sysbench(name string, clients int, args ...string) Load {
	return Load{Name: name, Database: MariaDB, Clients: clients, PerQuery: 1, Unit: "query", Args: args,
		Counter: "Com_select", start: startSysbench, pace: wholeSecond}
}

// syntheticLoads are those of the suite's own clients and servers, for both protocols.
func syntheticLoads() []Load {
	var out []Load
	for _, db := range []struct {
		Database
		short string
	}{{Postgres, "pg"}, {MariaDB, "my"}} {
		add := func(name string, clients int) *Load {
			out = append(out, Load{Name: "syn-" + db.short + "-" + name, Database: db.Database, Synthetic: true,
				Clients: clients, Depth: 1, PerQuery: 1, Unit: "query", start: startSynth, pace: fraction})
			return &out[len(out)-1]
		}
		for _, clients := range []int{1, 32, 512} {
			add(fmt.Sprint(clients), clients)
		}
		add("open", 64).Peak = "syn-" + db.short + "-32"
		for _, depth := range []int{1, 64} {
			add(fmt.Sprintf("depth-%d", depth), 8).Depth = depth
		}
		for _, size := range []struct {
			name  string
			bytes int64
		}{{"1k", 1 << 10}, {"64k", 64 << 10}, {"16m", 16 << 20}} {
			l := add(size.name, 8)
			l.Bytes, l.Unit, l.PerQuery = size.bytes, "MiB", float64(size.bytes)/(1<<20)
		}
		idle := add("idle", idleWanted)
		idle.Unit = unitClient
	}
	return append(out, syntheticFunnels()...)
}

func (l Load) counts(unit string) Load       { l.Unit = unit; return l }
func (l Load) countedBy(counter string) Load { l.Counter = counter; return l }
func (l Load) noting(text string) Load       { l.Note = text; return l }
func (l Load) script(text string) Load       { l.Script = text; return l }
func (l Load) at(p pace) Load                { l.pace = p; return l }
func (l Load) preparing() Load               { l.Prepared = true; return l }

// mib has a load count the MiB of its results, of which each query brings so many.
func (l Load) mib(perQuery int64) Load {
	l.Unit, l.PerQuery, l.Bytes = "MiB", float64(perQuery), perQuery<<20
	return l
}

// connectLua has each event be a whole session.
const connectLua = `
function thread_init() drv = sysbench.sql.driver() end
function event()
   local con = drv:connect()
   con:query("SELECT c FROM sbtest1 WHERE id = " .. sysbench.rand.uniform(1, 10000))
   con:disconnect()
end
`

// bulkLua has each event fetch 16 rows of 1 MiB.
const bulkLua = `
function thread_init() con = sysbench.sql.driver():connect() end
function event() con:query("SELECT REPEAT('x', 1048576) FROM seq_1_to_16") end
function thread_done() con:disconnect() end
`

func loadNamed(name string) (Load, bool) {
	for _, l := range loads {
		if l.Name == name {
			return l, true
		}
	}
	return Load{}, false
}

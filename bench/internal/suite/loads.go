package suite

import (
	"context"
	"time"

	"sluice/bench/internal/child"
)

// Load is what the clients do: a generator and how it is to be called.
type Load struct {
	Name     string
	Database Database
	Clients  int
	// PerQuery is how many units one query counts for, and Unit what they are: queries, or MiB
	// where the work is in the bytes.
	PerQuery float64
	Unit     string
	Args     []string
	Script   string // text of a script file for the generator; "" = none
	start    func(ctx context.Context, l Load, at target) (*generator, error)
}

// target is where a load goes and how.
type target struct {
	addr  string
	rate  float64       // queries per second over all clients; 0 = as many as possible
	lasts time.Duration // rounded up to whole seconds, which is what the generators take
	dir   string        // for files
}

// generator is a load under way.
type generator struct {
	*child.Process
	// warm tells, by no longer returning an error, that the clients have worked for one second.
	warm func() error
	// result tells what the clients saw, between two moments where the generator keeps that apart.
	// It may be called once the process has ended.
	result func(from, to time.Time) (clientView, error)
}

// clientView is a load seen from its clients.
type clientView struct {
	queries  int64 // in the interval; -1 if only the server knows
	p50, p99 time.Duration
}

const mib16 = 16 // size of a bulk result, MiB

// loads is what scenarios choose from.
var loads = []Load{
	{
		Name: "pg-simple", Database: Postgres, Clients: 32, PerQuery: 1, Unit: "query", start: startPgbench,
		Args: []string{"--select-only", "--protocol=simple"},
	},
	{
		Name: "pg-prepared", Database: Postgres, Clients: 32, PerQuery: 1, Unit: "query", start: startPgbench,
		Args: []string{"--select-only", "--protocol=prepared"},
	},
	{
		Name: "my-text", Database: MariaDB, Clients: 32, PerQuery: 1, Unit: "query", start: startSysbench,
		Args: []string{"oltp_point_select", "--db-ps-mode=disable", "--tables=1", "--table-size=10000"},
	},
	{
		Name: "my-prepared", Database: MariaDB, Clients: 32, PerQuery: 1, Unit: "query", start: startSysbench,
		Args: []string{"oltp_point_select", "--db-ps-mode=auto", "--tables=1", "--table-size=10000"},
	},
	{
		Name: "pg-connect", Database: Postgres, Clients: 8, PerQuery: 1, Unit: "session", start: startPgbench,
		Args: []string{"--select-only", "--protocol=simple", "--connect"},
	},
	{
		Name: "my-connect", Database: MariaDB, Clients: 8, PerQuery: 1, Unit: "session", start: startSysbench,
		Args:   []string{"--db-ps-mode=disable"},
		Script: connectLua,
	},
	{
		Name: "pg-bulk", Database: Postgres, Clients: 4, PerQuery: mib16, Unit: "MiB", start: startPgbench,
		Args:   []string{"--protocol=simple"},
		Script: "SELECT repeat('x', 1048576) FROM generate_series(1, 16);\n",
	},
	{
		Name: "my-bulk", Database: MariaDB, Clients: 4, PerQuery: mib16, Unit: "MiB", start: startSysbench,
		Args:   []string{"--db-ps-mode=disable"},
		Script: bulkLua,
	},
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

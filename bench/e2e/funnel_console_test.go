package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"

	"sluice/bench/e2e/real"
)

// startConsole starts a funnel whose console app may command and scram may look at.
func startConsole(t *testing.T, more ...string) (s *real.Sluice, addr string) {
	t.Helper()
	return startFunnel(t, append([]string{`admin-users = ["app"]`, `stats-users = ["scram"]`, "pool-size = 2"}, more...)...)
}

// consoleDSN is how pgx logs in at the console.
func consoleDSN(addr, user, database, more string) string {
	return strings.Replace(funnelDSN(addr, user, more), "/app?", "/"+database+"?", 1)
}

// operator is a client of the console in the simple query protocol, as an operator's psql is one.
func operator(t *testing.T, addr string) *pgx.Conn {
	t.Helper()
	return connect(t, consoleDSN(addr, "app", "sluice", "&default_query_exec_mode=simple_protocol"))
}

// tell gives the console an order that must succeed.
func tell(t *testing.T, c *pgx.Conn, order string) {
	t.Helper()
	if _, err := c.Exec(within(t, soon), order); err != nil {
		t.Fatalf("%s: %v", order, err)
	}
}

// refusal gives the console an order that must fail, and returns the SQLSTATE.
func refusal(t *testing.T, c *pgx.Conn, order string) string {
	t.Helper()
	_, err := c.Exec(within(t, soon), order)
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		t.Fatalf("%s: got %v, want an error of the console's", order, err)
	}
	return e.Code
}

// table is what SHOW returns, each row by its column names.
func table(t *testing.T, c *pgx.Conn, show string) []map[string]any {
	t.Helper()
	rows, err := c.Query(within(t, soon), show)
	if err != nil {
		t.Fatalf("%s: %v", show, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		t.Fatalf("%s: %v", show, err)
	}
	return all
}

// rowWhere returns the only row of SHOW in which the columns have these values.
func rowWhere(t *testing.T, c *pgx.Conn, show string, where map[string]any) map[string]any {
	t.Helper()
	var found []map[string]any
	for _, r := range table(t, c, show) {
		fits := true
		for name, want := range where {
			fits = fits && fmt.Sprint(r[name]) == fmt.Sprint(want)
		}
		if fits {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: %d rows with %v, want one", show, len(found), where)
	}
	return found[0]
}

// TestConsolePsql asks by psql, under both names of the console.
func TestConsolePsql(t *testing.T) {
	_, addr := startConsole(t)
	psql := pgTool(t, "psql")
	ask := func(user, database, text string) command {
		return command{path: psql, args: []string{"-X", "-c", text}, env: psqlEnv(addr, user, "PGDATABASE="+database)}
	}
	for _, database := range []string{"sluice", "pgbouncer"} {
		wants(t, ask("app", database, "SHOW HELP").output(t), "NOTICE:  Console usage", "SHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]")
		wants(t, ask("app", database, "show version;").output(t), "PgBouncer 1.25.0 compatible (Sluice ")
		wants(t, ask("scram", database, "SHOW LISTS; SHOW STATE").output(t), "used_clients", "suspended")
	}
	wants(t, ask("scram", "sluice", "PAUSE").failure(t), "this command takes an admin user")
	wants(t, ask("app", "sluice", `\d`).failure(t), "ERROR:  the admin console has no tables")
	wants(t, ask("app", "sluice", "VACUUM").failure(t), `ERROR:  invalid command "VACUUM"`, "HINT:  SHOW HELP lists the commands.")

	_, other := startFunnel(t) // where nobody is an admin
	wants(t, command{path: psql, args: []string{"-X", "-c", "SHOW HELP"}, env: psqlEnv(other, "app", "PGDATABASE=sluice")}.failure(t), "FATAL")
}

// TestConsoleDrivers asks in each way that pgx has, binary results included.
func TestConsoleDrivers(t *testing.T) {
	_, addr := startConsole(t)
	client := connect(t, funnelDSN(addr, "app", "&application_name=shop"))
	do(t, client, "select 1")
	for _, mode := range []string{"simple_protocol", "exec", "describe_exec", "cache_describe", "cache_statement"} {
		c := connect(t, consoleDSN(addr, "scram", "pgbouncer", "&default_query_exec_mode="+mode))
		for range 2 { // the second time from the driver's cache
			pool := rowWhere(t, c, "SHOW POOLS", map[string]any{"database": "app", "user": "app"})
			if pool["cl_active"] != int32(1) || pool["sv_idle"] != int32(1) || pool["pool_mode"] != "transaction" {
				t.Errorf("%s: SHOW POOLS: %v", mode, pool)
			}
			stats := rowWhere(t, c, "SHOW STATS", map[string]any{"database": "app"})
			if n, ok := stats["total_query_count"].(int64); !ok || n < 1 {
				t.Errorf("%s: SHOW STATS: %v", mode, stats)
			}
			seen := rowWhere(t, c, "SHOW CLIENTS", map[string]any{"database": "app"})
			if seen["application_name"] != "shop" || seen["state"] != "idle" || seen["addr"] != "127.0.0.1" {
				t.Errorf("%s: SHOW CLIENTS: %v", mode, seen)
			}
		}
		if err := c.Ping(within(t, soon)); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// TestConsoleTransactions: a driver that opens transactions by itself can ask.
func TestConsoleTransactions(t *testing.T) {
	_, addr := startConsole(t)
	c := connect(t, consoleDSN(addr, "scram", "sluice", ""))
	tx, err := c.Begin(within(t, soon))
	if err != nil {
		t.Fatal(err)
	}
	var name string
	if err := tx.QueryRow(within(t, soon), "SHOW VERSION").Scan(&name); err != nil || !strings.HasPrefix(name, "PgBouncer ") {
		t.Errorf("%q, %v", name, err)
	}
	if err := tx.Commit(within(t, soon)); err != nil {
		t.Error(err)
	}
}

// TestConsoleExporter does what Prometheus' exporter for PgBouncer does, by the same driver: the tables that
// it reads, its labels, and its demand that no two rows have the same.
func TestConsoleExporter(t *testing.T) {
	_, addr := startConsole(t)
	for _, user := range []string{"app", "scram"} {
		do(t, connect(t, funnelDSN(addr, user, "")), "select 1")
	}
	dsn, err := pq.NewConnector(consoleDSN(addr, "scram", "pgbouncer", ""))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(dsn)
	defer db.Close()
	if err := db.PingContext(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	reads := []struct {
		show, labels, numbers string
	}{
		{"SHOW DATABASES;", "name host port database force_user pool_mode",
			"pool_size reserve_pool_size max_connections current_connections paused disabled"},
		{"SHOW STATS_TOTALS;", "database", "query_count query_time bytes_received bytes_sent wait_time xact_count xact_time " +
			"client_parse_count server_parse_count bind_count"},
		{"SHOW POOLS;", "database user", "cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req sv_active sv_active_cancel " +
			"sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait"},
	}
	for _, tt := range reads {
		keys := map[string]bool{}
		for _, r := range scanAll(t, db, tt.show) {
			key := ""
			for _, label := range strings.Fields(tt.labels) {
				switch v := r[label].(type) {
				case string, int64, nil:
					key += fmt.Sprint(v, "/")
				default:
					t.Errorf("%s: label %s is %T", tt.show, label, v)
				}
			}
			for _, number := range strings.Fields(tt.numbers) {
				if _, ok := r[number].(int64); !ok {
					t.Errorf("%s: %s is %T", tt.show, number, r[number])
				}
			}
			if keys[key] {
				t.Errorf("%s: two rows are %s", tt.show, key)
			}
			keys[key] = true
		}
		if len(keys) == 0 {
			t.Errorf("%s: no rows", tt.show)
		}
	}
	config := map[string]any{}
	for _, r := range scanAll(t, db, "SHOW CONFIG;") {
		config[r["key"].(string)] = r["value"]
	}
	if config["max_client_conn"] == nil || config["listener.pool.pool-size"] != "2" {
		t.Errorf("SHOW CONFIG: max_client_conn %v, pool-size %v", config["max_client_conn"], config["listener.pool.pool-size"])
	}
	if v := scanAll(t, db, "SHOW VERSION;"); len(v) != 1 || len(v[0]) != 1 || v[0]["version"] == nil {
		t.Errorf("SHOW VERSION: %v", v)
	}
}

// scanAll reads rows as database/sql gives them.
func scanAll(t *testing.T, db *sql.DB, query string) (all []map[string]any) {
	t.Helper()
	rows, err := db.QueryContext(within(t, soon), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		r := map[string]any{}
		for i, name := range names {
			r[name] = values[i]
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}

// TestConsolePause holds a database back: PAUSE waits for the transaction that runs, then nobody gets a server
// until RESUME.
func TestConsolePause(t *testing.T) {
	_, addr := startConsole(t)
	op, watcher := operator(t, addr), operator(t, addr)
	busy, other := connect(t, funnelDSN(addr, "app", "")), connect(t, funnelDSN(addr, "app", ""))
	do(t, busy, "begin")
	do(t, busy, "select 1")

	paused := make(chan error, 1)
	go func() { _, err := op.Exec(context.Background(), "PAUSE app"); paused <- err }()
	eventually(t, func() error {
		if r := rowWhere(t, watcher, "SHOW DATABASES", map[string]any{"name": "app"}); r["paused"] != int32(1) {
			return fmt.Errorf("SHOW DATABASES: %v", r)
		}
		return nil
	})
	answered := make(chan error, 1)
	go func() { _, err := other.Exec(context.Background(), "select 2"); answered <- err }()
	eventually(t, func() error {
		if r := rowWhere(t, watcher, "SHOW POOLS", map[string]any{"database": "app"}); r["cl_waiting"] != int32(1) {
			return fmt.Errorf("SHOW POOLS: %v", r)
		}
		return nil
	})
	select {
	case err := <-paused:
		t.Fatalf("PAUSE returned in the middle of a transaction: %v", err)
	default:
	}
	do(t, busy, "commit")
	if err := <-paused; err != nil {
		t.Fatalf("PAUSE: %v", err)
	}
	eventually(t, func() error {
		if servers := table(t, watcher, "SHOW SERVERS"); len(servers) > 0 {
			return fmt.Errorf("server connections are left: %v", servers)
		}
		return nil
	})
	select {
	case err := <-answered:
		t.Fatalf("a client was served during PAUSE: %v", err)
	default:
	}
	if code := refusal(t, watcher, "RESUME nowhere"); code != "3D000" && code != "55000" {
		t.Errorf("RESUME of a database that is not paused: %s", code)
	}
	tell(t, watcher, "RESUME app")
	if err := <-answered; err != nil {
		t.Errorf("after RESUME: %v", err)
	}
	if code := refusal(t, watcher, "RESUME app"); code != "55000" {
		t.Errorf("a second RESUME: %s", code)
	}
}

// TestConsolePauseCancelled: ^C takes back a PAUSE that still waits.
func TestConsolePauseCancelled(t *testing.T) {
	_, addr := startConsole(t)
	op := operator(t, addr)
	busy, other := connect(t, funnelDSN(addr, "app", "")), connect(t, funnelDSN(addr, "app", ""))
	do(t, busy, "begin")
	do(t, busy, "select 1")
	waited := make(chan error, 1)
	go func() { _, err := op.Exec(context.Background(), "PAUSE"); waited <- err }()
	watcher := operator(t, addr)
	eventually(t, func() error {
		if r := rowWhere(t, watcher, "SHOW STATE", map[string]any{"key": "paused"}); r["value"] != "yes" {
			return errors.New("not paused yet")
		}
		return nil
	})
	if err := op.PgConn().CancelRequest(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	var e *pgconn.PgError
	if err := <-waited; !errors.As(err, &e) || e.Code != "57014" {
		t.Errorf("PAUSE that was cancelled: %v", err)
	}
	do(t, other, "select 2")
	do(t, busy, "commit")
}

// TestConsoleServers replaces server connections: each at once when it is free, and the console waits for the
// last.
func TestConsoleServers(t *testing.T) {
	_, addr := startConsole(t)
	op, c := operator(t, addr), connect(t, funnelDSN(addr, "app", ""))
	before := one[int](t, c, "select pg_backend_pid()")
	if r := rowWhere(t, op, "SHOW SERVERS", map[string]any{"remote_pid": before}); r["state"] != "idle" || r["close_needed"] != int32(0) {
		t.Errorf("SHOW SERVERS: %v", r)
	}
	do(t, c, "begin")
	do(t, c, "select 1")
	tell(t, op, "RECONNECT app")
	if r := rowWhere(t, op, "SHOW SERVERS", map[string]any{"remote_pid": before}); r["state"] != "active" || r["close_needed"] != int32(1) {
		t.Errorf("SHOW SERVERS after RECONNECT: %v", r)
	}
	closed := make(chan error, 1)
	waiter := operator(t, addr)
	go func() { _, err := waiter.Exec(context.Background(), "WAIT_CLOSE app"); closed <- err }()
	if after := one[int](t, c, "select pg_backend_pid()"); after != before {
		t.Errorf("a transaction went from server process %d to %d", before, after)
	}
	select {
	case err := <-closed:
		t.Errorf("WAIT_CLOSE returned while the connection was in use: %v", err)
	default:
	}
	do(t, c, "commit")
	if err := <-closed; err != nil {
		t.Errorf("WAIT_CLOSE: %v", err)
	}
	if after := one[int](t, c, "select pg_backend_pid()"); after == before {
		t.Error("RECONNECT has not replaced the server connection")
	}
}

// TestConsoleClients ends clients and refuses them.
func TestConsoleClients(t *testing.T) {
	_, addr := startConsole(t)
	op := operator(t, addr)
	c := connect(t, funnelDSN(addr, "app", "&application_name=victim"))
	do(t, c, "begin")
	do(t, c, "select 1")
	id := rowWhere(t, op, "SHOW CLIENTS", map[string]any{"application_name": "victim"})["id"]
	if code := refusal(t, op, "KILL_CLIENT 999999"); code != "42704" {
		t.Errorf("an unknown client: %s", code)
	}
	tell(t, op, fmt.Sprint("KILL_CLIENT ", id))
	var e *pgconn.PgError
	if _, err := c.Exec(within(t, soon), "select 1"); !errors.As(err, &e) || e.Code != "57P01" {
		t.Errorf("the client that was killed: %v", err)
	}

	c = connect(t, funnelDSN(addr, "app", ""))
	do(t, c, "select 1")
	tell(t, op, "DISABLE app")
	if _, err := pgx.Connect(within(t, soon), funnelDSN(addr, "app", "")); !errors.As(err, &e) || !strings.Contains(e.Message, "disabled") {
		t.Errorf("a new client of a database that is disabled: %v", err)
	}
	if r := rowWhere(t, op, "SHOW DATABASES", map[string]any{"name": "app"}); r["disabled"] != int32(1) {
		t.Errorf("SHOW DATABASES: %v", r)
	}
	do(t, c, "select 1") // who is in may stay
	tell(t, op, "ENABLE app")
	do(t, connect(t, funnelDSN(addr, "app", "")), "select 1")

	c = connect(t, funnelDSN(addr, "app", ""))
	do(t, c, "select 1")
	tell(t, op, "KILL app")
	if _, err := c.Exec(within(t, soon), "select 1"); err == nil {
		t.Error("a client has survived KILL")
	}
	tell(t, op, "RESUME app")
	do(t, connect(t, funnelDSN(addr, "app", "")), "select 1")
}

// TestConsoleProcess changes settings, and ends the process.
func TestConsoleProcess(t *testing.T) {
	t.Run("settings", func(t *testing.T) {
		s, addr := startConsole(t)
		op := operator(t, addr)
		tell(t, op, "SET log.level = 'debug'")
		if r := rowWhere(t, op, "SHOW CONFIG", map[string]any{"key": "log.level"}); r["value"] != "debug" || r["changeable"] != "yes" {
			t.Errorf("SHOW CONFIG: %v", r)
		}
		for order, want := range map[string]string{"SET engine.loops = 3": "0A000", "SET no.such = 3": "42704", "SET log.level = loud": "42601", "SUSPEND": "0A000"} {
			if code := refusal(t, op, order); code != want {
				t.Errorf("%s: %s, want %s", order, code, want)
			}
		}
		tell(t, op, "RELOAD")
		if r := rowWhere(t, op, "SHOW CONFIG", map[string]any{"key": "log.level"}); r["value"] != "info" {
			t.Errorf("after RELOAD: %v", r)
		}
		if err := s.WriteConfig("nonsense"); err != nil {
			t.Fatal(err)
		}
		if code := refusal(t, op, "RELOAD"); code != "XX000" {
			t.Errorf("RELOAD of nonsense: %s", code)
		}
		logs(t, s, "console order", "log.level")
	})
	t.Run("wait for clients", func(t *testing.T) {
		s, addr := startConsole(t)
		op, c := operator(t, addr), connect(t, funnelDSN(addr, "app", ""))
		tell(t, op, "SHUTDOWN WAIT_FOR_CLIENTS")
		eventually(t, func() error {
			n, err := pgx.Connect(within(t, soon), funnelDSN(addr, "app", ""))
			if err == nil {
				n.Close(context.Background())
				return errors.New("a new client was let in")
			}
			return nil
		})
		do(t, c, "select 1")
		if err := c.Close(within(t, soon)); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, s)
	})
	t.Run("wait for servers", func(t *testing.T) {
		s, addr := startConsole(t)
		op, c, idle := operator(t, addr), connect(t, funnelDSN(addr, "app", "")), connect(t, funnelDSN(addr, "app", ""))
		do(t, c, "begin")
		do(t, c, "select 1")
		tell(t, op, "SHUTDOWN WAIT_FOR_SERVERS")
		eventually(t, func() error {
			if _, err := idle.Exec(within(t, soon), "select 1"); err == nil {
				return errors.New("an idle client goes on")
			}
			return nil
		})
		do(t, c, "commit")
		awaitEnd(t, s)
	})
	t.Run("at once", func(t *testing.T) {
		s, addr := startConsole(t)
		op, c := operator(t, addr), connect(t, funnelDSN(addr, "app", ""))
		do(t, c, "begin")
		do(t, c, "select 1")
		_, _ = op.Exec(within(t, soon), "SHUTDOWN") // the answer may not come any more
		awaitEnd(t, s)
	})
}

// awaitEnd waits until the process has ended by itself.
func awaitEnd(t *testing.T, s *real.Sluice) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(soon):
		t.Error("the process does not end")
	}
}

// TestConsoleCtl runs the command line against the program.
func TestConsoleCtl(t *testing.T) {
	s, addr := startConsole(t)
	c := connect(t, funnelDSN(addr, "app", ""))
	do(t, c, "create temp table held (i int)")
	ctl := func(args ...string) command {
		return command{path: racy(t), args: slices.Concat([]string{"ctl", "--addr", "http://" + s.Admin}, args)}
	}
	wants(t, ctl("pools").output(t), "database", "cl_active", "transaction")
	wants(t, ctl("sessions").output(t), "listener", "temp-table")
	wants(t, ctl("show", "pins").output(t), "temp-table")
	wants(t, ctl("--json", "show", "sessions").output(t), `"pin": "temp-table"`)
	wants(t, ctl("backends").output(t), postgres(t, 0).Addr, "leader")
	wants(t, ctl("config").output(t), `pool-size = 2`)
	wants(t, ctl("disable", "app").output(t), "DISABLE")
	wants(t, ctl("show", "databases").output(t), "app")
	wants(t, ctl("enable", "app").output(t), "ENABLE")
	wants(t, ctl("enable", "nowhere", "else").failure(t), "accepts 1 arg")
	wants(t, ctl("shutdown").output(t), "SHUTDOWN")
	awaitEnd(t, s)
}

// TestConsoleStats counts what two clients do with a statement that they share, while they are there and when
// they have gone.
func TestConsoleStats(t *testing.T) {
	_, addr := startConsole(t)
	op := operator(t, addr)
	for i := range 2 {
		c := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=cache_statement"))
		for n := range 5 {
			if got := one[int](t, c, "select $1::int", n); got != n {
				t.Fatal(got)
			}
		}
		checkStats(t, op, int64(1+i))
		if err := c.Close(within(t, soon)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if r := rowWhere(t, op, "SHOW POOLS", map[string]any{"database": "app"}); r["cl_active"] != int32(0) {
				return errors.New("the client is still there")
			}
			return nil
		})
		checkStats(t, op, int64(1+i))
	}
}

// checkStats: each client has parsed once, for itself, and bound five times; the server has parsed once.
func checkStats(t *testing.T, op *pgx.Conn, clients int64) {
	t.Helper()
	r := rowWhere(t, op, "SHOW STATS", map[string]any{"database": "app"})
	for name, want := range map[string]int64{"total_client_parse_count": clients, "total_server_parse_count": 1,
		"total_bind_count": 5 * clients, "total_query_count": 6 * clients} {
		if r[name] != want {
			t.Errorf("%d clients: %s is %v, want %d", clients, name, r[name], want)
		}
	}
	for _, name := range []string{"total_xact_count", "total_server_assignment_count"} {
		if n := r[name].(int64); n < 6*clients || n > 7*clients {
			t.Errorf("%d clients: %s is %d", clients, name, n)
		}
	}
	for _, name := range []string{"total_received", "total_sent", "total_xact_time", "total_query_time"} {
		if n := r[name].(int64); n <= 0 {
			t.Errorf("%d clients: %s is %d", clients, name, n)
		}
	}
}

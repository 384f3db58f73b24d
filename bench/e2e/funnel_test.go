package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// funnel is a [[listener]] section in mode funnel.
func funnel(name, addr, cluster string, more ...string) string {
	s := listener(name, addr, cluster, append(unless(more, unhurriedPool), more...)...)
	return strings.Replace(s, `mode = "proxy"`, `mode = "funnel"`, 1)
}

// users are the [[user]] sections of the test users, with their password.
func users(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(section("[[user]]", fmt.Sprintf("name = %q", n), fmt.Sprintf("password = %q", real.Password)))
	}
	return b.String()
}

// startFunnel starts Sluice with one funnel before the PostgreSQL server, for the users app and scram.
func startFunnel(t *testing.T, more ...string) (s *real.Sluice, addr string) {
	t.Helper()
	addr = real.FreeAddr()
	s = startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+
		funnel("pool", addr, "pg", more...)+users("app", "scram"))
	return s, addr
}

// funnelDSN is how pgx logs in at a funnel.
func funnelDSN(addr, user, more string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/app?sslmode=disable%s", user, strings.ReplaceAll(real.Password, " ", "%20"), addr, more)
}

// connect opens a connection by pgx that is closed at the end of the test.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// TestFunnelFirst logs in with SCRAM and asks the simplest things, in each way of asking.
func TestFunnelFirst(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 2")
	for _, mode := range []string{"simple_protocol", "exec", "describe_exec", "cache_describe", "cache_statement"} {
		c := connect(t, funnelDSN(addr, "scram", "&default_query_exec_mode="+mode))
		for i := range 5 {
			var got int
			if err := c.QueryRow(t.Context(), "select $1::int + 1", i).Scan(&got); err != nil || got != i+1 {
				t.Fatalf("%s: got %d, %v", mode, got, err)
			}
		}
	}
}

// TestFunnelPgbench runs pgbench with a thousand clients over twenty server connections, by each way to
// send a query, with its script that reads and with the one that moves money: no client sees an error, no
// money is lost, and the server never has more sessions than the pool may have.
func TestFunnelPgbench(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	startSluice(t, plain(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 20", `auth.method = "trust"`)+users("scram")) // six thousand logins are not what it is about
	admin := connect(t, pg.DSN("postgres", "postgres"))
	for _, sql := range []string{"drop database if exists pgbench", "create database pgbench owner scram"} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", real.Port(addr)), "PGUSER=scram",
		"PGDATABASE=pgbench", "PGPASSWORD=" + real.Password, "PGSSLMODE=disable"}
	pgbench := pgTool(t, "pgbench")
	command{path: pgbench, args: []string{"-i", "-s", "10", "-q"}, env: env}.output(t)

	ctx, stop := context.WithCancel(t.Context())
	most := make(chan int)
	go func() { most <- mostSessions(ctx, pg, "scram") }()
	for _, mode := range []string{"simple", "extended", "prepared"} {
		for _, script := range []string{"select-only", "tpcb-like"} {
			out := command{path: pgbench, args: []string{"-n", "-b", script, "-M", mode, "-c", "1000", "-j", "2", "-t", "5"},
				env: env, limit: 15 * time.Minute}.output(t)
			if !strings.Contains(out, "number of transactions actually processed: 5000/5000") ||
				!strings.Contains(out, "number of failed transactions: 0 ") {
				t.Errorf("%s, %s:\n%s", mode, script, tail(out, 2000))
			}
		}
	}
	stop()
	if n := <-most; n > 20 || n < 2 {
		t.Errorf("the server had up to %d sessions, want 2 to 20", n)
	}
	var accounts, tellers, branches, history, rows int64
	err := connect(t, pg.DSN("postgres", "pgbench")).QueryRow(t.Context(), `select (select sum(abalance) from pgbench_accounts),
		(select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches),
		(select sum(delta) from pgbench_history), (select count(*) from pgbench_history)`).Scan(
		&accounts, &tellers, &branches, &history, &rows)
	if err != nil {
		t.Fatal(err)
	}
	if accounts != history || tellers != history || branches != history || rows != 3*5000 {
		t.Errorf("sums of accounts %d, tellers %d, branches %d, history %d of %d rows: want them equal, and 15000 rows",
			accounts, tellers, branches, history, rows)
	}
}

// mostSessions is the most client sessions of a user that the server has had until ctx ends.
func mostSessions(ctx context.Context, pg *real.Postgres, user string) int {
	c, err := pgx.Connect(ctx, pg.DSN("postgres", "postgres"))
	if err != nil {
		return -1
	}
	defer c.Close(context.Background())
	most := 0
	for {
		n := 0
		err := c.QueryRow(ctx, "select count(*) from pg_stat_activity where usename = $1 and backend_type = 'client backend'", user).Scan(&n)
		if ctx.Err() != nil {
			return most
		}
		if err != nil {
			return -1
		}
		most = max(most, n)
		select {
		case <-ctx.Done():
			return most
		case <-time.After(20 * time.Millisecond): // how often it is looked, no more
		}
	}
}

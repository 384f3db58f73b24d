package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
)

// citizenPG is a client of a crowd, by pgx, whose statements have names.
type citizenPG struct{ *pgx.Conn }

// comeToPG has clients log in at addr with state of their own, and with a role if roles says so: it would bind those that
// share. Every server has what sameSchema makes.
func comeToPG(addr string, roles bool) func(ctx context.Context, i int) (citizen, error) {
	return func(ctx context.Context, i int) (citizen, error) {
		c, err := pgx.Connect(ctx, funnelDSN(addr, []string{"app", "scram", "md5user"}[i%3], ""))
		if err != nil {
			return nil, err
		}
		return citizenPG{c}, citizenPG{c}.settle(ctx, i, roles)
	}
}

// settle takes state on. All of it lets the session write.
func (c citizenPG) settle(ctx context.Context, i int, roles bool) error {
	role := "reset role"
	if roles && i%2 == 1 {
		role = "set role pg_monitor"
	}
	for _, q := range []string{
		fmt.Sprintf("set work_mem = '%dkB'", 1000+i),
		fmt.Sprintf(`set app."user" = 'it''s \ ü %d'`, i),
		fmt.Sprintf("set statement_timeout = %d", 600_000*(i%2)),
		`set search_path = "My moves", public`,
		"set time zone 'Asia/Tokyo'",
		fmt.Sprintf("prepare by_sql (\"Mood\", int) as select $1::text || $2 + %d", i),
		role,
		[]string{"set default_transaction_isolation = 'repeatable read'", "set default_transaction_deferrable = on"}[i/2%2],
	} {
		if _, err := c.Exec(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	_, err := c.Prepare(ctx, "by name", `insert into notes (mood, note) values ($1, current_setting('app.user') || $2) returning id`)
	return err
}

// look returns the session's state, by a query and by what it has prepared.
func (c citizenPG) look(ctx context.Context) (string, error) {
	var all, sum string
	if err := c.QueryRow(ctx, portraitPG, pgx.QueryExecModeSimpleProtocol).Scan(&all); err != nil {
		return "", fmt.Errorf("look: %w", err)
	}
	if err := c.QueryRow(ctx, "execute by_sql('sad', 5)", pgx.QueryExecModeSimpleProtocol).Scan(&sum); err != nil {
		return "", fmt.Errorf("prepared by SQL: %w", err)
	}
	return all + " " + sum, nil
}

// transact writes a row and finds it again.
func (c citizenPG) transact(ctx context.Context, n int) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	var id int
	if err := tx.QueryRow(ctx, "by name", "glad", fmt.Sprint(n)).Scan(&id); err != nil {
		return fmt.Errorf("prepared insert: %w", err)
	}
	var note string
	if err := tx.QueryRow(ctx, "select note from notes where id = $1", id).Scan(&note); err != nil || !strings.HasSuffix(note, fmt.Sprint(n)) {
		return fmt.Errorf("the transaction has lost its own row: %q, %w", note, err)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Close ends the session.
func (c citizenPG) Close() error { return c.Conn.Close(context.Background()) }

// sysbenchPG is where sysbench goes.
func sysbenchPG(addr string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return []string{"--db-driver=pgsql", "--pgsql-host=" + host, "--pgsql-port=" + port, "--pgsql-user=app",
		"--pgsql-password=" + real.Password, "--pgsql-db=app", "--tables=2"}
}

// TestPostgresRollingRestart restarts all servers in turn under 200 sessions, and no client has an error: neither of
// those that have a server connection of their own, nor of those that share.
func TestPostgresRollingRestart(t *testing.T) {
	every := ownPostgres(t, 3)
	sameSchema(t, every)
	for _, pg := range every {
		prepareSysbench(t, sysbenchPG(pg.Addr))
	}
	m := startMovingPG(t, racy(t), every)
	for _, mode := range []struct{ name, addr string }{{"proxy", m.addr}, {"funnel", m.funnel}} {
		t.Run(mode.name, func(t *testing.T) { m.rolling(t, mode.name, mode.addr) })
	}
}

// rolling restarts all servers in turn under 200 sessions at addr.
func (m movingPG) rolling(t *testing.T, mode, addr string) {
	const people, threads = 150, 50
	crowd := startCrowd(t, people, comeToPG(addr, mode == "proxy"), func(client int, err error) {
		if err != nil {
			t.Errorf("client %d: %v", client, err)
		}
	})
	stop := sysbenchOn(t, sysbenchPG(addr), threads)
	await(t, m.Sluice, people+threads, "sluice_sessions")
	for i, pg := range m.every {
		m.order(t, i, "drain")
		m.sessions(t, i, 0)
		if err := errors.Join(pg.Stop(), pg.Start()); err != nil {
			t.Fatal(err)
		}
		m.order(t, i, "resume")
		await(t, m.Sluice, 1, "sluice_backend_up", fmt.Sprintf("backend=%q", pg.Addr))
		crowd.worksOn(t)
	}
	await(t, m.Sluice, people+threads, "sluice_sessions")
	crowd.stop()
	out := stop()
	if complains(out) {
		t.Errorf("sysbench says:\n%s", tail(out, 4000))
	}
	if err := drives(out); err != nil {
		t.Error(err)
	}
	noneLost(t, m.Sluice)
	moved, err := m.Metric("sluice_migrations_total", `result="moved"`)
	if mode == "proxy" && (err != nil || moved < people+threads) {
		t.Errorf("%v moves of %d sessions: %v", moved, people+threads, err)
	}
	t.Logf("%d rounds of %d clients beside %d threads of sysbench; %v moves", crowd.rounds.Load(), people, threads, moved)
}

// TestPostgresKilled kills a server under load. Sessions at rest, whose state is known, live on; each other one's client
// gets one clear error, and the numbers say how many.
func TestPostgresKilled(t *testing.T) {
	every := ownPostgres(t, 2)
	sameSchema(t, every)
	m := startMovingPG(t, racy(t), every, "[cluster.migrate]", `keep-state = "100ms"`,
		"[cluster.balance]", `policy = "off"`)
	m.order(t, 1, "drain")
	const people, quiet = 40, 20
	come := comeToPG(m.addr, true)
	atRest, looks := make([]citizen, quiet), make([]string, quiet)
	for i := range atRest {
		var err error
		if atRest[i], err = come(within(t, soon), i); err != nil {
			t.Fatal(err)
		}
		defer atRest[i].Close()
		if looks[i], err = atRest[i].look(within(t, soon)); err != nil {
			t.Fatal(err)
		}
	}
	m.known(t, quiet)
	var mu sync.Mutex
	var deaths []error
	crowd := startCrowd(t, people, come, func(_ int, err error) {
		if err != nil {
			mu.Lock()
			deaths = append(deaths, err)
			mu.Unlock()
		}
	})
	m.order(t, 1, "resume")
	crowd.worksOn(t)
	if err := every[0].Kill(); err != nil {
		t.Fatal(err)
	}
	m.sessions(t, 0, 0) // a query that comes before the loss is seen is one whose outcome is unknown
	for i, c := range atRest {
		if got, err := c.look(within(t, soon)); err != nil || got != looks[i] {
			t.Errorf("session %d, at rest: %v\n got %s\nwant %s", i, err, got, looks[i])
		}
	}
	crowd.worksOn(t) // all who are lost have heard so
	crowd.stop()
	mu.Lock()
	defer mu.Unlock()
	told := map[string]int{}
	for _, err := range deaths {
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "08006" && e.Code != "40003" {
			t.Errorf("a client hears %v", err)
			continue
		}
		told[e.Code]++
	}
	counted := map[string]int{}
	for _, result := range []string{"kept", "idle", "not_run", "unknown"} {
		n, err := m.Metric("sluice_losses_total", fmt.Sprintf("result=%q", result))
		if err != nil {
			t.Fatal(err)
		}
		counted[result] = int(n)
	}
	if counted["kept"] != people+quiet-len(deaths) || counted["unknown"] != told["40003"] || counted["idle"]+counted["not_run"] != told["08006"] {
		t.Errorf("counted %v; %d of %d busy clients had an error: %v", counted, len(deaths), people, told)
	}
	t.Logf("counted %v, clients were told %v", counted, told)
}

// TestPostgresDrainTimeout empties a server under clients of both modes. One that is bound to it is served until the
// drain time-out and hears one clear error then; all others go on elsewhere and notice nothing.
func TestPostgresDrainTimeout(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	m := startMovingWithin(t, racy(t), "3s", every)
	const port = "select inet_server_port()"
	for _, mode := range []struct{ name, addr string }{{"proxy", m.addr}, {"funnel", m.funnel}} {
		t.Run(mode.name, func(t *testing.T) {
			m.order(t, 0, "resume")
			m.order(t, 1, "drain")
			bound, busy, idle := connectPG(t, mode.addr, "app"), connectPG(t, mode.addr, "app"), connectPG(t, mode.addr, "app")
			do(t, bound, "select pg_advisory_lock(77)")
			do(t, busy, "set work_mem = '1111kB'")
			do(t, busy, "begin")
			do(t, busy, "create temp table t on commit drop as select 1")
			do(t, idle, "set work_mem = '2222kB'")
			m.order(t, 1, "resume")
			m.order(t, 0, "drain")
			do(t, bound, "select 1")
			do(t, busy, "commit")
			for want, c := range map[string]*pgx.Conn{"1111kB": busy, "2222kB": idle} {
				eventually(t, func() error {
					if got := one[int](t, c, port); got != real.Port(every[1].Addr) {
						return fmt.Errorf("it is at port %d", got)
					}
					return nil
				})
				if got := one[string](t, c, "show work_mem"); got != want {
					t.Errorf("work_mem is %s, want %s", got, want)
				}
			}
			var err error
			eventually(t, func() error {
				if _, err = bound.Exec(within(t, soon), "select 1"); err == nil {
					return errors.New("it is still served")
				}
				return nil
			})
			wantSQLState(t, err, "57P01")
			if !strings.Contains(fmt.Sprint(err), "drained") {
				t.Errorf("it hears %v", err)
			}
			for _, c := range []*pgx.Conn{busy, idle} {
				do(t, c, "select 1")
				_ = c.Close(context.Background())
			}
		})
	}
}

package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "github.com/lib/pq"

	"sluice/bench/e2e/real"
)

// movingPG is Sluice before servers among which sessions of mode proxy move.
type movingPG struct {
	*real.Sluice
	addr   string // of mode proxy
	funnel string // of mode funnel
	every  []*real.Postgres
}

// startMovingPG starts binary before servers that know their users by configured secrets. more are lines and
// subtables of the cluster.
func startMovingPG(t *testing.T, binary string, every []*real.Postgres, more ...string) movingPG {
	t.Helper()
	return startMovingWithin(t, binary, "5m", every, more...)
}

// startMovingWithin is startMovingPG with a drain time-out.
func startMovingWithin(t *testing.T, binary, timeout string, every []*real.Postgres, more ...string) movingPG {
	t.Helper()
	drain := fmt.Sprintf("drain-timeout = %q", timeout)
	m := movingPG{addr: real.FreeAddr(), funnel: real.FreeAddr(), every: every}
	var backends []string
	for _, pg := range every {
		backends = append(backends, pg.Addr)
	}
	m.Sluice = startSluice(t, binary, cluster("pg", "postgres", backends, more...)+
		listener("pg", m.addr, "pg", drain)+funnel("pool", m.funnel, "pg", drain)+users("app", "scram", "md5user"))
	await(t, m.Sluice, float64(len(every)), "sluice_backend_up")
	return m
}

// order gives an order about server i.
func (m movingPG) order(t *testing.T, i int, what string) {
	t.Helper()
	if _, err := m.Post("/api/backends/" + url.PathEscape(m.every[i].Addr) + "/" + what); err != nil {
		t.Fatal(err)
	}
}

// sessions waits until server i has n sessions.
func (m movingPG) sessions(t *testing.T, i, n int) {
	t.Helper()
	await(t, m.Sluice, float64(n), "sluice_backend_sessions", fmt.Sprintf("backend=%q", m.every[i].Addr))
}

// known waits until Sluice knows the state of n sessions without asking their servers.
func (m movingPG) known(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() error {
		page, err := m.Get("/api/sessions")
		if found := strings.Count(page, `"known": true`); err == nil && found != n {
			err = fmt.Errorf("of %d sessions %d are known", n, found)
		}
		return err
	})
}

// swap has server to take all sessions that server from has, and waits until they are there.
func (m movingPG) swap(t *testing.T, from, to int) {
	t.Helper()
	m.order(t, to, "resume")
	m.order(t, from, "drain")
	m.sessions(t, from, 0)
}

// ownPostgres starts n servers for one test alone, with the same schema.
func ownPostgres(t *testing.T, n int) (every []*real.Postgres) {
	t.Helper()
	for i := range n {
		pg, err := real.StartPostgres(filepath.Join(stage.dir, fmt.Sprintf("%s%d", t.Name(), i)), stage.ca, stage.cert)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pg.Stop() })
		every = append(every, pg)
	}
	return every
}

// sameSchema makes what sessions refer to, at servers whose OIDs of it are not the same.
func sameSchema(t *testing.T, every []*real.Postgres) {
	t.Helper()
	for i, pg := range every {
		c := connect(t, pg.DSN("app", "app"))
		for range 3 * i {
			do(t, c, "create type put_off as enum ('x')")
			do(t, c, "drop type put_off")
		}
		for _, q := range []string{
			`drop schema if exists "My moves" cascade`, `create schema "My moves"`, `grant all on schema "My moves" to public`,
			`create type "My moves"."Mood" as enum ('sad', 'glad')`,
			`create table "My moves".notes (id serial primary key, mood "My moves"."Mood", note text)`,
			`grant all on all tables in schema "My moves" to public`, `grant all on all sequences in schema "My moves" to public`,
		} {
			do(t, c, q)
		}
	}
	t.Cleanup(func() {
		for _, pg := range every {
			if c, err := pgx.Connect(context.Background(), pg.DSN("app", "app")); err == nil {
				_, _ = c.Exec(context.Background(), `drop schema if exists "My moves" cascade`)
				_ = c.Close(context.Background())
			}
		}
	})
}

// portraitPG is what tells one session's state from another's, as a query that changes none of it. A statement_timeout that
// is the default is not set for its own sake.
const portraitPG = `select concat_ws('|', session_user, current_user, current_database(), current_schemas(true)::text,
(select string_agg(name || '=' || setting || '(' || source || ')', ', ' order by name) from pg_settings where source in ('session', 'client') and name not like 'transaction%' and name <> 'statement_timeout'),
(select string_agg(name || ':' || statement || parameter_types::text || from_sql::text, ', ' order by name) from pg_prepared_statements where name like 'by%'),
coalesce(current_setting('app.user', true), 'null'), coalesce(current_setting('app.local', true), 'null'),
coalesce(current_setting('app.never', true), 'null'), current_setting('statement_timeout'))`

// stateOf is what sessions take on, beside statements of the driver's.
func stateOf(i int) []string {
	return []string{
		fmt.Sprintf("set work_mem = '%dkB'", 1000+i),
		fmt.Sprintf(`set app."user" = 'it''s \ ü %d'`, i),
		fmt.Sprintf("set statement_timeout = %d", 600_000*(i%2)),
		`set search_path = "My moves", public`,
		"select set_config('app.local', 'x', true)",
		"set datestyle = 'German, DMY'; set time zone 'Asia/Tokyo'",
		fmt.Sprintf("prepare by_sql (\"Mood\", int) as select $1, $2 + %d", i),
		[]string{"reset role", "set role pg_monitor"}[i%2],
		[]string{"set session characteristics as transaction isolation level serializable, read only, deferrable", "set default_transaction_isolation = 'repeatable read'"}[i%2],
	}
}

// TestPostgresStateMoves compares sessions before and after they have moved, there and back: by pgx, whose statements
// have names, and with all ways to log in.
func TestPostgresStateMoves(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	sameSchema(t, every)
	m := startMovingPG(t, racy(t), every)
	m.order(t, 1, "drain")
	const sessions = 9
	all := make([]*pgx.Conn, sessions)
	before := make([]string, sessions)
	for i := range all {
		all[i] = connectPG(t, m.addr, []string{"app", "scram", "md5user"}[i%3], fmt.Sprintf("application_name='app %d'", i),
			"options='-c work_mem=1234kB -c app.option=x'")
		for _, q := range stateOf(i) {
			do(t, all[i], q)
		}
		if _, err := all[i].Prepare(within(t, soon), "by name", `select $1::"Mood"::text, $2::text, current_setting('app.user')`); err != nil {
			t.Fatal(err)
		}
		before[i] = one[string](t, all[i], portraitPG, pgx.QueryExecModeSimpleProtocol)
	}
	for round := range 3 {
		from, to := round%2, 1-round%2
		m.swap(t, from, to)
		for i, c := range all {
			if got := one[int](t, c, "select inet_server_port()"); got != real.Port(every[to].Addr) {
				t.Errorf("session %d is at port %d, want it at %s", i, got, every[to].Addr)
			}
			if got := one[string](t, c, portraitPG, pgx.QueryExecModeSimpleProtocol); got != before[i] {
				t.Errorf("session %d after %d moves:\n got %s\nwant %s", i, round+1, got, before[i])
			}
			var mood, text, custom string
			err := c.QueryRow(within(t, soon), "by name", "glad", fmt.Sprint(round)).Scan(&mood, &text, &custom)
			if err != nil || mood != "glad" || text != fmt.Sprint(round) || custom != fmt.Sprintf(`it's \ ü %d`, i) {
				t.Errorf("session %d executes its statement: %q, %q, %q, %v", i, mood, text, custom, err)
			}
			var n int
			err = c.QueryRow(within(t, soon), "execute by_sql('sad', 5)", pgx.QueryExecModeSimpleProtocol).Scan(&mood, &n)
			if err != nil || mood != "sad" || n != 5+i {
				t.Errorf("session %d executes what it has prepared by SQL: %q, %d, %v", i, mood, n, err)
			}
			if c.PgConn().ParameterStatus("TimeZone") != "Asia/Tokyo" {
				t.Errorf("session %d is in time zone %q", i, c.PgConn().ParameterStatus("TimeZone"))
			}
		}
	}
	await(t, m.Sluice, 3*sessions, "sluice_migrations_total", `result="moved"`)
}

// TestPostgresPinsAreNamed shows what binds a session to its server, and lets it go when that is over.
func TestPostgresPinsAreNamed(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	m := startMovingPG(t, racy(t), every, "[cluster.migrate]", `retry-after = "10ms"`, `functions = ["hidden"]`)
	for _, c := range []struct{ pin, begin, end string }{
		{"advisory-lock", "select pg_advisory_lock(3)", "select pg_advisory_unlock(3)"},
		{"temp-table", "create temp table named (n int)", "drop table named"},
		{"cursor", "declare named cursor with hold for select 1", "close named"},
		{"listen", "begin; listen named; commit", "unlisten named"},
		{"replication-slot", "select pg_create_logical_replication_slot('moved', 'test_decoding', true)", "select pg_drop_replication_slot('moved')"},
		{"currval", "create temp sequence named; select nextval('named'); select currval('named'); drop sequence named", ""},
		{"settings", "select set_config('app.' || 'x', '1', false)", ""},
		{"function", "create or replace function hidden() returns int language sql as 'select 1'; select hidden()", ""},
	} {
		t.Run(c.pin, func(t *testing.T) {
			m.order(t, 0, "resume")
			m.order(t, 1, "drain")
			client := connectPG(t, m.addr, "app", "default_query_exec_mode=simple_protocol")
			do(t, client, c.begin)
			m.order(t, 1, "resume")
			m.order(t, 0, "drain")
			eventually(t, func() error {
				page, err := m.Get("/api/sessions")
				if err == nil && !strings.Contains(page, fmt.Sprintf(`"pin": %q`, c.pin)) {
					err = fmt.Errorf("no pin %q in %s", c.pin, page)
				}
				return err
			})
			if got := one[int](t, client, "select inet_server_port()"); got != real.Port(every[0].Addr) {
				t.Errorf("it has moved to port %d", got)
			}
			if c.end != "" {
				do(t, client, c.end)
				m.sessions(t, 0, 0)
				if got := one[int](t, client, "select inet_server_port()"); got != real.Port(every[1].Addr) {
					t.Errorf("it is at port %d", got)
				}
			}
			_ = client.Close(context.Background())
			m.sessions(t, 0, 0)
		})
	}
}

// TestPostgresCancelMoves cancels a query, by the key of the login, behind a move.
func TestPostgresCancelMoves(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	m := startMovingPG(t, racy(t), every)
	m.order(t, 1, "drain")
	c := connectPG(t, m.addr, "scram")
	m.swap(t, 0, 1)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error)
	go func() {
		_, err := c.Exec(ctx, "select pg_sleep(300)")
		failed <- err
	}()
	at1 := connect(t, every[1].DSN("postgres", "postgres"))
	eventually(t, func() error {
		if one[int](t, at1, "select count(*) from pg_stat_activity where query = 'select pg_sleep(300)' and state = 'active'") == 0 {
			return real.ErrNever
		}
		return nil
	})
	if err := c.PgConn().CancelRequest(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	wantSQLState(t, <-failed, "57014")
	cancel()
}

// TestPostgresDatabaseSQLMoves has an application by lib/pq work, whose statements have no names, while its sessions
// go to and fro.
func TestPostgresDatabaseSQLMoves(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	sameSchema(t, every)
	m := startMovingPG(t, racy(t), every, "[cluster.migrate]", `retry-after = "10ms"`)
	m.order(t, 1, "drain")
	db, err := sql.Open("postgres", fmt.Sprintf("host=127.0.0.1 port=%d user=scram password='%s' dbname=app sslmode=disable",
		real.Port(m.addr), real.Password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	ctx, stop := context.WithCancel(context.Background())
	const workers = 8
	done := make(chan error, workers)
	for w := range workers {
		go func() { done <- applicationPG(ctx, db, w) }()
	}
	for round := range 6 {
		m.swap(t, round%2, 1-round%2)
	}
	stop()
	for range workers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// applicationPG works until ctx ends: transactions behind each other without a gap, a prepared statement, errors.
func applicationPG(ctx context.Context, db *sql.DB, w int) error {
	c, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer c.Close()
	bg := context.Background()
	if _, err := c.ExecContext(bg, fmt.Sprintf("set app.worker = '%d'", w)); err != nil {
		return err
	}
	st, err := c.PrepareContext(bg, "select current_setting('app.worker') || $1::text")
	if err != nil {
		return err
	}
	for n := 0; ctx.Err() == nil; n++ {
		tx, err := c.BeginTx(bg, nil)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		var id int
		if err := tx.QueryRowContext(bg, `insert into "My moves".notes (mood, note) values ('sad', $1) returning id`, fmt.Sprint(n)).Scan(&id); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		var note string
		if err := tx.QueryRowContext(bg, `select note from "My moves".notes where id = $1`, id).Scan(&note); err != nil || note != fmt.Sprint(n) {
			return fmt.Errorf("the transaction has lost its own row: %q, %w", note, err)
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		var got string
		if err := st.QueryRowContext(bg, n).Scan(&got); err != nil || got != fmt.Sprintf("%d%d", w, n) {
			return fmt.Errorf("prepared: %q, %w", got, err)
		}
		if _, err := c.ExecContext(bg, "select 1 / $1::int", 0); err == nil {
			return fmt.Errorf("no error")
		}
	}
	return nil
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// carriedPG are things that a session may hold, and what shows that it holds them: by begin they come to be, and look is
// the same behind a move. want, if given, is what look gives in any case.
var carriedPG = []struct{ name, begin, look, want string }{
	{"SET LOCAL is over", "begin; set local work_mem = '7MB'; commit", "show work_mem", "4MB"},
	{"SET LOCAL of a name of one's own is empty", "begin; set local app.mine = 'x'; commit", "select current_setting('app.mine') = ''", ""},
	{"a SET that was rolled back", "begin; set work_mem = '7MB'; set app.other = 'x'; rollback", "select current_setting('work_mem') || coalesce(current_setting('app.other', true), '-')", ""},
	{"set_config", "select set_config('work_mem', '7MB', false), set_config('app.a', 'b', false)", "select current_setting('work_mem') || current_setting('app.a')", "7MBb"},
	{"an update of pg_settings", "update pg_settings set setting = '7168' where name = 'work_mem'", "show work_mem", "7MB"},
	{"settings by a function", "do $$begin perform set_config('app.done', 'yes', false); set work_mem = '7MB'; end$$", "select current_setting('work_mem') || current_setting('app.done')", "7MByes"},
	{"SET SESSION AUTHORIZATION and SET ROLE", "set session authorization scram; set role pg_monitor", "select session_user || ' ' || current_user", "scram pg_monitor"},
	{"a role that may set less", "set session_replication_role = replica; set role pg_monitor", "select current_user || current_setting('session_replication_role')", "pg_monitorreplica"},
	{"DateStyle, IntervalStyle, bytea_output", "set datestyle = 'German'; set intervalstyle = 'iso_8601'; set bytea_output = 'escape'; set extra_float_digits = 0",
		`select date '2001-02-03' || (interval '1 day')::text || '\x00'::bytea::text || (0.1::float8 + 0.2)`, `03.02.2001P1D\0000.3`},
	{"client_encoding", "set client_encoding = 'LATIN1'; set app.word = E'\\u0041'", "select pg_client_encoding() || current_setting('app.word')", "LATIN1A"},
	{"another reading of backslashes", `set standard_conforming_strings = off; set escape_string_warning = off; prepare plain as select 'x'`, `select length('a\\b')`, "3"},
	{"a time-out that is shorter than a move", "set statement_timeout = '50ms'", "show statement_timeout", "50ms"},
	{"only reads", "set default_transaction_read_only = on", "show transaction_read_only", "on"},
	{"isolation that waits for a safe snapshot", "set session characteristics as transaction isolation level serializable, read only, deferrable", "select current_setting('transaction_isolation') || current_setting('transaction_deferrable')", "serializableon"},
	{"row security", "set row_security = off", "show row_security", "off"},
	{"a search path with names to quote", `create schema if not exists "Odd, one"; set search_path = "Odd, one", "$user", public`, "show search_path", `"Odd, one", "$user", public`},
	{"a module's setting, by SET", "set pg_trgm.similarity_threshold = 0.5; select similarity('a', 'b')", "show pg_trgm.similarity_threshold", "0.5"},
	{"a module's setting, by its own function", "select set_limit(0.75)", "select show_limit()::text", "0.75"},
	{"a statement by SQL with types", "prepare typed (int, text[]) as select $1 || $2[1]", "execute typed (1, '{a,b}')", "1a"},
	{"a statement by SQL among others", "select 1; prepare among as select 'it'; select 2", "execute among", "it"},
	{"a statement whose table is found by the search path of then", "set search_path = pg_catalog; prepare found as select count(*) > 0 from pg_class; set search_path = public", "execute found", ""},
	{"a statement that was deallocated", "prepare gone as select 1; deallocate gone", "select count(*)::text from pg_prepared_statements where name = 'gone'", "0"},
	{"DISCARD ALL", "set work_mem = '7MB'; prepare lost as select 1; select pg_advisory_lock(5)", "select current_setting('work_mem') || count(*) from pg_prepared_statements", "4MB0"},
	{"a module that was loaded", "load 'auto_explain'; set auto_explain.log_min_duration = '1h'", "show auto_explain.log_min_duration", ""},
	{"a draw from a sequence", "create sequence if not exists drawn; select nextval('drawn')", "select 1::text", "1"},
}

// TestPostgresCarried moves sessions, each with one thing of its own, there and back.
func TestPostgresCarried(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	for _, pg := range every {
		c := connect(t, pg.DSN("app", "app"))
		do(t, c, "create extension if not exists pg_trgm")
		do(t, c, `create schema if not exists "Odd, one"`)
		do(t, c, "create sequence if not exists drawn")
	}
	m := startMovingPG(t, racy(t), every, "[cluster.migrate]", `retry-after = "50ms"`)
	m.order(t, 1, "drain")
	look := func(c *pgx.Conn, text string) string {
		var got any
		err := c.QueryRow(within(t, soon), text, pgx.QueryExecModeDescribeExec).Scan(&got)
		return fmt.Sprint(got, " ", err)
	}
	all, before := make([]*pgx.Conn, len(carriedPG)), make([]string, len(carriedPG))
	for i, c := range carriedPG {
		all[i] = connectPG(t, m.addr, []string{"app", "scram", "md5user"}[i%3], "default_query_exec_mode=simple_protocol")
		if i%3 == 0 {
			do(t, all[i], "set application_name = 'mine'")
		}
		do(t, all[i], c.begin)
		if c.name == "DISCARD ALL" {
			do(t, all[i], "discard all")
		}
		before[i] = look(all[i], c.look)
		if c.want != "" && before[i] != c.want+" <nil>" {
			t.Fatalf("%s: %s before it moves, want %s", c.name, before[i], c.want)
		}
	}
	for round := range 2 {
		m.swap(t, round, 1-round)
		for i, c := range carriedPG {
			if got := look(all[i], c.look); got != before[i] {
				t.Errorf("%s: %s behind move %d, want %s", c.name, got, round+1, before[i])
			}
		}
	}
}

// TestPostgresServersDiffer moves a session between servers whose own settings for its user are not the same. It has the
// new one's, but for what it has set itself; and its client hears of those that it was told before.
func TestPostgresServersDiffer(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	at1 := connect(t, every[1].DSN("postgres", "postgres"))
	for _, q := range []string{"alter role scram set timezone = 'Asia/Baku'", "alter role scram set work_mem = '9MB'", "alter database app set extra_float_digits = 2"} {
		do(t, at1, q)
	}
	t.Cleanup(func() {
		for _, q := range []string{"alter role scram reset all", "alter database app reset all"} {
			_, _ = at1.Exec(context.Background(), q)
		}
	})
	m := startMovingPG(t, racy(t), every)
	m.order(t, 1, "drain")
	c, own := connectPG(t, m.addr, "scram"), connectPG(t, m.addr, "scram")
	do(t, own, "set timezone = 'Asia/Tokyo'")
	do(t, own, "set work_mem = '4MB'") // what the first server has by itself
	m.swap(t, 0, 1)
	const both = "select current_setting('timezone') || current_setting('work_mem')"
	if got := one[string](t, c, both); got != "Asia/Baku9MB" {
		t.Errorf("a session that has set nothing has %s", got)
	}
	if got := c.PgConn().ParameterStatus("TimeZone"); got != "Asia/Baku" {
		t.Errorf("its client was told %q", got)
	}
	if got := one[string](t, own, both); got != "Asia/Tokyo4MB" {
		t.Errorf("a session with settings of its own has %s", got)
	}
}

// TestPostgresFailedTransaction does not take a session out of a transaction that has failed.
func TestPostgresFailedTransaction(t *testing.T) {
	every := []*real.Postgres{postgres(t, 0), postgres(t, 1)}
	m := startMovingPG(t, racy(t), every)
	m.order(t, 1, "drain")
	c := connectPG(t, m.addr, "app")
	do(t, c, "begin")
	if _, err := c.Exec(within(t, soon), "select 1/0"); err == nil {
		t.Fatal("no error")
	}
	m.order(t, 1, "resume")
	m.order(t, 0, "drain")
	await(t, m.Sluice, 1, "sluice_backend_sessions", fmt.Sprintf("backend=%q", every[0].Addr))
	_, err := c.Exec(within(t, soon), "select 1")
	wantSQLState(t, err, "25P02")
	do(t, c, "rollback")
	eventually(t, func() error {
		if got := one[int](t, c, "select inet_server_port()"); got != real.Port(every[1].Addr) {
			return errors.New("it has not moved")
		}
		return nil
	})
}

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// asked returns the one value of a query.
func asked(t *testing.T, c *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var s string
	if err := c.QueryRow(ctx, sql, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// carryOut runs statements, one after the other.
func carryOut(t *testing.T, c *pgx.Conn, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// TestFunnelSettings has one client set things in all ways that there are, on the only server
// connection that it shares with another one. Each of them finds its own settings afterwards.
func TestFunnelSettings(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1")
	for _, c := range []struct {
		name, setting, want, other string
		set                        []string
	}{
		{"SET", "work_mem", "3MB", "4MB", []string{"set work_mem = '3MB'"}},
		{"list with quotes", "search_path", `"a'b\c", "é", public`, `"$user", public`,
			[]string{`set search_path = "a'b\c", "é", public`}},
		{"quote and backslash", "app.tenant", `it's \ "é"`, "", []string{`set app.tenant = 'it''s \ "é"'`}},
		{"quoted name", "app.user", "1", "", []string{`set "app"."user" = 1`}},
		{"two statements", "app.two", "2", "", []string{"begin; set app.two = 2; commit"}},
		{"set_config", "app.fn", "3", "", []string{"select set_config('app.fn', '3', false)"}},
		{"DO", "app.do", "4", "", []string{"do $$begin perform set_config('app.do', '4', false); end$$"}},
		{"canonical", "datestyle", "German, DMY", "ISO, MDY", []string{"set datestyle to german"}},
		{"TIME ZONE", "timezone", "Asia/Tokyo", "", []string{"set time zone 'Asia/Tokyo'"}},
		{"update", "work_mem", "5MB", "4MB", []string{"update pg_settings set setting = 5120 where name = 'work_mem'"}},
		{"transaction", "lock_timeout", "5s", "0", []string{"begin", "set lock_timeout = '5s'", "commit"}},
		{"rolled back", "lock_timeout", "0", "0", []string{"begin", "set lock_timeout = '5s'", "rollback"}},
		{"savepoint", "lock_timeout", "1s", "0", []string{"begin", "set lock_timeout = '1s'", "savepoint s",
			"set lock_timeout = '2s'", "rollback to s", "commit"}},
		{"LOCAL", "lock_timeout", "0", "0", []string{"begin", "set local lock_timeout = '5s'", "commit"}},
		{"RESET", "lock_timeout", "0", "0", []string{"set lock_timeout = '5s'", "reset lock_timeout"}},
		{"DISCARD ALL", "lock_timeout", "0", "0", []string{"set lock_timeout = '5s'", "discard all"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
			b := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
			carryOut(t, a, c.set...)
			sql := "select coalesce(pg_catalog.current_setting('" + c.setting + "', true), '')"
			if c.other == "" && c.setting == "timezone" {
				c.other = asked(t, b, "select reset_val from pg_settings where name = 'TimeZone'")
			}
			for range 2 {
				if got := asked(t, b, sql); got != c.other {
					t.Errorf("the other client has %q, want %q", got, c.other)
				}
				if got := asked(t, a, sql); got != c.want {
					t.Errorf("%s is %q, want %q", c.setting, got, c.want)
				}
			}
		})
	}
}

// TestFunnelSettingByParameter: the name of what is set is a parameter of a prepared statement.
func TestFunnelSettingByParameter(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1")
	a := connect(t, funnelDSN(addr, "app", ""))
	b := connect(t, funnelDSN(addr, "app", ""))
	for _, value := range []string{"1", "", "it's"} {
		asked(t, a, "select set_config($1, $2, false)", "app.param", value)
		const sql = "select coalesce(pg_catalog.current_setting('app.param', true), '')"
		if got := asked(t, b, sql); got != "" {
			t.Errorf("the other client has %q", got)
		}
		if got := asked(t, a, sql); got != value {
			t.Errorf("the client has %q, want %q", got, value)
		}
	}
}

// TestFunnelLookInTrap: nothing that a user can put in the way of names misleads Sluice's own queries.
func TestFunnelLookInTrap(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1")
	a := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
	b := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
	owner := connect(t, postgres(t, 0).DSN("app", "app"))
	carryOut(t, owner, "drop schema if exists trap cascade", "create schema trap",
		"create function trap.lie(text, text) returns bool language sql as 'select false'",
		"create operator trap.= (leftarg = text, rightarg = text, function = trap.lie)",
		"create function trap.encode(bytea, text) returns text language sql as $$select 'trap'$$",
		"create function trap.set_config(text, text, bool) returns text language sql as $$select 'trap'$$",
		"create table trap.pg_settings (name text, setting text, source text)",
		"create domain trap.text as int")
	t.Cleanup(func() { _, _ = owner.Exec(context.Background(), "drop schema trap cascade") })
	carryOut(t, a, "set search_path = trap, pg_catalog", "set application_name = 'one'", "set app.x = '1'")
	carryOut(t, b, "set application_name = 'two'")
	for range 2 {
		if got := asked(t, a, "select pg_catalog.concat(pg_catalog.current_setting('application_name'), "+
			"pg_catalog.current_setting('app.x'), pg_catalog.current_setting('search_path'))"); got != "one1trap, pg_catalog" {
			t.Errorf("the client in the trap has %q", got)
		}
		if got := asked(t, b, "select current_setting('application_name')"); got != "two" {
			t.Errorf("the other client has %q", got)
		}
	}
}

// TestFunnelPins has a client do what binds it to the only server connection, look for it, and end it.
// Another client, who has asked for the connection meanwhile, gets it then, and finds nothing of it.
func TestFunnelPins(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1")
	for _, c := range []struct{ name, begin, look, end string }{
		{"temporary table", "create temp table x as select 1 as n", "select count(*)::text from pg_class where relnamespace = pg_my_temp_schema()", "drop table x"},
		{"table in pg_temp", "create table pg_temp.x (n int)", "select count(*)::text from pg_class where relnamespace = pg_my_temp_schema()", "discard temp"},
		{"advisory lock", "select pg_advisory_lock(7)", "select count(*)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()", "select pg_advisory_unlock(7)"},
		{"cursor", "declare c cursor with hold for select 1", "select count(*)::text from pg_cursors where name = 'c'", "close c"},
		{"role", "set role app; set role pg_read_all_stats", "select (current_user <> session_user)::int::text", "reset role"},
		{"all of it", "create temp table x (n int); select pg_advisory_lock(7)", "select count(*)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()", "discard all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
			b := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
			if c.name == "role" {
				if _, err := a.Exec(t.Context(), "set role pg_read_all_stats; reset role"); err != nil {
					c.begin = "set role app" // all that it may
					c.look = "select (current_setting('role') = 'app')::int::text"
				}
			}
			carryOut(t, a, c.begin)
			pid := asked(t, a, "select pg_backend_pid()::text")
			if got := asked(t, a, c.look); got != "1" {
				t.Fatalf("the client finds %s", got)
			}
			found := make(chan string, 2)
			go func() {
				defer close(found)
				var pid, got string
				if b.QueryRow(context.Background(), "select pg_backend_pid()::text").Scan(&pid) == nil &&
					b.QueryRow(context.Background(), c.look).Scan(&got) == nil {
					found <- pid
					found <- got
				}
			}()
			for range 3 {
				if got := asked(t, a, "select pg_backend_pid()::text"); got != pid {
					t.Errorf("the client is on connection %s, not on %s", got, pid)
				}
				if got := asked(t, a, c.look); got != "1" {
					t.Errorf("the client finds %s later", got)
				}
			}
			carryOut(t, a, c.end)
			if got := <-found; got != pid {
				t.Errorf("the other client is on connection %q, not on %s", got, pid)
			}
			if got := <-found; got != "0" {
				t.Errorf("the other client finds %q", got)
			}
		})
	}
}

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestFunnelPinsAreNamed: an operator sees what binds a client to its server connection, on the console, by
// HTTP and as a metric, and sees the end of it.
func TestFunnelPinsAreNamed(t *testing.T) {
	s, addr := startConsole(t)
	op := operator(t, addr)
	for _, c := range []struct{ reason, begin, end string }{
		{"advisory-lock", "select pg_advisory_lock(3)", "select pg_advisory_unlock(3)"},
		{"temp-table", "create temp table named (n int)", "drop table named"},
		{"cursor", "declare named cursor with hold for select 1", "close named"},
		{"listen", "begin; listen named; commit", "unlisten named"},
		{"currval", "create temp sequence named; select nextval('named'); select currval('named'); drop sequence named", "discard all"},
		{"role", "set role app", "reset role"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			client := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
			do(t, client, c.begin)
			await(t, s, 1, "sluice_pool_pinned")
			await(t, s, 1, "sluice_pool_pins_total", fmt.Sprintf("reason=%q", c.reason))
			if r := rowWhere(t, op, "SHOW PINS", map[string]any{"reason": c.reason}); fmt.Sprint(r["sessions"], r["total"]) != "1 1" {
				t.Errorf("SHOW PINS: %v", r)
			}
			if r := rowWhere(t, op, "SHOW SESSIONS", map[string]any{"pin": c.reason}); r["user"] != "app" || r["server"] == "" {
				t.Errorf("SHOW SESSIONS: %v", r)
			}
			if page, err := s.Get("/api/sessions"); err != nil || !strings.Contains(page, fmt.Sprintf(`"pin": %q`, c.reason)) {
				t.Errorf("%v: no pin %q in %s", err, c.reason, page)
			}

			do(t, client, c.end)
			await(t, s, 0, "sluice_pool_pinned")
			if r := rowWhere(t, op, "SHOW PINS", map[string]any{"reason": c.reason}); fmt.Sprint(r["sessions"], r["total"]) != "0 1" {
				t.Errorf("SHOW PINS afterwards: %v", r)
			}
		})
	}
}

// TestFunnelSequences: currval is the client's own or none, and from then on its server connection is, too.
func TestFunnelSequences(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 2")
	open := func() *pgx.Conn {
		return connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
	}
	a, b := open(), open()
	do(t, a, "create sequence counted")
	t.Cleanup(func() { do(t, b, "drop sequence counted") })

	if got := one[int](t, a, "select nextval('counted')"); got != 1 {
		t.Fatalf("nextval is %d", got)
	}
	if got := one[int](t, a, "select currval('counted')"); got != 1 {
		t.Errorf("with nobody between, currval is %d", got)
	}
	if got := one[int](t, b, "select nextval('counted')"); got != 2 {
		t.Fatalf("nextval is %d", got)
	}
	for range 5 {
		if got := one[int](t, a, "select currval('counted')"); got != 1 {
			t.Errorf("currval is %d, want the client's own", got)
		}
		one[int](t, b, "select nextval('counted')")
	}

	c := open() // has taken no number, on a server connection that others have taken numbers on
	var n int
	err := c.QueryRow(within(t, soon), "select lastval()").Scan(&n)
	if code := codeOf(err); !strings.HasPrefix(code, "55000 ") {
		t.Errorf("a client without a number has %d, %s", n, code)
	}
}

// TestFunnelPrograms runs the programs that come with PostgreSQL through a funnel.
func TestFunnelPrograms(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 3")
	env := psqlEnv(addr, "app")
	t.Run("psql", func(t *testing.T) { testPsql(t, env) })
	t.Run("large objects", func(t *testing.T) { testPsqlLargeObjects(t, env) })
	t.Run("pg_dump", func(t *testing.T) { testPgDump(t, env, postgres(t, 0).Addr) })
	t.Run("pg_dump by several sessions", func(t *testing.T) {
		out := command{path: pgTool(t, "pg_dump"), args: []string{"--schema=shop", "-Fd", "-j2", "-f", t.TempDir() + "/dump"}, env: env}
		if said := out.output(t); said != "" {
			t.Errorf("pg_dump says %q", said)
		}
	})
}

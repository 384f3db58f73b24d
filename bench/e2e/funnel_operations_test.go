package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// asking runs a query on a goroutine of its own; the channel tells how it ended.
func asking(c *pgx.Conn, sql string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), sql)
		done <- err
	}()
	return done
}

// poolWaits waits until so many clients of database app wait for a server.
func poolWaits(t *testing.T, op *pgx.Conn, n int) {
	t.Helper()
	eventually(t, func() error {
		if r := rowWhere(t, op, "SHOW POOLS", map[string]any{"database": "app"}); r["cl_waiting"] != int32(n) {
			return fmt.Errorf("SHOW POOLS: %v", r)
		}
		return nil
	})
}

// pending fails the test if done has told something.
func pending(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Errorf("%s ended too soon: %v", what, err)
	default:
	}
}

// TestFunnelPause holds clients back.
func TestFunnelPause(t *testing.T) {
	_, addr := startConsole(t, `auth.method = "trust"`)
	op := operator(t, addr)
	c := connect(t, funnelDSN(addr, "app", ""))
	do(t, c, "select 1")
	t.Run("42 clients of all databases wait, and so do new ones", func(t *testing.T) {
		tell(t, op, "PAUSE")
		asked := asking(c, "select 1")
		poolWaits(t, op, 1)
		came := make(chan error, 1)
		go func() {
			n, err := pgx.Connect(context.Background(), funnelDSN(addr, "app", ""))
			if err == nil {
				_, err = n.Exec(context.Background(), "select 1")
				_ = n.Close(context.Background())
			}
			came <- err
		}()
		poolWaits(t, op, 2)
		pending(t, "a query in the pause", asked)
		pending(t, "a new client in the pause", came)
		tell(t, op, "RESUME")
		if err := errors.Join(<-asked, <-came); err != nil {
			t.Error(err)
		}
	})
	t.Run("42 a pause of one database leaves others alone", func(t *testing.T) {
		tell(t, op, "PAUSE postgres")
		do(t, c, "select 1")
		other := strings.Replace(funnelDSN(addr, "app", ""), "/app?", "/postgres?", 1)
		came := make(chan error, 1)
		go func() {
			n, err := pgx.Connect(context.Background(), other)
			if err == nil {
				_, err = n.Exec(context.Background(), "select 1")
				_ = n.Close(context.Background())
			}
			came <- err
		}()
		eventually(t, func() error {
			for _, r := range table(t, op, "SHOW POOLS") {
				if r["database"] == "postgres" && r["cl_waiting"] == int32(1) {
					return nil
				}
			}
			return errors.New("nobody waits for the other database")
		})
		pending(t, "a client of the database that is paused", came)
		do(t, c, "select 1")
		tell(t, op, "RESUME postgres")
		if err := <-came; err != nil {
			t.Error(err)
		}
	})
	t.Run("42 a client that goes in the pause", func(t *testing.T) {
		g := speaker(t, addr, "application_name", "goes")
		tell(t, op, "PAUSE app")
		g.Send(wire.Query("select 1"))
		poolWaits(t, op, 1)
		g.Conn.Close()
		poolWaits(t, op, 0)
		tell(t, op, "RESUME app")
		do(t, c, "select 1")
	})
	t.Run("42 a client that waits in the pause can be cancelled by nobody else", func(t *testing.T) {
		tell(t, op, "PAUSE app")
		asked := asking(c, "select 1")
		poolWaits(t, op, 1)
		carry(t, addr, wire.CancelRequest(1, []byte{1, 2, 3, 4}))
		pending(t, "the query", asked)
		tell(t, op, "RESUME app")
		if err := <-asked; err != nil {
			t.Error(err)
		}
	})
	t.Run("42 what a client has set and prepared outlasts the pause", func(t *testing.T) {
		k := connect(t, funnelDSN(addr, "app", "&timezone=Asia/Baku"))
		if _, err := k.Prepare(within(t, soon), "kept", "select current_setting('TimeZone')"); err != nil {
			t.Fatal(err)
		}
		do(t, k, "set search_path to pg_catalog")
		tell(t, op, "PAUSE app")
		tell(t, op, "RESUME app")
		if got := one[string](t, k, "kept"); got != "Asia/Baku" {
			t.Errorf("TimeZone %s", got)
		}
		if got := one[string](t, k, "show search_path"); got != "pg_catalog" {
			t.Errorf("search_path %s", got)
		}
	})
	t.Run("43 SUSPEND is refused", func(t *testing.T) {
		if code := refusal(t, op, "SUSPEND"); code != "0A000" {
			t.Errorf("SUSPEND: %s", code)
		}
		do(t, c, "select 1")
	})
}

// TestFunnelDisable closes a database to new clients.
func TestFunnelDisable(t *testing.T) {
	_, addr := startConsole(t)
	op := operator(t, addr)
	c := connect(t, funnelDSN(addr, "app", ""))
	do(t, c, "select 1")
	t.Run("44 new clients are refused, those that are there are served", func(t *testing.T) {
		tell(t, op, "DISABLE app")
		for range 3 {
			if n, err := pgx.Connect(within(t, soon), funnelDSN(addr, "app", "")); err == nil {
				_ = n.Close(context.Background())
				t.Error("a client was let in")
			}
			do(t, c, "select 1")
		}
	})
	t.Run("44 other databases stay open", func(t *testing.T) {
		do(t, connect(t, strings.Replace(funnelDSN(addr, "app", ""), "/app?", "/postgres?", 1)), "select 1")
	})
	t.Run("44 ENABLE opens it again", func(t *testing.T) {
		tell(t, op, "ENABLE app")
		do(t, connect(t, funnelDSN(addr, "app", "")), "select 1")
		tell(t, op, "ENABLE app") // it may be said twice
		do(t, c, "select 1")
	})
}

// TestFunnelRestartOfServer has the server stop and start again.
func TestFunnelRestartOfServer(t *testing.T) {
	pg := postgres(t, 1)
	addr, lasting := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr}, `retry-timeout = "1m"`)+
		funnel("pool", addr, "pg", "pool-size = 3", `admin-users = ["app"]`, `server-retry-max = "200ms"`, `on-server-loss = "close"`)+
		funnel("stay", lasting, "pg", "pool-size = 3", `server-retry-max = "200ms"`)+users("app"))
	op := operator(t, addr)
	stays := connect(t, funnelDSN(lasting, "app", ""))
	idle, busy := connect(t, funnelDSN(addr, "app", "&timezone=Asia/Baku&application_name=idle")), connect(t, funnelDSN(addr, "app", ""))
	if _, err := idle.Prepare(within(t, soon), "kept", "select current_setting('TimeZone')"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, c := range []*pgx.Conn{busy, stays} {
			do(t, c, "begin")
			do(t, c, "select 1")
		}
		if got := one[string](t, idle, "kept"); got != "Asia/Baku" {
			t.Fatal(got)
		}
		if err := pg.Stop(); err != nil {
			t.Fatal(err)
		}
		t.Run("45 a transaction is told that it is lost", func(t *testing.T) {
			_, err := busy.Exec(within(t, soon), "select 1")
			var e *pgconn.PgError
			if !errors.As(err, &e) || e.Severity != "FATAL" || !strings.HasPrefix(e.Code, "57P0") {
				t.Errorf("got %v", err)
			}
		})
		t.Run("45 or is told, and its client stays", func(t *testing.T) {
			for _, code := range []string{"40001", ""} {
				_, err := stays.Exec(within(t, soon), map[bool]string{true: "select 1", false: "rollback"}[code != ""])
				var e *pgconn.PgError
				if (err == nil) != (code == "") || errors.As(err, &e) && (e.Severity != "ERROR" || e.Code != code) {
					t.Errorf("got %v, want %q", err, code)
				}
			}
		})
		t.Run("45 a query waits for the server to be back", func(t *testing.T) {
			asked := asking(idle, "select 1")
			eventually(t, func() error {
				if r := rowWhere(t, op, "SHOW CLIENTS", map[string]any{"application_name": "idle"}); r["state"] != "waiting" {
					return fmt.Errorf("SHOW CLIENTS: %v", r)
				}
				return nil
			})
			pending(t, "the query", asked)
			if err := pg.Start(); err != nil {
				t.Fatal(err)
			}
			if err := <-asked; err != nil {
				t.Error(err)
			}
		})
		t.Run("45 who was idle has all that it had", func(t *testing.T) {
			if got := one[string](t, idle, "kept"); got != "Asia/Baku" {
				t.Errorf("TimeZone %s", got)
			}
		})
		do(t, stays, "select 1")
		await(t, s, 1, "sluice_backend_up") // till then a new client is refused
		busy = connect(t, funnelDSN(addr, "app", ""))
	}
	t.Run("45 servers that have gone are not handed out", func(t *testing.T) {
		do(t, busy, "select 1")
		gone := table(t, op, "SHOW SERVERS")
		super(t, pg, "select pg_terminate_backend(pid)::text from pg_stat_activity where usename = 'app' and backend_type = 'client backend' and pid <> pg_backend_pid()")
		eventually(t, func() error {
			for _, now := range table(t, op, "SHOW SERVERS") {
				for _, then := range gone {
					if now["remote_pid"] == then["remote_pid"] {
						return fmt.Errorf("server process %v is still there", now["remote_pid"])
					}
				}
			}
			return nil
		})
		for range 10 {
			do(t, busy, "select 1")
			do(t, idle, "select 1")
		}
	})
}

// TestFunnelDatabaseChange points a database's name at another database.
func TestFunnelDatabaseChange(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	config := func(target string) string {
		return cluster("pg", "postgres", []string{pg.Addr}) + funnel("pool", addr, "pg", `admin-users = ["app"]`, "databases-any = false",
			"[[listener.database]]", `name = "shop"`, fmt.Sprintf("target = %q", target)) + users("app")
	}
	s := startSluice(t, racy(t), config("app"))
	shop := client{user: "app", password: real.Password, database: "shop"}
	old, err := shop.connect(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = old.Close(context.Background()) })
	present, err := shop.connect(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = present.Close(context.Background()) })
	do(t, old, "begin")
	do(t, old, "select 1")
	if err := s.Reload(config("postgres")); err != nil {
		t.Fatal(err)
	}
	t.Run("46 new clients go to the new target", func(t *testing.T) {
		eventually(t, func() error {
			if at, err := shop.whoami(t, addr); err != nil || at != "app@postgres" {
				return fmt.Errorf("%s, %w", at, err)
			}
			return nil
		})
	})
	t.Run("46 a transaction ends where it began", func(t *testing.T) {
		if at := one[string](t, old, "select current_database()"); at != "app" {
			t.Errorf("it is in %s", at)
		}
		do(t, old, "commit")
	})
	t.Run("46 clients that are there go to the new target", func(t *testing.T) {
		for _, c := range []*pgx.Conn{present, old} {
			if at := one[string](t, c, "select current_database()"); at != "postgres" {
				t.Errorf("a client is in %s", at)
			}
		}
	})
	t.Run("48 WAIT_CLOSE of a database that nobody knows", func(t *testing.T) {
		if code := refusal(t, operator(t, addr), "WAIT_CLOSE nowhere"); code != "3D000" {
			t.Errorf("%s", code)
		}
	})
	t.Run("46 a change that changes nothing keeps server connections", func(t *testing.T) {
		c, err := shop.connect(t, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		before := one[int](t, c, "select pg_backend_pid()")
		tell(t, operator(t, addr), "RELOAD")
		if after := one[int](t, c, "select pg_backend_pid()"); after != before {
			t.Errorf("from server process %d to %d", before, after)
		}
	})
}

// TestFunnelReconnect replaces server connections under clients.
func TestFunnelReconnect(t *testing.T) {
	_, addr := startConsole(t)
	op := operator(t, addr)
	c := connect(t, funnelDSN(addr, "app", "&timezone=Asia/Baku&default_query_exec_mode=cache_statement"))
	const where = "select pg_backend_pid()::text || current_setting('TimeZone')"
	t.Run("47 clients go on with their settings and statements", func(t *testing.T) {
		seen := map[string]bool{}
		for range 3 {
			seen[one[string](t, c, where)] = true
			tell(t, op, "RECONNECT")
		}
		if len(seen) != 3 {
			t.Errorf("three server connections, one after the other: %v", seen)
		}
		for at := range seen {
			if !strings.HasSuffix(at, "Asia/Baku") {
				t.Error(at)
			}
		}
	})
	t.Run("47 a session with a state of its own keeps its server", func(t *testing.T) {
		do(t, c, "create temp table bound (a int)")
		before := one[string](t, c, where)
		tell(t, op, "RECONNECT app")
		do(t, c, "insert into bound values (1)")
		if after := one[string](t, c, where); after != before {
			t.Errorf("from %s to %s", before, after)
		}
		do(t, c, "drop table bound")
		eventually(t, func() error {
			if after := one[string](t, c, where); after == before {
				return errors.New("the old server connection is still in use")
			}
			return nil
		})
	})
	t.Run("48 WAIT_CLOSE with nothing to wait for", func(t *testing.T) {
		tell(t, op, "WAIT_CLOSE")
		tell(t, op, "WAIT_CLOSE app")
	})
	t.Run("48 WAIT_CLOSE waits for the last transaction", func(t *testing.T) {
		other := connect(t, funnelDSN(addr, "app", ""))
		for _, one := range []*pgx.Conn{c, other} {
			do(t, one, "begin")
			do(t, one, "select 1")
		}
		tell(t, op, "RECONNECT app")
		closed := asking(operator(t, addr), "WAIT_CLOSE app")
		do(t, c, "commit")
		do(t, c, "select 1") // by a connection that is new
		pending(t, "WAIT_CLOSE", closed)
		do(t, other, "commit")
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

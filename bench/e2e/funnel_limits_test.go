package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// enter logs in and fails the test if that is refused.
func (c client) enter(t *testing.T, addr string) *pgx.Conn {
	t.Helper()
	conn, err := c.connect(t, addr)
	if err != nil {
		t.Fatalf("%s: %v", c.user, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// tooMany logs in and wants to be told that there are too many.
func (c client) tooMany(t *testing.T, addr string) {
	t.Helper()
	if conn, err := c.connect(t, addr); err == nil || !strings.HasPrefix(codeOf(err), "53300 ") {
		t.Errorf("%s: one too many: %v", c.user, err)
		if err == nil {
			conn.Close(context.Background())
		}
	}
}

// comesIn waits until a login succeeds.
func (c client) comesIn(t *testing.T, addr string) {
	t.Helper()
	eventually(t, func() error {
		conn, err := c.connect(t, addr)
		if err != nil {
			return err
		}
		return conn.Close(context.Background())
	})
}

// holders are clients each of which opens a transaction, or waits for a server connection to do so.
type holders struct {
	let chan struct{}
	all sync.WaitGroup
}

func (c client) hold(t *testing.T, addr string, n int) *holders {
	t.Helper()
	h := &holders{let: make(chan struct{})}
	for range n {
		conn := c.enter(t, addr)
		h.all.Go(func() {
			for i, sql := range []string{"begin", "select 1", "commit"} {
				if i == 2 {
					<-h.let
				}
				if _, err := conn.Exec(within(t, 2*soon), sql); err != nil {
					t.Errorf("%s of %s: %v", sql, c.user, err)
					return
				}
			}
		})
	}
	return h
}

// release lets the transactions end, and waits for it.
func (h *holders) release() {
	close(h.let)
	h.all.Wait()
}

// poolHas waits until the pool of a user has so many clients that wait and so many servers that are used.
func poolHas(t *testing.T, op *pgx.Conn, user, database string, servers, waiting int) {
	t.Helper()
	eventually(t, func() error {
		for _, r := range table(t, op, "SHOW POOLS") {
			if r["user"] == user && r["database"] == database {
				if r["sv_active"] != int32(servers) || r["cl_waiting"] != int32(waiting) {
					return fmt.Errorf("%v, want %d active and %d waiting", r, servers, waiting)
				}
				return nil
			}
		}
		return fmt.Errorf("no pool of %s at %s", user, database)
	})
}

// has waits until the server has so many sessions of a user.
func has(t *testing.T, pg *real.Postgres, user string, want int) {
	t.Helper()
	eventually(t, func() error {
		if n := sessionsOf(t, pg, user); n != want {
			return fmt.Errorf("%d sessions of %s, want %d", n, user, want)
		}
		return nil
	})
}

// TestFunnelMaxClients: how many clients there may be, over all and at one listener.
func TestFunnelMaxClients(t *testing.T) {
	pg := postgres(t, 0)
	one, two := real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), "[engine]\nmax-connections = 4\n\n"+cluster("pg", "postgres", []string{pg.Addr})+
		funnel("one", one, "pg", "max-connections = 2")+funnel("two", two, "pg")+users("app"))
	app := client{user: "app", password: real.Password}
	a, b := app.enter(t, one), app.enter(t, one)
	t.Run("67 of one listener", func(t *testing.T) { app.tooMany(t, one) })
	all := t // for connections that outlive their subtest
	t.Run("67 another listener has room", func(*testing.T) { app.enter(all, two); app.enter(all, two) })
	t.Run("67 over all", func(t *testing.T) { app.tooMany(t, two) })
	t.Run("67 those that are in are served", func(t *testing.T) { do(t, a, "select 1"); do(t, b, "select 1") })
	t.Run("67 who goes makes room", func(t *testing.T) {
		if err := a.Close(within(t, soon)); err != nil {
			t.Fatal(err)
		}
		app.comesIn(t, one)
	})
	t.Run("67 failed logins leave no trace", func(t *testing.T) {
		for range 5 {
			eventually(t, func() error { // the one before may still be on its way out
				_, err := client{user: "app", password: "falsch"}.whoami(t, one)
				if code := codeOf(err); code != wrong("app") {
					return errors.New(code)
				}
				return nil
			})
		}
		app.comesIn(t, one)
	})
}

// TestFunnelClientCaps: limits of the clients of a user and of a database, for all and for one.
func TestFunnelClientCaps(t *testing.T) {
	pg := postgres(t, 0)
	for _, name := range []string{"cc_all", "cc_own", "cc_dba", "cc_dbb", "cc_once"} {
		role(t, pg, name, "scram-sha-256", "geheim")
	}
	user, db := real.FreeAddr(), real.FreeAddr()
	config := cluster("pg", "postgres", []string{pg.Addr}) +
		funnel("user", user, "pg", "max-user-connections = 2") +
		funnel("db", db, "pg", "max-database-connections = 2", "[[listener.database]]", `name = "own"`, `target = "app"`, "max-connections = 3")
	for _, name := range []string{"cc_all", "cc_dba", "cc_dbb"} {
		config += userSection(name, "password", "geheim")
	}
	startSluice(t, racy(t), config+userSection("cc_own", "password", "geheim", "max-connections = 3")+
		userSection("cc_once", "password", "geheim", "max-connections = 1"))
	as := func(user, database string) client {
		return client{user: user, password: "geheim", database: database}
	}
	whole := t // for connections that outlive their subtest
	all := as("cc_all", "")
	var open []*pgx.Conn
	t.Run("68 every user has the listener's limit", func(t *testing.T) {
		open = append(open, all.enter(whole, user), as("cc_all", "postgres").enter(whole, user))
		all.tooMany(t, user)
		as("cc_dba", "").enter(t, user)
	})
	t.Run("68 a user's own limit goes before it", func(t *testing.T) {
		own := as("cc_own", "")
		for range 3 {
			own.enter(t, user)
		}
		own.tooMany(t, user)
	})
	t.Run("68 every database has the listener's limit, whoever the users are", func(t *testing.T) {
		as("cc_dba", "").enter(t, db)
		as("cc_dbb", "").enter(t, db)
		all.tooMany(t, db)
	})
	t.Run("68 a database's own limit goes before it", func(t *testing.T) {
		for range 3 {
			as("cc_dba", "own").enter(t, db)
		}
		as("cc_dbb", "own").tooMany(t, db)
	})
	t.Run("68 who says goodbye makes room", func(t *testing.T) {
		if err := open[0].Close(within(t, soon)); err != nil {
			t.Fatal(err)
		}
		all.comesIn(t, user)
	})
	t.Run("68 who vanishes makes room", func(t *testing.T) {
		if err := open[1].PgConn().Conn().Close(); err != nil {
			t.Fatal(err)
		}
		all.comesIn(t, user)
	})
	t.Run("68 wrong passwords do not count", func(t *testing.T) {
		for range 5 {
			client{user: "cc_once", password: "falsch"}.is(t, user, wrong("cc_once"))
		}
		as("cc_once", "").comesIn(t, user)
	})
	t.Run("68 logins that the server refuses do not count", func(t *testing.T) {
		for range 3 {
			eventually(t, func() error { // the last one may still be on its way out
				_, err := as("cc_once", "nowhere").whoami(t, user)
				if code := codeOf(err); !strings.HasPrefix(code, "3D000 ") {
					return fmt.Errorf("got %s", code)
				}
				return nil
			})
		}
		as("cc_once", "").comesIn(t, user)
	})
}

// TestFunnelPoolSize: server connections of a pool, as the listener, the database or the user says.
func TestFunnelPoolSize(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "ps_all", "scram-sha-256", "geheim")
	role(t, pg, "ps_own", "scram-sha-256", "geheim")
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 2", `admin-users = ["app"]`, "[[listener.database]]", `name = "large"`, `target = "app"`, "pool-size = 3")+
		userSection("ps_all", "password", "geheim")+userSection("ps_own", "password", "geheim", "pool-size = 1")+users("app"))
	op := operator(t, addr)
	for _, c := range []struct {
		of, user, database string
		want               int
	}{{"listener", "ps_all", "app", 2}, {"database", "ps_all", "large", 3}, {"user", "ps_own", "app", 1}, {"user, before its database's", "ps_own", "large", 1}} {
		t.Run("69 of the "+c.of, func(t *testing.T) {
			before := sessionsOf(t, pg, c.user)
			h := client{user: c.user, password: "geheim", database: c.database}.hold(t, addr, 5)
			poolHas(t, op, c.user, c.database, c.want, 5-c.want)
			if n := sessionsOf(t, pg, c.user) - before; n != c.want {
				t.Errorf("%d sessions more at the server, want %d", n, c.want)
			}
			h.release()
		})
	}
	t.Run("69 pools of two databases do not take from each other", func(t *testing.T) {
		who := client{user: "ps_all", password: "geheim", database: "app"}
		h := who.hold(t, addr, 2)
		poolHas(t, op, "ps_all", "app", 2, 0)
		who.database = "large"
		who.is(t, addr, "ps_all@app")
		h.release()
	})
}

// TestFunnelPoolMin: server connections that are there before they are needed.
func TestFunnelPoolMin(t *testing.T) {
	pg := postgres(t, 0)
	for _, name := range []string{"pm_warm", "pm_cold", "pm_capped", "pm_small"} {
		role(t, pg, name, "scram-sha-256", "geheim")
	}
	addr, capped := real.FreeAddr(), real.FreeAddr()
	warm := func(user, database string) string {
		return fmt.Sprintf("[[listener.warm]]\ndatabase = %q\nuser = %q", database, user)
	}
	config := cluster("pg", "postgres", []string{pg.Addr}) +
		funnel("pool", addr, "pg", "pool-size = 5", "pool-min = 2", warm("pm_warm", "app"), warm("pm_capped", "app")) +
		funnel("capped", capped, "pg", "pool-size = 5", "pool-min = 3",
			"[[listener.database]]", `name = "small"`, `target = "app"`, "max-server-connections = 2", warm("pm_small", "small"))
	for _, name := range []string{"pm_warm", "pm_cold", "pm_small"} {
		config += userSection(name, "password", "geheim")
	}
	startSluice(t, racy(t), config+userSection("pm_capped", "password", "geheim", "max-server-connections = 1"))
	t.Run("70 before the first client", func(t *testing.T) { has(t, pg, "pm_warm", 2) })
	t.Run("70 not more than the user may have", func(t *testing.T) { has(t, pg, "pm_capped", 1) })
	t.Run("70 not more than the database may have", func(t *testing.T) { has(t, pg, "pm_small", 2) })
	t.Run("70 once the pool is in use", func(t *testing.T) {
		if n := sessionsOf(t, pg, "pm_cold"); n != 0 {
			t.Errorf("%d before", n)
		}
		client{user: "pm_cold", password: "geheim"}.is(t, addr, "pm_cold@app")
		has(t, pg, "pm_cold", 2)
	})
	t.Run("70 those that are lost are replaced", func(t *testing.T) {
		const which = "from pg_stat_activity where usename = 'pm_warm'"
		old := super(t, pg, "select string_agg(pid::text, ',') "+which)
		super(t, pg, "select count(pg_terminate_backend(pid))::text "+which)
		eventually(t, func() error {
			if n := super(t, pg, "select count(*)::text "+which+" and pid not in ("+old+")"); n != "2" {
				return fmt.Errorf("%s new ones", n)
			}
			return nil
		})
	})
	for _, name := range []string{"pm_capped", "pm_small"} {
		if n := sessionsOf(t, pg, name); n > 2 || name == "pm_capped" && n > 1 {
			t.Errorf("%d sessions of %s", n, name)
		}
	}
}

// TestFunnelReserve: server connections beyond the pool's size for those who have waited for long.
func TestFunnelReserve(t *testing.T) {
	pg := postgres(t, 0)
	for _, name := range []string{"re_all", "re_db", "re_soon"} {
		role(t, pg, name, "scram-sha-256", "geheim")
	}
	addr, patient := real.FreeAddr(), real.FreeAddr()
	config := cluster("pg", "postgres", []string{pg.Addr}) +
		funnel("pool", addr, "pg", "pool-size = 1", "pool-reserve = 1", `pool-reserve-after = "100ms"`, `admin-users = ["app"]`,
			"[[listener.database]]", `name = "more"`, `target = "app"`, "pool-reserve = 2") +
		funnel("patient", patient, "pg", "pool-size = 1", "pool-reserve = 1", `pool-reserve-after = "1h"`, `admin-users = ["app"]`)
	for _, name := range []string{"re_all", "re_db", "re_soon"} {
		config += userSection(name, "password", "geheim")
	}
	startSluice(t, racy(t), config+users("app"))
	op, opPatient := operator(t, addr), operator(t, patient)
	t.Run("71 of the listener", func(t *testing.T) {
		h := client{user: "re_all", password: "geheim"}.hold(t, addr, 4)
		poolHas(t, op, "re_all", "app", 2, 2)
		has(t, pg, "re_all", 2)
		h.release()
	})
	t.Run("71 of a database", func(t *testing.T) {
		h := client{user: "re_db", password: "geheim", database: "more"}.hold(t, addr, 4)
		poolHas(t, op, "re_db", "more", 3, 1)
		has(t, pg, "re_db", 3)
		h.release()
	})
	t.Run("71 not before the time", func(t *testing.T) {
		h := client{user: "re_soon", password: "geheim"}.hold(t, patient, 3)
		poolHas(t, opPatient, "re_soon", "app", 1, 2)
		has(t, pg, "re_soon", 1)
		h.release()
	})
}

// TestFunnelServerCaps: limits of server connections that hold across pools.
func TestFunnelServerCaps(t *testing.T) {
	pg := postgres(t, 0)
	for _, name := range []string{"sc_user", "sc_dba", "sc_dbb", "sc_all"} {
		role(t, pg, name, "scram-sha-256", "geheim")
	}
	addr, few := real.FreeAddr(), real.FreeAddr()
	config := cluster("pg", "postgres", []string{pg.Addr}) + cluster("few", "postgres", []string{pg.Addr}, "max-server-connections = 2") +
		funnel("pool", addr, "pg", "pool-size = 5", `admin-users = ["app"]`,
			"[[listener.database]]", `name = "capped"`, `target = "app"`, "max-server-connections = 2") +
		funnel("few", few, "few", "pool-size = 5")
	for _, name := range []string{"sc_dba", "sc_dbb", "sc_all"} {
		config += userSection(name, "password", "geheim")
	}
	startSluice(t, racy(t), config+userSection("sc_user", "password", "geheim", "max-server-connections = 2")+users("app"))
	op := operator(t, addr)
	t.Run("72 of a user, over databases", func(t *testing.T) {
		who := client{user: "sc_user", password: "geheim", database: "app"}
		h := who.hold(t, addr, 3)
		poolHas(t, op, "sc_user", "app", 2, 1)
		has(t, pg, "sc_user", 2)
		h.release()
		// Both are idle now. Another database's pool takes one of them over.
		who.database = "postgres"
		who.is(t, addr, "sc_user@postgres")
		if n := sessionsOf(t, pg, "sc_user"); n > 2 {
			t.Errorf("%d sessions", n)
		}
	})
	t.Run("72 of a database, over users", func(t *testing.T) {
		h := client{user: "sc_dba", password: "geheim", database: "capped"}.hold(t, addr, 4)
		poolHas(t, op, "sc_dba", "capped", 2, 2)
		has(t, pg, "sc_dba", 2)
		h.release()
		client{user: "sc_dbb", password: "geheim", database: "capped"}.is(t, addr, "sc_dbb@app")
		if n := sessionsOf(t, pg, "sc_dba") + sessionsOf(t, pg, "sc_dbb"); n > 2 {
			t.Errorf("%d sessions", n)
		}
	})
	t.Run("72 of a backend, over all", func(t *testing.T) {
		for _, database := range []string{"app", "postgres", "template1"} {
			client{user: "sc_all", password: "geheim", database: database}.is(t, few, "sc_all@"+database)
			if n := sessionsOf(t, pg, "sc_all"); n > 2 {
				t.Errorf("%d sessions", n)
			}
		}
	})
	t.Run("72 a pool that starves gets its turn when the other's clients are done", func(t *testing.T) {
		who := client{user: "sc_user", password: "geheim", database: "app"}
		h := who.hold(t, addr, 2)
		poolHas(t, op, "sc_user", "app", 2, 0)
		who.database = "postgres"
		starving := who.hold(t, addr, 1)
		poolHas(t, op, "sc_user", "postgres", 0, 1)
		h.release()
		poolHas(t, op, "sc_user", "postgres", 1, 0)
		starving.release()
	})
}

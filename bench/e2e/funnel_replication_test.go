package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// replicating logs in for replication of a kind ("database", "true") as a user, by simple queries.
func replicating(t *testing.T, addr, user, password, kind string) (*pgx.Conn, error) {
	t.Helper()
	cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://%s@%s/app?sslmode=disable&default_query_exec_mode=simple_protocol&replication=%s", user, addr, kind))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = password
	c, err := pgx.ConnectConfig(within(t, soon), cfg)
	if err == nil {
		t.Cleanup(func() { _ = c.Close(context.Background()) })
	}
	return c, err
}

// TestFunnelLogicalReplication: changes leave a server through a funnel.
func TestFunnelLogicalReplication(t *testing.T) {
	t.Parallel() // most of it is waiting
	pg := postgres(t, 0)
	role(t, pg, "lr_plain", "scram-sha-256", "geheim")
	role(t, pg, "lr_may", "scram-sha-256", "geheim")
	super(t, pg, "alter role lr_may replication")
	_, addr := startFunnelFor(t, userSection("lr_plain", "password", "geheim")+userSection("lr_may", "password", "geheim"))

	t.Run("94 a slot and its changes, by a driver", func(t *testing.T) {
		c, err := replicating(t, addr, "scram", real.Password, "database")
		if err != nil {
			t.Fatal(err)
		}
		if got := one[string](t, c, "select current_database()::text"); got != "app" { // SQL is understood too
			t.Errorf("database %q", got)
		}
		do(t, c, "CREATE_REPLICATION_SLOT lr_driver TEMPORARY LOGICAL test_decoding")
		if n := super(t, pg, "select count(*)::text from pg_replication_slots where slot_name = 'lr_driver' and temporary"); n != "1" {
			t.Errorf("%s slots", n)
		}
		if err := c.Close(within(t, soon)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { // the server's session went with the client's: it is nobody else's
			if n := super(t, pg, "select count(*)::text from pg_replication_slots where slot_name = 'lr_driver'"); n != "0" {
				return fmt.Errorf("%s slots are left", n)
			}
			return nil
		})
	})
	t.Run("94 pg_recvlogical", func(t *testing.T) { testRecvlogical(t, psqlEnv(addr, "scram")) })
	t.Run("94 who may replicate and is no superuser", func(t *testing.T) {
		c, err := replicating(t, addr, "lr_may", "geheim", "database")
		if err != nil {
			t.Fatal(err)
		}
		do(t, c, "CREATE_REPLICATION_SLOT lr_may TEMPORARY LOGICAL test_decoding")
	})
	t.Run("94 who may not is told by the server, at once", func(t *testing.T) {
		_, err := replicating(t, addr, "lr_plain", "geheim", "database")
		if code := codeOf(err); !strings.HasPrefix(code, "42501 ") {
			t.Errorf("got %s", code)
		}
		client{user: "lr_plain", password: "geheim"}.is(t, addr, "lr_plain@app")
	})
	t.Run("94 a wrong password", func(t *testing.T) {
		_, err := replicating(t, addr, "lr_may", "falsch", "database")
		if codeOf(err) != wrong("lr_may") {
			t.Error(err)
		}
	})
	t.Run("94 pitfall-23 a subscriber", func(t *testing.T) { testSubscriber(t, pg, addr) })
}

// startFunnelFor starts a funnel for the usual users and some more.
func startFunnelFor(t *testing.T, more string, keys ...string) (s *real.Sluice, addr string) {
	t.Helper()
	addr = real.FreeAddr()
	s = startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+
		funnel("pool", addr, "pg", append([]string{`admin-users = ["app"]`}, keys...)...)+users("app", "scram")+more)
	return s, addr
}

// testSubscriber has another server subscribe to a publication through the funnel.
func testSubscriber(t *testing.T, pg *real.Postgres, addr string) {
	from, to := connect(t, pg.DSN("postgres", "app")), connect(t, postgres(t, 1).DSN("postgres", "app"))
	for _, c := range []*pgx.Conn{from, to} {
		do(t, c, "create table lr_items (id int primary key, name text)")
		defer do(t, c, "drop table lr_items")
	}
	do(t, from, "insert into lr_items select i, 'before ' || i from generate_series(1, 500) i")
	do(t, from, "create publication lr_pub for table lr_items")
	defer do(t, from, "drop publication lr_pub")
	do(t, to, fmt.Sprintf("create subscription lr_sub connection 'host=127.0.0.1 port=%d dbname=app user=scram password=''%s''' publication lr_pub",
		real.Port(addr), real.Password))
	defer do(t, to, "drop subscription lr_sub")
	rows := func(want string) {
		t.Helper()
		eventually(t, func() error {
			if got := one[string](t, to, "select count(*) || ' ' || coalesce(max(name), '') from lr_items"); got != want {
				return fmt.Errorf("%s, want %s", got, want)
			}
			return nil
		})
	}
	rows("500 before 99")
	do(t, from, "insert into lr_items values (1000, 'while it streams')")
	rows("501 while it streams")
	do(t, from, "delete from lr_items where id <> 1000")
	rows("1 while it streams")
}

// TestFunnelPhysicalReplication: a server's log and files leave it through a funnel.
func TestFunnelPhysicalReplication(t *testing.T) {
	pg := postgres(t, 0)
	addr, ruled := real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+funnel("pool", addr, "pg", "pool-size = 1")+
		funnel("ruled", ruled, "pg", "[[listener.rule]]", `database = ["all"]`, "[[listener.rule]]", `user = ["scram"]`, `database = ["replication"]`)+
		users("app", "scram"))
	t.Run("95 commands", func(t *testing.T) {
		c, err := replicating(t, addr, "scram", real.Password, "true")
		if err != nil {
			t.Fatal(err)
		}
		results, err := c.PgConn().Exec(within(t, soon), "IDENTIFY_SYSTEM").ReadAll()
		if err != nil || len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0][0]) == 0 {
			t.Errorf("%v, %v", results, err)
		}
	})
	t.Run("95 rules name it", func(t *testing.T) {
		if _, err := replicating(t, ruled, "scram", real.Password, "true"); err != nil {
			t.Error(err)
		}
		if _, err := replicating(t, ruled, "app", real.Password, "true"); err == nil {
			t.Error("a rule for all databases lets in for replication")
		}
		if _, err := replicating(t, ruled, "app", real.Password, "database"); err != nil {
			t.Errorf("logical replication is of a database: %v", err)
		}
	})
	t.Run("95 pg_basebackup", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "backup")
		command{path: pgTool(t, "pg_basebackup"), args: []string{"-D", dir, "-X", "stream", "--no-sync", "-c", "fast"}, env: psqlEnv(addr, "scram")}.output(t)
		command{path: pgTool(t, "pg_verifybackup"), args: []string{"-n", dir}}.output(t)
	})
	t.Run("95 pg_receivewal", func(t *testing.T) { testReceiveWAL(t, pg, addr) })
}

// testReceiveWAL streams the log until a whole file of it has come.
func testReceiveWAL(t *testing.T, pg *real.Postgres, addr string) {
	dir := t.TempDir()
	cmd := exec.Command(pgTool(t, "pg_receivewal"), "-D", dir, "--no-loop", "--synchronous")
	cmd.Env = append(cmd.Environ(), append(psqlEnv(addr, "scram"), "LC_ALL=C")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt) // it ends by itself then
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("pg_receivewal: %v\n%s", err, out.String())
		}
	}()
	eventually(t, func() error {
		if n := super(t, pg, "select count(*)::text from pg_stat_replication where application_name = 'pg_receivewal'"); n != "1" {
			return fmt.Errorf("%s streams", n)
		}
		return nil
	})
	name := super(t, pg, "select pg_logical_emit_message(true, 'e2e', repeat('x', 1000))::text", "select pg_walfile_name(pg_current_wal_insert_lsn())")
	super(t, pg, "select pg_switch_wal()::text")
	eventually(t, func() error {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			return fmt.Errorf("%w; there are %v", err, files)
		}
		if st.Size() != 16<<20 {
			return fmt.Errorf("%s has %d bytes", name, st.Size())
		}
		return nil
	})
}

// TestFunnelReplicationAndPool: who replicates has a server connection to itself, and takes none from the pool.
func TestFunnelReplicationAndPool(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "rp_it", "scram-sha-256", "geheim")
	super(t, pg, "alter role rp_it replication")
	_, addr := startFunnelFor(t, userSection("rp_it", "password", "geheim"), "pool-size = 2", "max-user-connections = 4", `pool-wait-timeout = "30s"`)
	who, op := client{user: "rp_it", password: "geheim"}, operator(t, addr)
	t.Run("96 beside a pool that is full", func(t *testing.T) {
		h := who.hold(t, addr, 2)
		poolHas(t, op, "rp_it", "app", 2, 0)
		c, err := replicating(t, addr, "rp_it", "geheim", "database")
		if err != nil {
			t.Fatal(err)
		}
		do(t, c, "IDENTIFY_SYSTEM")
		h.release()
		if err := c.Close(within(t, soon)); err != nil {
			t.Error(err)
		}
	})
	t.Run("96 and clients beside it", func(t *testing.T) {
		c, err := replicating(t, addr, "rp_it", "geheim", "database")
		if err != nil {
			t.Fatal(err)
		}
		do(t, c, "IDENTIFY_SYSTEM")
		h := who.hold(t, addr, 2)
		poolHas(t, op, "rp_it", "app", 3, 0) // its own is shown with the pool's
		do(t, c, "IDENTIFY_SYSTEM")
		h.release()
	})
	t.Run("96 it counts among the user's clients", func(t *testing.T) {
		for range 4 {
			eventually(t, func() error { // those of before may still be on their way out
				_, err := replicating(t, addr, "rp_it", "geheim", "database")
				return err
			})
		}
		who.tooMany(t, addr)
	})
	t.Run("96 its server connection ends with it", func(t *testing.T) {
		c, err := replicating(t, addr, "scram", real.Password, "database")
		if err != nil {
			t.Fatal(err)
		}
		pid := one[int](t, c, "select pg_backend_pid()")
		if err := c.Close(within(t, soon)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if n := super(t, pg, fmt.Sprintf("select count(*)::text from pg_stat_activity where pid = %d", pid)); n != "0" {
				return errors.New("it is still there")
			}
			return nil
		})
	})
}

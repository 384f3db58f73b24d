package e2e

import (
	"fmt"
	"strings"
	"testing"

	"sluice/bench/e2e/wire"
)

// TestFunnelPitfalls walks into the traps of sharing server connections that TestFunnelConversations
// can't: what happens there is not what a client of the server sees, or is seen by others.
func TestFunnelPitfalls(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1", `admin-users = ["app"]`, `auth.method = "trust"`)
	pg := postgres(t, 0)
	op := operator(t, addr)

	t.Run("pitfall-05-invented-answers-in-place", func(t *testing.T) {
		first, c := speaker(t, addr), speaker(t, addr)
		known := wire.Parse("known", "select 'known'")
		answers(t, first, "Z", known, wire.Sync())
		got := answers(t, c, "ZZ", wire.Extended("select 1"), known, wire.Extended("select 2"), wire.Parse("new", "select 'new'"), run("known"),
			wire.Close('S', "known"), run("new"), wire.Sync(), known, run("known"), wire.Extended("select 1/0"), wire.Parse("late", "select 'known'"), wire.Sync())
		if k := kinds(got); k != "12TDC"+"1"+"12TDC"+"1"+"2DC"+"3"+"2DC"+"Z"+"12DC"+"1E"+"Z" {
			t.Errorf("messages %s:\n%s", k, got)
		}
	})
	t.Run("pitfall-06-injected-parse-that-fails", func(t *testing.T) {
		super(t, pg, "drop table if exists pitfall6", "create table pitfall6 (a int)")
		c := speaker(t, addr)
		answers(t, c, "Z", wire.Parse("st", "select count(*) from pitfall6"), run("st"), wire.Sync())
		super(t, pg, "drop table pitfall6")
		tell(t, op, "RECONNECT app") // the next server does not have the statement
		got := answers(t, c, "ZZ", run("st"), wire.Extended("select 'skipped'"), wire.Sync(), wire.Extended("select 'seen'"), wire.Sync())
		if kinds(got) != "EZ12TDCZ" {
			t.Errorf("messages:\n%s", got)
		}
		wants(t, got, "42P01", "seen")
		super(t, pg, "create table pitfall6 (a int)")
		if got = answers(t, c, "Z", run("st"), wire.Sync()); kinds(got) != "2DCZ" {
			t.Errorf("once it can be prepared again:\n%s", got)
		}
		super(t, pg, "drop table pitfall6")
	})
	t.Run("pitfall-07-one-last-word", func(t *testing.T) {
		_, addr := startFunnel(t, "pool-size = 1", `on-server-loss = "close"`, `auth.method = "trust"`)
		c := speaker(t, addr)
		pid := one[int](t, connect(t, funnelDSN(addr, "app", "")), "select pg_backend_pid()")
		answers(t, c, "E", wire.Extended("select 1/0"), wire.Flush())
		super(t, pg, fmt.Sprintf("select pg_terminate_backend(%d)::text", pid))
		before := c.Len()
		c.Read("$")
		if got := c.Since(before); kinds(got) != "E#" || !strings.Contains(got, "57P01") || c.Fault() != nil {
			t.Errorf("behind the error of the batch:\n%s", got)
		}
	})
	t.Run("pitfall-07-one-error-each", func(t *testing.T) {
		c := speaker(t, addr)
		pid := one[int](t, connect(t, funnelDSN(addr, "app", "")), "select pg_backend_pid()")
		answers(t, c, "E", wire.Extended("select 1/0"), wire.Flush())
		super(t, pg, fmt.Sprintf("select pg_terminate_backend(%d)::text", pid))
		eventually(t, func() error {
			for _, r := range table(t, op, "SHOW SERVERS") {
				if fmt.Sprint(r["remote_pid"]) == fmt.Sprint(pid) {
					return fmt.Errorf("it is still there: %v", r)
				}
			}
			return nil
		})
		got := answers(t, c, "ZZ", wire.Extended("select 'skipped'"), wire.Sync(), wire.Extended("select 'seen'"), wire.Sync())
		if kinds(got) != "Z12TDCZ" || strings.Contains(got, "57P01") {
			t.Errorf("behind the error of the batch:\n%s", got)
		}
		wants(t, got, "seen")
	})
	t.Run("pitfall-12-cached-plan", func(t *testing.T) {
		super(t, pg, "drop table if exists pitfall12", "create table pitfall12 (a int)", "insert into pitfall12 values (1)")
		c, other := speaker(t, addr), speaker(t, addr)
		ask := wire.Join(wire.Bind("", "st"), wire.Describe('P', ""), wire.Execute("", 0), wire.Sync())
		answers(t, c, "Z", wire.Parse("st", "select * from pitfall12"), wire.Sync())
		for i, change := range []func(){
			func() { answers(t, other, "Z", wire.Query("alter table pitfall12 add b text default 'new'")) },
			func() { super(t, pg, "alter table pitfall12 add c text default 'unseen'") },
			func() { answers(t, other, "Z", wire.Query("alter table pitfall12 drop column b")) },
		} {
			answers(t, c, "Z", ask)
			change()
			got := answers(t, c, "Z", ask)
			if kinds(got) != "2TDCZ" || strings.Contains(got, "new") != (i < 2) || strings.Contains(got, "unseen") != (i > 0) {
				t.Errorf("behind change %d:\n%s", i, got)
			}
		}
		super(t, pg, "drop table pitfall12")
	})
	t.Run("pitfall-20-idle-server-that-goes", func(t *testing.T) {
		c := connect(t, funnelDSN(addr, "app", "&timezone=Asia/Baku"))
		pid := one[int](t, c, "select pg_backend_pid()")
		super(t, pg, fmt.Sprintf("select pg_terminate_backend(%d)::text", pid))
		eventually(t, func() error {
			if n := len(table(t, op, "SHOW SERVERS")); n > 0 {
				return fmt.Errorf("%d server connections", n)
			}
			return nil
		})
		if got := one[string](t, c, "show timezone"); got != "Asia/Baku" {
			t.Error(got)
		}
	})
	t.Run("pitfall-20-idle-server-that-speaks", func(t *testing.T) {
		c := speaker(t, addr)
		super(t, pg, "alter system set default_transaction_read_only = on", "select pg_reload_conf()::text")
		defer super(t, pg, "alter system reset default_transaction_read_only", "select pg_reload_conf()::text")
		eventually(t, func() error { // the server reports it to Sluice, and Sluice to its client
			if got := answers(t, c, "Z", wire.Query("show default_transaction_read_only")); !strings.Contains(got, `on"`) {
				return fmt.Errorf("%s", got)
			}
			return nil
		})
		wants(t, c.String(), `S "default_transaction_read_only\x00on\x00"`)
	})
	t.Run("pitfall-21-notifications-of-others", func(t *testing.T) {
		ear, other := speaker(t, addr), speaker(t, addr)
		answers(t, ear, "Z", wire.Query("listen pitfall21"))
		eventually(t, func() error { // LISTEN is carried to the server by the way
			answers(t, other, "Z", wire.Query("notify pitfall21, 'heard'"))
			if ear.Ask("Z", wire.Query("select 1")); !ear.Contains("heard") {
				return fmt.Errorf("nothing was heard:\n%s", ear)
			}
			return nil
		})
		answers(t, other, "Z", wire.Query("select 1"))
		if strings.Contains(other.String(), "heard") {
			t.Errorf("a stranger heard it:\n%s", other)
		}
	})
	t.Run("pitfall-23-copy-both", func(t *testing.T) { testRecvlogical(t, psqlEnv(addr, "app")) })
	t.Run("pitfall-48-unknown-setting", func(t *testing.T) {
		for name, code := range map[string]string{"no_such_setting": "42704", "work_mem": "22023", "DateStyle": "22023"} {
			c, err := wire.DialPG(addr)
			if err != nil {
				t.Fatal(err)
			}
			c.Send(wire.Startup(wire.V30, "user", "app", "database", "app", name, "nonsense"))
			if c.Read("$"); kinds(c.String()) != "RE#" || !strings.Contains(c.String(), "FATAL") || !strings.Contains(c.String(), code) {
				t.Errorf("%s:\n%s", name, c)
			}
			c.Conn.Close()
		}
	})
	t.Run("pitfall-55-long-startup", func(t *testing.T) {
		long := strings.Repeat("long", 1200)
		c := speaker(t, addr, "application_name", long, "options", `-c datestyle=SQL,DMY -c search_path="a\ b\\c" --geqo=off`)
		wants(t, c.String(), `S "application_name\x00`+long[:63]+`\x00"`, `S "DateStyle\x00SQL, DMY\x00"`)
		wants(t, answers(t, c, "Z", wire.Query("show search_path")), `a b\\c`)
		wants(t, answers(t, c, "Z", wire.Query("show geqo")), `off"`)
		wants(t, answers(t, c, "Z", wire.Query("show application_name")), long[:63]+`"`)
	})
}

// TestFunnelClientGone has clients go in the middle of something. Their server connection, the only one,
// is put in order and serves the next client.
func TestFunnelClientGone(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1", `auth.method = "trust"`)
	next := connect(t, funnelDSN(addr, "app", "&default_query_exec_mode=simple_protocol"))
	do(t, next, "drop table if exists gone; create table gone (a int)")
	pid := one[int](t, next, "select pg_backend_pid()")
	begin := wire.Query("begin; insert into gone values (1); set local timezone to 'Asia/Tokyo'")
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, c *wire.PG)
	}{
		{"in a query", func(t *testing.T, c *wire.PG) {
			c.Send(nap("gone 1"))
			awaitRunning(t, "-- gone 1", 1)
		}},
		{"in a query in a transaction", func(t *testing.T, c *wire.PG) {
			answers(t, c, "Z", begin)
			c.Send(nap("gone 2"))
			awaitRunning(t, "-- gone 2", 1)
		}},
		{"in a transaction", func(t *testing.T, c *wire.PG) { answers(t, c, "Z", begin) }},
		{"in a failed transaction", func(t *testing.T, c *wire.PG) { answers(t, c, "ZZ", begin, wire.Query("select 1/0")) }},
		{"in a batch", func(t *testing.T, c *wire.PG) {
			answers(t, c, "C", wire.Extended("insert into gone values (1)"), wire.Flush())
		}},
		{"in a batch with an error", func(t *testing.T, c *wire.PG) { answers(t, c, "E", wire.Extended("select 1/0"), wire.Flush()) }},
		{"in a copy in", func(t *testing.T, c *wire.PG) {
			answers(t, c, "G", wire.Query("copy gone from stdin"))
			c.Send(wire.CopyData("1\n"))
		}},
		{"in a copy out", func(t *testing.T, c *wire.PG) {
			answers(t, c, "H", wire.Query("copy (select repeat('o', 1000) from generate_series(1, 1000000)) to stdout"))
		}},
		{"with a session state of its own", func(t *testing.T, c *wire.PG) {
			answers(t, c, "Z", wire.Query("create temp table of_one (a int)"))
			answers(t, c, "Z", wire.Query("select pg_advisory_lock(44)"))
		}},
	} {
		t.Run("pitfall-44-client-gone "+tt.name, func(t *testing.T) {
			c := speaker(t, addr)
			tt.do(t, c)
			c.Conn.Close()
			at := one[int](t, next, "select pg_backend_pid()")
			if at != pid {
				t.Errorf("the server connection was not kept: process %d, then %d", pid, at)
				pid = at
			}
			var rows, locks int
			var zone string
			var temp *string
			err := next.QueryRow(within(t, soon), "select (select count(*) from gone)::int, (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())::int, "+
				"current_setting('TimeZone'), to_regclass('of_one')::text").Scan(&rows, &locks, &zone, &temp)
			if err != nil || rows != 0 || locks != 0 || zone != "UTC" || temp != nil {
				t.Errorf("the next client finds %d rows, %d locks, time zone %s, temporary table %v, %v", rows, locks, zone, temp, err)
			}
		})
	}
	t.Run("pitfall-44-client-gone in a message", func(t *testing.T) {
		c := speaker(t, addr)
		answers(t, c, "Z", begin)
		c.Send(wire.Query("select 'the rest does not come'")[:9])
		c.Conn.Close()
		if n := one[int](t, next, "select count(*)::int from gone"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
	do(t, next, "drop table gone")
}

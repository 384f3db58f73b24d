package e2e

import (
	"strings"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// TestTiDBDriver does with go-sql-driver and sysbench on TiDB what applications do, plain, in TLS and compressed.
func TestTiDBDriver(t *testing.T) {
	d := tidb(t, 0)
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("ti", "mysql", []string{d.Addr}, tlsCA("cluster", "verify-full"))+
		listener("ti", addr, "ti", tlsTable("listener", "prefer", stage.cert)))
	for _, way := range []struct{ name, options string }{
		{"plain", ""}, {"tls", "tls=ours"}, {"compressed", "compress=true"}, {"compressed-tls", "compress=true&tls=ours"},
	} {
		t.Run(way.name, func(t *testing.T) {
			db := func(more string) func(*testing.T) {
				return func(t *testing.T) {
					testMySQLPrepared(t, openMySQL(t, addr, "app", way.options+more))
					testTransactions(t, openMySQL(t, addr, "app", way.options+more))
				}
			}
			t.Run("work", db(""))
			t.Run("interpolated", db("&interpolateParams=true"))
			t.Run("multi-statements", func(t *testing.T) {
				testMultiStatements(t, openMySQL(t, addr, "app", way.options+"&multiStatements=true"))
			})
			t.Run("blobs", func(t *testing.T) {
				db := openMySQL(t, addr, "app", way.options)
				testBlobs(t, db, openMySQL(t, addr, "app", way.options+"&interpolateParams=true"), []int{1 << 20, wire.PacketMax + 1})
			})
			t.Run("local-infile", func(t *testing.T) { testLocalInfile(t, openMySQL(t, addr, "app", way.options)) })
		})
	}
	t.Run("logins", func(t *testing.T) { testTiDBLogins(t, addr) })
	t.Run("cursors", func(t *testing.T) { testTiDBCursors(t, addr, d) })
	t.Run("sysbench", func(t *testing.T) { testSysbench(t, "", sysbenchArgs(addr)) })
	await(t, s, 0, "sluice_sessions")
}

// testTiDBLogins logs in by each plugin, in TLS and without, rightly and wrongly.
func testTiDBLogins(t *testing.T, addr string) {
	for _, tt := range []struct{ user, options string }{
		{"app", ""}, {"app", "tls=ours"}, {"sha", "tls=ours"}, {"tls", "tls=ours"}, {"tls", ""},
	} {
		var got string
		db := openMySQL(t, addr, tt.user, tt.options)
		if err := db.QueryRow("select user()").Scan(&got); err != nil || !strings.HasPrefix(got, tt.user+"@") {
			t.Errorf("%s with %q logged in as %q: %v", tt.user, tt.options, got, err)
		}
	}
	for _, tt := range []struct {
		account wire.Account
		want    string
	}{
		{wire.Account{User: "app", Password: "wrong", Database: "app"}, "using password: YES"},
		{wire.Account{User: "app", Database: "app"}, "using password: NO"},
		{wire.Account{User: "nobody", Password: "wrong"}, "1045"},
		{wire.Account{User: "app", Password: real.Password, Database: "nowhere"}, "1049"},
	} {
		m, err := wire.DialMySQL(addr)
		if err != nil {
			t.Fatal(err)
		}
		tt.account.Caps, tt.account.Collation = wire.Usual, 45
		m.Login(tt.account)
		if !m.Contains(tt.want) {
			t.Errorf("%s in %q: %s wanted in\n%s", tt.account.User, tt.account.Database, tt.want, &m.Transcript)
		}
		m.Conn.Close()
	}
}

// testTiDBCursors reads a result in portions, from two cursors by turns.
func testTiDBCursors(t *testing.T, addr string, d *real.TiDB) {
	thousand(t, []*real.TiDB{d})
	m := loginMySQL(t, addr, wire.Usual)
	defer m.End()
	var ids [2]uint32
	for i := range ids {
		ids[i] = m.Prepare("select n, repeat('x', 100) from thousand order by n")
		m.Execute(ids[i], true)
	}
	before := m.Len()
	for more := true; more && m.Fault() == nil; {
		more = m.Fetch(ids[0], 300)
		if again := m.Fetch(ids[1], 300); again != more {
			t.Fatal("one cursor ended before the other")
		}
	}
	if err := m.Fault(); err != nil {
		t.Fatal(err)
	}
	// 1000 rows in 4 portions, each with its end, from both.
	if got, want := m.Len()-before, 2*(1000+4); got != want {
		t.Errorf("%d packets fetched, want %d", got, want)
	}
}

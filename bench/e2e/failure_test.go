package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// checkedOnce keeps health checks out of a test after the first: what it is about is that a session
// finds out by itself.
const checkedOnce = "[cluster.health]\ninterval = \"1h\"\nrise = 1"

// TestBackendFails has one of two backends fail in several ways after its health check. Clients are
// taken to the other one and notice nothing.
func TestBackendFails(t *testing.T) {
	t.Parallel() // most of it is waiting
	hangUp := func(net.Conn) {}
	for _, way := range []struct {
		name string
		play func(net.Conn) // nil: nobody listens any more
	}{{"refuses", nil}, {"hangs-up", hangUp}, {"hangs", hang}} {
		t.Run("postgres-"+way.name, func(t *testing.T) {
			bad := newScripted(t)
			bad.perform(func(c net.Conn) { wire.AcceptPG(c) })
			addr := real.FreeAddr()
			s := startSluice(t, racy(t), cluster("pg", "postgres", []string{bad.addr, postgres(t, 0).Addr},
				`connect-timeout = "1s"`, checkedOnce)+listener("pg", addr, "pg"))
			await(t, s, 2, "sluice_backend_up")
			bad.fail(way.play)
			for range 6 {
				if err := selectOne(addr); err != nil {
					t.Error(err)
				}
			}
		})
		t.Run("mysql-"+way.name, func(t *testing.T) {
			bad := newScripted(t)
			bad.perform(func(c net.Conn) { wire.AcceptMySQL(c, wire.Usual) })
			addr := real.FreeAddr()
			s := startSluice(t, racy(t), cluster("my", "mysql", []string{bad.addr, mariadb(t, 0).Addr},
				`connect-timeout = "1s"`, checkedOnce)+listener("my", addr, "my"))
			await(t, s, 2, "sluice_backend_up")
			bad.fail(way.play)
			for range 6 {
				if err := ping(t, addr, "app", real.Password, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// hang takes all and says nothing.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// fail makes a scripted server fail: play is what it does from now on; with nil it stops to listen.
func (s *scripted) fail(play func(net.Conn)) {
	if play == nil {
		s.ln.Close()
		return
	}
	s.perform(play)
}

// TestNoBackend has nobody left to serve: the client is told so in its protocol.
func TestNoBackend(t *testing.T) {
	t.Parallel() // most of it is waiting
	nobodyThere := []string{real.FreeAddr(), real.FreeAddr()}
	pgAddr, myAddr := real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", nobodyThere, `connect-timeout = "300ms"`, `retry-timeout = "600ms"`)+
		cluster("my", "mysql", nobodyThere, `connect-timeout = "300ms"`, `retry-timeout = "600ms"`)+listener("pg", pgAddr, "pg")+listener("my", myAddr, "my"))
	wantSQLState(t, selectOne(pgAddr), "08006")
	wantMySQLError(t, ping(t, myAddr, "app", real.Password, false), 1105)
}

// TestBackendDies kills a server with sessions on it: those that something binds to it end with the protocol's error,
// a temporary table in PostgreSQL, and in MariaDB that nobody knows a password. Others live on at the other server, whose own
// sessions notice nothing; and health checks bring it back.
func TestBackendDies(t *testing.T) {
	pgAddr, myAddr := real.FreeAddr(), real.FreeAddr()
	pgs, mys := []string{postgres(t, 0).Addr, postgres(t, 1).Addr}, []string{mariadb(t, 0).Addr, mariadb(t, 1).Addr}
	health := "[cluster.health]\ninterval = \"200ms\"\nrise = 1\nfall = 1"
	s := startSluice(t, racy(t), cluster("pg", "postgres", pgs, health)+cluster("my", "mysql", mys, health)+
		listener("pg", pgAddr, "pg")+listener("my", myAddr, "my"))
	await(t, s, 4, "sluice_backend_up")

	// Some sessions on each server, of which one half of PostgreSQL's is bound.
	bound := func(i int) bool { return i%4 < 2 }
	var pg []*wire.PG
	for i := range 8 {
		c, err := wire.DialPG(pgAddr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Conn.Close() })
		c.Login()
		c.Ask("Z", wire.Query("select 'port ' || current_setting('port')"))
		if bound(i) {
			c.Ask("Z", wire.Query("create temporary table held (a int)"))
		}
		pg = append(pg, c)
	}
	var my []*wire.MySQL
	for range 8 {
		m := loginMySQL(t, myAddr, wire.Usual)
		m.Query("select concat('port ', @@port)")
		my = append(my, m)
	}
	if err := postgres(t, 1).Kill(); err != nil {
		t.Fatal(err)
	}
	if err := mariadb(t, 1).Stop(); err != nil {
		t.Fatal(err)
	}
	hit := 0
	for i, c := range pg {
		if !c.Contains(fmt.Sprint("port ", real.Port(pgs[1]))) {
			c.Ask("Z", wire.Query("select 'alive'"))
			if c.Fault() != nil || !c.Contains("alive") {
				t.Errorf("session %d on the other server saw\n%s", i, tail(c.String(), 600))
			}
			continue
		}
		hit++
		if !bound(i) {
			c.Ask("Z", wire.Query("select 'lives on at ' || current_setting('port')"))
			if c.Fault() != nil || !c.Contains(fmt.Sprint("lives on at ", real.Port(pgs[0]))) {
				t.Errorf("session %d, which nothing binds, saw\n%s", i, tail(c.String(), 600))
			}
			continue
		}
		c.Read("$")
		if c.Fault() != nil || !c.Contains("08006") && !c.Contains("57P0") {
			t.Errorf("session %d saw\n%s", i, tail(c.String(), 600))
		}
	}
	for i, m := range my {
		if !m.Contains(fmt.Sprint("port ", real.Port(mys[1]))) {
			m.Query("select 'alive'")
			if m.Fault() != nil || !m.Contains("alive") {
				t.Errorf("MySQL session %d on the other server saw\n%s", i, m.String())
			}
			continue
		}
		hit++
		m.Closed()
		if m.Fault() != nil || !m.Contains("error 1105") {
			t.Errorf("MySQL session %d saw\n%s", i, m.String())
		}
	}
	if hit == 0 || hit == len(pg)+len(my) {
		t.Errorf("%d sessions were on the servers that died, of %d", hit, len(pg)+len(my))
	}
	await(t, s, 2, "sluice_backend_up")
	for range 4 {
		if err := selectOne(pgAddr); err != nil {
			t.Error(err)
		}
	}
	if err := postgres(t, 1).Start(); err != nil {
		t.Fatal(err)
	}
	if err := mariadb(t, 1).Start(); err != nil {
		t.Fatal(err)
	}
	await(t, s, 4, "sluice_backend_up")
}

// TestDiesInQuery loses a server in the middle of a query: the client is told, and its next connection
// is good.
func TestDiesInQuery(t *testing.T) {
	pgAddr, myAddr := real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 1).Addr})+cluster("my", "mysql", []string{mariadb(t, 1).Addr})+
		listener("pg", pgAddr, "pg")+listener("my", myAddr, "my"))
	c := connectPG(t, pgAddr, "app")
	_, err := c.Exec(within(t, soon), "select pg_terminate_backend(pg_backend_pid())")
	wantSQLState(t, err, "57P01")
	m := loginMySQL(t, myAddr, wire.Usual)
	m.Query("kill connection_id()")
	m.Closed()
	if m.Fault() != nil || !m.Contains("error 1927") && !m.Contains("error 1105") && !m.Contains("error 1317") {
		t.Error(m.String())
	}
	if err := selectOne(pgAddr); err != nil {
		t.Error(err)
	}
}

// TestLimits has clients beyond each limit refused with the right error, and let in again when there
// is room.
func TestLimits(t *testing.T) {
	pgAddr, myAddr, third := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), section("[engine]", "max-connections = 5")+
		cluster("pg", "postgres", []string{postgres(t, 0).Addr})+cluster("my", "mysql", []string{mariadb(t, 0).Addr})+
		listener("pg", pgAddr, "pg", "max-connections = 2")+listener("my", myAddr, "my", "max-connections = 2")+listener("third", third, "pg"))
	a, _ := connectPG(t, pgAddr, "app"), connectPG(t, pgAddr, "app")
	wantSQLState(t, selectOne(pgAddr), "53300")
	m, _ := loginMySQL(t, myAddr, wire.Usual), loginMySQL(t, myAddr, wire.Usual)
	wantMySQLError(t, ping(t, myAddr, "app", real.Password, false), 1040)

	// One more makes five over all listeners.
	connectPG(t, third, "app")
	wantSQLState(t, selectOne(third), "53300")

	_ = a.Close(context.Background())
	m.End()
	await(t, s, 3, "sluice_sessions")
	if err := selectOne(pgAddr); err != nil {
		t.Error(err)
	}
	if err := ping(t, myAddr, "app", real.Password, false); err != nil {
		t.Error(err)
	}
}

// TestDenied has clients from networks that are not let in told so.
func TestDenied(t *testing.T) {
	pgAddr, myAddr, allowed := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+cluster("my", "mysql", []string{mariadb(t, 0).Addr})+
		listener("pg", pgAddr, "pg", `deny = ["127.0.0.0/8"]`)+listener("my", myAddr, "my", `allow = ["10.0.0.0/8"]`)+
		listener("allowed", allowed, "pg", `allow = ["127.0.0.0/8"]`, `deny = ["127.0.0.9/32"]`))
	wantSQLState(t, selectOne(pgAddr), "28000")
	wantMySQLError(t, ping(t, myAddr, "app", real.Password, false), 1130)
	if err := selectOne(allowed); err != nil {
		t.Error(err)
	}
}

// TestTimeouts has clients that are slow to log in or idle for too long sent away.
func TestTimeouts(t *testing.T) {
	t.Parallel() // most of it is waiting
	pgAddr, myAddr := real.FreeAddr(), real.FreeAddr()
	limits := []string{`login-timeout = "1s"`, `idle-timeout = "1s"`}
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+cluster("my", "mysql", []string{mariadb(t, 0).Addr})+
		listener("pg", pgAddr, "pg", limits...)+listener("my", myAddr, "my", limits...))

	silent, err := wire.DialPG(pgAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Conn.Close()
	idle, err := wire.DialPG(pgAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Conn.Close()
	idle.Login()
	mySilent, err := wire.DialMySQL(myAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer mySilent.Conn.Close()
	myIdle := loginMySQL(t, myAddr, wire.Usual)

	// One that is waiting for an answer is not idle.
	busy := connectPG(t, pgAddr, "app")
	do(t, busy, "select pg_sleep(2)")

	silent.Read("$")
	idle.Read("$")
	mySilent.Closed()
	myIdle.Closed()
	for _, w := range []struct {
		who   string
		saw   string
		fault error
		want  string
	}{
		{"a silent client", silent.String(), silent.Fault(), "end of the connection"},
		{"an idle session", idle.String(), idle.Fault(), "57P05"},
		{"a silent MySQL client", mySilent.String(), mySilent.Fault(), "error 1159"},
		{"an idle MySQL session", myIdle.String(), myIdle.Fault(), "error 4031"},
	} {
		if w.fault != nil || !strings.Contains(w.saw, w.want) {
			t.Errorf("%s saw no %q:\n%s", w.who, w.want, w.saw)
		}
	}
	await(t, s, 0, "sluice_sessions")
}

// TestClientVanishes leaves in the middle of a query and of a result (pitfall 44): the server
// connections go too, and do not wait for an answer that nobody wants.
func TestClientVanishes(t *testing.T) {
	pgAddr, myAddr := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+cluster("my", "mysql", []string{mariadb(t, 0).Addr})+
		listener("pg", pgAddr, "pg")+listener("my", myAddr, "my"))
	for _, sql := range []string{"select pg_sleep(600)", "select repeat('x', 1000) from generate_series(1, 100000)"} {
		c, err := wire.DialPG(pgAddr)
		if err != nil {
			t.Fatal(err)
		}
		c.Login()
		c.Send(wire.Query(sql))
		c.Conn.Close()
		m := loginMySQL(t, myAddr, wire.Usual)
		m.Command(wire.ComQuery, []byte("select sleep(600)"))
		m.Conn.Close()
	}
	await(t, s, 0, "sluice_sessions")
	await(t, s, 0, "sluice_server_connections", `state="active"`)
}

// TestProtocolErrors sends what is not of the protocol: the client is told, and nobody else is hit.
func TestProtocolErrors(t *testing.T) {
	addr, s := postgresProxy(t)
	other := connectPG(t, addr, "app")
	for _, bad := range []string{
		"Q\x00\x00\x00\x03",         // a length that does not even hold itself
		"Q\xff\xff\xff\xff",         // a negative one
		"\x00\x00\x00\x00\x04",      // no message type
		"Z\x00\x00\x00\x05I",        // a message that only servers send
		"S\x00\x00\x00\x05x",        // Sync has no body
		"B\x7f\xff\xff\xff\x00\x00", // 2 GiB
	} {
		c, err := wire.DialPG(addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Login()
		c.Send([]byte(bad))
		if bad[0] == 'B' || bad[0] == 'S' {
			c.Send(wire.Terminate()) // may be a fault for the server alone to find
			c.Conn.Close()
			continue
		}
		c.Read("$")
		if c.Fault() != nil || !c.Contains("08P01") {
			t.Errorf("%q: the client saw\n%s", bad, tail(c.String(), 400))
		}
		c.Conn.Close()
	}
	if got := one[int](t, other, "select 1"); got != 1 {
		t.Errorf("select 1 = %d", got)
	}
	_ = other.Close(context.Background())
	await(t, s, 0, "sluice_sessions")
}

// TestAdmin reads each page of the admin side.
func TestAdmin(t *testing.T) {
	addr, s := postgresProxy(t)
	connectPG(t, addr, "app")
	await(t, s, 1, "sluice_sessions", `listener="pg"`)
	for path, words := range map[string][]string{
		"/":                 {"OK"},
		"/api/debug/health": {},
		"/api/admin/config": {"pg", postgres(t, 0).Addr},
		"/metrics": {"sluice_connections_opened_total", "sluice_server_connections{", "sluice_backend_up{",
			"process_resident_memory_bytes", "go_goroutines"},
		"/debug/pprof/": {"goroutine"},
	} {
		body, err := s.Get(path)
		if err != nil {
			t.Error(err)
		}
		wants(t, body, words...)
	}
	if _, err := s.Get("/nothing/of/this/name"); err == nil {
		t.Error("a page that does not exist is served")
	}
	if opened, err := s.Metric("sluice_connections_opened_total"); err != nil || opened < 1 {
		t.Errorf("%v connections opened: %v", opened, err)
	}
	start := time.Now()
	if _, err := s.Metric("sluice_connections_closed_total"); err != nil {
		t.Error(err)
	}
	t.Logf("a scrape takes %v", time.Since(start))
}

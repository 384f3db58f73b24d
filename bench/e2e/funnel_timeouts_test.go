package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
)

// door is a way to a server that can be shut, or swallow what passes.
type door struct {
	addr  string
	to    string
	mu    sync.Mutex
	mode  doorMode
	conns []*passage
}

type doorMode int

const (
	doorOpen doorMode = iota
	doorShut          // new connections are closed at once
	doorMute          // new connections are taken and never hear anything
)

// passage is one connection through a door.
type passage struct {
	a, b   net.Conn
	frozen bool
}

// newDoor opens a door to the address to.
func newDoor(t *testing.T, to string) *door {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{addr: ln.Addr().String(), to: to}
	t.Cleanup(func() { ln.Close(); d.cut() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			d.enter(c)
		}
	}()
	return d
}

func (d *door) enter(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &passage{a: c}
	switch d.mode {
	case doorShut:
		c.Close()
		return
	case doorMute:
		d.conns = append(d.conns, p)
		return
	}
	b, err := net.Dial("tcp", d.to)
	if err != nil {
		c.Close()
		return
	}
	p.b = b
	d.conns = append(d.conns, p)
	for _, way := range [][2]net.Conn{{p.a, p.b}, {p.b, p.a}} {
		go d.pump(p, way[0], way[1])
	}
}

// pump passes bytes on in one direction, until the connection ends or is frozen.
func (d *door) pump(p *passage, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		d.mu.Lock()
		frozen := p.frozen
		d.mu.Unlock()
		if frozen {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if n > 0 {
			_, _ = to.Write(buf[:n])
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// set says what happens to new connections.
func (d *door) set(m doorMode) {
	d.mu.Lock()
	d.mode = m
	d.mu.Unlock()
}

// freeze lets no byte through any more on the connections that there are: they neither end nor go on.
func (d *door) freeze() {
	d.mu.Lock()
	for _, p := range d.conns {
		p.frozen = true
	}
	d.mu.Unlock()
}

// cut ends the connections that there are.
func (d *door) cut() {
	d.mu.Lock()
	for _, p := range d.conns {
		p.a.Close()
		if p.b != nil {
			p.b.Close()
		}
	}
	d.conns = nil
	d.mu.Unlock()
}

// fails runs a statement and returns the error's code.
func fails(t *testing.T, c *pgx.Conn, sql string) string {
	t.Helper()
	_, err := c.Exec(within(t, soon), sql, pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		t.Fatalf("%s did not fail", sql)
	}
	return strings.Split(codeOf(err), " ")[0]
}

// ends waits for the session's last word and returns its code.
func ends(t *testing.T, c *pgx.Conn) string {
	t.Helper()
	_ = c.PgConn().Conn().SetReadDeadline(time.Now().Add(soon))
	_, err := c.PgConn().ReceiveMessage(context.Background())
	for err == nil {
		_, err = c.PgConn().ReceiveMessage(context.Background())
	}
	return strings.Split(codeOf(err), " ")[0]
}

// text runs statements, up to the first that fails, and returns the first value of the last one.
func text(c *pgx.Conn, statements ...string) (value string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	for _, sql := range statements {
		all, err := c.PgConn().Exec(ctx, sql).ReadAll()
		if err != nil {
			return "", err
		}
		if last := all[len(all)-1]; len(last.Rows) > 0 {
			value = string(last.Rows[0][0])
		}
	}
	return value, nil
}

// endOf runs statements and then nothing more, and returns the code with which the session ends, be it
// while it runs them: a machine may stall for longer than a limit.
func endOf(t *testing.T, c *pgx.Conn, statements ...string) string {
	t.Helper()
	if _, err := text(c, statements...); err != nil {
		return strings.Split(codeOf(err), " ")[0]
	}
	return ends(t, c)
}

// goesOn fails the test if the session does not. One of its queries may still meet a limit, on a machine
// that stalls.
func goesOn(t *testing.T, c *pgx.Conn) {
	t.Helper()
	eventually(t, func() error {
		_, err := text(c, "select 1")
		return err
	})
}

// anew tries what a machine that stalls for longer than a limit may spoil, a few times. A fault spoils it
// each time.
func anew(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for range 8 {
		if err = try(); err == nil {
			return
		}
		t.Log(err)
	}
	t.Error(err)
}

// TestFunnelWaits: how long a client waits for a server connection, and what it hears meanwhile.
func TestFunnelWaits(t *testing.T) {
	t.Parallel() // most of it is waiting
	pg := postgres(t, 0)
	role(t, pg, "wa_it", "scram-sha-256", "geheim")
	addr, patient := real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 1", `pool-wait-timeout = "500ms"`, `admin-users = ["app"]`)+
		funnel("patient", patient, "pg", "pool-size = 1", `pool-wait-notify = "100ms"`, `admin-users = ["app"]`)+
		userSection("wa_it", "password", "geheim")+users("app"))
	who := client{user: "wa_it", password: "geheim"}
	who.comesIn(t, addr) // the server connection is there from now on
	t.Run("73 pitfall-41 who has waited long enough is told that there are too many, and ends", func(t *testing.T) {
		holder, waiter := who.enter(t, addr), who.enter(t, addr)
		do(t, holder, "begin")
		start := time.Now()
		if code := fails(t, waiter, "select 1"); code != "53300" {
			t.Errorf("got %s", code)
		}
		if d := time.Since(start); d < 500*time.Millisecond {
			t.Errorf("after %v", d)
		}
		if !waiter.IsClosed() {
			t.Error("the session goes on")
		}
		do(t, holder, "commit") // who has one is left alone
		who.is(t, addr, "wa_it@app")
	})
	t.Run("73 who does not ask for a server does not wait", func(t *testing.T) {
		holder, idle := who.enter(t, addr), who.enter(t, addr)
		do(t, holder, "begin")
		if code := fails(t, who.enter(t, addr), "select 1"); code != "53300" {
			t.Errorf("got %s", code)
		}
		do(t, holder, "commit")
		do(t, idle, "select 1")
	})
	t.Run("73 who goes while it waits gives its place up", func(t *testing.T) {
		holder, waiter := who.enter(t, patient), who.enter(t, patient)
		do(t, holder, "begin")
		go func() { _, _ = waiter.Exec(context.Background(), "select 1") }()
		opPatient := operator(t, patient)
		poolHas(t, opPatient, "wa_it", "app", 1, 1)
		waiter.PgConn().Conn().Close()
		poolHas(t, opPatient, "wa_it", "app", 1, 0)
		do(t, holder, "commit")
	})
	t.Run("98 who waits is told so, once", func(t *testing.T) {
		holder := who.enter(t, patient)
		waiter, notices := listening(t, fmt.Sprintf("postgres://wa_it:geheim@%s/app?sslmode=disable", patient))
		do(t, holder, "begin")
		answer := make(chan error, 1)
		go func() {
			_, err := waiter.Exec(context.Background(), "select 1")
			answer <- err
		}()
		select {
		case n := <-notices:
			wants(t, n, "waiting for a server connection")
		case <-time.After(soon):
			t.Error("no notice")
		}
		do(t, holder, "commit")
		if err := <-answer; err != nil {
			t.Error(err)
		}
		if len(notices) > 0 {
			t.Errorf("one more: %s", <-notices)
		}
		do(t, waiter, "select 1") // its own stream is as it was
	})
}

// listening is a client that hands on the notices it gets.
func listening(t *testing.T, dsn string) (*pgx.Conn, chan string) {
	t.Helper()
	notices := make(chan string, 100)
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices <- n.Message }
	c, err := pgx.ConnectConfig(within(t, soon), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, notices
}

// TestFunnelServerAge: when server connections are closed for their age or for want of use.
func TestFunnelServerAge(t *testing.T) {
	t.Parallel() // most of it is waiting
	pg := postgres(t, 0)
	for _, name := range []string{"sa_old", "sa_idle", "sa_min"} {
		role(t, pg, name, "scram-sha-256", "geheim")
	}
	old, idle, least := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	config := cluster("pg", "postgres", []string{pg.Addr}) +
		funnel("old", old, "pg", "pool-size = 1", `server-lifetime = "1s"`) +
		funnel("idle", idle, "pg", "pool-size = 3", `server-idle-timeout = "1s"`) +
		funnel("least", least, "pg", "pool-size = 3", "pool-min = 2", `server-idle-timeout = "1s"`, `admin-users = ["app"]`)
	for _, name := range []string{"sa_old", "sa_idle", "sa_min"} {
		config += userSection(name, "password", "geheim")
	}
	startSluice(t, racy(t), config+users("app"))
	as := func(user string) client { return client{user: user, password: "geheim"} }
	whole := t // the connections are used together
	c := as("sa_old").enter(whole, old)
	t.Run("74 an old one is replaced, and the client notices nothing", func(t *testing.T) {
		pid := one[int](t, c, "select pg_backend_pid()")
		eventually(t, func() error {
			if one[int](t, c, "select pg_backend_pid()") == pid {
				return errors.New("it is still there")
			}
			return nil
		})
	})
	t.Run("74 not in the middle of a transaction", func(t *testing.T) {
		do(t, c, "begin")
		pid := one[int](t, c, "select pg_backend_pid()")
		eventually(t, func() error {
			if !one[bool](t, c, "select clock_timestamp() - backend_start > interval '2s' from pg_stat_activity where pid = pg_backend_pid()") {
				return errors.New("it is not old yet")
			}
			return nil
		})
		if one[int](t, c, "select pg_backend_pid()") != pid {
			t.Error("another server connection")
		}
		do(t, c, "commit")
		eventually(t, func() error {
			if one[int](t, c, "select pg_backend_pid()") == pid {
				return errors.New("it is still there")
			}
			return nil
		})
	})
	t.Run("75 those that nobody uses", func(t *testing.T) {
		as("sa_idle").hold(t, idle, 3).release()
		has(t, pg, "sa_idle", 0)
		as("sa_idle").is(t, idle, "sa_idle@app") // and it is opened again
	})
	t.Run("75 but not the last ones that are to be kept", func(t *testing.T) {
		as("sa_min").hold(t, least, 3).release()
		has(t, pg, "sa_min", 2)
		before := super(t, pg, "select min(backend_start)::text from pg_stat_activity where usename = 'sa_min'")
		eventually(t, func() error {
			if super(t, pg, "select (now() - '"+before+"'::timestamptz > interval '3s')::text") != "true" {
				return errors.New("the time is not over")
			}
			if n := sessionsOf(t, pg, "sa_min"); n > 2 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
		if n := sessionsOf(t, pg, "sa_min"); n > 2 {
			t.Errorf("%d", n)
		}
		has(t, pg, "sa_min", 2)
	})
}

// TestFunnelWorkLimits: how long a query, a transaction and the pause in one may take.
func TestFunnelWorkLimits(t *testing.T) {
	t.Parallel() // most of it is waiting
	pg := postgres(t, 0)
	for _, name := range []string{"wl_all", "wl_query", "wl_tx", "wl_idle"} {
		role(t, pg, name, "scram-sha-256", "geheim")
	}
	query, tx, pause, session := real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	plain, bare := real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("bare", bare, "pg", "pool-size = 1")+
		funnel("query", query, "pg", "pool-size = 1", `query-timeout = "500ms"`)+
		funnel("tx", tx, "pg", "pool-size = 1", `transaction-timeout = "700ms"`)+
		funnel("pause", pause, "pg", "pool-size = 1", `transaction-idle-timeout = "500ms"`)+
		funnel("session", session, "pg", "pool-size = 3", `unit = "session"`, `transaction-timeout = "2s"`, `transaction-idle-timeout = "2s"`)+
		funnel("plain", plain, "pg", "pool-size = 1", `idle-timeout = "600ms"`)+
		userSection("wl_all", "password", "geheim")+
		userSection("wl_query", "password", "geheim", `query-timeout = "400ms"`)+
		userSection("wl_tx", "password", "geheim", `transaction-timeout = "600ms"`)+
		userSection("wl_idle", "password", "geheim", `transaction-idle-timeout = "400ms"`))
	as := func(user string) client { return client{user: user, password: "geheim"} }

	// freed waits until the next client of a pool's only server connection gets a lock.
	freed := func(t *testing.T, c client, addr string, lock int) {
		t.Helper()
		next := c.enter(t, addr)
		eventually(t, func() error {
			if got, err := text(next, fmt.Sprintf("select pg_try_advisory_xact_lock(%d)", lock)); got != "t" {
				return fmt.Errorf("its lock is still held: %q, %v", got, err)
			}
			return nil
		})
	}
	for _, c := range []struct{ of, user, addr string }{{"of the listener", "wl_all", query}, {"of the user", "wl_query", bare}} {
		t.Run("76 a query that takes too long is cancelled, limit "+c.of, func(t *testing.T) {
			conn := as(c.user).enter(t, c.addr)
			if code := fails(t, conn, "select pg_sleep(600)"); code != "57014" {
				t.Errorf("got %s", code)
			}
			if n := super(t, pg, "select count(*)::text from pg_stat_activity where state = 'active' and query like '%pg_sleep(600)%' and usename = '"+c.user+"'"); n != "0" {
				t.Errorf("%s still run at the server", n)
			}
			goesOn(t, conn)
		})
	}
	t.Run("76 a prepared one, and one in a pipeline", func(t *testing.T) {
		conn := as("wl_all").enter(t, query)
		b := &pgx.Batch{}
		b.Queue("select $1::int", 1)
		b.Queue("select pg_sleep($1)", 600)
		b.Queue("select $1::int", 2)
		err := conn.SendBatch(within(t, soon), b).Close()
		if code := codeOf(err); !strings.HasPrefix(code, "57014 ") {
			t.Errorf("got %s", code)
		}
		goesOn(t, conn)
	})
	t.Run("76 time without a query does not count", func(t *testing.T) {
		anew(t, func() error {
			conn := as("wl_all").enter(t, query)
			if _, err := text(conn, "begin"); err != nil {
				return err
			}
			<-time.After(700 * time.Millisecond) // what is tested is that it may pass
			_, err := text(conn, "select 1", "commit")
			return err
		})
	})
	t.Run("76 several short ones together may take longer", func(t *testing.T) {
		anew(t, func() error {
			const nap = "select pg_sleep(0.15)"
			_, err := text(as("wl_all").enter(t, query), "begin", nap, nap, nap, nap, "commit")
			return err
		})
	})
	t.Run("77 a client that does nothing", func(t *testing.T) {
		if code := endOf(t, as("wl_all").enter(t, plain), "select 1"); code != "57P05" {
			t.Errorf("got %s", code)
		}
	})
	t.Run("77 a client that waits for its answer is not idle", func(t *testing.T) {
		anew(t, func() error {
			_, err := text(as("wl_all").enter(t, plain), "select pg_sleep(1)")
			return err
		})
	})
	for _, c := range []struct{ of, user, addr string }{{"of the listener", "wl_all", pause}, {"of the user", "wl_idle", bare}} {
		t.Run("78 a transaction in which nothing happens, limit "+c.of, func(t *testing.T) {
			conn := as(c.user).enter(t, c.addr)
			if code := endOf(t, conn, "begin", "select pg_advisory_xact_lock(78)"); code != "25P03" {
				t.Errorf("got %s", code)
			}
			// It was rolled back, and its server connection is there for others.
			freed(t, as(c.user), c.addr, 78)
		})
	}
	t.Run("78 a client outside of a transaction may be idle", func(t *testing.T) {
		conn, other := as("wl_all").enter(t, pause), as("wl_all").enter(t, pause)
		do(t, conn, "select 1")
		if code := endOf(t, other, "begin"); code != "25P03" {
			t.Errorf("got %s", code)
		}
		do(t, conn, "select 1")
	})
	t.Run("78 a query that runs is no pause", func(t *testing.T) {
		anew(t, func() error {
			_, err := text(as("wl_all").enter(t, pause), "begin", "select pg_sleep(1)", "commit")
			return err
		})
	})
	for _, c := range []struct{ of, user, addr string }{{"of the listener", "wl_all", tx}, {"of the user", "wl_tx", bare}} {
		t.Run("79 a transaction that takes too long, limit "+c.of, func(t *testing.T) {
			conn := as(c.user).enter(t, c.addr)
			_, err := text(conn, "begin", "select pg_advisory_xact_lock(79)")
			for err == nil { // it is not idle
				_, err = text(conn, "select pg_sleep(0.01)")
			}
			if code := codeOf(err); !strings.HasPrefix(code, "25P04 ") {
				t.Errorf("got %s", code)
			}
			freed(t, as(c.user), c.addr, 79)
		})
	}
	t.Run("79 one that is short, in a session that is not", func(t *testing.T) {
		anew(t, func() error {
			conn := as("wl_all").enter(t, session)
			defer conn.Close(context.Background())
			if _, err := text(conn, "begin", "commit"); err != nil {
				return err
			}
			eventually(t, func() error {
				if !one[bool](t, conn, "select clock_timestamp() - backend_start > interval '2500 ms' from pg_stat_activity where pid = pg_backend_pid()") {
					return errors.New("it is not long yet")
				}
				return nil
			})
			for range 3 {
				if _, err := text(conn, "begin", "select pg_sleep(0.2)", "commit"); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// TestFunnelDoor: servers that can't be reached, do not answer, or stop answering.
func TestFunnelDoor(t *testing.T) {
	t.Parallel() // most of it is waiting
	pg := postgres(t, 0)
	role(t, pg, "do_it", "scram-sha-256", "geheim")
	who := client{user: "do_it", password: "geheim"}
	start := func(t *testing.T, d *door, clusterKeys, listenerKeys []string) (*real.Sluice, string) {
		t.Helper()
		addr := real.FreeAddr()
		s := startSluice(t, racy(t), cluster("pg", "postgres", []string{d.addr}, append(clusterKeys, "[cluster.health]", `interval = "100ms"`, "rise = 1", "fall = 1")...)+
			funnel("pool", addr, "pg", append([]string{"pool-size = 1", `admin-users = ["app"]`}, listenerKeys...)...)+userSection("do_it", "password", "geheim")+users("app"))
		await(t, s, 1, "sluice_backend_up")
		return s, addr
	}
	t.Run("81 a server that refuses is not asked all the time", func(t *testing.T) {
		d := newDoor(t, pg.Addr)
		s, addr := start(t, d, nil, []string{`server-retry-min = "1s"`, `server-retry-max = "1s"`})
		c := who.enter(t, addr)
		do(t, c, "select 1")
		d.set(doorShut)
		d.cut()
		op := operator(t, addr)
		eventually(t, func() error { // a query that meets the loss would be told of it
			if r := rowWhere(t, op, "SHOW POOLS", map[string]any{"user": "do_it"}); r["sv_idle"] != int32(0) {
				return fmt.Errorf("%v", r)
			}
			return nil
		})
		answer := make(chan error, 1)
		go func() { _, err := c.Exec(context.Background(), "select 1"); answer <- err }()
		dials := func() float64 {
			n, err := s.Metric("sluice_dials_total")
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		began, before := time.Now(), dials()
		eventually(t, func() error {
			if time.Since(began) < 2500*time.Millisecond {
				return errors.New("the time is not over")
			}
			return nil
		})
		if n, took := dials()-before, time.Since(began); n > took.Seconds()+2 {
			t.Errorf("%v attempts in %v", n, took)
		}
		d.set(doorOpen)
		if err := <-answer; err != nil {
			t.Errorf("who waited for the server: %v", err)
		}
	})
	t.Run("82 a server that takes the connection and says nothing", func(t *testing.T) {
		d := newDoor(t, pg.Addr)
		_, addr := start(t, d, []string{`connect-timeout = "1s"`, `retry-timeout = "0s"`, `failover-timeout = "0s"`}, nil)
		d.set(doorMute)
		began := time.Now()
		_, err := who.whoami(t, addr)
		if code := codeOf(err); !strings.HasPrefix(code, "08006 ") || time.Since(began) > soon {
			t.Errorf("got %s after %v", code, time.Since(began))
		}
		d.set(doorOpen)
		who.comesIn(t, addr)
	})
	t.Run("82 the limit is for connecting, not for the work", func(t *testing.T) {
		d := newDoor(t, pg.Addr)
		_, addr := start(t, d, []string{`connect-timeout = "1s"`}, nil)
		do(t, who.enter(t, addr), "select pg_sleep(2)")
	})
	t.Run("84 a server connection that has gone deaf while it was idle is not handed out", func(t *testing.T) {
		d := newDoor(t, pg.Addr)
		_, addr := start(t, d, []string{`connect-timeout = "1s"`}, []string{`server-check-after = "100ms"`})
		c := who.enter(t, addr)
		pid := one[int](t, c, "select pg_backend_pid()")
		awaitUsed(t, operator(t, addr))
		d.freeze()
		if again := one[int](t, c, "select pg_backend_pid()"); again == pid {
			t.Error("it is the same")
		}
	})
	t.Run("84 one that answers is used again", func(t *testing.T) {
		d := newDoor(t, pg.Addr)
		_, addr := start(t, d, nil, []string{`server-check-after = "100ms"`, `server-check-query = "select 'still there'"`})
		c := who.enter(t, addr)
		pid := one[int](t, c, "select pg_backend_pid()")
		awaitUsed(t, operator(t, addr))
		if again := one[int](t, c, "select pg_backend_pid()"); again != pid {
			t.Error("it was replaced")
		}
	})
	t.Run("84 one whose check fails is replaced", func(t *testing.T) {
		d := newDoor(t, pg.Addr)
		_, addr := start(t, d, nil, []string{`server-check-after = "100ms"`, `server-check-query = "select 1/0"`})
		c := who.enter(t, addr)
		pid := one[int](t, c, "select pg_backend_pid()")
		awaitUsed(t, operator(t, addr))
		if again := one[int](t, c, "select pg_backend_pid()"); again == pid {
			t.Error("it is the same")
		}
	})
}

// awaitUsed waits until the one server connection of user do_it is due to be checked.
func awaitUsed(t *testing.T, op *pgx.Conn) {
	t.Helper()
	eventually(t, func() error {
		r := rowWhere(t, op, "SHOW POOLS", map[string]any{"user": "do_it"})
		if r["sv_used"] != int32(1) {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
}

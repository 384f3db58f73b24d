package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// with is a client's connection string with startup parameters, names and values in turn.
func with(addr, user, password string, params ...string) string {
	v := url.Values{"sslmode": {"disable"}}
	for i := 0; i < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	return fmt.Sprintf("postgres://%s:%s@%s/app?%s", user, url.PathEscape(password), addr, strings.ReplaceAll(v.Encode(), "+", "%20"))
}

// TestFunnelStartupSettings: what clients ask for when they log in is theirs, on server connections that they
// share with others.
func TestFunnelStartupSettings(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "st_log", "scram-sha-256", "geheim")
	super(t, pg, "alter role st_log set log_statement = 'all'") // the server's log tells what it was asked
	_, addr := startFunnelFor(t, userSection("st_log", "password", "geheim"), "pool-size = 1")
	app := func(t *testing.T, params ...string) *pgx.Conn {
		t.Helper()
		return connect(t, with(addr, "app", real.Password, params...))
	}
	plain := app(t)

	t.Run("102 settings that the server reports, and such that it does not", func(t *testing.T) {
		for _, s := range []struct{ name, value, usual string }{
			{"TimeZone", "Asia/Tokyo", "UTC"}, {"DateStyle", "German, DMY", "ISO, MDY"}, {"IntervalStyle", "iso_8601", "postgres"},
			{"application_name", "mine", ""}, {"search_path", "pg_catalog", `"$user", public`}, {"extra_float_digits", "3", "1"},
			{"statement_timeout", "7s", "0"}, {"work_mem", "3MB", "4MB"}, {"default_transaction_isolation", "serializable", "read committed"},
			{"app.tenant", "it's \"mine\" \\ é", ""},
		} {
			c := app(t, s.name, s.value)
			for range 2 { // in turn
				if got := one[string](t, c, "select current_setting($1)", s.name); got != s.value {
					t.Errorf("%s is %q, want %q", s.name, got, s.value)
				}
				if got := one[string](t, plain, "select coalesce(current_setting($1, true), '')", s.name); got != s.usual {
					t.Errorf("a neighbour's %s is %q, want %q", s.name, got, s.usual)
				}
			}
		}
	})
	t.Run("102 RESET and DISCARD ALL go back to them", func(t *testing.T) {
		c := app(t, "TimeZone", "Asia/Tokyo", "work_mem", "3MB", "default_query_exec_mode", "simple_protocol")
		for _, back := range []string{"reset timezone; reset work_mem", "reset all", "discard all"} {
			do(t, c, "set timezone = 'America/Lima'")
			do(t, c, "set work_mem = '5MB'")
			do(t, plain, "select 1")
			for _, sql := range strings.Split(back, ";") {
				do(t, c, sql)
			}
			do(t, plain, "select 1")
			if got := one[string](t, c, "select current_setting('timezone') || ' ' || current_setting('work_mem')"); got != "Asia/Tokyo 3MB" {
				t.Errorf("behind %s: %s", back, got)
			}
		}
	})
	t.Run("103 pitfall-47 values that mean the same are not set again and again", func(t *testing.T) {
		login := func(params ...string) *pgx.Conn {
			return connect(t, with(addr, "st_log", "geheim", append(params, "default_query_exec_mode", "simple_protocol")...))
		}
		a, b := login("DateStyle", "iso, dmy", "TimeZone", "europe/paris"), login("DateStyle", "ISO,DMY", "TimeZone", "Europe/Paris")
		for range 2 {
			do(t, a, "select 'probe'")
			do(t, b, "select 'probe'")
		}
		before := len(pg.Log())
		for range 5 {
			do(t, a, "select 'probe'")
			do(t, b, "select 'probe'")
		}
		eventually(t, func() error {
			if n := strings.Count(pg.Log()[before:], "select 'probe'"); n != 10 {
				return fmt.Errorf("%d probes in the server's log", n)
			}
			return nil
		})
		if n := strings.Count(pg.Log()[before:], "LOG:  statement: ") + strings.Count(pg.Log()[before:], "LOG:  execute "); n != 10 {
			t.Errorf("%d statements, want the 10 probes:\n%s", n, tail(pg.Log()[before:], 3000))
		}
	})
	t.Run("104 pitfall-55 options", func(t *testing.T) {
		c := app(t, "options", `-c datestyle=SQL,DMY -c search_path="a\ b\\c",public --geqo=off -cwork_mem=3MB`)
		do(t, plain, "select 1")
		for name, want := range map[string]string{"DateStyle": "SQL, DMY", "search_path": `"a b\c",public`, "geqo": "off", "work_mem": "3MB"} {
			if got := one[string](t, c, "select current_setting($1)", name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		for _, wrongly := range []string{"-c no_such_setting=1", "-c work_mem=loud"} {
			_, err := pgx.Connect(within(t, soon), with(addr, "app", real.Password, "options", wrongly))
			if err == nil || !strings.Contains(codeOf(err), strings.Fields(strings.ReplaceAll(wrongly, "=", " "))[1]) {
				t.Errorf("%s: %v", wrongly, err)
			}
		}
		do(t, plain, "select 1") // nobody else has to do with that
	})
	t.Run("104 a parameter goes before the same in options", func(t *testing.T) {
		direct, through := pg.DSN("app", "app")+"&", with(addr, "app", real.Password)+"&"
		var got [2]string
		for i, dsn := range []string{direct, through} {
			got[i] = one[string](t, connect(t, dsn+"options=-cwork_mem%3D3MB&work_mem=5MB"), "show work_mem")
		}
		if got[0] != got[1] {
			t.Errorf("at the server %s, through the funnel %s", got[0], got[1])
		}
	})
	t.Run("106 an empty application_name", func(t *testing.T) {
		for _, name := range []string{"", "not empty", ""} {
			c := app(t, "application_name", name)
			if got := one[string](t, c, "select current_setting('application_name')"); got != name {
				t.Errorf("%q, want %q", got, name)
			}
			if got := c.PgConn().ParameterStatus("application_name"); got != name {
				t.Errorf("the client was told %q, want %q", got, name)
			}
		}
	})
	t.Run("106 what the server makes of an application_name", func(t *testing.T) {
		for _, name := range []string{"caf\u00e9 \x01", strings.Repeat("long", 40)} {
			var got [2]string
			for i, dsn := range []string{pg.DSN("app", "app") + "&", with(addr, "app", real.Password) + "&"} {
				c := connect(t, dsn+"application_name="+url.QueryEscape(name))
				got[i] = one[string](t, c, "show application_name") + " / " + c.PgConn().ParameterStatus("application_name")
			}
			if got[0] != got[1] {
				t.Errorf("at the server %q, through the funnel %q", got[0], got[1])
			}
		}
	})
}

// TestFunnelSmallBuffers logs in where little fits into what is read at once.
func TestFunnelSmallBuffers(t *testing.T) {
	pg := postgres(t, 0)
	front, back := real.FreeAddr(), relay(t, pg.Addr, real.EveryByte)
	startSluice(t, racy(t), "[engine]\nread-buffer = \"1KiB\"\n\n"+cluster("pg", "postgres", []string{back}, "[cluster.health]", `interval = "1h"`, "rise = 1")+
		funnel("pool", front, "pg", "pool-size = 1", "[[listener.rule]]", `user = ["app"]`, `method = "trust"`, "[[listener.rule]]", `method = "secret"`)+users("app", "scram"))
	by := relay(t, front, real.EveryByte)
	long := strings.Repeat("-c work_mem=3MB ", 200)
	t.Run("105 pitfall-55 a startup longer than the buffer", func(t *testing.T) {
		for _, addr := range []string{front, by} {
			c := connect(t, with(addr, "scram", real.Password, "options", long, "application_name", strings.Repeat("n", 1500)))
			if got := one[string](t, c, "show work_mem"); got != "3MB" {
				t.Errorf("work_mem is %s", got)
			}
		}
	})
	t.Run("105 pitfall-25 one that is too long", func(t *testing.T) {
		c, err := wire.DialPG(front)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Conn.Close()
		c.Send(wire.Startup(wire.V30, "user", "app", "database", "app", "options", strings.Repeat("-c work_mem=3MB ", 700)))
		c.Read("$")
		if c.Contains(`Z "I"`) || c.Fault() != nil {
			t.Errorf("%v\n%s", c.Fault(), c)
		}
	})
	t.Run("107 a login by SCRAM that comes byte by byte", func(t *testing.T) {
		client{user: "scram", password: real.Password}.is(t, by, "scram@app")
		client{user: "scram", password: "falsch"}.is(t, by, wrong("scram"))
	})
	t.Run("107 a login and work in one piece", func(t *testing.T) {
		for _, addr := range []string{front, by} {
			c, err := wire.DialPG(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Conn.Close()
			c.Send(wire.Startup(wire.V30, "user", "app", "database", "app"), wire.Query("select 'at once'"), wire.Extended("select 'and more'"), wire.Sync())
			c.Read("ZZZ")
			if c.Fault() != nil {
				t.Error(c.Fault())
			}
			wants(t, c.String(), "at once", "and more")
		}
	})
}

// where tells at which server a client is, by its port.
func where(t *testing.T, c *pgx.Conn) string {
	t.Helper()
	return one[string](t, c, "select current_setting('port')")
}

// TestFunnelBackends: which servers clients are led to, and what becomes of them when that changes.
func TestFunnelBackends(t *testing.T) {
	t.Parallel() // most of it is waiting
	first, second := postgres(t, 0), postgres(t, 1)
	for _, pg := range []*real.Postgres{first, second} {
		role(t, pg, "be_it", "scram-sha-256", "geheim")
	}
	port := func(pg *real.Postgres) string { return fmt.Sprint(real.Port(pg.Addr)) }
	dead := real.FreeAddr()
	health := []string{"[cluster.health]", `interval = "100ms"`, "rise = 1", "fall = 1"}
	start := func(t *testing.T, backends ...string) (s *real.Sluice, addr string, config func(...string) string) {
		t.Helper()
		addr = real.FreeAddr()
		config = func(backends ...string) string {
			return cluster("pg", "postgres", backends, health...) +
				funnel("pool", addr, "pg", "pool-size = 2", `admin-users = ["app"]`) + userSection("be_it", "password", "geheim") + users("app")
		}
		return startSluice(t, racy(t), config(backends...)), addr, config
	}
	who := client{user: "be_it", password: "geheim"}
	for _, order := range []string{"bad first", "good first"} {
		t.Run("97 a server that is not there, "+order, func(t *testing.T) {
			list := []string{dead, first.Addr}
			if order == "good first" {
				list = []string{first.Addr, dead}
			}
			_, addr, _ := start(t, list...)
			for range 4 {
				who.is(t, addr, "be_it@app")
			}
		})
	}
	t.Run("97 a reload names another server: clients that are in go on there", func(t *testing.T) {
		s, addr, config := start(t, first.Addr)
		c := who.enter(t, addr)
		if got := where(t, c); got != port(first) {
			t.Fatalf("at %s", got)
		}
		if err := s.Reload(config(second.Addr)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if got := where(t, c); got != port(second) {
				return fmt.Errorf("at %s", got)
			}
			return nil
		})
		has(t, first, "be_it", 0)
		who.is(t, addr, "be_it@app")
	})
	t.Run("97 pitfall-46 a transaction ends where it began", func(t *testing.T) {
		s, addr, config := start(t, first.Addr)
		c, idle := who.enter(t, addr), who.enter(t, addr)
		do(t, c, "begin")
		do(t, c, "select 1")
		if err := s.Reload(config(second.Addr)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if got := where(t, idle); got != port(second) {
				return fmt.Errorf("at %s", got)
			}
			return nil
		})
		if got := where(t, c); got != port(first) {
			t.Errorf("the transaction is at %s", got)
		}
		do(t, c, "commit")
		if got := where(t, c); got != port(second) {
			t.Errorf("behind it at %s", got)
		}
	})
	t.Run("108 a broken file changes nothing", func(t *testing.T) {
		s, addr, config := start(t, first.Addr)
		c := who.enter(t, addr)
		pid := one[int](t, c, "select pg_backend_pid()")
		for i, broken := range []string{"nonsense", strings.Replace(config(first.Addr), `"pool"`, `"pool"`+"\nno-such-key = 1", 1), strings.Replace(config(first.Addr), "[[user]]", "[user]", 1)} {
			if err := s.Reload(broken); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				if n := strings.Count(s.Log(), "reload"); n <= i {
					return errors.New("not yet read")
				}
				return nil
			})
			who.is(t, addr, "be_it@app")
			if got := one[int](t, c, "select pg_backend_pid()"); got != pid {
				t.Error("another server connection")
			}
		}
		if err := s.Reload(config(second.Addr)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { // and a good one still does
			if got := where(t, c); got != port(second) {
				return fmt.Errorf("at %s", got)
			}
			return nil
		})
	})
	t.Run("pitfall-50 pitfall-52 a listener's roles choose, no statement's text and no lag", func(t *testing.T) {
		writes, reads := real.FreeAddr(), real.FreeAddr()
		both := fmt.Sprintf("[[cluster]]\nname = \"pg\"\nprotocol = \"postgres\"\ndiscovery = \"static\"\nbackends = [{ addr = %q, role = \"leader\" }, { addr = %q, role = \"async\" }]\n\n",
			first.Addr, second.Addr)
		startSluice(t, racy(t), both+funnel("writes", writes, "pg")+funnel("reads", reads, "pg", `roles = ["async"]`)+users("app"))
		app := client{user: "app", password: real.Password}
		for addr, want := range map[string]string{writes: port(first), reads: port(second)} {
			c := app.enter(t, addr)
			for _, sql := range []string{"select current_setting('port')", "select current_setting('port') from pg_class limit 1 for share",
				"with w as (select txid_current()) select current_setting('port') from w"} {
				if got := one[string](t, c, sql); got != want {
					t.Errorf("%s: at %s, want %s", sql, got, want)
				}
			}
		}
	})
}

// TestFunnelFailover: another server takes over, and is not all like the one before.
func TestFunnelFailover(t *testing.T) {
	t.Parallel() // most of it is waiting
	first, second := postgres(t, 0), postgres(t, 1)
	for _, pg := range []*real.Postgres{first, second} {
		role(t, pg, "fo_it", "scram-sha-256", "geheim")
		role(t, pg, "fo_cfg", "scram-sha-256", "geheim")
	}
	super(t, second, "alter role fo_it set default_transaction_read_only = on")
	super(t, first, "create text search configuration public.fo_only_here (copy = simple)")
	t.Cleanup(func() {
		c, err := pgx.Connect(context.Background(), first.DSN("postgres", "app"))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close(context.Background())
		if _, err := c.Exec(context.Background(), "drop text search configuration public.fo_only_here"); err != nil {
			t.Error(err)
		}
	})
	fore, aft := newDoor(t, first.Addr), newDoor(t, second.Addr)
	aft.set(doorShut)
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{fore.addr, aft.addr}, "[cluster.health]", `interval = "100ms"`, "rise = 1", "fall = 1")+
		funnel("pool", addr, "pg", "pool-size = 1")+userSection("fo_it", "password", "geheim")+userSection("fo_cfg", "password", "geheim"))
	await(t, s, 1, "sluice_backend_up")
	told := func(c *pgx.Conn) string { return c.PgConn().ParameterStatus("default_transaction_read_only") }
	who := client{user: "fo_it", password: "geheim"}
	c := who.enter(t, addr)
	if do(t, c, "select 1"); told(c) != "off" {
		t.Fatalf("read only: %q", told(c))
	}
	odd, other := client{user: "fo_cfg", password: "geheim"}.enter(t, addr), client{user: "fo_cfg", password: "geheim"}.enter(t, addr)
	do(t, odd, "set default_text_search_config = 'public.fo_only_here'")

	aft.set(doorOpen)
	await(t, s, 2, "sluice_backend_up")
	fore.set(doorShut)
	fore.cut()
	await(t, s, 1, "sluice_backend_up")
	t.Run("pitfall-45 who is in is told what is different", func(t *testing.T) {
		if got := where(t, c); got != fmt.Sprint(real.Port(second.Addr)) {
			t.Fatalf("at %s", got)
		}
		if told(c) != "on" {
			t.Errorf("read only: %q", told(c))
		}
	})
	t.Run("pitfall-45 who comes is told what is", func(t *testing.T) {
		if n := who.enter(t, addr); told(n) != "on" {
			t.Errorf("read only: %q", told(n))
		}
		for attrs, in := range map[string]bool{"read-only": true, "read-write": false} {
			n, err := pgx.Connect(within(t, soon), with(addr, "fo_it", "geheim", "target_session_attrs", attrs))
			if (err == nil) != in {
				t.Errorf("%s: %v", attrs, err)
			}
			if err == nil {
				n.Close(context.Background())
			}
		}
	})
	t.Run("pitfall-48 a setting that the server does not take ends the session, with the server's words", func(t *testing.T) {
		_, err := odd.Exec(within(t, soon), "select 1")
		if err == nil || !strings.Contains(err.Error(), "default_text_search_config") {
			t.Errorf("got %v", err)
		}
		if !odd.IsClosed() {
			t.Error("it goes on with other settings than it believes")
		}
		pid := one[int](t, other, "select pg_backend_pid()")
		if one[int](t, other, "select pg_backend_pid()") != pid {
			t.Error("the server connection is not used again")
		}
	})
}

// TestFunnelKeys: by which key a session's query is cancelled.
func TestFunnelKeys(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	startSluice(t, racy(t), "[engine]\nloops = 2\n\n"+cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 4", "[listener.auth]", `method = "trust"`)+users("app"))
	for _, version := range []uint32{wire.V30, wire.V32} {
		name := map[uint32]string{wire.V30: "3.0", wire.V32: "3.2"}[version]
		t.Run("pitfall-31 pitfall-32 protocol "+name+": the key is good on any loop, and no other is", func(t *testing.T) {
			c, err := wire.DialPG(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Conn.Close()
			c.Send(wire.Startup(version, "user", "app", "database", "app"))
			c.Read("Z")
			if want := map[uint32]int{wire.V30: 8, wire.V32: 36}[version]; len(c.Key) != want {
				t.Fatalf("a key of %d bytes, want %d", len(c.Key), want)
			}
			id := uint32(c.Key[0])<<24 | uint32(c.Key[1])<<16 | uint32(c.Key[2])<<8 | uint32(c.Key[3])
			request := func(id uint32, secret []byte) {
				t.Helper()
				r, err := wire.DialPG(addr)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Conn.Close()
				r.Send(wire.CancelRequest(id, secret))
				if r.Read("$"); r.Fault() != nil {
					t.Error(r.Fault())
				}
			}
			running := func() {
				t.Helper()
				eventually(t, func() error {
					if n := super(t, pg, "select count(*)::text from pg_stat_activity where state = 'active' and query = 'select pg_sleep(33)'"); n != "1" {
						return fmt.Errorf("%s run", n)
					}
					return nil
				})
			}
			for range 4 { // cancel requests come to both loops in turn
				c.Send(wire.Query("select pg_sleep(33)"))
				running()
				wrong := append([]byte(nil), c.Key[4:]...)
				wrong[0] ^= 1
				request(id, wrong)
				request(id, c.Key[4:len(c.Key)-1])
				request(id+1, c.Key[4:])
				running()
				request(id, c.Key[4:])
				c.Read("EZ")
			}
			if strings.Count(c.String(), "57014") != 4 {
				t.Error(c.String())
			}
			request(id, c.Key[4:]) // nothing runs
			c.Ask("Z", wire.Query("select 'unharmed'"))
			wants(t, c.String(), "unharmed")
			c.End()
		})
	}
	t.Run("pitfall-33 a server that gives no key: a request to cancel does nothing", func(t *testing.T) { testNoKey(t) })
}

// testNoKey plays a server without BackendKeyData, which takes its time for one query.
func testNoKey(t *testing.T) {
	asked, answer := make(chan bool, 1), make(chan bool)
	server := newScripted(t)
	server.perform(func(c net.Conn) {
		p, ok := wire.AcceptPG(c)
		if !ok {
			return
		}
		p.Send(wire.AuthOK(), wire.ParameterStatus("server_version", "15.0"), wire.ParameterStatus("client_encoding", "UTF8"), wire.Ready('I'))
		for {
			kind, body, err := p.Next()
			if err != nil || kind == 'X' {
				return
			}
			if strings.Contains(string(body), "slow") {
				asked <- true
				<-answer
				p.Send(wire.Complete("SLOW"), wire.Ready('I'))
				continue
			}
			p.Send(wire.Complete("SELECT 0"), wire.Ready('I'))
		}
	})
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{server.addr})+
		funnel("pool", addr, "pg", `cancel-timeout = "300ms"`, "[listener.auth]", `method = "trust"`)+users("app"))
	await(t, s, 1, "sluice_backend_up")
	c := speaker(t, addr)
	c.Send(wire.Query("slow"))
	<-asked
	r, err := wire.DialPG(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Conn.Close()
	r.Send(wire.CancelRequest(uint32(c.Key[0])<<24|uint32(c.Key[1])<<16|uint32(c.Key[2])<<8|uint32(c.Key[3]), c.Key[4:]))
	if r.Read("$"); r.Fault() != nil {
		t.Errorf("the request is not over: %v", r.Fault())
	}
	answer <- true
	c.Read("Z")
	if !c.Contains("SLOW") || c.Contains("57014") {
		t.Error(c.String())
	}
}

package e2e

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// userSection is a [[user]] with a secret: key is "password" or "verifier".
func userSection(name, key, secret string, more ...string) string {
	return section("[[user]]", append([]string{fmt.Sprintf("name = %q", name), fmt.Sprintf("%s = %q", key, secret)}, more...)...)
}

// verified are libpq's words for TLS with a server that is known.
func verified() string { return "sslmode=verify-full&sslrootcert=" + stage.ca.CertFile }

// TestFunnelSecrets: how a client proves who it is and how the server has it proved are two things. What is
// stored at Sluice, and what the client's proof shows, have to be enough for both.
func TestFunnelSecrets(t *testing.T) {
	pg := postgres(t, 0)
	stored := map[string]string{}
	for name, method := range map[string]string{"se_pm": "md5", "se_ps": "scram-sha-256", "se_vm": "md5", "se_vs": "scram-sha-256",
		"se_xm": "scram-sha-256", "se_xs": "scram-sha-256"} {
		stored[name] = role(t, pg, name, method, "geheim")
	}
	sum := md5.Sum([]byte("geheim" + "se_xm"))
	addr := map[string]string{}
	config := cluster("pg", "postgres", []string{pg.Addr})
	for _, method := range []string{"secret", "scram-sha-256", "md5", "clear", "trust"} {
		addr[method] = real.FreeAddr()
		config += funnel(method, addr[method], "pg", tlsTable("listener", "prefer", stage.cert), "[listener.auth]", fmt.Sprintf("method = %q", method))
	}
	// se_xs has the secret of another salt than the server's, se_xm one of another kind.
	startSluice(t, racy(t), config+userSection("se_pm", "password", "geheim")+userSection("se_ps", "password", "geheim")+
		userSection("se_vm", "verifier", stored["se_vm"])+userSection("se_vs", "verifier", stored["se_vs"])+
		userSection("se_xm", "verifier", "md5"+hex.EncodeToString(sum[:]))+userSection("se_xs", "verifier", stored["se_vs"]))

	for _, c := range []struct{ method, user, want string }{
		{"secret", "se_pm", "in"}, {"secret", "se_ps", "in"}, {"secret", "se_vm", "in"}, {"secret", "se_vs", "in"},
		{"scram-sha-256", "se_pm", "in"}, {"scram-sha-256", "se_ps", "in"}, {"scram-sha-256", "se_vs", "in"},
		{"scram-sha-256", "se_vm", "wrong"}, // there is nothing that SCRAM could use
		{"md5", "se_pm", "in"}, {"md5", "se_ps", "in"}, {"md5", "se_vm", "in"}, {"md5", "se_vs", "in"},
		{"clear", "se_pm", "in"}, {"clear", "se_ps", "in"}, {"clear", "se_vm", "in"}, {"clear", "se_vs", "in"},
		{"clear", "se_xm", "in"}, {"clear", "se_xs", "in"}, // the password has been shown
		{"trust", "se_pm", "in"}, {"trust", "se_ps", "in"}, {"trust", "se_vm", "in"},
		{"trust", "se_vs", "server"}, // nobody has shown the keys
		{"secret", "se_xm", "server"},
		{"secret", "se_xs", "server's own"}, // the keys are of another salt
	} {
		name := fmt.Sprintf("53 %s as %s: %s", c.method, c.user, c.want)
		if c.user == "se_xs" || c.user == "se_xm" {
			name = strings.Replace(name, "53", "53 pitfall-39", 1)
		}
		t.Run(name, func(t *testing.T) {
			tls := "sslmode=disable"
			if c.method == "clear" {
				tls = verified()
			}
			who := client{user: c.user, password: "geheim", tls: tls}
			got, err := who.whoami(t, addr[c.method])
			switch c.want {
			case "in":
				if err != nil || got != c.user+"@app" {
					t.Errorf("got %q, %v", got, err)
				}
			case "wrong":
				if codeOf(err) != wrong(c.user) {
					t.Errorf("got %q, %v", got, err)
				}
			case "server": // which is not a wrong password of the client's
				if !strings.HasPrefix(codeOf(err), "28000 the server asks user") {
					t.Errorf("got %q, %v", got, err)
				}
			case "server's own":
				if codeOf(err) != wrong(c.user) {
					t.Errorf("got %q, %v", got, err)
				}
			}
			if c.method != "trust" {
				who.password = "falsch"
				who.is(t, addr[c.method], wrong(c.user))
			}
		})
	}
}

// TestFunnelKeysGoOn: who has logged in with SCRAM has shown the keys by which further server connections are
// opened, without being asked again.
func TestFunnelKeysGoOn(t *testing.T) {
	pg := postgres(t, 0)
	verifier := role(t, pg, "go_scram", "scram-sha-256", "geheim")
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 2", `admin-users = ["app"]`)+userSection("go_scram", "verifier", verifier)+users("app"))
	who := client{user: "go_scram", password: "geheim"}
	c, err := who.connect(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	op := operator(t, addr)
	pid := one[int](t, c, "select pg_backend_pid()")
	again := func(t *testing.T) {
		t.Helper()
		next := one[int](t, c, "select pg_backend_pid()")
		if next == pid {
			t.Error("it is the server connection of before")
		}
		pid = next
	}

	t.Run("54 a second client of the user logs in", func(t *testing.T) {
		for range 3 {
			who.is(t, addr, "go_scram@app")
		}
	})
	t.Run("55 a client that is logged in goes on after RECONNECT", func(t *testing.T) {
		tell(t, op, "RECONNECT app")
		again(t)
	})
	t.Run("56 a client that is logged in goes on after its server connections were lost", func(t *testing.T) {
		super(t, pg, "select count(pg_terminate_backend(pid))::text from pg_stat_activity where usename = 'go_scram'")
		eventually(t, func() error {
			if n := super(t, pg, "select count(*)::text from pg_stat_activity where usename = 'go_scram'"); n != "0" {
				return fmt.Errorf("%s are left", n)
			}
			return nil
		})
		again(t)
	})
	t.Run("54 a wrong password is still one", func(t *testing.T) {
		client{user: "go_scram", password: "falsch"}.is(t, addr, wrong("go_scram"))
	})
}

// TestFunnelLookup: where the secrets of users are looked up, and what clients have to do with it.
func TestFunnelLookup(t *testing.T) {
	pg := postgres(t, 0)
	for _, name := range []string{"lo_asked", "lo_conf", "lo_md5"} {
		method := "scram-sha-256"
		if name == "lo_md5" {
			method = "md5"
		}
		role(t, pg, name, method, "geheim")
	}
	// A table of users that is in the database "postgres" alone, and one of an attacker's in "app".
	admin, inApp := connect(t, pg.DSN("postgres", "postgres")), connect(t, pg.DSN("postgres", "app"))
	do(t, admin, "create view public.lo_users as select rolname, rolpassword from pg_authid")
	for _, sql := range []string{"create schema lo_evil", "create table lo_evil.pg_authid (rolname name, rolpassword text)",
		"insert into lo_evil.pg_authid values ('lo_asked', 'planted')", "grant usage on schema lo_evil to public"} {
		do(t, inApp, sql)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "drop view public.lo_users"); err != nil {
			t.Error(err)
		}
		if _, err := inApp.Exec(context.Background(), "drop schema lo_evil cascade"); err != nil {
			t.Error(err)
		}
	})
	const unqualified = "select rolname, rolpassword from pg_authid where rolname = $1"
	addr := map[string]string{}
	config := cluster("pg", "postgres", []string{pg.Addr})
	for name, keys := range map[string][]string{
		"own":      {`query = "` + unqualified + `"`},
		"other":    {`query = "select * from public.lo_users where rolname = $1"`, `query-database = "postgres"`},
		"invalid":  {`query = "` + unqualified + `"`, `query-database = "nowhere"`},
		"broken":   {`query = "select $1, no_such_column"`},
		"constant": {`query = "select $1::text, 'elsewhere'"`},
		"large":    {`query = "select rolname, rolpassword, repeat('x', 60000) from pg_authid where rolname = $1"`},
		"md5":      {`query = "` + unqualified + `"`, `method = "md5"`},
	} {
		addr[name] = real.FreeAddr()
		lines := []string{"pool-size = 2", `admin-users = ["app"]`}
		if name == "own" {
			lines = append(lines, "[[listener.database]]", `name = "forced"`, `target = "app"`, `user = "scram"`, fmt.Sprintf("password = %q", real.Password))
		}
		lines = append(append(lines, "[listener.auth]", `query-user = "scram"`, fmt.Sprintf("query-password = %q", real.Password)), keys...)
		config += funnel(name, addr[name], "pg", lines...)
	}
	s := startSluice(t, racy(t), config+userSection("lo_conf", "password", "geheim")+users("app"))
	known := client{user: "lo_asked", password: "geheim"}

	t.Run("57 in the client's database", func(t *testing.T) {
		known.is(t, addr["own"], "lo_asked@app")
		in := known
		in.database = "postgres"
		in.is(t, addr["own"], "lo_asked@postgres")
	})
	t.Run("57 in a database for all", func(t *testing.T) { known.is(t, addr["other"], "lo_asked@app") })
	t.Run("57 in a database that there is not: nobody gets in, and the log says why", func(t *testing.T) {
		_, err := known.whoami(t, addr["invalid"])
		if err == nil || strings.Contains(err.Error(), "nowhere") {
			t.Errorf("got %v", err)
		}
		logs(t, s, "a user could not be looked up", `database \"nowhere\" does not exist`)
	})
	t.Run("58 a query that fails: the client learns nothing of it, the log does", func(t *testing.T) {
		_, err := known.whoami(t, addr["broken"])
		if err == nil || strings.Contains(err.Error(), "no_such_column") {
			t.Errorf("got %v", err)
		}
		logs(t, s, "a user could not be looked up", "no_such_column", "lo_asked")
	})
	t.Run("58 users of the configuration go before", func(t *testing.T) {
		client{user: "lo_conf", password: "geheim"}.is(t, addr["constant"], "lo_conf@app")
		client{user: "lo_conf", password: "elsewhere"}.is(t, addr["constant"], wrong("lo_conf"))
		client{user: "lo_asked", password: "geheim"}.is(t, addr["constant"], wrong("lo_asked"))
	})
	t.Run("58 a long answer", func(t *testing.T) { known.is(t, addr["large"], "lo_asked@app") })
	t.Run("58 a long name", func(t *testing.T) {
		long := strings.Repeat("n", 3000)
		client{user: long, password: "geheim"}.is(t, addr["own"], wrong(long))
	})
	t.Run("61 a database's own user may be the one who asks", func(t *testing.T) {
		in := known
		in.database = "forced"
		in.is(t, addr["own"], "scram@app")
	})
	t.Run("62 pitfall-40 settings of a client do not reach the query", func(t *testing.T) {
		for _, param := range []string{"search_path=lo_evil", "options=-c%20search_path%3Dlo_evil"} {
			for password, in := range map[string]bool{"planted": false, "geheim": true} {
				dsn := fmt.Sprintf("postgres://lo_asked:%s@%s/app?sslmode=disable&%s", password, addr["own"], param)
				c, err := pgx.Connect(within(t, soon), dsn)
				if (err == nil) != in {
					t.Errorf("%s, password %s: %v", param, password, err)
				}
				if err == nil {
					if got := one[string](t, c, "show search_path"); got != "lo_evil" {
						t.Errorf("the client's own search_path is %q", got)
					}
					c.Close(context.Background())
				}
			}
		}
	})
	t.Run("63 pitfall-34 a newer protocol is negotiated once, before the proof", func(t *testing.T) {
		pg, err := wire.DialPG(addr["md5"])
		if err != nil {
			t.Fatal(err)
		}
		defer pg.Conn.Close()
		pg.Send(wire.Startup(3<<16|9, "user", "lo_md5", "database", "app", "_pq_.no_such", "1"))
		salt := pg.Read("R")
		if len(salt) != 8 {
			t.Fatalf("no salt in %s", pg)
		}
		pg.Ask("Z", wire.Msg('p', append([]byte(md5Proof("lo_md5", "geheim", salt[4:])), 0)))
		pg.Ask("Z", wire.Query("select current_user"))
		if pg.Fault() != nil || strings.Count(pg.String(), "\nv ")+strings.Count(pg.String()[:2], "v ") != 1 || !strings.HasPrefix(pg.String(), "v ") {
			t.Errorf("%v in\n%s", pg.Fault(), pg)
		}
		wants(t, pg.String(), "_pq_.no_such", "lo_md5")
		c := connect(t, fmt.Sprintf("postgres://lo_asked:geheim@%s/app?sslmode=disable&max_protocol_version=3.2", addr["own"]))
		if got := one[string](t, c, "select current_user::text"); got != "lo_asked" {
			t.Errorf("by protocol 3.2: %q", got)
		}
	})
}

// md5Proof is what a client answers to AuthenticationMD5Password.
func md5Proof(user, password string, salt []byte) string {
	inner := md5.Sum([]byte(password + user))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt...))
	return "md5" + hex.EncodeToString(outer[:])
}

// TestFunnelPasswordChange: a password changes at the server. Who is in goes on, with the new one.
func TestFunnelPasswordChange(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "pc_conf", "scram-sha-256", "alt")
	role(t, pg, "pc_asked", "scram-sha-256", "alt")
	addr, brief := real.FreeAddr(), real.FreeAddr()
	config := func(password string) string {
		ask := []string{"[listener.auth]", `query = "select rolname, rolpassword from pg_catalog.pg_authid where rolname = $1"`,
			`query-user = "scram"`, fmt.Sprintf("query-password = %q", real.Password), `query-cache = "0s"`}
		return cluster("pg", "postgres", []string{pg.Addr}) +
			funnel("pool", addr, "pg", append([]string{"pool-size = 1", `admin-users = ["app"]`}, ask...)...) +
			funnel("brief", brief, "pg", append([]string{"pool-size = 1", `server-lifetime = "1s"`}, ask...)...) +
			userSection("pc_conf", "password", password) + users("app")
	}
	s := startSluice(t, racy(t), config("alt"))
	open := func(t *testing.T, addr, user, password string) *pgx.Conn {
		t.Helper()
		c, err := client{user: user, password: password}.connect(t, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		return c
	}
	t.Run("59 of a user that is looked up, by RECONNECT and by lifetime", func(t *testing.T) {
		c, d := open(t, addr, "pc_asked", "alt"), open(t, brief, "pc_asked", "alt")
		pid, pid2 := one[int](t, c, "select pg_backend_pid()"), one[int](t, d, "select pg_backend_pid()")
		super(t, pg, "alter role pc_asked password 'neu'")
		client{user: "pc_asked", password: "neu"}.is(t, addr, "pc_asked@app")
		client{user: "pc_asked", password: "neu"}.is(t, brief, "pc_asked@app")
		client{user: "pc_asked", password: "alt"}.is(t, addr, wrong("pc_asked"))
		tell(t, operator(t, addr), "RECONNECT app")
		if one[int](t, c, "select pg_backend_pid()") == pid {
			t.Error("the server connection has not been replaced")
		}
		eventually(t, func() error {
			if one[int](t, d, "select pg_backend_pid()") == pid2 {
				return errors.New("the server connection has not been replaced")
			}
			return nil
		})
	})
	t.Run("59 of a user of the configuration", func(t *testing.T) {
		c := open(t, addr, "pc_conf", "alt")
		do(t, c, "select 1")
		super(t, pg, "alter role pc_conf password 'neu'")
		if err := s.Reload(config("neu")); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			_, err := client{user: "pc_conf", password: "neu"}.whoami(t, addr)
			return err
		})
		client{user: "pc_conf", password: "alt"}.is(t, addr, wrong("pc_conf"))
		tell(t, operator(t, addr), "RECONNECT app")
		do(t, c, "select 1")
	})
}

// TestFunnelCertificateRule: a rule asks some for a certificate.
func TestFunnelCertificateRule(t *testing.T) {
	mine, err := stage.ca.Issue("rule-app", "app")
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := real.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	others, err := strangers.Issue("rule-app", "app")
	if err != nil {
		t.Fatal(err)
	}
	addr, optional := real.FreeAddr(), real.FreeAddr()
	asks := func(name, addr, mode string) string {
		return funnel(name, addr, "pg", tlsTable("listener", mode, stage.cert), fmt.Sprintf("ca = %q", stage.ca.CertFile),
			"[[listener.rule]]", `user = ["app"]`, `method = "cert"`, "[[listener.rule]]", `tls = "only"`, `method = "scram-sha-256"`)
	}
	startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+
		asks("pool", addr, "verify-ca")+asks("optional", optional, "require")+users("app", "scram"))
	with := verified() + "&sslcert=" + mine.CertFile + "&sslkey=" + mine.KeyFile
	t.Run("60 with the user's certificate", func(t *testing.T) { client{user: "app", tls: with}.is(t, addr, "app@app") })
	t.Run("60 another user still needs a password", func(t *testing.T) {
		client{user: "scram", password: real.Password, tls: with}.is(t, addr, "scram@app")
		client{user: "scram", password: "falsch", tls: with}.is(t, addr, wrong("scram"))
	})
	t.Run("60 without a certificate", func(t *testing.T) {
		if got, err := (client{user: "app", password: real.Password, tls: verified()}).whoami(t, addr); err == nil {
			t.Errorf("%s is in", got)
		}
	})
	t.Run("60 only who has to show one needs one", func(t *testing.T) {
		client{user: "app", tls: with}.is(t, optional, "app@app")
		client{user: "scram", password: real.Password, tls: verified()}.is(t, optional, "scram@app")
		for _, tls := range []string{verified(), verified() + "&sslcert=" + others.CertFile + "&sslkey=" + others.KeyFile} {
			if got, err := (client{user: "app", password: real.Password, tls: tls}).whoami(t, optional); err == nil {
				t.Errorf("%s is in by %s", got, tls)
			}
		}
	})
}

// TestFunnelLoginCounters: what logins are counted as.
func TestFunnelLoginCounters(t *testing.T) {
	s, addr := startFunnel(t)
	for range 3 {
		client{user: "app", password: real.Password}.is(t, addr, "app@app")
	}
	for range 2 {
		client{user: "app", password: "falsch"}.is(t, addr, wrong("app"))
	}
	t.Run("65 those that succeeded", func(t *testing.T) { await(t, s, 3, "sluice_logins_total", `listener="pool"`) })
	t.Run("65 those that were refused", func(t *testing.T) {
		await(t, s, 2, "sluice_connections_refused_total", `outcome="login_refused"`)
		await(t, s, 0, "sluice_logins_in_progress")
	})
}

// TestFunnelUnknown: who does not know a password does not learn whether there is such a user or database.
func TestFunnelUnknown(t *testing.T) {
	pg := postgres(t, 0)
	list := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(list, []byte(`"md5user" "`+real.Password+`"`), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := map[string]string{}
	config := cluster("pg", "postgres", []string{pg.Addr})
	methods := []string{"secret", "scram-sha-256", "md5", "clear"}
	for _, method := range methods {
		addr[method] = real.FreeAddr()
		config += funnel(method, addr[method], "pg", "databases-any = false", "[[listener.database]]", `name = "app"`,
			tlsTable("listener", "prefer", stage.cert), "[listener.auth]", fmt.Sprintf("method = %q", method), fmt.Sprintf("userlist = %q", list))
	}
	startSluice(t, racy(t), config)
	for _, method := range methods {
		tls := "sslmode=disable"
		if method == "clear" {
			tls = verified()
		}
		known := client{user: "md5user", password: real.Password, tls: tls}
		t.Run("66 pitfall-40 "+method, func(t *testing.T) {
			known.is(t, addr[method], "md5user@app")
			for _, c := range []client{
				{user: "md5user", password: "falsch"},
				{user: "nobody", password: "falsch"},
				{user: "md5user", password: "falsch", database: "nowhere"},
				{user: "md5user", password: real.Password, database: "nowhere"},
				{user: "nobody", password: real.Password, database: "nowhere"},
			} {
				c.tls = tls
				c.is(t, addr[method], wrong(c.user))
			}
		})
	}
	t.Run("66 pitfall-40 the conversation is the same, message by message", func(t *testing.T) {
		var shapes []string
		for _, who := range [][2]string{{"md5user", "app"}, {"nobody", "app"}, {"md5user", "nowhere"}, {"nobody", "nowhere"}} {
			c, err := wire.DialPG(addr["md5"])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Conn.Close()
			c.Send(wire.Startup(wire.V30, "user", who[0], "database", who[1]))
			c.Read("R")
			c.Send(wire.Msg('p', append([]byte(md5Proof(who[0], "falsch", []byte("salt"))), 0)))
			c.Read("$")
			shapes = append(shapes, strings.ReplaceAll(c.String(), who[0], "USER"))
		}
		for i, shape := range shapes {
			if shape != shapes[0] {
				t.Errorf("%d:\n%s\nand not as for who is known:\n%s", i, shape, shapes[0])
			}
		}
	})
}

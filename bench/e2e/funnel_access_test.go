package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
)

// super runs statements at the server itself, and returns the text of the last one's first column.
func super(t *testing.T, pg *real.Postgres, statements ...string) (text string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), pg.DSN("postgres", "app")+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for _, s := range statements {
		rows, err := c.Query(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		for rows.Next() {
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
		}
		if rows.Err() != nil {
			t.Fatalf("%s: %v", s, rows.Err())
		}
	}
	return text
}

// role creates a role for the time of the test, with a secret stored by that method, and returns what
// the server stores.
func role(t *testing.T, pg *real.Postgres, name, method, password string) (stored string) {
	t.Helper()
	stored = super(t, pg, fmt.Sprintf("set password_encryption = '%s'", method),
		fmt.Sprintf("create role %s login in role pooled password '%s'", name, password),
		fmt.Sprintf("select rolpassword from pg_authid where rolname = '%s'", name))
	t.Cleanup(func() {
		c, err := pgx.Connect(context.Background(), pg.DSN("postgres", "app"))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close(context.Background())
		if _, err := c.Exec(context.Background(), "drop role "+name); err != nil {
			t.Error(err)
		}
	})
	return stored
}

// client says how to log in at a funnel: from an address, by libpq's words for TLS.
type client struct{ user, password, database, from, tls string }

// whoami logs in and returns who and where it is then: "user@database".
func (c client) whoami(t *testing.T, addr string) (string, error) {
	t.Helper()
	conn, err := c.connect(t, addr)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	var at string
	err = conn.QueryRow(t.Context(), "select current_user || '@' || current_database()").Scan(&at)
	return at, err
}

func (c client) connect(t *testing.T, addr string) (*pgx.Conn, error) {
	t.Helper()
	cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://%s/?%s", addr, cmp.Or(c.tls, "sslmode=disable")))
	if err != nil {
		t.Fatal(err)
	}
	cfg.User, cfg.Password, cfg.Database = c.user, c.password, c.database
	if c.database == "" {
		cfg.Database = "app"
	}
	if c.from != "" {
		cfg.DialFunc = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}).DialContext
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	return pgx.ConnectConfig(ctx, cfg)
}

// codeOf is the SQLSTATE of an error and its message.
func codeOf(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return said.Code + " " + said.Message
	}
	return fmt.Sprint(err)
}

// is logs in and compares what comes of it.
func (c client) is(t *testing.T, addr, want string) {
	t.Helper()
	got, err := c.whoami(t, addr)
	if err != nil {
		got = codeOf(err)
	}
	if got != want {
		t.Errorf("%s: got %q, want %q", c.user, got, want)
	}
}

func wrong(user string) string {
	return fmt.Sprintf("28P01 password authentication failed for user %q", user)
}

// TestFunnelUserlist logs in as users of a list, in each form of a secret, and changes the list.
func TestFunnelUserlist(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "ul_plain", "scram-sha-256", "geheim")
	md5 := role(t, pg, "ul_md5", "md5", "geheim")
	scram := role(t, pg, "ul_scram", "scram-sha-256", "geheim")
	if !strings.HasPrefix(md5, "md5") || !strings.HasPrefix(scram, "SCRAM-SHA-256$") {
		t.Fatalf("the server stores %q and %q", md5, scram)
	}
	list := filepath.Join(t.TempDir(), "userlist.txt")
	write := func(lines ...string) {
		if err := os.WriteFile(list, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	quoted := func(name, secret string) string { return `"` + name + `" "` + secret + `"` }
	write("; users", quoted("ul_plain", "geheim"), quoted("ul_md5", md5), quoted("ul_scram", scram))
	addr := real.FreeAddr()
	config := cluster("pg", "postgres", []string{pg.Addr}) +
		funnel("pool", addr, "pg", fmt.Sprintf("auth.userlist = %q", list))
	s := startSluice(t, racy(t), config)

	for _, user := range []string{"ul_plain", "ul_md5", "ul_scram"} {
		client{user: user, password: "geheim"}.is(t, addr, user+"@app")
		client{user: user, password: "falsch"}.is(t, addr, wrong(user))
		client{user: user, password: ""}.is(t, addr, wrong(user))
	}
	client{user: "ul_nobody", password: "geheim"}.is(t, addr, wrong("ul_nobody"))

	write(quoted("ul_md5", md5), quoted("ul_scram", "another"))
	if err := s.Reload(config); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if got, err := (client{user: "ul_plain", password: "geheim"}).whoami(t, addr); err == nil {
			return fmt.Errorf("who was taken off the list is %s", got)
		}
		return nil
	})
	client{user: "ul_scram", password: "geheim"}.is(t, addr, wrong("ul_scram"))
	client{user: "ul_md5", password: "geheim"}.is(t, addr, "ul_md5@app")

	write("not a list")
	if err := s.Reload(config); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !strings.Contains(s.Log(), "line 1: the name does not stand in double quotes") {
			return errors.New("the log does not say what is wrong")
		}
		return nil
	})
	client{user: "ul_md5", password: "geheim"}.is(t, addr, "ul_md5@app")
}

// TestFunnelAuthQuery: users whom the server alone knows; their passwords change and expire there.
func TestFunnelAuthQuery(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "aq_scram", "scram-sha-256", "geheim")
	role(t, pg, "aq_md5", "md5", "geheim")
	role(t, pg, "aq_old", "scram-sha-256", "geheim")
	super(t, pg, "alter role aq_old valid until 'yesterday'")
	addr := real.FreeAddr()
	const query = "select rolname, rolpassword from pg_catalog.pg_authid where rolname = $1 and rolcanlogin " +
		"and (rolvaliduntil is null or rolvaliduntil > pg_catalog.now())"
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "server-idle-timeout = \"1s\"", "[listener.auth]", fmt.Sprintf("query = %q", query),
			`query-user = "scram"`, fmt.Sprintf("query-password = %q", real.Password), `query-cache = "1h"`))

	client{user: "aq_scram", password: "geheim"}.is(t, addr, "aq_scram@app")
	client{user: "aq_scram", password: "geheim", database: "postgres"}.is(t, addr, "aq_scram@postgres")
	client{user: "aq_md5", password: "geheim"}.is(t, addr, "aq_md5@app")
	for _, user := range []string{"aq_scram", "aq_md5"} {
		client{user: user, password: "falsch"}.is(t, addr, wrong(user))
	}
	client{user: "aq_old", password: "geheim"}.is(t, addr, wrong("aq_old"))
	client{user: "aq_nobody", password: "geheim"}.is(t, addr, wrong("aq_nobody"))
	client{user: "aq_scram", password: "geheim", database: "nowhere"}.is(t, addr, wrong("aq_scram"))
	client{user: "aq_scram'; drop role aq_md5 --", password: "geheim"}.is(t, addr, wrong("aq_scram'; drop role aq_md5 --"))

	// A new password is noticed by the old answer's failing.
	super(t, pg, "alter role aq_scram password 'neu'")
	eventually(t, func() error {
		_, err := client{user: "aq_scram", password: "neu"}.whoami(t, addr)
		return err
	})
	client{user: "aq_scram", password: "geheim"}.is(t, addr, wrong("aq_scram"))
}

// TestFunnelRules: the first rule that fits says how a client has to prove who it is.
func TestFunnelRules(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "ru_app", "scram-sha-256", "geheim")
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg",
			"[[listener.rule]]", `from = ["127.0.0.5"]`, `method = "reject"`,
			"[[listener.rule]]", `user = ["app"]`, `from = ["127.0.0.6/31"]`, `method = "trust"`,
			"[[listener.rule]]", `database = ["sameuser"]`, `method = "scram-sha-256"`,
			"[[listener.rule]]", `tls = "never"`, `user = ["ru_app"]`, `database = ["app"]`)+
		users("app")+section("[[user]]", `name = "ru_app"`, `password = "geheim"`))

	client{user: "ru_app", password: "geheim"}.is(t, addr, "ru_app@app")
	client{user: "app", from: "127.0.0.6"}.is(t, addr, "app@app")
	client{user: "app", from: "127.0.0.7", database: "postgres"}.is(t, addr, "app@postgres")
	client{user: "app", password: real.Password, from: "127.0.0.8"}.is(t, addr, "app@app") // sameuser
	client{user: "app", from: "127.0.0.8"}.is(t, addr, wrong("app"))
	for _, c := range []client{
		{user: "ru_app", password: "geheim", from: "127.0.0.5"},
		{user: "app", from: "127.0.0.5"},
		{user: "app", password: real.Password, database: "postgres"},
		{user: "nobody", password: "geheim"},
	} {
		if got, err := c.whoami(t, addr); err == nil || !strings.HasPrefix(codeOf(err), "28000 ") {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

// TestFunnelDatabases: names that stand for others, databases with a user of their own, and those that
// are not to be used.
func TestFunnelDatabases(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "databases-any = false",
			"[[listener.database]]", `name = "alias"`, `target = "app"`,
			"[[listener.database]]", `name = "forced"`, `target = "postgres"`, `user = "scram"`, fmt.Sprintf("password = %q", real.Password),
			"[[listener.database]]", `name = "owned"`, `target = "app"`, `user = "md5user"`)+
		users("app", "md5user"))
	client{user: "app", password: real.Password, database: "alias"}.is(t, addr, "app@app")
	client{user: "app", password: real.Password, database: "forced"}.is(t, addr, "scram@postgres")
	client{user: "app", password: real.Password, database: "owned"}.is(t, addr, "md5user@app")
	client{user: "app", password: real.Password, database: "postgres"}.is(t, addr, wrong("app"))
	client{user: "app", password: "falsch", database: "postgres"}.is(t, addr, wrong("app"))
	client{user: "app", password: "falsch", database: "alias"}.is(t, addr, wrong("app"))
}

// TestFunnelLimits: how many clients a user and a database may have, and how many server connections.
func TestFunnelLimits(t *testing.T) {
	pg := postgres(t, 0)
	role(t, pg, "li_few", "scram-sha-256", "geheim")
	role(t, pg, "li_one", "scram-sha-256", "geheim")
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "[[listener.database]]", `name = "small"`, `target = "app"`, "max-connections = 3")+
		section("[[user]]", `name = "li_few"`, `password = "geheim"`, "max-connections = 2")+
		section("[[user]]", `name = "li_one"`, `password = "geheim"`, "pool-size = 1", `unit = "session"`)+users("app"))

	fill := func(c client, n int) []*pgx.Conn {
		t.Helper()
		var open []*pgx.Conn
		for range n {
			conn, err := c.connect(t, addr)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			open = append(open, conn)
		}
		if _, err := c.connect(t, addr); err == nil || !strings.HasPrefix(codeOf(err), "53300 ") {
			t.Errorf("%+v: one too many: %v", c, err)
		}
		return open
	}
	few := client{user: "li_few", password: "geheim"}
	open := fill(few, 2)
	if err := open[0].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { _, err := few.whoami(t, addr); return err })
	fill(client{user: "app", password: real.Password, database: "small"}, 3)

	// One server connection for the user's clients, each of which has it to its end.
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := (client{user: "li_one", password: "geheim"}).whoami(t, addr); err != nil || got != "li_one@app" {
				t.Errorf("li_one: got %q, %v", got, err)
			}
			if n := super(t, pg, "select count(*)::text from pg_stat_activity where usename = 'li_one'"); n > "1" {
				t.Errorf("%s server connections", n)
			}
		})
	}
	all.Wait()
}

// TestFunnelListen: many clients listen over one server connection for all of them, and hear what is
// notified, also after that connection was lost.
func TestFunnelListen(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 1")+users("app"))
	app := client{user: "app", password: real.Password}
	var ears []*pgx.Conn
	for i := range 10 {
		c, err := app.connect(t, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		if _, err := c.Exec(t.Context(), fmt.Sprintf("LISTEN ch%d", i%2), pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		ears = append(ears, c)
	}
	hear := func(i int, limit time.Duration) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		n, err := ears[i].WaitForNotification(ctx)
		if err != nil {
			return "", err
		}
		return n.Channel + " " + n.Payload, nil
	}
	speaker := connect(t, funnelDSN(addr, "app", ""))
	say := func(text string) {
		t.Helper()
		for _, channel := range []string{"ch0", "ch1"} {
			if _, err := speaker.Exec(t.Context(), "select pg_notify($1, $2)", channel, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	say("first")
	for i := range ears {
		want := fmt.Sprintf("ch%d first", i%2)
		if got, err := hear(i, soon); err != nil || got != want {
			t.Errorf("client %d: got %q, %v, want %q", i, got, err, want)
		}
	}
	const shared = "from pg_stat_activity where application_name = 'sluice' and query ~* '^listen'"
	if n := super(t, pg, "select count(*)::text "+shared); n != "1" {
		t.Errorf("%s connections listen", n)
	}
	// Who listens shares its server connection all the same.
	for i := range ears {
		var one int
		if err := ears[i].QueryRow(t.Context(), "select 1").Scan(&one); err != nil || one != 1 {
			t.Errorf("client %d: %d, %v", i, one, err)
		}
	}
	super(t, pg, "select pg_terminate_backend(pid)::text "+shared)
	eventually(t, func() error {
		if n := super(t, pg, "select count(*)::text "+shared); n != "1" {
			return fmt.Errorf("%s connections listen", n)
		}
		return nil
	})
	if _, err := ears[1].Exec(t.Context(), "UNLISTEN ch1", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	// The last of the two LISTENs may just be under way.
	eventually(t, func() error {
		say("again")
		for _, i := range []int{0, 3} {
			want := fmt.Sprintf("ch%d again", i%2)
			if got, err := hear(i, time.Second); err != nil || got != want {
				return fmt.Errorf("client %d: got %q, %v, want %q", i, got, err, want)
			}
		}
		return nil
	})
	if got, err := hear(1, 100*time.Millisecond); err == nil {
		t.Errorf("who does not listen any more hears %q", got)
	}
}

// TestFunnelTLS: what a login needs TLS for, towards clients and servers.
func TestFunnelTLS(t *testing.T) {
	pg := postgres(t, 0)
	app, err := stage.ca.Issue("funnel-app", "app")
	if err != nil {
		t.Fatal(err)
	}
	plain, certs, strict := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	const query = "select rolname, rolpassword from pg_catalog.pg_authid where rolname = $1"
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		cluster("secure", "postgres", []string{pg.Addr}, tlsCA("cluster", "verify-full"))+
		funnel("plain", plain, "pg", tlsTable("listener", "prefer", stage.cert),
			"[[listener.rule]]", `user = ["scram"]`, `tls = "only"`, `method = "scram-sha-256"`,
			"[[listener.rule]]", `user = ["md5user"]`, `method = "clear"`)+
		funnel("certs", certs, "pg", tlsTable("listener", "verify-ca", stage.cert), fmt.Sprintf("ca = %q", stage.ca.CertFile),
			"[listener.auth]", `method = "cert"`)+
		funnel("strict", strict, "secure", tlsTable("listener", "require", stage.cert),
			"[listener.auth]", fmt.Sprintf("query = %q", query), `query-user = "tlsonly"`, fmt.Sprintf("query-password = %q", real.Password))+
		users("app", "scram", "md5user"))
	verified := "sslmode=verify-full&sslrootcert=" + stage.ca.CertFile
	withCert := verified + "&sslcert=" + app.CertFile + "&sslkey=" + app.KeyFile

	client{user: "scram", password: real.Password, tls: verified}.is(t, plain, "scram@app")
	client{user: "scram", password: real.Password, tls: verified + "&channel_binding=require"}.is(t, plain, "scram@app")
	client{user: "md5user", password: real.Password, tls: verified}.is(t, plain, "md5user@app")
	client{user: "md5user", password: "falsch", tls: verified}.is(t, plain, wrong("md5user"))
	for _, user := range []string{"scram", "md5user"} {
		if _, err := (client{user: user, password: real.Password}).whoami(t, plain); err == nil || !strings.HasPrefix(codeOf(err), "28000 ") {
			t.Errorf("%s without TLS: %v", user, err)
		}
	}

	client{user: "app", tls: withCert}.is(t, certs, "app@app")
	for _, c := range []client{
		{user: "scram", password: real.Password, tls: withCert}, // another's certificate
		{user: "app", password: real.Password, tls: verified},   // none
		{user: "app", password: real.Password},                  // no TLS
	} {
		if got, err := c.whoami(t, certs); err == nil {
			t.Errorf("%+v is %s", c, got)
		}
	}

	// The server lets this user in over TLS only, and so does the query for its secret.
	client{user: "tlsonly", password: real.Password, tls: verified}.is(t, strict, "tlsonly@app")
}

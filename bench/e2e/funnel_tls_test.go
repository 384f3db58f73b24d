package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

const overTLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"

// TestFunnelServerTLS: how server connections are protected, and whom they trust.
func TestFunnelServerTLS(t *testing.T) {
	t.Parallel() // most of it is waiting
	pg := postgres(t, 0)
	certuser, err := stage.ca.Issue("funnel-certuser", "certuser")
	if err != nil {
		t.Fatal(err)
	}
	strange, err := real.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(real.Port(pg.Addr))
	config := users("app", "scram", "tlsonly") + userSection("certuser", "password", "of no use to the server")
	addr := map[string]string{}
	for name, c := range map[string]struct{ server, tls string }{
		"disable":     {pg.Addr, "[cluster.tls]\nmode = \"disable\""},
		"prefer":      {pg.Addr, "[cluster.tls]\nmode = \"prefer\""},
		"require":     {pg.Addr, "[cluster.tls]\nmode = \"require\""},
		"verify-ca":   {pg.Addr, tlsCA("cluster", "verify-ca")},
		"verify-full": {"localhost:" + port, tlsCA("cluster", "verify-full")},
		"other-ca":    {pg.Addr, fmt.Sprintf("[cluster.tls]\nmode = \"verify-ca\"\nca = %q", strange.CertFile)},
		"other-name":  {pg.Addr, tlsCA("cluster", "verify-full") + "\nserver-name = \"elsewhere\""},
		"named":       {pg.Addr, tlsCA("cluster", "verify-full") + "\nserver-name = \"localhost\""},
		"cert":        {pg.Addr, tlsTable("cluster", "require", certuser)},
	} {
		addr[name] = real.FreeAddr()
		config += cluster(name, "postgres", []string{c.server}, `retry-timeout = "0s"`, c.tls) + funnel(name, addr[name], name)
	}
	startSluice(t, racy(t), config)
	for _, c := range []struct {
		name, user string
		works, tls bool
	}{
		{"disable", "app", true, false}, {"prefer", "app", true, true}, {"require", "app", true, true},
		{"verify-ca", "app", true, true}, {"verify-full", "app", true, true}, {"named", "app", true, true},
		{"other-ca", "app", false, false}, {"other-name", "app", false, false},
		{"disable", "tlsonly", false, false}, {"require", "tlsonly", true, true},
		{"verify-full", "scram", true, true}, // with channel binding, which the server offers
		{"cert", "certuser", true, true},
	} {
		number := "85"
		if c.user == "certuser" || c.user == "scram" {
			number = "89"
		}
		t.Run(fmt.Sprintf("%s mode %s, user %s", number, c.name, c.user), func(t *testing.T) {
			password := real.Password
			if c.user == "certuser" {
				password = "of no use to the server"
			}
			conn, err := client{user: c.user, password: password}.connect(t, addr[c.name])
			if err != nil {
				if c.works {
					t.Error(err)
				}
				return
			}
			defer conn.Close(context.Background())
			if !c.works {
				t.Fatal("a session comes of it")
			}
			if got := one[bool](t, conn, overTLS); got != c.tls {
				t.Errorf("TLS: %v", got)
			}
		})
	}
}

// TestFunnelTLSReload changes what protects connections, on both sides, while clients are there.
func TestFunnelTLSReload(t *testing.T) {
	pg := postgres(t, 0)
	strange, err := real.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	addr := real.FreeAddr()
	config := func(clients, servers string) string {
		return cluster("pg", "postgres", []string{pg.Addr}, servers) +
			funnel("pool", addr, "pg", "pool-size = 2", `admin-users = ["app"]`, clients) + users("app", "scram")
	}
	off, on := "[listener.tls]\nmode = \"disable\"", tlsTable("listener", "prefer", stage.cert)
	serverOff, serverOn := "[cluster.tls]\nmode = \"disable\"", tlsCA("cluster", "verify-full")
	s := startSluice(t, racy(t), config(off, serverOff))
	reload := func(t *testing.T, config string) {
		t.Helper()
		if err := s.Reload(config); err != nil {
			t.Fatal(err)
		}
	}
	who := client{user: "scram", password: real.Password}
	c := who.enter(t, addr)
	pid := one[int](t, c, "select pg_backend_pid()")
	come := func(t *testing.T, tls string, in bool) {
		t.Helper()
		with := who
		with.tls = tls
		eventually(t, func() error {
			_, err := with.whoami(t, addr)
			if (err == nil) != in {
				return fmt.Errorf("%s: %v", tls, err)
			}
			return nil
		})
	}
	t.Run("86 TLS for clients comes by SIGHUP", func(t *testing.T) {
		come(t, verified(), false)
		reload(t, config(on, serverOff))
		come(t, verified(), true)
		come(t, "sslmode=disable", true)
	})
	t.Run("86 it becomes a must by the console's RELOAD", func(t *testing.T) {
		op := operator(t, addr)
		if err := s.WriteConfig(config(tlsTable("listener", "require", stage.cert), serverOff)); err != nil {
			t.Fatal(err)
		}
		tell(t, op, "RELOAD")
		come(t, "sslmode=disable", false)
		come(t, verified(), true)
	})
	t.Run("86 another certificate is shown", func(t *testing.T) {
		reload(t, config(tlsTable("listener", "require", stage.otherCert), serverOff))
		eventually(t, func() error {
			conn, err := tls.Dial("tcp", addr, clientTLS("postgresql"))
			if err != nil {
				return err
			}
			defer conn.Close()
			if string(conn.ConnectionState().PeerCertificates[0].Raw) != string(stage.otherCert.TLS.Certificate[0]) {
				return errors.New("the old one")
			}
			return nil
		})
	})
	t.Run("86 SET of a file is refused", func(t *testing.T) {
		op := connect(t, strings.Replace(consoleDSN(addr, "app", "sluice", "&default_query_exec_mode=simple_protocol"), "sslmode=disable", verified(), 1))
		if code := refusal(t, op, "SET listener.pool.tls.mode = disable"); code != "0A000" && code != "42704" {
			t.Errorf("got %s", code)
		}
	})
	t.Run("87 a client that is in stays, and so does its server connection", func(t *testing.T) {
		if got := one[int](t, c, "select pg_backend_pid()"); got != pid {
			t.Error("another server connection")
		}
	})
	t.Run("87 a reload that changes nothing keeps all connections", func(t *testing.T) {
		reloads := strings.Count(s.Log(), "reloaded")
		reload(t, config(tlsTable("listener", "require", stage.otherCert), serverOff))
		eventually(t, func() error {
			if strings.Count(s.Log(), "reloaded") == reloads {
				return errors.New("no reload yet")
			}
			return nil
		})
		if got := one[int](t, c, "select pg_backend_pid()"); got != pid {
			t.Error("another server connection")
		}
	})
	t.Run("88 other TLS towards the servers: connections are replaced, clients stay", func(t *testing.T) {
		do(t, c, "begin")
		do(t, c, "select 1")
		reload(t, config(on, serverOn))
		eventually(t, func() error { // the old ones are not used for anything new
			conn, err := who.connect(t, addr)
			if err != nil {
				return err
			}
			defer conn.Close(context.Background())
			if !one[bool](t, conn, overTLS) {
				return errors.New("without TLS")
			}
			return nil
		})
		if one[bool](t, c, overTLS) {
			t.Error("a transaction has changed its server connection")
		}
		do(t, c, "commit")
		if !one[bool](t, c, overTLS) {
			t.Error("the old server connection is used again")
		}
	})
	t.Run("86 other authorities for the servers", func(t *testing.T) {
		reload(t, config(on, fmt.Sprintf("retry-timeout = \"0s\"\n[cluster.tls]\nmode = \"verify-ca\"\nca = %q", strange.CertFile)))
		come(t, "sslmode=disable", false)
		reload(t, config(on, serverOn))
		come(t, "sslmode=disable", true)
	})
}

// TestFunnelClientTLS: the ways in which clients come by TLS, and go.
func TestFunnelClientTLS(t *testing.T) {
	pg := postgres(t, 0)
	addr, newest, must := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 1", tlsTable("listener", "prefer", stage.cert), "[listener.auth]", `method = "trust"`)+
		funnel("newest", newest, "pg", tlsTable("listener", "prefer", stage.cert)+"\nmin-version = \"1.3\"", "[listener.auth]", `method = "trust"`)+
		funnel("must", must, "pg", tlsTable("listener", "require", stage.cert), "[listener.auth]", `method = "trust"`)+users("app"))
	version := func(addr string, v uint16) error {
		cfg := clientTLS("postgresql")
		cfg.MinVersion, cfg.MaxVersion = v, v
		conn, err := tls.Dial("tcp", addr, cfg)
		if err == nil {
			defer conn.Close()
			c := wire.NewPG(conn)
			c.Login()
			err = c.Fault()
		}
		return err
	}
	t.Run("91 TLS 1.3 and 1.2", func(t *testing.T) {
		for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if err := version(addr, v); err != nil {
				t.Errorf("%s: %v", tls.VersionName(v), err)
			}
		}
	})
	t.Run("91 TLS 1.3 alone", func(t *testing.T) {
		if err := version(newest, tls.VersionTLS13); err != nil {
			t.Error(err)
		}
		if err := version(newest, tls.VersionTLS12); err == nil {
			t.Error("TLS 1.2 is taken")
		}
	})
	t.Run("91 nothing older than TLS 1.2", func(t *testing.T) {
		if err := version(addr, tls.VersionTLS11); err == nil {
			t.Error("TLS 1.1 is taken")
		}
	})
	t.Run("92 pitfall-36 TLS without asking", func(t *testing.T) { testDirectTLS(t, addr) })
	t.Run("92 pitfall-36 TLS without asking, by pgx", func(t *testing.T) {
		who := client{user: "app", tls: verified() + "&sslnegotiation=direct"}
		who.is(t, addr, "app@app")
		who.is(t, must, "app@app")
	})
	t.Run("92 pitfall-35 bytes behind the request for TLS", func(t *testing.T) { testInjected(t, addr) })
	t.Run("92 pitfall-37 GSS is declined, then TLS", func(t *testing.T) {
		for _, first := range [][]byte{wire.GSSENCRequest(), nil} {
			c, err := wire.DialPG(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Conn.Close()
			if first != nil {
				c.Send(first)
				if b := c.Byte(); b != 'N' {
					t.Fatalf("GSS: %q", b)
				}
			}
			c.Send(wire.SSLRequest())
			if b := c.Byte(); b != 'S' {
				t.Fatalf("TLS: %q", b)
			}
			conn := tls.Client(c.Conn, clientTLS())
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			in := wire.NewPG(conn)
			in.Login()
			if in.Fault() != nil {
				t.Error(in.String())
			}
			in.End()
		}
	})
	t.Run("92 pitfall-37 GSS, then plain", func(t *testing.T) {
		c, err := wire.DialPG(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Conn.Close()
		c.Send(wire.GSSENCRequest())
		if b := c.Byte(); b != 'N' {
			t.Fatalf("GSS: %q", b)
		}
		c.Login()
		if c.Fault() != nil {
			t.Error(c.String())
		}
		c.End()
	})
	t.Run("92 pitfall-38 TLS is a must", func(t *testing.T) {
		_, err := client{user: "app"}.whoami(t, must)
		if code := codeOf(err); !strings.HasPrefix(code, "28000 ") {
			t.Errorf("got %s", code)
		}
	})
	t.Run("93 the end of TLS is announced", func(t *testing.T) {
		conn, err := tls.Dial("tcp", addr, clientTLS("postgresql"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := wire.NewPG(conn)
		c.Login()
		c.Send(wire.Terminate())
		if _, err := c.Reader().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("93 clients that go in either way are no warning", func(t *testing.T) {
		before := len(s.Log())
		for _, bye := range []func(*tls.Conn, *wire.PG){
			func(_ *tls.Conn, c *wire.PG) { c.End() },
			func(conn *tls.Conn, _ *wire.PG) { conn.Close() },
			func(conn *tls.Conn, _ *wire.PG) { conn.NetConn().Close() },
		} {
			conn, err := tls.Dial("tcp", addr, clientTLS("postgresql"))
			if err != nil {
				t.Fatal(err)
			}
			c := wire.NewPG(conn)
			c.Login()
			bye(conn, c)
			await(t, s, 0, "sluice_sessions", `listener="pool"`)
		}
		for _, word := range []string{"WARN", "ERROR"} {
			if log := s.Log()[before:]; strings.Contains(log, word) {
				t.Errorf("%s in\n%s", word, log)
			}
		}
	})
}

// TestFunnelReplicationTLS streams the log with TLS on both sides.
func TestFunnelReplicationTLS(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr}, tlsCA("cluster", "verify-full"))+
		funnel("pool", addr, "pg", tlsTable("listener", "require", stage.cert))+users("tlsonly", "scram"))
	t.Run("90 commands of replication", func(t *testing.T) {
		cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://scram@%s/app?replication=database&default_query_exec_mode=simple_protocol&%s", addr, verified()))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = real.Password
		c, err := pgx.ConnectConfig(within(t, soon), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		if system := one[string](t, c, "select system_identifier::text from pg_control_system()"); system == "" {
			t.Error("no system")
		}
		if !one[bool](t, c, overTLS) {
			t.Error("the server is spoken to without TLS")
		}
	})
	t.Run("90 a base backup", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "backup")
		command{path: pgTool(t, "pg_basebackup"), args: []string{"-D", dir, "-X", "none", "--no-sync", "-c", "fast"},
			env: psqlEnv(addr, "scram", "PGSSLMODE=verify-full")}.output(t)
		if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); err != nil {
			t.Error(err)
		}
	})
}

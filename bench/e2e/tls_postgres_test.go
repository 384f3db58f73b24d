package e2e

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// TestPostgresTLS has TLS on either side, both and none, by all of libpq's modes and the server's ways
// to authenticate.
func TestPostgresTLS(t *testing.T) {
	certuser, err := stage.ca.Issue("certuser", "certuser")
	if err != nil {
		t.Fatal(err)
	}
	backend := []string{postgres(t, 0).Addr}
	plainServer := cluster("plain-server", "postgres", backend)
	tlsServer := cluster("tls-server", "postgres", backend, tlsCA("cluster", "verify-full"))
	withCert := cluster("cert-server", "postgres", backend, tlsTable("cluster", "require", certuser))
	distrusted := cluster("distrusted", "postgres", backend, `retry-timeout = "0s"`,
		`[cluster.tls]`, `mode = "verify-ca"`, `ca = "`+stage.otherCert.CertFile+`"`) // no authority at all

	addr := make(map[string]string)
	config := plainServer + tlsServer + withCert + distrusted
	for _, l := range []struct{ name, cluster, tls string }{
		{"plain-plain", "plain-server", ""},
		{"plain-tls", "tls-server", ""},
		{"tls-plain", "plain-server", tlsTable("listener", "prefer", stage.cert)},
		{"required-plain", "plain-server", tlsTable("listener", "require", stage.cert)},
		{"tls-tls", "tls-server", tlsTable("listener", "prefer", stage.cert)},
		{"tls-tls-other-cert", "tls-server", tlsTable("listener", "prefer", stage.otherCert)},
		{"plain-cert", "cert-server", ""},
		{"plain-distrusted", "distrusted", ""},
	} {
		addr[l.name] = real.FreeAddr()
		config += listener(l.name, addr[l.name], l.cluster, l.tls)
	}
	s := startSluice(t, racy(t), config)
	psql := pgTool(t, "psql")
	const sql = "select current_user || ' by ' || case when ssl then 'tls' else 'plain' end from pg_stat_ssl where pid = pg_backend_pid()"

	for _, c := range []struct {
		listener, user string
		env            []string
		want           string // of the output; with "!" in front, of an error
	}{
		{"plain-plain", "scram", nil, "scram by plain"},
		{"plain-plain", "md5user", nil, "md5user by plain"},
		{"plain-plain", "scram", []string{"PGSSLMODE=prefer"}, "scram by plain"},
		{"plain-plain", "scram", []string{"PGSSLMODE=require"}, "!server does not support SSL"},
		{"plain-plain", "tlsonly", nil, "!pg_hba.conf rejects"},
		{"plain-plain", "scram", []string{"PGPASSWORD=wrong"}, "!password authentication failed"},

		{"plain-tls", "scram", nil, "scram by tls"},
		{"plain-tls", "md5user", nil, "md5user by tls"},
		{"plain-tls", "tlsonly", nil, "tlsonly by tls"},

		{"tls-plain", "scram", nil, "scram by plain"},
		{"tls-plain", "scram", []string{"PGSSLMODE=require"}, "scram by plain"},
		{"tls-plain", "md5user", []string{"PGSSLMODE=require"}, "md5user by plain"},
		{"tls-plain", "scram", []string{"PGSSLMODE=verify-full"}, "scram by plain"},
		{"tls-plain", "scram", []string{"PGSSLMODE=require", "PGCHANNELBINDING=require"}, "!channel binding"},

		{"required-plain", "scram", nil, "!TLS"},
		{"required-plain", "scram", []string{"PGSSLMODE=require"}, "scram by plain"},

		// The same certificate on both sides: binding to the channel holds right through.
		{"tls-tls", "scram", []string{"PGSSLMODE=verify-full"}, "scram by tls"},
		{"tls-tls", "scram", []string{"PGSSLMODE=require", "PGCHANNELBINDING=require"}, "scram by tls"},
		{"tls-tls", "tlsonly", []string{"PGSSLMODE=verify-full"}, "tlsonly by tls"},
		{"tls-tls", "scram", nil, "scram by tls"},

		// Different ones: the server would take it for an attack, so the client is told what to do.
		{"tls-tls-other-cert", "scram", []string{"PGSSLMODE=require", "PGCHANNELBINDING=disable"}, "scram by tls"},
		{"tls-tls-other-cert", "md5user", []string{"PGSSLMODE=verify-full"}, "md5user by tls"},
		{"tls-tls-other-cert", "scram", []string{"PGSSLMODE=require"}, "!channel binding"},

		{"plain-cert", "certuser", nil, "certuser by tls"},
		{"plain-distrusted", "scram", nil, "!FATAL"},
	} {
		t.Run(strings.Join(append([]string{c.listener, c.user}, c.env...), "_"), func(t *testing.T) {
			run := command{path: psql, args: []string{"-X", "-A", "-t", "-c", sql}, env: psqlEnv(addr[c.listener], c.user, c.env...)}
			if text, fails := strings.CutPrefix(c.want, "!"); fails {
				wants(t, run.failure(t), text)
				return
			}
			wants(t, run.output(t), c.want+"\n")
		})
	}
	t.Run("pitfall-36-direct-tls", func(t *testing.T) { testDirectTLS(t, addr["tls-plain"]) })
	t.Run("pitfall-35-injected-bytes", func(t *testing.T) { testInjected(t, addr["tls-plain"]) })
	t.Run("pitfall-30-cancel-in-tls", func(t *testing.T) { testCancelInTLS(t, addr["tls-tls"]) })
	await(t, s, 0, "sluice_sessions")
}

func clientTLS(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: stage.ca.Pool(), ServerName: "localhost", NextProtos: protocols}
}

// testDirectTLS begins with TLS at once, which needs the protocol's name in the handshake.
func testDirectTLS(t *testing.T, addr string) {
	conn, err := tls.Dial("tcp", addr, clientTLS("postgresql"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "postgresql" {
		t.Errorf("negotiated %q", got)
	}
	c := wire.NewPG(conn)
	c.Login()
	c.Ask("Z", wire.Query("select 'in tls'"))
	if c.Fault() != nil || !c.Contains("in tls") {
		t.Error(c.String())
	}
	c.End()

	// Without the name it may be another protocol's client: no session comes of it.
	conn, err = tls.Dial("tcp", addr, clientTLS())
	if err != nil {
		return
	}
	defer conn.Close()
	c = wire.NewPG(conn)
	c.Send(wire.Startup(wire.V30, "user", "app", "database", "app"))
	c.Read("$")
	if c.Contains(`Z "I"`) {
		t.Error("a direct TLS connection without ALPN became a session")
	}
}

// testInjected sends a startup packet in the clear, right behind the request for TLS, as one would who
// sits on the line and wants it to be taken for the client's.
func testInjected(t *testing.T, addr string) {
	for _, request := range [][]byte{wire.SSLRequest(), wire.Join(wire.GSSENCRequest(), wire.SSLRequest())} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := wire.NewPG(conn)
		c.Send(request, wire.Startup(wire.V30, "user", "app", "database", "app"))
		for c.Byte() != 0 {
		}
		if err := c.Fault(); err != nil {
			t.Errorf("the connection stays: %v", err)
		}
		if c.Contains(`"R"`) && c.Contains(`"Z"`) {
			t.Errorf("injected bytes were taken for a login: %s", c.String())
		}
	}
}

// testCancelInTLS sends the cancel request over TLS, as libpq does from version 17 on.
func testCancelInTLS(t *testing.T, addr string) {
	secure := func() *wire.PG {
		conn, err := tls.Dial("tcp", addr, clientTLS("postgresql"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return wire.NewPG(conn)
	}
	c := secure()
	c.Login()
	c.Send(wire.Query("select pg_sleep(600) as in_tls"))
	direct := connectPG(t, postgres(t, 0).Addr, "app")
	eventually(t, func() error {
		if one[int](t, direct, "select count(*)::int from pg_stat_activity where query = 'select pg_sleep(600) as in_tls' and wait_event = 'PgSleep'") == 0 {
			return errors.New("the query does not run yet")
		}
		return nil
	})
	h := secure()
	h.Send(wire.CancelRequest(uint32(c.Key[0])<<24|uint32(c.Key[1])<<16|uint32(c.Key[2])<<8|uint32(c.Key[3]), c.Key[4:]))
	h.Read("$")
	c.Read("Z")
	if c.Fault() != nil || !c.Contains("57014") {
		t.Error(c.String())
	}
	c.End()
}

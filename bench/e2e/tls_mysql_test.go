package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"testing"

	mysqlproto "github.com/go-mysql-org/go-mysql/mysql"
	mysqlserver "github.com/go-mysql-org/go-mysql/server"
	"github.com/go-sql-driver/mysql"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// sides are the ways to have TLS on either side of Sluice.
var sides = []struct {
	name           string
	client, server bool
}{{"plain-plain", false, false}, {"tls-plain", true, false}, {"plain-tls", false, true}, {"tls-tls", true, true}}

// fourSides is a configuration with a listener for each of sides before backend, and their addresses.
// The two certificates differ.
func fourSides(backend string) (config string, addr map[string]string) {
	addr = make(map[string]string)
	const once = "[cluster.health]\ninterval = \"1h\"\nrise = 1"
	config = cluster("plain-server", "mysql", []string{backend}, once) +
		cluster("tls-server", "mysql", []string{backend}, once, tlsCA("cluster", "verify-full"))
	for _, s := range sides {
		to, mine := "plain-server", ""
		if s.server {
			to = "tls-server"
		}
		if s.client {
			mine = tlsTable("listener", "prefer", stage.otherCert)
		}
		addr[s.name] = real.FreeAddr()
		config += listener(s.name, addr[s.name], to, mine)
	}
	return config, addr
}

// ping logs in once, as user, with or without TLS.
func ping(t *testing.T, addr, user, password string, secure bool) error {
	t.Helper()
	registerTLS(t)
	options := ""
	if secure {
		options = "&tls=ours"
	}
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/?timeout=90s%s", user, password, addr, options))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return unlessMalformed(func() error { return db.PingContext(within(t, soon)) })
}

// unlessMalformed logs in by the driver, and again where the driver misreads the server's challenge. That
// of client_ed25519 is 32 random bytes; if the last one is 0, the driver takes it for an end and not for a
// part of it.
func unlessMalformed(login func() error) (err error) {
	for range 5 {
		if err = login(); !errors.Is(err, mysql.ErrMalformPkt) {
			break
		}
	}
	return err
}

// TestMySQLTLS logs in at MariaDB by each plugin, with TLS on either side, both and none.
func TestMySQLTLS(t *testing.T) {
	config, addr := fourSides(mariadb(t, 0).Addr)
	addr["required-plain"] = real.FreeAddr()
	config += listener("required-plain", addr["required-plain"], "plain-server", tlsTable("listener", "require", stage.cert))
	s := startSluice(t, racy(t), config)
	for _, side := range sides {
		t.Run(side.name, func(t *testing.T) {
			for _, user := range []string{"app", "ed", "tls"} {
				err := ping(t, addr[side.name], user, real.Password, side.client)
				if user == "tls" && !side.server {
					wantMySQLError(t, err, 1045) // the server insists on TLS and has none
				} else if err != nil {
					t.Errorf("%s: %v", user, err)
				}
				if err := ping(t, addr[side.name], user, "wrong", side.client); err == nil {
					t.Errorf("%s got in with a wrong password", user)
				}
			}
			// What TLS there is, the client decides on: plain is good too where TLS is on offer.
			if err := ping(t, addr[side.name], "app", real.Password, false); err != nil {
				t.Errorf("plain: %v", err)
			}
		})
	}
	t.Run("required", func(t *testing.T) {
		wantMySQLError(t, ping(t, addr["required-plain"], "app", real.Password, false), 3159)
		if err := ping(t, addr["required-plain"], "app", real.Password, true); err != nil {
			t.Error(err)
		}
	})
	t.Run("pitfall-67-injected-bytes", func(t *testing.T) { testInjectedMySQL(t, addr["tls-plain"]) })
	await(t, s, 0, "sluice_sessions")
}

// testInjectedMySQL sends a login in the clear right behind the request for TLS.
func testInjectedMySQL(t *testing.T, addr string) {
	m, err := wire.DialMySQL(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Conn.Close()
	request := m.TLSRequest(app(wire.Usual))
	m.SendRaw(append(wire.Packet(1, request), wire.Packet(2, []byte("whatever"))...))
	m.Closed()
	if m.Fault() != nil {
		t.Errorf("the connection stays: %v", m.Fault())
	}
}

// TestCachingSHA2 logs in by caching_sha2_password, which sends the password itself over TLS and
// encrypted without: where TLS is on one side only, Sluice has to translate, and may never send the
// password over a plain connection.
func TestCachingSHA2(t *testing.T) {
	for _, side := range sides {
		t.Run(side.name, func(t *testing.T) {
			// Health checks come without a password, and this server can't tell them from a login that fails:
			// they get one that can, before it takes its place.
			server := newScripted(t)
			server.perform(func(c net.Conn) { wire.AcceptMySQL(c, wire.Usual|wire.SSL) })
			config, addr := fourSides(server.addr)
			s := startSluice(t, racy(t), config)
			await(t, s, 2, "sluice_backend_up")
			server.perform(sha2Server(t))
			if err := ping(t, addr[side.name], "someone", "not the secret", side.client); err == nil {
				t.Error("a wrong password was taken")
			}
			// The first login shows the password to the server, the second one is the fast way.
			for i := range 2 {
				if err := ping(t, addr[side.name], "someone", "the secret", side.client); err != nil {
					t.Errorf("login %d: %v", i+1, err)
				}
			}
			if err := ping(t, addr[side.name], "someone", "not the secret", side.client); err == nil {
				t.Error("a wrong password was taken the fast way")
			}
		})
	}
}

// secrets knows one user. It is no InMemoryProvider, because for that one the server would leave out
// the full way to log in.
type secrets struct{}

func (secrets) CheckUsername(name string) (bool, error) { return name == "someone", nil }

func (secrets) GetCredential(name string) (string, bool, error) {
	return "the secret", name == "someone", nil
}

// sha2Server is a server with caching_sha2_password, TLS and RSA.
func sha2Server(t *testing.T) func(net.Conn) {
	t.Helper()
	cert, err := x509.ParseCertificate(stage.cert.TLS.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	server := mysqlserver.NewServer("8.0.12", mysqlproto.DEFAULT_COLLATION_ID, mysqlproto.AUTH_CACHING_SHA2_PASSWORD, public,
		&tls.Config{Certificates: []tls.Certificate{stage.cert.TLS}})
	return func(c net.Conn) {
		conn, err := server.NewCustomizedConn(c, secrets{}, mysqlserver.EmptyHandler{})
		for err == nil {
			err = conn.HandleCommand()
		}
	}
}

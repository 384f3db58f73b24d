package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// TestProxyProtocolOut: servers that want a PROXY header get one on every connection. It names the client, and where that
// had connected to, on one that is a client's own, behind a move too; on Sluice's own it says so: health checks, cancel
// requests, KILLs, and the server connections that clients share.
func TestProxyProtocolOut(t *testing.T) {
	t.Run("postgres", testHeadedPostgres)
	t.Run("mariadb", testHeadedMaria)
}

// swapHeaded empties the backend from, towards to, but for left sessions that are held back.
func swapHeaded(t *testing.T, s *real.Sluice, from, to *headed, left int) {
	t.Helper()
	for _, order := range []string{to.addr + "/resume", from.addr + "/drain"} {
		addr, verb, _ := strings.Cut(order, "/")
		if _, err := s.Post("/api/backends/" + url.PathEscape(addr) + "/" + verb); err != nil {
			t.Fatal(err)
		}
	}
	await(t, s, float64(left), "sluice_backend_sessions", fmt.Sprintf("backend=%q", from.addr))
}

// wantsNamed holds that a server was told of n connections of that client's at that address.
func (h *headed) wantsNamed(t *testing.T, n int, client, to string) {
	t.Helper()
	if _, named := h.said(client, to); named != n {
		t.Errorf("%d connections were named as %s's to %s, want %d: %+v", named, client, to, n, h.headings)
	}
}

func testHeadedPostgres(t *testing.T) {
	every := []*headed{newHeaded(t, postgres(t, 0).Addr), newHeaded(t, postgres(t, 1).Addr)}
	addr, pool := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{every[0].addr, every[1].addr}, `proxy-protocol = "v2"`,
		"[cluster.health]", `interval = "1h"`, "rise = 1")+listener("in", addr, "pg")+funnel("pool", pool, "pg")+users("app"))
	await(t, s, 2, "sluice_backend_up")
	swapHeaded(t, s, every[1], every[0], 0)
	own, _ := every[0].said("", "")
	if own == 0 {
		t.Error("a health check did not say whose it is")
	}

	c := wire.NewPG(dialAs(t, "127.0.0.7", addr, nil))
	c.Login()
	client := c.Conn.LocalAddr().String()
	every[0].wantsNamed(t, 1, client, addr)

	canceller, err := wire.DialPG(addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Send(wire.Query("select pg_sleep(600)"))
	busy(t, s, 1)
	canceller.Send(wire.CancelRequest(uint32(c.Key[0])<<24|uint32(c.Key[1])<<16|uint32(c.Key[2])<<8|uint32(c.Key[3]), c.Key[4:]))
	canceller.Conn.Close()
	c.Read("Z")
	if !c.Contains("57014") {
		t.Errorf("the query was not cancelled:\n%s", &c.Transcript)
	}
	if after, _ := every[0].said("", ""); after <= own {
		t.Error("a cancel request did not say whose it is")
	}

	swapHeaded(t, s, every[0], every[1], 0)
	c.Ask("Z", wire.Query("select 'still here'"))
	if !c.Contains("still here") {
		t.Errorf("behind the move:\n%s", &c.Transcript)
	}
	every[1].wantsNamed(t, 1, client, addr)

	own, _ = every[1].said("", "")
	shared, err := pgFrom("127.0.0.7", pool, "app")
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close(context.Background())
	do(t, shared, "select 1")
	if after, _ := every[1].said("", ""); after <= own {
		t.Error("a connection that clients share did not say whose it is")
	}
}

// busy waits until n sessions are in the middle of a command.
func busy(t *testing.T, s *real.Sluice, n int) {
	t.Helper()
	eventually(t, func() error {
		page, err := s.Get("/api/sessions")
		if found := strings.Count(page, `"owed": 1`); err == nil && found != n {
			err = fmt.Errorf("%d sessions are busy, want %d:\n%s", found, n, page)
		}
		return err
	})
}

func testHeadedMaria(t *testing.T) {
	every := []*headed{newHeaded(t, mariadb(t, 0).Addr), newHeaded(t, mariadb(t, 1).Addr)}
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("my", "mysql", []string{every[0].addr, every[1].addr}, `proxy-protocol = "v2"`,
		"[cluster.control]", `user = "root"`, `password = ""`, "[cluster.health]", `interval = "1h"`, "rise = 1")+
		listener("in", addr, "my", `proxy-protocol = "accept"`, `proxy-from = ["127.0.0.2"]`)+users("app"))
	await(t, s, 2, "sluice_backend_up")
	login := func(from string, first []byte) *wire.MySQL {
		m := wire.NewMySQL(dialAs(t, from, addr, first))
		m.Login(wire.Account{User: "app", Password: real.Password, Database: "app", Caps: wire.Usual, Collation: 45})
		if err := m.Fault(); err != nil {
			t.Fatal(err)
		}
		return m
	}
	swapHeaded(t, s, every[1], every[0], 0)
	mine := login("127.0.0.7", nil)
	passed := login("127.0.0.2", wire.Heading2(inTenant, connected)) // a chain of proxies: the first one's words go on
	every[0].wantsNamed(t, 1, mine.Conn.LocalAddr().String(), addr)
	every[0].wantsNamed(t, 1, inTenant.String(), connected.String())
	mine.Query("set @kept = 'kept'")
	swapHeaded(t, s, every[0], every[1], 0)
	mine.Query("select concat(@kept, ' at ', @@port)")
	if want := fmt.Sprintf("kept at %d", real.Port(mariadb(t, 1).Addr)); !mine.Contains(want) {
		t.Errorf("%q is not in what is said behind the move:\n%s", want, &mine.Transcript)
	}
	every[1].wantsNamed(t, 1, mine.Conn.LocalAddr().String(), addr)
	every[1].wantsNamed(t, 1, inTenant.String(), connected.String())

	// A KILL is carried to another server.
	swapHeaded(t, s, every[1], every[0], 0)
	mine.Query("begin") // it stays where it is now
	swapHeaded(t, s, every[0], every[1], 1)
	other := login("127.0.0.7", nil)
	own, _ := every[0].said("", "")
	other.Query(fmt.Sprintf("kill %d", mine.ID))
	if after, _ := every[0].said("", ""); after != own+1 {
		t.Errorf("a KILL did not say whose it is: %d, %d\n%s", own, after, &other.Transcript)
	}
	passed.End()
	other.End()
}

// TestProxyProtocolShownByServers: what MariaDB and TiDB know of a session's client is where it comes from, in plain and
// in TLS, also behind a move.
func TestProxyProtocolShownByServers(t *testing.T) {
	t.Run("mariadb", func(t *testing.T) {
		var backends []string
		for i := range 2 {
			root := rootMaria(t, i)
			mustMySQL(t, root, "set global proxy_protocol_networks = '127.0.0.1'")
			t.Cleanup(func() { mustMySQL(t, root, "set global proxy_protocol_networks = ''") })
			backends = append(backends, mariadb(t, i).Addr)
		}
		testShownByServers(t, backends)
	})
	t.Run("tidb", func(t *testing.T) {
		var backends []string
		for range 2 {
			options := tidbOptions()
			options.More = []string{`proxy-protocol.networks = "127.0.0.1"`, "proxy-protocol.fallbackable = true"}
			backends = append(backends, ownTiDB(t, options).Addr)
		}
		testShownByServers(t, backends)
	})
}

func testShownByServers(t *testing.T, backends []string) {
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("my", "mysql", backends, `proxy-protocol = "v2"`, tlsCA("cluster", "verify-full"))+
		listener("in", addr, "my", tlsTable("listener", "prefer", stage.cert))+users("app"))
	await(t, s, 2, "sluice_backend_up")
	c := wire.NewMySQL(dialAs(t, "127.0.0.7", addr, nil))
	c.Login(wire.Account{User: "app", Password: real.Password, Database: "app", Caps: wire.Usual, Collation: 45})
	look := func() {
		t.Helper()
		before := c.Len()
		c.Query("select concat('from ', substring_index(host, ':', 1)) from information_schema.processlist where info like '%from information_schema.processlist%'")
		if !strings.Contains(c.Since(before), "from 127.0.0.7") {
			t.Errorf("the server does not know where the client comes from:\n%s", c.Since(before))
		}
	}
	look()
	for _, from := range backends {
		for _, b := range backends {
			verb := "resume"
			if b == from {
				verb = "drain"
			}
			if _, err := s.Post("/api/backends/" + url.PathEscape(b) + "/" + verb); err != nil {
				t.Fatal(err)
			}
		}
		await(t, s, 0, "sluice_backend_sessions", fmt.Sprintf("backend=%q", from))
		look()
	}
	c.End()
	if err := c.Fault(); err != nil {
		t.Error(err)
	}
}

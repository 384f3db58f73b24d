package e2e

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// headed stands before a server as one that wants a PROXY header first: it takes no connection without one, writes
// down what each says, and passes the rest on.
type headed struct {
	addr, to string

	mu       sync.Mutex
	headings []wire.Heading
	faults   []error
}

// newHeaded starts one. At the end of the test it holds that no connection came without a header.
func newHeaded(t *testing.T, to string) *headed {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &headed{addr: ln.Addr().String(), to: to}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { h.pass(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
		for _, err := range h.faults {
			t.Errorf("a connection to %s: %v", to, err)
		}
	})
	return h
}

// pass reads the header of a connection and passes on what is behind it.
func (h *headed) pass(c net.Conn) {
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(soon))
	heading, err := wire.ReadHeading(c)
	h.mu.Lock()
	if err != nil {
		h.faults = append(h.faults, err)
	} else {
		h.headings = append(h.headings, heading)
	}
	h.mu.Unlock()
	if err != nil {
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	server, err := net.Dial("tcp", h.to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, c)
		server.Close()
	}()
	_, _ = io.Copy(c, server)
}

// said is how many connections were Sluice's own, and how many named that client and where it had connected to.
func (h *headed) said(client, to string) (own, named int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.headings {
		switch {
		case x.Local:
			own++
		case x.From.String() == client && x.To.String() == to:
			named++
		}
	}
	return own, named
}

// dialAs connects to addr from an address of this machine's, and sends what is to come first.
func dialAs(t *testing.T, from, addr string, first []byte) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write(first); err != nil {
		t.Fatal(err)
	}
	return c
}

// Who the clients say that they are.
var (
	inTenant  = netip.MustParseAddrPort("10.1.2.3:40000")
	outside   = netip.MustParseAddrPort("192.0.2.9:40001")
	denied    = netip.MustParseAddrPort("10.1.66.6:40002")
	inTenant6 = netip.MustParseAddrPort("[2001:db8::5]:40003")
	connected = netip.MustParseAddrPort("10.9.9.9:3306")
	connecte6 = netip.MustParseAddrPort("[2001:db8::9]:3306")
)

// TestProxyProtocolIn: clients are who a proxy that is believed says that they are, for namespaces, for the lists of
// networks and for all that is told of them, in a protocol in which the client speaks first and in one in which the server
// does.
func TestProxyProtocolIn(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		testProxyProtocolIn(t, twoPG(t), func(c net.Conn) (port int, words string) {
			m := wire.NewPG(c)
			m.Login()
			if !m.Contains("server_version") {
				return 0, m.String()
			}
			before := m.Len()
			m.Ask("Z", wire.Query("select 'at ' || inet_server_port()"))
			_, _ = fmt.Sscanf(m.Since(before)[strings.Index(m.Since(before), "at "):], "at %d", &port)
			return port, m.String()
		}, []int{real.Port(postgres(t, 0).Addr), real.Port(postgres(t, 1).Addr)}, "28000")
	})
	t.Run("mysql", func(t *testing.T) {
		testProxyProtocolIn(t, twoMaria(t), func(c net.Conn) (port int, words string) {
			m := wire.NewMySQL(c)
			if m.Fault() != nil || m.Contains("1130") {
				return 0, m.String()
			}
			m.Login(wire.Account{User: "app", Password: real.Password, Database: "app", Caps: wire.Usual, Collation: 45})
			before := m.Len()
			m.Query("select concat('at ', @@port)")
			if i := strings.LastIndex(m.Since(before), "at "); i >= 0 { // it stands in the column's name, too
				_, _ = fmt.Sscanf(m.Since(before)[i:], "at %d", &port)
			}
			return port, m.String()
		}, []int{real.Port(mariadb(t, 0).Addr), real.Port(mariadb(t, 1).Addr)}, "1130")
	})
}

// testProxyProtocolIn does it with a listener that accepts headers and one that requires them. login has a client log in
// and ask for the port of its server.
func testProxyProtocolIn(t *testing.T, clusters string, login func(net.Conn) (int, string), ports []int, refusal string) {
	accept, require, off := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	from := []string{`proxy-from = ["127.0.0.2", "127.0.0.3"]`, `deny = ["10.1.66.0/24", "127.0.0.9"]`, `allow = ["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32", "127.0.0.0/8"]`}
	s := startSluice(t, racy(t), clusters+
		listener("accept", accept, "one", append(from, `proxy-protocol = "accept"`)...)+
		listener("require", require, "one", append(from, `proxy-protocol = "require"`)...)+
		listener("off", off, "one")+
		namespace("net", "two", `clients = ["10.1.0.0/16", "2001:db8::/64"]`, `listeners = ["accept", "require"]`)+
		namespace("proxy", "two", `proxies = ["127.0.0.3"]`, `listeners = ["accept", "require"]`))
	await(t, s, 2, "sluice_backend_up")
	tlvs := wire.Join(wire.TLV(0x02, "db.example.com"), wire.TLV(0xea, ""), wire.TLV(0x04, strings.Repeat("x", 3000)))
	spoofed := wire.Heading2(inTenant, connected)
	for _, tt := range []struct {
		name, from, addr string
		first            []byte
		want             int    // the server; -1: it is refused
		client           string // as Sluice tells of it
	}{
		{"version 1", "127.0.0.2", accept, wire.Heading1(inTenant, connected), 1, inTenant.String()},
		{"version 1, IPv6", "127.0.0.2", require, wire.Heading1(inTenant6, connecte6), 1, inTenant6.String()},
		{"version 2", "127.0.0.2", require, wire.Heading2(inTenant, connected), 1, inTenant.String()},
		{"version 2, IPv6", "127.0.0.2", accept, wire.Heading2(inTenant6, connecte6), 1, inTenant6.String()},
		{"TLVs", "127.0.0.2", accept, wire.Heading2(inTenant, connected, tlvs...), 1, inTenant.String()},
		{"of no namespace", "127.0.0.2", accept, wire.Heading2(outside, connected), 0, outside.String()},
		{"by its proxy", "127.0.0.3", accept, wire.Heading2(outside, connected), 1, outside.String()},
		{"local", "127.0.0.2", require, wire.HeadingLocal(), 0, "127.0.0.2:"},
		{"local is not named by the proxy", "127.0.0.3", accept, wire.HeadingLocal(), 0, "127.0.0.3:"},
		{"unknown", "127.0.0.3", require, []byte("PROXY UNKNOWN\r\n"), 0, "127.0.0.3:"},
		{"none, and it may have none", "127.0.0.2", accept, nil, 0, "127.0.0.2:"},
		{"not from a proxy", "127.0.0.4", accept, nil, 0, "127.0.0.4:"},
		{"denied", "127.0.0.2", accept, wire.Heading2(denied, connected), -1, ""},
		{"not allowed", "127.0.0.2", require, wire.Heading2(netip.MustParseAddrPort("203.0.113.1:1"), connected), -1, ""},
		{"mapped and denied", "127.0.0.2", accept, wire.Heading2(netip.MustParseAddrPort("[::ffff:10.1.66.6]:1"), connecte6), -1, ""},
		{"not from a proxy that is needed", "127.0.0.4", require, nil, -1, ""},
	} {
		c := dialAs(t, tt.from, tt.addr, tt.first)
		port, words := login(c)
		switch {
		case tt.want < 0 && !strings.Contains(words, refusal):
			t.Errorf("%s: it should be refused with %s:\n%s", tt.name, refusal, words)
		case tt.want >= 0 && port != ports[tt.want]:
			t.Errorf("%s: it is at port %d, want %d:\n%s", tt.name, port, ports[tt.want], words)
		case tt.want >= 0:
			list := listedClients(t, s)
			if len(list) != 1 || !strings.HasPrefix(list[0].Client, tt.client) {
				t.Errorf("%s: sessions are %+v", tt.name, list)
			}
		}
		c.Close()
		await(t, s, 0, "sluice_client_connections")
	}
	// The header of whom nobody believes is no header, but garbage of the client's own.
	before, err := s.Metric("sluice_logins_total")
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{accept, require, off} {
		c := dialAs(t, "127.0.0.4", addr, spoofed)
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(soon))
		if _, err := io.ReadAll(c); isTimeout(err) {
			t.Errorf("a header from anybody: %v", err)
		}
		c.Close()
	}
	await(t, s, 0, "sluice_client_connections")
	if after, err := s.Metric("sluice_logins_total"); err != nil || after != before {
		t.Errorf("headers from anybody led to %v logins, %v", after-before, err)
	}
	// Each way to cut a header in two.
	for i := range len(spoofed) {
		c := dialAs(t, "127.0.0.2", require, spoofed[:i])
		_, _ = c.Write(spoofed[i:])
		if port, words := login(c); port != ports[1] {
			t.Fatalf("a header cut at byte %d: at port %d\n%s", i, port, words)
		}
		c.Close()
	}
	await(t, s, 0, "sluice_client_connections")
}

// TestProxyProtocolTorn: a header that ends at any byte, is none, or does not come, leads nowhere: the client hears
// nothing, or that time is over, and nothing of it is left.
func TestProxyProtocolTorn(t *testing.T) {
	addr, hasty := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), twoMaria(t)+
		listener("in", addr, "one", `proxy-protocol = "require"`, `proxy-from = ["127.0.0.2"]`)+
		listener("hasty", hasty, "one", `proxy-protocol = "require"`, `proxy-from = ["127.0.0.2"]`, `login-timeout = "1s"`))
	await(t, s, 2, "sluice_backend_up")
	torn := func(first []byte, addr string, closes bool) {
		t.Helper()
		c := dialAs(t, "127.0.0.2", addr, first)
		defer c.Close()
		if closes {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		_ = c.SetReadDeadline(time.Now().Add(soon))
		if said, err := io.ReadAll(c); len(said) > 0 || isTimeout(err) {
			t.Errorf("behind %q: %q, %v", first, said, err)
		}
	}
	for _, whole := range [][]byte{wire.Heading2(inTenant, connected, wire.TLV(4, "four")...), wire.Heading1(inTenant, connected)} {
		for i := range whole {
			torn(whole[:i], addr, true)
		}
		torn(nil, hasty, false)
		torn(whole[:len(whole)-1], hasty, false)
	}
	for _, wrong := range []string{"\x20\x00\x00\x01no header, but a login", "PROXY TCP4 10.1.2.3 10.9.9.9 40000\r\n",
		"PROXY " + strings.Repeat("x", 200), "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + strings.Repeat("x", 100),
		"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + strings.Repeat("x", 12)} {
		torn([]byte(wrong), addr, false)
	}
	await(t, s, 0, "sluice_client_connections")
	await(t, s, 4, "sluice_connections_refused_total", `listener="hasty"`, `outcome="login_timeout"`)
	if v, err := s.Metric("sluice_logins_total", `listener="in"`); err != nil || v != 0 {
		t.Errorf("%v logins, %v", v, err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

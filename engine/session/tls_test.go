package session

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/codec"
	"sluice/codec/mysql"
)

// withTLS has TLS required on both sides.
func withTLS(t *testing.T) func(*Setup) {
	return func(s *Setup) {
		s.Frontends[0].TLSMode, s.Frontends[0].TLS = codec.TLSRequire, serving(t)
		s.Clusters[0].TLSMode, s.Clusters[0].TLS = codec.TLSRequire, &tls.Config{InsecureSkipVerify: true}
	}
}

// loginTLS logs in over TLS, asked for by an SSLRequest; each piece that is sent is cut at at.
func loginTLS(t *testing.T, addr string, at *atomic.Int64, cfg *tls.Config) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(2 * patience))
	if _, err := nc.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
		t.Fatal(err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(nc, answer[:]); err != nil || answer[0] != 'S' {
		t.Fatalf("answer to the TLS request: %q, %v", answer, err)
	}
	return hello(t, tls.Client(cutting{nc, at}, cfg))
}

// TestTLSAtEveryCut has TLS on both sides and cuts every piece of it at each of the first places.
func TestTLSAtEveryCut(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.tls = serving(t)
	s := startProxy(t, withTLS(t), db)
	for at := range 48 {
		db.cut.Store(int64(at))
		c := loginTLS(t, s.addr("in"), &db.cut, &tls.Config{InsecureSkipVerify: true}).ready()
		if tag, _ := c.query("select"); tag != "db-a" {
			t.Fatalf("cut at %d: %q", at, tag)
		}
		c.Close()
	}
	s.expectEmpty()
}

// TestTLSMissing: TLS that is required and not to be had ends the login, on either side.
func TestTLSMissing(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, func(set *Setup) {
		withTLS(t)(set)
		set.Frontends[0].TLSMode = codec.TLSPrefer
	}, db)
	connect(t, s.addr("in")).expectError("08006")
	s.setup.Frontends[0].TLSMode = codec.TLSRequire
	s.apply()
	connect(t, s.addr("in")).expectError("28000")
	s.expectEmpty()
}

// TestReloadedCertificate is shown to new clients; sessions that there are go on.
func TestReloadedCertificate(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, func(set *Setup) {
		set.Frontends[0].TLSMode, set.Frontends[0].TLS = codec.TLSPrefer, serving(t)
	}, db)
	shown := func(c *client) string {
		return string(c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw)
	}
	var whole atomic.Int64
	old := loginTLS(t, s.addr("in"), &whole, &tls.Config{InsecureSkipVerify: true}).ready()
	s.setup.Frontends[0].TLS = serving(t)
	s.apply()
	fresh := loginTLS(t, s.addr("in"), &whole, &tls.Config{InsecureSkipVerify: true}).ready()
	if shown(old) == shown(fresh) {
		t.Error("the new client was shown the old certificate")
	}
	old.query("select")
	fresh.query("select")
}

// TestCertificateOfAnotherUser: with TLSMatchUser the server does not even hear of such a client.
func TestCertificateOfAnotherUser(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, func(set *Setup) {
		fe := &set.Frontends[0]
		fe.TLSMode, fe.TLS, fe.TLSMatchUser = codec.TLSRequire, serving(t), true
		fe.TLS.ClientAuth = tls.RequireAnyClientCert
	}, db)
	var whole atomic.Int64
	as := func(name string) *client {
		return loginTLS(t, s.addr("in"), &whole,
			&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate(t, name)}})
	}
	as("mallory").expectError("28000")
	if n := db.logins.Load(); n != 0 {
		t.Errorf("the server has heard %d logins", n)
	}
	as("alice").ready().query("select")
}

// TestPlainBytesBeforeTLSWithServer: what comes from the server's side, in plain, while the client is
// still in its handshake must not pass for what the server says over TLS later.
func TestPlainBytesBeforeTLSWithServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	servers := make(chan net.Conn, 1)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			hello := greeting(7)
			hello[1+len("8.0.0-fake\x00")+4+9+1] |= 0x08 // CLIENT_SSL
			_, _ = c.Write(packet(0, hello))
			servers <- c
		}
	}()
	s := startMySQL(t, func(set *Setup) {
		withTLS(t)(set)
		set.Clusters[0].TLSMode = codec.TLSPrefer
		set.Clusters[0].Protocol = unprobed{set.Clusters[0].Protocol}
	}, &fakeMySQL{ln: ln})
	(<-servers).Close() // the health check's

	c := greet(t, s.addr("in"))
	server := <-servers
	defer server.Close()
	const flags = serverFlags | 0x800
	request := append([]byte{flags & 0xff, flags >> 8 & 0xff, flags >> 16 & 0xff, flags >> 24, 0, 0, 0, 1, 45}, make([]byte, 23)...)
	_, _ = c.Write(packet(1, request))
	eventually(t, "the client's handshake is under way", func() bool {
		return s.holds(func(s *Session) bool { return s.in != nil && s.in.op == codec.OpClientTLS })
	})
	_, _ = server.Write(packet(2, okPacket)) // whoever is on the way lets the client in
	eventually(t, "the proxy has it", func() bool {
		return s.holds(func(s *Session) bool { return s.in != nil && len(s.in.early[codec.Server]) > 0 })
	})
	c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.r.Reset(c.Conn)
	response := append(request, "alice\x00\x00mysql_native_password\x00"...)
	_, _ = c.Write(packet(2, response))
	if got := verdict(c.next(2)); !strings.HasPrefix(got, "HY000") {
		t.Errorf("the client got %q", got)
	}
	_ = server.SetReadDeadline(time.Now().Add(patience))
	if got, _ := io.ReadAll(server); len(got) != 0 {
		t.Errorf("the server got %q", got)
	}
}

// TestPlainBytesDuringWork: the same while the machine computes, where no byte is given to it.
func TestPlainBytesDuringWork(t *testing.T) {
	s := &Session{set: &Settings{}, in: &loggingIn{m: mysql.Protocol{}.NewLogin(&codec.LoginConfig{})}}
	if e := s.objection(codec.OpServerTLS); e != nil {
		t.Errorf("without any: %v", e)
	}
	s.in.early[codec.Server] = packet(2, okPacket)
	if e := s.objection(codec.OpMore); e != nil {
		t.Errorf("with some, not in front of TLS: %v", e)
	}
	if e := s.objection(codec.OpServerTLS); e == nil || e.Cond != codec.TLSFailed {
		t.Errorf("with some: %v", e)
	}
}

// unprobed is a protocol whose health check is a connect alone.
type unprobed struct{ codec.Protocol }

func (unprobed) NewProbe(string) codec.Probe { return nil }

// holds tells whether there is a session of which f is true.
func (s *stand) holds(f func(*Session) bool) bool {
	var found atomic.Bool
	for _, on := range s.loops {
		done := make(chan struct{})
		on.each(func(x *Session) {
			if f(x) {
				found.Store(true)
			}
		}, func() { close(done) })
		<-done
	}
	return found.Load()
}

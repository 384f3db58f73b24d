package e2e

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

const churnWorkers = 24

// churner opens a connection, takes it to some stage of a login and leaves. It reports only what can't
// be: most of the time the other side has every reason to hang up.
type churner struct {
	name string
	act  func(conn net.Conn, r *rand.Rand) error
}

// TestChurn connects and disconnects 100,000 times, at all stages of the login, half of it malformed
// or cut off. Afterwards nothing of it is left. The race detector, which makes Sluice several times as
// slow, watches a part of it.
func TestChurn(t *testing.T) {
	t.Run("all", func(t *testing.T) { testChurn(t, plain(t), 100_000) })
	t.Run("race", func(t *testing.T) { testChurn(t, racy(t), 6_000) })
}

func testChurn(t *testing.T, binary string, connections int) {
	// Servers that answer at once: what is tested is what Sluice keeps.
	pg, my := newScripted(t), newScripted(t)
	pg.perform(func(c net.Conn) {
		if p, ok := wire.AcceptPG(c); ok {
			p.Welcome()
			p.Gone()
		}
	})
	my.perform(func(c net.Conn) {
		if p, ok := wire.AcceptMySQL(c, wire.Usual); ok {
			p.Send(wire.OK(2))
			p.Gone()
		}
	})
	pgAddr, myAddr, realAddr, realMyAddr := real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	health := "[cluster.health]\ninterval = \"1h\"\nrise = 1"
	s := startSluice(t, binary,
		section("[log]", `level = "error"`)+
			cluster("pg", "postgres", []string{pg.addr}, health)+cluster("my", "mysql", []string{my.addr}, health)+
			cluster("real-pg", "postgres", []string{postgres(t, 0).Addr}, health)+cluster("real-my", "mysql", []string{mariadb(t, 0).Addr}, health)+
			listener("pg", pgAddr, "pg", tlsTable("listener", "prefer", stage.cert))+listener("my", myAddr, "my", tlsTable("listener", "prefer", stage.cert))+
			listener("real-pg", realAddr, "real-pg", tlsTable("listener", "prefer", stage.cert))+listener("real-my", realMyAddr, "real-my"))
	await(t, s, 4, "sluice_backend_up")

	// Once each way first, so that what is made once is there.
	churn(t, pgAddr, pgChurners(), 200)
	churn(t, myAddr, myChurners(), 200)
	before := census(t, s)

	start := time.Now()
	const few = 500 // real servers start a process or a thread for each
	churn(t, realAddr, pgChurners(), few)
	churn(t, realMyAddr, myChurners(), few)
	churn(t, pgAddr, pgChurners(), connections/2-few)
	churn(t, myAddr, myChurners(), connections/2-few)
	t.Logf("%d connections in %v", connections, time.Since(start).Round(time.Second))

	// (A pool of goroutines that has nothing to do gives them up after some seconds.)
	var after state
	err := real.Eventually(2*soon, func() error {
		after = census(t, s)
		if after.sessions != 0 || after.servers > before.servers || after.files > before.files || after.goroutines > before.goroutines {
			return fmt.Errorf("%+v before, %+v after", before, after)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	opened, err := s.Metric("sluice_connections_opened_total")
	if err != nil {
		t.Fatal(err)
	}
	if opened < float64(connections) {
		t.Errorf("%v connections were counted", opened)
	}
	// It still works.
	if got := one[int](t, connectPG(t, realAddr, "app"), "select 1"); got != 1 {
		t.Errorf("select 1 = %d", got)
	}
}

// state is what a process has at one moment.
type state struct {
	sessions, servers, goroutines float64
	files                         int
}

func census(t *testing.T, s *real.Sluice) state {
	t.Helper()
	page, err := s.Get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var now state
	for name, v := range map[string]*float64{
		"sluice_sessions": &now.sessions, "sluice_server_connections": &now.servers, "go_goroutines": &now.goroutines,
	} {
		if *v, err = real.SumMetric(page, name); err != nil {
			t.Fatal(err)
		}
	}
	if now.files, err = real.OpenFiles(s.PID); err != nil {
		t.Fatal(err)
	}
	return now
}

// churn has n connections made by several workers, each in one of the ways.
func churn(t *testing.T, addr string, ways []churner, n int) {
	t.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for w := range churnWorkers {
		workers.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(w)))
			// Workers come from addresses of their own: the ports of one would run out.
			dialer := net.Dialer{Timeout: soon, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+w))}}
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				way := ways[int(i)%len(ways)]
				conn, err := dialer.Dial("tcp", addr)
				if err != nil {
					t.Errorf("%s: %v", way.name, err)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(soon))
				if err := way.act(conn, r); err != nil {
					t.Errorf("%s: %v", way.name, err)
					return
				}
				if r.IntN(2) == 0 {
					_ = conn.(*net.TCPConn).SetLinger(0) // leave by RST
				}
				conn.Close()
			}
		})
	}
	workers.Wait()
}

// cutOff sends a part of message and leaves.
func cutOff(message []byte) func(net.Conn, *rand.Rand) error {
	return func(c net.Conn, r *rand.Rand) error {
		_, _ = c.Write(message[:1+r.IntN(len(message)-1)])
		return nil
	}
}

// refusedFor sends what can't be taken for a login and waits for the connection to be closed.
func refusedFor(message []byte) func(net.Conn, *rand.Rand) error {
	return func(c net.Conn, _ *rand.Rand) error {
		_, _ = c.Write(message)
		buf := make([]byte, 512)
		for {
			if _, err := c.Read(buf); err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					return fmt.Errorf("%q is not refused", message[:min(len(message), 20)])
				}
				return nil
			}
		}
	}
}

func nothing(net.Conn, *rand.Rand) error { return nil }

// garbage sends noise.
func garbage(c net.Conn, r *rand.Rand) error {
	p := make([]byte, 1+r.IntN(300))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	_, _ = c.Write(p)
	return nil
}

// clientHello is the beginning of a TLS handshake, as crypto/tls sends it.
func clientHello() []byte {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() {
		_ = tls.Client(a, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"postgresql"}}).Handshake()
	}()
	buf := make([]byte, 4096)
	n, _ := b.Read(buf)
	return buf[:n]
}

func pgChurners() []churner {
	startup := wire.Startup(wire.V30, "user", "app", "database", "app")
	login := func(c net.Conn, _ *rand.Rand) error {
		pg := wire.NewPG(c)
		pg.Login()
		return pg.Fault()
	}
	hello := clientHello()
	return []churner{
		{"login and terminate", func(c net.Conn, r *rand.Rand) error {
			err := login(c, r)
			_, _ = c.Write(wire.Terminate())
			return err
		}},
		{"no word", nothing},
		{"login and leave", login},
		{"cut-off startup", cutOff(startup)},
		{"startup and leave", func(c net.Conn, _ *rand.Rand) error { _, _ = c.Write(startup); return nil }},
		{"garbage", garbage},
		{"cancel of nobody", func(c net.Conn, r *rand.Rand) error {
			_, _ = c.Write(wire.CancelRequest(r.Uint32(), []byte("none")))
			pg := wire.NewPG(c)
			pg.Read("$")
			return pg.Fault()
		}},
		{"huge length", refusedFor([]byte{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0})},
		{"TLS refused after all", func(c net.Conn, r *rand.Rand) error {
			_, _ = c.Write(wire.SSLRequest())
			pg := wire.NewPG(c)
			pg.Byte()
			return pg.Fault()
		}},
		{"half a hello", func(c net.Conn, r *rand.Rand) error {
			_, _ = c.Write(wire.SSLRequest())
			pg := wire.NewPG(c)
			pg.Byte()
			return cutOff(hello)(c, r)
		}},
		{"query and leave", func(c net.Conn, r *rand.Rand) error {
			err := login(c, r)
			_, _ = c.Write(wire.Query("select pg_sleep(0.01)"))
			return err
		}},
		{"half a direct hello", cutOff(hello)},
		{"pipelined login", func(c net.Conn, _ *rand.Rand) error {
			pg := wire.NewPG(c)
			pg.Send(startup, wire.Terminate())
			pg.Read("$")
			return pg.Fault()
		}},
		{"no parameters", refusedFor([]byte{0, 0, 0, 9, 0, 3, 0, 0, 0})},
		{"login and a bad length", func(c net.Conn, r *rand.Rand) error {
			if err := login(c, r); err != nil {
				return err
			}
			return refusedFor([]byte("Q\x00\x00\x00\x01"))(c, r)
		}},
		{"unterminated startup", refusedFor([]byte{0, 0, 0, 12, 0, 3, 0, 0, 'u', 's', 'e', 'r'})},
	}
}

func myChurners() []churner {
	// greet reads the greeting, as far as it comes, and then answers.
	greet := func(then func(*wire.MySQL)) func(net.Conn, *rand.Rand) error {
		return func(c net.Conn, _ *rand.Rand) error {
			m := wire.NewMySQL(c)
			if m.Fault() == nil {
				then(m)
			}
			return m.Fault()
		}
	}
	login := func(m *wire.MySQL) { m.Login(app(wire.Usual)) }
	hello := clientHello()
	return []churner{
		{"login and quit", greet(func(m *wire.MySQL) { login(m); m.Command(wire.ComQuit) })},
		{"no word", nothing},
		{"login and leave", greet(login)},
		{"greeting and leave", greet(func(*wire.MySQL) {})},
		{"query and leave", greet(func(m *wire.MySQL) { login(m); m.Command(wire.ComQuery, []byte("select sleep(0.01)")) })},
		{"cut-off response", greet(func(m *wire.MySQL) { m.SendRaw(wire.Packet(1, m.TLSRequest(app(wire.Usual)))[:20]) })},
		{"login and ping", greet(func(m *wire.MySQL) { login(m); m.SendRaw(wire.Packet(0, []byte{wire.ComPing})[:3]) })},
		{"garbage", garbage},
		{"half a hello", greet(func(m *wire.MySQL) {
			m.SendRaw(wire.Packet(1, m.TLSRequest(app(wire.Usual))))
			m.SendRaw(hello[:len(hello)/2])
		})},
		{"huge packet", func(c net.Conn, r *rand.Rand) error {
			return refusedFor([]byte{0xff, 0xff, 0xff, 1, 0, 0, 0, 0})(c, r)
		}},
		{"empty response", greet(func(m *wire.MySQL) { m.SendRaw(wire.Packet(1, nil)); m.Closed() })},
		{"wrong sequence", greet(func(m *wire.MySQL) { m.SendRaw(wire.Packet(9, []byte("xx"))); m.Closed() })},
	}
}

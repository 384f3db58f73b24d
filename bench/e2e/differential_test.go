package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// A lane is one way from a client to a server. The first lane of a list leads straight there, and what
// its client sees is what the clients of all others have to see.
type lane struct {
	name  string
	addr  string
	bytes bool // each byte comes alone, so nothing long should
}

// lanes builds the ways to the server at addr: direct; through Sluice; through Sluice with both of its
// sides cut at every byte; and with random cuts. The configuration of Sluice is config plus what
// lanes adds, under names that begin with name.
func lanes(t *testing.T, name, protocol, addr string, config *strings.Builder) []lane {
	t.Helper()
	all := []lane{{name: "direct", addr: addr}}
	for _, way := range []struct {
		name string
		cut  real.Cut
	}{{"whole", nil}, {"every-byte", real.EveryByte}, {"random", real.AtRandom(42, 40_000)}} {
		front, back := real.FreeAddr(), addr
		visible := front
		if way.cut != nil {
			back = relay(t, addr, way.cut)
			visible = relay(t, front, way.cut)
		}
		id := name + "-" + way.name
		config.WriteString(cluster(id, protocol, []string{back}, "[cluster.health]", `interval = "1h"`, "rise = 1"))
		// With a certificate, the greeting of a MySQL server need not be changed.
		config.WriteString(listener(id, front, id, tlsTable("listener", "prefer", stage.cert)))
		all = append(all, lane{name: way.name, addr: visible, bytes: way.name == "every-byte"})
	}
	return all
}

func relay(t *testing.T, to string, cut real.Cut) string {
	t.Helper()
	r, err := real.NewRelay(to, cut)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r.Addr
}

// scripted is a server whose part is played by a test case.
type scripted struct {
	addr string
	ln   net.Listener
	mu   sync.Mutex
	play func(net.Conn)
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	s := &scripted{addr: ln.Addr().String(), ln: ln}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			play := s.play
			s.mu.Unlock()
			go func() {
				defer c.Close()
				play(c)
			}()
		}
	}()
	return s
}

func (s *scripted) perform(play func(net.Conn)) {
	s.mu.Lock()
	s.play = play
	s.mu.Unlock()
}

// pgCase is a conversation with a PostgreSQL server. Its name is the number and the gist of a pitfall
// in which a proxy has been caught.
type pgCase struct {
	name   string
	client func(c *wire.PG, l lane) // c is connected and has said nothing
	server func(p *wire.PGPeer)     // nil: a real one
	want   []string                 // must be in the transcript, or the case shows nothing
	long   bool                     // too long to come byte by byte
}

// myCase is a conversation with a MySQL-family server.
type myCase struct {
	name   string
	client func(m *wire.MySQL, l lane) // m has read the greeting
	server func(p *wire.MyPeer)        // nil: a real one
	caps   uint64                      // of the scripted server
	want   []string
	long   bool
	// told is what Sluice says by itself when a server goes without a word: the one thing that its
	// clients may see and those of the server don't.
	told string
}

// TestDifferentialPostgres holds what clients see through Sluice against what they see directly.
func TestDifferentialPostgres(t *testing.T) {
	server := newScripted(t)
	server.perform(func(c net.Conn) { wire.AcceptPG(c) })
	var config strings.Builder
	reals := lanes(t, "real", "postgres", postgres(t, 0).Addr, &config)
	scripts := lanes(t, "scripted", "postgres", server.addr, &config)
	s := startSluice(t, racy(t), config.String())
	await(t, s, 6, "sluice_backend_up")

	for _, c := range pgCases() {
		t.Run(c.name, func(t *testing.T) {
			ways := reals
			if c.server != nil {
				ways = scripts
				server.perform(func(conn net.Conn) {
					if p, ok := wire.AcceptPG(conn); ok || p.Cancel != nil {
						c.server(p)
					}
				})
			}
			compare(t, ways, c.long, c.want, func(l lane) (*wire.Transcript, error) {
				pg, err := wire.DialPG(l.addr)
				if err != nil {
					return nil, err
				}
				defer pg.Conn.Close()
				c.client(pg, l)
				return &pg.Transcript, nil
			})
		})
	}
	await(t, s, 0, "sluice_sessions")
}

// TestDifferentialMySQL is TestDifferentialPostgres for the other protocol.
func TestDifferentialMySQL(t *testing.T) {
	server := newScripted(t)
	server.perform(func(c net.Conn) { wire.AcceptMySQL(c, wire.Usual) })
	var config strings.Builder
	reals := lanes(t, "real", "mysql", mariadb(t, 0).Addr, &config)
	scripts := lanes(t, "scripted", "mysql", server.addr, &config)
	s := startSluice(t, racy(t), config.String())
	await(t, s, 6, "sluice_backend_up")

	for _, c := range myCases() {
		t.Run(c.name, func(t *testing.T) {
			ways := reals
			if c.server != nil {
				ways = scripts
				server.perform(func(conn net.Conn) {
					// TLS is on offer because the listener of Sluice has it too; nobody takes it.
					if p, ok := wire.AcceptMySQL(conn, c.caps|wire.SSL); ok {
						c.server(p)
					}
				})
			}
			compare(t, ways, c.long, c.want, func(l lane) (*wire.Transcript, error) {
				m, err := wire.DialMySQL(l.addr)
				if err != nil {
					return nil, err
				}
				defer m.Conn.Close()
				c.client(m, l)
				if c.told != "" {
					m.Drop(c.told)
				}
				return &m.Transcript, nil
			})
		})
	}
	await(t, s, 0, "sluice_sessions")
}

// compare has a conversation on each lane and holds the transcripts against the first.
func compare(t *testing.T, ways []lane, long bool, want []string, talk func(lane) (*wire.Transcript, error)) {
	t.Helper()
	var direct *wire.Transcript
	for i, l := range ways {
		if long && l.bytes {
			continue
		}
		got, err := talk(l)
		if err == nil {
			err = got.Fault()
		}
		if err != nil && i == 0 {
			t.Fatalf("%s: %v\n%s", l.name, err, clip(got))
		}
		if i == 0 {
			direct = got
			wants(t, got.String(), want...)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", l.name, err)
		}
		if got == nil {
			continue
		}
		if d := wire.Diff(direct, got); d != "" {
			t.Errorf("%s: the client saw something else %s", l.name, d)
		}
	}
}

func clip(s fmt.Stringer) string {
	if s == (*wire.Transcript)(nil) {
		return ""
	}
	return tail(s.String(), 3000)
}

package session

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/codec/mysql"
	"sluice/router"
	"sluice/upstream"
)

// second adds a cluster with those backends.
func second(s *Setup, name string, backends ...upstream.Spec) {
	opt := s.Clusters[0]
	opt.Name, opt.Backends = name, backends
	s.Clusters = append(s.Clusters, opt)
}

// dialFrom connects from an address of this machine's.
func dialFrom(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// as logs a user in.
func as(t *testing.T, addr, user string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return helloAs(t, c, "user\x00"+user+"\x00")
}

func prefixesOf(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// startTenants runs a proxy with the clusters "pg" and "b", with a server each, in either mode.
func startTenants(t *testing.T, shares bool, change func(*Setup)) (s *stand, a, b *fakePG) {
	a, b = startFakePG(t, "db-a"), startFakePG(t, "db-b")
	return startProxy(t, func(s *Setup) {
		second(s, "b", specs(b)...)
		if shares {
			s.Frontends[0].Sharing = trusting(2)
		}
		change(s)
	}, a), a, b
}

// bothModes runs a test with server connections of each client's own, and with shared ones.
func bothModes(t *testing.T, run func(t *testing.T, shares bool)) {
	for _, shares := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared=%t", shares), func(t *testing.T) { run(t, shares) })
	}
}

// expectWorksAt holds that a session works at a server.
func (c *client) expectWorksAt(server string) *client {
	c.t.Helper()
	if got, _ := c.query("select"); got != server {
		c.t.Errorf("works at %s, want %s", got, server)
	}
	return c
}

// TestNamespaceRules: who is led where, by user, by address, by port, and by the order of the rules.
func TestNamespaceRules(t *testing.T) {
	bothModes(t, func(t *testing.T, shares bool) {
		s, _, _ := startTenants(t, shares, func(s *Setup) {
			s.Frontends[0].Namespaces = []Namespace{
				{Name: "own", Clients: prefixesOf("127.0.0.2/32"), Users: []string{"bob"}, Cluster: "pg"},
				{Name: "net", Clients: prefixesOf("127.0.0.2/31"), Cluster: "b"},
				{Name: "user", Users: []string{"x*", "b?b"}, Cluster: "b"},
			}
			other := s.Frontends[0]
			other.Name, other.Namespaces = "other", []Namespace{{Name: "all", Cluster: "b"}}
			s.Frontends = append(s.Frontends, other)
		})
		addr := s.addr("in")
		as(t, addr, "alice").ready().expectWorksAt("db-a").Close()
		as(t, addr, "bob").ready().expectWorksAt("db-b").Close()
		as(t, s.addr("other"), "alice").ready().expectWorksAt("db-b").Close()
		helloAs(t, dialFrom(t, "127.0.0.2", addr), "user\x00bob\x00").ready().expectWorksAt("db-a").Close()
		helloAs(t, dialFrom(t, "127.0.0.2", addr), "user\x00alice\x00").ready().expectWorksAt("db-b").Close()
		helloAs(t, dialFrom(t, "127.0.0.3", addr), "user\x00bob\x00").ready().expectWorksAt("db-b").Close()
		helloAs(t, dialFrom(t, "127.0.0.4", addr), "user\x00alice\x00").ready().expectWorksAt("db-a").Close()
		s.expectNoClients()
	})
}

// expectNoClients waits until all clients have gone, and holds that the namespaces have none.
func (s *stand) expectNoClients() {
	s.t.Helper()
	eventually(s.t, "all clients have gone", func() bool {
		for _, n := range s.Namespaces() {
			if n.Clients != 0 {
				return false
			}
		}
		return s.Clients() == 0
	})
}

// TestNamespaceTags: a namespace's tags are wanted of the backends besides the listener's.
func TestNamespaceTags(t *testing.T) {
	bothModes(t, func(t *testing.T, shares bool) {
		a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
		s := startProxy(t, func(s *Setup) {
			s.Clusters[0].Backends = []upstream.Spec{{Addr: a.addr(), Tags: map[string]string{"tenant": "one"}},
				{Addr: b.addr(), Tags: map[string]string{"tenant": "two"}}}
			if shares {
				s.Frontends[0].Sharing = trusting(2)
			}
			s.Frontends[0].Namespaces = []Namespace{
				{Name: "one", Users: []string{"alice"}, Cluster: "pg", Tags: []router.TagRule{{Name: "tenant", Value: "one"}}},
				{Name: "two", Users: []string{"bob"}, Cluster: "pg", Tags: []router.TagRule{{Name: "tenant", Value: "two"}}},
			}
		})
		for range 8 {
			as(t, s.addr("in"), "alice").ready().expectWorksAt("db-a").Close()
			as(t, s.addr("in"), "bob").ready().expectWorksAt("db-b").Close()
		}
		s.expectNoClients()
	})
}

// TestNamespaceLimit: a namespace's limit holds for all its listeners together, and for nobody else; who leaves
// makes room.
func TestNamespaceLimit(t *testing.T) {
	bothModes(t, func(t *testing.T, shares bool) {
		s, _, _ := startTenants(t, shares, func(s *Setup) {
			s.Frontends[0].Namespaces = []Namespace{{Name: "few", Users: []string{"bob"}, Cluster: "b", MaxConnections: 2}}
			other := s.Frontends[0]
			other.Name = "other"
			s.Frontends = append(s.Frontends, other)
		})
		one := as(t, s.addr("in"), "bob").ready()
		two := as(t, s.addr("other"), "bob").ready()
		for _, name := range []string{"in", "other"} {
			as(t, s.addr(name), "bob").expectError("53300")
			as(t, s.addr(name), "alice").ready().Close()
		}
		one.Close()
		eventually(t, "there is room", func() bool { return s.Namespaces()[0].Clients == 1 })
		as(t, s.addr("other"), "bob").ready().expectWorksAt("db-b").Close()
		two.expectWorksAt("db-b").Close()
		s.expectNoClients()
	})
}

// TestNamespaceLimitByAddress: who is counted at accept is refused and counted out as others are.
func TestNamespaceLimitByAddress(t *testing.T) {
	s, _, _ := startTenants(t, false, func(s *Setup) {
		s.Frontends[0].Namespaces = []Namespace{{Name: "few", Clients: prefixesOf("127.0.0.0/8"), Cluster: "b", MaxConnections: 1}}
	})
	one := as(t, s.addr("in"), "bob").ready()
	as(t, s.addr("in"), "bob").expectError("53300")
	one.Close()
	eventually(t, "there is room", func() bool { return s.Namespaces()[0].Clients == 0 })
	as(t, s.addr("in"), "bob").ready().expectWorksAt("db-b").Close()
	s.expectNoClients()
}

// TestNamespaceChanges: sessions whose namespace leads elsewhere leave when it does them no harm; others do not
// notice.
func TestNamespaceChanges(t *testing.T) {
	bothModes(t, func(t *testing.T, shares bool) {
		s, _, _ := startTenants(t, shares, func(s *Setup) {
			s.Frontends[0].Namespaces = []Namespace{{Name: "user", Users: []string{"bob"}, Cluster: "b"}}
		})
		addr := s.addr("in")
		alice, idle, busy := as(t, addr, "alice").ready(), as(t, addr, "bob").ready(), as(t, addr, "bob").ready()
		busy.query("begin")
		s.setup.Frontends[0].Namespaces = []Namespace{{Name: "user", Users: []string{"bob"}, Cluster: "pg"}}
		s.apply()
		idle.expectError("57P01")
		as(t, addr, "bob").ready().expectWorksAt("db-a").Close()
		if got, status := busy.query("select"); got != "db-b" || status != "T" {
			t.Errorf("in its transaction: %s, %s", got, status)
		}
		if got, _ := busy.query("commit"); got != "db-b" {
			t.Errorf("commits at %s", got)
		}
		busy.expectError("57P01")
		alice.expectWorksAt("db-a")

		// No namespace any more: who was in one has to leave if its cluster is not the listener's.
		s.setup.Frontends[0].Namespaces = []Namespace{{Name: "all", Cluster: "b"}}
		s.apply()
		alice.expectError("57P01")
		bob := as(t, addr, "bob").ready().expectWorksAt("db-b")
		s.setup.Frontends[0].Namespaces = nil
		s.apply()
		bob.expectError("57P01")
		as(t, addr, "bob").ready().expectWorksAt("db-a").Close()
		if list := s.Namespaces(); len(list) != 0 {
			t.Errorf("namespaces are left: %v", list)
		}
		s.expectNoClients()
		sum, _ := s.snapshot()
		for i, n := range sum.frontend("in").evicted {
			if want := map[bool]uint64{true: 4}[evictions[i] == "namespace"]; n != want {
				t.Errorf("%d sessions left for %s, want %d", n, evictions[i], want)
			}
		}
	})
}

// TestNamespaceForce: with no time to leave, and when it is over, who is led elsewhere is cut off.
func TestNamespaceForce(t *testing.T) {
	bothModes(t, func(t *testing.T, shares bool) {
		for _, within := range []time.Duration{0, 50 * time.Millisecond} {
			s, _, _ := startTenants(t, shares, func(s *Setup) {
				s.Frontends[0].Namespaces = []Namespace{{Name: "user", Users: []string{"bob"}, Cluster: "b"}}
				s.Frontends[0].DrainTimeout = within
			})
			busy := as(t, s.addr("in"), "bob").ready()
			busy.query("begin")
			s.setup.Frontends[0].Namespaces[0].Cluster = "pg"
			s.apply()
			busy.expectError("57P01")
			s.expectNoClients()
		}
	})
}

// TestNamespaceStays: a session that is of another namespace now, with the same cluster, stays and counts there.
func TestNamespaceStays(t *testing.T) {
	bothModes(t, func(t *testing.T, shares bool) {
		s, _, _ := startTenants(t, shares, func(s *Setup) {
			s.Frontends[0].Namespaces = []Namespace{{Name: "one", Users: []string{"bob"}, Cluster: "b"}}
		})
		bob := as(t, s.addr("in"), "bob").ready()
		s.setup.Frontends[0].Namespaces = []Namespace{{Name: "two", Users: []string{"b*"}, Cluster: "b", MaxConnections: 1}}
		s.apply()
		eventually(t, "it counts in the other", func() bool {
			list := s.Namespaces()
			return len(list) == 1 && list[0] == NamespaceInfo{"two", 1}
		})
		bob.expectWorksAt("db-b")
		as(t, s.addr("in"), "bob").expectError("53300")
		bob.Close()
		s.expectNoClients()
	})
}

// TestNamespaceOfOldSessions: a listener that had no namespaces gets some while it has sessions.
func TestNamespaceOfOldSessions(t *testing.T) {
	bothModes(t, func(t *testing.T, shares bool) {
		s, _, _ := startTenants(t, shares, func(*Setup) {})
		port := netip.MustParseAddrPort(s.addr("in")).Port()
		alice, bob := as(t, s.addr("in"), "alice").ready(), as(t, s.addr("in"), "bob").ready()
		s.setup.Frontends[0].Namespaces = []Namespace{
			{Name: "no", Ports: []Ports{{port + 1, port + 1}}, Cluster: "b"},
			{Name: "user", Users: []string{"bob"}, Ports: []Ports{{port, port}}, Cluster: "b"},
			{Name: "rest", Cluster: "pg"}}
		s.apply()
		bob.expectError("57P01")
		alice.expectWorksAt("db-a")
		if list := s.Sessions(10); len(list) != 1 || list[0].Namespace != "rest" || list[0].Port != port {
			t.Errorf("sessions: %+v", list)
		}
		alice.Close()
		s.expectNoClients()
	})
}

// startMySQLTenants is startTenants for MySQL, where Sluice greets by itself.
func startMySQLTenants(t *testing.T, change func(*Setup)) (s *stand, a, b *fakeMySQL) {
	a, b = startFakeMySQL(t), startFakeMySQL(t)
	return startMySQL(t, func(s *Setup) {
		second(s, "b", upstream.Spec{Addr: b.addr()})
		s.Frontends[0].Namespaces = []Namespace{{Name: "user", Users: []string{"bob"}, Cluster: "b", MaxConnections: 1}}
		if change != nil {
			change(s)
		}
	}, a), a, b
}

// TestOwnGreeting: where the server depends on the user, Sluice greets; the id that it gives is the session's for
// KILL, whatever the server's.
func TestOwnGreeting(t *testing.T) {
	s, a, b := startMySQLTenants(t, nil)
	alice, bob := loginAs(t, s.addr("in"), "alice"), loginAs(t, s.addr("in"), "bob")
	if alice.id < ownIDs || bob.id < ownIDs || alice.id == bob.id {
		t.Errorf("ids %d and %d", alice.id, bob.id)
	}
	alice.say("for a")
	bob.say("for b")
	a.expectSaid(t, "alice: for a")
	b.expectSaid(t, "bob: for b")
	third := greet(t, s.addr("in"))
	third.respond("bob")
	if got := verdict(third.next(2)); got != "08004 too many connections" {
		t.Errorf("over the limit: %s", got)
	}
	other := loginAs(t, s.addr("in"), "alice")
	if got := other.say(fmt.Sprintf("kill %d", alice.id)); got != "ok" {
		t.Errorf("kill: %s", got)
	}
	said := strings.Join(a.statements(), "\n")
	if !strings.HasPrefix(said, "alice: kill ") || strings.Contains(said, fmt.Sprint(alice.id)) {
		t.Errorf("the server was told %q", said)
	}
	for _, c := range []*mysqlClient{alice, bob, third, other} {
		c.Close()
	}
	s.expectEmpty()
	s.expectNoClients()
}

// expectSaid waits until the server has heard a statement.
func (f *fakeMySQL) expectSaid(t *testing.T, want string) {
	t.Helper()
	var all []string
	eventually(t, want, func() bool {
		all = append(all, f.statements()...)
		return strings.Contains(strings.Join(all, "\n"), want)
	})
}

// TestOwnGreetingNobodyKnown: a client is not greeted before a server has been heard of; one that comes too early
// waits, and is told when the time is over.
func TestOwnGreetingNobodyKnown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // accepts, and says nothing
	s := startProxy(t, func(s *Setup) {
		s.Clusters[0].Protocol = mysql.Protocol{}
		s.Clusters[0].Backends = []upstream.Spec{{Addr: ln.Addr().String()}}
		s.Clusters[0].RetryTimeout = 100 * time.Millisecond
		s.Frontends[0].Namespaces = []Namespace{{Name: "user", Users: []string{"bob"}, Cluster: "pg"}}
	})
	nc, err := net.Dial("tcp", s.addr("in"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	p, seq, err := readPacket(nc)
	if err != nil || seq != 0 || p[0] != 0xff || !strings.Contains(string(p), "no server is available") {
		t.Errorf("got %q, %d, %v", p, seq, err)
	}
	nc.Close()
	s.expectEmpty()

	db := startFakeMySQL(t)
	s.setup.Clusters[0].RetryTimeout = patience
	s.apply()
	waits, err := net.Dial("tcp", s.addr("in"))
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	_ = waits.SetDeadline(time.Now().Add(patience))
	eventually(t, "it waits", func() bool { return len(s.Sessions(9)) == 1 })
	s.setup.Clusters[0].Backends = []upstream.Spec{{Addr: db.addr()}}
	s.apply()
	if p, _, err := readPacket(waits); err != nil || p[0] != 10 {
		t.Errorf("got %q, %v", p, err)
	}
	waits.Close()
	s.expectEmpty()
}

// TestOwnGreetingRetry: a server that hangs up is replaced while the client knows of none.
func TestOwnGreetingRetry(t *testing.T) {
	s, _, b := startMySQLTenants(t, nil)
	eventually(t, "both are known", func() bool {
		for _, c := range s.Clusters() {
			for _, b := range c.Backends() {
				if b.Greeting() == nil {
					return false
				}
			}
		}
		return true
	})
	spare := startFakeMySQL(t)
	s.setup.Clusters[1].Backends = append(s.setup.Clusters[1].Backends, upstream.Spec{Addr: spare.addr()})
	s.apply()
	b.stop()
	bob := loginAs(t, s.addr("in"), "bob")
	bob.say("here")
	spare.expectSaid(t, "bob: here")
	bob.Close()
	s.expectEmpty()
}

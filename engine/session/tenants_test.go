package session

import (
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// become asks to go on as another user, and returns what is answered.
func (c *mysqlClient) become(user string) string {
	c.t.Helper()
	_, _ = c.Write(packet(0, []byte("\x11"+user+"\x00\x00shop\x00\x2d\x00mysql_native_password\x00")))
	return c.answer()
}

// TestNamespaceChangeUser: a session goes on as another user only where that one is of the same namespace; a server
// of the other one's does not hear of it, and the session ends.
func TestNamespaceChangeUser(t *testing.T) {
	const refused = "28000 this session can't go on as that user"
	s, a, b := startMySQLTenants(t, func(s *Setup) {
		s.Frontends[0].Namespaces = []Namespace{
			{Name: "user", Users: []string{"b*"}, Cluster: "b", MaxConnections: 5},
			{Name: "same", Users: []string{"c*"}, Cluster: s.Clusters[0].Name, MaxConnections: 1},
		}
	})
	for _, tt := range []struct{ from, to, want string }{
		{"alice", "eve", "ok"}, {"bob", "ben", "ok"}, {"alice", "", "ok"},
		{"alice", "bob", refused}, {"bob", "alice", refused}, {"bob", "", refused},
		{"alice", "carol", refused}, // her namespace leads to the same servers, and has a limit of its own
	} {
		c := loginAs(t, s.addr("in"), tt.from)
		if got := c.become(tt.to); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s becomes %q: %s", tt.from, tt.to, got)
		}
		if heard := len(a.statements())+len(b.statements()) > 0; heard != (tt.want == "ok") {
			t.Errorf("%s becomes %q: the server has heard of it: %t", tt.from, tt.to, heard)
		}
		if tt.want == "ok" && c.say("on") != "ok" {
			t.Errorf("%s does not go on as %q", tt.from, tt.to)
		}
		a.statements()
		b.statements()
		c.Close()
	}
	s.expectEmpty()
	s.expectNoClients()
}

// TestNamespaceOfChangedUser: who leads a session elsewhere by a new namespace is the user that it has now.
func TestNamespaceOfChangedUser(t *testing.T) {
	s, _, _ := startMySQLTenants(t, nil)
	stays, goes := loginAs(t, s.addr("in"), "eve"), loginAs(t, s.addr("in"), "alice")
	stays.become("alice")
	goes.become("eve")
	s.setup.Frontends[0].Namespaces = append(s.setup.Frontends[0].Namespaces,
		Namespace{Name: "eve", Users: []string{"eve"}, Cluster: "b"})
	s.apply()
	if got := verdict(goes.next(0)); !strings.Contains(got, "namespace") {
		t.Errorf("it leaves with %q", got)
	}
	if got := stays.say("on"); got != "ok" {
		t.Errorf("who is nobody's: %s", got)
	}
	goes.Close()
	stays.Close()
	s.expectEmpty()
	s.expectNoClients()
}

// TestKillStaysInCluster: a session of another tenant's can't be named by a KILL, though its user has the same name
// and Sluice could do it.
func TestKillStaysInCluster(t *testing.T) {
	s, a, b := startMySQLTenants(t, func(s *Setup) {
		for i := range s.Clusters {
			s.Clusters[i].ControlUser = "root"
		}
		s.Frontends[0].Namespaces = nil
		other := s.Frontends[0]
		other.Name, other.Cluster = "other", "b"
		s.Frontends = append(s.Frontends, other)
	})
	mine, theirs := loginAs(t, s.addr("in"), "app"), loginAs(t, s.addr("other"), "app")
	for _, form := range []string{"kill %d", "kill query %d"} {
		order := fmt.Sprintf(form, theirs.id)
		mine.say(order) // its own server judges
		a.expectSaid(t, "app: "+order)
	}
	if got := theirs.say("on"); got != "ok" {
		t.Errorf("the other one: %s", got)
	}
	if said := b.statements(); len(said) != 1 || said[0] != "app: on" {
		t.Errorf("the other server was told %q", said)
	}
	mine.Close()
	theirs.Close()
	s.expectEmpty()
}

// TestOwnSalts: each greeting of Sluice's own has a salt that no other has had.
func TestOwnSalts(t *testing.T) {
	s, _, _ := startMySQLTenants(t, nil)
	seen := map[string]bool{}
	for range 50 {
		c := greetRaw(t, s.addr("in"))
		if seen[c] {
			t.Fatalf("the salt %q came twice", c)
		}
		seen[c] = true
	}
	s.expectEmpty()
}

// greetRaw connects, and returns the salt of the greeting.
func greetRaw(t *testing.T, addr string) string {
	t.Helper()
	nc := dialFrom(t, "127.0.0.1", addr)
	defer nc.Close()
	p, _, err := readPacket(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(p), "\x00")
	if len(rest) < 44 {
		t.Fatalf("greeting %q", p)
	}
	return rest[4:12] + rest[31:43]
}

// TestOwnGreetingOfMovable: a session that may be moved has the id of Sluice's greeting from the begin, by which its
// client's questions are answered; the server's own names it as well.
func TestOwnGreetingOfMovable(t *testing.T) {
	s, a, _ := startMySQLTenants(t, func(s *Setup) {
		for i := range s.Clusters {
			s.Clusters[i].Migrate.Move = &codec.MoveOptions{StateMax: 1 << 20}
		}
	})
	alice := loginAs(t, s.addr("in"), "alice")
	alice.say("select connection_id()")
	a.expectSaid(t, fmt.Sprint(alice.id))
	if n := s.keys.len(); n != 2 {
		t.Errorf("%d keys lead to it", n)
	}
	alice.Close()
	s.expectEmpty()
	s.expectNoClients()
	if n := s.keys.len(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

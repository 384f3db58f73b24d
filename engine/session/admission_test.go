package session

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/codec/mysql"
	"sluice/upstream"
)

func TestAdmits(t *testing.T) {
	nets := func(list ...string) (out []netip.Prefix) {
		for _, n := range list {
			out = append(out, netip.MustParsePrefix(n))
		}
		return out
	}
	tests := []struct {
		name        string
		allow, deny []netip.Prefix
		addr        string
		want        bool
	}{
		{"no lists", nil, nil, "10.1.2.3", true},
		{"allowed", nets("10.0.0.0/8"), nil, "10.1.2.3", true},
		{"not allowed", nets("10.0.0.0/8"), nil, "11.1.2.3", false},
		{"denied", nil, nets("10.0.0.0/8"), "10.1.2.3", false},
		{"denied within what is allowed", nets("10.0.0.0/8"), nets("10.1.0.0/16"), "10.1.2.3", false},
		{"the rest of what is allowed", nets("10.0.0.0/8"), nets("10.1.0.0/16"), "10.2.2.3", true},
		{"IPv4 on an IPv6 socket", nets("10.0.0.0/8"), nil, "::ffff:10.1.2.3", true},
		{"denied IPv4 on an IPv6 socket", nil, nets("10.0.0.0/8"), "::ffff:10.1.2.3", false},
		{"denied with a zone", nil, nets("fe80::/10"), "fe80::1%eth0", false},
		{"allowed with a zone", nets("fe80::/10"), nil, "fe80::1%eth0", true},
	}
	for _, tt := range tests {
		set := &Settings{Allow: tt.allow, Deny: tt.deny}
		if got := set.denial(netip.MustParseAddr(tt.addr)) == nil; got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// TestTakeIsExact: of many that come at once exactly as many are let in as there are places.
func TestTakeIsExact(t *testing.T) {
	var count, in atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if take(&count, 50) {
					in.Add(1)
				}
			}
		})
	}
	all.Wait()
	if count.Load() != 50 || in.Load() != 50 {
		t.Errorf("%d were let in, %d are counted", in.Load(), count.Load())
	}
}

// TestLoginMax: one login more than that is told so; a session that is ready counts no more.
func TestLoginMax(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, func(s *Setup) { s.Limits.LoginMax = 2 }, db)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.addr("in"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first, second := dial(), dial()
	eventually(t, "two logins are in progress", func() bool { return s.logins.Load() == 2 })
	connect(t, s.addr("in")).expectError("53300")
	if n := s.logins.Load(); n != 2 {
		t.Errorf("the refused one is counted: %d logins", n)
	}
	hello(t, first).ready()
	login(t, s.addr("in"))
	login(t, s.addr("in"))
	second.Close()
	eventually(t, "no login is in progress", func() bool { return s.logins.Load() == 0 })
}

// TestRefusalFlood: of a flood of clients that may not connect, a bounded number is held to be told so;
// the others are closed at once, and none of them keeps out those who may.
func TestRefusalFlood(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, func(s *Setup) {
		s.Limits = Limits{LoginMax: 4, MaxConnections: 4, LeaveTimeout: patience}
		other := s.Frontends[0]
		other.Name, other.Deny = "denied", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		s.Frontends = append(s.Frontends, other)
	}, db)
	const n = refusingMax + 40
	var flood []net.Conn
	for range n {
		c, err := net.Dial("tcp", s.addr("denied"))
		if err != nil {
			t.Fatal(err)
		}
		flood = append(flood, c)
	}
	eventually(t, "those beyond the limit are turned away", func() bool {
		return s.turned.Load() == n-refusingMax && s.Clients() == refusingMax
	})
	for range 4 {
		login(t, s.addr("in")).query("select")
	}
	for _, c := range flood {
		c.Close()
	}
	eventually(t, "the flood is over", func() bool { return s.Clients() == 4 && s.refusing.Load() == 0 })
	connect(t, s.addr("in")).expectError("53300")
	sum, _ := s.snapshot()
	if got := sum.frontend("denied"); got.opened != refusingMax || got.sessions != 0 {
		t.Errorf("opened %d, sessions %d", got.opened, got.sessions)
	}
}

// TestCancelAtALimit: whoever finds the listener full can still cancel a query there; a denied host can
// not.
func TestCancelAtALimit(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, func(s *Setup) { s.Frontends[0].MaxConnections = 1 }, db)
	c := login(t, s.addr("in"))
	cancel := func() {
		x, err := net.Dial("tcp", s.addr("in"))
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		body := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 16}, 80877102)
		_, _ = x.Write(append(body, c.key...))
		_, _ = io.Copy(io.Discard, x)
	}
	cancel()
	if n := db.cancels.Load(); n != 1 {
		t.Errorf("at the limit: the server got %d cancel requests", n)
	}
	s.setup.Frontends[0].Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.apply()
	cancel()
	if n := db.cancels.Load(); n != 1 {
		t.Errorf("from a denied host: the server got %d cancel requests", n)
	}
	s.setup.Frontends[0].Deny = nil
	s.apply()
	s.cancels.Store(cancelsMax)
	cancel()
	if n := db.cancels.Load(); n != 1 {
		t.Errorf("beyond the limit of cancel requests: the server got %d", n)
	}
	if n := s.cancels.Load(); n != cancelsMax {
		t.Errorf("%d are counted", n)
	}
}

// TestReloadRefusesAnotherProtocol: the sessions under that name are followed as what they are.
func TestReloadRefusesAnotherProtocol(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	s.setup.Clusters[0].Protocol = mysql.Protocol{}
	s.setup.Frontends[0].MaxConnections = 7
	if err := s.Apply(s.setup); err == nil || !strings.Contains(err.Error(), `cluster "pg": protocol`) {
		t.Errorf("Apply: %v", err)
	}
	if got := s.Frontends()[0].Settings().MaxConnections; got != 0 {
		t.Errorf("something of it is in force: max-connections = %d", got)
	}
	c.query("select")
}

// TestClusterDroppedUnderAListener: the listener leads elsewhere now; sessions on the old servers leave.
func TestClusterDroppedUnderAListener(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, nil, a)
	idle, busy := login(t, s.addr("in")), login(t, s.addr("in"))
	busy.query("begin")
	other := s.setup.Clusters[0]
	other.Name, other.Backends = "other", specs(b)
	s.setup.Clusters = []upstream.Options{other}
	s.setup.Frontends[0].Cluster = "other"
	s.apply()
	idle.expectError("57P01")
	if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
		t.Errorf("a new session is on %s", tag)
	}
	busy.query("commit")
	busy.expectError("57P01")
}

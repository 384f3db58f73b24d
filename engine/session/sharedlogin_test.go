package session

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"sluice/codec"
	"sluice/router/access"
)

// TestLoginStorm: of many clients that come at once one asks a server what to tell them all.
func TestLoginStorm(t *testing.T) {
	const n = 200
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) { s.Frontends[0].Sharing = trusting(1) }, db)
	if err := s.Pause(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = connect(t, s.addr("in"))
	}
	eventually(t, "all wait", func() bool {
		list := s.PoolInfos()
		return len(list) == 1 && list[0].ClientsWaiting == n
	})
	if err := s.Resume(""); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.ready()
	}
	if looks := db.looks.Load(); looks != 1 {
		t.Errorf("the server was asked %d times", looks)
	}
	for _, c := range clients {
		if tag, _ := c.query("select"); tag != "db-a" {
			t.Fatalf("got %q", tag)
		}
		c.Close()
	}
	s.expectCalm()
}

// TestLoginOutlivesItsServer: a server connection that ends while a login uses it is replaced; the client
// does not hear of it.
func TestLoginOutlivesItsServer(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.condemns.Store(3)
	s := startFunnel(t, nil, db)
	c := login(t, s.addr("in"))
	if tag, _ := c.query("select"); tag != "db-a" {
		t.Errorf("got %q", tag)
	}
	c.Close()
	s.expectCalm()
}

// TestPoolsInVain: names of databases that there are not leave nothing behind, however many are tried.
func TestPoolsInVain(t *testing.T) {
	t.Run("opened when needed", func(t *testing.T) { testPoolsInVain(t, 0) })
	t.Run("kept ready", func(t *testing.T) { testPoolsInVain(t, 1) })
}

func testPoolsInVain(t *testing.T, atLeast int) {
	db, code := startFakePG(t, "db-a"), "3D000"
	db.refuse.Store(&code)
	s := startFunnel(t, func(set *Setup) {
		set.Frontends[0].Sharing.Access = access.New(access.Options{Method: codec.AuthTrust, AnyDatabase: true,
			Users:  []access.User{{Name: "alice"}},
			Limits: access.Limits{Unit: access.UnitTransaction, PoolSize: 5, PoolMin: atLeast}})
	}, db)
	for i := range 50 {
		c, err := net.Dial("tcp", s.addr("in"))
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf("\x00\x03\x00\x00user\x00alice\x00database\x00none%d\x00\x00", i)
		_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...))
		said, _ := io.ReadAll(c)
		if !strings.Contains(string(said), code) {
			t.Errorf("got %q", said)
		}
		c.Close()
	}
	s.expectCalm()
	eventually(t, "nothing is left", func() bool {
		homes, shelves := 0, 0
		for _, on := range s.loops {
			onLoop(t, on, func() { homes, shelves = homes+len(on.homes), shelves+len(on.shelves) })
		}
		s.pools.mu.Lock()
		defer s.pools.mu.Unlock()
		return homes+shelves+len(s.pools.specs)+len(s.pools.epoch)+len(s.pools.group.Pools()) == 0
	})
}

// TestNoServer: the log says what is the matter, and the client no more than it has to know.
func TestNoServer(t *testing.T) {
	for why, want := range map[string][2]string{
		"health":      {"no server is available", "all backends are down"},
		"tried":       {"no server is available", "no backend can be had"},
		"role":        {"no server of the wanted role is configured", "no server of the wanted role is configured"},
		"no backends": {"no server of the wanted role is configured", "no server of the wanted role is configured"},
	} {
		if told, cause := noServer(why); told != want[0] || cause.Error() != want[1] {
			t.Errorf("%s: %q, %q", why, told, cause)
		}
	}
}

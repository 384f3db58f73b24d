package session

import (
	"testing"
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

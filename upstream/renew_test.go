package upstream

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"sluice/codec"
)

// changeTLS has the TLS of the cluster be another one.
func (c *Cluster) changeTLS() {
	opt := *c.Options()
	opt.TLS = &tls.Config{ServerName: opt.Name + time.Now().String()} // of no use while the mode is what it is
	c.Update(opt)
}

// TestHubRenews: a listening connection from before a change of TLS is replaced, and who listens need not do
// anything for it.
func TestHubRenews(t *testing.T) {
	s := startFakePG(t)
	h := newHub(t, s)
	e, _ := subscribe(t, h, "a")
	h.Renew() // nothing has changed
	h.cluster.changeTLS()
	h.Renew()
	eventually(t, "it listens anew", func() bool { _, got := s.seen(); return len(got) == 2 })
	eventually(t, "the old connection is closed", func() bool { return s.open() == 1 })
	s.notify("a", "1")
	eventually(t, "it hears", func() bool { return e.has("7 a 1") })
	if n := s.logins(); n != 2 {
		t.Errorf("%d connections", n)
	}
	h.cluster.changeTLS()
	h.Renew()
	if _, err := h.Subscribe("b", e.take); err != nil {
		t.Errorf("who comes meanwhile is told: %v", err)
	}
}

// TestAuthQueryRenews: a connection from before a change of TLS asks no more.
func TestAuthQueryRenews(t *testing.T) {
	s := startFakePG(t)
	s.answer = users(map[string]string{"a": "x", "b": "x", "c": "x"})
	q := newAsk(t, nil, s)
	for _, tt := range []struct {
		name   string
		change bool
		logins int
	}{{"a", false, 1}, {"b", false, 1}, {"c", true, 2}} {
		if tt.change {
			q.cluster.changeTLS()
		}
		if _, known, err := q.Ask(t.Context(), tt.name, "d"); !known || err != nil {
			t.Errorf("%s: %t, %v", tt.name, known, err)
		}
		if n := s.logins(); n != tt.logins {
			t.Errorf("%s: %d connections, want %d", tt.name, n, tt.logins)
		}
	}
}

// TestAuthQueryWaits: a question while no server is up is asked as soon as one is, within the time for trying.
func TestAuthQueryWaits(t *testing.T) {
	s := startFakePG(t)
	s.answer = users(map[string]string{"a": "x"})
	q := newAsk(t, nil, s)
	b := q.cluster.Backends()[0]
	eventually(t, "the first check is over", func() bool { return b.Health() == Up })
	b.health.Store(uint32(Down))
	opt := *q.cluster.Options()
	opt.RetryTimeout = 0
	q.cluster.Update(opt)
	if _, _, err := q.Ask(t.Context(), "a", "d"); err == nil {
		t.Error("answered by a server that is down")
	}
	opt.RetryTimeout = time.Minute
	q.cluster.Update(opt)
	answer := make(chan codec.Secret)
	go func() {
		secret, _, err := q.Ask(context.Background(), "a", "d")
		if err != nil {
			t.Error(err)
		}
		answer <- secret
	}()
	select {
	case <-answer:
		t.Error("answered by a server that is down")
	case <-time.After(2 * askPause):
	}
	b.health.Store(uint32(Up))
	if secret := <-answer; secret.Password != "x" {
		t.Errorf("got %+v", secret)
	}
}

// TestAuthQueryThatNoTimeHelps: a server that refuses who asks is not asked again.
func TestAuthQueryThatNoTimeHelps(t *testing.T) {
	s := startFakePG(t)
	s.refuse = func(map[string]string) string { return "28P01" }
	q := newAsk(t, nil, s)
	opt := *q.cluster.Options()
	opt.RetryTimeout = time.Minute
	q.cluster.Update(opt)
	if _, _, err := q.Ask(t.Context(), "a", "d"); err == nil || s.logins() != 1 {
		t.Errorf("%v after %d connections", err, s.logins())
	}
}

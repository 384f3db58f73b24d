package session

import (
	"testing"

	"sluice/upstream"
)

// TestFirstClientMeetsAll: from the moment that a listener takes clients there is all that its settings need,
// though the rest of a setup is not in force yet.
func TestFirstClientMeetsAll(t *testing.T) {
	s := startFunnel(t, func(s *Setup) {
		s.Frontends[0].Sharing.Ask = upstream.AuthQueryOptions{Query: "select $1", User: "asker"}
	}, startFakePG(t, "db-a"))
	other := s.setup.Frontends[0]
	other.Name = "other"
	for _, sets := range [][]Settings{{s.setup.Frontends[0], other}, {s.setup.Frontends[0], other}} {
		s.mu.Lock()
		socks, err := s.findSockets(sets, Limits{})
		if err == nil {
			s.applyFrontends(sets, socks)
		}
		s.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		for _, fe := range s.Frontends() {
			if fe.Addr() == nil || fe.askOf(fe.Settings()) == nil {
				t.Errorf("%s listens at %v, and nobody looks users up for it", fe.Name(), fe.Addr())
			}
		}
	}
	s.setup.Frontends = append(s.setup.Frontends, other)
	s.apply()
	s.setup.Frontends[0].Sharing = trusting(1)
	s.apply()
	for _, fe := range s.Frontends() {
		if fe.Name() == "in" && fe.askOf(fe.Settings()) != nil {
			t.Error("who is not needed any more stays")
		}
	}
}

// TestNoReloadAfterTheClose: when no more clients are taken, a reload does not have the listeners open again.
func TestNoReloadAfterTheClose(t *testing.T) {
	s := startFunnel(t, nil, startFakePG(t, "db-a"))
	c := login(t, s.addr("in"))
	s.CloseFrontends()
	for _, listen := range []string{s.setup.Frontends[0].Listen, "127.0.0.2:0"} {
		s.setup.Frontends[0].Listen = listen
		if err := s.Apply(s.setup); err == nil {
			t.Errorf("%s: a reload after the close", listen)
		}
	}
	if at := s.Frontends()[0].Addr(); at != nil {
		t.Errorf("listens at %v", at)
	}
	c.query("select")
	c.Close()
	s.expectCalm()
}

package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
	"sluice/upstream"
)

// twoServers runs a proxy in front of two servers, whose health checks are over: each has given the
// connection id 1 to one. Then it logs alice in at each; both servers call her connection 2.
func twoServers(t *testing.T, change func(*Setup)) (s *stand, own [2]*fakeMySQL, by [2]*mysqlClient) {
	t.Helper()
	own = [2]*fakeMySQL{startFakeMySQL(t), startFakeMySQL(t)}
	s = startMySQL(t, change, own[0], own[1])
	eventually(t, "both servers were checked", func() bool {
		return s.Backends()[0].Health() == upstream.Up && s.Backends()[1].Health() == upstream.Up
	})
	for range 2 {
		c := loginAs(t, s.addr("in"), "alice")
		c.say("who")
		for i, f := range own {
			if slices.Contains(f.statements(), "alice: who") {
				by[i] = c
			}
		}
	}
	if by[0] == nil || by[1] == nil {
		t.Fatal("the sessions are not on two servers")
	}
	return s, own, by
}

// control gives the cluster an account for what Sluice itself does.
func control(s *Setup) { s.Clusters[0].ControlUser = "root" }

// TestIDsAreUnique: two servers give the same connection id, two clients must not see it.
func TestIDsAreUnique(t *testing.T) {
	s, _, by := twoServers(t, nil)
	low, high := min(by[0].id, by[1].id), max(by[0].id, by[1].id)
	if low != 2 || high < ownIDs {
		t.Errorf("the clients see %d and %d, want the server's 2 and one of Sluice's own", low, high)
	}
	by[0].Close()
	by[1].Close()
	s.expectEmpty()
}

// TestKillOnOwnServer: an id that was replaced is replaced back; one that was not passes, as does one
// that nobody knows.
func TestKillOnOwnServer(t *testing.T) {
	s, own, by := twoServers(t, nil)
	for range 2 { // now each server has two sessions, and both of one of them have replaced ids
		loginAs(t, s.addr("in"), "alice")
	}
	for i := range own {
		if got := by[i].say(fmt.Sprintf("KILL QUERY %d", by[i].id)); got != "ok" {
			t.Errorf("server %d: %s", i, got)
		}
		if got := own[i].statements(); !slices.Equal(got, []string{"alice: KILL QUERY 2"}) {
			t.Errorf("server %d heard %q", i, got)
		}
	}
	if got := by[0].say("kill 77"); got != "ok" { // the server's to judge
		t.Errorf("an unknown id: %s", got)
	}
	if got := own[0].statements(); !slices.Equal(got, []string{"alice: kill 77"}) {
		t.Errorf("an unknown id: the server heard %q", got)
	}
}

// TestKillOnOtherServer is carried there by the control account, for the session's own user.
func TestKillOnOtherServer(t *testing.T) {
	_, own, by := twoServers(t, control)
	for _, tt := range []struct{ say, want string }{
		{"KILL QUERY %d", "root: KILL QUERY 2"}, {"kill connection %d;", "root: KILL CONNECTION 2"}, {"KILL %d", "root: KILL CONNECTION 2"},
	} {
		if got := by[0].say(fmt.Sprintf(tt.say, by[1].id)); got != "ok" {
			t.Errorf("%s: %s", tt.say, got)
		}
		if here, there := own[0].statements(), own[1].statements(); len(here) != 0 || !slices.Equal(there, []string{tt.want}) {
			t.Errorf("%s: its own server heard %q, the other one %q", tt.say, here, there)
		}
	}
}

// TestKillIsRefused without an account for it, and for another user's session.
func TestKillIsRefused(t *testing.T) {
	t.Run("no control user", func(t *testing.T) {
		_, own, by := twoServers(t, nil)
		got := by[0].say(fmt.Sprintf("KILL QUERY %d", by[1].id))
		if !strings.HasPrefix(got, "HY000") || !strings.Contains(got, "no control user") {
			t.Errorf("got %s", got)
		}
		if heard := append(own[0].statements(), own[1].statements()...); len(heard) != 0 {
			t.Errorf("the servers heard %q", heard)
		}
		if got := by[0].say("still there"); got != "ok" {
			t.Errorf("afterwards: %s", got)
		}
	})
	t.Run("another user", func(t *testing.T) {
		s, own, by := twoServers(t, control)
		mallory := loginAs(t, s.addr("in"), "mallory")
		mallory.say("who")
		for i := range own {
			if slices.Contains(own[i].statements(), "mallory: who") {
				continue // the other one's session is on the other server
			}
			if got := mallory.say(fmt.Sprintf("KILL %d", by[i].id)); !strings.Contains(got, "another user") {
				t.Errorf("got %s", got)
			}
			if heard := own[i].statements(); len(heard) != 0 {
				t.Errorf("the server heard %q", heard)
			}
		}
	})
	t.Run("the other server is not there", func(t *testing.T) {
		_, own, by := twoServers(t, control)
		own[1].ln.Close() // its sessions stay
		got := by[0].say(fmt.Sprintf("KILL %d", by[1].id))
		if !strings.Contains(got, "could not be asked") || strings.Contains(got, "127.0.0.1") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("the session has gone", func(t *testing.T) {
		s, _, by := twoServers(t, control)
		id := by[1].id
		k := codec.Key{ID: id}
		gone, _ := s.keys.find(k)
		by[1].Close()
		eventually(t, "its key is forgotten", func() bool { _, known := s.keys.find(k); return !known })
		s.keys.add(k, target{backend: gone.backend, server: codec.Key{ID: 1 << 20}, user: "bob"})
		if got := by[0].say(fmt.Sprintf("KILL %d", id)); !strings.Contains(got, "another user") {
			t.Errorf("a later session with its id: %s", got)
		}
		s.keys.remove(k)
	})
}

// TestKillKeepsOrder sends commands in front of and behind a KILL in one write, while the answer to the
// first is held back: everything is answered in its place, and nothing overtakes the KILL.
func TestKillKeepsOrder(t *testing.T) {
	s, own, by := twoServers(t, control)
	batch := slices.Concat(ask("wait"), ask("first"), ask(fmt.Sprintf("KILL QUERY %d", by[1].id)),
		ask("second"), ask("third"))
	_, _ = by[0].Write(batch)
	<-own[0].waiting
	if there := own[1].statements(); len(there) != 0 {
		t.Errorf("the KILL has overtaken what is in front of it: %q", there)
	}
	own[0].release <- struct{}{}
	for i := range 5 {
		if got := by[0].answer(); got != "ok" {
			t.Errorf("answer %d: %s", i, got)
		}
	}
	if got, want := own[0].statements(), []string{"alice: wait", "alice: first", "alice: second", "alice: third"}; !slices.Equal(got, want) {
		t.Errorf("its own server heard %q, want %q", got, want)
	}
	if got, want := own[1].statements(), []string{"root: KILL QUERY 2"}; !slices.Equal(got, want) {
		t.Errorf("the other server heard %q, want %q", got, want)
	}
	by[0].Close()
	by[1].Close()
	s.expectEmpty()
}

// TestKillInPieces cuts the same batch at every place, with a KILL to each side.
func TestKillInPieces(t *testing.T) {
	_, own, by := twoServers(t, control)
	batch := slices.Concat(ask("a"), ask(fmt.Sprintf("KILL %d", by[0].id)), ask("b"),
		ask(fmt.Sprintf("KILL QUERY %d", by[1].id)), ask("c"))
	here := []string{"alice: a", "alice: KILL 2", "alice: b", "alice: c"}
	for cut := 1; cut < len(batch); cut++ {
		_, _ = by[0].Write(batch[:cut])
		if cut > len(ask("a")) {
			if got := by[0].answer(); got != "ok" { // the first piece has arrived
				t.Fatalf("cut at %d: %s", cut, got)
			}
			_, _ = by[0].Write(batch[cut:])
		} else {
			_, _ = by[0].Write(batch[cut:])
			by[0].answer()
		}
		for range 4 {
			if got := by[0].answer(); got != "ok" {
				t.Fatalf("cut at %d: %s", cut, got)
			}
		}
		if got := own[0].statements(); !slices.Equal(got, here) {
			t.Fatalf("cut at %d: its own server heard %q", cut, got)
		}
		if got := own[1].statements(); !slices.Equal(got, []string{"root: KILL QUERY 2"}) {
			t.Fatalf("cut at %d: the other server heard %q", cut, got)
		}
	}
}

// TestKillIsNoSafePoint: a session that waits for a KILL leaves when that has its answer, not before.
func TestKillIsNoSafePoint(t *testing.T) {
	s, own, by := twoServers(t, control)
	_, _ = by[0].Write(slices.Concat(ask("wait"), ask(fmt.Sprintf("KILL QUERY %d", by[1].id))))
	<-own[0].waiting
	s.setup.Clusters[0].Backends = []upstream.Spec{{Addr: own[1].addr()}}
	s.apply() // its own server is taken out
	own[0].release <- struct{}{}
	for i := range 2 {
		if got := by[0].answer(); got != "ok" {
			t.Errorf("answer %d: %s", i, got)
		}
	}
	if got := verdict(by[0].next(0)); !strings.HasPrefix(got, "08S01") {
		t.Errorf("then: %s", got)
	}
}

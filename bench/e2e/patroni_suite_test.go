package e2e

import (
	"testing"

	"sluice/bench/e2e/real"
)

// The scenarios of patroni_proxy's own suite (https://github.com/ozontech/pg_doorman, tests/bdd), said anew.

// quick lets a client that no server is there for go soon.
const quick = "retry-timeout = \"200ms\"\nfailover-timeout = \"200ms\""

// TestPatroniBasic has a leader, a synchronous standby and a replica be reached by their roles.
func TestPatroniBasic(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	f.Set(f.member("one", "leader"), f.member("two", "sync_standby", "state", "running"), f.member("three", "replica", "state", "running"))
	master, replicas := real.FreeAddr(), real.FreeAddr()
	s := startFake(t, f.config()+listener("master", master, "fake", roles("leader"))+listener("replicas", replicas, "fake", roles("sync", "async")))
	lands(t, master, "one")
	lands(t, replicas, "two", "three")
	if text, err := s.Get("/"); err != nil || text != "OK" {
		t.Errorf("GET / answers %q: %v", text, err)
	}
}

// TestPatroniOneHostOfThree has one of three hosts answer.
func TestPatroniOneHostOfThree(t *testing.T) {
	f := newFakes(t, "one")
	f.Set(f.member("one", "leader"))
	master := real.FreeAddr()
	urls := []string{"http://" + real.FreeAddr(), f.api.URL(), "http://" + real.FreeAddr()}
	startFake(t, fakeConfig{urls: urls}.String()+listener("master", master, "fake", roles("leader")))
	c, name := lineSession(t, master)
	if answer, err := c.Ask("PING"); name != "one" || answer != "PONG" {
		t.Errorf("%s answers %q: %v", name, answer, err)
	}
}

// TestPatroniReloadAdds adds a listener to a running Sluice: it works at once, and an open session stays.
func TestPatroniReloadAdds(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader"), f.member("two", "replica"))
	master, replicas := real.FreeAddr(), real.FreeAddr()
	config := f.config() + listener("master", master, "fake", roles("leader"))
	s := startFake(t, config)
	c, _ := lineSession(t, master)
	if err := s.Reload(unhurried(config + listener("replicas", replicas, "fake", roles("async")))); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		c, err := real.DialLine(replicas)
		if err == nil {
			c.Close()
		}
		return err
	})
	// No poll comes in between: what is known of the cluster is known to the new listener.
	lands(t, replicas, "two")
	stays(t, c, "one")
}

// TestPatroniLeastConnections adds a replica: sessions stay where they are, and are counted there.
func TestPatroniLeastConnections(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	leader, first, second := f.member("one", "leader"), f.member("two", "replica"), f.member("three", "replica")
	f.Set(leader, first)
	replicas := real.FreeAddr()
	s := startFake(t, f.config()+listener("replicas", replicas, "fake", roles("async"), `max-lag = 1000000`, cutting))
	var old []*real.LineClient
	for range 3 {
		c, name := lineSession(t, replicas)
		if name != "two" {
			t.Errorf("a session with %s, which is no replica", name)
		}
		old = append(old, c)
	}
	f.Set(leader, first, second)
	update(t, s)
	update(t, s)
	var young *real.LineClient
	for i := range 3 {
		c, name := lineSession(t, replicas)
		if name != "three" {
			t.Errorf("session %d goes to %s, which has 3 already", i, name)
		}
		young = c
	}
	for _, c := range old {
		stays(t, c, "two")
	}
	// The first replica falls behind: its sessions end, and no others.
	f.Set(leader, first.With("lag", 1000001), second)
	update(t, s)
	for _, c := range old {
		isLeft(t, c)
	}
	stays(t, young, "three")
	lands(t, replicas, "three")
}

// TestPatroniStates has members in states in which they do not serve, and then do.
func TestPatroniStates(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	leader, two, three := f.member("one", "leader"), f.member("two", "replica"), f.member("three", "replica")
	master, replicas := real.FreeAddr(), real.FreeAddr()
	f.Set(leader, two.With("state", "starting"), three.With("state", "stopped"))
	s := startFake(t, fakeConfig{urls: []string{f.api.URL()}, cluster: []string{quick}}.String()+
		listener("master", master, "fake", roles("leader"))+listener("replicas", replicas, "fake", roles("async"), cutting))
	lands(t, master, "one")
	turnedAway(t, replicas)
	f.Set(leader, two.With("state", "running"), three.With("state", "stopped"))
	update(t, s)
	lands(t, replicas, "two")
	f.Set(leader, two.With("state", "running"), three)
	update(t, s)
	lands(t, replicas, "two", "three")
	for _, state := range []string{"creating replica", "start failed", "restarting", "stopping", "stop failed", "crashed",
		"in archive recovery", "initdb failed", "something new", ""} {
		f.Set(leader, two, three)
		update(t, s)
		c, name := lineSession(t, replicas)
		away := map[string]real.FakeMember{"two": two, "three": three}
		away[name] = away[name].With("state", state)
		f.Set(leader, away["two"], away["three"])
		update(t, s)
		isLeft(t, c)
		if other := serverOf(t, replicas); other == name {
			t.Errorf("a client comes to a member that is %q", state)
		}
	}
}

// TestPatroniStatesConfigured has a state be added to those in which a member serves.
func TestPatroniStatesConfigured(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader"), f.member("two", "replica", "state", "in archive recovery"))
	replicas := real.FreeAddr()
	startFake(t, f.config(`states = ["running", "streaming", "in archive recovery"]`)+listener("replicas", replicas, "fake", roles("async")))
	lands(t, replicas, "two")
}

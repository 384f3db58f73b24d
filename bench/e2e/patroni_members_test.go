package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// TestPatroniEveryRole has each role be reached by its name, in any case, and by "any".
func TestPatroniEveryRole(t *testing.T) {
	members := map[string]string{"leader": "leader", "sync": "sync_standby", "quorum": "quorum_standby", "async": "replica",
		"standby-leader": "standby_leader"}
	f := newFakes(t, "leader", "sync", "quorum", "async", "standby-leader")
	config, addr := f.config(), map[string]string{}
	for role := range members {
		addr[role] = real.FreeAddr()
		config += listener(role, addr[role], "fake", roles(strings.ToUpper(role)))
	}
	addr["any"], addr["two"] = real.FreeAddr(), real.FreeAddr()
	config += listener("any", addr["any"], "fake", roles("Any")) + listener("two", addr["two"], "fake", roles("sync", "quorum"))
	show := func(names ...string) {
		var all []real.FakeMember
		for _, n := range names {
			all = append(all, f.member(n, members[n]))
		}
		f.Set(all...)
	}
	show("leader", "sync", "quorum", "async")
	s := startFake(t, config)
	for _, role := range []string{"leader", "sync", "quorum", "async"} {
		lands(t, addr[role], role)
	}
	lands(t, addr["two"], "sync", "quorum")
	lands(t, addr["any"], "leader", "sync", "quorum", "async")
	// A standby cluster has a leader of its own, and no other.
	show("standby-leader", "async")
	update(t, s)
	lands(t, addr["standby-leader"], "standby-leader")
	lands(t, addr["any"], "standby-leader", "async")
}

// TestPatroniRoleChange swaps leader and replica: each session of a role leaves. Those of a listener for any role
// stay, but for the one that might still write at the former leader.
func TestPatroniRoleChange(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	f.Set(f.member("one", "leader"), f.member("two", "sync_standby"), f.member("three", "replica"))
	master, sync, async, every := real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	s := startFake(t, f.config()+listener("master", master, "fake", roles("leader"), cutting)+
		listener("sync", sync, "fake", roles("sync"), cutting)+listener("async", async, "fake", roles("async"), cutting)+
		listener("any", every, "fake", roles("sync", "async", "leader"), cutting))
	m, _ := lineSession(t, master)
	y, _ := lineSession(t, sync)
	a, _ := lineSession(t, async)
	at := map[string]*real.LineClient{}
	for n := 0; len(at) < 3 && n < 50; n++ { // they are spread over all
		c, name := lineSession(t, every)
		at[name] = c
	}
	f.Set(f.member("one", "sync_standby", "timeline", 2), f.member("two", "leader", "timeline", 2), f.member("three", "replica", "timeline", 2))
	update(t, s)
	isLeft(t, m)
	isLeft(t, y)
	stays(t, a, "three")
	isLeft(t, at["one"])
	stays(t, at["two"], "two")
	stays(t, at["three"], "three")
	lands(t, master, "two")
	lands(t, sync, "one")
	lands(t, async, "three")
}

// TestPatroniOldTimeline has a host tell of a leader that was: nobody is sent there.
func TestPatroniOldTimeline(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader", "timeline", 5), f.member("two", "replica", "timeline", 5))
	master := real.FreeAddr()
	s := startFake(t, f.config()+listener("master", master, "fake", roles("leader"), cutting))
	c, _ := lineSession(t, master)
	f.Set(f.member("one", "replica", "timeline", 4), f.member("two", "leader", "timeline", 4))
	update(t, s)
	stays(t, c, "one")
	lands(t, master, "one")
	f.Set(f.member("one", "replica", "timeline", 6), f.member("two", "leader", "timeline", 6))
	update(t, s)
	isLeft(t, c)
	lands(t, master, "two")
}

// TestPatroniTags has members be kept from sessions by their tags, and others be wanted for them.
func TestPatroniTags(t *testing.T) {
	f := newFakes(t, "one", "two", "three", "four")
	tags := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	// As operators write them: a flag may be a string, a name may be a flag.
	f.Set(f.member("one", "leader", "tags", tags("noloadbalance", true)),
		f.member("two", "replica", "tags", tags("noloadbalance", "true", "replicatefrom", false)),
		f.member("three", "replica", "tags", tags("noloadbalance", false, "purpose", "reports", "nofailover", true)),
		f.member("four", "replica", "tags", tags("purpose", "api", "fast", true, "weight", 7)))
	listeners := map[string][]string{}
	config := f.config()
	add := func(name, want string, more ...string) {
		addr := real.FreeAddr()
		listeners[addr] = strings.Fields(want)
		config += listener(name, addr, "fake", more...)
	}
	add("leader", "one", roles("leader"))
	add("replicas", "three four", roles("async"))
	add("any", "one three four", roles("any")) // as one leads
	add("reports", "three", roles("any"), `tags = ["purpose=reports"]`)
	add("no-reports", "four", roles("async"), `tags = ["!purpose=reports"]`)
	add("fast", "four", roles("any"), `tags = ["fast", "weight=7"]`)
	add("may-lead", "four", roles("async"), `tags = ["!nofailover"]`)
	s := startFake(t, config)
	for addr, want := range listeners {
		lands(t, addr, want...)
	}
	// A flag that is set while there is a session on the member.
	every := real.FreeAddr()
	if err := s.Reload(unhurried(config + listener("more", every, "fake", roles("async"), cutting))); err != nil {
		t.Fatal(err)
	}
	f.Set(f.member("one", "leader"), f.member("two", "replica"))
	update(t, s)
	eventually(t, func() error { return reached(every, "two") })
	c, _ := lineSession(t, every)
	f.Set(f.member("one", "leader"), f.member("two", "replica", "tags", tags("noloadbalance", true)), f.member("three", "replica"))
	update(t, s)
	isLeft(t, c)
	lands(t, every, "three")
}

// reached tells whether a client of addr comes to server.
func reached(addr, server string) error {
	c, err := real.DialLine(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	name, err := c.Server()
	if err == nil && name != server {
		err = fmt.Errorf("a client comes to %s, want %s", name, server)
	}
	return err
}

// TestPatroniZone has the members of a listener's zone go first.
func TestPatroniZone(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	in := func(zone string) map[string]any { return map[string]any{"place": zone} }
	f.Set(f.member("one", "leader", "tags", in("a")), f.member("two", "replica", "tags", in("b")), f.member("three", "replica", "tags", in("a")))
	a, b, c := real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	s := startFake(t, f.config(`zone-tag = "place"`)+listener("a", a, "fake", roles("async"), `zone = "a"`)+
		listener("b", b, "fake", roles("async"), `zone = "b"`)+listener("c", c, "fake", roles("async"), `zone = "c"`))
	for range 5 {
		lands(t, a, "three")
		lands(t, b, "two")
	}
	lands(t, c, "two", "three")
	f.Set(f.member("one", "leader", "tags", in("a")), f.member("two", "replica", "tags", in("b")))
	update(t, s)
	lands(t, a, "two") // rather there than nowhere
}

// TestPatroniOddMembers has the answer be full of what no member should be: the others are found all the same,
// and each odd one is told of.
func TestPatroniOddMembers(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	master, replicas := real.FreeAddr(), real.FreeAddr()
	config := f.config() + listener("master", master, "fake", roles("leader"), cutting) + listener("replicas", replicas, "fake", roles("async"), cutting)
	leader, two, three := f.member("one", "leader"), f.member("two", "replica"), f.member("three", "replica")
	f.Set(leader, two)
	s := startFake(t, config)
	c, _ := lineSession(t, replicas)
	f.Set(
		leader.With("extra", []int{1}, "timeline", "7"),
		three.With("name", "no-host", "host", nil),
		three.With("name", "bad-port", "port", "many"),
		three.With("name", "big-port", "port", 70000),
		three.With("name", "odd-role", "role", "emperor"),
		three.With("name", nil),
		three.With("name", "second-leader", "role", "leader"),
		three.With("name", "bad-host", "host", "a b"),
		two.With("tags", "none", "lag", "unknown", "api_url", 17, "timeline", nil),
		three.With("port", fmt.Sprint(real.Port(f.servers["three"].Addr)), "lag", -1, "tags", map[string]any{"replicatefrom": false}),
	)
	update(t, s)
	lands(t, master, "one")
	lands(t, replicas, "two", "three")
	stays(t, c, "two")
	logs(t, s, "no-host", "bad-port", "big-port", "odd-role", "second-leader", "bad-host", "#5")
	// Answers that say nothing change nothing.
	for _, body := range []string{"{}", `{"members":null}`, `{"members":{}}`, "[]", "null", `{"members":[`, " ", "<html>"} {
		f.api.Be(real.FakeState{Body: body})
		update(t, s)
		stays(t, c, "two")
	}
	lands(t, master, "one")
}

// TestPatroniNoScope has the answer of a Patroni before 3.2, one without members, and one without a leader.
func TestPatroniNoScope(t *testing.T) {
	f := newFakes(t, "one")
	f.Tell("pause", true)
	f.Set(f.member("one", "leader"))
	master := real.FreeAddr()
	s := startFake(t, fakeConfig{urls: []string{f.api.URL()}, cluster: []string{quick}}.String()+listener("master", master, "fake", roles("leader"), cutting))
	c, _ := lineSession(t, master)
	f.Tell("scope", "main")
	update(t, s)
	stays(t, c, "one")
	f.Set() // a store that was emptied by mistake is no reason to cut anything
	update(t, s)
	stays(t, c, "one")
	f.Set(f.member("one", "replica")) // but nobody leads now
	update(t, s)
	isLeft(t, c)
	turnedAway(t, master)
	f.Set(f.member("one", "leader"))
	update(t, s)
	lands(t, master, "one")
}

// TestPatroniLag has a replica be too far behind, and come back only when it has caught up.
func TestPatroniLag(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	leader, two, three := f.member("one", "leader", "lag", 1<<40), f.member("two", "replica"), f.member("three", "replica")
	limited, patient, free, every := real.FreeAddr(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	f.Set(leader, two, three)
	s := startFake(t, f.config()+
		listener("limited", limited, "fake", roles("async"), `max-lag = 1000`, cutting)+
		listener("patient", patient, "fake", roles("async"), `max-lag = 1000`, `lag-unknown = "allow"`, `lag-return = 100`, cutting)+
		listener("free", free, "fake", roles("async"), cutting)+
		listener("any", every, "fake", roles("leader", "sync"), `max-lag = 1000`, cutting))
	for _, step := range []struct {
		lag              any // of two
		limited, patient string
	}{
		{1000, "two three", "two three"}, // as much as is allowed
		{1001, "three", "three"},
		{1000, "three", "two three"},
		{501, "three", "two three"},
		{500, "two three", "two three"},
		{999, "two three", "two three"},
		{"unknown", "three", "two three"},
		{501, "three", "two three"},
		{0, "two three", "two three"},
		{nil, "three", "two three"},
		{"12", "two three", "two three"},
		{2000, "three", "three"},
		{nil, "three", "two three"},
	} {
		f.Set(leader, two.With("lag", step.lag), three)
		update(t, s)
		lands(t, limited, strings.Fields(step.limited)...)
		lands(t, patient, strings.Fields(step.patient)...)
		lands(t, free, "two", "three")
		lands(t, every, "one")
		if t.Failed() {
			t.Fatalf("with a lag of %v", step.lag)
		}
	}
	// Sessions of a listener without a limit, and on other replicas, do not notice.
	f.Set(leader, two, three)
	update(t, s)
	var sessions []*real.LineClient
	var at []string
	for _, addr := range []string{limited, free} {
		for range 4 {
			c, name := lineSession(t, addr)
			sessions, at = append(sessions, c), append(at, name)
		}
	}
	f.Set(leader, two.With("lag", 5000), three)
	update(t, s)
	for i, c := range sessions {
		if i < 4 && at[i] == "two" {
			isLeft(t, c)
			continue
		}
		stays(t, c, at[i])
	}
}

// TestPatroniLagTime has a replica show what is too old, by what the members themselves tell.
func TestPatroniLagTime(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	apis := map[string]*real.FakePatroni{}
	var urls []string
	own := func(name string, xlog map[string]any) {
		apis[name].Be(real.FakeState{Own: map[string]any{"state": "running", "xlog": xlog}})
	}
	replays := func(name string, received, replayed int, age time.Duration) {
		own(name, map[string]any{"received_location": received, "replayed_location": replayed,
			"replayed_timestamp": time.Now().Add(-age).UTC().Format("2006-01-02 15:04:05.000000-07:00")})
	}
	var members []real.FakeMember
	for i, name := range []string{"one", "two", "three"} {
		apis[name] = f.host(real.FakeAccess{})
		urls = append(urls, apis[name].URL())
		members = append(members, f.member(name, []string{"leader", "replica", "replica"}[i], "api_url", urls[i]+"/patroni"))
	}
	f.Set(members...)
	own("one", map[string]any{"location": 10000})
	replays("two", 10000, 10000, time.Hour) // the last transaction is old, and it has replayed all of it
	replays("three", 10000, 9000, time.Hour)
	replicas, near := real.FreeAddr(), real.FreeAddr()
	s := startFake(t, fakeConfig{urls: urls}.String()+listener("replicas", replicas, "fake", roles("async"), `max-lag-time = "10m"`, cutting)+
		listener("near", near, "fake", roles("async"), `max-lag = 500`, cutting))
	eventually(t, func() error { // a position may come too late on a busy machine
		update(t, s)
		if _, err := s.Metric("sluice_backend_lag_seconds", f.servers["three"].Addr); err != nil {
			return err
		}
		_, err := s.Metric("sluice_backend_lag_seconds", f.servers["two"].Addr)
		return err
	})
	lands(t, replicas, "two")
	// Patroni tells of no lag: the replica has not replayed what it has received.
	lands(t, near, "two")
	replays("three", 10000, 10000, time.Hour)
	eventually(t, func() error {
		update(t, s)
		v, err := s.Metric("sluice_backend_lag_seconds", f.servers["three"].Addr)
		if err == nil && v > 0 {
			err = fmt.Errorf("its lag is %v s", v)
		}
		return err
	})
	lands(t, replicas, "two", "three")
	lands(t, near, "two", "three")
}

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// TestPatroniDialFailure has the replica with the fewest sessions refuse: its clients come to the next best, as
// long as Patroni goes on to tell of it.
func TestPatroniDialFailure(t *testing.T) {
	f := newFakes(t, "one", "two", "three")
	f.Set(f.member("one", "leader"), f.member("two", "replica"), f.member("three", "replica"))
	replicas := real.FreeAddr()
	s := startFake(t, f.config()+listener("replicas", replicas, "fake", roles("async"), cutting))
	lands(t, replicas, "two", "three")
	await(t, s, 0, "sluice_sessions")
	f.servers["two"].Close()
	for range 10 {
		lands(t, replicas, "three")
	}
}

// TestPatroniNames has members be told of by names, by IPv6 addresses, with brackets and without.
func TestPatroniNames(t *testing.T) {
	f := newFakes(t)
	f.start("name", "127.0.0.1")
	f.start("six", "::1")
	f.Set(f.member("name", "leader"), f.member("six", "replica"))
	master, replicas := real.FreeAddr(), real.FreeAddr()
	s := startFake(t, f.config()+listener("master", master, "fake", roles("leader"))+listener("replicas", replicas, "fake", roles("async")))
	for _, host := range []string{"::1", "[::1]"} {
		f.Set(f.member("name", "leader", "host", "localhost"), f.member("six", "replica", "host", host))
		update(t, s)
		lands(t, master, "name")
		lands(t, replicas, "six")
	}
	f.Set(f.member("name", "leader", "host", "nowhere.invalid"), f.member("six", "replica"))
	update(t, s)
	lands(t, replicas, "six") // one that can't be found is not in the way of others
}

// TestPatroniPorts has members change their ports, and another port than theirs be configured.
func TestPatroniPorts(t *testing.T) {
	f := newFakes(t)
	port := real.FreePort()
	for i, name := range []string{"one", "two"} {
		f.start(name, fmt.Sprint("127.0.0.", 2+i))
		pooler, err := real.NewLineServerAt(name+"-pooler", fmt.Sprintf("127.0.0.%d:%d", 2+i, port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pooler.Close)
	}
	other, err := real.NewLineServer("one-moved", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	leader, replica := f.member("one", "leader"), f.member("two", "replica")
	f.Set(leader, replica)
	master, replicas := real.FreeAddr(), real.FreeAddr()
	both := listener("master", master, "fake", roles("leader"), cutting) + listener("replicas", replicas, "fake", roles("async"), cutting)
	s := startFake(t, f.config()+both)
	m, _ := lineSession(t, master)
	r, _ := lineSession(t, replicas)
	stays(t, m, "one")
	// The leader comes back at another port: another server.
	f.Set(leader.With("port", real.Port(other.Addr)), replica)
	update(t, s)
	isLeft(t, m)
	stays(t, r, "two")
	lands(t, master, "one-moved")
	// A port for all, by a reload; it is in force without a poll.
	f.api.Stop()
	if err := s.Reload(unhurried(f.config(fmt.Sprint("port = ", port)) + both)); err != nil {
		t.Fatal(err)
	}
	isLeft(t, r)
	lands(t, master, "one-pooler")
	lands(t, replicas, "two-pooler")
}

// TestPatroniReload changes what a reload may change, one after the other, and looks who notices.
func TestPatroniReload(t *testing.T) {
	f, g := newFakes(t, "one", "two", "three"), newFakes(t)
	f.Set(f.member("one", "leader"), f.member("two", "sync_standby", "lag", 500), f.member("three", "replica"))
	g.Set(f.member("one", "leader"), f.member("two", "sync_standby", "lag", 500))
	master, some := real.FreeAddr(), real.FreeAddr()
	config := func(host *real.FakePatroni, lines ...string) string {
		return fakeConfig{urls: []string{host.URL()}}.String() + listener("master", master, "fake", roles("leader"), cutting) +
			listener("some", some, "fake", append(lines, cutting)...)
	}
	s := startFake(t, config(f.api, roles("sync")))
	m, _ := lineSession(t, master)
	c, _ := lineSession(t, some)
	reload := func(config string, want ...string) {
		t.Helper()
		n := strings.Count(s.Log(), "\treloaded\t")
		if err := s.Reload(unhurried(config)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if strings.Count(s.Log(), "\treloaded\t") == n {
				return fmt.Errorf("no reload in the log")
			}
			return nil
		})
		lands(t, some, want...)
	}
	reload(config(f.api, roles("sync", "async")), "two", "three")
	reload(config(f.api, roles("async", "sync"), "max-lag = 500"), "two", "three")
	stays(t, c, "two")
	// A limit that its replica exceeds; then one that it does not.
	reload(config(f.api, roles("async", "sync"), "max-lag = 499"), "three")
	isLeft(t, c)
	reload(config(f.api, roles("async", "sync"), "max-lag = 5000"), "two", "three")
	// Roles that its replica has not.
	for c, name := lineSession(t, some); ; c, name = lineSession(t, some) {
		if name == "three" {
			defer isLeft(t, c)
			break
		}
	}
	reload(config(f.api, roles("sync")), "two")
	// Other hosts, which know of another cluster's members.
	reload(config(g.api, roles("sync", "async")), "two")
	stays(t, m, "one")
	if g.api.Requests("/cluster") == 0 {
		t.Error("the new host is not asked")
	}
	// What is no configuration changes nothing.
	before := len(s.Log())
	if err := s.Reload(unhurried(config(g.api, `roles = ["emperor"]`))); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !strings.Contains(s.Log()[before:], "error") {
			return fmt.Errorf("the log says %q", s.Log()[before:])
		}
		return nil
	})
	stays(t, m, "one")
	lands(t, some, "two")
}

// TestPatroniListenerRemoved takes a listener away: its sessions end, and no others.
func TestPatroniListenerRemoved(t *testing.T) {
	f := newFakes(t, "one", "two")
	f.Set(f.member("one", "leader"), f.member("two", "replica"))
	master, replicas := real.FreeAddr(), real.FreeAddr()
	keep := "[engine]\nshutdown-timeout = \"200ms\"\n\n" + f.config() + listener("master", master, "fake", roles("leader"))
	s, err := real.StartSluice(racy(t), t.TempDir(), keep+listener("replicas", replicas, "fake", roles("async")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	update(t, s)
	m, _ := lineSession(t, master)
	r, _ := lineSession(t, replicas)
	if err := s.Reload(keep); err != nil {
		t.Fatal(err)
	}
	isLeft(t, r)
	stays(t, m, "one")
	eventually(t, func() error {
		c, err := net.Dial("tcp", replicas)
		if err == nil {
			c.Close()
			return fmt.Errorf("the removed listener still accepts")
		}
		return nil
	})
}

// fakePostgres is a PostgreSQL server that knows begin and commit, and answers anything else by its name.
func fakePostgres(t *testing.T, name string) *scripted {
	t.Helper()
	s := newScripted(t)
	s.perform(func(c net.Conn) {
		p, ok := wire.AcceptPG(c)
		if !ok {
			return
		}
		p.Welcome()
		status := byte('I')
		for {
			kind, body, err := p.Next()
			if err != nil || kind == 'X' {
				return
			}
			if kind != 'Q' {
				continue
			}
			switch strings.TrimRight(string(body), "\x00") {
			case "begin":
				status = 'T'
			case "commit":
				status = 'I'
			}
			p.Send(wire.OneColumn("name"), wire.Row([]byte(name)), wire.Complete("SELECT 1"), wire.Ready(status))
		}
	})
	return s
}

// pgSessions logs in at addr until there are two sessions on the server of each name.
func pgSessions(t *testing.T, addr string, names ...string) map[string][]*wire.PG {
	t.Helper()
	all := map[string][]*wire.PG{}
	for range 2 * len(names) {
		c, err := wire.DialPG(addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Conn.Close() })
		c.Login()
		c.Ask("Z", wire.Query("who"))
		for _, n := range names {
			if c.Contains(n) {
				all[n] = append(all[n], c)
			}
		}
	}
	for _, n := range names {
		if len(all[n]) != 2 {
			t.Fatalf("%d sessions on %s, want 2", len(all[n]), n)
		}
	}
	return all
}

// wantTold waits for the end of c, which must be told why.
func wantTold(t *testing.T, c *wire.PG, reason string) {
	t.Helper()
	c.Read("$")
	c.Conn.Close() // or Sluice would wait some seconds for it
	if c.Fault() != nil || !c.Contains("57P01") || !c.Contains(reason) {
		t.Errorf("the session saw\n%s", tail(c.String(), 600))
	}
}

// staying are the lines of a cluster whose sessions do not move.
var staying = []string{"[cluster.migrate]", "enabled = false"}

// TestPatroniToldWhy has a replica fall behind: its sessions of a listener that does not share, and that do not move, are
// told so at their next safe point, and those of other replicas are told nothing.
func TestPatroniToldWhy(t *testing.T) {
	one, two := fakePostgres(t, "server-one"), fakePostgres(t, "server-two")
	f := newFakes(t)
	first, second := real.NewFakeMember("one", "replica", "streaming", one.addr), real.NewFakeMember("two", "replica", "streaming", two.addr)
	f.Set(first, second)
	addr := real.FreeAddr()
	s := startFake(t, fakeConfig{protocol: "postgres", urls: []string{f.api.URL()}, patroni: staying}.String()+
		listener("pg", addr, "fake", roles("async"), "max-lag = 1000", `drain-timeout = "1h"`))
	all := pgSessions(t, addr, "server-one", "server-two")
	idle, busy := all["server-one"][0], all["server-one"][1]
	busy.Ask("Z", wire.Query("begin"))
	f.Set(first.With("lag", 1001), second)
	update(t, s)
	wantTold(t, idle, "too far behind")
	busy.Ask("Z", wire.Query("what"))
	if busy.Fault() != nil || busy.Contains("57P01") {
		t.Errorf("the session in a transaction saw\n%s", tail(busy.String(), 600))
	}
	busy.Send(wire.Query("commit"))
	wantTold(t, busy, "too far behind")
	for _, c := range all["server-two"] {
		c.Ask("Z", wire.Query("what"))
		if c.Fault() != nil || c.Contains("57P01") {
			t.Errorf("a session elsewhere saw\n%s", tail(c.String(), 600))
		}
	}
}

// TestPatroniToldAtOnce is the same where nobody waits for a safe point.
func TestPatroniToldAtOnce(t *testing.T) {
	one, two := fakePostgres(t, "server-one"), fakePostgres(t, "server-two")
	f := newFakes(t)
	first, second := real.NewFakeMember("one", "replica", "streaming", one.addr), real.NewFakeMember("two", "replica", "streaming", two.addr)
	f.Set(first, second)
	addr := real.FreeAddr()
	s := startFake(t, fakeConfig{protocol: "postgres", urls: []string{f.api.URL()}, patroni: staying}.String()+
		listener("pg", addr, "fake", roles("async"), cutting))
	all := pgSessions(t, addr, "server-one", "server-two")
	idle, busy := all["server-one"][0], all["server-one"][1]
	busy.Ask("Z", wire.Query("begin"))
	f.Set(first.With("state", "stopping"), second)
	update(t, s)
	wantTold(t, idle, "stopping")
	wantTold(t, busy, "stopping")
}

// TestPatroniStops has Sluice be terminated: sessions leave at their safe points, and it says that it went well.
func TestPatroniStops(t *testing.T) {
	one := fakePostgres(t, "server-one")
	f := newFakes(t)
	f.Set(real.NewFakeMember("one", "leader", "running", one.addr))
	addr := real.FreeAddr()
	s := startFake(t, fakeConfig{protocol: "postgres", urls: []string{f.api.URL()}, patroni: []string{`interval = "100ms"`}}.String()+
		listener("pg", addr, "fake", roles("leader")))
	all := pgSessions(t, addr, "server-one")["server-one"]
	idle, busy := all[0], all[1]
	busy.Ask("Z", wire.Query("begin"))
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantTold(t, idle, "")
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a new client gets in")
	}
	busy.Ask("Z", wire.Query("what"))
	busy.Send(wire.Query("commit"))
	wantTold(t, busy, "")
	select {
	case <-s.Done():
	case <-time.After(soon):
		t.Fatal("Sluice still runs")
	}
	if code := s.ExitCode(); code != 0 {
		t.Errorf("code %d after a graceful stop", code)
	}
}

// TestPatroniConverted runs Sluice with what has become of a file of patroni_proxy.
func TestPatroniConverted(t *testing.T) {
	f := newFakes(t)
	port := real.FreePort()
	for i, name := range []string{"one", "two", "three"} {
		s, err := real.NewLineServerAt(name, fmt.Sprintf("127.0.0.%d:%d", 2+i, port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		f.servers[name] = s
	}
	// Patroni tells of another port than the one that is configured.
	leader, two, three := f.member("one", "leader", "port", 1), f.member("two", "sync_standby", "port", 1), f.member("three", "replica", "port", 1)
	f.Set(leader, two, three)
	dir, admin, master, replicas := t.TempDir(), real.FreeAddr(), real.FreeAddr(), real.FreeAddr()
	yaml, toml := filepath.Join(dir, "patroni_proxy.yaml"), filepath.Join(dir, "sluice.toml")
	text := fmt.Sprintf(`
cluster_update_interval: 1
listen_address: "%s"
clusters:
  main:
    hosts: ["%s/", "http://%s"]
    ports:
      master: {listen: "%s", roles: ["leader"], host_port: %d}
      replicas:
        listen: "%s"
        roles: ["Sync", "async"]
        host_port: %d
        max_lag_in_bytes: 1000000
`, admin, f.api.URL(), real.FreeAddr(), master, port, replicas, port)
	if err := os.WriteFile(yaml, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command{path: racy(t), args: []string{"convert", "--from", "patroni_proxy", yaml, "-o", toml}}.output(t)
	process, err := real.Launch(filepath.Join(dir, "log"), nil, racy(t), "run", "--config", toml)
	if err != nil {
		t.Fatal(err)
	}
	s := &real.Sluice{Process: process, Admin: admin, ConfigPath: toml}
	t.Cleanup(func() {
		_ = s.Stop()
		if t.Failed() {
			b, _ := os.ReadFile(toml)
			t.Logf("%s\n%s", b, s.Log())
		}
	})
	eventually(t, func() error {
		_, err := s.Get("/update_clusters")
		return err
	})
	update(t, s)
	lands(t, master, "one")
	lands(t, replicas, "two", "three")
	var sessions []*real.LineClient
	names := map[*real.LineClient]string{}
	for range 4 {
		c, name := lineSession(t, replicas)
		sessions, names[c] = append(sessions, c), name
	}
	f.Set(leader, two.With("lag", 1000001), three)
	update(t, s)
	for _, c := range sessions {
		if names[c] == "two" {
			isLeft(t, c)
			continue
		}
		stays(t, c, "three")
	}
}

// TestPatroniHeld has a switchover be asked for in etcd: new work waits until the new leader is there.
func TestPatroniHeld(t *testing.T) {
	t.Parallel() // most of it is waiting
	etcd, err := real.StartEtcd(filepath.Join(t.TempDir(), "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.Stop() })
	put := func(key, value string) {
		t.Helper()
		command{path: tool(t, "etcdctl", "etcd-client"), args: []string{"--endpoints", etcd.Addr, "put", "/service/fake/" + key, value},
			env: []string{"ETCDCTL_API=3"}}.output(t)
	}
	put("leader", "one")
	f := newFakes(t)
	member := func(name, role string, i int) real.FakeMember {
		return real.NewFakeMember(name, role, map[bool]string{true: "running", false: "streaming"}[role == "leader"], postgres(t, i).Addr)
	}
	f.Set(member("one", "leader", 0))
	addr := real.FreeAddr()
	s := startFake(t, fakeConfig{protocol: "postgres", urls: []string{f.api.URL()}, cluster: []string{`failover-timeout = "5m"`},
		patroni: []string{"[cluster.patroni.etcd]", fmt.Sprintf("endpoints = [%q]", etcd.URL()), `scope = "fake"`}}.String()+
		funnel("pg", addr, "fake", roles("leader"))+users("app"))
	c := connect(t, funnelDSN(addr, "app", ""))
	port := func(i int) string { return fmt.Sprint(real.Port(postgres(t, i).Addr)) }
	if at := one[string](t, c, "select current_setting('port')"); at != port(0) {
		t.Fatalf("the leader is at %s", at)
	}
	// Patroni gives a switchover up: the session goes on where it was.
	put("failover", `{"leader":"one","member":"two"}`)
	await(t, s, 1, "sluice_cluster_held")
	waits := asking(c, "select 1")
	pending(t, "a statement while a switchover is under way", waits)
	put("failover", "{}")
	if err := <-waits; err != nil {
		t.Error(err)
	}
	await(t, s, 0, "sluice_cluster_held")
	// It takes place: the session goes on at the new leader, which is heard of without a poll by the clock.
	put("failover", `{"leader":"one","member":"two"}`)
	await(t, s, 1, "sluice_cluster_held")
	f.Set(member("two", "leader", 1).With("timeline", 2))
	waits = asking(c, "select 2")
	put("leader", "two")
	put("failover", "{}")
	if err := <-waits; err != nil {
		t.Error(err)
	}
	if at := one[string](t, c, "select current_setting('port')"); at != port(1) {
		t.Errorf("the session is at %s, want %s", at, port(1))
	}
	await(t, s, 0, "sluice_cluster_held")
	// etcd goes: nothing but a warning comes of it.
	if err := etcd.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(context.Background(), "select 3"); err != nil {
		t.Error(err)
	}
	logs(t, s, "etcd does not tell of switchovers")
}

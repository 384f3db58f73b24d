package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// fakeStage is a Patroni cluster in name only: its members are servers of lines, and what is told of them is
// what the test says.
type fakeStage struct {
	*real.FakeCluster
	t       *testing.T
	api     *real.FakePatroni
	servers map[string]*real.LineServer
}

// newFakes starts a server for each name, each on an address of its own, and one host that tells of members.
func newFakes(t *testing.T, names ...string) *fakeStage {
	t.Helper()
	f := &fakeStage{FakeCluster: &real.FakeCluster{}, t: t, servers: map[string]*real.LineServer{}}
	for i, name := range names {
		f.start(name, fmt.Sprint("127.0.0.", 2+i))
	}
	f.api = f.host(real.FakeAccess{})
	return f
}

// start starts a server on host.
func (f *fakeStage) start(name, host string) *real.LineServer {
	f.t.Helper()
	s, err := real.NewLineServer(name, host)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(s.Close)
	f.servers[name] = s
	return s
}

// host starts another host that tells of members.
func (f *fakeStage) host(access real.FakeAccess) *real.FakePatroni {
	f.t.Helper()
	p, err := f.Serve(access)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.Stop)
	return p
}

// member is the server of that name in a role; it streams, or leads.
func (f *fakeStage) member(name, role string, fields ...any) real.FakeMember {
	state := "streaming"
	if role == "leader" {
		state = "running"
	}
	return real.NewFakeMember(name, role, state, f.servers[name].Addr).With(fields...)
}

// fakeConfig is the [[cluster]] section of a fakeStage. Unless it is said otherwise, it polls once: what
// changes is then known by GET /update_clusters alone.
type fakeConfig struct {
	name     string // "" is fake
	protocol string // "" is tcp
	urls     []string
	cluster  []string // lines for [[cluster]]
	patroni  []string // lines for [cluster.patroni], its subtables last
}

func (c fakeConfig) String() string {
	name, protocol := cmp.Or(c.name, "fake"), cmp.Or(c.protocol, "tcp")
	quoted := make([]string, len(c.urls))
	for i, u := range c.urls {
		quoted[i] = fmt.Sprintf("%q", u)
	}
	return section("[[cluster]]", slices.Concat(
		[]string{fmt.Sprintf("name = %q", name), fmt.Sprintf("protocol = %q", protocol), `discovery = "patroni"`},
		unless(c.cluster, unhurriedCluster), c.cluster,
		[]string{"[cluster.health]", unhurriedHealth, "[cluster.patroni]", "hosts = [" + strings.Join(quoted, ", ") + "]"},
		unless(c.patroni, `interval = "1h"; `+unhurriedPatroni), c.patroni)...)
}

// config is the section of a cluster that is asked for at f's first host.
func (f *fakeStage) config(patroni ...string) string {
	return fakeConfig{urls: []string{f.api.URL()}, patroni: patroni}.String()
}

// cutting is the line of a listener whose sessions leave at once.
const cutting = `drain-timeout = "0s"`

// startFake starts Sluice, which knows the members when this returns.
func startFake(t *testing.T, config string) *real.Sluice {
	t.Helper()
	s := startSluice(t, racy(t), config)
	update(t, s)
	return s
}

// update has Sluice poll at once.
func update(t *testing.T, s *real.Sluice) {
	t.Helper()
	text, err := s.Get("/update_clusters")
	if err != nil {
		t.Fatal(err)
	}
	if text != "Updated 1 cluster(s)\n" {
		t.Errorf("GET /update_clusters answers %q", text)
	}
}

// lineTo connects to addr.
func lineTo(t *testing.T, addr string) *real.LineClient {
	t.Helper()
	c, err := real.DialLine(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// session connects to addr and returns the name of the server that it has come to.
func lineSession(t *testing.T, addr string) (c *real.LineClient, server string) {
	t.Helper()
	c = lineTo(t, addr)
	server, err := c.Server()
	if err != nil {
		t.Fatal(err)
	}
	return c, server
}

// serverOf is where clients that come to addr one after the other, and go again, end up.
func serverOf(t *testing.T, addr string) string {
	t.Helper()
	c, name := lineSession(t, addr)
	c.Close()
	return name
}

// lands fails the test unless clients that stay are spread over exactly the servers named.
func lands(t *testing.T, addr string, names ...string) {
	t.Helper()
	seen := map[string]bool{}
	// Clients that have just gone may still count at the server where they were: so long others come first.
	for n := 0; n < 3*len(names) || len(seen) < len(names) && n < 50; n++ {
		c, name := lineSession(t, addr)
		defer c.Close()
		seen[name] = true
	}
	var got []string
	for name := range seen {
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("clients come to %v, want %v", got, names)
	}
}

// turnedAway fails the test unless a client of addr is accepted, and then let go.
func turnedAway(t *testing.T, addr string) {
	t.Helper()
	if name, err := lineTo(t, addr).Server(); err == nil {
		t.Errorf("a client comes to %s", name)
	}
}

// stays fails the test unless c still is with server.
func stays(t *testing.T, c *real.LineClient, server string) {
	t.Helper()
	if name, err := c.Server(); err != nil || name != server {
		t.Errorf("a session of %s is with %q: %v", server, name, err)
	}
}

// isLeft fails the test unless c ends by itself.
func isLeft(t *testing.T, c *real.LineClient) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(soon))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || strings.Contains(err.Error(), "timeout") {
		t.Fatalf("a session goes on: %d bytes, %v", n, err)
	}
}

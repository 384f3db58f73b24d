package conf

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// tenants is a file with two clusters of MySQL, one of PostgreSQL, and a listener for each protocol.
const tenants = `
[[cluster]]
name = "a"
protocol = "mysql"
backends = [{ addr = "127.0.0.1:3306" }]
[[cluster]]
name = "b"
protocol = "mysql"
proxy-protocol = "v2"
backends = [{ addr = "127.0.0.1:3307" }]
[[cluster]]
name = "pg"
protocol = "postgres"
backends = [{ addr = "127.0.0.1:5432" }]
[[cluster]]
name = "any"
protocol = "tcp"
backends = [{ addr = "127.0.0.1:80" }]
[[listener]]
name = "my"
listen = "127.0.0.1"
ports = "6000-6010"
cluster = "a"
proxy-protocol = "accept"
proxy-from = ["10.9.0.0/16"]
[[listener]]
name = "pg"
listen = "127.0.0.1:6432"
cluster = "pg"
[[listener]]
name = "web"
listen = "127.0.0.1:8080"
cluster = "any"
`

// TestNamespace: all keys of a namespace are read, and a listener's ports take the place of its own.
func TestNamespace(t *testing.T) {
	c, err := Parse("sluice.toml", []byte(tenants+`
[[namespace]]
name = "shop"
listeners = ["my"]
users = ["shop_*", "admin"]
clients = ["10.1.0.0/16", "::1"]
proxies = ["10.9.1.0/24"]
ports = ["6001", "6005-6020", 6003]
cluster = "b"
tags = ["tenant=shop"]
max-connections = 7
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, n := c.Listener[0], c.Namespace[0]
	if l.Listen != "127.0.0.1:0" || l.Ports != (PortRange{6000, 6010}) || l.Ports.Len() != 11 {
		t.Errorf("listen is %q, ports are %v", l.Listen, l.Ports)
	}
	if want := []PortRange{{6001, 6001}, {6005, 6020}, {6003, 6003}}; !slices.Equal(n.Ports, want) {
		t.Errorf("ports are %v", n.Ports)
	}
	if got := c.ClustersOf(&c.Listener[0]); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("clusters of the listener: %v", got)
	}
	if got := c.ClustersOf(&c.Listener[1]); !slices.Equal(got, []string{"pg"}) {
		t.Errorf("clusters of the other: %v", got)
	}
	text, err := c.TOML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("sluice.toml", text, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if d := Diff(c, again); !d.Empty() {
		t.Errorf("written and read: %v", d)
	}
}

// TestListenAlone: a host without a port, of either family, is one where there are ports.
func TestListenAlone(t *testing.T) {
	for listen, want := range map[string]string{"127.0.0.1": "127.0.0.1:0", "::1": "[::1]:0", "[::1]": "[::1]:0",
		":0": ":0", "localhost": "localhost:0", "127.0.0.1:0": "127.0.0.1:0"} {
		c, err := Parse("sluice.toml", []byte(strings.Replace(tenants, `"127.0.0.1"`+"\nports", `"`+listen+`"`+"\nports", 1)), nil)
		if err != nil || c.Listener[0].Listen != want {
			t.Errorf("%q: got %v, want %q", listen, err, want)
		}
	}
}

// TestNamespaceProblems: what makes no sense is said, by its key.
func TestNamespaceProblems(t *testing.T) {
	for _, p := range []struct{ text, at, says string }{
		{`cluster = "b"`, "name", "is missing"},
		{"name = \"x\"\ncluster = \"c\"", "cluster", `there is no cluster "c"`},
		{"name = \"x\"\ncluster = \"b\"", "cluster", `"b" speaks "mysql", and clients of listener "pg" speak "postgres"`},
		{"name = \"x\"\nlisteners = [\"mine\"]", "listeners.0", `there is no listener "mine"`},
		{"name = \"x\"\nlisteners = [\"my\", \"my\"]", "listeners.1", "twice"},
		{"name = \"x\"\nlisteners = [\"my\"]\nusers = [\"[a\"]", "users.0", "not a pattern"},
		{"name = \"x\"\nlisteners = [\"my\"]\nusers = [\"\"]", "users.0", "not a pattern"},
		{"name = \"x\"\nlisteners = [\"web\"]\nusers = [\"a\"]", "users", "no user is known"},
		{"name = \"x\"\nlisteners = [\"pg\"]\nproxies = [\"10.0.0.0/8\"]", "proxies", "has no use"},
		{"name = \"x\"\nlisteners = [\"pg\"]\nports = [\"6000\"]", "ports", "has no use"},
		{"name = \"x\"\nlisteners = [\"my\"]\nports = [\"7000-8000\"]", "ports", "has no use"},
		{"name = \"x\"\nports = [\"\"]", "ports.0", "is not ports"},
		{"name = \"x\"\nports = [\"9-8\"]", "ports.0", "is not ports"},
		{"name = \"x\"\nports = [\"0\"]", "ports.0", "is not ports"},
		{"name = \"x\"\nports = [\"65536\"]", "ports.0", "is not ports"},
		{"name = \"x\"\nports = [\"06\"]", "ports.0", "is not ports"},
		{"name = \"x\"\ntags = [\"a=b\", \"a=b\"]", "tags.1", "twice"},
		{"name = \"x\"\nmax-connections = -1", "max-connections", "is not in"},
		{"name = \"x\"\n[[namespace]]\nname = \"x\"", "", "is there twice"},
	} {
		_, err := Parse("sluice.toml", []byte(tenants+"[[namespace]]\n"+p.text+"\n"), nil)
		want := "namespace.0." + p.at
		if p.at == "" {
			want = "namespace.1.name"
		}
		if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), keyOf(want)) || !strings.Contains(err.Error(), p.says) {
			t.Errorf("%q: got %v, want %q at %s", p.text, err, p.says, want)
		}
	}
}

// TestPortsProblems: listeners whose ports or proxies make no sense.
func TestPortsProblems(t *testing.T) {
	for _, p := range []struct{ from, to, says string }{
		{`listen = "127.0.0.1"`, `listen = "127.0.0.1:6000"`, "has a port, and there are ports"},
		{`ports = "6000-6010"`, `ports = "6000-10096"`, "more than 4096"},
		{`ports = "6000-6010"`, `ports = "6430-6440"`, "is taken by listener"},
		{`ports = "6000-6010"`, `ports = "3070-3090"`, "is taken by admin.listen"},
		{`ports = "6000-6010"`, ``, "has no port"},
		{`proxy-from = ["10.9.0.0/16"]`, ``, "is missing"},
		{`proxy-protocol = "accept"`, ``, "has no use without proxy-protocol"},
		{`proxy-protocol = "accept"`, `proxy-protocol = "v2"`, "is not one of"},
		{`proxy-protocol = "v2"`, `proxy-protocol = "v1"`, "is not one of"},
	} {
		if !strings.Contains(tenants, p.from) {
			t.Fatalf("%q is not in the file", p.from)
		}
		_, err := Parse("sluice.toml", []byte(strings.Replace(tenants, p.from, p.to, 1)), nil)
		if err == nil || !strings.Contains(err.Error(), p.says) {
			t.Errorf("%s: got %v, want %q", p.to, err, p.says)
		}
	}
	most := strings.Replace(tenants, `ports = "6000-6010"`, `ports = "10000-14095"`, 1)
	if _, err := Parse("sluice.toml", []byte(most), nil); err != nil {
		t.Errorf("as many ports as there may be: %v", err)
	}
}

// TestDiffNamespaces: that another one comes first is a change.
func TestDiffNamespaces(t *testing.T) {
	name := func(names ...string) *Config {
		c := Default()
		for _, n := range names {
			c.Namespace = append(c.Namespace, Namespace{Name: n})
		}
		return c
	}
	for _, d := range []struct {
		old, new []string
		want     string
	}{
		{[]string{"a", "b"}, []string{"a", "b"}, "nothing changed"},
		{[]string{"a", "b"}, []string{"a", "c", "b"}, "namespaces added: c"},
		{[]string{"a", "b"}, []string{"b"}, "namespaces removed: a"},
		{[]string{"a", "b"}, []string{"b", "a"}, "namespaces changed: a (order), b (order)"},
	} {
		if got := Diff(name(d.old...), name(d.new...)).String(); got != d.want {
			t.Errorf("%v to %v: got %q, want %q", d.old, d.new, got, d.want)
		}
	}
	with := name("a")
	with.Namespace[0].Cluster = "c"
	if got := Diff(name("a"), with).String(); got != "namespaces changed: a (cluster)" {
		t.Errorf("got %q", got)
	}
}

// TestWithNamespace: a namespace that is put is checked as one in the file is, and c stays as it was.
func TestWithNamespace(t *testing.T) {
	c, err := Parse("sluice.toml", []byte(tenants+"[[namespace]]\nname = \"one\"\nlisteners = [\"my\"]\n[[namespace]]\nname = \"two\"\nlisteners = [\"my\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	names := func(c *Config) (list []string) {
		for _, n := range c.Namespace {
			list = append(list, n.Name)
		}
		return list
	}
	with := func(c *Config, name, before, text string) *Config {
		t.Helper()
		now, err := c.WithNamespace(name, before, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	const full = `{"name": "three", "listeners": ["my"], "users": ["a*"], "clients": ["10.0.0.0/8"], "proxies": ["10.9.0.0/16"],
		"ports": ["6001", "6002-6003", 6004], "cluster": "b", "tags": ["x=y"], "max-connections": 5}`
	three := with(c, "three", "", full)
	if got := names(three); !slices.Equal(got, []string{"one", "two", "three"}) || len(c.Namespace) != 2 {
		t.Errorf("got %v, and %v", got, names(c))
	}
	if got := names(with(three, "three", "one", full)); !slices.Equal(got, []string{"three", "one", "two"}) {
		t.Errorf("before the first: %v", got)
	}
	if got := with(three, "one", "", `{"listeners": ["my"], "max-connections": 9}`); got.Namespace[0].MaxConnections != 9 || three.Namespace[0].MaxConnections != 0 {
		t.Errorf("in its place: %+v", got.Namespace)
	}
	m, err := three.Namespace[2].JSON()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if again := with(c, "three", "", string(text)); !reflect.DeepEqual(again.Namespace, three.Namespace) {
		t.Errorf("written and read: %s", text)
	}
	for _, p := range []struct{ name, before, text, says string }{
		{"x", "", `{"cluster": "nowhere"}`, `there is no cluster "nowhere"`},
		{"x", "", `{"colour": 1}`, "unknown key"},
		{"x", "", `{"max-connections": 1.5}`, "wants a whole number"},
		{"x", "", `{"max-connections": -1}`, "is not in"},
		{"x", "", `{"name": "y"}`, `the name is "y"`},
		{"x", "", `[]`, "not a JSON object"},
		{"x", "", `{} {}`, "more behind"},
		{"x", "", ``, "not a JSON object"},
		{"x", "none", `{"listeners": ["my"]}`, "there is no such namespace"},
		{"a b", "", `{"listeners": ["my"]}`, "more than letters"},
		{"x", "", `{"listeners": ["pg"], "cluster": "a"}`, "speaks"},
	} {
		if _, err := c.WithNamespace(p.name, p.before, []byte(p.text)); err == nil || !strings.Contains(err.Error(), p.says) {
			t.Errorf("%s: got %v, want %q", p.text, err, p.says)
		}
	}
	less, err := three.WithoutNamespace("one")
	if err != nil || !slices.Equal(names(less), []string{"two", "three"}) || len(three.Namespace) != 3 {
		t.Errorf("got %v, %v", names(less), err)
	}
	if _, err := less.WithoutNamespace("one"); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("got %v", err)
	}
}

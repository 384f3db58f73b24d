package conf

import (
	"reflect"
	"testing"
)

// TestDiff changes one thing after the other in a file and reads what a reload would say.
func TestDiff(t *testing.T) {
	const file = good + `listen = "127.0.0.1:6033"` + "\n"
	tests := []struct {
		name string
		file string
		want string
	}{
		{"nothing", file, "nothing changed"},
		{"written in another way", "[engine]\nread-buffer = 65536\nshutdown-timeout = \"0.5m\"\n" + file, "nothing changed"},
		{"settings", "[engine]\nmax-connections = 5\n[log]\nlevel = \"debug\"\n" + file, "settings changed: engine.max-connections, log.level"},
		{"what is taken at start", "[engine]\nloops = 2\nprocs = 2\nlock-threads = true\nread-buffer = \"1KiB\"\n[admin]\nlisten = \"127.0.0.1:1\"\n" + file,
			"kept until a restart: engine.loops, engine.procs, engine.lock-threads, engine.read-buffer, admin.listen"},
		{"listener added", file + "[[listener]]\nname = \"b\"\nlisten = \":1\"\ncluster = \"db\"\n", "listeners added: b"},
		{"listener changed", file + "max-connections = 5\ntls = {cert = \"c\", key = \"k\"}", "listeners changed: in (max-connections, tls.cert, tls.key)"},
		{"cluster added", file + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a:1\"}]", "clusters added: c"},
	}
	old, err := Parse("f", []byte(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, err := Parse("f", []byte(tt.file), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := Diff(old, now).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestDiffOfPatroni: what a cluster is found by, and what its listeners want of it, changes while it runs.
func TestDiffOfPatroni(t *testing.T) {
	parse := func(cluster, listener string) *Config {
		c, err := Parse("f", []byte("[[cluster]]\nname = \"db\"\nprotocol = \"postgres\"\ndiscovery = \"patroni\"\npatroni = {"+cluster+"}\n"+
			"[[listener]]\nname = \"in\"\nlisten = \":1\"\ncluster = \"db\"\n"+listener), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := parse(`hosts = ["http://a:8008"]`, "")
	now := parse(`hosts = ["http://a:8008", "http://b:8008"], interval = "1s", tls.ca = "c", etcd = {endpoints = ["http://e:2379"], scope = "s"}`,
		"roles = [\"any\"]\nmax-lag = 1\ntags = [\"!x\"]\nzone = \"z\"\ndrain-timeout = \"0s\"")
	const want = "clusters changed: db (patroni.hosts, patroni.interval, patroni.tls.ca, patroni.etcd.endpoints, patroni.etcd.scope); " +
		"listeners changed: in (roles, max-lag, tags, zone, drain-timeout)"
	if got := Diff(old, now).String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Diff(old, parse(`hosts = ["HTTP://A:8008/"]`, "")); !got.Empty() {
		t.Errorf("another spelling of a host is a change: %v", got)
	}
}

// TestDiffOfBackends: a change in the backends alone is none of the cluster.
func TestDiffOfBackends(t *testing.T) {
	parse := func(backends string) *Config {
		c, err := Parse("f", []byte("[[cluster]]\nname = \"db\"\nprotocol = \"tcp\"\nbackends = ["+backends+"]"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := parse(`{addr = "a:1"}, {addr = "b:1"}, {addr = "c:1"}`)
	now := parse(`{addr = "d:1"}, {addr = "c:1", role = "async", zone = "z"}, {addr = "a:1"}`)
	ch := Diff(old, now)
	const want = "backends of db added: d:1; backends of db removed: b:1; backends of db changed: c:1 (role, zone)"
	if got := ch.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !ch.Clusters.Empty() {
		t.Errorf("the cluster has changed: %+v", ch.Clusters)
	}
	if got := Diff(now, parse(`{addr = "a:1"}, {addr = "d:1"}, {addr = "c:1", role = "async", zone = "z"}`)); !got.Empty() {
		t.Errorf("another order of backends is a change: %v", got)
	}
}

// TestFixedKeysExist: the list names keys that there are.
func TestFixedKeysExist(t *testing.T) {
	known := map[string]bool{}
	walk("", valueOf(Default()), func(path string, _ field, _ reflect.Value) { known[path] = true })
	for _, key := range fixed {
		if !known[key] {
			t.Errorf("%s is no key", key)
		}
	}
}

// TestKeep: what a reload can't change stays, everything else is new, and the two are checked together.
func TestKeep(t *testing.T) {
	parse := func(text string) *Config {
		c, err := Parse("f", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	running := parse("engine = {loops = 2, gc-percent = 100}\nadmin = {listen = \":3080\", user = \"u\", password = \"p\"}")
	file := parse("engine = {loops = 3, gc-percent = 200}\nadmin = {listen = \":3081\", user = \"u\", password = \"q\"}")
	kept := file.Keep(running)
	if err := kept.Check(); err != nil {
		t.Fatal(err)
	}
	const want = "settings changed: engine.gc-percent, admin.password"
	if got := Diff(running, kept).String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if file.Engine.Loops != 3 {
		t.Error("Keep changed the configuration that it was given")
	}

	open := parse("admin.listen = \"127.0.0.1:3080\"").Keep(running)
	const problem = `f:1:7: admin.listen: ":3080" can be reached from other machines: it needs admin.user and admin.password`
	if err := open.Check(); err == nil || err.Error() != problem {
		t.Errorf("got %v, want %s", err, problem)
	}
}

package conf

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestEnvironmentAlone configures everything without a file.
func TestEnvironmentAlone(t *testing.T) {
	t.Chdir(t.TempDir()) // no conf/sluice.toml here
	c, err := Load(DefaultPath, []string{
		"PATH=/bin",
		"SLUICE_ENGINE_LOOPS=3",
		"SLUICE_ENGINE_LOCK_THREADS=true",
		"SLUICE_ENGINE_READ_BUFFER=32KiB",
		"SLUICE_ENGINE_SHUTDOWN_TIMEOUT=1m30s",
		"SLUICE_ADMIN_LISTEN=",
		"SLUICE_LOG_LEVEL=debug",
		"SLUICE_CLUSTER_0_NAME=my",
		"SLUICE_CLUSTER_0_PROTOCOL=mysql",
		"SLUICE_CLUSTER_0_BACKENDS=10.0.0.1:3306/leader/a, 10.0.0.2:3306/async,[::1]:3306",
		"SLUICE_CLUSTER_0_HEALTH_INTERVAL=1s",
		"SLUICE_CLUSTER_0_CONTROL_USER=sluice",
		"SLUICE_CLUSTER_0_CONTROL_PASSWORD=a=b,c",
		"SLUICE_LISTENER_0_NAME=in",
		"SLUICE_LISTENER_0_LISTEN=127.0.0.1:6033",
		"SLUICE_LISTENER_0_CLUSTER=my",
		"SLUICE_LISTENER_0_ROLES=sync,async",
		"SLUICE_LISTENER_0_ALLOW=10.0.0.0/8,192.168.1.1",
		"SLUICE_LISTENER_0_DENY=",
		"SLUICE_LISTENER_0_REQUEST_LOG=250ms",
		"SLUICE_LISTENER_0_TLS_MIN_VERSION=1.3",
		"SLUICE_CLUSTER_1_NAME=pg",
		"SLUICE_CLUSTER_1_PROTOCOL=postgres",
		"SLUICE_CLUSTER_1_DISCOVERY=patroni",
		"SLUICE_CLUSTER_1_PATRONI_HOSTS=http://10.0.0.1:8008, https://10.0.0.2:8008/",
		"SLUICE_CLUSTER_1_PATRONI_STATES=running,streaming,in archive recovery",
		"SLUICE_CLUSTER_1_PATRONI_TLS_SKIP_VERIFY=true",
		"SLUICE_CLUSTER_1_PATRONI_ETCD_ENDPOINTS=http://10.0.0.1:2379",
		"SLUICE_CLUSTER_1_PATRONI_ETCD_SCOPE=main",
		"SLUICE_LISTENER_1_NAME=pg",
		"SLUICE_LISTENER_1_LISTEN=127.0.0.1:6432",
		"SLUICE_LISTENER_1_CLUSTER=pg",
		"SLUICE_LISTENER_1_ROLES=Sync,standby-LEADER",
		"SLUICE_LISTENER_1_MAX_LAG=16MiB",
		"SLUICE_LISTENER_1_TAGS=dc=one,!backup",
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("f", []byte(`
		engine = {loops = 3, lock-threads = true, read-buffer = 32768, shutdown-timeout = "90s"}
		admin.listen = ""
		log.level = "debug"
		[[cluster]]
		name = "my"
		protocol = "mysql"
		backends = [
			{addr = "10.0.0.1:3306", zone = "a"},
			{addr = "10.0.0.2:3306", role = "async"},
			{addr = "[::1]:3306"},
		]
		health.interval = "1s"
		control = {user = "sluice", password = "a=b,c"}
		[[listener]]
		name = "in"
		listen = "127.0.0.1:6033"
		cluster = "my"
		roles = ["sync", "async"]
		allow = ["10.0.0.0/8", "192.168.1.1/32"]
		request-log = "250ms"
		tls.min-version = "1.3"
		[[cluster]]
		name = "pg"
		protocol = "postgres"
		discovery = "patroni"
		[cluster.patroni]
		hosts = ["http://10.0.0.1:8008", "https://10.0.0.2:8008"]
		states = ["running", "streaming", "in archive recovery"]
		tls.skip-verify = true
		etcd = {endpoints = ["http://10.0.0.1:2379"], scope = "main"}
		[[listener]]
		name = "pg"
		listen = "127.0.0.1:6432"
		cluster = "pg"
		roles = ["sync", "standby-leader"]
		max-lag = 16777216
		tags = ["dc=one", "!backup=true"]
	`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(want, c); !d.Empty() {
		t.Errorf("the environment's differs from the file's: %v", d)
	}
	if got, want := c.Cluster[0].Backends, want.Cluster[0].Backends; !reflect.DeepEqual(got, want) {
		t.Errorf("backends: got %+v, want %+v", got, want)
	}
	if got, want := c.Cluster[0].Control.Password, Secret("a=b,c"); got != want {
		t.Errorf("password: got %q, want %q", string(got), string(want))
	}
}

// TestEnvironmentGoesFirst: a variable changes one key of what stands in the file, or adds to it.
func TestEnvironmentGoesFirst(t *testing.T) {
	file := []byte(good + `listen = "127.0.0.1:6033"`)
	c, err := Parse("f", file, []string{
		"SLUICE_LISTENER_0_LISTEN=127.0.0.1:7000",
		"SLUICE_CLUSTER_0_BACKENDS_0_ZONE=b",
		"SLUICE_CLUSTER_1_BACKENDS_1_ADDR=10.0.0.3:80",
		"SLUICE_CLUSTER_2_NAME=third",
		"SLUICE_CLUSTER_2_PROTOCOL=tcp",
		"SLUICE_CLUSTER_2_BACKENDS=10.0.0.4:80",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ what, got, want string }{
		{"listen", c.Listener[0].Listen, "127.0.0.1:7000"},
		{"name, from the file", c.Listener[0].Name, "in"},
		{"zone", c.Cluster[0].Backends[0].Zone, "b"},
		{"address, from the file", c.Cluster[0].Backends[0].Addr, "10.0.0.1:3306"},
		{"backend added", c.Cluster[1].Backends[1].Addr, "10.0.0.3:80"},
		{"its role, by default", c.Cluster[1].Backends[1].Role, "leader"},
		{"cluster added", c.Cluster[2].Name, "third"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, tt.got, tt.want)
		}
	}
}

// TestManyByEnvironment: numbers count as numbers, so that 10 comes after 9 and not after 1.
func TestManyByEnvironment(t *testing.T) {
	var env []string
	for i := range 12 {
		env = append(env, fmt.Sprintf("SLUICE_CLUSTER_%d_NAME=c%d", i, i),
			fmt.Sprintf("SLUICE_CLUSTER_%d_PROTOCOL=tcp", i),
			fmt.Sprintf("SLUICE_CLUSTER_%d_BACKENDS=10.0.0.1:80", i))
	}
	c, err := Parse("f", nil, env)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Cluster {
		if got, want := c.Cluster[i].Name, fmt.Sprintf("c%d", i); got != want {
			t.Errorf("cluster %d: got %s, want %s", i, got, want)
		}
	}
}

// TestEnvironmentProblems: each is told with the variable's name in place of file and line.
func TestEnvironmentProblems(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"unknown", []string{"SLUICE_COLOUR=red"}, "SLUICE_COLOUR: unknown variable"},
		{"near", []string{"SLUICE_ENGINE_LOPS=1"}, "SLUICE_ENGINE_LOPS: unknown variable, did you mean SLUICE_ENGINE_LOOPS?"},
		{"near, with a number", []string{"SLUICE_LISTENER_0_LSTEN=:1"}, "SLUICE_LISTENER_0_LSTEN: unknown variable, did you mean SLUICE_LISTENER_0_LISTEN?"},
		{"no number", []string{"SLUICE_LISTENER_LISTEN=:1"}, "SLUICE_LISTENER_LISTEN: unknown variable, did you mean SLUICE_LISTENER_0_LISTEN?"},
		{"number with a zero in front", []string{"SLUICE_LISTENER_00_LISTEN=:1"}, "SLUICE_LISTENER_00_LISTEN: unknown variable, did you mean SLUICE_LISTENER_00_LISTEN?"},
		{"a section is no key", []string{"SLUICE_ENGINE=1"}, "SLUICE_ENGINE: unknown variable, did you mean SLUICE_ENGINE_ZONE?"},
		{"not a number", []string{"SLUICE_ENGINE_LOOPS=many"}, `SLUICE_ENGINE_LOOPS: engine.loops: wants a whole number, not "many"`},
		{"nothing for a number", []string{"SLUICE_ENGINE_LOOPS="}, `SLUICE_ENGINE_LOOPS: engine.loops: wants a whole number, not ""`},
		{"not a switch", []string{"SLUICE_ENGINE_LOCK_THREADS=yes"}, `SLUICE_ENGINE_LOCK_THREADS: engine.lock-threads: wants true or false, not "yes"`},
		{"out of range", []string{"SLUICE_ENGINE_LOOPS=1000"}, "SLUICE_ENGINE_LOOPS: engine.loops: 1000 is not in 0 to 256"},
		{"a number left out", []string{"SLUICE_CLUSTER_1_NAME=a"}, "SLUICE_CLUSTER_1_NAME: cluster: number 0 comes first: numbers begin at 0 and leave none out"},
		{"a huge number", []string{"SLUICE_CLUSTER_999999999_NAME=a"}, "SLUICE_CLUSTER_999999999_NAME: cluster: number 0 comes first: numbers begin at 0 and leave none out"},
		{"backend with too much", []string{"SLUICE_CLUSTER_0_NAME=a", "SLUICE_CLUSTER_0_PROTOCOL=tcp", "SLUICE_CLUSTER_0_BACKENDS=a:1/leader/b/c"}, `SLUICE_CLUSTER_0_BACKENDS: cluster.backends: "a:1/leader/b/c" is not of the form addr/role/zone`},
		{"network", []string{"SLUICE_CLUSTER_0_NAME=a", "SLUICE_CLUSTER_0_PROTOCOL=tcp", "SLUICE_CLUSTER_0_BACKENDS=a:1", "SLUICE_LISTENER_0_NAME=l", "SLUICE_LISTENER_0_LISTEN=:1", "SLUICE_LISTENER_0_CLUSTER=a", "SLUICE_LISTENER_0_ALLOW=ten"}, `SLUICE_LISTENER_0_ALLOW: listener.allow: "ten" is not a network such as "10.0.0.0/8", or an address`},
		{"missing keys", []string{"SLUICE_CLUSTER_0_NAME=a"}, "SLUICE_CLUSTER_0_NAME: cluster.protocol: is missing: one of postgres, mysql, tcp\n" +
			`SLUICE_CLUSTER_0_NAME: cluster.backends: is missing: with discovery "static" a cluster has at least one backend`},
		{"the file's own", []string{"SLUICE_CONFIG=somewhere"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if _, err := Parse("f", nil, tt.env); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestServiceLinks: in Kubernetes a service of the name "sluice" puts variables with our prefix into
// the container. They are not ours, and keys that look like them are.
func TestServiceLinks(t *testing.T) {
	links := []string{
		"SLUICE_SERVICE_HOST=10.96.0.1",
		"SLUICE_SERVICE_PORT=6033",
		"SLUICE_SERVICE_PORT_MYSQL=6033",
		"SLUICE_PORT=tcp://10.96.0.1:6033",
		"SLUICE_PORT_6033_TCP=tcp://10.96.0.1:6033",
		"SLUICE_PORT_6033_TCP_PROTO=tcp",
		"SLUICE_PORT_6033_TCP_PORT=6033",
		"SLUICE_PORT_6033_TCP_ADDR=10.96.0.1",
		"SLUICE_ADMIN_SERVICE_HOST=10.96.0.2",
		"SLUICE_ADMIN_PORT=tcp://10.96.0.2:3080",
	}
	c, err := Parse("f", nil, append(links, "SLUICE_ENGINE_REUSE_PORT=true"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Engine.ReusePort {
		t.Error("engine.reuse-port was taken for a service")
	}
	if _, err := Parse("f", nil, []string{"SLUICE_ADMIN_PORT=3080"}); err == nil {
		t.Error("a port that is no link of a service was taken for one")
	}
	t.Chdir(t.TempDir())
	if _, err := Load(DefaultPath, links); err == nil {
		t.Error("links of services were taken for a whole configuration")
	}
}

// TestEveryKeyHasAVariable walks all keys and finds each by its variable's name.
func TestEveryKeyHasAVariable(t *testing.T) {
	names := variables("SLUICE_CLUSTER_4_BACKENDS_5_ADDR")
	if len(names) < 50 {
		t.Fatalf("only %d variables", len(names))
	}
	for _, name := range names {
		path := resolve(reflect.TypeFor[Config](), strings.TrimPrefix(name, varPrefix))
		if path == nil {
			t.Errorf("%s names no key", name)
			continue
		}
		spelled := varPrefix + strings.ToUpper(strings.ReplaceAll(strings.Join(path, "_"), "-", "_"))
		if spelled != name {
			t.Errorf("%s names the key %s", name, strings.Join(path, "."))
		}
	}
}

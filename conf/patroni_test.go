package conf

import "testing"

// patronis is a configuration with a cluster that Patroni runs, without a problem. The tests below put
// lines of their own behind each of its tables: those for the listener at line 10, those for the cluster
// behind the listener.
const patronis = `[[user]]
name = "app"
password = "geheim"
[[listener]]
name = "in"
cluster = "pg"
mode = "funnel"
roles = ["any"]
listen = "127.0.0.1:6432"
`

// found is the cluster's own table; its [cluster.patroni] comes behind it.
const found = `[[cluster]]
name = "pg"
protocol = "postgres"
discovery = "patroni"
`

// TestPatroniProblems has one row for each thing that can be wrong with a cluster that Patroni runs.
func TestPatroniProblems(t *testing.T) {
	const a = `hosts = ["http://a:8008"]` + "\n"
	const etcd = `etcd = {endpoints = ["https://a:2379"], scope = "s"`
	tests := []struct {
		name             string
		cluster, patroni string // behind found, and behind [cluster.patroni]
		want             string
	}{
		{"hosts", "", a, ""},
		{"everything", "failover-timeout = \"0s\"\nfailover-clients = 0\n", `hosts = ["http://a:8008", "https://[::1]:8008"]
			interval = "100ms"
			port = 5432
			timeout = "10ms"
			hedge = "10ms"
			learn-hosts = false
			user = "u"
			password = "geheim"
			states = ["running", "in archive recovery"]
			zone-tag = ""
			tls = {ca = "ca", cert = "c", key = "k", server-name = "n"}
			etcd = {endpoints = ["https://a:2379"], namespace = "/n", scope = "s", user = "u", password = "geheim", ca = "ca", cert = "c", key = "k"}`, ""},
		{"no hosts", "", "", `f:14:10: cluster.patroni.hosts: is missing: with discovery "patroni" a cluster has at least one host to ask`},
		{"host without a scheme", "", `hosts = ["a:8008"]`, `f:15:10: cluster.patroni.hosts: "a:8008" does not begin with http:// or https://`},
		{"host with a path", "", `hosts = ["http://a/cluster"]`, `f:15:10: cluster.patroni.hosts: "http://a/cluster" holds more than scheme, host and port`},
		{"host with credentials", "", `hosts = ["http://u:geheim@a"]`, `f:15:10: cluster.patroni.hosts: holds credentials: they stand in user and password`},
		{"port", "", `hosts = ["http://a:99999"]`, `f:15:10: cluster.patroni.hosts: port "99999" is not a number from 1 to 65535`},
		{"host twice", "", `hosts = ["http://a:8008", "HTTP://A:8008/"]`, `f:15:27: cluster.patroni.hosts: "http://a:8008" is there twice`},
		{"number for a host", "", `hosts = [1]`, `f:15:10: cluster.patroni.hosts: wants a URL such as "http://10.0.0.1:8008", not 1`},
		{"interval", "", a + `interval = "1ms"`, `f:16:1: cluster.patroni.interval: 1ms is not in 100ms to 1h`},
		{"no state", "", a + `states = []`, `f:16:1: cluster.patroni.states: is empty: no member could be used`},
		{"empty state", "", a + `states = [""]`, `f:16:11: cluster.patroni.states: is empty`},
		{"password of nobody", "", a + `password = "geheim"`, `f:14:10: cluster.patroni.user: user and password belong together`},
		{"certificate alone", "", a + `tls.cert = "c"`, `f:16:1: cluster.patroni.tls.key: is missing: cert and key belong together`},
		{"verify nobody, by these", "", a + `tls = {ca = "c", skip-verify = true}`, `f:16:8: cluster.patroni.tls.ca: has no use with skip-verify: every certificate is taken`},
		{"unknown key", "", a + `host = "x"`, `f:16:1: cluster.patroni.host: unknown key, did you mean hosts?`},
		{"backends besides", "backends = [{addr = \"a:1\"}]\n", a, `f:14:1: cluster.backends: has no use with discovery "patroni", which finds them`},

		{"etcd", "", a + etcd + `}`, ""},
		{"etcd without a scope", "", a + `etcd.endpoints = ["http://a:2379"]`, `f:16:1: cluster.patroni.etcd.scope: is missing: endpoints need the scope of the cluster in Patroni's configuration`},
		{"etcd of no name", "", a + etcd + `, namespace = ""}`, `f:16:54: cluster.patroni.etcd.namespace: is empty: Patroni's own default is "/service"`},
		{"etcd without endpoints", "", a + `etcd = {scope = "s", user = "u"}`, "f:16:9: cluster.patroni.etcd.scope: has no use without endpoints\n" +
			`f:16:22: cluster.patroni.etcd.user: has no use without endpoints`},
		{"etcd's endpoint twice", "", a + `etcd = {endpoints = ["http://a:2379", "http://a:2379/"], scope = "s"}`, `f:16:39: cluster.patroni.etcd.endpoints: "http://a:2379" is there twice`},
		{"etcd's user alone", "", a + etcd + `, user = "u"}`, `f:16:54: cluster.patroni.etcd.user: user and password belong together`},
		{"etcd's certificate alone", "", a + etcd + `, key = "k"}`, `f:16:1: cluster.patroni.etcd.cert: is missing: cert and key belong together`},
		{"trust in nobody", "", a + `etcd = {endpoints = ["http://a:2379"], scope = "s", ca = "c"}`, `f:16:53: cluster.patroni.etcd.ca: has no use: no endpoint begins with https://`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := patronis + found + tt.cluster + "[cluster.patroni]\n" + tt.patroni
			if got := problemsOf(text); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// problemsOf is what is said of a configuration, "" if it is good.
func problemsOf(text string) string {
	if _, err := Parse("f", []byte(text), nil); err != nil {
		return err.Error()
	}
	return ""
}

// TestDiscoveryProblems: what is for one way to find backends alone.
func TestDiscoveryProblems(t *testing.T) {
	const a = "\n[cluster.patroni]\nhosts = [\"http://a:8008\"]\n"
	for _, tt := range []struct{ name, cluster, want string }{
		{"tcp", `protocol = "tcp"` + "\ndiscovery = \"patroni\"" + a, ""},
		{"waiting for a leader, at a login", `protocol = "tcp"` + "\ndiscovery = \"patroni\"\nfailover-timeout = \"1m\"" + a, ""},
		{"mysql", `protocol = "mysql"` + "\ndiscovery = \"patroni\"" + a, `f:4:1: cluster.discovery: "patroni" is for protocol "postgres" or "tcp", not "mysql"`},
		{"keys of Patroni without it", `protocol = "tcp"` + "\nbackends = [{addr = \"a:1\"}]" + a + "learn-hosts = false\ntls.ca = \"c\"",
			"f:6:1: cluster.patroni.hosts: has no use with discovery \"static\"\n" +
				"f:7:1: cluster.patroni.learn-hosts: has no use with discovery \"static\"\n" +
				`f:8:5: cluster.patroni.tls.ca: has no use with discovery "static"`},
		{"roles of backends", "protocol = \"postgres\"\nbackends = [{addr = \"a:1\", role = \"Standby-Leader\"}, {addr = \"b:1\", role = \"QUORUM\"}]", ""},
		{"waiting for a leader, with nobody who does", "protocol = \"tcp\"\nbackends = [{addr = \"a:1\"}]\nfailover-timeout = \"1m\"\nfailover-clients = 5",
			"f:5:1: cluster.failover-timeout: has no use: no listener with mode \"fifo\" or \"funnel\" leads here\n" +
				`f:6:1: cluster.failover-clients: has no use: no listener with mode "fifo" or "funnel" leads here`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := problemsOf("[[cluster]]\nname = \"c\"\n" + tt.cluster); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestFitProblems: what a listener wants of its backends, and of those for transactions that only read.
func TestFitProblems(t *testing.T) {
	// Both are without the first lines of patronis; the rows' own line is the sixth of the listener.
	const in = "[[listener]]\nname = \"in\"\ncluster = \"pg\"\nlisten = \"127.0.0.1:6432\"\n"
	const funnel = "[[user]]\nname = \"app\"\n" + in + "mode = \"funnel\"\n"
	const static = "\n[[cluster]]\nname = \"pg\"\nprotocol = \"postgres\"\nbackends = [{addr = \"a:1\"}]\n"
	const patroni = "\n" + found + "patroni.hosts = [\"http://a:8008\"]\n"
	const replicas = "roles = [\"sync\", \"async\"]\n"
	const once = "read-only-roles = [\"async\"]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"lag", in + replicas + "max-lag = \"16MiB\"\nmax-lag-time = \"3s\"\nlag-return = 100\nlag-unknown = \"allow\"\ntags = [\"a\", \"!b=c\"]\nzone = \"z\"" + patroni, ""},
		{"lag of the leader", in + "max-lag = 1\nmax-lag-time = \"3s\"" + patroni,
			"f:5:1: listener.max-lag: has no use: the roles hold \"leader\" alone, which is never behind\n" +
				`f:6:1: listener.max-lag-time: has no use: the roles hold "leader" alone, which is never behind`},
		{"lag of those that are read", funnel + "max-lag = 1\n" + once + patroni, ""},
		{"lag of configured backends", in + replicas + "max-lag-time = \"3s\"" + static, `f:6:1: listener.max-lag-time: is not available with discovery "static": the lag of its backends is not known`},
		{"return from nowhere", in + replicas + "lag-return = 60\nlag-unknown = \"allow\"" + patroni,
			"f:6:1: listener.lag-return: has no use without max-lag or max-lag-time\nf:7:1: listener.lag-unknown: has no use without max-lag or max-lag-time"},
		{"return by nothing", in + replicas + "max-lag = 1\nlag-return = 0" + patroni, `f:7:1: listener.lag-return: 0 is not in 1 to 100`},
		{"unknown lag", in + replicas + "max-lag = 1\nlag-unknown = \"ignore\"" + patroni, `f:7:1: listener.lag-unknown: "ignore" is not one of refuse, allow`},
		{"tags of configured backends", in + "tags = [\"a\"]" + static, `f:5:1: listener.tags: is not available with discovery "static": its backends have no tags`},
		{"no tag", in + "tags = [\"a\", \"=b\"]" + patroni, `f:5:14: listener.tags: "=b" is not a tag such as "name=value", "name", "!name=value" or "!name"`},
		{"tag twice", in + "tags = [\"a\", \"a=true\"]" + patroni, `f:5:14: listener.tags: "a" is there twice`},
		{"zone of configured backends", in + "zone = \"z\"\ndrain-timeout = \"24h\"" + static, ""},
		{"zone", in + "zone = \"a b\"" + static, `f:5:1: listener.zone: "a b" holds more than letters, digits, '.', '_' and '-'`},
		{"drain", in + "drain-timeout = \"25h\"" + static, `f:5:1: listener.drain-timeout: 25h is not in 0s to 24h`},
		{"roles in capitals", in + "roles = [\"LEADER\", \"Quorum\"]" + static, ""},
		{"role twice in two spellings", in + "roles = [\"sync\", \"SYNC\"]" + static, `f:5:18: listener.roles: "sync" is there twice`},
		{"Patroni's own word", in + "roles = [\"standby_leader\"]" + static, `f:5:10: listener.roles: "standby_leader" is not one of leader, sync, async, any, quorum, standby-leader, did you mean standby-leader?`},

		{"reads", funnel + "auth.userlist = \"u\"\nroles = [\"leader\", \"sync\"]\n" + once + "read-own-writes = \"wait\"\nread-wait = \"5s\"\non-server-loss = \"close\"" + patroni, ""},
		{"reads at configured backends", funnel + once + "read-own-writes = \"leader\"" + static, ""},
		{"reads in mode proxy", in + once + "read-own-writes = \"wait\"\nread-wait = \"2s\"\non-server-loss = \"close\"" + static,
			"f:5:1: listener.read-only-roles: has no use with mode \"proxy\"\nf:6:1: listener.read-own-writes: has no use with mode \"proxy\"\n" +
				"f:7:1: listener.read-wait: has no use with mode \"proxy\"\n" + `f:8:1: listener.on-server-loss: has no use with mode "proxy"`},
		{"reads in mode fifo", "[[user]]\nname = \"app\"\n" + in + "mode = \"fifo\"\n" + once + static, `f:8:1: listener.read-only-roles: has no use with mode "fifo"`},
		{"reads in one session", funnel + "unit = \"session\"\n" + once + static, `f:9:1: listener.read-only-roles: has no use with unit "session": a client keeps its server connection, or has no transactions`},
		{"reads of one user", funnel + "unit = \"session\"\n" + once + "[[user]]\nname = \"tx\"\nunit = \"transaction\"" + static, ""},
		{"reads in one database", funnel + "unit = \"session\"\n" + once + "database = [{name = \"d\", unit = \"transaction\"}]" + static, ""},
		{"reads beside nothing", funnel + replicas + once + static, `f:9:1: listener.read-only-roles: has no use: the roles have no "leader", so that all goes to replicas as it is`},
		{"role of reads", funnel + "read-only-roles = [\"any\", \"sync\"]" + static, `f:8:1: listener.read-only-roles: "any" stands alone: it includes the others`},
		{"own writes of no reads", funnel + "read-own-writes = \"wait\"" + static, `f:8:1: listener.read-own-writes: has no use without read-only-roles`},
		{"a wait for nothing", funnel + once + "read-own-writes = \"leader\"\nread-wait = \"2s\"" + static, `f:10:1: listener.read-wait: has no use: read-own-writes is "leader"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := problemsOf(tt.text); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

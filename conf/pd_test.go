package conf

import (
	"reflect"
	"testing"
)

// servers begins a configuration with a cluster of TiDB servers; what the tests put behind it begins at line 8.
const servers = `[[listener]]
name = "in"
cluster = "db"
listen = "127.0.0.1:6033"
[[cluster]]
name = "db"
protocol = "mysql"
`

// TestPDProblems has one row for each thing that can be wrong with a cluster that PD knows, or with status ports.
func TestPDProblems(t *testing.T) {
	const pd = "discovery = \"pd\"\n[cluster.pd]\n"
	const a = pd + `addrs = ["a:2379"]` + "\n"
	const one = `backends = [{addr = "a:4000", status = "a:10080"}]` + "\n"
	for _, tt := range []struct{ name, text, want string }{
		{"PD", a, ""},
		{"everything", a + `user = "u"
			password = "geheim"
			timeout = "100ms"
			zone-label = ""
			keyspaces = true
			advertise = "sluice-0.sluice:6000"
			tls = {ca = "ca", cert = "c", key = "k", server-name = "n"}
			[cluster.status]
			interval = "100ms"
			timeout = "10ms"
			metrics = "prometheus"
			prometheus = "HTTP://P:9090/"
			metrics-interval = "1s"
			tls = {mode = "verify-full", ca = "ca", cert = "c", key = "k", server-name = "n"}`, ""},
		{"no address", pd, `f:9:10: cluster.pd.addrs: is missing: with discovery "pd" a cluster has at least one address of PD`},
		{"address with a scheme", pd + `addrs = ["http//a"]`, `f:10:10: cluster.pd.addrs: "http//a" has no port`},
		{"address twice", pd + `addrs = ["[::1]:2379", "[0::1]:2379"]`, `f:10:24: cluster.pd.addrs: "[0::1]:2379" is there twice`},
		{"user alone", a + `user = "u"`, `f:11:1: cluster.pd.user: user and password belong together`},
		{"certificate alone", a + `tls.key = "k"`, `f:11:1: cluster.pd.tls.cert: is missing: cert and key belong together`},
		{"trust in everybody and somebody", a + `tls = {ca = "c", skip-verify = true}`, `f:11:8: cluster.pd.tls.ca: has no use with skip-verify: every certificate is taken`},
		{"advertised to nobody", a + `advertise = "0.0.0.0:6000"`, `f:11:1: cluster.pd.advertise: "0.0.0.0:6000" is no address that others can reach`},
		{"advertised without a port", a + `advertise = "10.0.0.1"`, `f:11:1: cluster.pd.advertise: "10.0.0.1" has no port`},
		{"time-out", a + `timeout = "1ms"`, `f:11:1: cluster.pd.timeout: 1ms is not in 100ms to 1m`},
		{"backends besides", one + a, `f:8:1: cluster.backends: has no use with discovery "pd", which finds them`},
		{"hosts of Patroni", a + "[cluster.patroni]\nhosts = [\"http://a:8008\"]", `f:12:1: cluster.patroni.hosts: has no use with discovery "pd"`},
		{"keys of PD without it", one + "[cluster.pd]\naddrs = [\"a:1\"]\ntls.ca = \"c\"", "f:10:1: cluster.pd.addrs: has no use with discovery \"static\"\n" +
			`f:11:5: cluster.pd.tls.ca: has no use with discovery "static"`},

		{"status ports", one + "[cluster.status]\ninterval = \"2s\"\nmetrics = \"off\"\ntls.mode = \"prefer\"", ""},
		{"status without a port", "backends = [{addr = \"a:4000\"}]\nstatus.interval = \"2s\"", `f:9:8: cluster.status.interval: has no use: no backend has a status port`},
		{"status port of no server", "backends = [{addr = \"a:4000\", status = \":10080\"}]", `f:8:31: cluster.backends.status: ":10080" has no host`},
		{"metrics", one + `status.metrics = "influx"`, `f:9:8: cluster.status.metrics: "influx" is not one of auto, status, prometheus, off`},
		{"Prometheus of nobody", one + `status.prometheus = "p:9090"`, `f:9:8: cluster.status.prometheus: "p:9090" does not begin with http:// or https://`},
		{"Prometheus that is not asked", one + "status.metrics = \"status\"\nstatus.prometheus = \"http://p\"", `f:10:8: cluster.status.prometheus: has no use with metrics "status"`},
		{"Prometheus that nobody names", one + `status.metrics = "prometheus"`, `f:9:1: cluster.status.prometheus: is missing: with metrics "prometheus" its URL is needed, as there is no PD to tell it`},
		{"verify by nobody", one + `status.tls.mode = "verify-ca"`, `f:9:8: cluster.status.tls.ca: is missing: "verify-ca" has to know whom to trust`},

		{"tags", `backends = [{addr = "a:4000", tags = ["tenant=shop", "fast"]}]`, ""},
		{"tag that is not", `backends = [{addr = "a:4000", tags = ["!fast"]}]`, `f:8:39: cluster.backends.tags: "!fast" says what must not be: a backend's tag says what is`},
		{"tag twice", `backends = [{addr = "a:4000", tags = ["x=1", "x=2"]}]`, `f:8:46: cluster.backends.tags: "x" is there twice`},
		{"tag without a name", `backends = [{addr = "a:4000", tags = ["=2"]}]`, `f:8:39: cluster.backends.tags: "=2" is not a tag such as "name=value", "name", "!name=value" or "!name"`},
		{"wish for tags", `backends = [{addr = "a:4000", tags = ["x=1"]}, {addr = "b:4000"}]` + "\n[[listener]]\nname = \"b\"\ncluster = \"db\"\nlisten = \"127.0.0.1:6034\"\ntags = [\"x=1\"]", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := problemsOf(servers + tt.text); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestPDProtocols: what only TiDB has is refused elsewhere.
func TestPDProtocols(t *testing.T) {
	const pg = "[[cluster]]\nname = \"pg\"\nprotocol = \"postgres\"\n"
	for text, want := range map[string]string{
		pg + "discovery = \"pd\"\npd.addrs = [\"a:1\"]":                                 `f:4:1: cluster.discovery: "pd" is for protocol "mysql", not "postgres"`,
		pg + "backends = [{addr = \"a:1\", status = \"a:2\"}]":                          `f:4:28: cluster.backends.status: has no use with protocol "postgres"`,
		pg + "backends = [{addr = \"a:1\"}]\nstatus.timeout = \"1s\"":                   `f:5:8: cluster.status.timeout: has no use with protocol "postgres"`,
		pg + "backends = [{addr = \"a:1\", tags = [\"disk=fast\"], role = \"leader\"}]": "",
	} {
		if got := problemsOf(text); got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", text, got, want)
		}
	}
}

// TestPDByEnvironment: the keys of a cluster of TiDB servers, and of their status ports, from variables.
func TestPDByEnvironment(t *testing.T) {
	c, err := Parse("f", nil, []string{
		"SLUICE_CLUSTER_0_NAME=db", "SLUICE_CLUSTER_0_PROTOCOL=mysql",
		"SLUICE_CLUSTER_0_BACKENDS=a:4000//z,b:4000",
		"SLUICE_CLUSTER_0_BACKENDS_1_STATUS=b:10080", "SLUICE_CLUSTER_0_BACKENDS_1_TAGS=tenant=shop,fast",
		"SLUICE_CLUSTER_0_STATUS_PROMETHEUS=http://p:9090/",
		"SLUICE_CLUSTER_1_NAME=found", "SLUICE_CLUSTER_1_PROTOCOL=mysql", "SLUICE_CLUSTER_1_DISCOVERY=pd",
		"SLUICE_CLUSTER_1_PD_ADDRS=a:2379,b:2379", "SLUICE_CLUSTER_1_PD_TLS_SKIP_VERIFY=true",
		"SLUICE_CLUSTER_1_PD_ZONE_LABEL=rack",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Backend{{Addr: "a:4000", Role: "leader", Zone: "z"}, {Addr: "b:4000", Role: "leader", Status: "b:10080",
		Tags: []Tag{{Name: "tenant", Value: "shop"}, {Name: "fast", Value: "true"}}}}
	if got := c.Cluster[0].Backends; !reflect.DeepEqual(got, want) {
		t.Errorf("backends: %+v, want %+v", got, want)
	}
	if got := c.Cluster[0].Status.Prometheus; got != "http://p:9090" {
		t.Errorf("Prometheus: %q", got)
	}
	pd := c.Cluster[1].PD
	if !reflect.DeepEqual(pd.Addrs, []string{"a:2379", "b:2379"}) || !pd.TLS.On() || pd.ZoneLabel != "rack" {
		t.Errorf("PD: %+v", pd)
	}
	if c.Cluster[0].PD.TLS.On() {
		t.Error("TLS towards PD is on by default")
	}
}

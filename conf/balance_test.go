package conf

import (
	"testing"
	"time"
)

// TestBalanceProblems has one row for each thing that can be wrong with how sessions are spread.
func TestBalanceProblems(t *testing.T) {
	const listener = "\n[[listener]]\nname = \"l\"\ncluster = \"c\"\nlisten = \":6000\""
	head := func(protocol string) string {
		return "[[cluster]]\nname = \"c\"\nbackends = [{addr = \"a:1\"}]\nprotocol = \"" + protocol + "\"\n"
	}
	my, pg, raw := head("mysql"), head("postgres"), head("tcp")
	tests := []struct {
		name string
		file string
		want string
	}{
		{"everything", my + `balance = {policy = "resource", routing = "random", label = "tenant", count-ratio = 1.5, interval = "1s", ` +
			`status-speed = 1, health-speed = 0.5, memory-speed = 2.25, cpu-speed = 3, location-speed = 1000000, count-speed = 0}`, ""},
		{"any number", pg + "balance.count-ratio = 0", ""},
		{"off", pg + `balance = {policy = "off", routing = "random", label = "tenant"}`, ""},
		{"location without figures", pg + `balance = {policy = "location", cpu-speed = 1}`, ""},
		{"routing of tcp", raw + `balance.routing = "idlest"`, ""},
		{"a word that is none", pg + `balance.policy = "cpu"`,
			`f:5:9: cluster.balance.policy: "cpu" is not one of connection, resource, location, off`},
		{"even numbers", pg + "balance.count-ratio = 1",
			"f:5:9: cluster.balance.count-ratio: 1 is not 0 or above 1, up to 1e+06: a backend with as many sessions as the others would give some away"},
		{"below zero", pg + "balance.count-speed = -1", "f:5:9: cluster.balance.count-speed: is negative"},
		{"no number", pg + `balance.count-speed = "fast"`, `f:5:9: cluster.balance.count-speed: "fast" is not a number such as 1.2`},
		{"not a number at all", pg + "balance.count-speed = nan", `f:5:9: cluster.balance.count-speed: NaN is not a number such as 1.2`},
		{"without an end", pg + "balance.count-speed = inf", `f:5:9: cluster.balance.count-speed: +Inf is not a number such as 1.2`},
		{"a truth", pg + "balance.count-speed = true", `f:5:9: cluster.balance.count-speed: wants a number such as 1.2, not true`},
		{"too fast", pg + "balance.count-speed = 1000000.5",
			"f:5:9: cluster.balance.count-speed: 1.0000005e+06 is more than 1e+06 sessions per second"},
		{"figures of postgres", pg + `balance.policy = "resource"`,
			`f:5:9: cluster.balance.policy: "resource" has no use with protocol "postgres": what backends say of themselves is read from TiDB's status ports`},
		{"speed without figures", my + "balance.cpu-speed = 1", `f:5:9: cluster.balance.cpu-speed: has no use with policy "connection"`},
		{"speed of nothing", my + `balance = {policy = "off", interval = "1s"}`, `f:5:28: cluster.balance.interval: has no use with policy "off"`},
		{"speed of tcp", raw + "balance.count-speed = 1", "f:5:9: cluster.balance.count-speed: has no use: no session of the cluster moves"},
		{"speed of what stays", my + "balance.count-ratio = 2\nmigrate.enabled = false",
			"f:5:9: cluster.balance.count-ratio: has no use: no session of the cluster moves"},
		{"hasty", pg + `balance.interval = "1ms"`, "f:5:9: cluster.balance.interval: 1ms is not in 10ms to 1m"},
		{"out of service", pg + `out-of-service = ["tidb-0", "10.0.0.1", "10.0.0.1:4000", "::1", "[::1]:4000"]`, ""},
		{"nobody", pg + `out-of-service = [""]`,
			"f:5:19: cluster.out-of-service: is empty: it is an address, a host, or the first label of a host's name"},
		{"twice", pg + `out-of-service = ["a", "a"]`, `f:5:24: cluster.out-of-service: "a" is there twice`},
		{"no port", pg + `out-of-service = ["a:x"]`, `f:5:19: cluster.out-of-service: "a:x": port "x" is not a number from 1 to 65535`},
		{"labels", "engine = {zone = \"a\", labels = [\"tenant=shop\", \"fast\"]}", ""},
		{"a label that is not", "engine = {labels = [\"!fast\"]}", `f:1:21: engine.labels: "!fast": a label is "name=value" or "name"`},
		{"a label twice", "engine = {labels = [\"a=1\", \"a=2\"]}", `f:1:28: engine.labels: the label "a" is there twice`},
		{"a zone of words", "engine = {zone = \"east 1\"}", `f:1:11: engine.zone: "east 1" holds more than letters, digits, '.', '_' and '-'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, got := tt.file, ""
			if file[0] == '[' {
				file += listener
			}
			if _, err := Parse("f", []byte(file), nil); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestBalanceDefaults are what the documentation says.
func TestBalanceDefaults(t *testing.T) {
	b := DefaultCluster().Balance
	if b.Policy != "connection" || b.Routing != "prefer-idle" || b.CountRatio != 1.2 || b.Interval.Std() != 100*time.Millisecond {
		t.Errorf("the defaults are %+v", b)
	}
}

// TestRateByVariable: a fraction can be given by a variable, and is shown as it was given.
func TestRateByVariable(t *testing.T) {
	c, err := Parse("f", []byte("[[cluster]]\nname = \"c\"\nprotocol = \"mysql\"\nbackends = [{addr = \"a:1\"}]\n"+
		"[[listener]]\nname = \"l\"\ncluster = \"c\"\nlisten = \":6000\""),
		[]string{"SLUICE_CLUSTER_0_BALANCE_COUNT_RATIO=2.5", "SLUICE_ENGINE_LABELS=tenant=shop,fast"})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Cluster[0].Balance.CountRatio; r != 2.5 || r.String() != "2.5" {
		t.Errorf("the ratio is %v", r)
	}
	if v, ok := c.Engine.Label("tenant"); !ok || v != "shop" {
		t.Errorf("tenant = %q, %v", v, ok)
	}
	if v, ok := c.Engine.Label("fast"); !ok || v != "true" {
		t.Errorf("fast = %q, %v", v, ok)
	}
	if _, ok := c.Engine.Label("slow"); ok {
		t.Error("there is a label slow")
	}
	text, err := c.TOML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("f", text, nil)
	if err != nil || again.Cluster[0].Balance != c.Cluster[0].Balance {
		t.Errorf("read again: %+v, %v", again, err)
	}
}

package conf

import (
	"strings"
	"testing"
)

// good is a configuration without a problem. The tests below put one line of their own behind it: at
// line 12, in the table of the listener.
const good = `[[cluster]]
name = "db"
protocol = "mysql"
backends = [{addr = "10.0.0.1:3306"}]
[[cluster]]
name = "other"
protocol = "tcp"
backends = [{addr = "10.0.0.2:80"}]
[[listener]]
name = "in"
cluster = "db"
`

// TestProblems has one row for each thing that can be wrong, with the whole text that is said of it.
func TestProblems(t *testing.T) {
	const listen = `listen = "127.0.0.1:6033"` + "\n"
	const second = listen + "[[listener]]\nname = \"in2\"\ncluster = \"db\"\n"
	tests := []struct {
		name string
		file string // behind good
		want string // the problems; "f:" stands for the name of the file
	}{
		{"nothing", listen, ""},
		{"not TOML", `listen = `, "f:12:9: toml: expected value, not end of input"},
		{"key twice", listen + `listen = "x"`, "f:13:1: toml: key listen is already defined"},

		{"unknown key", listen + `colour = 1`, "f:13:1: listener.colour: unknown key"},
		{"unknown key, near one", listen + `allowed = 1`, "f:13:1: listener.allowed: unknown key, did you mean allow?"},
		{"underscore", listen + `max_connections = 1`, "f:13:1: listener.max_connections: unknown key, did you mean max-connections?"},
		{"unknown section", listen + "[egine]\nloops = 1", "f:13:2: egine: unknown key, did you mean engine?"},
		{"unknown in an inline table", listen + `tls = {mode = "disable", crt = "x"}`, "f:13:26: listener.tls.crt: unknown key, did you mean cert?"},
		{"unknown in a dotted key", listen + `tls.mod = "disable"`, "f:13:5: listener.tls.mod: unknown key, did you mean mode?"},
		{"key of another line", listen + `"a\nb" = 1`, "f:13:1: listener.a?b: unknown key"},

		{"string for a number", listen + `backlog = "1"`, `f:13:1: listener.backlog: wants a whole number, not the string "1"`},
		{"fraction for a number", listen + `backlog = 1.5`, `f:13:1: listener.backlog: wants a whole number, not the fraction 1.5`},
		{"number for a string", listen + "[log]\nlevel = 1", `f:14:1: log.level: wants a string, not 1`},
		{"date for a string", listen + "[log]\nlevel = 2020-01-01", `f:14:1: log.level: wants a string, not a date or time`},
		{"number for a switch", listen + `ipv6-only = 1`, `f:13:1: listener.ipv6-only: wants true or false, not 1`},
		{"string for a list", listen + `allow = "10.0.0.0/8"`, `f:13:1: listener.allow: wants an array, not the string "10.0.0.0/8"`},
		{"number for a table", listen + `tls = 1`, `f:13:1: listener.tls: wants a table, not 1`},
		{"list for a table", listen + `tls = []`, `f:13:1: listener.tls: wants a table, not an array`},
		{"table for a string", listen + `mode = {}`, `f:13:1: listener.mode: wants a string, not a table`},
		{"number among tables", listen + `[[cluster]]` + "\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [7]", `f:16:13: cluster.backends: wants a table, not 7`},
		{"list of lists", listen + `roles = [["any"]]`, `f:13:1: listener.roles: wants a string, not an array`},

		{"duration without unit", listen + `idle-timeout = 3`, `f:13:1: listener.idle-timeout: wants a duration such as "3s" or "250ms", not 3`},
		{"duration of letters", listen + `idle-timeout = "soon"`, `f:13:1: listener.idle-timeout: "soon" is not a duration such as "3s" or "250ms"`},
		{"negative duration", listen + `idle-timeout = "-3s"`, `f:13:1: listener.idle-timeout: "-3s" is negative`},
		{"duration out of range", listen + `login-timeout = "1ms"`, `f:13:1: listener.login-timeout: 1ms is not in 100ms to 1h`},
		{"nor zero", listen + `login-timeout = "0s"`, `f:13:1: listener.login-timeout: 0s is not in 100ms to 1h`},
		{"zero besides a range", listen + `idle-timeout = "1ms"`, `f:13:1: listener.idle-timeout: 1ms is not 0 or in 100ms to 720h`},
		{"size of letters", listen + `request-text = "much"`, `f:13:1: listener.request-text: "much" is not a size such as "64KiB", "16MB" or a number of bytes`},
		{"negative size", listen + `request-text = -1`, `f:13:1: listener.request-text: -1 is negative`},
		{"size as a fraction", listen + `request-text = 1.5`, `f:13:1: listener.request-text: wants a size such as "64KiB", "16MB" or a number of bytes, not the fraction 1.5`},
		{"size too large", listen + `request-text = "9999999999TiB"`, `f:13:1: listener.request-text: "9999999999TiB" is too large`},
		{"size out of range", listen + `request-text = "5KiB"`, `f:13:1: listener.request-text: 5KiB is not in 0 to 4KiB`},
		{"number out of range", listen + `backlog = 65536`, `f:13:1: listener.backlog: 65536 is not in 0 to 65535`},
		{"request log", listen + `request-log = "slow"`, `f:13:1: listener.request-log: "slow" is not "off", "all" or a duration such as "250ms"`},
		{"zero byte", listen + `tls = {cert = "a\u0000", key = "k", mode = "require"}`, `f:13:8: listener.tls.cert: holds a zero byte`},

		{"no address", "", "f:9:3: listener.listen: is missing"},
		{"no port", `listen = "0.0.0.0"`, `f:12:1: listener.listen: "0.0.0.0" has no port`},
		{"no port behind brackets", `listen = "[::1]"`, `f:12:1: listener.listen: "[::1]" has no port`},
		{"IPv6 without brackets", `listen = "::1:6033"`, `f:12:1: listener.listen: "::1:6033": an IPv6 address stands in brackets, as in "[::1]:3306"`},
		{"bracket left open", `listen = "[::1:6033"`, `f:12:1: listener.listen: "[::1:6033" is not of the form host:port`},
		{"port of letters", `listen = ":mysql"`, `f:12:1: listener.listen: ":mysql": port "mysql" is not a number from 0 to 65535`},
		{"port too high", `listen = ":65536"`, `f:12:1: listener.listen: ":65536": port "65536" is not a number from 0 to 65535`},
		{"host name to listen on", `listen = "db.example:1"`, `f:12:1: listener.listen: "db.example:1": "db.example" is not an IP address, nor localhost, nor empty for all addresses`},
		{"backend without host", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \":80\"}]", `f:16:14: cluster.backends.addr: ":80" has no host`},
		{"backend with port 0", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a:0\"}]", `f:16:14: cluster.backends.addr: "a:0": port "0" is not a number from 1 to 65535`},
		{"backend without address", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{}]", `f:16:13: cluster.backends.addr: is missing`},
		{"backend with no host name", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a b:1\"}]", `f:16:14: cluster.backends.addr: "a b:1": "a b" is neither an IP address nor a host name`},
		{"backend twice", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"[::1]:1\"}, {addr = \"[0:0::1]:1\"}]", `f:16:34: cluster.backends.addr: "[0:0::1]:1" is there twice`},
		{"backend's role", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a:1\", role = \"any\"}]", `f:16:28: cluster.backends.role: "any" is not one of leader, sync, async, quorum, standby-leader`},

		{"network", listen + `allow = ["10.0.0.0/8", "ten"]`, `f:13:24: listener.allow: "ten" is not a network such as "10.0.0.0/8", or an address`},
		{"bits behind the prefix", listen + `deny = ["10.0.0.1/8"]`, `f:13:9: listener.deny: "10.0.0.1/8" has bits behind its prefix: the network is 10.0.0.0/8, the address alone 10.0.0.1`},

		{"name with a space", listen + "[[listener]]\nname = \"a b\"\nlisten = \":1\"\ncluster = \"db\"", `f:14:1: listener.name: "a b" holds more than letters, digits, '.', '_' and '-'`},
		{"no name", listen + "[[listener]]\nlisten = \":1\"\ncluster = \"db\"", `f:13:3: listener.name: is missing`},
		{"long name", listen + "[[listener]]\nname = \"" + strings.Repeat("a", 65) + "\"\nlisten = \":1\"\ncluster = \"db\"", `f:14:1: listener.name: has 65 bytes, more than 64`},
		{"listener twice", listen + "[[listener]]\nname = \"in\"\nlisten = \":1\"\ncluster = \"db\"", `f:14:1: listener.name: "in" is there twice`},
		{"cluster twice", listen + "[[cluster]]\nname = \"db\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a:1\"}]", `f:14:1: cluster.name: "db" is there twice`},

		{"no cluster", "listen = \":1\"\n[[listener]]\nname = \"x\"\nlisten = \":2\"", `f:13:3: listener.cluster: is missing`},
		{"unknown cluster", "listen = \":1\"\n[[listener]]\nname = \"x\"\nlisten = \":2\"\ncluster = \"oter\"", `f:16:1: listener.cluster: there is no cluster "oter", did you mean other?`},
		{"no protocol", listen + "[[cluster]]\nname = \"c\"\nbackends = [{addr = \"a:1\"}]", `f:13:3: cluster.protocol: is missing: one of postgres, mysql, tcp`},
		{"unknown protocol", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"postgre\"\nbackends = [{addr = \"a:1\"}]", `f:15:1: cluster.protocol: "postgre" is not one of postgres, mysql, tcp, did you mean postgres?`},
		{"no backends", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"", `f:13:3: cluster.backends: is missing: with discovery "static" a cluster has at least one backend`},
		{"single brackets", listen + "[user]\nname = \"x\"", `f:13:2: user: wants tables in double brackets, as there can be several, not a table`},

		{"role", listen + `roles = ["leder"]`, `f:13:10: listener.roles: "leder" is not one of leader, sync, async, any, quorum, standby-leader, did you mean leader?`},
		{"role twice", listen + `roles = ["sync", "sync"]`, `f:13:18: listener.roles: "sync" is there twice`},
		{"any and more", listen + `roles = ["any", "sync"]`, `f:13:1: listener.roles: "any" stands alone: it includes the others`},
		{"no roles", listen + `roles = []`, `f:13:1: listener.roles: is empty: no backend could be used`},

		{"same address", second + listen, `f:16:1: listener.listen: "127.0.0.1:6033" is taken by listener "in", "127.0.0.1:6033"`},
		{"all addresses and one", second + `listen = "0.0.0.0:6033"`, `f:16:1: listener.listen: "0.0.0.0:6033" is taken by listener "in", "127.0.0.1:6033"`},
		{"all of both families", second + `listen = "[::]:6033"`, `f:16:1: listener.listen: "[::]:6033" is taken by listener "in", "127.0.0.1:6033"`},
		{"all of IPv6 alone", second + "listen = \"[::]:6033\"\nipv6-only = true", ""},
		{"the admin side's address", second + `listen = ":3080"`, `f:16:1: listener.listen: ":3080" is taken by admin.listen, "127.0.0.1:3080"`},
		{"other address, same port", second + `listen = "127.0.0.2:6033"`, ""},
		{"any free port, twice", "listen = \":0\"\n[[listener]]\nname = \"in2\"\ncluster = \"db\"\nlisten = \":0\"", ""},
		{"IPv6 only on IPv4", listen + "ipv6-only = true", `f:13:1: listener.ipv6-only: "127.0.0.1:6033" is not an IPv6 address`},

		{"certificate alone", listen + `tls = {mode = "require", cert = "c"}`, `f:13:1: listener.tls.key: is missing: cert and key belong together`},
		{"key alone", listen + `tls = {mode = "require", key = "c"}`, `f:13:1: listener.tls.cert: is missing: cert and key belong together`},
		{"no certificate", listen + `tls = {mode = "require"}`, `f:13:1: listener.tls.cert: is missing: mode "require" needs cert and key`},
		{"whom to trust", listen + `tls = {mode = "verify-ca", cert = "c", key = "k"}`, `f:13:1: listener.tls.ca: is missing: "verify-ca" has to know whom to trust`},
		{"TLS mode", listen + `tls = {mode = "required"}`, `f:13:8: listener.tls.mode: "required" is not one of disable, prefer, require, verify-ca, verify-full, did you mean require?`},
		{"TLS version", listen + `tls = {min-version = "1.1"}`, `f:13:8: listener.tls.min-version: "1.1" is not one of 1.2, 1.3, did you mean 1.2?`},
		{"TLS by chance with tcp", "listen = \":1\"\n[[listener]]\nname = \"x\"\nlisten = \":2\"\ncluster = \"other\"\ntls = {mode = \"prefer\", cert = \"c\", key = \"k\"}", `f:17:8: listener.tls.mode: "prefer" can't be had with protocol "tcp": it has no way to agree on TLS`},
		{"names in certificates with tcp", "listen = \":1\"\n[[listener]]\nname = \"x\"\nlisten = \":2\"\ncluster = \"other\"\ntls = {mode = \"verify-full\", cert = \"c\", key = \"k\", ca = \"c\"}", `f:17:8: listener.tls.mode: "verify-full" can't be had with protocol "tcp": it has no user to compare with`},
		{"TLS to servers by chance with tcp", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a:1\"}]\ntls.mode = \"prefer\"", `f:17:5: cluster.tls.mode: "prefer" can't be had with protocol "tcp": it has no way to agree on TLS`},
		{"requests of tcp", "listen = \":1\"\n[[listener]]\nname = \"x\"\nlisten = \":2\"\ncluster = \"other\"\nrequest-log = \"all\"", `f:17:1: listener.request-log: has no use with protocol "tcp": it has no requests`},

		{"user of a tcp check", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nbackends = [{addr = \"a:1\"}]\nhealth.user = \"u\"", `f:17:8: cluster.health.user: has no use with protocol "tcp"`},
		{"control without user", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"mysql\"\nbackends = [{addr = \"a:1\"}]\ncontrol.password = \"p\"", `f:17:1: cluster.control.user: is missing, as there is a password`},
		{"control elsewhere", listen + "[[cluster]]\nname = \"c\"\nprotocol = \"postgres\"\nbackends = [{addr = \"a:1\"}]\ncontrol.user = \"u\"", `f:17:9: cluster.control.user: has no use with protocol "postgres"`},

		{"water marks", listen + "[engine]\nlow-water = \"256KiB\"", `f:14:1: engine.low-water: 256KiB is not below engine.high-water, 256KiB`},
		{"admin for all", listen + "[admin]\nlisten = \":3080\"", `f:14:1: admin.listen: ":3080" can be reached from other machines: it needs admin.user and admin.password`},
		{"admin for all, with credentials", listen + "[admin]\nlisten = \":3080\"\nuser = \"u\"\npassword = \"p\"", ""},
		{"admin off", listen + "[admin]\nlisten = \"\"", ""},
		{"admin user alone", listen + "[admin]\nuser = \"u\"", `f:14:1: admin.user: user and password belong together`},

		{"lag", listen + `max-lag = "16MiB"`, `f:13:1: listener.max-lag: is not available with discovery "static": the lag of its backends is not known`},

		{"several, in their order", listen + "backlog = -1\nmode = 7\n[log]\nlevel = \"loud\"\nfrmat = \"json\"",
			"f:13:1: listener.backlog: -1 is not in 0 to 65535\n" +
				"f:14:1: listener.mode: wants a string, not 7\n" +
				"f:16:1: log.level: \"loud\" is not one of debug, info, warn, error\n" +
				"f:17:1: log.frmat: unknown key, did you mean format?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if _, err := Parse("f", []byte(good+tt.file), nil); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestTablesInDoubleBrackets: [cluster] for [[cluster]] is an easy mistake.
func TestTablesInDoubleBrackets(t *testing.T) {
	_, err := Parse("f", []byte("[cluster]\nname = \"x\""), nil)
	const want = "f:1:2: cluster: wants tables in double brackets, as there can be several, not a table"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestProblemsHaveLimits: a file of nothing but mistakes makes neither a long list nor long lines.
func TestProblemsHaveLimits(t *testing.T) {
	file := strings.Repeat("a", 10*lineMax) + " = 1\n"
	for i := range 3 * problemsMax {
		file += strings.Repeat("b", i+1) + "_ = 1\n"
	}
	_, err := Parse("f", []byte(file), nil)
	lines := strings.Split(err.Error(), "\n")
	if got, want := len(lines), problemsMax+1; got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
	if got, want := lines[len(lines)-1], "and 201 more"; got != want {
		t.Errorf("last line: got %q, want %q", got, want)
	}
	if got, most := len(lines[0]), lineMax+len("…"); got != most {
		t.Errorf("a line of %d bytes, want %d", got, most)
	}
}

// TestCheckByHand: a configuration that was not read from anywhere has problems without a place.
func TestCheckByHand(t *testing.T) {
	c := Default()
	l := DefaultListener()
	l.Name, l.Listen, l.Cluster = "in", "127.0.0.1:1", "db"
	c.Listener = []Listener{l}
	err := c.Check()
	const want = `listener.0.cluster: there is no cluster "db"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestRolesByProtocol: what a listener uses where it does not say.
func TestRolesByProtocol(t *testing.T) {
	for protocol, want := range map[string]string{"postgres": "leader", "mysql": "any", "tcp": "any"} {
		cl, l := DefaultCluster(), DefaultListener()
		cl.Name, cl.Protocol, cl.Backends = "db", protocol, []Backend{{Addr: "a:1", Role: "leader"}}
		l.Name, l.Listen, l.Cluster = "in", "127.0.0.1:1", "db"
		c := Default()
		c.Cluster, c.Listener = []Cluster{cl}, []Listener{l}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		if got := c.Listener[0].Roles; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %v, want %s", protocol, got, want)
		}
	}
}

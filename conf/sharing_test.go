package conf

import (
	"strings"
	"testing"
)

// pooled is a configuration of a listener that shares, without a problem. The tests below put lines of
// their own behind it: at line 12, in the table of the listener.
const pooled = `[[user]]
name = "app"
password = "geheim"
[[cluster]]
name = "pg"
protocol = "postgres"
backends = [{addr = "10.0.0.1:5432"}]
[[listener]]
name = "in"
cluster = "pg"
listen = "127.0.0.1:6432"
`

// TestSharingProblems has one row for each thing that can be wrong with shared server connections.
func TestSharingProblems(t *testing.T) {
	const funnel = "mode = \"funnel\"\n"
	const fifo = "mode = \"fifo\"\n"
	const open = "mode = \"funnel\"\n[[listener]]\nname = \"all\"\ncluster = \"pg\"\nlisten = \":6433\"\nmode = \"funnel\"\n"
	const scram = "SCRAM-SHA-256$4096:c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	tests := []struct {
		name string
		file string // behind pooled
		want string
	}{
		{"funnel", funnel, ""},
		{"fifo", fifo, ""},
		{"everything", funnel + "pool-min = 20\nunit = \"session\"\nauth.query = \"select $1\"\nauth.query-user = \"x\"\n" +
			"rule = [{user = [\"all\"], database = [\"sameuser\"], from = [\"10.0.0.0/8\"], tls = \"never\", method = \"trust\"}]\n" +
			"database = [{name = \"a b\", target = \"c\", user = \"u\", password = \"p\"}]\nwarm = [{database = \"a b\", user = \"app\"}]", ""},

		{"a key of pools in mode proxy", "pool-size = 5", `f:12:1: listener.pool-size: has no use with mode "proxy"`},
		{"tables of pools in mode proxy", "auth.method = \"md5\"\n[[listener.rule]]", "f:12:6: listener.auth.method: has no use with mode \"proxy\"\n" +
			`f:13:12: listener.rule: has no use with mode "proxy"`},
		{"its default in mode proxy", "pool-size = 20", ""},
		{"mode of another protocol", "[[cluster]]\nname = \"my\"\nprotocol = \"mysql\"\nbackends = [{addr = \"a:1\"}]\n[[listener]]\nname = \"l\"\nlisten = \":1\"\ncluster = \"my\"\nmode = \"fifo\"",
			`f:20:1: listener.mode: mode "fifo" is not available with protocol "mysql" in this version`},
		{"unknown mode", `mode = "pool"`, `f:12:1: listener.mode: "pool" is not one of proxy, fifo, funnel`},
		{"users in mode proxy", "", ""},

		{"fifo with many", fifo + "pool-size = 20", `f:13:1: listener.pool-size: 20 is not 1: in mode "fifo" all clients of a pool share one server connection`},
		{"fifo with one", fifo + "pool-size = 1\npool-min = 1", ""},
		{"fifo with a reserve", fifo + "pool-reserve = 1", `f:13:1: listener.pool-reserve: has no use with mode "fifo"`},
		{"fifo with a larger database", fifo + "database = [{name = \"a\", pool-size = 2, pool-reserve = 1}]", `f:13:26: listener.database.pool-size: 2 is not 1: in mode "fifo" all clients of a pool share one server connection` + "\n" +
			`f:13:41: listener.database.pool-reserve: has no use with mode "fifo"`},
		{"least above the size", funnel + "pool-min = 21", `f:13:1: listener.pool-min: 21 is more than pool-size, 20`},
		{"a database's least", funnel + "database = [{name = \"a\", pool-size = 2, pool-min = 3}]", `f:13:41: listener.database.pool-min: 3 is more than pool-size, 2`},
		{"retries", funnel + "server-retry-min = \"1m\"", `f:13:1: listener.server-retry-min: 1m is more than server-retry-max, 15s`},
		{"unit", funnel + "unit = \"query\"", `f:13:1: listener.unit: "query" is not one of transaction, statement, session`},

		{"trust for all", open + "auth.method = \"trust\"", `f:18:6: listener.auth.method: "trust" lets in whoever can reach ":6433": name the networks by "from" of a [[listener.rule]]`},
		{"trust by a rule for all", open + "rule = [{method = \"trust\"}]", `f:18:10: listener.rule.method: "trust" lets in whoever can reach ":6433": name the networks by "from"`},
		{"trust by a rule that inherits it", open + "auth.method = \"trust\"\nrule = [{user = [\"a\"]}]", `f:19:9: listener.rule.method: "trust" lets in whoever can reach ":6433": name the networks by "from"`},
		{"trust for a network", open + "auth.method = \"trust\"\nrule = [{from = [\"10.0.0.0/8\"]}]", ""},
		{"trust on this machine", funnel + "auth.method = \"trust\"", ""},
		{"clear without TLS", funnel + "auth.method = \"clear\"", `f:13:6: listener.auth.method: "clear" is for connections with TLS: tls.mode is "disable"`},
		{"clear by a rule without TLS", funnel + "tls = {mode = \"prefer\", cert = \"c\", key = \"k\"}\nrule = [{method = \"clear\", tls = \"never\"}]", `f:14:10: listener.rule.method: "clear" is for connections with TLS: tls is "never"`},
		{"certificates that are not asked for", funnel + "tls = {mode = \"require\", cert = \"c\", key = \"k\"}\nauth.method = \"cert\"", `f:14:6: listener.auth.method: "cert" needs TLS, and tls.ca to know whom to trust`},
		{"a rule for TLS without any", funnel + "rule = [{tls = \"only\"}]", `f:13:10: listener.rule.tls: no connection has TLS: the listener's tls.mode is "disable"`},
		{"unknown method", funnel + "rule = [{method = \"reject\"}, {method = \"gss\"}]", `f:13:31: listener.rule.method: "gss" is not one of inherit, secret, scram-sha-256, md5, clear, trust, cert, reject`},
		{"reject for everybody", funnel + "auth.method = \"reject\"", `f:13:6: listener.auth.method: "reject" is not one of secret, scram-sha-256, md5, clear, trust, cert`},
		{"empty name in a rule", funnel + "rule = [{user = [\"a\", \"\"]}]", `f:13:23: listener.rule.user: is empty`},
		{"empty names", funnel + "session-functions = [\"\"]\nadmin-users = [\"\"]\nstats-users = [\"\"]", "f:13:22: listener.session-functions: is empty\nf:14:16: listener.admin-users: is empty\nf:15:16: listener.stats-users: is empty"},

		{"query without a name", funnel + "auth = {query = \"select 1\", query-user = \"x\"}", `f:13:9: listener.auth.query: does not hold $1, which stands for the user's name`},
		{"query of nobody", funnel + "auth = {query = \"select $1\"}", `f:13:1: listener.auth.query-user: is missing: somebody has to ask the query`},
		{"who asks nothing", funnel + "auth = {query-user = \"a\", query-password = \"geheim\", query-database = \"b\"}", "f:13:9: listener.auth.query-user: has no use without query\n" +
			"f:13:27: listener.auth.query-password: has no use without query\nf:13:54: listener.auth.query-database: has no use without query"},

		{"no database at all", funnel + "databases-any = false", `f:8:3: listener.database: is missing: without databases-any a client can use those that are listed`},
		{"database without a name", funnel + "database = [{}]", `f:13:13: listener.database.name: is missing`},
		{"database twice", funnel + "database = [{name = \"a\"}, {name = \"a\"}]", `f:13:28: listener.database.name: "a" is there twice`},
		{"the console's name", funnel + "database = [{name = \"pgbouncer\"}]", `f:13:14: listener.database.name: "pgbouncer" is the name of Sluice's own console`},
		{"password of nobody", funnel + "database = [{name = \"a\", password = \"geheim\"}]", `f:13:13: listener.database.user: is missing, as there is a password`},

		{"nothing to warm", funnel + "warm = [{database = \"a\", user = \"app\"}]", `f:13:9: listener.warm: has no use while pool-min is 0`},
		{"warm without names", funnel + "warm = [{}]", "f:13:9: listener.warm.user: is missing\nf:13:9: listener.warm.database: is missing"},
		{"warm console", funnel + "pool-min = 1\nwarm = [{database = \"sluice\", user = \"app\"}]", `f:14:10: listener.warm.database: "sluice" is the name of Sluice's own console`},
		{"warm stranger", funnel + "pool-min = 1\ndatabases-any = false\ndatabase = [{name = \"a\"}]\nwarm = [{database = \"b\", user = \"app\"}]", `f:16:10: listener.warm.database: there is no [[listener.database]] "b"`},

		{"user without a name", funnel + "[[user]]", `f:13:3: user.name: is missing`},
		{"user twice", funnel + "[[user]]\nname = \"app\"", `f:14:1: user.name: "app" is there twice`},
		{"two secrets", funnel + "[[user]]\nname = \"b\"\npassword = \"geheim\"\nverifier = \"" + scram + "\"", `f:16:1: user.verifier: stands beside a password: there is one or the other`},
		{"verifiers", funnel + "[[user]]\nname = \"b\"\nverifier = \"" + scram + "\"\n[[user]]\nname = \"c\"\nverifier = \"md50123456789abcdef0123456789abcdef\"\n" +
			"[[user]]\nname = \"d\"\nverifier = \"*0123456789ABCDEF0123456789ABCDEF01234567\"", ""},
		{"no verifier", funnel + "[[user]]\nname = \"b\"\nverifier = \"SCRAM-SHA-256$4096:geheim\"", `f:15:1: user.verifier: is neither "SCRAM-SHA-256$<iterations>:<salt>$<key>:<key>" nor "md5" and 32 hexadecimal digits nor "*" and 40`},
		{"connections of no pool", "[[cluster]]\nname = \"c\"\nprotocol = \"tcp\"\nmax-server-connections = 5\nbackends = [{addr = \"a:1\"}]\n[[listener]]\nname = \"f\"\nmode = \"funnel\"\ncluster = \"pg\"\nlisten = \":1\"",
			`f:15:1: cluster.max-server-connections: has no use: no listener with mode "fifo" or "funnel" leads here`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if _, err := Parse("f", []byte(pooled+tt.file), nil); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if strings.Contains(got, "geheim") {
				t.Error("a secret is in what is said")
			}
		})
	}
}

// TestNobodyCouldLogIn: a listener that shares needs users from somewhere.
func TestNobodyCouldLogIn(t *testing.T) {
	_, rest, _ := strings.Cut(pooled, "[[cluster]]")
	file := "[[cluster]]" + rest + "mode = \"funnel\"\n"
	const want = "f:5:3: listener: nobody could log in: there is no [[user]], no auth.userlist and no auth.query"
	if _, err := Parse("f", []byte(file), nil); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, source := range []string{`userlist = "u.txt"`, `query = "select $1"` + "\nquery-user = \"x\"", "[[user]]\nname = \"u\""} {
		if source[0] != '[' {
			source = "[listener.auth]\n" + source
		}
		if _, err := Parse("f", []byte(file+source), nil); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// TestFIFOIsOne: where nothing is said the pool of mode fifo has one server connection, also if the
// configuration is checked again, as a reload does.
func TestFIFOIsOne(t *testing.T) {
	c, err := Parse("f", []byte(pooled+`mode = "fifo"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Keep(Default()).Check(); err != nil {
		t.Fatal(err)
	}
	if got := c.Listener[0].PoolSize; got != 1 {
		t.Errorf("pool-size is %d", got)
	}
}

// TestDiffOfUsers: users by name, and what is in a listener's tables as the listener's.
func TestDiffOfUsers(t *testing.T) {
	parse := func(more string) *Config {
		c, err := Parse("f", []byte(pooled+"mode = \"funnel\"\n"+more), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := parse("database = [{name = \"a\"}]\n[[user]]\nname = \"b\"\npassword = \"x\"\n")
	now := parse("database = [{name = \"a\", pool-size = 3}]\n[[user]]\nname = \"b\"\npassword = \"y\"\n[[user]]\nname = \"c\"\n")
	const want = "listeners changed: in (database); users added: c; users changed: b (password)"
	if got := Diff(old, now).String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

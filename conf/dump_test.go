package conf

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// everything has a value other than the default in each kind of key.
const everything = `
[engine]
max-connections = 100
memory-limit = "1GiB"
shutdown-timeout = "1h30m"
[admin]
user = "root"
password = "geheim"
[[cluster]]
name = "db"
protocol = "mysql"
backends = [{addr = "db1:3306"}, {addr = "10.0.0.2:3306", role = "async", zone = "b"}]
[cluster.control]
user = "sluice"
password = "geheim"
[[listener]]
name = "in"
listen = "127.0.0.1:6033"
cluster = "db"
allow = ["10.0.0.0/8", "::1"]
request-log = "1s"
[[cluster]]
name = "pg"
protocol = "postgres"
backends = [{addr = "10.0.0.3:5432"}]
[[listener]]
name = "pool"
listen = "127.0.0.1:6432"
cluster = "pg"
mode = "fifo"
auth = {query = "select $1", query-user = "asker", query-password = "geheim"}
database = [{name = "a", user = "u", password = "geheim"}, {name = "b"}]
rule = [{from = ["10.0.0.0/8"], method = "md5"}]
[[cluster]]
name = "ha"
protocol = "postgres"
discovery = "patroni"
failover-timeout = "1m"
[cluster.patroni]
hosts = ["http://10.0.0.4:8008"]
learn-hosts = false
user = "p"
password = "geheim"
[cluster.patroni.etcd]
endpoints = ["https://10.0.0.4:2379"]
scope = "ha"
user = "e"
password = "geheim"
[[listener]]
name = "ha"
listen = "127.0.0.1:6433"
cluster = "ha"
mode = "funnel"
roles = ["leader", "quorum"]
max-lag = "16MiB"
max-lag-time = "3s"
tags = ["dc=one", "!backup"]
read-only-roles = ["any"]
read-own-writes = "wait"
[[user]]
name = "one"
password = "geheim"
[[user]]
name = "two"
verifier = "md50123456789abcdef0123456789abcdef"
`

func parseEverything(t *testing.T) *Config {
	t.Helper()
	c, err := Parse("f", []byte(everything), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTOMLComesBack: what is written can be read, and means the same but for the passwords.
func TestTOMLComesBack(t *testing.T) {
	c := parseEverything(t)
	text, err := c.TOML()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse("f", text, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	const want = "settings changed: admin.password; clusters changed: db (control.password), ha (patroni.password, patroni.etcd.password); " +
		"listeners changed: pool (auth.query-password, database); users changed: one (password), two (verifier)"
	if got := Diff(c, back).String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSecretsStaySecret in everything that could end up in a log or an answer.
func TestSecretsStaySecret(t *testing.T) {
	c := parseEverything(t)
	text, err := c.TOML()
	if err != nil {
		t.Fatal(err)
	}
	object, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]string{
		"TOML": string(text), "JSON": string(object), "json.Marshal": string(direct),
		"%v": fmt.Sprintf("%v", *c), "%+v": fmt.Sprintf("%+v", *c), "%#v": fmt.Sprintf("%#v", *c),
	} {
		if strings.Contains(s, "geheim") || strings.Contains(s, "0123456789abcdef") {
			t.Errorf("%s shows a password", what)
		}
		if !strings.Contains(s, stars) {
			t.Errorf("%s does not show that there is a password", what)
		}
	}
	if got := string(c.Admin.Password); got != "geheim" {
		t.Errorf("showing it changed the password to %q", got)
	}
	if got := string(c.Listener[1].Database[0].Password); got != "geheim" {
		t.Errorf("showing it changed a database's password to %q", got)
	}
}

// TestJSONHasTheSameForms as the file: names with dashes, durations and sizes as text.
func TestJSONHasTheSameForms(t *testing.T) {
	object, err := parseEverything(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"max-connections": 100`, `"memory-limit": "1GiB"`, `"shutdown-timeout": "1h30m"`,
		`"request-log": "1s"`, `"::1/128"`, `"zone": "b"`,
	} {
		if !strings.Contains(string(object), want) {
			t.Errorf("%s is not in\n%s", want, object)
		}
	}
}

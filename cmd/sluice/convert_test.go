package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/conf"
)

// update has the golden files written anew: go test ./cmd/sluice -run TestConvert -update
var update = flag.Bool("update", false, "write the golden files of testdata anew")

// TestConvert holds what comes of each file in testdata/convert: the configuration, and what is said besides.
func TestConvert(t *testing.T) {
	files, err := filepath.Glob("testdata/convert/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, notes, err := convert(filepath.Base(file), data)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".toml", text)
			golden(t, strings.TrimSuffix(file, ".yaml")+".notes", strings.Join(append(notes, ""), "\n"))
			c, err := conf.Parse("f", []byte(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.Cluster {
				if cl := &c.Cluster[i]; cl.Discovery != "patroni" || cl.Patroni.Port == 0 {
					t.Errorf("cluster %q: %+v", cl.Name, cl.Patroni)
				}
			}
		})
	}
}

// golden compares with what stands in a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s", file, got)
	}
}

// TestConvertMeans: what a file says is what the configuration says.
func TestConvertMeans(t *testing.T) {
	parse := func(name string) *conf.Config {
		text, err := os.ReadFile("testdata/convert/" + name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := conf.Parse(filepath.Join("/etc", name), text, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := parse("sample.toml")
	if len(c.Cluster) != 1 || len(c.Listener) != 2 || c.Admin.Listen != "127.0.0.1:8009" {
		t.Fatalf("%d clusters, %d listeners, admin at %s", len(c.Cluster), len(c.Listener), c.Admin.Listen)
	}
	p, l := c.Cluster[0].Patroni, c.Listener[1]
	if len(p.Hosts) != 3 || p.Interval.String() != "5s" || p.Port != 5432 || p.TLS.CA != "/etc/ssl/ca.pem" ||
		p.TLS.Cert != "/etc/ssl/client.pem" || p.TLS.Key != "/etc/ssl/client.key" || p.TLS.SkipVerify {
		t.Errorf("got %+v", p)
	}
	if l.Listen != "0.0.0.0:6433" || l.Mode != "proxy" || strings.Join(l.Roles, " ") != "sync async" || l.MaxLag != 16<<20 ||
		l.LagUnknown != "allow" || l.LagReturn != 100 || l.DrainTimeout != 0 {
		t.Errorf("got %+v", l)
	}
	if odd := parse("odd.toml"); len(odd.Cluster) != 4 || len(odd.Listener) != 5 || odd.Listener[1].Cluster != odd.Cluster[1].Name ||
		odd.Cluster[0].Patroni.Port != 5432 || odd.Cluster[1].Patroni.Port != 6432 {
		t.Errorf("got %+v", odd)
	}
}

// TestConvertProblems: nothing is written, and each problem has its place in the file.
func TestConvertProblems(t *testing.T) {
	const hosts = "clusters:\n  c:\n    hosts: [\"http://a\"]\n"
	const port = "    ports:\n      p:\n        listen: 127.0.0.1:1\n        roles: [leader]\n        host_port: 5432\n"
	tests := []struct{ name, file, want string }{
		{"empty", "", "f: is empty"},
		{"a comment", "# nothing", "f: is empty"},
		{"no YAML", "clusters: {}\na: b: c", "f:2: is no YAML: mapping values are not allowed in this context"},
		{"two documents", "clusters: {}\n---\nclusters: {}", "f: there is more than one document in it"},
		{"a list", "- clusters", "f:1: the file: is no table of keys and values"},
		{"no clusters", "\ncluster_update_interval: 3", "f:2: clusters is missing"},
		{"clusters of nothing", "clusters:\n", "f:1: clusters: is no table of keys and values"},
		{"no hosts, no ports", "clusters:\n  c: {}\n", "f:2: cluster \"c\": has no hosts\nf:2: cluster \"c\": has no ports"},
		{"hosts by name", "clusters:\n  c:\n    hosts: x\n" + port, "f:3: cluster \"c\": hosts: is no list\nf:2: cluster \"c\": has no hosts"},
		{"host of nothing", "clusters:\n  c:\n    hosts: [~]\n" + port, "f:3: cluster \"c\": hosts: is no string"},
		{"host without a scheme", "clusters:\n  c:\n    hosts:\n    - a:8008\n" + port, `f:4: cluster.patroni.hosts: "a:8008" does not begin with http:// or https://`},
		{"host with a path", "clusters:\n  c:\n    hosts:\n    - http://a/patroni\n" + port, `f:4: cluster.patroni.hosts: "http://a/patroni" holds more than scheme, host and port`},
		{"port without anything", hosts + "    ports: {p: {}}\n", "f:4: cluster \"c\": port \"p\": listen is missing\nf:4: cluster \"c\": port \"p\": host_port is missing\nf:4: cluster \"c\": port \"p\": has no roles"},
		{"roles", hosts + "    ports: {p: {listen: \"127.0.0.1:1\", host_port: 1, roles: [master, Leader]}}\n", `f:4: cluster "c": port "p": roles: "master" is not one of leader, sync, async, any`},
		{"port 0", hosts + "    ports: {p: {listen: \"127.0.0.1:1\", host_port: 0, roles: [any]}}\n", `f:4: cluster "c": port "p": host_port: 0 is not in 1 to 65535`},
		{"port of letters", hosts + "    ports: {p: {listen: \"127.0.0.1:1\", host_port: x, roles: [any]}}\n", "f:4: cluster \"c\": port \"p\": host_port: is no whole number from 0 up\n" + `f:4: cluster "c": port "p": host_port: 0 is not in 1 to 65535`},
		{"port with a 0 in front", hosts + "    ports: {p: {listen: \"127.0.0.1:1\", host_port: 05432, roles: [any]}}\n", "f:4: cluster \"c\": port \"p\": host_port: is no whole number from 0 up\n" + `f:4: cluster "c": port "p": host_port: 0 is not in 1 to 65535`},
		{"negative lag", hosts + port + "        max_lag_in_bytes: -1\n", `f:9: cluster "c": port "p": max_lag_in_bytes: is no whole number from 0 up`},
		{"lag with a unit", hosts + port + "        max_lag_in_bytes: 1MB\n", `f:9: cluster "c": port "p": max_lag_in_bytes: is no whole number from 0 up`},
		{"key twice", hosts + port + "        host_port: 1\n", `f:9: cluster "c": port "p": "host_port" is there twice`},
		{"key of a list", "clusters:\n  ? [a]\n  : {}\n", "f:2: clusters: a key is no word"},
		{"verify perhaps", hosts + "    tls: {skip_verify: perhaps}\n" + port, `f:4: cluster "c": tls: skip_verify: is neither true nor false`},
		{"host to listen on", hosts + "    ports:\n      p:\n        roles: [any]\n        host_port: 1\n        listen: db.example:1\n", `f:8: listener.listen: "db.example:1": "db.example" is not an IP address, nor localhost, nor empty for all addresses`},
		{"address twice", hosts + port + "      q:\n        listen: 0.0.0.0:1\n        roles: [leader]\n        host_port: 5432\n", `f:10: listener.listen: "0.0.0.0:1" is taken by listener "c-p", "127.0.0.1:1"`},
		{"no address of HTTP", "listen_address: here\nclusters: {}\n", `f:1: admin.listen: "here" has no port`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, _, err := convert("f", []byte(tt.file))
			if err == nil || err.Error() != tt.want || text != "" {
				t.Errorf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

// TestConvertCommand: where the configuration goes, and what does not pass.
func TestConvertCommand(t *testing.T) {
	want, err := os.ReadFile("testdata/convert/two.toml")
	if err != nil {
		t.Fatal(err)
	}
	if out, code := sluice(t, "convert", "testdata/convert/two.yaml"); code != 0 || out != string(want) {
		t.Errorf("code %d, %s", code, out)
	}
	path := filepath.Join(t.TempDir(), "sluice.toml")
	if out, code := sluice(t, "convert", "--from", "patroni_proxy", "testdata/convert/two.yaml", "-o", path); code != 0 || out != "" {
		t.Errorf("code %d, %s", code, out)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %s", err, got)
	}
	if out, code := sluice(t, "check", "--config", path); code != 0 {
		t.Errorf("check: code %d, %s", code, out)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("#"), convertMax+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"convert --from haproxy x.yaml", `--from "haproxy": Sluice reads the files of patroni_proxy`},
		{"convert missing.yaml", "no such file"},
		{"convert " + large, "is larger than 1MiB"},
		{"convert", "accepts 1 arg(s)"},
		{"convert testdata/convert/two.toml", "testdata/convert/two.toml:17: is no YAML: "},
	} {
		if out, code := sluice(t, strings.Fields(tt.args)...); code != 1 || !strings.Contains(out, tt.want) {
			t.Errorf("%s: code %d, %s", tt.args, code, out)
		}
	}
}

// FuzzConvert: whatever a file holds, it is told or it becomes a configuration that passes.
func FuzzConvert(f *testing.F) {
	files, _ := filepath.Glob("testdata/convert/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("clusters: &a {c: *a}"))
	f.Add([]byte("a: &a [*a]\nclusters: {? [] : x}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, _, err := convert("f", data)
		if err != nil {
			return
		}
		if _, err := conf.Parse("f", []byte(text), nil); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	})
}

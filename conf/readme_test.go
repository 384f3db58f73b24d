package conf

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// readme is what stands in the README between two marks.
func readme(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(text), "<!-- "+name+":begin -->")
	part, _, ends := strings.Cut(rest, "<!-- "+name+":end -->")
	if !begins || !ends {
		t.Fatalf("README.md: no part %q", name)
	}
	return part
}

// readmeFile is the configuration in a part of the README.
func readmeFile(t *testing.T, name string) *Config {
	t.Helper()
	_, text, _ := strings.Cut(readme(t, name), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	c, err := Parse(filepath.Join(t.TempDir(), "sluice.toml"), []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReadmePatroni: the file for a cluster that Patroni runs is a configuration.
func TestReadmePatroni(t *testing.T) {
	c := readmeFile(t, "patroni")
	if len(c.Cluster) != 1 || len(c.Cluster[0].Patroni.Hosts) != 3 || len(c.Listener) != 2 || c.Listener[0].ReadOwnWrites != "wait" {
		t.Errorf("got %+v", c)
	}
}

// TestReadmeTiDB: the file for a cluster that PD knows is a configuration.
func TestReadmeTiDB(t *testing.T) {
	c := readmeFile(t, "tidb")
	if len(c.Cluster) != 1 || len(c.Cluster[0].PD.Addrs) != 3 || c.Cluster[0].PD.Advertise == "" || len(c.Listener) != 1 {
		t.Errorf("got %+v", c)
	}
}

// TestReadmeExample: the file for those who come from PgBouncer is a configuration.
func TestReadmeExample(t *testing.T) {
	c := readmeFile(t, "pgbouncer")
	if len(c.Listener) != 1 || len(c.Listener[0].Database) != 2 || c.Listener[0].Auth.QueryUser == "" {
		t.Errorf("got %+v", c.Listener)
	}
}

// TestReadmeKeys: every key that the tables for those who come from elsewhere name is one.
func TestReadmeKeys(t *testing.T) {
	known := map[string]bool{}
	var collect func(path string, typ reflect.Type)
	collect = func(path string, typ reflect.Type) {
		for _, f := range fieldsOf(typ) {
			key := join(path, f.key)
			known[key] = true
			switch {
			case isTable(f.typ):
				collect(key, f.typ)
			case isTables(f.typ):
				collect(key, f.typ.Elem())
			}
		}
	}
	collect("", reflect.TypeFor[Config]())
	named := 0
	for row := range strings.Lines(readme(t, "pgbouncer-keys") + readme(t, "patroni-proxy-keys")) {
		columns := strings.Split(row, " | ")
		if len(columns) < 3 {
			continue
		}
		for _, key := range regexp.MustCompile("`[a-z0-9.-]+`").FindAllString(columns[1], -1) {
			if named++; !known[strings.Trim(key, "`")] {
				t.Errorf("there is no key %s", key)
			}
		}
	}
	if named < 60 {
		t.Errorf("the table names %d keys", named)
	}
}

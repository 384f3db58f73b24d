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

// TestReadmeExample: the file for those who come from PgBouncer is a configuration.
func TestReadmeExample(t *testing.T) {
	_, text, _ := strings.Cut(readme(t, "pgbouncer"), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	c, err := Parse(filepath.Join(t.TempDir(), "sluice.toml"), []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Listener) != 1 || len(c.Listener[0].Database) != 2 || c.Listener[0].Auth.QueryUser == "" {
		t.Errorf("got %+v", c.Listener)
	}
}

// TestReadmeKeys: every key that the table for those who come from PgBouncer names is one.
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
	for row := range strings.Lines(readme(t, "pgbouncer-keys")) {
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
	if named < 50 {
		t.Errorf("the table names %d keys", named)
	}
}

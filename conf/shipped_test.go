package conf

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestShippedIsDefault: the file as it comes says what holds without any file.
func TestShippedIsDefault(t *testing.T) {
	c, err := Parse("sluice.toml", Shipped, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(Default(), c); !d.Empty() {
		t.Errorf("differs from Default: %v", d)
	}
}

// examples is the shipped file with the comment signs taken from its examples. Comments inside of them
// keep one.
func examples() string {
	commented := regexp.MustCompile(`^# (\[|\]|[a-z0-9-]+ = |#|  )`)
	head, rest, _ := strings.Cut(string(Shipped), "\n# [[cluster]]\n")
	lines := strings.Split("# [[cluster]]\n"+rest, "\n")
	for i, line := range lines {
		if commented.MatchString(line) {
			lines[i] = line[len("# "):]
		}
	}
	return head + "\n" + strings.Join(lines, "\n")
}

// TestShippedExamples: the examples are valid, show every key, and show each with its default.
func TestShippedExamples(t *testing.T) {
	c, err := Parse("sluice.toml", []byte(examples()), nil)
	if err != nil {
		t.Fatal(err)
	}
	cl := DefaultCluster()
	cl.Name, cl.Protocol = c.Cluster[0].Name, "postgres"
	if keys := changedKeys(reflect.ValueOf(cl), reflect.ValueOf(c.Cluster[0])); keys != nil {
		t.Errorf("[[cluster]]: not the default: %v", keys)
	}
	cl.Name, cl.Discovery, cl.Patroni.Hosts = c.Cluster[1].Name, c.Cluster[1].Discovery, c.Cluster[1].Patroni.Hosts
	if keys := changedKeys(reflect.ValueOf(cl), reflect.ValueOf(c.Cluster[1])); keys != nil {
		t.Errorf("[[cluster]] with Patroni: not the default: %v", keys)
	}
	cl = DefaultCluster()
	cl.Name, cl.Protocol, cl.Discovery, cl.PD.Addrs = c.Cluster[2].Name, "mysql", "pd", c.Cluster[2].PD.Addrs
	if keys := changedKeys(reflect.ValueOf(cl), reflect.ValueOf(c.Cluster[2])); keys != nil {
		t.Errorf("[[cluster]] with PD: not the default: %v", keys)
	}
	l := DefaultListener()
	l.Name, l.Listen, l.Cluster = c.Listener[0].Name, c.Listener[0].Listen, c.Listener[0].Cluster
	l.Roles = defaultRoles("postgres")
	if keys := changedKeys(reflect.ValueOf(l), reflect.ValueOf(c.Listener[0])); keys != nil {
		t.Errorf("[[listener]]: not the default: %v", keys)
	}
	l.Name, l.Listen, l.Mode = c.Listener[1].Name, c.Listener[1].Listen, c.Listener[1].Mode
	keys := changedKeys(reflect.ValueOf(l), reflect.ValueOf(c.Listener[1]))
	if want := []string{"rule", "database", "warm"}; !slices.Equal(keys, want) {
		t.Errorf("[[listener]] that shares: not the default: %v, want %v", keys, want)
	}
	r := DefaultRule()
	r.User, r.Database, r.From = c.Listener[1].Rule[0].User, c.Listener[1].Rule[0].Database, c.Listener[1].Rule[0].From
	if keys := changedKeys(reflect.ValueOf(r), reflect.ValueOf(c.Listener[1].Rule[0])); keys != nil {
		t.Errorf("[[listener.rule]]: not the default: %v", keys)
	}
	d := DefaultDatabase()
	d.Name, d.PoolMin = c.Listener[1].Database[0].Name, c.Listener[1].Database[0].PoolMin
	if keys := changedKeys(reflect.ValueOf(d), reflect.ValueOf(c.Listener[1].Database[0])); keys != nil {
		t.Errorf("[[listener.database]]: not the default: %v", keys)
	}
	u := DefaultUser()
	u.Name = c.User[0].Name
	if keys := changedKeys(reflect.ValueOf(u), reflect.ValueOf(c.User[0])); keys != nil {
		t.Errorf("[[user]]: not the default: %v", keys)
	}
}

// TestShippedSaysEverything holds the comments of the shipped file to the tags of the fields: each key
// is there, and the text above or beside it has its range and its words.
func TestShippedSaysEverything(t *testing.T) {
	text := examples()
	at := map[string]position{}
	positions("sluice.toml", []byte(text), at)
	lines := strings.Split(text, "\n")

	var keys func(path string, typ reflect.Type)
	keys = func(path string, typ reflect.Type) {
		for _, f := range fieldsOf(typ) {
			key := join(path, f.key)
			switch f.tag.Get("only") {
			case "sharing":
				key = strings.Replace(key, "listener.0.", "listener.1.", 1)
			case "patroni":
				key = strings.Replace(key, "cluster.0.", "cluster.1.", 1)
			case "pd":
				key = strings.Replace(key, "cluster.0.", "cluster.2.", 1)
			case "status":
				key = strings.Replace(key, "cluster.0.", "cluster.3.", 1)
			}
			if isTable(f.typ) {
				keys(key, f.typ)
				continue
			}
			pos, there := at[key]
			if !there {
				t.Errorf("%s is not in the shipped file", key)
				continue
			}
			if isTables(f.typ) {
				keys(join(key, "0"), f.typ.Elem())
			}
			said := paragraph(lines, pos.line)
			rule := strings.TrimPrefix(f.tag.Get("range"), "0|")
			if !strings.Contains(said, rule) {
				t.Errorf("%s: its comment does not say %s", key, rule)
			}
			for word := range strings.FieldsSeq(f.tag.Get("oneof")) {
				if !strings.Contains(said, word) {
					t.Errorf("%s: its comment does not say %s", key, word)
				}
			}
		}
	}
	keys("", reflect.TypeFor[Config]())
}

// paragraph is the block of lines, without an empty one, around the line of that number.
func paragraph(lines []string, number int) string {
	empty := func(i int) bool { return i < 0 || i >= len(lines) || strings.Trim(lines[i], "# ") == "" }
	first, last := number-1, number-1
	for !empty(first - 1) {
		first--
	}
	for !empty(last + 1) {
		last++
	}
	return strings.Join(lines[first:last+1], "\n")
}

package conf

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fixed are the keys whose values are taken once, when the process starts: what they size or open
// then carries all sessions. A reload that changes them keeps the running values and says so.
var fixed = []string{
	"engine.loops",
	"engine.procs",
	"engine.lock-threads",
	"engine.reuse-port",
	"engine.read-buffer",
	"engine.high-water",
	"engine.low-water",
	"admin.listen",
	"log.format",
}

// Keep returns c with the running values of the keys that can't change while the process runs: the
// configuration that a reload really puts in force. It has to be checked again, as running values and
// new ones may not go together: an admin side that is open to other machines and has lost its password.
func (c *Config) Keep(running *Config) *Config {
	kept := *c
	for _, key := range fixed {
		section, name, _ := strings.Cut(key, ".")
		s, _ := fieldOf(reflect.TypeFor[Config](), section)
		f, _ := fieldOf(s.typ, name)
		old := valueOf(running).Field(s.index).Field(f.index)
		valueOf(&kept).Field(s.index).Field(f.index).Set(old)
	}
	return &kept
}

// Changes are the differences between two configurations, as a reload needs them.
type Changes struct {
	Settings  []string         // keys of [engine], [admin] and [log] that have a new value
	Fixed     []string         // those that can't change while the process runs
	Clusters  Diffs            // by name; not for a change in the backends alone
	Backends  map[string]Diffs // of clusters that are in both, by the cluster's name; by address
	Listeners Diffs            // by name
	Users     Diffs            // by name
	// Namespaces are by name; that their order is another one changes those that have moved.
	Namespaces Diffs
}

// Diffs says how a set of named things has changed. Each list is sorted.
type Diffs struct {
	Added   []string
	Removed []string
	Changed []Changed
}

// Changed is one thing that is in both configurations, with the keys that have a new value
// ("tls.cert").
type Changed struct {
	Name string
	Keys []string
}

// Empty tells that nothing differs.
func (d Diffs) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Empty tells that nothing differs.
func (c Changes) Empty() bool {
	return len(c.Settings)+len(c.Fixed)+len(c.Backends) == 0 && c.Clusters.Empty() &&
		c.Listeners.Empty() && c.Users.Empty() && c.Namespaces.Empty()
}

// Diff compares two configurations that have been checked. A cluster or listener with another name is
// another one; so is a backend with another address.
func Diff(old, new *Config) Changes {
	ch := Changes{Backends: map[string]Diffs{}}
	for _, section := range []string{"engine", "admin", "log"} {
		f, _ := fieldOf(reflect.TypeFor[Config](), section)
		keys := changedKeys(valueOf(old).Field(f.index), valueOf(new).Field(f.index))
		for _, key := range keys {
			if key = join(section, key); slices.Contains(fixed, key) {
				ch.Fixed = append(ch.Fixed, key)
			} else {
				ch.Settings = append(ch.Settings, key)
			}
		}
	}
	ch.Clusters = diff(old.Cluster, new.Cluster, func(c Cluster) string { return c.Name })
	ch.Listeners = diff(old.Listener, new.Listener, func(l Listener) string { return l.Name })
	ch.Users = diff(old.User, new.User, func(u User) string { return u.Name })
	ch.Namespaces = diffNamespaces(old.Namespace, new.Namespace)
	for _, was := range old.Cluster {
		for _, is := range new.Cluster {
			if was.Name != is.Name {
				continue
			}
			d := diff(was.Backends, is.Backends, func(b Backend) string { return b.Addr })
			if !d.Empty() {
				ch.Backends[was.Name] = d
			}
		}
	}
	return ch
}

// diff compares two lists of things whose names are unique in each.
func diff[T any](old, new []T, name func(T) string) Diffs {
	var d Diffs
	was := map[string]T{}
	for _, t := range old {
		was[name(t)] = t
	}
	for _, t := range new {
		o, both := was[name(t)]
		delete(was, name(t))
		if !both {
			d.Added = append(d.Added, name(t))
			continue
		}
		if keys := changedKeys(reflect.ValueOf(o), reflect.ValueOf(t)); len(keys) > 0 {
			d.Changed = append(d.Changed, Changed{Name: name(t), Keys: keys})
		}
	}
	d.Removed = slices.Sorted(maps.Keys(was))
	slices.Sort(d.Added)
	slices.SortFunc(d.Changed, func(a, b Changed) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// changedKeys lists the keys of a table whose values differ, those of the tables in it with a dot.
// Backends are left out: they are compared by address.
func changedKeys(old, new reflect.Value) []string {
	var keys []string
	for _, f := range fieldsOf(old.Type()) {
		o, n := old.Field(f.index), new.Field(f.index)
		switch {
		case f.typ == backendsType:
		case isTable(f.typ):
			for _, key := range changedKeys(o, n) {
				keys = append(keys, join(f.key, key))
			}
		case isTables(f.typ):
			if !sameTables(o, n) {
				keys = append(keys, f.key)
			}
		case o.Kind() == reflect.Slice && o.Len() == 0 && n.Len() == 0:
		case !reflect.DeepEqual(o.Interface(), n.Interface()):
			keys = append(keys, f.key)
		}
	}
	return keys
}

// sameTables tells whether two arrays of tables are equal, in their order too.
func sameTables(old, new reflect.Value) bool {
	if old.Len() != new.Len() {
		return false
	}
	for i := range old.Len() {
		if len(changedKeys(old.Index(i), new.Index(i))) > 0 {
			return false
		}
	}
	return true
}

// String returns the changes as one line for a log.
func (c Changes) String() string {
	if c.Empty() {
		return "nothing changed"
	}
	var parts []string
	say := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, ", "))
		}
	}
	say("settings changed:", c.Settings)
	say("kept until a restart:", c.Fixed)
	c.Clusters.say("clusters", say)
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		c.Backends[name].say(fmt.Sprintf("backends of %s", name), say)
	}
	c.Listeners.say("listeners", say)
	c.Users.say("users", say)
	c.Namespaces.say("namespaces", say)
	return strings.Join(parts, "; ")
}

func (d Diffs) say(what string, say func(what string, names []string)) {
	say(what+" added:", d.Added)
	say(what+" removed:", d.Removed)
	var changed []string
	for _, c := range d.Changed {
		changed = append(changed, c.Name+" ("+strings.Join(c.Keys, ", ")+")")
	}
	say(what+" changed:", changed)
}

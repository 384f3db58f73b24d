package conf

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// mode checks that a listener's mode and its other keys go together.
func (k *checker) mode(path string, l *Listener, c *Config, protocol string) {
	switch {
	case l.Mode == "proxy":
		k.proxyOnly(path, l)
	case !l.Shares():
		return // the word is wrong, which has been said
	case protocol != "postgres" && protocol != "":
		k.problem(join(path, "mode"), "mode %q is not available with protocol %q in this version", l.Mode, protocol)
	default:
		if len(c.User) == 0 && l.Auth.Userlist == "" && l.Auth.Query == "" {
			k.problem(path, "nobody could log in: there is no [[user]], no auth.userlist and no auth.query")
		}
		k.pools(path, l)
		k.reads(path, l, c)
		k.auth(join(path, "auth"), l)
		k.authRules(join(path, "rule"), l)
		k.databases(join(path, "database"), l)
		k.warm(join(path, "warm"), l)
		k.names(join(path, "session-functions"), l.SessionFunctions)
		k.names(join(path, "admin-users"), l.AdminUsers)
		k.names(join(path, "stats-users"), l.StatsUsers)
	}
}

// proxyOnly refuses what has no use where each client has a server connection of its own.
func (k *checker) proxyOnly(path string, l *Listener) {
	changed := changedKeys(reflect.ValueOf(DefaultListener()), reflect.ValueOf(*l))
	for _, key := range changed {
		first, _, _ := strings.Cut(key, ".")
		if f, _ := fieldOf(reflect.TypeFor[Listener](), first); f.tag.Get("only") == "sharing" {
			k.problem(join(path, key), `has no use with mode "proxy"`)
		}
	}
}

// pools checks the sizes and times of pools, and fills in the size of those of mode fifo.
func (k *checker) pools(path string, l *Listener) {
	if l.Mode == "fifo" {
		_, given := k.at[join(path, "pool-size")]
		if l.PoolSize == DefaultListener().PoolSize && !given {
			l.PoolSize = 1
		}
		if l.PoolSize != 1 {
			k.problem(join(path, "pool-size"), `%d is not 1: in mode "fifo" all clients of a pool share one server connection`, l.PoolSize)
		}
		if l.PoolReserve != 0 {
			k.problem(join(path, "pool-reserve"), `has no use with mode "fifo"`)
		}
	}
	if l.PoolMin > l.PoolSize {
		k.problem(join(path, "pool-min"), "%d is more than pool-size, %d", l.PoolMin, l.PoolSize)
	}
	if l.ServerRetryMin > l.ServerRetryMax {
		k.problem(join(path, "server-retry-min"), "%v is more than server-retry-max, %v", l.ServerRetryMin, l.ServerRetryMax)
	}
}

// auth checks how clients log in where no rule says otherwise.
func (k *checker) auth(path string, l *Listener) {
	a := &l.Auth
	k.method(join(path, "method"), a.Method, l)
	if len(l.Rule) == 0 && a.Method == "trust" && openToOthers(l) {
		k.problem(join(path, "method"), `"trust" lets in whoever can reach %q: name the networks by "from" of a [[listener.rule]]`, l.Listen)
	}
	asks := a.Query != ""
	switch {
	case asks && !strings.Contains(a.Query, "$1"):
		k.problem(join(path, "query"), "does not hold $1, which stands for the user's name")
	case asks && a.QueryUser == "":
		k.problem(join(path, "query-user"), "is missing: somebody has to ask the query")
	}
	for _, other := range []struct{ key, value string }{
		{"query-user", a.QueryUser}, {"query-password", string(a.QueryPassword)}, {"query-database", a.QueryDatabase},
	} {
		if !asks && other.value != "" {
			k.problem(join(path, other.key), "has no use without query")
		}
	}
}

// method checks that the listener has what a method needs.
func (k *checker) method(path, method string, l *Listener) {
	if method == "clear" && l.TLS.Mode == "disable" {
		k.problem(path, `"clear" is for connections with TLS: tls.mode is "disable"`)
	}
	if method == "cert" && (l.TLS.Mode == "disable" || l.TLS.CA == "") {
		k.problem(path, `"cert" needs TLS, and tls.ca to know whom to trust`)
	}
}

// openToOthers tells whether other machines can reach the listener.
func openToOthers(l *Listener) bool {
	at, err := parseAddr(l.Listen, false)
	return err == nil && !at.loopback()
}

func (k *checker) authRules(path string, l *Listener) {
	for i := range l.Rule {
		r, at := &l.Rule[i], join(path, strconv.Itoa(i))
		k.names(join(at, "user"), r.User)
		k.names(join(at, "database"), r.Database)
		method := r.Method
		if method == inherit {
			method = l.Auth.Method
		}
		k.method(join(at, "method"), method, l)
		if method == "clear" && r.TLS == "never" {
			k.problem(join(at, "method"), `"clear" is for connections with TLS: tls is "never"`)
		}
		if r.TLS == "only" && l.TLS.Mode == "disable" {
			k.problem(join(at, "tls"), `no connection has TLS: the listener's tls.mode is "disable"`)
		}
		if method == "trust" && len(r.From) == 0 && openToOthers(l) {
			k.problem(join(at, "method"), `"trust" lets in whoever can reach %q: name the networks by "from"`, l.Listen)
		}
	}
}

// virtual are the databases under which clients reach Sluice's own console.
var virtual = []string{"sluice", "pgbouncer"}

func (k *checker) databases(path string, l *Listener) {
	if len(l.Database) == 0 && !l.DatabasesAny {
		k.problem(path, "is missing: without databases-any a client can use those that are listed")
	}
	names := map[string]bool{}
	for i := range l.Database {
		d, at := &l.Database[i], join(path, strconv.Itoa(i))
		k.named(join(at, "name"), d.Name, names)
		if slices.Contains(virtual, d.Name) {
			k.problem(join(at, "name"), "%q is the name of Sluice's own console", d.Name)
		}
		if d.Password != "" && d.User == "" {
			k.problem(join(at, "user"), "is missing, as there is a password")
		}
		size, least := d.PoolSize, d.PoolMin
		if l.Mode == "fifo" && size > 1 {
			k.problem(join(at, "pool-size"), `%d is not 1: in mode "fifo" all clients of a pool share one server connection`, size)
		}
		if size == 0 {
			size = l.PoolSize
		}
		if least > size {
			k.problem(join(at, "pool-min"), "%d is more than pool-size, %d", least, size)
		}
		if l.Mode == "fifo" && d.PoolReserve != 0 {
			k.problem(join(at, "pool-reserve"), `has no use with mode "fifo"`)
		}
	}
}

// named refuses the empty name, and one that stands in names already.
func (k *checker) named(path, name string, names map[string]bool) {
	if name == "" {
		k.problem(path, "is missing")
	}
	k.unique(path, name, names)
}

// names refuses an empty name in a list.
func (k *checker) names(path string, list []string) {
	for i, name := range list {
		if name == "" {
			k.problem(join(path, strconv.Itoa(i)), "is empty")
		}
	}
}

// warm checks the pools that are opened at start: they need a name and something to open.
func (k *checker) warm(path string, l *Listener) {
	for i, w := range l.Warm {
		at := join(path, strconv.Itoa(i))
		if w.User == "" {
			k.problem(join(at, "user"), "is missing")
		}
		if w.Database == "" {
			k.problem(join(at, "database"), "is missing")
			continue
		}
		least := l.PoolMin
		n := slices.IndexFunc(l.Database, func(d Database) bool { return d.Name == w.Database })
		switch {
		case slices.Contains(virtual, w.Database):
			k.problem(join(at, "database"), "%q is the name of Sluice's own console", w.Database)
			continue
		case n >= 0 && l.Database[n].PoolMin > 0:
			least = l.Database[n].PoolMin
		case n < 0 && !l.DatabasesAny:
			k.problem(join(at, "database"), "there is no [[listener.database]] %q", w.Database)
			continue
		}
		if least == 0 {
			k.problem(at, "has no use while pool-min is 0")
		}
	}
}

package access

import (
	"cmp"
	"maps"
	"slices"

	"sluice/codec"
)

// User is somebody who may log in.
type User struct {
	Name   string
	Secret codec.Secret // zero: none is stored here
	Limits Limits
	// MaxConnections limits the user's clients, MaxServerConnections its server connections over all
	// pools; 0 = not said.
	MaxConnections, MaxServerConnections int
}

// Database is a database as clients see it.
type Database struct {
	Name   string
	Target string // its name at the servers; "" = Name
	// User, if it is not "", is who logs in at the servers for all clients of the database, with
	// Secret.
	User   string
	Secret codec.Secret
	Limits Limits // its time-outs are not used: they belong to users
	// MaxConnections limits its clients, MaxServerConnections its server connections over all pools;
	// 0 = not said.
	MaxConnections, MaxServerConnections int
}

// Options of a Table.
type Options struct {
	Method codec.AuthMethod // where there are no rules
	// Users are who may log in. Of several with one name the last counts.
	Users     []User
	Databases []Database
	Rules     []Rule
	// AnyDatabase lets clients name databases that are not in Databases.
	AnyDatabase bool
	// Ask says that a user without a stored secret may be asked for (Found.Ask).
	Ask bool
	// Admins and Stats are the users of the virtual databases: who may command, and who may look.
	Admins, Stats []string
	Limits        Limits // of all that have none of their own
	// MaxUserConnections limits the clients of each user, MaxDatabaseConnections those of each
	// database, where nothing else is said; 0 = no limit.
	MaxUserConnections, MaxDatabaseConnections int
	// One says that each pool has one server connection, whatever users and databases say.
	One bool
}

// Table is who may log in at one listener. It is not changed once made, so any goroutine may ask it.
type Table struct {
	opt       Options
	users     map[string]User
	databases map[string]Database
	usual     string // the form that most secrets have, see FormOf
	asked     string // the database in which users are asked for who name one that they can't use
}

// maintenance is a database that servers have, unless somebody has dropped it:
// https://www.postgresql.org/docs/current/manage-ag-templatedbs.html.
const maintenance = "postgres"

// New returns the table for opt, which is the table's from then on.
func New(opt Options) *Table {
	t := &Table{opt: opt, users: map[string]User{}, databases: map[string]Database{}, asked: maintenance}
	for _, u := range opt.Users {
		t.users[u.Name] = u
	}
	t.usual = usualForm(t.users)
	for _, d := range opt.Databases {
		d.Target = cmp.Or(d.Target, d.Name)
		if d.User != "" && d.Secret.Zero() {
			d.Secret = t.users[d.User].Secret
		}
		t.databases[d.Name] = d
	}
	if list := t.Databases(); len(list) > 0 {
		t.asked = list[0].Target
	}
	return t
}

// User returns what is configured for a user.
func (t *Table) User(name string) (User, bool) {
	u, ok := t.users[name]
	return u, ok
}

// Users returns the users by name.
func (t *Table) Users() []User {
	return slices.SortedFunc(maps.Values(t.users), func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
}

// Database returns what holds for a database; ok is false if clients may not use it. It knows nothing
// of the virtual ones.
func (t *Table) Database(name string) (d Database, ok bool) {
	if d, ok = t.databases[name]; !ok {
		return Database{Name: name, Target: name}, t.opt.AnyDatabase
	}
	return d, true
}

// Databases returns the databases that are configured, by name.
func (t *Table) Databases() []Database {
	return slices.SortedFunc(maps.Values(t.databases), func(a, b Database) int { return cmp.Compare(a.Name, b.Name) })
}

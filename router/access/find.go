package access

import (
	"cmp"
	"net/netip"
	"slices"

	"sluice/codec"
)

// Virtual are the names under which clients reach Sluice's own console: its own, and the one that
// tools made for PgBouncer look for.
var Virtual = []string{"sluice", "pgbouncer"}

// Query is what a client has said, and where it comes from.
type Query struct {
	User, Database string
	From           netip.Addr
	TLS            bool
	// Replication says that it asks for physical replication, which concerns no database.
	Replication bool
}

// Found is what holds for a client.
type Found struct {
	Account codec.Account
	// Ask says that nothing is stored here of the user's secret, but the servers may know it: ask them,
	// in their database AskIn, and call Answer.
	Ask   bool
	AskIn string
	// Console says that the database is a virtual one. Admin and Stats say what the user may do
	// there: command, or look.
	Console, Admin, Stats bool

	Database Database // by its name and its target, also if it is not configured
	User     User     // by its name, also if it is not configured
	// Limits are those that hold. PoolMin is at most PoolSize.
	Limits Limits
	// MaxUserConnections limits the clients of this user, MaxDatabaseConnections those of this
	// database; 0 = no limit.
	MaxUserConnections, MaxDatabaseConnections int

	open bool // the user may use the database
}

// Find tells what holds for a client.
func (t *Table) Find(q Query) Found {
	q.From = q.From.Unmap().WithZone("") // networks hold no addresses with a zone
	f := Found{Account: codec.Account{Method: t.method(&q)}}
	f.User, _ = t.User(q.User)
	f.User.Name = q.User
	f.find(t, &q)
	f.limit(t)
	if f.Account.Method == codec.AuthReject {
		return f
	}
	f.Account.Usual = t.usual
	if f.judge(f.User.Secret, t.has(q.User)) {
		return f
	}
	f.Ask, f.AskIn = t.opt.Ask, f.Database.Target
	if !f.open || f.Console {
		f.AskIn = t.asked
	}
	return f
}

// judge settles what becomes of somebody with that secret. It tells whether there is such a user, with a
// secret if one is needed.
func (f *Found) judge(s codec.Secret, there bool) bool {
	a := &f.Account
	proves := there && (!s.Zero() || a.Method == codec.AuthTrust || a.Method == codec.AuthCert)
	if proves {
		f.User.Secret = s
		a.Known, a.Secret = f.open, s
	}
	switch {
	case !there:
		a.Why = "there is no such user"
	case !proves:
		a.Why = "no secret of the user is stored"
	case !f.open && f.Console:
		a.Why = "the user is neither an admin user nor a stats user"
	case !f.open:
		a.Why = "there is no such database"
	default:
		a.Why = ""
	}
	return proves
}

func (t *Table) has(user string) bool {
	_, ok := t.users[user]
	return ok
}

// method is how that client has to prove who it is.
func (t *Table) method(q *Query) codec.AuthMethod {
	if len(t.opt.Rules) == 0 {
		return t.opt.Method
	}
	for i := range t.opt.Rules {
		if r := &t.opt.Rules[i]; r.fits(q) {
			return r.Method
		}
	}
	return codec.AuthReject
}

// find looks the database up.
func (f *Found) find(t *Table, q *Query) {
	if slices.Contains(Virtual, q.Database) && !q.Replication {
		f.Database = Database{Name: q.Database}
		f.Console = true
		f.Admin = slices.Contains(t.opt.Admins, q.User)
		f.Stats = f.Admin || slices.Contains(t.opt.Stats, q.User)
		f.open = f.Stats
		return
	}
	f.Database, f.open = t.Database(q.Database)
	f.open = f.open || q.Replication
}

// limit finds the limits that hold.
func (f *Found) limit(t *Table) {
	base := t.opt.Limits
	ofDatabase := f.Database.Limits
	ofDatabase.QueryTimeout, ofDatabase.TransactionTimeout, ofDatabase.TransactionIdleTimeout = 0, 0, 0
	f.Limits = f.User.Limits.over(ofDatabase.over(base))
	if t.opt.One {
		f.Limits.PoolSize, f.Limits.PoolReserve = 1, 0
	}
	f.Limits.PoolMin = min(f.Limits.PoolMin, f.Limits.PoolSize)
	f.MaxUserConnections = cmp.Or(f.User.MaxConnections, t.opt.MaxUserConnections)
	f.MaxDatabaseConnections = cmp.Or(f.Database.MaxConnections, t.opt.MaxDatabaseConnections)
}

// Answer takes what the servers said of the user. usual is the form of the secrets that they have told of
// others (FormOf); "" if that is not known.
func (f *Found) Answer(s codec.Secret, known bool, usual string) {
	f.Ask = false
	if f.Account.Method == codec.AuthReject {
		return
	}
	f.Account.Usual = cmp.Or(usual, f.Account.Usual)
	f.judge(s, known)
}

// Login returns who is to log in at the servers for this client, and with what. learned is what the
// client's proof has shown of its secret.
func (f *Found) Login(learned codec.Secret) (user string, s codec.Secret) {
	if f.Database.User != "" {
		return f.Database.User, f.Database.Secret
	}
	s = f.User.Secret
	s.Password = cmp.Or(s.Password, learned.Password)
	if len(learned.ClientKey) > 0 {
		s.ClientKey, s.ServerKey = learned.ClientKey, learned.ServerKey
	}
	return f.User.Name, s
}

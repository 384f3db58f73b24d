package access

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sluice/codec"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// query asks for user and database from an address, over TLS if secure.
func query(user, database, from string, secure bool) Query {
	return Query{User: user, Database: database, From: netip.MustParseAddr(from), TLS: secure}
}

// TestRules walks clients through rules of each kind.
func TestRules(t *testing.T) {
	table := New(Options{
		Method: codec.AuthClear, // of no use beside rules
		Users:  []User{{Name: "app", Secret: codec.Secret{Password: "x"}}, {Name: "root", Secret: codec.Secret{Password: "y"}}},
		Rules: []Rule{
			{Users: []string{"root"}, From: prefixes("127.0.0.0/8", "::1/128"), Method: codec.AuthTrust},
			{Users: []string{"root"}, Method: codec.AuthReject},
			{Databases: []string{"replication"}, From: prefixes("10.9.0.0/16"), Method: codec.AuthSCRAM},
			{Databases: []string{"sameuser"}, TLS: TLSNever, Method: codec.AuthMD5},
			{Users: []string{"all"}, Databases: []string{"shop", "stock"}, TLS: TLSOnly, Method: codec.AuthSecret},
			{Databases: []string{"all"}, From: prefixes("fe80::/10"), Method: codec.AuthCert},
		},
		AnyDatabase: true,
	})
	replica := query("app", "", "10.9.0.1", false)
	replica.Replication = true
	strangeReplica := query("app", "", "10.8.0.1", true)
	strangeReplica.Replication = true
	tests := []struct {
		name string
		q    Query
		want codec.AuthMethod
	}{
		{"root from here", query("root", "shop", "127.0.0.1", false), codec.AuthTrust},
		{"root from here, by IPv4 in IPv6", query("root", "shop", "::ffff:127.1.2.3", false), codec.AuthTrust},
		{"root from here, by IPv6", query("root", "shop", "::1", false), codec.AuthTrust},
		{"root from elsewhere", query("root", "shop", "10.0.0.1", true), codec.AuthReject},
		{"one's own database", query("app", "app", "10.0.0.1", false), codec.AuthMD5},
		{"one's own database over TLS", query("app", "app", "10.0.0.1", true), codec.AuthReject},
		{"a named database over TLS", query("app", "stock", "10.0.0.1", true), codec.AuthSecret},
		{"a named database without TLS", query("app", "stock", "10.0.0.1", false), codec.AuthReject},
		{"a stranger is asked for a secret too", query("nobody", "shop", "10.0.0.1", true), codec.AuthSecret},
		{"a link-local address with a zone", query("app", "shop", "fe80::1%eth0", false), codec.AuthCert},
		{"a database of the name of a word", query("app", "replication", "10.9.0.1", true), codec.AuthReject},
		{"replication", replica, codec.AuthSCRAM},
		{"replication from elsewhere, though a rule is for all", strangeReplica, codec.AuthReject},
	}
	for _, tt := range tests {
		if got := table.Find(tt.q).Account.Method; got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := New(Options{Method: codec.AuthMD5}).Find(replica).Account.Method; got != codec.AuthMD5 {
		t.Errorf("without rules: got %d, want the listener's", got)
	}
}

// TestKnown: what a client has to be known for, by method, and when the servers are to be asked.
func TestKnown(t *testing.T) {
	password := codec.Secret{Password: "x"}
	table := func(method codec.AuthMethod, ask bool) *Table {
		return New(Options{Method: method, Ask: ask, Databases: []Database{{Name: "shop"}},
			Users: []User{{Name: "app", Secret: password}, {Name: "bare"}}})
	}
	tests := []struct {
		method         codec.AuthMethod
		user, database string
		known, ask     bool // ask: where it can be asked
	}{
		{codec.AuthSecret, "app", "shop", true, false},
		{codec.AuthSecret, "bare", "shop", false, true},
		{codec.AuthSecret, "nobody", "shop", false, true},
		{codec.AuthSecret, "app", "nowhere", false, false},
		{codec.AuthSecret, "nobody", "nowhere", false, true},
		{codec.AuthTrust, "app", "shop", true, false},
		{codec.AuthTrust, "bare", "shop", true, false},
		{codec.AuthTrust, "nobody", "shop", false, true},
		{codec.AuthTrust, "bare", "nowhere", false, false},
		{codec.AuthTrust, "nobody", "nowhere", false, true},
		{codec.AuthCert, "bare", "shop", true, false},
		{codec.AuthReject, "app", "shop", false, false},
		{codec.AuthReject, "nobody", "shop", false, false},
	}
	for _, tt := range tests {
		for _, ask := range []bool{false, true} {
			f := table(tt.method, ask).Find(query(tt.user, tt.database, "10.0.0.1", true))
			where := fmt.Sprintf("method %d, user %s, database %s", tt.method, tt.user, tt.database)
			if f.Account.Known != tt.known || f.Ask != (tt.ask && ask) {
				t.Errorf("%s: known %v, ask %v", where, f.Account.Known, f.Ask)
			}
			// The secret of a user is the same whatever the database: its dialogue shows the salt.
			if (f.Account.Secret.Password != "") != (tt.method != codec.AuthReject && tt.user == "app") {
				t.Errorf("%s: the account has the secret %q", where, f.Account.Secret.Password)
			}
			if f.User.Name != tt.user || f.Database.Name != tt.database {
				t.Errorf("%s: names are %q and %q", where, f.User.Name, f.Database.Name)
			}
		}
	}
}

// TestAnswer: what the servers say of a user.
func TestAnswer(t *testing.T) {
	table := New(Options{Method: codec.AuthSecret, Ask: true, AnyDatabase: true})
	q := query("app", "shop", "10.0.0.1", true)
	verifier := SecretOf("md50123456789abcdef0123456789abcdef")
	for _, tt := range []struct {
		name   string
		secret codec.Secret
		known  bool
		want   bool
	}{
		{"known", verifier, true, true},
		{"unknown", codec.Secret{}, false, false},
		{"known, but without a secret", codec.Secret{}, true, false},
	} {
		f := table.Find(q)
		f.Answer(tt.secret, tt.known, "")
		if f.Ask || f.Account.Known != tt.want || (f.Account.Secret.Verifier != "") != tt.want {
			t.Errorf("%s: got %+v", tt.name, f.Account)
		}
		if user, s := f.Login(codec.Secret{Password: "x"}); tt.want && (user != "app" || s.Verifier == "" || s.Password != "x") {
			t.Errorf("%s: logs in as %q with %+v", tt.name, user, s)
		}
	}
	rejected := New(Options{Method: codec.AuthReject, Ask: true, AnyDatabase: true}).Find(q)
	rejected.Answer(verifier, true, "")
	if rejected.Account.Method != codec.AuthReject {
		t.Error("an answer lets a rejected client in")
	}
	listed := New(Options{Method: codec.AuthSecret, Ask: true, Databases: []Database{{Name: "shop"}}}).Find(query("app", "nowhere", "10.0.0.1", true))
	if listed.Answer(verifier, true, ""); listed.Account.Known || listed.Account.Secret.Verifier == "" {
		t.Errorf("a user that the servers know, at a database that there is not: %+v", listed.Account)
	}
}

// TestWhereToAsk: never in a database that clients may not use, though strangers be asked for there as well.
func TestWhereToAsk(t *testing.T) {
	for _, tt := range []struct {
		databases []Database
		database  string
		want      string
	}{
		{nil, "shop", "shop"},
		{nil, "pgbouncer", "postgres"},
		{[]Database{{Name: "z"}, {Name: "b", Target: "real"}}, "z", "z"},
		{[]Database{{Name: "z"}, {Name: "b", Target: "real"}}, "shop", "real"},
		{[]Database{{Name: "z"}, {Name: "b", Target: "real"}}, "sluice", "real"},
	} {
		table := New(Options{Method: codec.AuthSecret, Ask: true, AnyDatabase: tt.databases == nil,
			Databases: tt.databases, Admins: []string{"app"}})
		if f := table.Find(query("app", tt.database, "10.0.0.1", true)); !f.Ask || f.AskIn != tt.want {
			t.Errorf("%s with %v: ask %v in %q, want %q", tt.database, tt.databases, f.Ask, f.AskIn, tt.want)
		}
	}
}

// TestWhy: what the log says of who is not let in.
func TestWhy(t *testing.T) {
	table := func(ask bool) *Table {
		return New(Options{Method: codec.AuthSecret, Ask: ask, Databases: []Database{{Name: "shop"}},
			Users: []User{{Name: "app", Secret: codec.Secret{Password: "x"}}, {Name: "bare"}}, Stats: []string{"far"}})
	}
	for _, tt := range []struct{ user, database, want string }{
		{"app", "shop", ""},
		{"bare", "shop", "no secret of the user is stored"},
		{"nobody", "shop", "there is no such user"},
		{"app", "nowhere", "there is no such database"},
		{"app", "pgbouncer", "the user is neither an admin user nor a stats user"},
	} {
		if f := table(false).Find(query(tt.user, tt.database, "10.0.0.1", true)); f.Account.Why != tt.want || f.Account.Known != (tt.want == "") {
			t.Errorf("%s at %s: %+v", tt.user, tt.database, f.Account)
		}
	}
	for _, tt := range []struct {
		database string
		secret   codec.Secret
		known    bool
		want     string
	}{
		{"shop", codec.Secret{Password: "x"}, true, ""},
		{"shop", codec.Secret{}, true, "no secret of the user is stored"},
		{"shop", codec.Secret{}, false, "there is no such user"},
		{"nowhere", codec.Secret{Password: "x"}, true, "there is no such database"},
	} {
		f := table(true).Find(query("bare", tt.database, "10.0.0.1", true))
		f.Answer(tt.secret, tt.known, "")
		if f.Account.Why != tt.want || f.Account.Known != (tt.want == "") {
			t.Errorf("asked, at %s: %+v", tt.database, f.Account)
		}
	}
}

// TestUsual: the form that most secrets have, or that those have which the servers tell.
func TestUsual(t *testing.T) {
	const scram, more, md5 = "SCRAM-SHA-256$4096:c2FsdA==$A:B", "SCRAM-SHA-256$10000:c2FsdA==$A:B", "md50123456789abcdef0123456789abcdef"
	for _, tt := range []struct {
		secrets []string
		told    string // by the servers
		want    string
	}{
		{nil, "", ""},
		{[]string{""}, "", ""},
		{[]string{"password", "password", md5}, "", ""},
		{[]string{md5, md5, "password"}, "", "md5"},
		{[]string{more, scram, more, md5}, "", "SCRAM-SHA-256$10000"},
		{[]string{more, ""}, "", "SCRAM-SHA-256$10000"},
		{[]string{more}, "md5", "md5"},
	} {
		var users []User
		for i, s := range tt.secrets {
			users = append(users, User{Name: fmt.Sprint(i), Secret: SecretOf(s)})
		}
		f := New(Options{Method: codec.AuthSecret, Users: users, AnyDatabase: true, Ask: true}).Find(query("x", "y", "10.0.0.1", true))
		f.Answer(codec.Secret{}, false, tt.told)
		if f.Account.Usual != tt.want {
			t.Errorf("%v, told %q: got %q, want %q", tt.secrets, tt.told, f.Account.Usual, tt.want)
		}
	}
}

// TestDatabases: virtual names, real ones, and who logs in there.
func TestDatabases(t *testing.T) {
	table := New(Options{
		Method: codec.AuthSecret,
		Users: []User{{Name: "app", Secret: codec.Secret{Password: "a"}},
			{Name: "owner", Secret: codec.Secret{Verifier: "md50123456789abcdef0123456789abcdef"}}},
		Databases: []Database{
			{Name: "plain"},
			{Name: "alias", Target: "real"},
			{Name: "forced", User: "other", Secret: codec.Secret{Password: "o"}},
			{Name: "owned", User: "owner"},
		},
	})
	keys := codec.Secret{ClientKey: []byte("c"), ServerKey: []byte("s")}
	for _, tt := range []struct{ database, target, user, password, verifier string }{
		{"plain", "plain", "app", "a", ""},
		{"alias", "real", "app", "a", ""},
		{"forced", "forced", "other", "o", ""},
		{"owned", "owned", "owner", "", "md50123456789abcdef0123456789abcdef"},
	} {
		f := table.Find(query("app", tt.database, "10.0.0.1", false))
		user, s := f.Login(keys)
		if !f.Account.Known || f.Database.Target != tt.target || user != tt.user || s.Password != tt.password || s.Verifier != tt.verifier {
			t.Errorf("%s: target %q, user %q, secret %+v", tt.database, f.Database.Target, user, s)
		}
		if theirs := f.Database.User == ""; theirs != (len(s.ClientKey) > 0) {
			t.Errorf("%s: the keys that the client has shown are used for another user, or not at all", tt.database)
		}
	}
	if f := table.Find(query("app", "else", "10.0.0.1", false)); f.Account.Known || f.Database.Target != "else" {
		t.Errorf("a database that is not listed: %+v", f)
	}
	if got := len(table.Databases()); got != 4 {
		t.Errorf("%d databases", got)
	}
	if users := table.Users(); len(users) != 2 || users[0].Name != "app" {
		t.Errorf("users: %+v", users)
	}
}

// TestConsole: the virtual databases are for those who are named, and look like any other to the rest.
func TestConsole(t *testing.T) {
	secret := codec.Secret{Password: "x"}
	table := New(Options{Method: codec.AuthSecret, AnyDatabase: true, Ask: true,
		Users:  []User{{Name: "boss", Secret: secret}, {Name: "watch", Secret: secret}, {Name: "app", Secret: secret}},
		Admins: []string{"boss", "far"}, Stats: []string{"watch"}})
	for _, tt := range []struct {
		user                     string
		known, ask, admin, stats bool
	}{
		{"boss", true, false, true, true},
		{"watch", true, false, false, true},
		{"far", false, true, true, true},
		{"app", false, false, false, false},
		{"nobody", false, true, false, false},
	} {
		for _, database := range Virtual {
			f := table.Find(query(tt.user, database, "127.0.0.1", false))
			if f.Account.Known != tt.known || f.Ask != tt.ask || f.Admin != tt.admin || f.Stats != tt.stats || !f.Console {
				t.Errorf("%s: %+v", tt.user, f)
			}
		}
	}
	if f := table.Find(query("app", "other", "127.0.0.1", false)); f.Console || f.Admin || f.Stats {
		t.Errorf("an ordinary database: %+v", f)
	}
}

// TestLimits: the user's go before the database's, those before the listener's.
func TestLimits(t *testing.T) {
	opt := Options{
		AnyDatabase: true,
		Limits: Limits{Unit: UnitTransaction, PoolSize: 20, PoolMin: 4, PoolReserve: 3,
			QueryTimeout: time.Second, TransactionTimeout: time.Minute, TransactionIdleTimeout: time.Hour},
		MaxUserConnections: 100, MaxDatabaseConnections: 200,
		Users: []User{{Name: "u", Limits: Limits{Unit: UnitSession, PoolSize: 2, QueryTimeout: 5}, MaxConnections: 7}},
		Databases: []Database{{Name: "d", Limits: Limits{Unit: UnitStatement, PoolSize: 10, PoolMin: 9, PoolReserve: 1,
			QueryTimeout: 99}, MaxConnections: 8}},
	}
	base := opt.Limits
	with := func(change func(*Limits)) Limits { l := base; change(&l); return l }
	tests := []struct {
		user, database string
		want           Limits
		clients, in    int
	}{
		{"x", "x", base, 100, 200},
		{"u", "x", with(func(l *Limits) { l.Unit, l.PoolSize, l.PoolMin, l.QueryTimeout = UnitSession, 2, 2, 5 }), 7, 200},
		{"x", "d", with(func(l *Limits) { l.Unit, l.PoolSize, l.PoolMin, l.PoolReserve = UnitStatement, 10, 9, 1 }), 100, 8},
		{"u", "d", with(func(l *Limits) {
			l.Unit, l.PoolSize, l.PoolMin, l.PoolReserve, l.QueryTimeout = UnitSession, 2, 2, 1, 5
		}), 7, 8},
	}
	for _, tt := range tests {
		f := New(opt).Find(query(tt.user, tt.database, "10.0.0.1", false))
		if f.Limits != tt.want || f.MaxUserConnections != tt.clients || f.MaxDatabaseConnections != tt.in {
			t.Errorf("%s at %s: got %+v %d %d, want %+v", tt.user, tt.database, f.Limits,
				f.MaxUserConnections, f.MaxDatabaseConnections, tt.want)
		}
	}
	opt.One = true
	if l := New(opt).Find(query("u", "d", "10.0.0.1", false)).Limits; l.PoolSize != 1 || l.PoolMin != 1 || l.PoolReserve != 0 {
		t.Errorf("a pool of one: %+v", l)
	}
}

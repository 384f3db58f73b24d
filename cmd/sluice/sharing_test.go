package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/conf"
	"sluice/engine/session"
	"sluice/router"
	"sluice/router/access"
)

// unusual is a configuration in which each key of a listener that shares has a value of its own.
const unusual = `
[[cluster]]
name = "pg"
protocol = "postgres"
backends = [{addr = "10.0.0.1:5432"}]
max-server-connections = 77
[[listener]]
name = "pool"
listen = "127.0.0.1:6432"
cluster = "pg"
mode = "funnel"
unit = "statement"
pool-size = 11
pool-min = 2
pool-reserve = 3
pool-reserve-after = "4s"
pool-wait-timeout = "5s"
pool-wait-notify = "6s"
pool-connects = 7
pool-round-robin = true
server-idle-timeout = "8s"
server-lifetime = "9s"
server-check-after = "10s"
server-check-query = "select 1"
server-reset-query = "reset all"
server-retry-min = "11ms"
server-retry-max = "12ms"
prepared-max = 13
statement-max = "14KiB"
session-functions = ["f"]
query-timeout = "15s"
transaction-timeout = "16s"
transaction-idle-timeout = "17s"
abandon-timeout = "18s"
cancel-timeout = "19s"
on-server-loss = "error"
read-only-roles = ["Sync", "quorum"]
read-own-writes = "wait"
read-wait = "33s"
max-user-connections = 20
max-database-connections = 21
databases-any = true
admin-users = ["boss"]
stats-users = ["watch"]
[listener.auth]
method = "md5"
userlist = "users.txt"
query = "select $1"
query-user = "asker"
query-password = "secret"
query-database = "auth"
query-cache = "22s"
query-cache-failed = "23s"
[[listener.rule]]
user = ["boss"]
from = ["10.0.0.0/8"]
method = "trust"
[[listener.rule]]
tls = "any"
[[listener.database]]
name = "shop"
target = "real"
user = "owner"
password = "owned"
pool-size = 24
pool-min = 5
pool-reserve = 6
max-server-connections = 25
max-connections = 26
unit = "session"
[[listener.warm]]
database = "shop"
user = "app"
[[user]]
name = "app"
password = "app's"
pool-size = 27
max-connections = 28
max-server-connections = 29
unit = "transaction"
query-timeout = "30s"
transaction-timeout = "31s"
transaction-idle-timeout = "32s"
[[user]]
name = "hash"
verifier = "md50123456789abcdef0123456789abcdef"
`

// load reads a configuration, beside a user list with that text.
func load(t *testing.T, text, users string) *conf.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.txt"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Parse(filepath.Join(dir, "sluice.toml"), []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSharing: nothing of what is configured is lost on the way to the sessions.
func TestSharing(t *testing.T) {
	setup, err := setupOf(load(t, unusual, "\"app\" \"of the list\"\n\"listed\" \"x\"\n"), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if got := setup.Clusters[0].MaxServerConnections; got != 77 {
		t.Errorf("server connections of a backend: %d", got)
	}
	sh := setup.Frontends[0].Sharing
	for _, v := range []any{*sh, sh.Pool, sh.Ask} {
		value := reflect.ValueOf(v)
		for i := range value.NumField() {
			field := value.Type().Field(i)
			if field.IsExported() && value.Field(i).IsZero() && field.Name != "Verifier" { // a password goes before it
				t.Errorf("%s.%s is not set", value.Type(), field.Name)
			}
		}
	}
	if sh.Pool.Size != 11 || sh.Pool.Lifetime != 9*time.Second || sh.StatementMax != 14<<10 || sh.Ask.CacheFailed != 23*time.Second {
		t.Errorf("got %+v", sh)
	}

	if want := router.Roles(0).With(router.Sync).With(router.Quorum); sh.ReadRoles != want || sh.OwnWrites != session.OwnWritesWait || sh.ReadWait != 33*time.Second {
		t.Errorf("got %+v", sh)
	}

	find := func(user, database, from string) access.Found {
		return sh.Access.Find(access.Query{User: user, Database: database, From: netip.MustParseAddr(from)})
	}
	app := find("app", "shop", "10.0.0.1")
	if app.Account.Method != codec.AuthMD5 || app.Account.Secret.Password != "app's" || app.Database.Target != "real" {
		t.Errorf("app: %+v", app)
	}
	want := access.Limits{Unit: access.UnitTransaction, PoolSize: 27, PoolMin: 5, PoolReserve: 6,
		QueryTimeout: 30 * time.Second, TransactionTimeout: 31 * time.Second, TransactionIdleTimeout: 32 * time.Second}
	if app.Limits != want || app.MaxUserConnections != 28 || app.MaxDatabaseConnections != 26 {
		t.Errorf("app: %+v", app)
	}
	if app.User.MaxServerConnections != 29 || app.Database.MaxServerConnections != 25 {
		t.Errorf("app: %+v", app)
	}
	if user, secret := app.Login(codec.Secret{}); user != "owner" || secret.Password != "owned" {
		t.Errorf("app logs in as %s with %+v", user, secret)
	}
	if f := find("hash", "x", "1.1.1.1"); !f.Account.Known || f.Account.Secret.Verifier == "" || f.Limits.Unit != access.UnitStatement {
		t.Errorf("hash: %+v", f)
	}
	if f := find("listed", "x", "1.1.1.1"); f.Account.Secret.Password != "x" {
		t.Errorf("listed: %+v", f)
	}
	if f := find("nobody", "x", "1.1.1.1"); f.Account.Known || !f.Ask {
		t.Errorf("nobody: %+v", f)
	}
	if f := find("boss", "pgbouncer", "10.1.1.1"); f.Account.Method != codec.AuthTrust || !f.Admin {
		t.Errorf("boss: %+v", f)
	}
	if f := find("watch", "sluice", "10.1.1.1"); f.Admin || !f.Stats {
		t.Errorf("watch: %+v", f)
	}
}

// TestWhoAsks: without a password beside the query, who asks for secrets has the one of the user.
func TestWhoAsks(t *testing.T) {
	const hash = "md50123456789abcdef0123456789abcdef"
	const file = "[[cluster]]\nname = \"pg\"\nprotocol = \"postgres\"\nbackends = [{addr = \"a:1\"}]\n" +
		"[[listener]]\nname = \"l\"\nlisten = \"127.0.0.1:1\"\ncluster = \"pg\"\nmode = \"funnel\"\n" +
		"[listener.auth]\nuserlist = \"users.txt\"\nquery = \"select $1\"\nquery-user = \"asker\"\n"
	for _, c := range []struct{ more, list, password, verifier string }{
		{"", `"asker" "listed"`, "listed", ""},
		{"", `"asker" "` + hash + `"`, "", hash},
		{"query-password = \"own\"\n", `"asker" "` + hash + `"`, "own", ""},
		{"", `"other" "listed"`, "", ""},
		{"[[user]]\nname = \"asker\"\npassword = \"configured\"\n", `"asker" "listed"`, "configured", ""},
	} {
		setup, err := setupOf(load(t, file+c.more, c.list+"\n"), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if ask := setup.Frontends[0].Sharing.Ask; ask.Password != c.password || ask.Verifier != c.verifier {
			t.Errorf("%q, %s: asks with %+v", c.more, c.list, ask)
		}
	}
}

// TestSharingModes: the mode says who shares, and how many a pool has.
func TestSharingModes(t *testing.T) {
	const file = "[[cluster]]\nname = \"pg\"\nprotocol = \"postgres\"\nbackends = [{addr = \"a:1\"}]\n" +
		"[[listener]]\nname = \"l\"\nlisten = \"127.0.0.1:1\"\ncluster = \"pg\"\n"
	setup, err := setupOf(load(t, file, ""), zap.NewNop())
	if err != nil || setup.Frontends[0].Sharing != nil {
		t.Errorf("proxy: %+v, %v", setup.Frontends[0].Sharing, err)
	}
	setup, err = setupOf(load(t, file+"mode = \"fifo\"\ndatabases-any = false\nauth.userlist = \"users.txt\"\ndatabase = [{name = \"d\"}]\n", `"app" ""`), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	sh := setup.Frontends[0].Sharing
	if sh.Pool.Size != 1 {
		t.Errorf("fifo: %+v", sh)
	}
	f := sh.Access.Find(access.Query{User: "app", Database: "other"})
	if f.Limits.PoolSize != 1 || f.Account.Known || f.Ask {
		t.Errorf("fifo: %+v", f)
	}
}

// TestUserlistProblems: a user list that can't be read is told with its name and line.
func TestUserlistProblems(t *testing.T) {
	c := load(t, unusual, "\"a\" \"b\"\nc d\n")
	_, err := setupOf(c, zap.NewNop())
	const want = "users.txt: line 2: the name does not stand in double quotes"
	if err == nil || !strings.Contains(err.Error(), `listener "pool": auth.userlist: `) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	// What begins as a verifier does, and is none, would be a user that can never log in.
	const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, secret := range []string{"SCRAM-SHA-256$4096:c2FsdA==$AAAA=:BBBB=", "SCRAM-SHA-256$2000000:c2FsdA==$" + key + ":" + key} {
		_, err := setupOf(load(t, unusual, "\"a\" \""+secret+"\"\n"), zap.NewNop())
		if err == nil || !strings.Contains(err.Error(), `listener "pool": user "a": the verifier is neither`) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", secret, err)
		}
	}
	if _, err := setupOf(load(t, unusual, "\"a\" \"SCRAM-SHA-256$4096:c2FsdA==$"+key+":"+key+"\"\n"), zap.NewNop()); err != nil {
		t.Errorf("a good verifier: %v", err)
	}
	if err := os.Remove(c.Listener[0].Auth.Userlist); err != nil {
		t.Fatal(err)
	}
	if _, err := setupOf(c, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
	if err := c.CheckFiles(); err == nil || !strings.Contains(err.Error(), "listener.auth.userlist: ") {
		t.Errorf("CheckFiles: got %v", err)
	}
}

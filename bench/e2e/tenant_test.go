package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// namespace is a [[namespace]] section.
func namespace(name, cluster string, more ...string) string {
	return section("[[namespace]]", append([]string{fmt.Sprintf("name = %q", name), fmt.Sprintf("cluster = %q", cluster)}, more...)...)
}

// twoPG are the clusters "one" and "two" with a PostgreSQL server each.
func twoPG(t *testing.T, more ...string) string {
	t.Helper()
	return cluster("one", "postgres", []string{postgres(t, 0).Addr}, more...) + cluster("two", "postgres", []string{postgres(t, 1).Addr}, more...)
}

// twoMaria are the clusters "one" and "two" with a MariaDB server each.
func twoMaria(t *testing.T, more ...string) string {
	t.Helper()
	return cluster("one", "mysql", []string{mariadb(t, 0).Addr}, more...) + cluster("two", "mysql", []string{mariadb(t, 1).Addr}, more...)
}

// pgFrom connects as user from an address of this machine's.
func pgFrom(from, addr, user string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	c, err := pgx.ParseConfig(funnelDSN(addr, user, ""))
	if err != nil {
		return nil, err
	}
	c.DialFunc = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
	return pgx.ConnectConfig(ctx, c)
}

// wantPGAt holds that a user who comes from there is led to server number want.
func wantPGAt(t *testing.T, from, addr, user string, want int) {
	t.Helper()
	c, err := pgFrom(from, addr, user)
	if err != nil {
		t.Errorf("%s from %s at %s: %v", user, from, addr, err)
		return
	}
	defer c.Close(context.Background())
	if got, port := one[int](t, c, "select inet_server_port()"), real.Port(postgres(t, want).Addr); got != port {
		t.Errorf("%s from %s at %s was led to port %d, want %d", user, from, addr, got, port)
	}
}

// whoIs logs a user in, by a DSN's options, and returns the port of the server and who it says that the user is.
func whoIs(t *testing.T, addr, user, password, options string) (port int, who string, err error) {
	t.Helper()
	registerTLS(t)
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/app?timeout=90s&allowCleartextPasswords=true&%s", user, password, addr, options))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = unlessMalformed(func() error {
		return db.QueryRowContext(within(t, soon), "select @@port, current_user()").Scan(&port, &who)
	})
	return port, who, err
}

// rootMaria is a connection of root's to MariaDB server i.
func rootMaria(t *testing.T, i int) *sql.Conn {
	t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/", mariadb(t, i).Addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return single(t, db)
}

// TestTenantsByUser leads users of two MariaDB servers by their names, with each plugin, in TLS and without; what is
// wrong about a login is told in the words of the server where the user is led.
func TestTenantsByUser(t *testing.T) {
	for i := range 2 {
		admin := rootMaria(t, i)
		for _, q := range []string{
			"create or replace user shop_native@'127.%' identified via mysql_native_password using password('" + real.Password + "')",
			"create or replace user shop_ed@'127.%' identified via ed25519 using password('" + real.Password + "')",
			"create or replace user shop_tls@'127.%' identified via mysql_native_password using password('" + real.Password + "') require ssl",
			"create or replace user shop_none@'127.%'",
			fmt.Sprintf("create or replace user shop_other@'127.%%' identified via mysql_native_password using password('of server %d')", i),
			"grant all on app.* to shop_native@'127.%'", "grant all on app.* to shop_ed@'127.%'", "grant all on app.* to shop_tls@'127.%'",
			"grant all on app.* to shop_none@'127.%'", "grant all on app.* to shop_other@'127.%'",
		} {
			mustMySQL(t, admin, q)
		}
	}
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), twoMaria(t, tlsCA("cluster", "prefer"))+
		listener("in", addr, "one", tlsTable("listener", "prefer", stage.cert))+namespace("shop", "two", `users = ["shop_*", "ed"]`))
	await(t, s, 2, "sluice_backend_up")
	direct := [2]string{mariadb(t, 0).Addr, mariadb(t, 1).Addr}
	for _, tt := range []struct {
		user, password string
		at             int
	}{
		{"app", real.Password, 0}, {"tls", real.Password, 0}, {"ed", real.Password, 1},
		{"shop_native", real.Password, 1}, {"shop_ed", real.Password, 1}, {"shop_tls", real.Password, 1}, {"shop_none", "", 1},
		{"shop_other", "of server 1", 1}, {"shop_other", "of server 0", 1}, // only the first of them is right
		{"app", "wrong", 0}, {"app", "", 0}, {"shop_native", "wrong", 1}, {"shop_native", "", 1}, {"shop_ed", "wrong", 1},
		{"nobody", "x", 0}, {"nobody", "", 0}, {"shop_nobody", "x", 1}, {"shop_nobody", "", 1}, {"", "", 0},
	} {
		for _, options := range []string{"", "tls=ours", "compress=true"} {
			same := options
			if strings.HasSuffix(tt.user, "tls") {
				same = "tls=ours" // which Sluice has with the server in any case
			}
			wantPort, wantWho, wantErr := whoIs(t, direct[tt.at], tt.user, tt.password, same)
			port, who, err := whoIs(t, addr, tt.user, tt.password, options)
			if port != wantPort || who != wantWho || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%s with %q and %q: at port %d as %q, %v\nthe server itself: at port %d as %q, %v",
					tt.user, tt.password, options, port, who, err, wantPort, wantWho, wantErr)
			}
		}
	}
}

// TestTenantsByUserTiDB does the same with two instances of TiDB. Its caching_sha2_password takes the password over TLS
// alone: without it, the refusal is the server's own.
func TestTenantsByUserTiDB(t *testing.T) {
	every := trio(t)[:2]
	everywhere(t, every, "create user if not exists shop_sha@'%' identified with caching_sha2_password by '"+real.Password+"'",
		"grant all on app.* to shop_sha@'%'")
	addr := real.FreeAddr()
	config := cluster("one", "mysql", []string{every[0].Addr}, tlsCA("cluster", "verify-full")) +
		cluster("two", "mysql", []string{every[1].Addr}, tlsCA("cluster", "verify-full")) +
		listener("in", addr, "one", tlsTable("listener", "prefer", stage.cert)) +
		namespace("shop", "two", `users = ["shop_*"]`)
	s := startSluice(t, racy(t), config)
	await(t, s, 2, "sluice_backend_up")
	for _, tt := range []struct {
		user string
		at   int
	}{{"app", 0}, {"sha", 0}, {"tls", 0}, {"shop_sha", 1}, {"shop_sha", 1}} {
		for _, options := range []string{"", "tls=ours"} {
			port, who, err := whoIs(t, addr, tt.user, real.Password, options)
			if want := real.Port(every[tt.at].Addr); err != nil || port != want || !strings.HasPrefix(who, tt.user+"@") {
				t.Errorf("%s with %q: at port %d as %q, want port %d: %v", tt.user, options, port, who, want, err)
			}
		}
	}
	for _, user := range []string{"app", "sha", "shop_sha", "nobody", "shop_nobody"} {
		for _, password := range []string{"wrong", ""} {
			at := 0
			if strings.HasPrefix(user, "shop_") {
				at = 1
			}
			_, _, want := whoIs(t, every[at].Addr, user, password, "tls=ours")
			_, _, got := whoIs(t, addr, user, password, "tls=ours")
			var e, direct *mysql.MySQLError
			if !errors.As(got, &e) || !errors.As(want, &direct) || *e != *direct {
				t.Errorf("%s with %q: %v\nthe server itself: %v", user, password, got, want)
			}
		}
	}
}

// TestTenantsByNetworkAndPort leads clients of one listener by where they come from and at which of its ports, in both
// modes of PostgreSQL and for MariaDB.
func TestTenantsByNetworkAndPort(t *testing.T) {
	first := freePorts(t, 4)
	pool := real.FreeAddr()
	rules := func(listener string) string {
		return namespace("net-"+listener, "two", `clients = ["127.0.0.8/30"]`, fmt.Sprintf("listeners = [%q]", listener)) +
			namespace("port-"+listener, "two", fmt.Sprintf(`ports = ["%d", "%d-%d"]`, first+1, first+3, first+9), fmt.Sprintf("listeners = [%q]", listener))
	}
	ports := listener("in", "127.0.0.1:0", "one", fmt.Sprintf(`ports = "%d-%d"`, first, first+3))
	s := startSluice(t, racy(t), twoPG(t)+ports+funnel("pool", pool, "one")+users("app")+rules("in")+
		namespace("net-pool", "two", `clients = ["127.0.0.8/30"]`, `listeners = ["pool"]`))
	await(t, s, 2, "sluice_backend_up")
	for i, want := range []int{0, 1, 0, 1} {
		addr := real.Loopback(first + i)
		wantPGAt(t, "127.0.0.1", addr, "app", want)
		wantPGAt(t, "127.0.0.7", addr, "app", want)
		wantPGAt(t, "127.0.0.9", addr, "app", 1)
	}
	for range 3 {
		wantPGAt(t, "127.0.0.7", pool, "app", 0)
		wantPGAt(t, "127.0.0.11", pool, "app", 1)
		wantPGAt(t, "127.0.0.12", pool, "app", 0)
	}
}

// freePorts returns the first of n ports in a row that nobody listens at.
func freePorts(t *testing.T, n int) (first int) {
	t.Helper()
	for range 100 {
		first = real.FreePort()
		free := true
		for i := range n {
			ln, err := net.Listen("tcp", real.Loopback(first+i))
			if free = free && err == nil; err == nil {
				ln.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

// listedClients are the sessions that Sluice tells of, as far as it is about who and where they are.
func listedClients(t *testing.T, s *real.Sluice) (list []struct {
	Client, Proxy, User, Namespace, Backend, Cluster string
	Port                                             int
}) {
	t.Helper()
	page, err := s.Get("/api/sessions")
	if err == nil {
		err = json.Unmarshal([]byte(page), &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestTenantsChange puts, changes and removes namespaces by the API and by a reload while clients are there: who is
// led elsewhere leaves behind its transaction, and with a move it can't be had, since the data are others; nobody
// else notices.
func TestTenantsChange(t *testing.T) {
	addr, pool := real.FreeAddr(), real.FreeAddr()
	config := twoPG(t, "[cluster.migrate]", "enabled = true") + listener("in", addr, "one", `drain-timeout = "5m"`) +
		funnel("pool", pool, "one", `drain-timeout = "5m"`) + users("app", "scram")
	s := startSluice(t, racy(t), config)
	await(t, s, 2, "sluice_backend_up")
	stays, goes, shared := connect(t, funnelDSN(addr, "app", "")), connect(t, funnelDSN(addr, "scram", "")), connect(t, funnelDSN(pool, "scram", ""))
	for _, c := range []*pgx.Conn{goes, shared} {
		do(t, c, "begin")
		do(t, c, "create temp table work (n int) on commit drop")
	}
	if _, err := s.Put("/api/admin/namespace/late", `{"users": ["scram"], "cluster": "two", "max-connections": 2}`); err != nil {
		t.Fatal(err)
	}
	wantPGAt(t, "127.0.0.1", addr, "scram", 1)
	wantPGAt(t, "127.0.0.1", pool, "scram", 1)
	wantPGAt(t, "127.0.0.1", addr, "app", 0)
	for _, c := range []*pgx.Conn{goes, shared} { // the work under way is done first
		do(t, c, "insert into work values (1)")
		do(t, c, "commit")
		eventually(t, func() error {
			if _, err := c.Exec(within(t, soon), "select 1"); err == nil {
				return errors.New("its session goes on in the namespace of before")
			}
			return nil
		})
	}
	do(t, stays, "select 1")
	if v, err := s.Metric("sluice_evictions_total", `reason="namespace"`); err != nil || v != 2 {
		t.Errorf("%v sessions were asked to leave, %v", v, err)
	}
	await(t, s, 0, "sluice_namespace_connections", `namespace="late"`)

	// Its limit, for both listeners together.
	one, two := connect(t, funnelDSN(addr, "scram", "")), connect(t, funnelDSN(pool, "scram", ""))
	await(t, s, 2, "sluice_namespace_connections", `namespace="late"`)
	for _, at := range []string{addr, pool} {
		if _, err := dialPGX(at, "scram"); err == nil || !strings.Contains(err.Error(), "53300") {
			t.Errorf("one too many: %v", err)
		}
	}
	wantPGAt(t, "127.0.0.1", addr, "app", 0)
	if err := one.Close(context.Background()); err != nil {
		t.Error(err)
	}
	await(t, s, 1, "sluice_namespace_connections", `namespace="late"`)
	wantPGAt(t, "127.0.0.1", addr, "scram", 1)

	// A wider one does not disturb who is in.
	if _, err := s.Put("/api/admin/namespace/late", `{"users": ["scr*"], "cluster": "two"}`); err != nil {
		t.Fatal(err)
	}
	do(t, two, "select 1")
	await(t, s, 1, "sluice_namespace_connections", `namespace="late"`)

	if _, err := s.Put("/api/admin/namespace/late", `{"users": ["scr["]}`); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("a pattern that is none: %v", err)
	}
	if _, err := s.Delete("/api/admin/namespace/late"); err != nil {
		t.Fatal(err)
	}
	wantPGAt(t, "127.0.0.1", addr, "scram", 0)
	if _, err := two.Exec(within(t, soon), "select 1"); err == nil {
		t.Error("a session outlives its namespace")
	}
	if err := s.Reload(unhurried(config) + namespace("file", "two", `users = ["scram"]`)); err != nil {
		t.Fatal(err)
	}
	logs(t, s, "namespaces added: file")
	wantPGAt(t, "127.0.0.1", addr, "scram", 1)
	do(t, stays, "select 1")
}

// TestTenantsBySHA2 logs in by caching_sha2_password, by RSA, over TLS and the fast way, where Sluice greets by itself
// as the server depends on the user.
func TestTenantsBySHA2(t *testing.T) {
	for _, side := range sides {
		t.Run(side.name, func(t *testing.T) {
			server := newScripted(t)
			server.perform(sha2Server(t))
			config, addr := fourSides(server.addr)
			startSluice(t, racy(t), strings.ReplaceAll(config, "[cluster.health]", "[cluster.health]\nfall = 100\n")+
				namespace("some", "", `users = ["some*"]`))
			if err := ping(t, addr[side.name], "someone", "not the secret", side.client); err == nil {
				t.Error("a wrong password was taken")
			}
			for i := range 2 {
				if err := ping(t, addr[side.name], "someone", "the secret", side.client); err != nil {
					t.Errorf("login %d: %v", i+1, err)
				}
			}
			if err := ping(t, addr[side.name], "someone", "not the secret", side.client); err == nil {
				t.Error("a wrong password was taken the fast way")
			}
		})
	}
}

package main

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"
	_ "github.com/lib/pq"              // the driver "postgres"

	"sluice/bench/e2e/real"
)

// kind is a sort of servers.
type kind struct {
	name     string
	protocol string
	driver   string
	start    func(dir string, i int, ca *real.Authority, cert real.Pair) (addr string, stop func() error, err error)
	dsn      func(addr string) string
	// state gives a session something to take along; look says what it has, and where asks for its server's port.
	state       []string // with %d for the session's number
	look, where string
	most        int // sessions that the servers are set up for; 0 = any number
}

const stopPatience = time.Minute

var kinds = []kind{
	{
		name: "tidb", protocol: "mysql", driver: "mysql", dsn: mysqlDSN, start: startTiDB,
		state: []string{"set @mine = %d", "set time_zone = '+03:00', group_concat_max_len = 4711", "prepare mine from 'select %d'"},
		look:  "select concat(@mine, @@time_zone, @@group_concat_max_len)", where: "select @@port",
	},
	{
		name: "mariadb", protocol: "mysql", driver: "mysql", dsn: mysqlDSN, start: startMariaDB,
		state: []string{"set @mine = %d", "set time_zone = '+03:00', group_concat_max_len = 4711", "prepare mine from 'select %d'"},
		look:  "select concat(@mine, @@time_zone, @@group_concat_max_len)", where: "select @@port",
	},
	{
		name: "postgres", protocol: "postgres", driver: "postgres", start: startPostgres,
		dsn: func(addr string) string {
			return fmt.Sprintf("postgres://app:%s@%s/app?sslmode=disable", url.PathEscape(real.Password), addr)
		},
		state: []string{"set application_name = 'number %d'", "set time zone 'Asia/Tokyo'; set work_mem = '4711kB'", "prepare mine as select %d"},
		look:  "select current_setting('application_name') || current_setting('timezone') || current_setting('work_mem')",
		where: "select inet_server_port()", most: 250,
	},
}

func mysqlDSN(addr string) string {
	return fmt.Sprintf("app:%s@tcp(%s)/app?timeout=1m", real.Password, addr)
}

func startTiDB(dir string, i int, _ *real.Authority, cert real.Pair) (string, func() error, error) {
	program, err := real.BuildTiDB("tidb")
	if err != nil {
		return "", nil, err
	}
	signing := filepath.Join(dir, "signing")
	pair := real.Pair{CertFile: signing + ".crt", KeyFile: signing + ".key"}
	if i == 0 {
		if pair, err = real.SelfSigned(dir, "signing", "tokens"); err != nil {
			return "", nil, err
		}
	}
	d, err := real.StartTiDB(program, filepath.Join(dir, fmt.Sprintf("tidb%d", i)), real.TiDBOptions{Cert: cert, Signing: pair})
	if err != nil {
		return "", nil, err
	}
	return d.Addr, d.Kill, nil
}

func startMariaDB(dir string, i int, ca *real.Authority, cert real.Pair) (string, func() error, error) {
	m, err := real.StartMariaDB(filepath.Join(dir, fmt.Sprintf("mariadb%d", i)), 1+i, ca, cert)
	if err != nil {
		return "", nil, err
	}
	return m.Addr, m.Stop, nil
}

func startPostgres(dir string, i int, ca *real.Authority, cert real.Pair) (string, func() error, error) {
	pg, err := real.StartPostgres(filepath.Join(dir, fmt.Sprintf("postgres%d", i)), ca, cert)
	if err != nil {
		return "", nil, err
	}
	return pg.Addr, func() error { return pg.Process.Stop(syscall.SIGQUIT, stopPatience) }, nil
}

// config is Sluice's before two servers of the kind. They are in two clusters, so that sessions at rest and clients that
// work move each by themselves.
func (k kind) config(listen map[string]string, backends []string) string {
	role := ""
	if k.protocol == "postgres" {
		role = `, role = "leader"`
	}
	config := fmt.Sprintf("[[user]]\nname = \"app\"\npassword = %q\n", real.Password)
	for _, name := range clusters {
		config += fmt.Sprintf(`
[[cluster]]
name = %q
protocol = %q
backends = [{ addr = %q%s }, { addr = %q%s }]
[cluster.balance]
policy = "off"

[[listener]]
name = %q
listen = %q
cluster = %q
mode = "proxy"
drain-timeout = "5m"
`, name, k.protocol, backends[0], role, backends[1], role, name, listen[name], name)
	}
	return config
}

// clusters are those of each Sluice.
var clusters = []string{"rest", "busy"}

// open opens a pool that keeps its connections.
func (k kind) open(addr string, most int) (*sql.DB, error) {
	db, err := sql.Open(k.driver, k.dsn(addr))
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(most)
	return db, nil
}

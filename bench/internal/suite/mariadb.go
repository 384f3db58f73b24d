package suite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	_ "github.com/go-sql-driver/mysql" // the driver with which the server's counter is read

	"sluice/bench/internal/child"
)

// The account that the loads use. The server is only reachable from this machine, for minutes.
const (
	mariaUser     = "bench"
	mariaPassword = "bench"
	mariaDatabase = "sbtest" // sysbench's own name for it
)

// mariaSettings make the server as cheap as it can be; see postgresSettings.
var mariaSettings = []string{
	"--innodb-flush-log-at-trx-commit=0",
	"--innodb-doublewrite=0",
	"--innodb-buffer-pool-size=128M",
	"--performance-schema=OFF",
	"--skip-log-bin",
	"--skip-name-resolve",
	"--query-cache-type=0",
	"--max-connections=300",
	"--max-allowed-packet=64M",
	"--bind-address=127.0.0.1",
	"--socket=mariadb.sock", // in the data folder; nobody uses it
}

// startMariaDB starts MariaDB with one table of sysbench's, 10,000 rows.
func startMariaDB(ctx context.Context, dir string, c certs) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*serverPatience)
	defer cancel()
	const user = "mysql"
	if err := ownedFolder(ctx, dir, user); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	install, err := program("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	err = child.Run(ctx, child.Spec{Name: "mariadb-install-db", User: user, Dir: dir, Args: []string{
		install, "--no-defaults", "--datadir=" + data, "--skip-test-db",
		"--auth-root-authentication-method=normal"}})
	if err != nil {
		return nil, err
	}
	p, addr, err := startMariaDBProcess(dir, data, user, c)
	if err != nil {
		return nil, err
	}
	s := &server{addr: addr, version: versionOf(ctx, p.program, "--version"),
		stop: func() { _ = p.Stop(syscall.SIGTERM, serverPatience) }}
	if err := s.fillMariaDB(ctx, p.Process); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

type mariaProcess struct {
	*child.Process
	program string
}

func startMariaDBProcess(dir, data, user string, c certs) (mariaProcess, string, error) {
	daemon, err := program("mariadbd")
	if err != nil {
		return mariaProcess{}, "", err
	}
	account := filepath.Join(dir, "account.sql")
	text := fmt.Sprintf("CREATE DATABASE %s;\nCREATE USER '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%s'@'%%';\n",
		mariaDatabase, mariaUser, mariaPassword, mariaUser)
	if err := os.WriteFile(account, []byte(text), 0o644); err != nil {
		return mariaProcess{}, "", err
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return mariaProcess{}, "", err
	}
	args := append([]string{daemon, "--no-defaults", "--datadir=" + data, "--port=" + child.Port(addr),
		"--init-file=" + account, "--ssl-cert=" + c.cert, "--ssl-key=" + c.key,
		"--ssl-ca=" + c.cert}, // sysbench shows a certificate of its own
		mariaSettings...)
	p, err := child.Start(child.Spec{Name: "mariadbd", User: user, Dir: dir, Args: args})
	return mariaProcess{p, daemon}, addr, err
}

// fillMariaDB waits for the server, opens the connection over which its counter is read, and makes
// sysbench's table.
func (s *server) fillMariaDB(ctx context.Context, p *child.Process) error {
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/%s", mariaUser, mariaPassword, s.addr, mariaDatabase))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	stop := s.stop
	s.stop = func() { db.Close(); stop() }
	if err := child.Until(ctx, p, func() error { return db.PingContext(ctx) }); err != nil {
		return err
	}
	s.count = func(counter string) (int64, error) {
		var name string
		var n int64
		// Both Com_select and Questions count text and the execution of what was prepared alike.
		err := db.QueryRow("SHOW GLOBAL STATUS LIKE '"+counter+"'").Scan(&name, &n)
		return n, err
	}
	sysbench, err := program("sysbench")
	if err != nil {
		return err
	}
	args := append([]string{sysbench, "oltp_point_select"}, sysbenchTable...)
	args = append(args, sysbenchTarget(s.addr)...)
	return child.Run(ctx, child.Spec{Name: "sysbench prepare", Args: append(args, "prepare")})
}

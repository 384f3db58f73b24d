package real

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql" of database/sql
)

// MariaDB is a running MariaDB server. Its users all have the password Password, but root, who has
// none:
//
//	app     mysql_native_password      ed      ed25519
//	tls     mysql_native_password, REQUIRE SSL
//
// The database "app" is theirs. The binary log is on, LOCAL INFILE is allowed, packets may have
// 1 GiB.
type MariaDB struct {
	*Process
	Addr   string
	Socket string
	Dir    string

	id    int
	owner *Account
}

var mariadbInit = strings.ReplaceAll(`
install soname 'auth_ed25519';
create database app;
create user app@'127.%' identified via mysql_native_password using password('PW');
create user ed@'127.%' identified via ed25519 using password('PW');
create user tls@'127.%' identified via mysql_native_password using password('PW') require ssl;
create user root@'127.%';
grant all on *.* to app@'127.%';
grant all on *.* to ed@'127.%';
grant all on *.* to tls@'127.%';
grant all on *.* to root@'127.%' with grant option;
`, "PW", Password)

// StartMariaDB makes a new data folder in dir and starts a server on it with the given server id.
func StartMariaDB(dir string, id int, ca *Authority, cert Pair) (*MariaDB, error) {
	install, err := mariadbProgram("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	owner, err := serverAccount("mysql", "nobody")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	m := &MariaDB{Dir: dir, Addr: FreeAddr(), Socket: filepath.Join(dir, "sock"), id: id, owner: owner}
	if err := cert.install(dir, owner); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(ca.CertFile)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), b, 0o644); err != nil {
		return nil, err
	}
	// A server that starts removes what it takes for its own leftovers from its folder for temporary
	// files, so it must not share one.
	if err := os.Mkdir(m.temporary(), 0o755); err != nil {
		return nil, err
	}
	if err := own(dir, owner); err != nil {
		return nil, err
	}
	if err := run(owner, dir, install, "--no-defaults", "--tmpdir="+m.temporary(), "--auth-root-authentication-method=normal", "--skip-test-db",
		"--datadir="+filepath.Join(dir, "data")); err != nil {
		return nil, err
	}
	if err := m.Start(); err != nil {
		return nil, err
	}
	if err := m.populate(); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

// Start starts the server, which must not be running, and waits until it takes connections.
func (m *MariaDB) Start() error {
	program, err := mariadbProgram("mariadbd")
	if err != nil {
		return err
	}
	m.Process, err = Launch(filepath.Join(m.Dir, fmt.Sprintf("log.%d", time.Now().UnixNano())), m.owner, program,
		"--no-defaults", "--datadir="+filepath.Join(m.Dir, "data"), "--socket="+m.Socket,
		"--tmpdir="+m.temporary(), "--bind-address=127.0.0.1", "--port="+strconv.Itoa(Port(m.Addr)), "--skip-name-resolve",
		"--ssl-ca="+filepath.Join(m.Dir, "ca.crt"), "--ssl-cert="+filepath.Join(m.Dir, "server.crt"),
		"--ssl-key="+filepath.Join(m.Dir, "server.key"),
		"--server-id="+strconv.Itoa(m.id), "--log-bin=binlog", "--binlog-format=row", "--local-infile=1",
		"--max-allowed-packet=1G", "--max-connections=2000", "--max-connect-errors=1000000000",
		"--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-buffer-pool-size=64M",
		"--innodb-log-file-size=512M", "--skip-innodb-doublewrite", "--performance-schema=off",
		"--pid-file="+filepath.Join(m.Dir, "pid"), "--back-log=2000")
	if err != nil {
		return err
	}
	err = Eventually(comeUp, func() error {
		db, err := sql.Open("mysql", "root@unix("+m.Socket+")/")
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Ping()
	})
	if err != nil {
		return fmt.Errorf("mariadbd does not come up: %w\n%s", err, m.Log())
	}
	return nil
}

func (m *MariaDB) temporary() string { return filepath.Join(m.Dir, "tmp") }

// Stop ends the server.
func (m *MariaDB) Stop() error { return m.Process.Stop(syscall.SIGKILL, goAway) }

func (m *MariaDB) populate() error {
	db, err := sql.Open("mysql", "root@unix("+m.Socket+")/?multiStatements=true")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(mariadbInit)
	return err
}

// mariadbProgram finds one of MariaDB's programs, which may be in sbin and so not in PATH.
func mariadbProgram(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/bin"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name), nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%s not found: install Debian's packages mariadb-server and mariadb-client", name)
}

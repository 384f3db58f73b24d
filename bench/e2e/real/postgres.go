package real

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a running PostgreSQL server. Its users all have the password Password:
//
//	app        trust          scram      scram-sha-256     md5user    md5
//	tlsonly    scram-sha-256, over TLS only                certuser   a client certificate of that name
//
// Members of the role "pooled", whom a test creates, log in with what is stored for them: SCRAM-SHA-256
// or md5.
//
// Its databases are "app" and the usual ones. Logical replication is on. Nothing survives a crash of
// the machine (fsync is off).
type Postgres struct {
	*Process
	Addr string
	Dir  string

	bin   string
	owner *Account
}

// Password is what all test users log in with.
const Password = "pencil and paper"

const postgresHBA = `
local   all         all                     trust
hostssl all         certuser  127.0.0.0/8   cert
host    all         certuser  127.0.0.0/8   reject
hostssl all         tlsonly   127.0.0.0/8   scram-sha-256
host    all         tlsonly   127.0.0.0/8   reject
host    all         scram     127.0.0.0/8   scram-sha-256
host    all         md5user   127.0.0.0/8   md5
host    replication all       127.0.0.0/8   trust
host    all         app       127.0.0.0/8   trust
host    all         postgres  127.0.0.0/8   trust
host    all         +pooled   127.0.0.0/8   md5
`

const postgresConf = `
listen_addresses = '127.0.0.1'
max_connections = 300
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
max_wal_size = 4GB
autovacuum = off
ssl = on
password_encryption = 'scram-sha-256'
lc_messages = 'C'
timezone = 'UTC'
log_timezone = 'UTC'
`

// StartPostgres makes a new database cluster in dir and starts it.
func StartPostgres(dir string, ca *Authority, cert Pair) (*Postgres, error) {
	bin, err := newestPostgres()
	if err != nil {
		return nil, err
	}
	owner, err := serverAccount("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := own(dir, owner); err != nil {
		return nil, err
	}
	pg := &Postgres{Dir: dir, bin: bin, owner: owner}
	data := filepath.Join(dir, "data")
	if err := run(owner, dir, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync",
		"-E", "UTF8", "--locale=C"); err != nil {
		return nil, err
	}
	if err := cert.install(data, owner); err != nil {
		return nil, err
	}
	if err := pg.configure(data, ca); err != nil {
		return nil, err
	}
	pg.Addr = FreeAddr()
	if err := pg.Start(); err != nil {
		return nil, err
	}
	if err := pg.populate(); err != nil {
		return nil, errors.Join(err, pg.Stop())
	}
	return pg, nil
}

func (pg *Postgres) configure(data string, ca *Authority) error {
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(postgresHBA), 0o644); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%sssl_ca_file = '%s'\nunix_socket_directories = '%s'\n", postgresConf, ca.CertFile, pg.Dir)
	return err
}

// Start starts the server, which must not be running, and waits until it takes connections.
func (pg *Postgres) Start() error {
	var err error
	pg.Process, err = Launch(filepath.Join(pg.Dir, fmt.Sprintf("log.%d", time.Now().UnixNano())), pg.owner,
		filepath.Join(pg.bin, "postgres"), "-D", filepath.Join(pg.Dir, "data"), "-p", strconv.Itoa(Port(pg.Addr)))
	if err != nil {
		return err
	}
	err = Eventually(comeUp, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		c, err := pgx.Connect(ctx, pg.DSN("postgres", "postgres"))
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
	if err != nil {
		return fmt.Errorf("postgres does not come up: %w\n%s", err, pg.Log())
	}
	return nil
}

// Stop ends the server, its sessions with it.
func (pg *Postgres) Stop() error { return pg.Process.Stop(syscall.SIGINT, goAway) }

// Kill ends the server as a power cut would: the postmaster and all its children at once.
func (pg *Postgres) Kill() error {
	for _, child := range Children(pg.PID) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	return pg.Process.Stop(syscall.SIGKILL, goAway)
}

// DSN returns a connection string for the server itself, without TLS.
func (pg *Postgres) DSN(user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, pg.Addr, database)
}

func (pg *Postgres) populate() error {
	ctx, cancel := context.WithTimeout(context.Background(), comeUp)
	defer cancel()
	c, err := pgx.Connect(ctx, pg.DSN("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	statements := []string{
		"create user app superuser",
		"create user scram superuser password '" + Password + "'",
		"create user tlsonly superuser password '" + Password + "'",
		"create user certuser superuser",
		"set password_encryption = 'md5'",
		"create user md5user superuser password '" + Password + "'",
		"create database app owner app",
		"create role pooled",
	}
	for _, s := range statements {
		if _, err := c.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// newestPostgres returns the folder with the binaries of the newest PostgreSQL that is installed.
func newestPostgres() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	major := func(dir string) int {
		n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err != nil {
			return -1
		}
		return n
	}
	sort.Slice(dirs, func(i, j int) bool { return major(dirs[i]) > major(dirs[j]) })
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "initdb")); err == nil {
			return d, nil
		}
	}
	return "", errors.New("no PostgreSQL server found: install Debian's package postgresql")
}

// PostgresTool returns the path of one of PostgreSQL's client programs.
func PostgresTool(name string) (string, error) {
	bin, err := newestPostgres()
	if err != nil {
		return "", err
	}
	path := filepath.Join(bin, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: install Debian's packages postgresql and postgresql-client", err)
	}
	return path, nil
}

// Children returns the ids of the processes that pid has started.
func Children(pid int) []int {
	var ids []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has gone
		}
		for _, s := range strings.Fields(string(b)) {
			if id, err := strconv.Atoi(s); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

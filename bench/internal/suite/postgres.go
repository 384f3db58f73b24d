package suite

import (
	"context"
	"path/filepath"
	"syscall"
	"time"

	"sluice/bench/internal/child"
)

// serverPatience is how long a server may take to start or to stop.
const serverPatience = 3 * time.Minute

// postgresFolders is where Debian keeps the programs of each version of PostgreSQL.
const postgresFolders = "/usr/lib/postgresql/*/bin"

// postgresSettings make the server as cheap as it can be, so that the proxy's part is as large as it
// can be: nothing waits for a disk, nothing runs in the background.
var postgresSettings = []string{
	"fsync=off",
	"synchronous_commit=off",
	"full_page_writes=off",
	"autovacuum=off",
	"jit=off",
	"max_connections=700", // the clients of a funnel, directly, beside the pools of all contenders
	"shared_buffers=128MB",
	"unix_socket_directories=", // TCP only
	"listen_addresses=127.0.0.1",
}

// startPostgres starts PostgreSQL with pgbench's tables at scale 1: 100,000 accounts.
func startPostgres(ctx context.Context, dir string, c certs) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*serverPatience)
	defer cancel()
	initdb, err := program("initdb", postgresFolders)
	if err != nil {
		return nil, err
	}
	const user = pgUser // initdb and the server refuse to run as root
	if err := ownedFolder(ctx, dir, user); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	err = child.Run(ctx, child.Spec{Name: "initdb", User: user, Dir: dir, Args: []string{
		initdb, "--pgdata", data, "--auth", "trust", "--username", "postgres", "--no-sync",
		"--encoding", "UTF8", "--locale", "C"}})
	if err != nil {
		return nil, err
	}
	key := filepath.Join(dir, "server.key")
	if err := ownedKey(ctx, c.key, key, user); err != nil {
		return nil, err
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	args := []string{filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-p", child.Port(addr),
		"-c", "ssl=on", "-c", "ssl_cert_file=" + c.cert, "-c", "ssl_key_file=" + key}
	for _, s := range postgresSettings {
		args = append(args, "-c", s)
	}
	p, err := child.Start(child.Spec{Name: "postgres", User: user, Dir: dir, Args: args})
	if err != nil {
		return nil, err
	}
	s := &server{addr: addr, stop: func() { _ = p.Stop(syscall.SIGINT, serverPatience) }} // SIGINT: fast shutdown
	if err := fillPostgres(ctx, p, addr); err != nil {
		s.stop()
		return nil, err
	}
	s.version = versionOf(ctx, args[0], "--version")
	return s, nil
}

// fillPostgres waits for the server and makes pgbench's tables.
func fillPostgres(ctx context.Context, p *child.Process, addr string) error {
	if err := child.Until(ctx, p, func() error { return pgReady(ctx, addr) }); err != nil {
		return err
	}
	pgbench, err := program("pgbench", postgresFolders)
	if err != nil {
		return err
	}
	return child.Run(ctx, child.Spec{Name: "pgbench -i", Env: pgEnv(addr, tlsNone),
		Args: []string{pgbench, "--initialize", "--scale", "1", "--quiet"}})
}

func pgReady(ctx context.Context, addr string) error {
	isReady, err := program("pg_isready", postgresFolders)
	if err != nil {
		return err
	}
	return child.Run(ctx, child.Spec{Name: "pg_isready", Env: pgEnv(addr, tlsNone), Args: []string{isReady}})
}

// pgEnv tells PostgreSQL's client programs where to connect and as whom.
// https://www.postgresql.org/docs/15/libpq-envars.html
func pgEnv(addr string, sides Sides) []string {
	host, port := hostPort(addr)
	mode := "disable"
	if sides != tlsNone {
		mode = "require"
	}
	return []string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + pgUser, "PGDATABASE=" + pgDatabase,
		"PGSSLMODE=" + mode, "PGGSSENCMODE=disable"}
}

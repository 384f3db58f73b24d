package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"sluice/bench/internal/child"
)

// Database is one of the two kinds of server that the loads run on.
type Database string

// The databases; the values are the protocol names of Sluice's configuration.
const (
	Postgres Database = "postgres"
	MariaDB  Database = "mysql"
)

// server is a running database server with the loads' data in it.
type server struct {
	addr    string
	version string
	// count tells one of the server's counters of statements. It is nil where the load generator
	// itself keeps the time of each of its transactions.
	count func(counter string) (int64, error)
	stop  func()
}

// startServer starts the server of one kind in a folder of its own under dir. Real ones offer TLS to
// who asks for it.
func startServer(ctx context.Context, b backend, dir string, c certs) (*server, error) {
	switch {
	case b.synthetic:
		return startSynthServer(ctx, b.database)
	case b.database == Postgres:
		return startPostgres(ctx, filepath.Join(dir, "postgres"), c)
	case b.database == MariaDB:
		return startMariaDB(ctx, filepath.Join(dir, "mariadb"), c)
	}
	return nil, fmt.Errorf("no such server: %s", b)
}

// ownedKey copies a key to where a server that insists on a key of its own finds one.
func ownedKey(ctx context.Context, from, to, user string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, 0o600); err != nil || os.Geteuid() != 0 {
		return err
	}
	return child.Run(ctx, child.Spec{Name: "chown", Args: []string{"chown", user, to}})
}

// program finds a program on the path or in one of the folders where Debian keeps what it does not
// put there; the last match of a pattern wins, since that is the newest version.
func program(name string, patterns ...string) (string, error) {
	for _, pattern := range append([]string{"/usr/sbin", "/usr/local/sbin"}, patterns...) {
		found, err := filepath.Glob(filepath.Join(pattern, name))
		if err == nil && len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not installed (.ci/deps installs what the benchmarks need): %w", name, err)
	}
	return path, nil
}

// ownedFolder makes a folder that the user whom a server runs as may write to.
func ownedFolder(ctx context.Context, dir, user string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return child.Run(ctx, child.Spec{Name: "chown", Args: []string{"chown", user, dir}})
}

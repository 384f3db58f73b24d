package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"sluice/bench/e2e/real"
)

// stage is what all tests share: a folder, certificates, programs and servers.
var stage struct {
	dir string
	ca  *real.Authority
	// Two certificates for the same names. The servers show the first.
	cert, otherCert real.Pair
	// signing is what all instances of TiDB sign the tokens of sessions with.
	signing real.Pair
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		playRole(role)
		return
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	if stage.dir, err = os.MkdirTemp("", "sluice-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(stage.dir)
	// The database servers run as other users and have to get in.
	if err := os.Chmod(stage.dir, 0o755); err != nil {
		return 1, err
	}
	if stage.ca, err = real.NewAuthority(stage.dir); err != nil {
		return 1, err
	}
	if stage.cert, err = stage.ca.Issue("one", "localhost"); err != nil {
		return 1, err
	}
	if stage.otherCert, err = stage.ca.Issue("two", "localhost"); err != nil {
		return 1, err
	}
	if stage.signing, err = real.SelfSigned(stage.dir, "signing", "tokens"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stopServers()) }()
	return m.Run(), nil
}

// once is a part of the stage that is made when it is first asked for.
type once[T any] struct {
	sync.Mutex
	made  bool
	value T
	err   error
}

func (o *once[T]) get(t *testing.T, make func() (T, error)) T {
	t.Helper()
	o.Lock()
	defer o.Unlock()
	if !o.made {
		o.made = true
		o.value, o.err = make()
	}
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.value
}

var (
	postgresServers [2]once[*real.Postgres]
	mariadbServers  [2]once[*real.MariaDB]
	racyBinary      once[string]
	plainBinary     once[string]
)

// postgres returns server number i, 0 or 1, running.
func postgres(t *testing.T, i int) *real.Postgres {
	t.Helper()
	return postgresServers[i].get(t, func() (*real.Postgres, error) {
		return real.StartPostgres(filepath.Join(stage.dir, fmt.Sprintf("postgres%d", i)), stage.ca, stage.cert)
	})
}

// mariadb returns server number i, 0 or 1, running.
func mariadb(t *testing.T, i int) *real.MariaDB {
	t.Helper()
	return mariadbServers[i].get(t, func() (*real.MariaDB, error) {
		return real.StartMariaDB(filepath.Join(stage.dir, fmt.Sprintf("mariadb%d", i)), 1+i, stage.ca, stage.cert)
	})
}

func stopServers() error {
	var errs []error
	for i := range postgresServers {
		if pg := postgresServers[i].value; pg != nil {
			errs = append(errs, pg.Process.Stop(syscall.SIGQUIT, shutdownPatience))
		}
	}
	for i := range mariadbServers {
		if m := mariadbServers[i].value; m != nil {
			errs = append(errs, m.Stop())
		}
	}
	for i := range tidbCluster {
		if d := tidbCluster[i].value; d != nil {
			errs = append(errs, d.Kill())
		}
	}
	for _, p := range []*patroniStage{&debianPatroni, &newerPatroni} {
		if p.running != nil {
			errs = append(errs, p.running.Close())
		}
	}
	return errors.Join(errs...)
}

// racy returns the program built with the race detector, plain the one that users get.
func racy(t *testing.T) string {
	t.Helper()
	return racyBinary.get(t, func() (string, error) { return build("sluice-race", true) })
}

func plain(t *testing.T) string {
	t.Helper()
	return plainBinary.get(t, func() (string, error) { return build("sluice", false) })
}

func build(name string, race bool) (string, error) {
	if given := os.Getenv("E2E_SLUICE"); given != "" {
		return given, nil
	}
	out := filepath.Join(stage.dir, name)
	return out, real.BuildSluice("../..", out, race)
}

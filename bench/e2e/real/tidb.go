package real

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// TiDB is a TiDB server with a store of its own: several of them share no data. Its users all have the password
// Password, but root, who has none:
//
//	app     mysql_native_password      sha     caching_sha2_password
//	tls     mysql_native_password, REQUIRE SSL
//
// The database "app" is theirs.
type TiDB struct {
	*Process
	Addr   string
	Status string // address of its status port
	Dir    string

	program string
	options TiDBOptions
	started time.Time
}

// TiDBOptions are what instances differ in.
type TiDBOptions struct {
	// Cert is what it shows its clients.
	Cert Pair
	// Signing makes and checks tokens of sessions, with which a session goes on at another instance: the same at
	// all of them; its zero means that this one can't.
	Signing Pair
	// GracefulWait is how long it serves on after SIGTERM, while its status port says that it leaves. Whole seconds.
	GracefulWait time.Duration
	// Labels are told to others through PD.
	Labels map[string]string
	// More are lines at the begin of its configuration.
	More []string
}

var tidbInit = strings.ReplaceAll(`
create database app;
create user app@'%' identified with mysql_native_password by 'PW';
create user sha@'%' identified with caching_sha2_password by 'PW';
create user tls@'%' identified with mysql_native_password by 'PW' require ssl;
grant all on *.* to app@'%' with grant option;
grant all on *.* to sha@'%';
grant all on *.* to tls@'%';
`, "PW", Password)

// StartTiDB makes a new store in dir, which it creates, and starts program, a TiDB server, on it. That takes some three
// seconds, and one with a store that is there already.
func StartTiDB(program, dir string, options TiDBOptions) (*TiDB, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	d := &TiDB{Addr: FreeAddr(), Status: FreeAddr(), Dir: dir, program: program, options: options}
	if err := d.Start(); err != nil {
		return nil, err
	}
	if err := d.populate(); err != nil {
		return nil, errors.Join(err, d.Kill())
	}
	return d, nil
}

// Start starts the server, which must not be running, on the ports it had before, and waits until it takes
// connections.
func (d *TiDB) Start() error {
	config := filepath.Join(d.Dir, "config.toml")
	if err := os.WriteFile(config, []byte(d.config()), 0o644); err != nil {
		return err
	}
	d.started = time.Now()
	var err error
	d.Process, err = Launch(filepath.Join(d.Dir, fmt.Sprintf("log.%d", d.started.UnixNano())), nil, d.program, "-config", config)
	if err != nil {
		return err
	}
	if err := Eventually(comeUp, d.serves); err != nil {
		_ = d.Kill()
		return fmt.Errorf("tidb-server does not come up: %w\n%s", err, d.Log())
	}
	return nil
}

// config is of few words in its log, small in memory, and without the background work that a test could meet.
func (d *TiDB) config() string {
	var b strings.Builder
	for _, line := range d.options.More {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "host = %q\nadvertise-address = %q\nport = %d\n", "127.0.0.1", "127.0.0.1", Port(d.Addr))
	fmt.Fprintf(&b, "store = %q\npath = %q\n", "unistore", filepath.Join(d.Dir, "data"))
	fmt.Fprintf(&b, "temp-dir = %q\ntmp-storage-path = %q\nsocket = %q\n",
		filepath.Join(d.Dir, "tmp"), filepath.Join(d.Dir, "spill"), filepath.Join(d.Dir, "sock"))
	fmt.Fprintf(&b, "graceful-wait-before-shutdown = %d\nlease = %q\n", int(d.options.GracefulWait/time.Second), "1s")
	fmt.Fprintf(&b, "[log]\nlevel = %q\n[instance]\ntidb_enable_slow_log = false\n", "warn")
	fmt.Fprintf(&b, "[status]\nstatus-host = %q\nstatus-port = %d\n", "127.0.0.1", Port(d.Status))
	fmt.Fprintf(&b, "[performance]\nrun-auto-analyze = false\n")
	fmt.Fprintf(&b, "[security]\nssl-cert = %q\nssl-key = %q\n", d.options.Cert.CertFile, d.options.Cert.KeyFile)
	if d.options.Signing.CertFile != "" {
		fmt.Fprintf(&b, "session-token-signing-cert = %q\nsession-token-signing-key = %q\n", d.options.Signing.CertFile, d.options.Signing.KeyFile)
	}
	if len(d.options.Labels) > 0 {
		fmt.Fprintln(&b, "[labels]")
		for _, name := range slices.Sorted(maps.Keys(d.options.Labels)) {
			fmt.Fprintf(&b, "%q = %q\n", name, d.options.Labels[name])
		}
	}
	return b.String()
}

func (d *TiDB) serves() error {
	select {
	case <-d.Done():
		return fmt.Errorf("%w: it has ended", ErrNever)
	default:
	}
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + d.Status + "/status")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("its status: %s: %s", resp.Status, body)
	}
	db, err := sql.Open("mysql", "root@tcp("+d.Addr+")/")
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Ping()
}

func (d *TiDB) populate() error {
	db, err := sql.Open("mysql", "root@tcp("+d.Addr+")/?multiStatements=true")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(tidbInit)
	return err
}

// Terminate asks it to leave, which it does gracefully, and does not wait.
func (d *TiDB) Terminate() error { return d.Signal(syscall.SIGTERM) }

// Stop ends it gracefully and waits.
func (d *TiDB) Stop() error { return d.Process.Stop(syscall.SIGTERM, goAway+d.options.GracefulWait) }

// Kill ends it at once.
func (d *TiDB) Kill() error { return d.Process.Stop(syscall.SIGKILL, goAway) }

// Restart stops it gracefully and starts it on the same ports and store.
func (d *TiDB) Restart() error {
	return cmp.Or(d.Stop(), d.Start())
}

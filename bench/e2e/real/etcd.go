package real

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Etcd is a running etcd of one member, whose API is plain HTTP.
type Etcd struct {
	*Process
	Addr string // of the client API

	path, dir string
	args      []string
}

// URL is where clients ask it.
func (e *Etcd) URL() string { return "http://" + e.Addr }

// StartEtcd makes an empty store in dir, which it creates, and serves it.
func StartEtcd(dir string) (*Etcd, error) {
	path, err := program("etcd", "etcd-server")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	e := &Etcd{Addr: FreeAddr(), path: path, dir: dir}
	peer := "http://" + FreeAddr()
	// The heartbeat is slow, so that a machine that stalls does not make it doubt itself.
	e.args = []string{"--name", "one", "--data-dir", filepath.Join(dir, "data"),
		"--listen-client-urls", e.URL(), "--advertise-client-urls", e.URL(), "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "one=" + peer, "--logger", "zap", "--log-level", "warn",
		"--heartbeat-interval", "100", "--election-timeout", "1000"}
	if err := e.Start(); err != nil {
		return nil, err
	}
	return e, nil
}

// Start starts it with what it has stored. It must not be running.
func (e *Etcd) Start() error {
	log := filepath.Join(e.dir, fmt.Sprintf("log.%d", time.Now().UnixNano()))
	var err error
	if e.Process, err = Launch(log, nil, e.path, e.args...); err != nil {
		return err
	}
	if err := Eventually(comeUp, e.healthy); err != nil {
		_ = e.Stop()
		return fmt.Errorf("etcd does not come up: %w\n%s", err, e.Log())
	}
	return nil
}

// Kill ends it at once.
func (e *Etcd) Kill() error { return e.Process.Stop(syscall.SIGKILL, goAway) }

func (e *Etcd) healthy() error {
	select {
	case <-e.Done():
		return fmt.Errorf("%w: it has ended", ErrNever)
	default:
	}
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get(e.URL() + "/health")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(body), "true") {
		err = fmt.Errorf("its health: %s", body)
	}
	return err
}

// Stop ends it.
func (e *Etcd) Stop() error { return e.Process.Stop(syscall.SIGTERM, goAway) }

// program finds a program by its name, or says which package of Debian has it.
func program(name, debianPackage string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: install Debian's package %s", err, debianPackage)
	}
	return path, nil
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen; a busy machine is slow, and may stand still for
// seconds.
const patience = 2 * time.Minute

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "sluice")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// running is the program as a process, with what it has said so far.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	ended  chan struct{}
	mu     sync.Mutex
	stderr bytes.Buffer
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.Write(p)
}

func (r *running) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.String()
}

// start runs the program in a folder of its own; env is all of its environment.
func start(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(binary, args...), ended: make(chan struct{})}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stderr, r.cmd.Stdout = t.TempDir(), append(env, "PATH="), r, r
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.cmd.Wait(); close(r.ended) }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); <-r.ended })
	return r
}

func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// says waits until the program has said that.
func (r *running) says(words string) {
	r.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(r.said(), words); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("it never said %q:\n%s", words, r.said())
		}
	}
}

// exits waits for the end and compares the exit code.
func (r *running) exits(code int) {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.t.Fatalf("it does not end:\n%s", r.said())
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("exit code %d, want %d:\n%s", got, code, r.said())
	}
}

// freeAddr is an address that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// echo is a server of protocol tcp.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return ln.Addr().String()
}

// file writes a configuration and returns its path.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// config is a configuration with one listener.
func config(admin, listen, backend, extra string) string {
	return fmt.Sprintf(`
[engine]
shutdown-timeout = "2m"
[admin]
listen = %q
%s
[[cluster]]
name = "c"
protocol = "tcp"
discovery = "static"
backends = [{ addr = %q }]
connect-timeout = "2m"
retry-timeout = "2m"
health.timeout = "2m"
[[listener]]
name = "in"
listen = %q
cluster = "c"
`, admin, extra, backend, listen)
}

// talk opens a session and holds that it works.
func talk(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	got := make([]byte, 4)
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
		t.Fatalf("got %q, %v", got, err)
	}
	return c
}

func TestCheck(t *testing.T) {
	good := file(t, config("", "127.0.0.1:0", "127.0.0.1:1", ""))
	r := start(t, nil, "check", "--config", good)
	r.exits(0)
	r.says("ok")
	bad := file(t, "[engine]\nloopz = 1\n[[listener]]\nname = \"x\"\n")
	r = start(t, nil, "check", "--config", bad)
	r.exits(1)
	r.says(bad + ":2")
	r.says("loopz")
	r.says("listener")
	start(t, nil, "check", "--config", "/no/such/file").exits(1)
	start(t, nil, "no-such-command").exits(1)
	start(t, nil, "version").exits(0)
}

// TestShippedConfiguration: what `sluice config` prints is a configuration.
func TestShippedConfiguration(t *testing.T) {
	out, err := exec.Command(binary, "config").Output()
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command(binary, "check", "--config", "/dev/stdin")
	check.Stdin = bytes.NewReader(out)
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("check: %v\n%s", err, said)
	}
}

func TestStartFails(t *testing.T) {
	bad := start(t, nil, "run", "--config", file(t, "[engine]\nloops = -1\n"))
	bad.exits(1)
	bad.says("engine.loops")
	taken := echo(t)
	busy := start(t, nil, "--config", file(t, config("", taken, "127.0.0.1:1", "")))
	busy.exits(1)
	busy.says(`listener "in"`)
	admin := start(t, nil, "--config", file(t, config(taken, "127.0.0.1:0", "127.0.0.1:1", "")))
	admin.exits(1)
	admin.says("admin")
}

// TestReload: a good file is put in force, a bad one changes nothing; the session goes on throughout.
func TestReload(t *testing.T) {
	listen, second, backend := freeAddr(t), freeAddr(t), echo(t)
	path := file(t, config("", listen, backend, ""))
	r := start(t, nil, "--config", path)
	r.says("sluice is ready")
	c := talk(t, listen)
	rewrite := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.signal(syscall.SIGHUP)
	}
	rewrite("nonsense")
	r.says("reload failed")
	talk(t, listen).Close()
	rewrite(config("", listen, backend, "") + fmt.Sprintf("[[listener]]\nname = \"more\"\nlisten = %q\ncluster = \"c\"\n", second))
	r.says("reloaded")
	talk(t, second).Close()
	got := make([]byte, 4)
	_, _ = c.Write([]byte("more"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "more" {
		t.Errorf("the session: %q, %v", got, err)
	}
	c.Close()
	r.signal(syscall.SIGTERM)
	r.exits(0)
}

// TestStop: with sessions a stop waits for them, a second signal does not.
func TestStop(t *testing.T) {
	for _, tt := range []struct {
		name     string
		sessions bool
		second   bool
	}{{"without sessions", false, false}, {"the session ends", true, false}, {"a second signal", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			listen := freeAddr(t)
			r := start(t, nil, "--config", file(t, config("", listen, echo(t), "")))
			r.says("sluice is ready")
			var c net.Conn
			if tt.sessions {
				c = talk(t, listen)
			}
			r.signal(syscall.SIGTERM)
			r.says("stopping")
			switch {
			case tt.second:
				r.signal(syscall.SIGINT)
				r.says("stopping at once")
			case tt.sessions:
				if _, err := c.Write([]byte("ping")); err != nil {
					t.Errorf("the session was cut: %v", err)
				}
				if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
					t.Errorf("the session was cut: %v", err)
				}
				c.Close()
			}
			r.exits(0)
			if tt.second != strings.Contains(r.said(), "ended by force") {
				t.Errorf("by force: %s", r.said())
			}
		})
	}
}

// TestNotify: a supervisor hears of the start, of a reload and of the stop, in this order.
func TestNotify(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_ = ln.SetReadDeadline(time.Now().Add(patience))
	heard := func(words ...string) {
		t.Helper()
		b := make([]byte, 1024)
		n, err := ln.Read(b)
		for _, w := range words {
			if err != nil || !strings.Contains(string(b[:n]), w) {
				t.Fatalf("heard %q, %v; want %q", b[:n], err, w)
			}
		}
	}
	r := start(t, []string{"NOTIFY_SOCKET=" + socket}, "--config", file(t, config("", freeAddr(t), echo(t), "")))
	heard("READY=1")
	r.signal(syscall.SIGHUP)
	heard("RELOADING=1", "MONOTONIC_USEC=")
	heard("READY=1")
	r.signal(syscall.SIGTERM)
	heard("STOPPING=1")
	r.exits(0)
}

// TestEnvironmentAlone: no file, everything from variables.
func TestEnvironmentAlone(t *testing.T) {
	listen := freeAddr(t)
	r := start(t, []string{"SLUICE_ADMIN_LISTEN=", "SLUICE_CLUSTER_0_NAME=c", "SLUICE_CLUSTER_0_PROTOCOL=tcp",
		"SLUICE_CLUSTER_0_DISCOVERY=static", "SLUICE_CLUSTER_0_BACKENDS=" + echo(t), "SLUICE_LISTENER_0_NAME=in",
		"SLUICE_LISTENER_0_LISTEN=" + listen, "SLUICE_LISTENER_0_CLUSTER=c"})
	r.says("sluice is ready")
	talk(t, listen)
}

// TestAdmin asks each path with and without credentials.
func TestAdmin(t *testing.T) {
	admin := freeAddr(t)
	r := start(t, nil, "--config", file(t, config(admin, freeAddr(t), echo(t), "user = \"op\"\npassword = \"hunter2\"")))
	r.says("sluice is ready")
	ask := func(method, path, password string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			req.SetBasicAuth("op", password)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for _, tt := range []struct {
		method, path  string
		open, guarded int // the answer without credentials, and with
		words         string
	}{
		{"GET", "/", 200, 200, "OK"},
		{"HEAD", "/", 200, 200, ""},
		{"POST", "/", 405, 405, ""},
		{"GET", "/no-such-path", 404, 404, ""},
		{"GET", "/metrics", 200, 200, "sluice_sessions"},
		{"GET", "/metrics", 200, 200, "go_gc_scan_heap_bytes "},
		{"GET", "/api/debug/health", 200, 200, `"ok"`},
		{"HEAD", "/api/debug/health", 200, 200, ""},
		{"GET", "/api/admin/config", 401, 200, "[[listener]]"},
		{"GET", "/api/admin/config?format=json", 401, 200, `"listener"`},
		{"PUT", "/api/admin/config", 405, 405, ""},
		{"GET", "/api/backends", 401, 200, `"health"`},
		{"GET", "/api/sessions", 401, 200, "[]"},
		{"GET", "/api/sessions?limit=x", 401, 400, "limit"},
		{"GET", "/update_clusters", 401, 200, "Updated 1 cluster(s)"},
		{"POST", "/update_clusters", 401, 200, "Updated 1 cluster(s)"},
		{"GET", "/debug/pprof/goroutine?debug=1", 401, 200, "goroutine profile"},
	} {
		if code, _ := ask(tt.method, tt.path, ""); code != tt.open {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, code, tt.open)
		}
		if code, _ := ask(tt.method, tt.path, "wrong"); code != tt.open {
			t.Errorf("%s %s with a wrong password: %d, want %d", tt.method, tt.path, code, tt.open)
		}
		code, body := ask(tt.method, tt.path, "hunter2")
		if code != tt.guarded || !strings.Contains(body, tt.words) || strings.Contains(body, "hunter2") {
			t.Errorf("%s %s with credentials: %d %q", tt.method, tt.path, code, body)
		}
	}
}

// TestLogReaderGone: when nobody reads standard error any more, Sluice goes on.
func TestLogReaderGone(t *testing.T) {
	admin := freeAddr(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "run")
	cmd.Dir, cmd.Stderr = t.TempDir(), write
	cmd.Env = []string{"PATH=", "SLUICE_ADMIN_LISTEN=" + admin}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	write.Close()
	if _, err := read.Read(make([]byte, 1)); err != nil { // it has begun to speak
		t.Fatal(err)
	}
	read.Close()
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // which is worth a line
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil { // and so is this
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/conf"
	"sluice/engine/console"
)

// stand is a Source for the admin side without a proxy behind it. What a test does not need is missing.
type stand struct {
	console.Source
	calls []string
}

func (s *stand) Stats() []console.Stats        { return nil }
func (s *stand) State() console.State          { return console.State{Clients: 3} }
func (s *stand) Version() string               { return "test" }
func (s *stand) Ordered(console.Who, string)   {}
func (s *stand) Databases() []console.Database { return nil }
func (s *stand) Users() []console.User         { return nil }
func (s *stand) Settings() []console.Setting   { return nil }
func (s *stand) call(format string, args ...any) error {
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
	return nil
}

func (s *stand) Pools() []console.Pool {
	return []console.Pool{{Listener: "pg", Database: "shop", User: "a\x1b[2Jpp", Unit: "transaction", Active: 2, Size: 20}}
}

func (s *stand) Pause(_ context.Context, db string) error     { return s.call("pause %q", db) }
func (s *stand) WaitClose(_ context.Context, db string) error { return s.call("wait-close %q", db) }
func (s *stand) Kill(db string) error                         { return s.call("kill %q", db) }
func (s *stand) Disable(db string) error                      { return s.call("disable %q", db) }
func (s *stand) Reload() error                                { return s.call("reload") }
func (s *stand) Shutdown(how console.Shutdown) error          { return s.call("shutdown %d", how) }
func (s *stand) Set(key, value string) error                  { return s.call("set %q %q", key, value) }
func (s *stand) KillClient(id uint64) error {
	_ = s.call("kill-client %d", id)
	return console.ErrNoClient
}
func (s *stand) Resume(string) error    { return console.ErrNotPaused }
func (s *stand) Reconnect(string) error { return errors.New("the disk is full") }

// adminSide serves the admin routes over the stand-in.
func adminSide(t *testing.T, cfg conf.Config) (*stand, string) {
	t.Helper()
	s := &stand{}
	p := &process{console: console.New(s)}
	p.cfg.Store(&cfg)
	srv := httptest.NewServer((&admin{p: p}).routes())
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// sluice runs the command line and returns what it prints and its exit code.
func sluice(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var b bytes.Buffer
	cmd := root()
	cmd.SetOut(&b)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	if err != nil {
		e := exitError{code: 1}
		_ = errors.As(err, &e)
		return err.Error(), e.code
	}
	return b.String(), 0
}

// TestCtl gives each command once.
func TestCtl(t *testing.T) {
	tests := []struct {
		args, out string
		code      int
		call      string
	}{
		{args: "show lists", out: "list           items\n"},
		{args: "show pools", out: "shop      a?[2Jpp  0"},
		{args: "pools", out: "sv_active"},
		{args: "--json show pools", out: `"user": "a\u001b[2Jpp"`},
		{args: "show help", out: "Console usage"},
		{args: "show version", out: "PgBouncer 1.25.0 compatible (Sluice test)"},
		{args: "show nothing", out: `invalid command "SHOW nothing" (SHOW HELP lists the commands.)`, code: 1},
		{args: "pause", out: "PAUSE\n", call: `pause ""`},
		{args: "pause Shop", out: "PAUSE\n", call: `pause "Shop"`},
		{args: `pause a"b`, out: "PAUSE\n", call: `pause "a\"b"`},
		{args: "--json pause", out: `"tag": "PAUSE"`, call: `pause ""`},
		{args: "wait-close shop", out: "WAIT_CLOSE\n", call: `wait-close "shop"`},
		{args: "kill shop", out: "KILL\n", call: `kill "shop"`},
		{args: "disable shop", out: "DISABLE\n", call: `disable "shop"`},
		{args: "disable", out: "accepts 1 arg(s), received 0", code: 1},
		{args: "kill-client 7", out: "no such client: 7", code: 1, call: "kill-client 7"},
		{args: "resume shop", out: "database shop is not paused", code: 1},
		{args: "reconnect", out: "RECONNECT failed: the disk is full", code: 1},
		{args: "reload", out: "RELOAD\n", call: "reload"},
		{args: "shutdown", out: "SHUTDOWN\n", call: "shutdown 0"},
		{args: "shutdown wait-for-clients", out: "SHUTDOWN\n", call: "shutdown 2"},
		{args: "shutdown later", out: "invalid argument", code: 1},
		{args: "set log.level debug", out: "SET\n", call: `set "log.level" "debug"`},
		{args: "set a.b it's", out: "SET\n", call: `set "a.b" "it's"`},
		{args: "config", out: "[engine]"},
		{args: "--json config", out: `"engine": {`},
	}
	for _, tt := range tests {
		s, url := adminSide(t, *conf.Default())
		out, code := sluice(t, append([]string{"ctl", "--addr", url}, strings.Fields(tt.args)...)...)
		if !strings.Contains(out, tt.out) || code != tt.code {
			t.Errorf("%s: code %d, %q; want %d, %q", tt.args, code, out, tt.code, tt.out)
		}
		if got := strings.Join(s.calls, ", "); got != tt.call {
			t.Errorf("%s: ordered %s, want %s", tt.args, got, tt.call)
		}
	}
}

// TestCheckUserlist: a line of a user list that is wrong is told in one line.
func TestCheckUserlist(t *testing.T) {
	dir := t.TempDir()
	file, list := filepath.Join(dir, "sluice.toml"), filepath.Join(dir, "users.txt")
	text := "[[cluster]]\nname = \"pg\"\nprotocol = \"postgres\"\nbackends = [{addr = \"a:1\"}]\n[[listener]]\nname = \"l\"\n" +
		"listen = \"127.0.0.1:1\"\ncluster = \"pg\"\nmode = \"funnel\"\nauth.userlist = \"users.txt\"\n"
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(list, []byte("app secret\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, code := sluice(t, "check", "--config", file)
	want := fmt.Sprintf("%s: listener \"l\": auth.userlist: %s: line 1: the name does not stand in double quotes", file, list)
	if code != 1 || out != want {
		t.Errorf("code %d, %q; want %q", code, out, want)
	}
}

// TestCtlUnreachable: what could not be asked has a code of its own.
func TestCtlUnreachable(t *testing.T) {
	strange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer strange.Close()
	cfg := *conf.Default()
	cfg.Admin.User, cfg.Admin.Password = "op", "hunter2"
	_, locked := adminSide(t, cfg)
	for _, args := range [][]string{
		{"--addr", "http://127.0.0.1:1", "pools"},
		{"--addr", "nonsense://x", "pools"},
		{"--addr", strange.URL, "pools"},
		{"--addr", locked, "pools"},
		{"--addr", locked, "--user", "op", "--password", "wrong", "pools"},
	} {
		if out, code := sluice(t, append([]string{"ctl"}, args...)...); code != exitUnreachable {
			t.Errorf("%v: code %d, %q", args, code, out)
		}
	}
	if out, code := sluice(t, "ctl", "--addr", locked, "--user", "op", "--password", "hunter2", "pools"); code != 0 {
		t.Errorf("with the password: code %d, %q", code, out)
	}
	if out, code := sluice(t, "ctl", "--addr", strings.TrimPrefix(locked, "http://"), "--user", "op", "--password", "hunter2", "pools"); code != 0 {
		t.Errorf("by host and port: code %d, %q", code, out)
	}
	t.Setenv("SLUICECTL_ADDR", locked)
	t.Setenv("SLUICECTL_USER", "op")
	t.Setenv("SLUICECTL_PASSWORD", "hunter2")
	if out, code := sluice(t, "ctl", "pools"); code != 0 {
		t.Errorf("by the environment: code %d, %q", code, out)
	}
	if out, _ := sluice(t, "ctl", "--help"); strings.Contains(out, "hunter2") {
		t.Errorf("the help tells the password: %s", out)
	}
}

// TestConsoleByHTTP looks at what ctl does not: methods, codes and bodies.
func TestConsoleByHTTP(t *testing.T) {
	s, url := adminSide(t, *conf.Default())
	const asJSON = "application/json; charset=utf-8"
	tests := []struct {
		method, path, kind, body string
		code                     int
		want                     string
	}{
		{"GET", "/api/console?q=SHOW+LISTS", "", "", 200, `"used_clients"`},
		{"GET", "/api/console?q=PAUSE", "", "", 405, "takes POST"},
		{"GET", "/api/console?q=nonsense", "", "", 400, "invalid command"},
		{"GET", "/api/pools", "", "", 200, `"pool_size": 20`},
		{"POST", "/api/console", asJSON, `{"command": "PAUSE shop"}`, 200, `"tag": "PAUSE"`},
		{"POST", "/api/console", asJSON, `{"command": "SHOW LISTS"}`, 200, `"used_clients"`},
		{"POST", "/api/console", asJSON, `{"cmd": "KILL"}`, 400, "unknown field"},
		{"POST", "/api/console", asJSON, `{"command": " ;"}`, 400, "it has no command"},
		{"POST", "/api/console", asJSON, `{}`, 400, "it has no command"},
		{"POST", "/api/console", "text/plain", `{"command": "KILL"}`, 415, "application/json"},
		{"POST", "/api/console", "application/x-www-form-urlencoded", "command=KILL", 415, "application/json"},
		{"POST", "/api/console", "", `{"command": "KILL"}`, 415, "application/json"},
		{"POST", "/api/console", asJSON, "KILL", 400, "not a command"},
		{"POST", "/api/console", asJSON, `{"command": "` + strings.Repeat("x", consoleBodyMax) + `"}`, 400, "too large"},
		{"POST", "/api/console", asJSON, `{"command": "KILL_CLIENT 5"}`, 404, "no such client"},
		{"POST", "/api/console", asJSON, `{"command": "RESUME"}`, 409, "nothing is paused"},
		{"POST", "/api/console", asJSON, `{"command": "SUSPEND"}`, 422, "not supported"},
		{"POST", "/api/console", asJSON, `{"command": "RECONNECT"}`, 500, "the disk is full"},
	}
	for _, tt := range tests {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", tt.kind)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_, _ = b.ReadFrom(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.code || !strings.Contains(b.String(), tt.want) {
			t.Errorf("%s %s %.60s: %d %s", tt.method, tt.path, tt.body, resp.StatusCode, b.String())
		}
	}
	if got := strings.Join(s.calls, ", "); got != `pause "shop", kill-client 5` {
		t.Errorf("ordered %s", got)
	}
}

// TestAdminByName: without credentials, a name that anybody can have made to stand for this address leads
// nowhere, but to what is for all.
func TestAdminByName(t *testing.T) {
	open := *conf.Default()
	closed := open
	closed.Admin.User, closed.Admin.Password = "ops", "geheim"
	for _, tt := range []struct {
		cfg        conf.Config
		host, path string
		code       int
	}{
		{open, "", "/api/console?q=SHOW+LISTS", 200},
		{open, "localhost:3080", "/api/console?q=SHOW+LISTS", 200},
		{open, "127.0.0.1", "/api/console?q=SHOW+LISTS", 200},
		{open, "[::1]:3080", "/api/console?q=SHOW+LISTS", 200},
		{open, "[::1]", "/api/console?q=SHOW+LISTS", 200},
		{open, "rebound.example:3080", "/api/pools", 403},
		{open, "rebound.example", "/api/console?q=SHOW+LISTS", 403},
		{open, "localhost.example", "/debug/pprof/", 403},
		{open, "rebound.example", "/", 200},
		{closed, "rebound.example", "/api/console?q=SHOW+LISTS", 200},
	} {
		_, url := adminSide(t, tt.cfg)
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.host != "" {
			req.Host = tt.host
		}
		if tt.cfg.Admin.User != "" {
			req.SetBasicAuth("ops", "geheim")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.code {
			t.Errorf("%s as %s: %d, want %d", tt.path, tt.host, resp.StatusCode, tt.code)
		}
	}
}

// TestSettings lists every key once, with its default, and no secret.
func TestSettings(t *testing.T) {
	cfg := conf.Default()
	cfg.Admin.Password = "hunter2"
	cfg.Engine.MaxConnections = 77
	c := conf.DefaultCluster()
	c.Name, c.Protocol, c.Backends = "main", "postgres", []conf.Backend{{Addr: "10.0.0.1:5432", Role: "leader"}}
	l := conf.DefaultListener()
	l.Name, l.Listen, l.Cluster = "in", "127.0.0.1:6432", "main"
	cfg.Cluster, cfg.Listener = []conf.Cluster{c}, []conf.Listener{l}
	p := &process{}
	p.cfg.Store(cfg)
	got := map[string]console.Setting{}
	for _, s := range (consoleSource{p}).Settings() {
		if _, twice := got[s.Key]; twice {
			t.Errorf("%s stands there twice", s.Key)
		}
		got[s.Key] = s
		if strings.Contains(s.Value, "hunter2") {
			t.Errorf("%s tells a secret", s.Key)
		}
	}
	for _, want := range []console.Setting{
		{Key: "max_client_conn", Value: "77", Default: "0"},
		{Key: "engine.max-connections", Value: "77", Default: fmt.Sprint(conf.Default().Engine.MaxConnections), Changeable: true},
		{Key: "engine.loops", Value: "0", Default: "0"},
		{Key: "log.level", Value: "info", Default: "info", Changeable: true},
		{Key: "listener.in.cluster", Value: "main", Default: ""},
		{Key: "cluster.main.backends.10.0.0.1:5432.role", Value: "leader"},
	} {
		if got[want.Key] != want {
			t.Errorf("got %+v, want %+v", got[want.Key], want)
		}
	}
	if d := got["listener.in.login-timeout"]; d.Value != d.Default || d.Value == "" {
		t.Errorf("a listener's default: %+v", d)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patroniAPI is Patroni's REST API with an answer that can be changed.
type patroniAPI struct {
	*httptest.Server
	answer atomic.Pointer[string]
	change atomic.Pointer[func(*http.Request)] // carries out a switchover; nil = there is none
}

func newPatroniAPI(t *testing.T) *patroniAPI {
	t.Helper()
	p := &patroniAPI{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := p.answer.Load(); a != nil && r.URL.Path == "/cluster" {
			_, _ = io.WriteString(w, *a)
			return
		}
		if change := p.change.Load(); change != nil && r.Method == "POST" && r.URL.Path == "/switchover" {
			(*change)(r)
			return
		}
		http.Error(w, "there is nothing to tell", http.StatusInternalServerError)
	}))
	t.Cleanup(p.Close)
	return p
}

// members has it tell of two: the one that leads, and the one that does not. What is there of the second is
// after its role.
func (p *patroniAPI) members(leader, replica, more string) {
	member := func(name, addr, role, more string) string {
		host, port, _ := net.SplitHostPort(addr)
		return fmt.Sprintf(`{"name": %q, "host": %q, "port": %s, "role": %q, "timeline": 7%s}`, name, host, port, role, more)
	}
	text := `{"members": [` + member("one", leader, "leader", `, "state": "running"`) + "," +
		member("two", replica, "replica", more) + `]}`
	p.answer.Store(&text)
}

// patroniConfig is a configuration whose cluster is polled once, and then when it is asked for.
func patroniConfig(admin, api string) string {
	return fmt.Sprintf(`
admin.listen = %q
[[cluster]]
name = "pg"
protocol = "tcp"
discovery = "patroni"
patroni = {hosts = [%q], interval = "1h", learn-hosts = false}
[[listener]]
name = "write"
listen = "127.0.0.1:0"
cluster = "pg"
roles = ["leader"]
[[listener]]
name = "read"
listen = "127.0.0.1:0"
cluster = "pg"
roles = ["async"]
max-lag = "1KiB"
`, admin, api)
}

// ctlJSON asks by `sluice ctl --json` and returns the objects by the value of a key.
func ctlJSON(t *testing.T, admin, what, key string) map[string]map[string]any {
	t.Helper()
	out, code := sluice(t, "ctl", "--addr", admin, "--json", what)
	var list []map[string]any
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("%s: code %d, %v in %s", what, code, err, out)
	}
	objects := map[string]map[string]any{}
	for _, o := range list {
		objects[fmt.Sprint(o[key])] = o
	}
	return objects
}

// expect compares what an object holds at some keys, by their text.
func expect(t *testing.T, o map[string]any, want map[string]string) {
	t.Helper()
	for key, text := range want {
		if got := valueAt(o, key); fmt.Sprint(got) != text {
			t.Errorf("%v: %s is %v, want %s", o["addr"], key, got, text)
		}
	}
}

// TestAdminClusters: what is known of a cluster that Patroni runs, and that an update is in force when it is
// answered.
func TestAdminClusters(t *testing.T) {
	api, one, two, admin := newPatroniAPI(t), echo(t), echo(t), freeAddr(t)
	api.members(one, two, `, "state": "streaming", "lag": 2048, "tags": {"zone": "b", "noloadbalance": true}`)
	r := start(t, nil, "--config", file(t, patroniConfig(admin, api.URL)))
	r.says("sluice is ready")
	if out, code := sluice(t, "ctl", "--addr", admin, "update"); code != 0 || out != "Updated 1 cluster(s)\n" {
		t.Fatalf("update: code %d, %s", code, out)
	}
	backends := ctlJSON(t, admin, "backends", "addr")
	expect(t, backends[one], map[string]string{"cluster": "pg", "name": "one", "role": "leader", "leads": "true",
		"state": "running", "timeline": "7", "lag_bytes": "<nil>", "unfit.read": "role", "unfit.write": "<nil>"})
	expect(t, backends[two], map[string]string{"name": "two", "role": "async", "leads": "false", "state": "streaming",
		"lag_bytes": "2048", "zone": "b", "noloadbalance": "true", "tags.zone": "b", "unfit.write": "role", "unfit.read": "tags"})
	cluster := ctlJSON(t, admin, "clusters", "name")["pg"]
	expect(t, cluster, map[string]string{"protocol": "tcp", "discovery": "patroni", "backends": "2", "leader": one,
		"held": "<nil>", "status.stale": "false", "status.from": api.URL})
	if at, _ := valueAt(cluster, "status.last_answer").(string); !strings.Contains(at, "T") {
		t.Errorf("the last answer came at %q", at)
	}

	api.members(two, one, `, "state": "streaming", "lag": 4096`)
	if out, code := sluice(t, "ctl", "--addr", admin, "update"); code != 0 || out != "Updated 1 cluster(s)\n" {
		t.Fatalf("update: code %d, %s", code, out)
	}
	backends = ctlJSON(t, admin, "backends", "addr")
	expect(t, backends[one], map[string]string{"name": "two", "role": "async", "leads": "false", "unfit.read": "lag", "unfit.write": "role"})
	expect(t, backends[two], map[string]string{"name": "one", "role": "leader", "leads": "true", "unfit.write": "<nil>"})

	// With nobody to ask, what is known stays, and is told to be old.
	api.answer.Store(nil)
	if out, code := sluice(t, "ctl", "--addr", admin, "update"); code != 0 || out != "Updated 1 cluster(s)\n" {
		t.Fatalf("update: code %d, %s", code, out)
	}
	cluster = ctlJSON(t, admin, "clusters", "name")["pg"]
	expect(t, cluster, map[string]string{"backends": "2", "leader": two, "status.stale": "true"})
	if polls, failures := valueAt(cluster, "status.polls"), valueAt(cluster, "status.failures"); fmt.Sprint(failures) == "0" || fmt.Sprint(polls) == "0" {
		t.Errorf("%v polls, %v failures", polls, failures)
	}
	if text, _ := valueAt(cluster, "status.last_error").(string); text == "" {
		t.Error("the last error is not told")
	}
	if out, code := sluice(t, "ctl", "--addr", admin, "clusters"); code != 0 || !strings.Contains(out, "last_error") || !strings.Contains(out, two) {
		t.Errorf("clusters: code %d, %s", code, out)
	}
}

// TestAdminHold: new work on a leader is held back for a while, and no page of another site can ask for it.
func TestAdminHold(t *testing.T) {
	api, one, two, admin := newPatroniAPI(t), echo(t), echo(t), freeAddr(t)
	api.members(one, two, `, "state": "streaming"`)
	r := start(t, nil, "--config", file(t, patroniConfig(admin, api.URL)))
	r.says("sluice is ready")
	if out, code := sluice(t, "ctl", "--addr", admin, "update"); code != 0 { // the first leader would end a hold
		t.Fatalf("update: code %d, %s", code, out)
	}
	held := func() any { return ctlJSON(t, admin, "clusters", "name")["pg"]["held"] }
	for _, tt := range []struct {
		args, out string
		code      int
		held      bool
	}{
		{"hold pg", "HOLD\n", 0, true},
		{"resume --cluster pg", "RESUME\n", 0, false},
		{"resume --cluster pg", "RESUME\n", 0, false},
		{"hold --max 10m pg", "HOLD\n", 0, true},
		{"--json resume --cluster pg", "{\n  \"held\": false\n}\n", 0, false},
		{"hold --max 11m pg", "max is no duration of at most 10m", 1, false},
		{"hold --max 0s pg", "max is no duration of at most 10m", 1, false},
		{"hold other", `there is no cluster "other"`, 1, false},
		{"hold a/b", `there is no cluster "a/b"`, 1, false},
		{"resume --cluster other", `there is no cluster "other"`, 1, false},
		{"resume --cluster pg shop", "name one of them", 1, false},
		{"hold", "accepts 1 arg(s)", 1, false},
	} {
		out, code := sluice(t, append([]string{"ctl", "--addr", admin}, strings.Fields(tt.args)...)...)
		if !strings.Contains(out, tt.out) || code != tt.code {
			t.Errorf("%s: code %d, %q; want %d, %q", tt.args, code, out, tt.code, tt.out)
		}
		if (held() != nil) != tt.held {
			t.Errorf("%s: held: %v, want %v", tt.args, held(), tt.held)
		}
	}
	ask := func(method, path string, header ...string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for _, tt := range []struct {
		code         int
		method, path string
		header       []string
	}{
		{http.StatusMethodNotAllowed, "GET", "/api/clusters/pg/hold", nil},
		{http.StatusForbidden, "POST", "/api/clusters/pg/hold", []string{"Sec-Fetch-Site", "cross-site"}},
		{http.StatusForbidden, "POST", "/api/clusters/pg/resume", []string{"Origin", "http://elsewhere.example"}},
		{http.StatusForbidden, "POST", "/api/clusters/pg/hold", []string{"Origin", "null"}},
		{http.StatusBadRequest, "POST", "/api/clusters/pg/hold?max=soon", nil},
	} {
		if code := ask(tt.method, tt.path, tt.header...); code != tt.code {
			t.Errorf("%s %s %v: %d, want %d", tt.method, tt.path, tt.header, code, tt.code)
		}
	}
	if why := held(); why != nil {
		t.Errorf("held: %v", why)
	}
	if code := ask("POST", "/api/clusters/pg/hold?max=50ms"); code != http.StatusOK {
		t.Errorf("hold: %d", code)
	}
	for end := time.Now().Add(patience); held() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the hold does not end when its time is over")
		}
	}
}

// TestAdminSwitchover: Patroni is asked for it while new work is held back, and the answer comes when the new
// leader is in force.
func TestAdminSwitchover(t *testing.T) {
	api, one, two, admin := newPatroniAPI(t), echo(t), echo(t), freeAddr(t)
	api.members(one, two, `, "state": "streaming"`)
	text := patroniConfig(admin, api.URL) + "[[cluster]]\nname = \"fixed\"\nprotocol = \"tcp\"\nbackends = [{addr = \"" + one + "\"}]\n"
	r := start(t, nil, "--config", file(t, text))
	r.says("sluice is ready")
	held := func() any { return ctlJSON(t, admin, "clusters", "name")["pg"]["held"] }
	if out, code := sluice(t, "ctl", "--addr", admin, "update"); code != 0 {
		t.Fatalf("update: code %d, %s", code, out)
	}
	order := func(args, want string, code int) {
		t.Helper()
		out, got := sluice(t, append([]string{"ctl", "--addr", admin, "switchover"}, strings.Fields(args)...)...)
		if !strings.Contains(out, want) || got != code {
			t.Errorf("switchover %s: code %d, %s; want %d, %s", args, got, out, code, want)
		}
	}
	order("fixed", "the members of this cluster are not Patroni's", 1)
	order("other", `there is no cluster "other"`, 1)
	order("pg --candidate one", `"one" is the leader`, 1)
	order("pg --candidate three", `there is no member "three"`, 1)
	order("pg", `no switchover: the answer's status is 500: "there is nothing to tell"`, 1)
	if why := held(); why != nil {
		t.Errorf("held behind a switchover that is none: %v", why)
	}
	var asked atomic.Pointer[string]
	var during atomic.Value
	change := func(do func(*http.Request)) { api.change.Store(&do) }
	change(func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked.Store(new(string(body)))
		during.Store(fmt.Sprint(held()))
		api.members(two, one, `, "state": "streaming"`)
	})
	order("pg --candidate two", "SWITCHOVER "+two+"\n", 0)
	if text := asked.Load(); text == nil || *text != `{"candidate":"two","leader":"one"}` {
		t.Errorf("Patroni was asked for %v", text)
	}
	if during.Load() != "the admin side asked for a switchover" {
		t.Errorf("meanwhile held: %v", during.Load())
	}
	if why := held(); why != nil {
		t.Errorf("held behind it: %v", why)
	}
	// Somebody else's request, or one that fails while there is a hold, ends none.
	begun, goOn, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	change(func(*http.Request) { close(begun); <-goOn; api.members(one, two, `, "state": "streaming"`) })
	go func() { defer close(over); order("pg", "SWITCHOVER "+one, 0) }()
	<-begun
	order("pg", "a switchover of this cluster is under way", 1)
	if held() == nil {
		t.Error("not held while the first one is under way")
	}
	close(goOn)
	<-over
	if out, code := sluice(t, "ctl", "--addr", admin, "hold", "pg"); code != 0 {
		t.Fatalf("hold: code %d, %s", code, out)
	}
	change(func(*http.Request) { panic(http.ErrAbortHandler) })
	order("pg", "no switchover", 1)
	if held() == nil {
		t.Error("a hold of the operator's was ended")
	}
	if out, code := sluice(t, "ctl", "--addr", admin, "resume", "--cluster", "pg"); code != 0 {
		t.Fatalf("resume: code %d, %s", code, out)
	}
	change(func(*http.Request) {}) // it says so, but it has not
	order("pg", "the new leader is not known yet", 1)
	if held() == nil {
		t.Error("not held while the new leader is not known")
	}
}

// TestHealthWhileSearching: load balancers are told to wait for the first answer, but not for ever.
func TestHealthWhileSearching(t *testing.T) {
	api, admin := newPatroniAPI(t), freeAddr(t)
	begun := time.Now() // which is before the time that is allowed for it
	r := start(t, nil, "--config", file(t, patroniConfig(admin, api.URL)))
	r.says("sluice is ready")
	health := func() (int, string) {
		t.Helper()
		res, err := http.Get("http://" + admin + "/api/debug/health")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	for end := begun.Add(patience); ; time.Sleep(20 * time.Millisecond) {
		code, body := health()
		if code == http.StatusOK {
			break
		}
		if !strings.Contains(body, "starting") || time.Now().After(end) {
			t.Fatalf("health: %d %s", code, body)
		}
	}
	if took := time.Since(begun); took < searchTime {
		t.Errorf("it was well after %v, without an answer", took)
	}

	one, two := echo(t), echo(t)
	api.members(one, two, "")
	admin = freeAddr(t)
	start(t, nil, "--config", file(t, patroniConfig(admin, api.URL))).says("sluice is ready")
	if out, code := sluice(t, "ctl", "--addr", admin, "update"); code != 0 {
		t.Fatalf("update: code %d, %s", code, out)
	}
	if code, body := health(); code != http.StatusOK {
		t.Errorf("health with members: %d %s", code, body)
	}
}

// TestReloadPatroni: hosts, interval, roles and limits change while sessions go on; those that a limit takes
// their backend from end.
func TestReloadPatroni(t *testing.T) {
	first, second, admin, write, read := newPatroniAPI(t), newPatroniAPI(t), freeAddr(t), freeAddr(t), freeAddr(t)
	one, two := echo(t), echo(t)
	for _, api := range []*patroniAPI{first, second} {
		api.members(one, two, `, "state": "streaming", "lag": 2048`)
	}
	text := func(api *patroniAPI, interval, roles, lag string) string {
		return fmt.Sprintf("admin.listen = %q\n[[cluster]]\nname = \"pg\"\nprotocol = \"tcp\"\ndiscovery = \"patroni\"\n"+
			"patroni = {hosts = [%q], interval = %q, learn-hosts = false}\n"+
			"[[listener]]\nname = \"write\"\nlisten = %q\ncluster = \"pg\"\nroles = [\"leader\"]\n"+
			"[[listener]]\nname = \"read\"\nlisten = %q\ncluster = \"pg\"\nroles = [%s]\nmax-lag = %q\ndrain-timeout = \"0s\"\n",
			admin, api.URL, interval, write, read, roles, lag)
	}
	path := file(t, text(first, "1h", `"async"`, "4KiB"))
	r := start(t, nil, "--config", path)
	r.says("sluice is ready")
	again := func(c net.Conn) {
		t.Helper()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte("more")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(text, words string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := sluice(t, "ctl", "--addr", admin, "update"); code != 0 { // all is settled before
			t.Fatalf("update: code %d, %s", code, out)
		}
		r.signal(syscall.SIGHUP)
		r.says(words)
	}
	writer, reader := talk(t, write), talk(t, read)

	reload(text(second, "1s", `"async"`, "4KiB"), "clusters changed: pg (patroni.hosts, patroni.interval)")
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // by itself: the interval is another one too
		if status := ctlJSON(t, admin, "clusters", "name")["pg"]; valueAt(status, "status.from") == second.URL {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the new host is not asked")
		}
	}
	again(writer)
	again(reader)

	reload(text(second, "1s", `"async", "sync"`, "3KiB"), "listeners changed: read (roles, max-lag)")
	again(writer)
	again(reader)

	reload(text(second, "1s", `"async", "sync"`, "1KiB"), "listeners changed: read (max-lag)")
	_ = reader.SetDeadline(time.Now().Add(patience))
	if _, err := reader.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the session on a replica too far behind goes on: %v", err)
	}
	again(writer)

	reload("nonsense", "reload failed")
	again(writer)
}

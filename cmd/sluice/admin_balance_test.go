package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/conf"
	"sluice/router"
)

// drainConfig is a configuration with two backends in one cluster, of which another one has the first too.
func drainConfig(admin, listen, one, two string) string {
	return fmt.Sprintf(`
admin.listen = %q
[[cluster]]
name = "raw"
protocol = "tcp"
backends = [{addr = %q}, {addr = %q}]
[[cluster]]
name = "other"
protocol = "tcp"
backends = [{addr = %[3]q}]
[[listener]]
name = "in"
listen = %q
cluster = "raw"
[[listener]]
name = "aside"
listen = "127.0.0.1:0"
cluster = "other"
`, admin, two, one, listen)
}

// TestAdminDrain: a backend is emptied and resumed by command, the answer says how far that is, and nobody is sent
// there meanwhile.
func TestAdminDrain(t *testing.T) {
	one, two, admin, listen := echo(t), echo(t), freeAddr(t), freeAddr(t)
	r := start(t, nil, "--config", file(t, drainConfig(admin, listen, one, two)))
	r.says("sluice is ready")
	drained := func(addr string) (why string) {
		for _, b := range listed(t, admin) {
			if text, _ := b["drained"].(string); b["addr"] == addr {
				why += text
			}
		}
		return why
	}
	for _, tt := range []struct {
		args, out string
		code      int
	}{
		{"drain --backend nowhere:1", `there is no backend "nowhere:1"`, 1},
		{"drain --backend " + two + " --cluster raw", "DRAIN " + two + ": 0 sessions left, 0 on their way\n", 0},
		{"drain --backend " + two + " --cluster raw --wait", "DRAIN " + two + ": 0 sessions left, 0 on their way\n", 0},
		{"drain --backend " + one, `there is a backend "` + one + `" in the clusters other, raw: say which`, 1},
		{"drain --backend " + one + " --cluster raw", "no other backend is fit for its sessions", 0},
		{"resume --backend " + one + " --cluster raw", "RESUME\n", 0},
		{"resume --backend " + one + " --cluster nowhere", `there is no backend "` + one + `" in a cluster "nowhere"`, 1},
		{"resume shop --backend " + one, "name one of them", 1},
		{"drain", "required flag", 1},
	} {
		out, code := sluice(t, append([]string{"ctl", "--addr", admin}, strings.Fields(tt.args)...)...)
		if !strings.Contains(out, tt.out) || code != tt.code {
			t.Errorf("%s: code %d, %q; want %d, %q", tt.args, code, out, tt.code, tt.out)
		}
	}
	if why := drained(two); !strings.Contains(why, "the admin side") {
		t.Errorf("%s is drained: %q", two, why)
	}
	for range 10 {
		c, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range listed(t, admin) {
		want := "0"
		if b["addr"] == one && b["cluster"] == "raw" {
			want = "10"
		}
		if fmt.Sprint(b["sessions"]) != want {
			t.Errorf("%v of %v has %v sessions, want %s", b["addr"], b["cluster"], b["sessions"], want)
		}
		if text, _ := b["explain"].(string); text == "" {
			t.Errorf("%v: how it stands is not explained", b)
		}
	}
	if out, code := sluice(t, "ctl", "--addr", admin, "balance"); code != 0 || !strings.HasPrefix(out, "since") {
		t.Errorf("balance: code %d, %s", code, out)
	}
	if out, code := sluice(t, "ctl", "--addr", admin, "--json", "resume", "--backend", two); code != 0 || !strings.Contains(out, `"drained": false`) {
		t.Errorf("resume: code %d, %s", code, out)
	}
	if why := drained(two); why != "" {
		t.Errorf("%s is drained: %q", two, why)
	}
}

// TestDrainWaits: who waits until a backend is empty does not drain it again when somebody else resumes it, and is told
// what is left when the time is over.
func TestDrainWaits(t *testing.T) {
	one, two, admin, listen := echo(t), echo(t), freeAddr(t), freeAddr(t)
	start(t, nil, "--config", file(t, drainConfig(admin, listen, one, two))).says("sluice is ready")
	ctl := func(args ...string) (string, int) {
		return sluice(t, append([]string{"ctl", "--addr", admin}, args...)...)
	}
	if out, code := ctl("drain", "--backend", one, "--cluster", "raw"); code != 0 {
		t.Fatal(out)
	}
	c, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	for _, step := range []func([]byte) (int, error){c.Write, c.Read} {
		if _, err := step([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := ctl("drain", "--backend", two, "--timeout", "1s", "--wait"); code != 1 || !strings.Contains(out, "1 sessions are left") {
		t.Errorf("behind its time: code %d, %q", code, out)
	}
	type answer struct {
		out  string
		code int
	}
	waited := make(chan answer)
	go func() {
		out, code := ctl("drain", "--backend", two, "--wait")
		waited <- answer{out, code}
	}()
	for { // until somebody who waits has ended
		if out, code := ctl("resume", "--backend", two); code != 0 {
			t.Fatal(out)
		}
		select {
		case a := <-waited:
			if a.code != 1 || !strings.Contains(a.out, "was resumed meanwhile: 1 sessions are left") {
				t.Errorf("resumed by somebody else: code %d, %q", a.code, a.out)
			}
		case <-time.After(2 * drainPoll):
			continue
		}
		break
	}
	for _, b := range listed(t, admin) {
		if b["addr"] == two && b["drained"] != nil {
			t.Errorf("it is drained: %v", b)
		}
	}
}

// TestDrainFromAnotherSite: no page of another site can have a backend drained.
func TestDrainFromAnotherSite(t *testing.T) {
	one, two, admin := echo(t), echo(t), freeAddr(t)
	start(t, nil, "--config", file(t, drainConfig(admin, freeAddr(t), one, two))).says("sluice is ready")
	for path, header := range map[string][2]string{
		"drain": {"Sec-Fetch-Site", "cross-site"}, "resume": {"Origin", "http://elsewhere.example"}} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+admin+"/api/backends/"+two+"/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header[0], header[1])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// listed are the backends that there are, of all clusters.
func listed(t *testing.T, admin string) (list []map[string]any) {
	t.Helper()
	out, code := sluice(t, "ctl", "--addr", admin, "--json", "backends")
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 3 {
		t.Fatalf("code %d, %v in %s", code, err, out)
	}
	return list
}

// TestBalanceOptions: what is configured is what the router gets.
func TestBalanceOptions(t *testing.T) {
	c := conf.DefaultCluster()
	plain := balanceOf(&conf.Engine{}, &c)
	if *plain.Spread != (router.Spread{CountRatio: router.DefaultCountRatio}) || plain.Interval != 100*time.Millisecond {
		t.Errorf("by default: %+v", plain.Spread)
	}
	c.Balance = conf.Balance{Policy: "location", Routing: "idlest", Label: "tenant", CountRatio: 2, Interval: conf.Duration(time.Second),
		StatusSpeed: 1, HealthSpeed: 2, MemorySpeed: 3, CPUSpeed: 4, LocationSpeed: 5, CountSpeed: 6}
	e := conf.Engine{Zone: "z", Labels: []conf.Tag{{Name: "tenant", Value: "shop"}}}
	want := router.Spread{Policy: router.ByLocation, Routing: router.Idlest, Label: "tenant", LabelValue: "shop", Zone: "z",
		CountRatio: 2, Speeds: [router.Factors]float64{0, 1, 2, 3, 4, 5, 6}}
	if got := balanceOf(&e, &c); *got.Spread != want || got.Interval != time.Second {
		t.Errorf("got %+v, want %+v", got.Spread, want)
	}
	e.Labels = nil
	if got := balanceOf(&e, &c); got.Spread.Label != "" {
		t.Errorf("without a label of its own it asks for %q", got.Spread.Label)
	}
}

// TestDrainOutlivesReloads: what is drained stays so when the configuration is read again, also if it is not in there
// for a while; meanwhile it can be resumed, and nothing else. A new process knows of no drain.
func TestDrainOutlivesReloads(t *testing.T) {
	one, two, admin, listen := echo(t), echo(t), freeAddr(t), freeAddr(t)
	both := drainConfig(admin, listen, one, two)
	without := strings.Replace(both, fmt.Sprintf("{addr = %q}, ", two), "", 1)
	path := file(t, both)
	r := start(t, nil, "--config", path)
	r.says("sluice is ready")
	ctl := func(args, want string, code int) {
		t.Helper()
		out, got := sluice(t, append([]string{"ctl", "--addr", admin}, strings.Fields(args)...)...)
		if !strings.Contains(out, want) || got != code {
			t.Errorf("%s: code %d, %q; want %d, %q", args, got, out, code, want)
		}
	}
	reload := func(text string, done string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.signal(syscall.SIGHUP)
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			if out, _ := sluice(t, "ctl", "--addr", admin, "--json", "backends"); strings.Contains(out, done) == (text == both) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the reload has no effect:\n%s", r.said())
			}
		}
	}
	ctl("drain --backend "+two, "DRAIN", 0)
	reload(without, two)
	ctl("drain --backend "+two, "there is no backend", 1)
	ctl("drain --backend "+two+" --cluster raw", "there is no backend", 1)
	reload(both, two)
	ctl("backends", "the admin side asked for it", 0)
	reload(without, two)
	ctl("resume --backend "+two, "it is not there at present", 0)
	ctl("resume --backend "+two, "there is no backend", 1)
	reload(both, two)
	if out, _ := sluice(t, "ctl", "--addr", admin, "backends"); strings.Contains(out, "the admin side asked for it") {
		t.Errorf("it is drained still:\n%s", out)
	}

	ctl("drain --backend "+two, "DRAIN", 0)
	r.signal(syscall.SIGTERM)
	r.exits(0)
	r = start(t, nil, "--config", path)
	r.says("sluice is ready")
	ctl("drain --backend "+one+" --cluster raw", "DRAIN "+one+": 0 sessions left, 0 on their way\n", 0) // the other one takes sessions
}

// TestDrainPaths: what the paths take, and how each wrong one is refused.
func TestDrainPaths(t *testing.T) {
	one, two, admin := echo(t), echo(t), freeAddr(t)
	start(t, nil, "--config", file(t, drainConfig(admin, freeAddr(t), one, two))).says("sluice is ready")
	for _, tt := range []struct {
		method, path string
		status       int
		holds        string
	}{
		{"POST", "/api/backends/" + two + "/drain", 200, `"drained": true`},
		{"POST", "/api/backends/" + two + "/drain", 200, `"drained": true`}, // twice is once
		{"POST", "/api/backends/" + two + "/resume?cluster=raw", 200, `"drained": false`},
		{"POST", "/api/backends/" + two + "/resume", 200, `"drained": false`},
		{"POST", "/api/backends/127.0.0.1:1/drain", 404, "there is no backend"},
		{"POST", "/api/backends/127.0.0.1:1/resume", 404, "there is no backend"},
		{"POST", "/api/backends/" + two + "/drain?cluster=other", 404, "in a cluster"},
		{"POST", "/api/backends/" + one + "/drain", 409, "other, raw"},
		{"POST", "/api/backends/" + one + "/drain?cluster=other", 200, `"cluster": "other"`},
		{"POST", "/api/backends/" + two + "/away", 404, ""},
		{"GET", "/api/backends/" + two + "/drain", 405, ""},
		{"GET", "/api/balance", 200, "[]"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+admin+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != tt.status || !strings.Contains(string(text), tt.holds) {
			t.Errorf("%s %s: %d %s, %v; want %d %s", tt.method, tt.path, res.StatusCode, text, err, tt.status, tt.holds)
		}
	}
}

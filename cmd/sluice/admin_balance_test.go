package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
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

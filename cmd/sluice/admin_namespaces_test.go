package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// saying is a server of protocol tcp that says a word and closes.
func saying(t *testing.T, word string) string {
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
			_, _ = io.WriteString(c, word)
			c.Close()
		}
	}()
	return ln.Addr().String()
}

// heard connects and returns all that is said.
func heard(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ctlOf runs a command that has to succeed.
func ctlOf(t *testing.T, admin string, args ...string) string {
	t.Helper()
	out, code := sluice(t, append([]string{"ctl", "--addr", admin}, args...)...)
	if code != 0 {
		t.Fatalf("%v: code %d, %s", args, code, out)
	}
	return out
}

// TestAdminNamespaces: namespaces are put and removed while Sluice runs, checked as those of the file are, and the
// file's come back when it is read again.
func TestAdminNamespaces(t *testing.T) {
	admin, listen := freeAddr(t), freeAddr(t)
	path := file(t, config(admin, listen, saying(t, "own"), "")+fmt.Sprintf(`
[[cluster]]
name = "d"
protocol = "tcp"
backends = [{ addr = %q }]
[[namespace]]
name = "nobody"
clients = ["10.0.0.0/8"]
cluster = "d"
`, saying(t, "tenant")))
	r := start(t, nil, "--config", path)
	r.says("sluice is ready")
	if got := heard(t, listen); got != "own" {
		t.Fatalf("without a namespace: %q", got)
	}
	input := filepath.Join(t.TempDir(), "ns.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(input, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"clients": ["127.0.0.1"], "listeners": ["in"], "cluster": "d", "max-connections": 3}`)
	if out := ctlOf(t, admin, "namespaces", "put", "local", "--file", input, "--before", "nobody"); out != "local: put, in force until the configuration file is read again\n" {
		t.Errorf("put: %q", out)
	}
	if got := heard(t, listen); got != "tenant" {
		t.Errorf("in the namespace: %q", got)
	}
	if out := ctlOf(t, admin, "namespaces", "list"); !strings.Contains(out, "local") || strings.Index(out, "local") > strings.Index(out, "nobody") {
		t.Errorf("list:\n%s", out)
	}
	one := ctlOf(t, admin, "namespaces", "get", "local")
	var m map[string]any
	if err := json.Unmarshal([]byte(one), &m); err != nil || fmt.Sprint(m["clients"]) != "[127.0.0.1/32]" || m["max-connections"] != 3.0 {
		t.Errorf("get: %v, %s", err, one)
	}
	write(one) // what get prints can be put
	ctlOf(t, admin, "namespaces", "put", "local", "--file", input)

	write(`{"cluster": "nowhere"}`)
	if out, code := sluice(t, "ctl", "--addr", admin, "namespaces", "put", "local", "--file", input); code != 1 || !strings.Contains(out, `there is no cluster "nowhere"`) {
		t.Errorf("a bad one: code %d, %s", code, out)
	}
	if got := heard(t, listen); got != "tenant" {
		t.Errorf("behind a bad one: %q", got)
	}
	for _, args := range [][]string{{"get", "none"}, {"del", "none"}} {
		if out, code := sluice(t, append([]string{"ctl", "--addr", admin, "namespaces"}, args...)...); code != 1 || out != "there is no such namespace" {
			t.Errorf("%v: code %d, %s", args, code, out)
		}
	}
	foreign, err := http.NewRequest("DELETE", "http://"+admin+"/api/admin/namespace/local", nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign.Header.Set("Origin", "http://elsewhere.example")
	if resp, err := http.DefaultClient.Do(foreign); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another site: %v, %v", resp, err)
	}
	big := strings.NewReader(`{"users": ["` + strings.Repeat("x", namespaceMax) + `"]}`)
	req, err := http.NewRequest("PUT", "http://"+admin+"/api/admin/namespace/local", big)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %v, %v", resp, err)
	}

	ctlOf(t, admin, "namespaces", "del", "local")
	if got := heard(t, listen); got != "own" {
		t.Errorf("behind its end: %q", got)
	}
	write(`{"clients": ["127.0.0.1"], "cluster": "d"}`)
	ctlOf(t, admin, "namespaces", "put", "local", "--file", input)
	r.signal(syscall.SIGHUP)
	r.says(`"changes": "namespaces removed: local"`)
	if got := heard(t, listen); got != "own" {
		t.Errorf("behind a reload: %q", got)
	}
	if out := ctlOf(t, admin, "namespaces", "list"); strings.Contains(out, "local") || !strings.Contains(out, "nobody") {
		t.Errorf("behind a reload:\n%s", out)
	}
}

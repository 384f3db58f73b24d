package patroni

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSwitchoverRequest: what is asked for, of whom, and what comes of an answer.
func TestSwitchoverRequest(t *testing.T) {
	gone, first, second := startFake(t), startFake(t), startFake(t)
	gone.stop()
	type request struct {
		path, kind, user, password string
		body                       map[string]string
	}
	var asked []request
	status, words := http.StatusOK, "Successfully switched over to \"two\""
	first.does(func(w http.ResponseWriter, r *http.Request) {
		q := request{path: r.Method + " " + r.URL.Path, kind: r.Header.Get("Content-Type")}
		q.user, q.password, _ = r.BasicAuth()
		if err := json.NewDecoder(r.Body).Decode(&q.body); err != nil {
			t.Error(err)
		}
		asked = append(asked, q)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, words)
	})
	second.does(func(http.ResponseWriter, *http.Request) { t.Error("the second host was asked as well") })
	opt := &Options{Hosts: []string{gone.URL, first.URL, second.URL}, Timeout: patience, User: "u", Password: "p"}

	if err := opt.Switchover(t.Context(), "one", "two"); err != nil {
		t.Fatal(err)
	}
	if err := opt.Switchover(t.Context(), "one", ""); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 2 {
		t.Fatalf("%d requests", len(asked))
	}
	for i, body := range []string{`{"candidate":"two","leader":"one"}`, `{"leader":"one"}`} {
		got, _ := json.Marshal(asked[i].body)
		if q := asked[i]; q.path != "POST /switchover" || q.kind != "application/json" || q.user != "u" || q.password != "p" || string(got) != body {
			t.Errorf("asked for %+v, %s", q, got)
		}
	}

	status, words = http.StatusPreconditionFailed, "leader name does not match\x1b[2J"+strings.Repeat("x", 10*wordsMax)
	err := opt.Switchover(t.Context(), "one", "")
	if err == nil || !strings.Contains(err.Error(), `412: "leader name does not match\x1b[2J`) || len(err.Error()) > 200 {
		t.Errorf("a refusal: %v", err)
	}
	// A host that was reached may have passed it on, whatever became of the answer.
	first.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if err := opt.Switchover(t.Context(), "one", ""); err == nil {
		t.Error("an answer that was cut off passes for one")
	}
	opt.Hosts = []string{gone.URL}
	if err := opt.Switchover(t.Context(), "one", ""); err == nil || !unreached(err) {
		t.Errorf("with nobody there: %v", err)
	}
}

// blackHole is a URL at which connects get no answer at all, as at a machine that is gone: a queue of
// connections that is full.
func blackHole(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	for range 10 {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), 300*time.Millisecond)
		if err != nil {
			return "http://" + ln.Addr().String()
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("its queue does not fill")
	return ""
}

// TestSwitchoverByAnother: a machine that is gone does not keep the others from being asked.
func TestSwitchoverByAnother(t *testing.T) {
	there := startFake(t)
	there.does(func(http.ResponseWriter, *http.Request) {})
	opt := &Options{Hosts: []string{blackHole(t), there.URL}, Timeout: 100 * time.Millisecond}
	begin := time.Now()
	if err := opt.Switchover(t.Context(), "one", ""); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("it took %v", took)
	}
}

package patroni

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
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
	opt := &Options{Hosts: []string{gone.URL, first.URL, second.URL}, Timeout: time.Millisecond, User: "u", Password: "p"}

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

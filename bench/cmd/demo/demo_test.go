package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// TestMain lets the test binary be the SQL servers, as the demo's own program is.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "-serve" {
		exit(serve(os.Args[2], os.Args[4]))
	}
	os.Exit(m.Run())
}

// within returns a context that ends a test that hangs.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestClientsAndTheirServer has clients work on a server without Sluice: all answers are right, and
// when the server is killed each session ends with it and nothing else goes wrong.
func TestClientsAndTheirServer(t *testing.T) {
	ctx := within(t)
	backends, err := newBackends("alpha")
	if err != nil {
		t.Fatal(err)
	}
	b := backends[0]
	t.Cleanup(b.stop)
	if err := b.start(ctx); err != nil {
		t.Fatal(err)
	}
	db, err := openDB(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const clients = 4
	w := &workload{db: db, backends: backends, figures: &figures{}}
	work, stop := context.WithCancel(ctx)
	w.run(work, clients)
	err = child.Until(ctx, nil, func() error {
		if s := w.figures.take(time.Second); s.answers < 100 {
			return fmt.Errorf("only %d answers", s.answers)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.kill()
	err = child.Until(ctx, nil, func() error {
		// Sessions that begin after the death fail too, and count as unexpected: here is no other
		// server that could take them.
		s := w.figures.take(time.Second)
		if s.ended < 1 || s.unexpected < clients {
			return fmt.Errorf("%d ended, %d unexpected errors", s.ended, s.unexpected)
		}
		return nil
	})
	stop()
	w.done.Wait()
	if err != nil {
		t.Fatal(err)
	}
	_, unexpected := w.figures.texts()
	for text := range unexpected {
		if !strings.HasPrefix(text, "connect: ") {
			t.Errorf("%q; want only failed connects", text)
		}
	}
}

func TestWrongAnswerIsNoticed(t *testing.T) {
	ctx := within(t)
	backends, err := newBackends("alpha")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backends[0].stop)
	if err := backends[0].start(ctx); err != nil {
		t.Fatal(err)
	}
	db, err := openDB(backends[0].addr)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "UPDATE accounts SET owner = 'somebody else'"); err != nil {
		t.Fatal(err)
	}
	w := &workload{db: db, backends: backends, figures: &figures{}}
	w.session(ctx)
	_, unexpected := w.figures.texts()
	for text := range unexpected {
		if strings.Contains(text, `the answer is "somebody else"`) {
			return
		}
	}
	t.Errorf("got %v; want the wrong answer told", unexpected)
}

// TestWhoseFault draws a kill from second 10 to 11 and asks which failures it explains.
func TestWhoseFault(t *testing.T) {
	second := func(n float64) time.Time { return time.Unix(0, int64(n*1e9)) }
	over := &backend{name: "alpha", killed: map[string]bool{"alpha 1": true}, killBegan: second(10), killEnded: second(11)}
	underWay := &backend{name: "alpha", killed: map[string]bool{"alpha 1": true}, killBegan: second(10)}
	never := &backend{name: "alpha", killed: map[string]bool{}}
	tests := []struct {
		name  string
		b     *backend
		life  string
		began time.Time
		want  bool
	}{
		{"was on the killed server", over, "alpha 1", second(1), true},
		{"was on its next life", over, "alpha 2", second(20), false},
		{"was on the other server", over, "beta 1", second(1), false},
		{"logged in while it was killed", over, "", second(10.5), true},
		{"logged in as the kill began", over, "", second(9.9), true},
		{"began after it was dead", over, "", second(11.1), false},
		{"kill under way", underWay, "", second(10.5), true},
		{"never killed, on it", never, "alpha 1", second(1), false},
		{"never killed, logging in", never, "", second(1), false},
	}
	for _, tt := range tests {
		if got := tt.b.took(tt.life, tt.began); got != tt.want {
			t.Errorf("%s: got %t; want %t", tt.name, got, tt.want)
		}
	}
}

func TestReadGauge(t *testing.T) {
	const text = `# TYPE sluice_backend_sessions gauge
sluice_backend_sessions{cluster="demo",backend="127.0.0.1:1"} 16
sluice_backend_sessions{backend="127.0.0.1:2",cluster="demo"} 3
sluice_backend_sessions_total{backend="127.0.0.1:2"} 99
sluice_backend_up{backend="127.0.0.1:1"} 1
`
	got, err := readGauge(strings.NewReader(text), "sluice_backend_sessions", "backend")
	if err != nil || len(got) != 2 || got["127.0.0.1:1"] != 16 || got["127.0.0.1:2"] != 3 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{`m{backend="x"} many`, `m{other="x"} 1`, `m{backend="x} 1`} {
		if got, err := readGauge(strings.NewReader(bad), "m", "backend"); err == nil {
			t.Errorf("%s: got %v; want an error", bad, got)
		}
	}
}

func TestFigures(t *testing.T) {
	var f figures
	for i := range 100 {
		f.answered(time.Duration(100-i) * time.Millisecond)
	}
	for i := range 3 * textsMax {
		f.ended(fmt.Errorf("ending %d", i))
		f.failed(errors.New("always the same"))
	}
	s := f.take(2 * time.Second)
	if s.perSecond != 50 || s.answers != 100 || s.p50 != 51*time.Millisecond || s.p99 != 100*time.Millisecond {
		t.Errorf("got %+v", s)
	}
	if s.ended != 3*textsMax || s.unexpected != 3*textsMax {
		t.Errorf("got %d ended, %d unexpected", s.ended, s.unexpected)
	}
	ends, unexpected := f.texts()
	if len(ends) != textsMax || unexpected["always the same"] != 3*textsMax {
		t.Errorf("got %d texts of endings and %v", len(ends), unexpected)
	}
	if s := f.take(time.Second); s.perSecond != 0 || s.answers != 100 {
		t.Errorf("second take: %+v", s)
	}
}

// TestScreen shows the same to a terminal and to a file.
func TestScreen(t *testing.T) {
	backends := []*backend{{name: "alpha", addr: "a"}, {name: "beta", addr: "b"}}
	show := func(s *screen) string {
		var out bytes.Buffer
		s.out, s.began = &out, time.Now()
		s.figures(snapshot{perSecond: 1234, unexpected: 1}, backends, map[string]int{"a": 7, "b": 9})
		s.event("something happens")
		return out.String()
	}
	plain := show(&screen{})
	if strings.ContainsAny(plain, "\r\x1b") || strings.Count(plain, "\n") != 2 {
		t.Errorf("for a file: %q", plain)
	}
	for _, want := range []string{"1234 queries/s", "alpha  7  beta  9", "errors 1", "something happens"} {
		if !strings.Contains(plain, want) {
			t.Errorf("for a file: %q lacks %q", plain, want)
		}
	}
	terminal := show(&screen{live: true, color: true})
	if strings.Count(terminal, "\n") != 1 || !strings.Contains(terminal, clearLine) || !strings.Contains(terminal, red) {
		t.Errorf("for a terminal: %q", terminal)
	}
}

// TestJudge holds what makes the demo fail.
func TestJudge(t *testing.T) {
	tests := []struct {
		name     string
		answers  int
		ends     int
		failures int
		whole    bool
		returned int
		want     string // in the error; "" = all was well
	}{
		{"as it should be", 10, 3, 0, true, 5, ""},
		{"interrupted early", 10, 0, 0, false, 0, ""},
		{"unexpected error", 10, 3, 1, true, 5, "should not have seen"},
		{"unexpected error, interrupted", 10, 0, 1, false, 0, "should not have seen"},
		{"nothing answered", 0, 0, 0, true, 5, "no query"},
		{"no session on the killed server", 10, 0, 0, true, 5, "no session noticed"},
		{"no load after the return", 10, 3, 0, true, 0, "got no sessions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &demo{screen: &screen{out: &bytes.Buffer{}}, figures: &figures{},
				backends: []*backend{{name: "alpha"}}, whole: tt.whole, returned: tt.returned}
			for range tt.answers {
				d.figures.answered(time.Millisecond)
			}
			for range tt.ends {
				d.figures.ended(errors.New("gone"))
			}
			for range tt.failures {
				d.figures.failed(errors.New("wrong"))
			}
			err := d.judge()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
}

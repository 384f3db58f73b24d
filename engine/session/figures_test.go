package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// lines is a log in memory, one JSON object per line.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) Sync() error { return nil }

func (l *lines) logger() *zap.Logger {
	enc := zap.NewProductionEncoderConfig()
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(enc), l, zap.InfoLevel))
}

// all returns the lines so far.
func (l *lines) all(t *testing.T) (list []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, m)
	}
	return list
}

// TestRequestLog: one line for each request, with what was asked for and no more of its text.
func TestRequestLog(t *testing.T) {
	db := startFakePG(t, "db-a")
	var log lines
	s := startLogging(t, log.logger(), func(s *Setup) {
		s.Frontends[0].RequestLog, s.Frontends[0].RequestText = true, 8
	}, db)
	c := login(t, s.addr("in"))
	c.query("select 12345")
	_, _ = c.Write(message('Q', "fail\x00"))
	c.next()
	c.next()
	eventually(t, "two lines", func() bool { return len(log.all(t)) == 2 })
	got := log.all(t)
	for i, want := range []map[string]any{
		{"msg": "request", "listener": "in", "user": "alice", "backend": db.addr(), "command": "query",
			"failed": false, "text": "select 1"},
		{"command": "query", "failed": true, "text": "fail"},
	} {
		for key, value := range want {
			if got[i][key] != value {
				t.Errorf("line %d: %s is %v, want %v", i, key, got[i][key], value)
			}
		}
		if took, _ := got[i]["took"].(float64); took <= 0 || got[i]["client"] != c.LocalAddr().String() {
			t.Errorf("line %d: %v", i, got[i])
		}
	}
}

// TestRequestLogOfSlowOnes leaves out requests that take less than the listener asks for.
func TestRequestLogOfSlowOnes(t *testing.T) {
	db := startFakePG(t, "db-a")
	var log lines
	const least = 50 * time.Millisecond
	s := startLogging(t, log.logger(), func(s *Setup) {
		s.Frontends[0].RequestLog, s.Frontends[0].RequestMin, s.Frontends[0].RequestText = true, least, 20
	}, db)
	c := login(t, s.addr("in"))
	start := time.Now()
	c.query("quick")
	quick := time.Since(start) < least // or else this machine is too busy to say
	_, _ = c.Write(message('Q', "stall\x00"))
	<-db.stalled
	for end := time.Now().Add(2 * least); time.Now().Before(end); {
		login(t, s.addr("in")).Close() // time passes
	}
	db.stalled <- struct{}{}
	c.next()
	c.next()
	has := func(text string) bool {
		for _, l := range log.all(t) {
			if l["text"] == text {
				return true
			}
		}
		return false
	}
	eventually(t, "the slow request has its line", func() bool { return has("stall") })
	if quick && has("quick") {
		t.Error("the quick request has a line, too")
	}
}

// TestRequestLogDrops: a log that is not written fast enough loses lines, counts them, and holds up
// nobody.
func TestRequestLogDrops(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, func(s *Setup) { s.Frontends[0].RequestLog = true }, db)
	c := login(t, s.addr("in"))
	full := newRequestLog(zap.NewNop()) // that nobody empties
	if !s.holds(func(x *Session) bool { x.log = full; return true }) {
		t.Fatal("no session")
	}
	const n = requestQueue + 100
	go func() {
		for range n {
			_, _ = c.Write(message('Q', "select\x00"))
		}
	}()
	for range 2 * n {
		c.next()
	}
	if got := full.dropped.Load(); got != 100 || len(full.queue) != requestQueue {
		t.Errorf("%d lines were dropped, %d wait; want 100 and %d", got, len(full.queue), requestQueue)
	}
}

func TestSessionsList(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	busy := login(t, s.addr("in"))
	busy.query("begin")
	_, _ = busy.Write(message('Q', "stall\x00"))
	<-db.stalled
	for range 5 {
		login(t, s.addr("in"))
	}
	list := s.Sessions(100)
	if len(list) != 6 {
		t.Fatalf("%d sessions, want 6", len(list))
	}
	want := Info{ID: 1, Listener: "in", Cluster: "pg", Client: busy.LocalAddr().String(), User: "alice",
		Backend: db.addr(), Stage: "relay", Busy: "owed", Tx: "open", Owed: 1, Age: list[0].Age, Loop: list[0].Loop}
	if list[0] != want || list[0].Age <= 0 {
		t.Errorf("got %+v, want %+v", list[0], want)
	}
	for i, x := range list {
		if x.ID != uint64(i+1) {
			t.Errorf("session %d is at place %d", x.ID, i)
		}
	}
	for _, limit := range []int{-1, 0, 1, 3} { // the oldest, whatever loop they are on
		list := s.Sessions(limit)
		if len(list) != max(limit, 0) || limit > 0 && list[limit-1].ID != uint64(limit) {
			t.Errorf("at most %d: %+v", limit, list)
		}
	}
	db.stalled <- struct{}{}
}

// TestMetricsAreWellFormed holds all figures against the text format, after a session of each kind.
func TestMetricsAreWellFormed(t *testing.T) {
	db, refuses := startFakePG(t, "db-a"), "28000"
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	c.query("select")
	_, _ = c.Write(message('Q', "fail\x00"))
	c.next()
	c.next()
	db.refuse.Store(&refuses)
	connect(t, s.addr("in")).expectError(refuses)
	c.Close()
	s.expectEmpty()
	var b strings.Builder
	s.WriteMetrics(&b)
	figures := checkText(t, b.String())
	labels := `{cluster="pg",backend="` + db.addr() + `",command="query"}`
	for name, want := range map[string]float64{
		"sluice_commands_total" + labels:                                          2,
		"sluice_command_errors_total" + labels:                                    1,
		"sluice_command_duration_seconds_count" + labels:                          2,
		`sluice_connections_opened_total{listener="in"}`:                          2,
		`sluice_logins_total{listener="in"}`:                                      1,
		`sluice_connections_refused_total{listener="in",outcome="login_refused"}`: 1,
		`sluice_connections_closed_total{listener="in",outcome="client_gone"}`:    1,
		`sluice_connections_closed_total{listener="in",outcome="server_lost"}`:    0,
		`sluice_server_connections{state="active"}`:                               0,
		`sluice_client_connections`:                                               0,
		`sluice_dials_total`:                                                      2,
		`sluice_backend_sessions{cluster="pg",backend="` + db.addr() + `"}`:       0,
	} {
		if got, there := figures[name]; !there || got != want {
			t.Errorf("%s is %v (there: %t), want %v", name, got, there, want)
		}
	}
}

// sample is one line of the format: a name, labels, a value.
var sample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*\})? (\S+)$`)

// checkText holds a text against https://prometheus.io/docs/instrumenting/exposition_formats/: every
// metric has one type in front of it, its lines stand together, no series is there twice, values are
// numbers, counters end in _total, and the buckets of a histogram grow up to its count.
func checkText(t *testing.T, text string) map[string]float64 {
	t.Helper()
	figures, kinds := map[string]float64{}, map[string]string{}
	family, bucket, last := "", "", 0.0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			var kind string
			if n, _ := fmt.Sscanf(rest, "%s %s", &family, &kind); n != 2 || kinds[family] != "" {
				t.Errorf("type of nothing, or the second one: %s", line)
			}
			kinds[family] = kind
			bucket = ""
			if (kind == "counter") != strings.HasSuffix(family, "_total") {
				t.Errorf("%s is a %s", family, kind)
			}
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a sample: %q", line)
			continue
		}
		name, value := m[1], 0.0
		if v, err := strconv.ParseFloat(m[3], 64); err != nil {
			t.Errorf("not a number: %s", line)
		} else {
			value = v
		}
		if _, twice := figures[m[1]+m[2]]; twice {
			t.Errorf("there twice: %s", line)
		}
		figures[m[1]+m[2]] = value
		if kinds[family] == "histogram" {
			name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
			series := regexp.MustCompile(`,?le="[^"]*"`).ReplaceAllString(m[2], "")
			switch {
			case strings.HasSuffix(m[1], "_bucket") && series == bucket && value < last:
				t.Errorf("a bucket holds less than the one before: %s", line)
			case strings.HasSuffix(m[1], "_count") && value != last:
				t.Errorf("the count is not that of the last bucket, %v: %s", last, line)
			}
			if strings.HasSuffix(m[1], "_bucket") {
				bucket, last = series, value
			}
		}
		if name != family {
			t.Errorf("behind the type of %s: %s", family, line)
		}
	}
	return figures
}

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// A figure is what an instance is said to do, by its metrics: the shares of its CPUs and its memory in use, and of its
// requests to PD and TiKV those that fail.
type figure struct {
	cpu, memory, pd, kv float64
}

// cool is an instance that has little to do.
var cool = figure{cpu: 0.2, memory: 0.3}

// scrapeEvery is how often instances are scraped. It is longer than the few questions for one reading take on a machine
// that stalls: figures of two scrapes are not taken together.
const scrapeEvery = 5 * time.Second

// heater plays a Prometheus that scrapes instances now and then, for figures that real ones can't be brought to
// while they share a machine with a test. Their sessions, and the moves of these, are real.
type heater struct {
	url string

	mu      sync.Mutex
	at      time.Time // of the last scrape
	scrapes int
	of      map[string]*heated // by status address
}

// heated are the counters and gauges of one instance.
type heated struct {
	figure
	counters map[string]float64
}

// What each instance has.
const (
	heatedProcs = 8
	heatedQuota = 16 << 30
)

// startHeater has instances known, which are all cool.
func startHeater(t *testing.T, every []*real.TiDB) *heater {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &heater{url: "http://" + l.Addr().String(), at: time.Now().Add(-scrapeEvery), of: map[string]*heated{}}
	for _, d := range every {
		h.of[d.Status] = &heated{figure: cool, counters: map[string]float64{"tidb_server_maxprocs": heatedProcs,
			"tidb_server_memory_quota_bytes": heatedQuota}}
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return h
}

// lines have Sluice read figures there.
func (h *heater) lines() string {
	return fmt.Sprintf("metrics = \"prometheus\"\nprometheus = %q", h.url)
}

// is has an instance do what f says, from now on.
func (h *heater) is(d *real.TiDB, f figure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scrape(time.Now())
	h.of[d.Status].figure = f
}

// scrape does the scrapes that were due until now. h.mu is held.
func (h *heater) scrape(now time.Time) {
	const seconds = float64(scrapeEvery / time.Second)
	for ; now.Sub(h.at) >= scrapeEvery; h.at = h.at.Add(scrapeEvery) {
		h.scrapes++
		for _, s := range h.of {
			c := s.counters
			c["process_cpu_seconds_total"] += seconds * s.cpu * heatedProcs
			c["process_resident_memory_bytes"] = s.memory * heatedQuota
			c["pd_client_cmd_handle_cmds_duration_seconds_count"] += seconds * 100
			c["pd_client_cmd_handle_failed_cmds_duration_seconds_count"] += seconds * 100 * s.pd
			c["tidb_tikvclient_request_seconds_count"] += seconds * 1000
			c["tidb_tikvclient_backoff_seconds_count"] += seconds * 1000 * s.kv
		}
	}
}

// lasts waits until there were n more scrapes.
func (h *heater) lasts(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.scrapes
	}
	end := count() + n
	eventually(t, func() error {
		if left := end - count(); left > 0 {
			return fmt.Errorf("%d scrapes are yet to come", left)
		}
		return nil
	})
}

// ServeHTTP answers an instant query: for when the last scrape was, or for metrics that it names.
func (h *heater) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query().Get("query")
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.scrape(now)
	var samples []string
	one := func(labels string, value float64) {
		samples = append(samples, fmt.Sprintf(`{"metric":{%s},"value":[%.3f,"%v"]}`, labels, float64(now.UnixMilli())/1e3, value))
	}
	for instance, s := range h.of {
		switch {
		case !strings.Contains(q, `job="tidb"`):
		case strings.HasPrefix(q, "timestamp("):
			one(fmt.Sprintf(`"instance":%q`, instance), float64(h.at.UnixMilli())/1e3)
		default:
			for name, v := range s.counters {
				if strings.Contains(q, name) {
					one(fmt.Sprintf(`"__name__":%q,"instance":%q`, name, instance), v)
				}
			}
		}
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(samples, ","))
}

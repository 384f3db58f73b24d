package tidb

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeProm is a Prometheus that knows servers' figures, by instance.
type fakeProm struct {
	*httptest.Server
	mu      sync.Mutex
	job     string // by which it knows them
	servers map[string]map[string]float64
	scraped map[string]float64 // seconds of its clock, which stands
	asked   int
	answer  string          // in place of an answer
	between func(*fakeProm) // is done before each answer
}

const promNow = 1700000000.5

func startProm(t *testing.T) *fakeProm {
	t.Helper()
	p := &fakeProm{job: jobs[0], servers: map[string]map[string]float64{}, scraped: map[string]float64{}}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *fakeProm) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.between != nil {
		p.between(p)
	}
	if p.answer != "" {
		_, _ = io.WriteString(w, p.answer)
		return
	}
	q := r.URL.Query().Get("query")
	var list []string
	one := func(metric string, v float64) {
		list = append(list, fmt.Sprintf(`{"metric":{%s},"value":[%f,"%v"]}`, metric, promNow, v))
	}
	for instance, figures := range p.servers {
		if r.URL.Path != "/api/v1/query" || !strings.Contains(q, p.job) {
			break
		}
		if strings.HasPrefix(q, "timestamp(") {
			one(fmt.Sprintf(`"instance":%q`, instance), p.scraped[instance])
			continue
		}
		for name, v := range figures {
			if strings.Contains(q, name) {
				one(fmt.Sprintf(`"__name__":%q,"instance":%q`, name, instance), v)
			}
		}
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(list, ","))
}

// set has an instance be scraped, so many seconds ago.
func (p *fakeProm) set(instance string, ago float64, base float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scraped[instance] = promNow - ago
	p.servers[instance] = map[string]float64{}
	for i := range figures {
		p.servers[instance][figures[i].name] = base + float64(i)
	}
}

func (p *fakeProm) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// TestPrometheus: figures have the time of their scrape, by our clock, whatever Prometheus' own is.
func TestPrometheus(t *testing.T) {
	for _, job := range jobs {
		f := startProm(t)
		f.job = job
		f.set("10.0.0.1:10080", 7, 100)
		f.set("tidb-0", 3, 200)
		p := newPrometheus(patience)
		began := time.Now()
		got, err := p.readings(context.Background(), f.URL)
		if err != nil || len(got) != 2 {
			t.Fatalf("%s: %v: %v", job, got, err)
		}
		r := got["10.0.0.1:10080"]
		if values(r) != "100 101 102 103 104 105 106 107" {
			t.Errorf("%s: %s", job, values(r))
		}
		if at := began.Add(-7 * time.Second); r.At.Before(at.Add(-time.Second)) || r.At.After(time.Now().Add(-6*time.Second)) {
			t.Errorf("%s: read at %v, want about %v", job, r.At, at)
		}
		if got := values(got["tidb-0"]); got != "200 201 202 203 204 205 206 207" {
			t.Errorf("%s: %s", job, got)
		}
	}
}

// TestPrometheusScrapesMeanwhile: figures of two scrapes are not mixed.
func TestPrometheusScrapesMeanwhile(t *testing.T) {
	f := startProm(t)
	f.set("10.0.0.1:10080", 15, 100)
	f.set("10.0.0.2:10080", 9, 100)
	f.between = func(p *fakeProm) {
		if p.asked == 3 {
			p.scraped["10.0.0.1:10080"] = promNow
		}
	}
	p := newPrometheus(patience)
	got, err := p.readings(context.Background(), f.URL)
	if _, there := got["10.0.0.2:10080"]; err != nil || len(got) != 1 || !there {
		t.Errorf("%v: %v", got, err)
	}
}

// TestPrometheusOdd: what does not fit is an error, and nothing hangs or grows.
func TestPrometheusOdd(t *testing.T) {
	f := startProm(t)
	f.set("10.0.0.1:10080", 15, 100)
	p := newPrometheus(patience)
	for _, answer := range []string{"{", "{}", `{"status":"error"}`, `{"status":"success","data":{"resultType":"matrix","result":[]}}`,
		`{"status":"success","data":{"resultType":"vector","result":[]}}`,
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"instance":"a"},"value":[1]},{"metric":{"instance":"a"},"value":["x","y"]},{"metric":{},"value":[1,"NaN"]},{"metric":{"instance":"future"},"value":[1,"7200"]}]}}`,
		strings.Repeat(" ", promMax+1)} {
		f.mu.Lock()
		f.answer = answer
		f.mu.Unlock()
		if got, err := p.readings(context.Background(), f.URL); err == nil {
			t.Errorf("%.60q gives %v", answer, got)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.readings(ctx, f.URL); err == nil {
		t.Error("it asks though nobody wants to know")
	}
	list, err := parseSamples([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"instance":"a"},"value":[2.5,"1e3"]}]}}`))
	if err != nil || len(list) != 1 || list[0].value != 1000 || list[0].now != 2.5 || math.IsNaN(list[0].value) {
		t.Errorf("%+v: %v", list, err)
	}
}

// TestPrometheusInPD reads the key that TiUP writes.
func TestPrometheusInPD(t *testing.T) {
	e := anEtcd(t)
	ctx := context.Background()
	if at, err := prometheusInPD(ctx, e); at != "" || err != nil {
		t.Errorf("without the key: %q: %v", at, err)
	}
	for value, want := range map[string]string{
		`{"ip":"10.0.0.9","port":9090,"binary_path":"/opt"}`: "http://10.0.0.9:9090",
		`{"ip":"::1","port":9090}`:                           "http://[::1]:9090",
		`{"ip":"prom.svc","port":"9090"}`:                    "http://prom.svc:9090",
		`{"ip":"","port":9090}`:                              "",
		`{"ip":"a/b@c","port":9090}`:                         "",
		`{"ip":"10.0.0.9","port":0}`:                         "",
		`7`:                                                  "",
		`{"ip":"10.0.0.9","port":9090,"x":"` + strings.Repeat("x", promKeyMax) + `"}`: "",
	} {
		e.put(promKey, value)
		if at, err := prometheusInPD(ctx, e); at != want || (err == nil) != (want != "") {
			t.Errorf("%.60s: %q: %v", value, at, err)
		}
	}
}

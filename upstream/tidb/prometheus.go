package tidb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/router"
)

// Limits of what Prometheus may say.
const (
	promMax     = 8 << 20 // bytes of an answer
	promKey     = "/topology/prometheus"
	promKeyMax  = 4 << 10 // bytes of the key's value
	headersMax  = 64 << 10
	promTimeMax = 3 * time.Second // of one query, whatever the time-out is
)

// errUnknown is why Prometheus can't be asked.
var errUnknown = errors.New("nobody says where it is")

// prometheusInPD returns the base URL of the Prometheus that PD knows of; "" = of none.
func prometheusInPD(ctx context.Context, kv clientv3.KV) (string, error) {
	r, err := kv.Get(ctx, promKey)
	if err != nil || len(r.Kvs) == 0 {
		return "", err
	}
	value := r.Kvs[0].Value
	var at struct {
		IP   string      `json:"ip"`
		Port json.Number `json:"port"`
	}
	if len(value) > promKeyMax || json.Unmarshal(value, &at) != nil || !isAddr(net.JoinHostPort(at.IP, at.Port.String())) {
		return "", errors.New("what pd says of it can't be read")
	}
	return "http://" + net.JoinHostPort(at.IP, at.Port.String()), nil
}

// prometheus asks a Prometheus for the figures of all servers
// (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries). It goes where it is sent and nowhere
// else.
type prometheus struct {
	http    *http.Client
	timeout time.Duration
	last    map[string]scraped // the scrapes that were known last
	between map[string]bool    // instances that were scraped while they were asked for last
}

func newPrometheus(timeout time.Duration) prometheus {
	return prometheus{timeout: min(timeout, promTimeMax), http: &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout:    timeout,
			MaxResponseHeaderBytes: headersMax,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// jobs are what servers are known by: TiUP's word, and TiDB Operator's.
var jobs = [...]string{`job="tidb"`, `component="tidb"`}

// clock is the query for when a server was scraped last.
const clock = "timestamp(process_cpu_seconds_total{%s})"

// queries are those for the figures, summed up by server and name.
var queries = func() (list []string) {
	var plain []string
	selected := map[string][]string{}
	for i := range figures {
		f := &figures[i]
		if f.label == "" {
			plain = append(plain, f.name)
			continue
		}
		by := f.label + `="` + f.value + `"`
		selected[by] = append(selected[by], f.name)
	}
	query := func(names []string, also string) string {
		return `sum by (instance, __name__) ({__name__=~"` + strings.Join(names, "|") + `"` + also + `,%s})`
	}
	list = append(list, query(plain, ""))
	for by, names := range selected {
		list = append(list, query(names, ","+by))
	}
	return list
}()

// readings returns the newest figures, by instance. Their time is that of the scrape. A server that was scraped
// between two of the queries is left out: its figures would be of two times.
func (p *prometheus) readings(ctx context.Context, base string) (map[string]router.Reading, error) {
	job, before, err := p.scrapes(ctx, base)
	if err != nil {
		return nil, err
	}
	found := map[string]router.Reading{}
	for instance, s := range before {
		found[instance] = unread(s.local)
	}
	for _, q := range queries {
		samples, err := p.query(ctx, base, fmt.Sprintf(q, job))
		if err != nil {
			return nil, err
		}
		for _, s := range samples {
			f, r := byName[s.name], found[s.instance]
			if f == nil || r.At.IsZero() {
				continue
			}
			add(f.place(&r), s.value)
			found[s.instance] = r
		}
	}
	after, err := p.query(ctx, base, fmt.Sprintf(clock, job))
	if err != nil {
		return nil, err
	}
	p.between = map[string]bool{}
	for _, s := range after {
		if before[s.instance].at != s.value {
			p.between[s.instance] = true
			delete(found, s.instance)
		}
	}
	return found, nil
}

// scraped is when a server was scraped last, by Prometheus' clock in seconds and by ours.
type scraped struct {
	at    float64
	local time.Time
}

// scrapes returns when servers were scraped last, by the first word for them that Prometheus knows.
func (p *prometheus) scrapes(ctx context.Context, base string) (job string, at map[string]scraped, err error) {
	for _, job := range jobs {
		samples, err := p.query(ctx, base, fmt.Sprintf(clock, job))
		if err != nil {
			return "", nil, err
		}
		now := time.Now()
		at := map[string]scraped{}
		for _, s := range samples {
			age := time.Duration((s.now - s.value) * float64(time.Second))
			if age < -time.Second || age > time.Hour {
				continue
			}
			one := scraped{s.value, now.Add(-age)}
			if was, known := p.last[s.instance]; known && was.at == one.at {
				one = was // the same scrape is not a little later each time
			}
			at[s.instance] = one
		}
		if len(at) > 0 {
			p.last = at
			return job, at, nil
		}
	}
	return "", nil, errNoFigures
}

// sample is one value of an answer.
type sample struct {
	name, instance string
	value          float64
	now            float64 // when it was asked, by Prometheus' clock
}

// query asks one question.
func (p *prometheus) query(ctx context.Context, base, q string) ([]sample, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	to := base + "/api/v1/query?query=" + url.QueryEscape(q)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return nil, err
	}
	answer, err := p.http.Do(req)
	if addressed := (*url.Error)(nil); errors.As(err, &addressed) {
		err = addressed.Err // it would show the whole query
	}
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, promMax+1))
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer's status is %d", answer.StatusCode)
	case len(text) > promMax:
		return nil, fmt.Errorf("the answer is longer than %d bytes", promMax)
	}
	return parseSamples(text)
}

// parseSamples reads an answer to an instant query. A value that is no number is passed over.
func parseSamples(text []byte) ([]sample, error) {
	var is struct {
		Status string `json:"status"`
		Data   struct {
			Type   string `json:"resultType"`
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  []json.RawMessage `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, err
	}
	if is.Status != "success" || is.Data.Type != "vector" {
		return nil, errors.New("the answer is no success, or no vector")
	}
	var list []sample
	for _, one := range is.Data.Result {
		if len(one.Value) != 2 {
			continue
		}
		s := sample{name: one.Metric["__name__"], instance: one.Metric["instance"]}
		var value string
		if json.Unmarshal(one.Value[0], &s.now) != nil || json.Unmarshal(one.Value[1], &value) != nil {
			continue
		}
		var err error
		if s.value, err = strconv.ParseFloat(value, 64); err != nil || math.IsNaN(s.value) || math.IsInf(s.value, 0) {
			continue
		}
		list = append(list, s)
	}
	return list, nil
}

package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// statusPort is a status port as TiDB's is, over TLS, which knows who asks by the certificate: "one" or "two".
type statusPort struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // for figures, by whom
}

// toldTo is the CPU time that the port tells one of the two, less than a hundred thousand more each time.
var toldTo = map[string]float64{"one": 1e6, "two": 2e6}

func startStatusPort(t *testing.T) *statusPort {
	t.Helper()
	p := &statusPort{asked: map[string]int{}}
	p.Server = httptest.NewUnstartedServer(p)
	p.TLS = &tls.Config{Certificates: []tls.Certificate{stage.cert.TLS}, ClientAuth: tls.RequireAnyClientCert}
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func (p *statusPort) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/status":
		_, _ = io.WriteString(w, `{"connections":0,"version":"8.0.11-TiDB-v8.5.0","git_hash":"x"}`)
	case "/config":
		_, _ = io.WriteString(w, `{"security":{"session-token-signing-cert":"/cert.pem"}}`)
	case "/metrics":
		who := r.TLS.PeerCertificates[0].Subject.CommonName
		p.mu.Lock()
		p.asked[who]++
		n := p.asked[who]
		p.mu.Unlock()
		fmt.Fprintf(w, "process_cpu_seconds_total %v\ntidb_server_maxprocs 2\n", toldTo[who]+float64(n))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// counts are how often one and the other have asked for figures.
func (p *statusPort) counts(one, other string) (int, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[one], p.asked[other]
}

// ofPrometheus is the CPU time that Prometheus tells.
const ofPrometheus = 9e6

// startPrometheus starts what answers as Prometheus does that scrapes one server every fifteen seconds.
func startPrometheus(t *testing.T, instance string) *httptest.Server {
	t.Helper()
	began := time.Now()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const every = 15 * time.Second
		now, scraped := float64(time.Now().UnixMilli())/1000, began.Add(time.Since(began)/every*every)
		query := r.URL.Query().Get("query")
		var list []string
		switch {
		case r.URL.Path != "/api/v1/query" || !strings.Contains(query, `job="tidb"`):
		case strings.HasPrefix(query, "timestamp("):
			list = append(list, fmt.Sprintf(`{"metric":{"instance":%q},"value":[%f,"%d"]}`, instance, now, scraped.Unix()))
		case strings.Contains(query, "process_cpu_seconds_total"):
			list = append(list, fmt.Sprintf(`{"metric":{"__name__":"process_cpu_seconds_total","instance":%q},"value":[%f,"%v"]}`,
				instance, now, ofPrometheus))
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(list, ","))
	}))
	t.Cleanup(s.Close)
	return s
}

// zoneReader is one of two Sluices in one zone.
type zoneReader struct {
	*real.Sluice
	name string // in its certificate
}

func startReader(t *testing.T, name string, p *pd) zoneReader {
	t.Helper()
	cert, err := stage.ca.Issue("reader-"+name, name)
	if err != nil {
		t.Fatal(err)
	}
	config := "[engine]\nzone = \"east\"\n\n" + pdCluster("ti", []string{p.Addr}, `[cluster.status]`, `interval = "300ms"`, `timeout = "1m"`,
		`metrics-interval = "1s"`, tlsCA("cluster.status", "verify-full"), fmt.Sprintf("cert = %q\nkey = %q", cert.CertFile, cert.KeyFile)) +
		tidbListener("ti", real.FreeAddr())
	s, err := real.StartGuardedSluice(racy(t), t.TempDir(), unhurried(config))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() }) // also if it is to be killed
	return zoneReader{s, name}
}

// cpu is the CPU time that a Sluice knows of a server; 0 = none.
func (r zoneReader) cpu(addr string) (float64, error) {
	page, err := r.Get("/api/backend/readings?cluster=ti")
	if err != nil {
		return 0, err
	}
	var is struct {
		Backends map[string][]struct{ CPU float64 }
	}
	if err := json.Unmarshal([]byte(page), &is); err != nil || len(is.Backends[addr]) == 0 {
		return 0, err
	}
	all := is.Backends[addr]
	return all[len(all)-1].CPU, nil
}

// hears waits until a Sluice has the figures that were told to somebody: from is what they begin at.
func (r zoneReader) hears(t *testing.T, addr string, from float64) {
	t.Helper()
	eventually(t, func() error {
		got, err := r.cpu(addr)
		if err == nil && (got < from || got >= from+1e5) {
			err = fmt.Errorf("%s knows of %v s, want some above %v", r.name, got, from)
		}
		return err
	})
}

// TestTiDBFiguresOfSeveral: two Sluices in one zone ask Prometheus as long as it is there. Without it one of them reads
// the server's status port, and the other one has its figures from that. When the one dies the other one reads.
func TestTiDBFiguresOfSeveral(t *testing.T) {
	d := tidb(t, 0)
	port := startStatusPort(t)
	prom := startPrometheus(t, port.Listener.Addr().String())
	p := startPD(t)
	put := func(key string, value map[string]any) {
		t.Helper()
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Put(key, string(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	number := func(ln net.Listener) int { return real.Port(ln.Addr().String()) }
	put("/topology/tidb/"+d.Addr+"/info", map[string]any{"ip": "127.0.0.1", "status_port": number(port.Listener), "labels": map[string]string{"zone": "east"}})
	put("/topology/tidb/"+d.Addr+"/ttl", nil)
	put("/topology/prometheus", map[string]any{"ip": "127.0.0.1", "port": number(prom.Listener)})
	both := []zoneReader{startReader(t, "one", p), startReader(t, "two", p)}
	for _, r := range both {
		r.hears(t, d.Addr, ofPrometheus)
		if b := of(t, r.Sluice, "ti", d.Addr); b.FiguresRead.IsZero() || b.Zone != "east" || b.Version != "8.0.11-TiDB-v8.5.0" {
			t.Errorf("%s says of the server: %+v", r.name, b)
		}
	}
	if one, two := port.counts("one", "two"); one+two > 0 {
		t.Errorf("the server's port was read %d and %d times beside Prometheus", one, two)
	}

	prom.CloseClientConnections()
	prom.Close()
	owner, other := owns(t, p, both)
	owner.hears(t, d.Addr, toldTo[owner.name])
	other.hears(t, d.Addr, toldTo[owner.name])
	eventually(t, func() error { // a look behind which the other one has not read at all, on a machine that may stall
		was, beside := port.counts(owner.name, other.name)
		eventually(t, func() error {
			if now, _ := port.counts(owner.name, other.name); now < was+5 {
				return fmt.Errorf("the owner does not read any more")
			}
			return nil
		})
		if _, now := port.counts(owner.name, other.name); now > beside {
			return fmt.Errorf("the other one reads too: %d times", now-beside)
		}
		return nil
	})
	other.hears(t, d.Addr, toldTo[owner.name])

	if err := owner.Process.Stop(syscall.SIGKILL, soon); err != nil {
		t.Fatal(err)
	}
	stopsWell(t, other.Sluice)
	other.hears(t, d.Addr, toldTo[other.name])
	if now, _ := owns(t, p, []zoneReader{other}); now.name != other.name {
		t.Errorf("%s owns the zone", now.name)
	}
	if err := other.Stop(); err != nil {
		t.Fatal(err)
	}
	if v, err := p.Value(ownerKey); err != nil || v != "" {
		t.Errorf("behind its end the owner is %q: %v", v, err)
	}
}

const ownerKey = "/sluice/metric_reader/ti/east/owner"

// owns waits until one of them owns the zone, and returns it and the other one.
func owns(t *testing.T, p *pd, list []zoneReader) (owner, other zoneReader) {
	t.Helper()
	eventually(t, func() error {
		v, err := p.Value(ownerKey)
		if err != nil {
			return err
		}
		for _, r := range list {
			if r.Admin == v {
				owner = r
			} else {
				other = r
			}
		}
		if owner.Sluice == nil {
			return fmt.Errorf("the owner is %q", v)
		}
		return nil
	})
	return owner, other
}

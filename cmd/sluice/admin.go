package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"sluice/conf"
	"sluice/upstream/tidb"
)

// admin is the HTTP side: health, metrics, configuration, what there is.
type admin struct {
	p        *process
	ln       net.Listener
	srv      *http.Server
	stopping atomic.Bool // a signal has come; health says so before sessions are asked to leave
	// switching has the clusters (*upstream.Cluster) for which Patroni is being asked for a switchover.
	switching sync.Map
}

// startAdmin listens at addr and serves. Health answers 503 until the proxy has its first setup.
func startAdmin(p *process, addr string) (*admin, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	a := &admin{p: p, ln: ln}
	metrics.ExposeMetadata(true)
	metrics.RegisterMetricsWriter(p.proxy.WriteMetrics)
	metrics.RegisterMetricsWriter(func(w io.Writer) {
		metrics.WriteCounterUint64(w, "sluice_log_dropped_total", p.sink.dropped.Load())
		metrics.WriteGaugeUint64(w, "go_gc_scan_heap_bytes", scanHeap())
	})
	metrics.NewGauge(fmt.Sprintf("sluice_info{version=%q}", version), func() float64 { return 1 })
	a.srv = &http.Server{Handler: a.routes(), ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout: 60 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() { _ = a.srv.Serve(ln) }()
	return a, nil
}

func (a *admin) addr() net.Addr { return a.ln.Addr() }

// close ends the requests under way within a second.
func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.srv.Shutdown(ctx) != nil {
		_ = a.srv.Close()
	}
}

// routes are the paths; those behind guard ask for credentials if there are any.
func (a *admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK") })
	mux.HandleFunc("GET /metrics", a.metrics)
	mux.HandleFunc("GET /api/debug/health", a.health)
	mux.Handle("GET /api/admin/config", a.guard(a.config))
	mux.Handle("GET /api/backends", a.guard(a.backends))
	mux.Handle("POST /api/backends/{addr}/drain", a.guard(ours(a.drain)))
	mux.Handle("POST /api/backends/{addr}/resume", a.guard(ours(a.resumeBackend)))
	mux.Handle("GET /api/balance", a.guard(a.balance))
	mux.Handle("GET /api/clusters", a.guard(a.clusters))
	mux.Handle("GET "+tidb.PeerPath, a.peer(a.readings))
	mux.Handle("POST /api/clusters/{name}/hold", a.guard(ours(a.hold)))
	mux.Handle("POST /api/clusters/{name}/resume", a.guard(ours(a.resume)))
	mux.Handle("POST /api/clusters/{name}/switchover", a.guard(ours(a.switchover)))
	mux.Handle("GET /api/sessions", a.guard(a.sessions))
	mux.Handle("GET /api/admin/namespace", a.guard(a.namespaces))
	mux.Handle("GET /api/admin/namespace/{name}", a.guard(a.namespace))
	mux.Handle("PUT /api/admin/namespace/{name}", a.guard(ours(a.putNamespace)))
	mux.Handle("DELETE /api/admin/namespace/{name}", a.guard(ours(a.deleteNamespace)))
	mux.Handle("GET /api/pools", a.guard(a.pools))
	mux.Handle("GET /api/console", a.guard(a.consoleAsk))
	mux.Handle("POST /api/console", a.guard(a.consoleOrder))
	mux.Handle("GET /update_clusters", a.guard(a.update))
	mux.Handle("POST /update_clusters", a.guard(a.update))
	mux.Handle("GET /debug/pprof/", a.guard(pprof.Index))
	mux.Handle("GET /debug/pprof/cmdline", a.guard(pprof.Cmdline))
	mux.Handle("GET /debug/pprof/profile", a.guard(pprof.Profile))
	mux.Handle("GET /debug/pprof/symbol", a.guard(pprof.Symbol))
	mux.Handle("POST /debug/pprof/symbol", a.guard(pprof.Symbol))
	mux.Handle("GET /debug/pprof/trace", a.guard(pprof.Trace))
	return mux
}

// guard asks for the credentials of [admin], if it has some. Without, it is for who is on this machine; but
// so is a browser, and what it shows may come from elsewhere: a page whose name has been made to stand for
// this address since it was loaded. Its requests bear that name.
func (a *admin) guard(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := a.p.cfg.Load().Admin
		if want.User == "" && !isOwnHost(r.Host) {
			http.Error(w, "without admin.user and admin.password this is to be asked by address, or as localhost",
				http.StatusForbidden)
			return
		}
		if want.User != "" {
			user, password, _ := r.BasicAuth()
			if !same(user, want.User) || !same(password, string(want.Password)) {
				w.Header().Set("WWW-Authenticate", `Basic realm="sluice"`)
				http.Error(w, "credentials are needed", http.StatusUnauthorized)
				return
			}
		}
		h(w, r)
	})
}

// isOwnHost tells whether the Host of a request is no name that could be anybody's.
func isOwnHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost") || host == ""
}

// same compares in a time that tells nothing of where two secrets differ.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (a *admin) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	metrics.WritePrometheus(w, true)
}

// scanHeap is how much of the heap the collector has to look through for pointers, as of its last
// cycle. The library's own go_ metrics lack it. https://pkg.go.dev/runtime/metrics
func scanHeap() uint64 {
	sample := []runtimemetrics.Sample{{Name: "/gc/scan/heap:bytes"}}
	runtimemetrics.Read(sample)
	return sample[0].Value.Uint64()
}

// health is what a load balancer asks: 200 while new sessions are welcome.
func (a *admin) health(w http.ResponseWriter, _ *http.Request) {
	type answer struct {
		Status   string `json:"status"`
		Sessions int    `json:"client_connections"`
	}
	ans := answer{"ok", a.p.proxy.Clients()}
	code := http.StatusOK
	switch {
	case a.stopping.Load() || a.p.proxy.Draining():
		ans.Status, code = "stopping", http.StatusServiceUnavailable
	case !a.p.ready.Load() || a.searching():
		ans.Status, code = "starting", http.StatusServiceUnavailable
	}
	writeJSON(w, code, ans)
}

// searchTime is how long after the start it counts as a part of it that a cluster's members are not known yet.
// Then clients are welcome: they wait, and other clusters have them too.
const searchTime = 5 * time.Second

// searching tells whether the members of a cluster are being looked for since the start.
func (a *admin) searching() bool {
	return time.Since(a.p.since) < searchTime && len(a.p.proxy.Undiscovered()) > 0
}

// config is the configuration in force, secrets masked; TOML unless JSON is asked for.
func (a *admin) config(w http.ResponseWriter, r *http.Request) {
	cfg := a.p.cfg.Load()
	form, kind := (*conf.Config).TOML, "application/toml"
	if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		form, kind = (*conf.Config).JSON, "application/json"
	}
	text, err := form(cfg)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text)
}

// sessionsMax is how many sessions one answer lists unless ?limit= says otherwise.
const sessionsMax = 1000

// sessions lists sessions, oldest first.
func (a *admin) sessions(w http.ResponseWriter, r *http.Request) {
	limit := sessionsMax
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			http.Error(w, "limit is not a number", http.StatusBadRequest)
			return
		}
		limit = n
	}
	writeJSON(w, http.StatusOK, a.p.proxy.Sessions(limit))
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

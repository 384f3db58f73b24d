package session

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"sluice/engine"
	"sluice/upstream"
)

// scrapeTimeout bounds how long a scrape waits for a loop. A loop that does not answer in time is left
// out and reported.
const scrapeTimeout = 2 * time.Second

// snapshot asks every loop for a copy of its figures and adds them up. It also returns the engine's
// figures per loop; a loop that did not answer has ok false.
func (p *Proxy) snapshot() (*loopStats, []loopFigures) {
	sum := newLoopStats()
	figures := make([]loopFigures, len(p.loops))
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, on := range p.loops {
		all.Add(1)
		answers := on.loop.Run(func() {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			sum.add(&on.stats)
			figures[i] = loopFigures{ok: true, counts: on.loop.Counts(), latency: on.stats.latency}
		})
		if !answers {
			all.Done()
		}
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	timer := time.NewTimer(scrapeTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	mu.Lock()
	defer mu.Unlock()
	copied := newLoopStats()
	copied.add(&sum)
	return &copied, slices.Clone(figures)
}

// loopFigures are what one loop says of itself.
type loopFigures struct {
	ok      bool
	counts  engine.Counts
	latency histogram
}

// WriteMetrics writes all figures in the Prometheus text format. The loops only copy their counters;
// adding up and formatting happen here.
func (p *Proxy) WriteMetrics(w io.Writer) {
	sum, figures := p.snapshot()
	sum.unite()
	m := &metricWriter{w: w}
	p.writeProcess(m, sum)
	p.writeFrontends(m, sum)
	p.writeBackends(m, sum)
	p.writeTopology(m, sum)
	p.writeBalance(m)
	p.writeMoves(m, sum)
	writeCommands(m, sum)
	writeReads(m, sum)
	p.writePools(m)
	writeLoops(m, figures)
}

// writeProcess writes what concerns the whole proxy.
func (p *Proxy) writeProcess(m *metricWriter, sum *loopStats) {
	m.meta("sluice_client_connections", "gauge")
	m.value("sluice_client_connections", "", float64(p.clients.Load()))
	m.meta("sluice_logins_in_progress", "gauge")
	m.value("sluice_logins_in_progress", "", float64(p.logins.Load()))
	m.meta("sluice_accepted_total", "counter")
	m.value("sluice_accepted_total", "", float64(p.accepts.Load()))
	m.meta("sluice_turned_away_total", "counter")
	m.value("sluice_turned_away_total", "", float64(p.turned.Load()))
	m.meta("sluice_server_connections", "gauge")
	m.value("sluice_server_connections", label("state", "active"), float64(sum.connected))
	m.value("sluice_server_connections", label("state", "login"), float64(sum.pending))
	m.meta("sluice_dials_total", "counter")
	m.value("sluice_dials_total", "", float64(sum.dials))
	m.meta("sluice_dial_failures_total", "counter")
	m.value("sluice_dial_failures_total", "", float64(sum.dialFails))
	m.meta("sluice_login_retries_total", "counter")
	m.value("sluice_login_retries_total", "", float64(sum.retries))
	m.meta("sluice_cancels_total", "counter")
	m.value("sluice_cancels_total", "", float64(sum.cancels))
	m.meta("sluice_kills_total", "counter")
	m.value("sluice_kills_total", "", float64(sum.kills))
	m.meta("sluice_session_keys", "gauge")
	m.value("sluice_session_keys", "", float64(p.keys.len()))
	m.meta("sluice_request_log_dropped_total", "counter")
	m.value("sluice_request_log_dropped_total", "", float64(p.requests.dropped.Load()))
}

// writeFrontends writes the figures by listener.
func (p *Proxy) writeFrontends(m *metricWriter, sum *loopStats) {
	names := sortedKeys(sum.frontends)
	m.meta("sluice_sessions", "gauge")
	for _, n := range names {
		m.value("sluice_sessions", label("listener", n), float64(sum.frontends[n].sessions))
	}
	m.meta("sluice_connections_opened_total", "counter")
	for _, n := range names {
		m.value("sluice_connections_opened_total", label("listener", n), float64(sum.frontends[n].opened))
	}
	m.meta("sluice_logins_total", "counter")
	for _, n := range names {
		m.value("sluice_logins_total", label("listener", n), float64(sum.frontends[n].ready))
	}
	for name, refused := range map[string]bool{
		"sluice_connections_refused_total": true, "sluice_connections_closed_total": false} {
		m.meta(name, "counter")
		for _, n := range names {
			for o, count := range sum.frontends[n].ended {
				if Outcome(o).refused() == refused {
					m.value(name, label("listener", n)+","+label("outcome", Outcome(o).String()), float64(count))
				}
			}
		}
	}
	m.meta("sluice_login_duration_seconds", "histogram")
	for _, n := range names {
		m.histogram("sluice_login_duration_seconds", label("listener", n), &sum.frontends[n].login)
	}
	m.meta("sluice_accept_pauses_total", "counter")
	for _, fe := range p.Frontends() {
		m.value("sluice_accept_pauses_total", label("listener", fe.name), float64(fe.AcceptPauses()))
	}
}

// writeBackends writes what is known of the backends.
func (p *Proxy) writeBackends(m *metricWriter, sum *loopStats) {
	backends := p.Backends()
	each := func(name, kind string, value func(*upstream.Backend) float64) {
		m.meta(name, kind)
		for _, b := range backends {
			m.value(name, backendLabels(b), value(b))
		}
	}
	each("sluice_backend_up", "gauge", func(b *upstream.Backend) float64 {
		if b.Health() == upstream.Down {
			return 0
		}
		return 1
	})
	each("sluice_backend_sessions", "gauge", func(b *upstream.Backend) float64 { return float64(b.Sessions()) })
	each("sluice_health_checks_total", "counter", func(b *upstream.Backend) float64 {
		made, _ := b.Checks()
		return float64(made)
	})
	each("sluice_health_check_failures_total", "counter", func(b *upstream.Backend) float64 {
		_, failed := b.Checks()
		return float64(failed)
	})
	m.meta("sluice_bytes_total", "counter")
	for _, b := range sortedBackends(sum) {
		s := sum.backends[b]
		m.value("sluice_bytes_total", backendLabels(b)+`,direction="to_server"`, float64(s.toServer))
		m.value("sluice_bytes_total", backendLabels(b)+`,direction="to_client"`, float64(s.toClient))
	}
}

// writeCommands writes the figures by backend and kind of command.
func writeCommands(m *metricWriter, sum *loopStats) {
	each := func(write func(labels string, k *kindStats)) {
		for _, b := range sortedBackends(sum) {
			names := b.Cluster().Options().Protocol.Kinds()
			for i, k := range sum.backends[b].kinds {
				if k != nil && i < len(names) {
					write(backendLabels(b)+","+label("command", names[i]), k)
				}
			}
		}
	}
	m.meta("sluice_commands_total", "counter")
	each(func(l string, k *kindStats) { m.value("sluice_commands_total", l, float64(k.duration.total())) })
	m.meta("sluice_command_errors_total", "counter")
	each(func(l string, k *kindStats) { m.value("sluice_command_errors_total", l, float64(k.failed)) })
	m.meta("sluice_command_duration_seconds", "histogram")
	each(func(l string, k *kindStats) { m.histogram("sluice_command_duration_seconds", l, &k.duration) })
	m.meta("sluice_interaction_duration_seconds", "histogram")
	each(func(l string, k *kindStats) { m.histogram("sluice_interaction_duration_seconds", l, &k.reply) })
}

// writeLoops writes the figures of each loop.
func writeLoops(m *metricWriter, figures []loopFigures) {
	each := func(name, kind string, value func(*loopFigures) float64) {
		m.meta(name, kind)
		for i := range figures {
			m.value(name, label("loop", strconv.Itoa(i)), value(&figures[i]))
		}
	}
	each("sluice_loop_answered", "gauge", func(f *loopFigures) float64 {
		if f.ok {
			return 1
		}
		return 0
	})
	each("sluice_read_pauses_total", "counter", func(f *loopFigures) float64 { return float64(f.counts.Pauses) })
	each("sluice_read_resumes_total", "counter", func(f *loopFigures) float64 { return float64(f.counts.Resumes) })
	each("sluice_loop_turns_total", "counter", func(f *loopFigures) float64 { return float64(f.counts.Turns) })
	each("sluice_connections_over_high_water", "gauge", func(f *loopFigures) float64 { return float64(f.counts.Full) })
	each("sluice_timers", "gauge", func(f *loopFigures) float64 { return float64(f.counts.Timers) })
	m.meta("sluice_loop_latency_seconds", "histogram")
	for i := range figures {
		m.histogram("sluice_loop_latency_seconds", label("loop", strconv.Itoa(i)), &figures[i].latency)
	}
}

// Backends returns the backends of all clusters, in order.
func (p *Proxy) Backends() []*upstream.Backend {
	var list []*upstream.Backend
	for _, c := range p.Clusters() {
		list = append(list, c.Backends()...)
	}
	slices.SortFunc(list, compareBackends)
	return list
}

func sortedBackends(s *loopStats) []*upstream.Backend {
	return sortedKeysFunc(s.backends, compareBackends)
}

func compareBackends(a, b *upstream.Backend) int {
	return cmp.Or(cmp.Compare(a.Cluster().Name(), b.Cluster().Name()), cmp.Compare(a.Addr(), b.Addr()))
}

func backendLabels(b *upstream.Backend) string {
	return label("cluster", b.Cluster().Name()) + "," + label("backend", b.Addr())
}

func sortedKeys[V any](m map[string]V) []string { return sortedKeysFunc(m, cmp.Compare[string]) }

func sortedKeysFunc[K comparable, V any](m map[K]V, order func(a, b K) int) []K {
	list := make([]K, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.SortFunc(list, order)
	return list
}

// label is one label of a metric.
func label(name, value string) string { return name + "=" + strconv.Quote(value) }

// metricWriter writes the Prometheus text format,
// https://prometheus.io/docs/instrumenting/exposition_formats/.
type metricWriter struct {
	w   io.Writer
	buf []byte
}

// meta writes what kind of metric follows.
func (m *metricWriter) meta(name, kind string) { fmt.Fprintf(m.w, "# TYPE %s %s\n", name, kind) }

// value writes one sample.
func (m *metricWriter) value(name, labels string, v float64) {
	b := append(m.buf[:0], name...)
	if labels != "" {
		b = append(append(append(b, '{'), labels...), '}')
	}
	b = strconv.AppendFloat(append(b, ' '), v, 'g', -1, 64)
	m.buf = append(b, '\n')
	_, _ = m.w.Write(m.buf)
}

// histogram writes one histogram with its buckets.
func (m *metricWriter) histogram(name, labels string, h *histogram) {
	sum := uint64(0)
	for i, n := range h.count {
		sum += n
		le := "+Inf"
		if i < bucketCount {
			le = strconv.FormatFloat((bucketMin << i).Seconds(), 'g', -1, 64)
		}
		m.value(name+"_bucket", labels+","+label("le", le), float64(sum))
	}
	m.value(name+"_sum", labels, float64(h.sum)/1e9)
	m.value(name+"_count", labels, float64(sum))
}

// total is the number of durations that were counted.
func (h *histogram) total() (n uint64) {
	for _, c := range h.count {
		n += c
	}
	return n
}

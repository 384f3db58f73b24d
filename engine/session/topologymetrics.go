package session

import (
	"cmp"
	"slices"
	"time"

	"sluice/upstream"
)

// writeTopology writes what is known of the backends' part in their clusters, and how it becomes known.
func (p *Proxy) writeTopology(m *metricWriter, sum *loopStats) {
	p.writeRoles(m)
	p.writeDiscoveries(m)
	m.meta("sluice_backend_behind", "gauge")
	for _, fe := range p.Frontends() {
		set := fe.Settings()
		if !set.Lag.Limited() {
			continue
		}
		behind := set.lagging.behind()
		for _, b := range set.cluster.Backends() {
			m.value("sluice_backend_behind", label("listener", fe.name)+","+backendLabels(b), truth(behind[b.Addr()]))
		}
	}
	p.writeNamespaces(m)
	m.meta("sluice_evictions_total", "counter")
	for _, n := range sortedKeys(sum.frontends) {
		for i, count := range sum.frontends[n].evicted {
			m.value("sluice_evictions_total", label("listener", n)+","+label("reason", evictions[i]), float64(count))
		}
	}
}

// writeRoles writes what a discovery, or the configuration, says of each backend.
func (p *Proxy) writeRoles(m *metricWriter) {
	backends := p.Backends()
	each := func(name string, value func(*upstream.Backend, upstream.Spec) (float64, bool)) {
		m.meta(name, "gauge")
		for _, b := range backends {
			if v, known := value(b, b.Spec()); known {
				m.value(name, backendLabels(b), v)
			}
		}
	}
	m.meta("sluice_backend_info", "gauge")
	for _, b := range backends {
		spec := b.Spec()
		labels := backendLabels(b) + "," + label("role", spec.Role.String())
		for _, l := range [...][2]string{{"name", spec.Name}, {"state", spec.State}, {"zone", spec.Zone}} {
			if !plain(l[1]) {
				l[1] = ""
			}
			labels += "," + label(l[0], l[1])
		}
		m.value("sluice_backend_info", labels, 1)
	}
	each("sluice_backend_leads", func(b *upstream.Backend, _ upstream.Spec) (float64, bool) { return truth(b.Leads()), true })
	each("sluice_backend_closing", func(b *upstream.Backend, _ upstream.Spec) (float64, bool) { return truth(b.Closing()), true })
	each("sluice_backend_out", func(_ *upstream.Backend, s upstream.Spec) (float64, bool) { return truth(s.Out != ""), true })
	each("sluice_backend_lag_bytes", func(_ *upstream.Backend, s upstream.Spec) (float64, bool) {
		return float64(s.Lag.Bytes), s.Lag.Known && s.Role.Follows()
	})
	each("sluice_backend_lag_seconds", func(_ *upstream.Backend, s upstream.Spec) (float64, bool) {
		return s.Lag.Time.Seconds(), s.Lag.TimeKnown && s.Role.Follows()
	})
	each("sluice_backend_timeline", func(_ *upstream.Backend, s upstream.Spec) (float64, bool) {
		return float64(s.Timeline), s.Timeline > 0
	})
}

// writeDiscoveries writes how well the discoveries work, and what has come of them.
func (p *Proxy) writeDiscoveries(m *metricWriter) {
	clusters := p.sortedClusters()
	each := func(name, kind string, value func(upstream.FinderStatus) (float64, bool)) {
		m.meta(name, kind)
		for _, c := range clusters {
			if status, ok := c.Discovered(); ok {
				if v, known := value(status); known {
					m.value(name, label("cluster", c.Name()), v)
				}
			}
		}
	}
	each("sluice_discovery_polls_total", "counter", func(s upstream.FinderStatus) (float64, bool) {
		return float64(s.Polls), true
	})
	each("sluice_discovery_failures_total", "counter", func(s upstream.FinderStatus) (float64, bool) {
		return float64(s.Failures), true
	})
	each("sluice_discovery_stale", "gauge", func(s upstream.FinderStatus) (float64, bool) { return truth(s.Stale), true })
	each("sluice_discovery_age_seconds", "gauge", func(s upstream.FinderStatus) (float64, bool) {
		return time.Since(s.At).Seconds(), !s.At.IsZero()
	})
	m.meta("sluice_topology_changes_total", "counter")
	for _, c := range clusters {
		m.value("sluice_topology_changes_total", label("cluster", c.Name()), float64(p.topology.counted(c.Name())))
	}
	m.meta("sluice_cluster_held", "gauge")
	for _, c := range clusters {
		_, held := c.Held()
		m.value("sluice_cluster_held", label("cluster", c.Name()), truth(held))
	}
}

// sortedClusters returns the clusters by name.
func (p *Proxy) sortedClusters() []*upstream.Cluster {
	list := p.Clusters()
	slices.SortFunc(list, func(a, b *upstream.Cluster) int { return cmp.Compare(a.Name(), b.Name()) })
	return list
}

// Undiscovered are the names of the clusters whose discovery has found nothing yet.
func (p *Proxy) Undiscovered() []string {
	names := []string{}
	for _, c := range p.sortedClusters() {
		if status, ok := c.Discovered(); ok && status.At.IsZero() {
			names = append(names, c.Name())
		}
	}
	return names
}

// truth is a truth value as a metric.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

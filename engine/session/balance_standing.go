package session

import (
	"sluice/router"
	"sluice/upstream"
)

// Standing is how a backend stands among those of its cluster, by the last look of who balances it.
type Standing struct {
	Score   map[string]int // by factor, 0 being the best; none where nothing is balanced
	Explain string         // one line
	Drained bool
	Why     string // it is to be emptied
	// Stuck says that sessions have to stay though it is to be emptied, or about to stop: there is no other backend for
	// those of a listener that it suits.
	Stuck bool
}

// StandingOf is how a backend stands.
func (p *Proxy) StandingOf(b *upstream.Backend) (s Standing) {
	s.Why, s.Drained = b.Drained()
	for _, fe := range p.Frontends() {
		for _, view := range fe.Settings().views() {
			if (s.Drained || b.Closing()) && view.cluster == b.Cluster() && b.Suits(view.want()) && !view.cluster.Elsewhere(view.want(), b) {
				s.Stuck = true
			}
		}
	}
	v, ok := p.verdictOf(b)
	if ok {
		s.Score = map[string]int{}
		for _, f := range v.Heard {
			s.Score[f.String()] = v.Grades[f]
		}
	}
	switch {
	case b.Closing() && s.Stuck:
		s.Explain = "its server is about to stop, but sessions have no other backend"
	case b.Closing():
		s.Explain = "its server is about to stop, and it is emptied while it still serves"
	case s.Drained && s.Stuck:
		s.Explain = "it is emptied (" + s.Why + "), but sessions have no other backend"
	case s.Drained:
		s.Explain = "it is emptied: " + s.Why
	case ok && len(v.Heard) > 0:
		s.Explain = v.Explain()
	default:
		s.Explain = "nothing is balanced"
	}
	return s
}

// verdictOf is what the balancer said of a backend last; ok is false if it has not seen it.
func (p *Proxy) verdictOf(b *upstream.Backend) (v *router.Verdict, ok bool) {
	p.balancing.mu.Lock()
	one := p.balancing.of[b.Cluster()]
	p.balancing.mu.Unlock()
	if one == nil {
		return nil, false
	}
	last := one.last.Load()
	if last == nil {
		return nil, false
	}
	for i, x := range last.backends {
		if x == b {
			return &last.verdicts[i], true
		}
	}
	return nil, false
}

// writeBalance writes how the backends stand.
func (p *Proxy) writeBalance(m *metricWriter) {
	backends := p.Backends()
	verdicts := make([]*router.Verdict, len(backends))
	for i, b := range backends {
		verdicts[i], _ = p.verdictOf(b)
	}
	m.meta("sluice_backend_drained", "gauge")
	for _, b := range backends {
		_, drained := b.Drained()
		m.value("sluice_backend_drained", backendLabels(b), truth(drained))
	}
	m.meta("sluice_backend_score", "gauge")
	for i, b := range backends {
		if verdicts[i] == nil {
			continue
		}
		for _, f := range verdicts[i].Heard {
			m.value("sluice_backend_score", backendLabels(b)+","+label("factor", f.String()), float64(verdicts[i].Grades[f]))
		}
	}
	m.meta("sluice_backend_figure", "gauge")
	for i, b := range backends {
		if verdicts[i] == nil {
			continue
		}
		figures := verdicts[i].Load.Figures()
		for _, name := range sortedKeys(figures) {
			m.value("sluice_backend_figure", backendLabels(b)+","+label("figure", name), figures[name])
		}
	}
}

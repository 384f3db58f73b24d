package session

import (
	"cmp"
	"maps"
	"time"

	"go.uber.org/zap"

	"sluice/engine"
	"sluice/upstream"
)

// route is between which backends sessions move, and why. to is nil while none has been chosen.
type route struct {
	from, to *upstream.Backend
	why      string
}

// routeStats are the figures of one route on one loop.
type routeStats struct {
	pending int64 // under way
	results [moveResults]uint64
}

func (f *routeStats) add(o *routeStats) {
	f.pending += o.pending
	for i, n := range o.results {
		f.results[i] += n
	}
}

// moveStats are a loop's figures of moves.
type moveStats struct {
	routes map[route]*routeStats
	held   map[*upstream.Cluster]*histogram // how long clients waited for moves that were made
	asks   [moveResults]uint64              // states that were asked for to be kept
}

// routesMax bounds the routes that figures are kept of on a loop, so that backends that come and go do not fill the
// memory. Those of backends that have gone make room; if that is not enough, no more are counted.
const routesMax = 4096

// of returns the figures of a route; nil if there are too many.
func (m *moveStats) of(r route) *routeStats {
	f := m.routes[r]
	if f != nil {
		return f
	}
	if len(m.routes) >= routesMax {
		maps.DeleteFunc(m.routes, func(r route, f *routeStats) bool { return f.pending == 0 && r.gone() })
	}
	if len(m.routes) >= routesMax {
		return nil
	}
	if m.routes == nil {
		m.routes = map[route]*routeStats{}
	}
	f = &routeStats{}
	m.routes[r] = f
	return f
}

// gone tells that there will be no more moves on the route.
func (r route) gone() bool { return r.from.Gone() || r.to != nil && r.to.Gone() }

// pend counts a move in that is under way.
func (m *moveStats) pend(mv *moving) {
	if mv.counted = m.of(route{mv.from, mv.to, mv.why}); mv.counted != nil {
		mv.counted.pending++
	}
}

// unpend counts it out, if it was counted in: there may have been too many routes then, and not any more.
func (mv *moving) unpend() {
	if mv.counted != nil {
		mv.counted.pending--
		mv.counted = nil
	}
}

// over counts a move by what came of it.
func (m *moveStats) over(mv *moving, r moveResult) {
	if f := m.of(route{mv.from, mv.to, mv.why}); f != nil {
		f.results[r]++
	}
	if r != moveMade {
		return
	}
	c := mv.from.Cluster()
	h := m.held[c]
	if h == nil {
		if m.held == nil {
			m.held = map[*upstream.Cluster]*histogram{}
		}
		h = &histogram{}
		m.held[c] = h
	}
	h.observe(engine.Nano() - mv.began)
}

// add adds up the figures of several loops.
func (m *moveStats) add(o *moveStats) {
	for r, f := range o.routes {
		if sum := m.of(r); sum != nil {
			sum.add(f)
		}
	}
	for c, h := range o.held {
		if m.held == nil {
			m.held = map[*upstream.Cluster]*histogram{}
		}
		if m.held[c] == nil {
			m.held[c] = &histogram{}
		}
		m.held[c].add(h)
	}
	for i, n := range o.asks {
		m.asks[i] += n
	}
}

// named are the figures by their labels. A backend that has gone and come back at its address is another one here, and the
// same to who reads of it.
func (m *moveStats) named() (routes map[string]*routeStats, held map[string]*histogram) {
	routes, held = map[string]*routeStats{}, map[string]*histogram{}
	for r, f := range m.routes {
		name := r.labels()
		if routes[name] == nil {
			routes[name] = &routeStats{}
		}
		routes[name].add(f)
	}
	for c, h := range m.held {
		name := label("cluster", c.Name())
		if held[name] == nil {
			held[name] = &histogram{}
		}
		held[name].add(h)
	}
	return routes, held
}

// writeMoves writes the figures of moves.
func (p *Proxy) writeMoves(m *metricWriter, sum *loopStats) {
	routes, held := sum.moves.named()
	m.meta("sluice_migrations_total", "counter")
	for _, r := range sortedKeys(routes) {
		for res, n := range routes[r].results {
			if n > 0 {
				m.value("sluice_migrations_total", r+","+label("result", moveResult(res).String()), float64(n))
			}
		}
	}
	m.meta("sluice_migrations_pending", "gauge")
	for _, r := range sortedKeys(routes) {
		m.value("sluice_migrations_pending", r, float64(routes[r].pending))
	}
	m.meta("sluice_migration_seconds", "histogram")
	for _, c := range sortedKeys(held) {
		m.histogram("sluice_migration_seconds", c, held[c])
	}
	m.meta("sluice_states_asked_total", "counter")
	for res, n := range sum.moves.asks {
		if n > 0 || moveResult(res) == moveMade {
			m.value("sluice_states_asked_total", label("result", moveResult(res).String()), float64(n))
		}
	}
	m.meta("sluice_losses_total", "counter")
	for _, n := range sortedKeys(sum.frontends) {
		for r, count := range sum.frontends[n].losses {
			m.value("sluice_losses_total", label("listener", n)+","+label("result", lossResult(r).String()), float64(count))
		}
	}
	p.writePins(m)
}

// labels are those of a route.
func (r route) labels() string {
	to := ""
	if r.to != nil {
		to = r.to.Addr()
	}
	return label("cluster", r.from.Cluster().Name()) + "," + label("from", r.from.Addr()) + "," + label("to", to) +
		"," + label("reason", r.why)
}

// pinned is a listener, and what binds sessions of it to their servers.
type pinned struct{ listener, pin string }

// writePins writes how many sessions are bound to their servers, and by what.
func (p *Proxy) writePins(m *metricWriter) {
	sums := map[pinned]int{}
	parts := make(chan map[pinned]int, len(p.loops))
	for _, on := range p.loops {
		part := map[pinned]int{}
		on.each(func(s *Session) {
			if s.mob != nil {
				if pin := s.pin(); pin.Name != "" {
					part[pinned{s.fe.name, pin.Name}]++
				}
			}
		}, func() { parts <- part })
	}
	timer := time.NewTimer(scrapeTimeout)
	defer timer.Stop()
	for range p.loops {
		select {
		case part := <-parts:
			for k, n := range part {
				sums[k] += n
			}
		case <-timer.C:
			timer.Reset(0) // the loops that have answered are heard, no other is waited for
		}
	}
	m.meta("sluice_session_pins", "gauge")
	for _, k := range sortedKeysFunc(sums, func(a, b pinned) int {
		return cmp.Or(cmp.Compare(a.listener, b.listener), cmp.Compare(a.pin, b.pin))
	}) {
		m.value("sluice_session_pins", label("listener", k.listener)+","+label("pin", k.pin), float64(sums[k]))
	}
}

// moveWarnEvery is the time between two warnings of a loop that a session could not be moved: when one can't, many can't.
const moveWarnEvery = time.Second

// logMove writes a line about a move that is over: a warning if it has failed, now and then.
func (p *Proxy) logMove(mv *moving, r moveResult, err error) {
	level, last := zap.DebugLevel, &mv.s.on.moves.warned
	if now := engine.Nano(); r.failed() && (*last == 0 || now-*last >= int64(moveWarnEvery)) {
		level, *last = zap.WarnLevel, now
	}
	text := "a session could not be moved"
	if r == moveMade {
		text = "a session was moved"
	}
	entry := p.log.Check(level, text)
	if entry == nil {
		return
	}
	s := mv.s
	fields := []zap.Field{zap.Uint64("session", s.id), zap.String("listener", s.fe.name), zap.String("user", s.user),
		zap.String("from", mv.from.Addr()), zap.String("why", mv.why), zap.Stringer("result", r)}
	if mv.to != nil {
		fields = append(fields, zap.String("to", mv.to.Addr()))
	}
	if mv.began != 0 {
		fields = append(fields, zap.Duration("waited", asDuration(engine.Nano()-mv.began)))
	}
	if err != nil {
		fields = append(fields, zap.Error(err))
	}
	entry.Write(fields...)
}

// moveInfo describes what is known of the session's moves.
func (s *Session) moveInfo(i *Info) {
	if s.mob == nil {
		return
	}
	pin := s.pin()
	i.Pin, i.PinReason = pin.Name, pin.Reason
	i.Known = s.mob.mover.Known()
	if h := s.mob.past; h != nil {
		i.Moves, i.MoveError = h.moves, h.err
	}
	if mv := s.mv; mv != nil {
		i.Moving = mv.stage.String()
		if mv.to != nil {
			i.MovingTo = mv.to.Addr()
		}
	}
}

package router

// burden is how bad a backend is by its own figures and its place, as one number: the factors of the policy from the
// first to the last, but for those that let it take no sessions at all, and their number.
func (s *Spread) burden(b *Backend, zone string) (sum int) {
	st := Standing{Zone: b.Zone, Healthy: true}
	v := side{Standing: &st, load: b.Load, score: b.Sessions}
	for _, f := range orders[s.Policy] {
		if !f.hard() && f != FactorConnection {
			sum = sum*(unknownUsage+1) + v.grade(f, s, s.zone(zone))
		}
	}
	return sum
}

// shunned tells whether sessions would be moved from one backend to another for another reason than their number.
func (s *Spread) shunned(b, best *Backend, zone string) bool {
	if b.Load == nil || best.Load == nil {
		return false
	}
	zone = s.zone(zone)
	here, there := Standing{Zone: b.Zone, Healthy: true}, Standing{Zone: best.Zone, Healthy: true}
	from, to := side{Standing: &here, load: b.Load, score: b.Sessions},
		side{Standing: &there, load: best.Load, score: best.Sessions}
	from.judge(s, zone)
	to.judge(s, zone)
	for _, f := range orders[s.Policy] {
		if f.hard() || f == FactorConnection {
			continue
		}
		switch said, _ := advise(f, &from, &to, s); said {
		case stop:
			return false
		case move:
			return true
		}
	}
	return false
}

// route chooses among the backends that fit, of which best is the best by all factors.
func (s *Spread) route(backends []Backend, want Want, best Choice, random uint64) Choice {
	top := &backends[best.Index]
	switch s.Routing {
	case Random:
		return s.anyOf(backends, want, best, random)
	case PreferIdle:
		chosen, equals := best, uint64(1)
		for i := range backends {
			b := &backends[i]
			if i == best.Index || !s.eligible(b, top, want) || s.shunned(b, top, want.Zone) {
				continue
			}
			switch c := &backends[chosen.Index]; {
			case b.Sessions < c.Sessions:
				chosen, equals = Choice{i, "idle"}, 1
			case b.Sessions == c.Sessions:
				equals++
				if (random>>8)%equals == 0 {
					chosen.Index = i
				}
				chosen.Reason = "idle"
				random = mix(random)
			}
		}
		return chosen
	}
	return best
}

// eligible tells whether a session may be given to b where top is the best: in another zone only if nobody is in
// that which is asked for.
func (s *Spread) eligible(b, top *Backend, want Want) bool {
	if out(b, want) < len(factors) {
		return false
	}
	here, _ := byZone(b, want)
	there, _ := byZone(top, want)
	return here == there
}

// anyOf chooses any of the backends that may be chosen, the best a tenth more often than each other one.
func (s *Spread) anyOf(backends []Backend, want Want, best Choice, random uint64) Choice {
	const each, top = 10, 11 // shares
	n := uint64(0)
	for i := range backends {
		if i != best.Index && s.eligible(&backends[i], &backends[best.Index], want) {
			n++
		}
	}
	if n == 0 {
		return best
	}
	drawn := (random >> 8) % (each*n + top)
	if drawn < top {
		return Choice{best.Index, "random"}
	}
	skip := (drawn - top) / each
	for i := range backends {
		if i == best.Index || !s.eligible(&backends[i], &backends[best.Index], want) {
			continue
		}
		if skip == 0 {
			return Choice{i, "random"}
		}
		skip--
	}
	return best
}

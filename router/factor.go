package router

// factor is one reason to prefer a backend. It grades from 0, the best, upwards; ok false means that
// the backend is out of the question.
type factor struct {
	name  string
	grade func(b *Backend, w Want) (grade int, ok bool)
}

// factors is the policy.
var factors = [...]factor{
	{"role", byRole},
	{"state", byState},
	{"shutdown", byShutdown},
	{"drained", byDrain},
	{"tags", byTags},
	{"lag", byLag},
	{"label", byLabel},
	{"health", byHealth},
	{"tried", byTried},
	{"zone", byZone},
	{"load", byLoad},
	{"sessions", bySessions},
}

// fitting is how many of the factors, from the first, say whether a backend is fit for a session, and not how
// it does at the moment.
const fitting = 6

// byRole rejects a backend in a role that was not asked for.
func byRole(b *Backend, w Want) (int, bool) { return 0, w.Roles.Has(b.Role) }

// byState rejects a backend of which its discovery says that it takes no sessions.
func byState(b *Backend, _ Want) (int, bool) { return 0, !b.Out }

// byShutdown rejects a backend whose server is about to stop: it serves still, but not for long.
func byShutdown(b *Backend, _ Want) (int, bool) { return 0, !b.Closing }

// byDrain rejects a backend that is to be emptied.
func byDrain(b *Backend, _ Want) (int, bool) { return 0, !b.Drained }

// byTags rejects a backend that lacks a tag which it must have, or has one which it must not. One that is not
// to be balanced to takes sessions as the leader only, of which there is no other.
func byTags(b *Backend, w Want) (int, bool) {
	if b.NoBalance && b.Role != Leader {
		return 0, false
	}
	for i := range w.Tags {
		rule := &w.Tags[i]
		if value, has := b.Tags[rule.Name]; (has && value == rule.Value) == rule.Not {
			return 0, false
		}
	}
	return 0, true
}

// byLag rejects a backend that is too far behind the one that leads, which itself never is.
func byLag(b *Backend, w Want) (int, bool) { return 0, !b.Role.Follows() || !w.Behind[b.Addr] }

// byLabel rejects a backend of other tenants than this Sluice serves. It is no question of fitness: sessions leave
// such a one at their leisure.
func byLabel(b *Backend, w Want) (int, bool) { return 0, w.Spread.allows(b.Tags) }

// byHealth rejects a backend that fails its health checks.
func byHealth(b *Backend, _ Want) (int, bool) { return 0, b.Healthy }

// byTried rejects a backend that has just refused this client.
func byTried(b *Backend, _ Want) (int, bool) { return 0, !b.Tried }

// byZone prefers the backends of the zone that is asked for. With none of them left the others serve.
func byZone(b *Backend, w Want) (int, bool) {
	if w.Zone == "" || b.Zone == w.Zone {
		return 0, true
	}
	return 1, true
}

// byLoad prefers the backend that does best by its own figures, if sessions are spread by them.
func byLoad(b *Backend, w Want) (int, bool) {
	if w.Spread == nil || b.Load == nil {
		return 0, true
	}
	return w.Spread.burden(b, w.Zone), true
}

// bySessions prefers the backend with the fewest sessions.
func bySessions(b *Backend, _ Want) (int, bool) { return b.Sessions, true }

// out returns the place in the table of the factor that rejects b, or the table's length.
func out(b *Backend, w Want) int {
	for i := range factors {
		if _, ok := factors[i].grade(b, w); !ok {
			return i
		}
	}
	return len(factors)
}

// compare returns the first factor that tells a from b, and which is better: below 0 a, above 0 b.
func compare(a, b *Backend, w Want) (name string, order int) {
	for i := range factors {
		ga, _ := factors[i].grade(a, w)
		gb, _ := factors[i].grade(b, w)
		if ga != gb {
			return factors[i].name, ga - gb
		}
	}
	return "", 0
}

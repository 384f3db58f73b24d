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
	{"health", byHealth},
	{"tried", byTried},
	{"sessions", bySessions},
}

// byRole rejects a backend in a role that was not asked for.
func byRole(b *Backend, w Want) (int, bool) { return 0, w.Roles.Has(b.Role) }

// byHealth rejects a backend that fails its health checks.
func byHealth(b *Backend, _ Want) (int, bool) { return 0, b.Healthy }

// byTried rejects a backend that has just refused this client.
func byTried(b *Backend, _ Want) (int, bool) { return 0, !b.Tried }

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

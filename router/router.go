package router

// Role is the part that a backend plays in its cluster.
type Role uint8

const (
	Leader Role = iota // takes writes
	Sync               // a replica that a commit waits for
	Async              // any other replica
)

// String returns the role's name in the configuration.
func (r Role) String() string { return [...]string{"leader", "sync", "async"}[r] }

// Roles is a set of roles.
type Roles uint8

// AnyRole holds every role.
const AnyRole = Roles(1<<Leader | 1<<Sync | 1<<Async)

// Has tells whether the set holds r.
func (s Roles) Has(r Role) bool { return s&(1<<r) != 0 }

// With returns the set with r in it.
func (s Roles) With(r Role) Roles { return s | 1<<r }

// Backend is what the router knows of one backend at the moment of a choice.
type Backend struct {
	Addr     string
	Role     Role
	Healthy  bool // passed its health checks, or was not checked yet
	Tried    bool // refused this very client a moment ago
	Sessions int  // sessions on it and on their way to it, of all listeners
}

// Want is what a session asks for.
type Want struct {
	Roles Roles
}

// Choice is the outcome of Pick.
type Choice struct {
	Index  int    // into the backends given to Pick; -1 if none will do
	Reason string // the factor that decided, or, with Index -1, that rejected the one that came furthest
}

// Pick chooses among backends. random is any number; it decides between equals.
func Pick(backends []Backend, want Want, random uint64) Choice {
	best := Choice{Index: -1, Reason: "no backends"}
	equals := uint64(0)
	furthest := 0 // factor that a rejected backend has come to
	for i := range backends {
		if by := out(&backends[i], want); by < len(factors) {
			if best.Index < 0 && by >= furthest {
				furthest, best.Reason = by, factors[by].name
			}
			continue
		}
		if best.Index < 0 {
			best, equals = Choice{i, "only one"}, 1
			continue
		}
		by, order := compare(&backends[i], &backends[best.Index], want)
		switch {
		case order < 0:
			best, equals = Choice{i, by}, 1
		case order > 0:
			best.Reason = by
		default:
			// Each of the n equals seen so far stays with probability 1/n.
			equals++
			if (random>>8)%equals == 0 {
				best.Index = i
			}
			best.Reason = "random"
			random = mix(random)
		}
	}
	return best
}

// mix makes the next number of one: an xorshift step, plenty for a tie.
func mix(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	return x
}

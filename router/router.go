package router

import "time"

// Role is the part that a backend plays in its cluster.
type Role uint8

const (
	Leader        Role = iota // takes writes
	Sync                      // a replica that a commit waits for
	Async                     // any other replica
	Quorum                    // a replica of several, of which a commit waits for some
	StandbyLeader             // leads a cluster that follows another cluster; takes no writes
)

// Follows tells whether a backend in this role follows the one that leads its cluster, and so may be behind.
func (r Role) Follows() bool { return r != Leader && r != StandbyLeader }

// String returns the role's name in the configuration.
func (r Role) String() string {
	return [...]string{"leader", "sync", "async", "quorum", "standby-leader"}[r]
}

// Roles is a set of roles.
type Roles uint8

// AnyRole holds every role.
const AnyRole = Roles(1<<Leader | 1<<Sync | 1<<Async | 1<<Quorum | 1<<StandbyLeader)

// Has tells whether the set holds r.
func (s Roles) Has(r Role) bool { return s&(1<<r) != 0 }

// With returns the set with r in it.
func (s Roles) With(r Role) Roles { return s | 1<<r }

// Lag is how far a replica is behind its leader.
type Lag struct {
	Bytes     uint64
	Known     bool // Bytes
	Time      time.Duration
	TimeKnown bool
}

// LagLimits say how far a replica may be behind.
type LagLimits struct {
	Bytes  uint64        // 0 = no limit
	Time   time.Duration // 0 = no limit
	Return int           // percent of the limits at or under which one that was over comes back; 1..100
	// Unknown lets a replica pass whose lag is not known.
	Unknown bool
}

// TagRule is a tag that a backend must have, or, with Not, must not have.
type TagRule struct {
	Name, Value string
	Not         bool
}

// Backend is what the router knows of one backend at the moment of a choice.
type Backend struct {
	Addr      string
	Role      Role
	Zone      string
	Out       bool // its discovery says that it takes no sessions at all
	Closing   bool // its server is about to stop
	Drained   bool // it is to be emptied, by order
	NoBalance bool // it takes no sessions but those that want the leader
	Tags      map[string]string
	Healthy   bool  // passed its health checks, or was not checked yet
	Tried     bool  // refused this very client a moment ago
	Sessions  int   // sessions on it and on their way to it, of all listeners
	Load      *Load // how it does by its own figures; nil: it has none
}

// Want is what a session asks for.
type Want struct {
	Roles Roles
	Zone  string    // backends there go first; "" = no matter
	Tags  []TagRule // all must hold
	// Behind are the addresses of the backends that are too far behind for the session's listener. One that
	// leads never is.
	Behind map[string]bool
	// Spread is how the sessions of its cluster are spread; nil: by their number.
	Spread *Spread
}

// Choice is the outcome of Pick.
type Choice struct {
	Index  int    // into the backends given to Pick; -1 if none will do
	Reason string // the factor that decided, or, with Index -1, that rejected the one that came furthest
}

// Fits returns why b may not serve a session that wants w, as the name of a factor; "" if it may. How it does at
// the moment is not asked: a session that has a server connection knows better than any check.
func Fits(b *Backend, w Want) (why string) {
	for i := range factors[:fitting] {
		if _, ok := factors[i].grade(b, w); !ok {
			return factors[i].name
		}
	}
	return ""
}

// Pick chooses among backends. random is any number; it decides between equals.
func Pick(backends []Backend, want Want, random uint64) Choice {
	best, furthest := Choice{Index: -1, Reason: "no backends"}, 0
	equals := uint64(0)
	for i := range backends {
		if by := out(&backends[i], want); by < len(factors) {
			if best.Index < 0 && by >= furthest { // as far as any has come
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
	if best.Index < 0 || want.Spread == nil {
		return best
	}
	return want.Spread.route(backends, want, best, mix(random))
}

// mix makes the next number of one: an xorshift step, plenty for a tie.
func mix(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	return x
}

package router

// Policy is by which factors sessions are spread over backends that fit them, the first ones first.
type Policy uint8

const (
	// ByConnections: label, status, location if the sessions ask for a zone, connection.
	ByConnections Policy = iota
	// ByResources: label, status, health, memory, cpu, location, connection.
	ByResources
	// ByLocation: label, status, location, health, memory, cpu, connection.
	ByLocation
	// Unbalanced: nothing is moved to spread sessions. New ones go where the fewest are.
	Unbalanced
)

// UsesFigures tells whether what backends say of themselves counts.
func (p Policy) UsesFigures() bool { return p == ByResources || p == ByLocation }

// Routing is which of the backends that fit takes a new session.
type Routing uint8

const (
	// PreferIdle: of those that nobody would be moved away from for another reason than their number, the one
	// with the fewest sessions.
	PreferIdle Routing = iota
	// Random: any of them, the best a tenth more often than each other one.
	Random
	// Idlest: the best by all factors.
	Idlest
)

// DefaultCountRatio is how many times the sessions of another backend one may have, unless it is said. It is what
// TiProxy takes.
const DefaultCountRatio = 1.2

// Spread is how sessions are spread. It is shared and not changed.
type Spread struct {
	Policy  Policy
	Routing Routing
	// Label is a tag that a backend must have, with the value LabelValue, to take sessions; "" = none.
	Label, LabelValue string
	// Zone is where this Sluice stands; "" = not said.
	Zone string
	// CountRatio is how many times the sessions of another backend one may have; 0 = any number.
	CountRatio float64
	// Speeds are in sessions per second, by factor; 0 = found out.
	Speeds [Factors]float64
}

// Factor is a reason to move a session, or to prefer a backend for a new one.
type Factor uint8

const (
	FactorLabel      Factor = iota // its tag is another one than is asked for
	FactorStatus                   // it fails its checks
	FactorHealth                   // what it asks of others fails
	FactorMemory                   // it runs out of memory
	FactorCPU                      // it is busier than others
	FactorLocation                 // it stands in another zone
	FactorConnection               // it has more sessions than others
	Factors          = iota
)

// String returns the factor's name, as metrics and the configuration have it.
func (f Factor) String() string {
	return [...]string{"label", "status", "health", "memory", "cpu", "location", "connection"}[f]
}

// hard tells that a backend with that against it takes no sessions, so that all leave it that can.
func (f Factor) hard() bool { return f == FactorLabel || f == FactorStatus }

// orders are the policies.
var orders = [...][]Factor{
	ByConnections: {FactorLabel, FactorStatus, FactorLocation, FactorConnection},
	ByResources: {FactorLabel, FactorStatus, FactorHealth, FactorMemory, FactorCPU, FactorLocation,
		FactorConnection},
	ByLocation: {FactorLabel, FactorStatus, FactorLocation, FactorHealth, FactorMemory, FactorCPU,
		FactorConnection},
	Unbalanced: {},
}

// allows tells whether a backend has the tag that is asked for.
func (s *Spread) allows(tags map[string]string) bool {
	return s == nil || s.Label == "" || tags[s.Label] == s.LabelValue
}

// zone is where sessions go first that ask for asked, "" being nowhere. By connections alone, a zone counts only
// if they ask for it.
func (s *Spread) zone(asked string) string {
	if asked == "" && s.Policy != ByConnections {
		return s.Zone
	}
	return asked
}

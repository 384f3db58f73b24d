package conf

import (
	"net"
	"reflect"
	"slices"
	"strconv"
)

// Balance is about how the sessions of a cluster are spread over its backends.
type Balance struct {
	// Policy says by what: backends' own figures, then where they stand; where they stand, then their figures; the
	// number of sessions alone; or not at all.
	Policy string `toml:"policy" oneof:"connection resource location off"`
	// Routing says which of the backends that fit takes a new session.
	Routing string `toml:"routing" oneof:"prefer-idle random idlest"`
	// Label is a tag that a backend must have, with the value that engine.labels gives it; "" = none.
	Label string `toml:"label"`
	// CountRatio is how many times the sessions of another backend one may have; 0 = any number.
	CountRatio Rate `toml:"count-ratio"`
	// Interval lies between two looks at who should move.
	Interval Duration `toml:"interval" range:"10ms..1m"`
	// The speeds at which sessions move for each reason, per second; 0 = found out.
	StatusSpeed   Rate `toml:"status-speed"`
	HealthSpeed   Rate `toml:"health-speed"`
	MemorySpeed   Rate `toml:"memory-speed"`
	CPUSpeed      Rate `toml:"cpu-speed"`
	LocationSpeed Rate `toml:"location-speed"`
	CountSpeed    Rate `toml:"count-speed"`
}

// speedMax bounds speeds, in sessions per second, and ratioMax the ratio.
const (
	speedMax = 1e6
	ratioMax = 1e6
)

// balance checks what is said of how sessions are spread.
func (k *checker) balance(path string, c *Cluster) {
	b := &c.Balance
	d := DefaultCluster().Balance
	if b.CountRatio != 0 && (b.CountRatio <= 1 || b.CountRatio > ratioMax) {
		k.problem(join(path, "count-ratio"), "%v is not 0 or above 1, up to %v: a backend with as many sessions as the others would give some away",
			b.CountRatio, Rate(ratioMax))
	}
	for _, s := range b.speeds() {
		if s.speed > speedMax {
			k.problem(join(path, s.key), "%v is more than %v sessions per second", s.speed, Rate(speedMax))
		}
	}
	figures := b.Policy == "resource" || b.Policy == "location"
	if b.Policy == "resource" && c.Protocol != "mysql" && c.Protocol != "" {
		k.problem(join(path, "policy"), `"resource" has no use with protocol %q: what backends say of themselves is read from TiDB's status ports`,
			c.Protocol)
	}
	for _, key := range changedKeys(reflect.ValueOf(d), reflect.ValueOf(*b)) {
		switch {
		case slices.Contains([]string{"policy", "routing", "label"}, key):
		case b.Policy == "off":
			k.problem(join(path, key), `has no use with policy "off"`)
		case !figures && slices.Contains([]string{"health-speed", "memory-speed", "cpu-speed"}, key):
			k.problem(join(path, key), "has no use with policy %q", b.Policy)
		case !c.Moves():
			k.problem(join(path, key), "has no use: no session of the cluster moves")
		}
	}
}

// speeds are the speeds with their keys.
func (b *Balance) speeds() []struct {
	key   string
	speed Rate
} {
	return []struct {
		key   string
		speed Rate
	}{{"status-speed", b.StatusSpeed}, {"health-speed", b.HealthSpeed}, {"memory-speed", b.MemorySpeed},
		{"cpu-speed", b.CPUSpeed}, {"location-speed", b.LocationSpeed}, {"count-speed", b.CountSpeed}}
}

// outOfService checks the list of backends that are to take no sessions.
func (k *checker) outOfService(path string, c *Cluster) {
	for i, word := range c.OutOfService {
		at := join(join(path, "out-of-service"), strconv.Itoa(i))
		if word == "" {
			k.problem(at, "is empty: it is an address, a host, or the first label of a host's name")
		}
		if slices.Contains(c.OutOfService[:i], word) {
			k.problem(at, "%q is there twice", word)
		}
		if _, _, err := net.SplitHostPort(word); err == nil {
			if _, err := parseAddr(word, true); err != nil {
				k.problem(at, "%s", err)
			}
		}
	}
}

// labels checks what this Sluice says of itself.
func (k *checker) labels(c *Config) {
	for i, l := range c.Engine.Labels {
		at := join("engine.labels", strconv.Itoa(i))
		if l.Not {
			k.problem(at, `%q: a label is "name=value" or "name"`, l)
		}
		if slices.ContainsFunc(c.Engine.Labels[:i], func(o Tag) bool { return o.Name == l.Name }) {
			k.problem(at, "the label %q is there twice", l.Name)
		}
	}
}

// Label is the value of one of this Sluice's labels.
func (e *Engine) Label(name string) (value string, ok bool) {
	for _, l := range e.Labels {
		if l.Name == name {
			return l.Value, true
		}
	}
	return "", false
}

package conf

import (
	"slices"
	"strconv"
)

// roles checks the roles that backends may have, and fills in those of a listener that names none.
func (k *checker) roles(path string, l *Listener, protocol string) {
	switch {
	case l.Roles == nil:
		if protocol != "" {
			l.Roles = defaultRoles(protocol)
		}
	case len(l.Roles) == 0:
		k.problem(path, "is empty: no backend could be used")
	default:
		k.rolesOnce(path, l.Roles)
	}
}

// rolesOnce refuses a role that stands there twice, or beside one that includes it.
func (k *checker) rolesOnce(path string, roles []string) {
	if len(roles) > 1 && slices.Contains(roles, "any") {
		k.problem(path, `"any" stands alone: it includes the others`)
		return
	}
	for i, role := range roles {
		if slices.Contains(roles[:i], role) {
			k.problem(join(path, strconv.Itoa(i)), "%q is there twice", role)
		}
	}
}

// fits checks what a listener wants of its backends but for their roles. What only a discovery tells of
// backends is refused where they are configured; cl is nil where the cluster is not known.
func (k *checker) fits(path string, l *Listener, cl *Cluster) {
	discovery, tagged := "", false
	if cl != nil {
		discovery = cl.Discovery
		tagged = slices.ContainsFunc(cl.Backends, func(b Backend) bool { return len(b.Tags) > 0 })
	}
	limited := l.MaxLag != 0 || l.MaxLagTime != 0
	for _, limit := range []struct {
		key string
		set bool
	}{{"max-lag", l.MaxLag != 0}, {"max-lag-time", l.MaxLagTime != 0}} {
		switch {
		case !limit.set:
		case discovery == "static":
			k.problem(join(path, limit.key), `is not available with discovery "static": the lag of its backends is not known`)
		case !replicas(l.Roles) && !replicas(l.ReadOnlyRoles):
			k.problem(join(path, limit.key), `has no use: the roles hold "leader" alone, which is never behind`)
		}
	}
	if l.LagReturn != DefaultListener().LagReturn && !limited {
		k.problem(join(path, "lag-return"), "has no use without max-lag or max-lag-time")
	}
	if l.LagUnknown != DefaultListener().LagUnknown && !limited {
		k.problem(join(path, "lag-unknown"), "has no use without max-lag or max-lag-time")
	}
	if len(l.Tags) > 0 && discovery == "static" && !tagged {
		k.problem(join(path, "tags"), `is not available with discovery "static": its backends have no tags`)
	}
	for i, tag := range l.Tags {
		if slices.Contains(l.Tags[:i], tag) {
			k.problem(join(join(path, "tags"), strconv.Itoa(i)), "%q is there twice", tag.String())
		}
	}
}

// replicas tells whether a backend may be used that does not lead. Roles that could not be read are not
// known: they may.
func replicas(roles []string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return role != "leader" })
}

// reads checks where transactions go that only read.
func (k *checker) reads(path string, l *Listener, c *Config) {
	at := join(path, "read-only-roles")
	switch {
	case len(l.ReadOnlyRoles) == 0:
		if l.ReadOwnWrites != "off" {
			k.problem(join(path, "read-own-writes"), "has no use without read-only-roles")
		}
	case l.Mode != "funnel":
		k.problem(at, "has no use with mode %q", l.Mode)
	case !transactions(l, c):
		k.problem(at, "has no use with unit %q: a client keeps its server connection, or has no transactions", l.Unit)
	case len(l.Roles) > 0 && !slices.Contains(l.Roles, "leader") && !slices.Contains(l.Roles, "any"):
		k.problem(at, `has no use: the roles have no "leader", so that all goes to replicas as it is`)
	default:
		k.rolesOnce(at, l.ReadOnlyRoles)
	}
	if l.ReadWait != DefaultListener().ReadWait && l.ReadOwnWrites != "wait" {
		k.problem(join(path, "read-wait"), `has no use: read-own-writes is %q`, l.ReadOwnWrites)
	}
}

// transactions tells whether some clients of the listener may have a server connection for the time of a
// transaction.
func transactions(l *Listener, c *Config) bool {
	const unit = "transaction"
	return l.Unit == unit ||
		slices.ContainsFunc(l.Database, func(d Database) bool { return d.Unit == unit }) ||
		slices.ContainsFunc(c.User, func(u User) bool { return u.Unit == unit })
}

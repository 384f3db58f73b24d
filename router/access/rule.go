package access

import (
	"net/netip"
	"slices"

	"sluice/codec"
)

// TLSUse is what a rule wants of a client's connection.
type TLSUse uint8

const (
	TLSAny   TLSUse = iota // nothing
	TLSOnly                // TLS
	TLSNever               // no TLS
)

// Words that stand for more than themselves in a rule.
const (
	all         = "all"         // every user, or every database
	sameUser    = "sameuser"    // the database that bears the user's name
	replication = "replication" // physical replication, which has no database; "all" does not include it
)

// Rule says how clients of some kind have to prove who they are.
type Rule struct {
	Users     []string       // names, or "all"; none = all
	Databases []string       // names, "all", "sameuser" or "replication"; none = all
	From      []netip.Prefix // none = all
	TLS       TLSUse
	Method    codec.AuthMethod
}

// fits tells whether the rule is about that client.
func (r *Rule) fits(q *Query) bool {
	switch {
	case r.TLS == TLSOnly && !q.TLS, r.TLS == TLSNever && q.TLS:
		return false
	case len(r.Users) > 0 && !slices.Contains(r.Users, q.User) && !slices.Contains(r.Users, all):
		return false
	case !r.fitsDatabase(q):
		return false
	}
	return len(r.From) == 0 ||
		slices.ContainsFunc(r.From, func(n netip.Prefix) bool { return n.Contains(q.From) })
}

func (r *Rule) fitsDatabase(q *Query) bool {
	if q.Replication {
		return slices.Contains(r.Databases, replication)
	}
	if len(r.Databases) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Databases, func(name string) bool {
		switch name {
		case all:
			return true
		case sameUser:
			return q.Database == q.User
		case replication:
			return false
		}
		return name == q.Database
	})
}

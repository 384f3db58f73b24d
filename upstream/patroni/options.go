package patroni

import (
	"bytes"
	"crypto/tls"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Options say where a cluster's Patroni can be asked, and how. They are not changed once given.
type Options struct {
	// Hosts are base URLs of Patroni's REST API ("http://10.0.0.1:8008"), at least one.
	Hosts []string
	// Interval lies between two polls; a tenth more or less, at random.
	Interval time.Duration
	// Timeout bounds one request, from the connect to the last byte of the answer.
	Timeout time.Duration
	// Hedge is how long a host may take until the next one is asked as well.
	Hedge time.Duration
	// Learn has the members' own api_url asked too.
	Learn bool
	// User and Password are sent by HTTP's basic authentication; "" = none.
	User, Password string
	// TLS is for hosts with https; nil = what the system trusts.
	TLS *tls.Config
	// Port is dialled in place of the members' own; 0 = their own.
	Port int
	// States are those in which a member takes sessions, as Patroni spells them.
	States []string
	// ZoneTag is the tag that holds a member's zone; "" = none does.
	ZoneTag string
	// Times has each member asked for its position in the WAL, and how old what it has replayed is. It costs
	// a request for each, and makes lags exact.
	Times bool
	// Etcd tells of switchovers and new leaders at once; nil = nothing does.
	Etcd *EtcdOptions
	// Log is told of hosts that do not answer and of members that make no sense; nil = nobody is.
	Log *zap.Logger
}

// EtcdOptions say where Patroni keeps the cluster's state.
type EtcdOptions struct {
	Endpoints        []string // base URLs
	Namespace, Scope string   // Patroni's settings of these names
	User, Password   string   // "" = none
	TLS              *tls.Config
}

// same tells whether there is nothing to do for a change from o to p.
func (o *EtcdOptions) same(p *EtcdOptions) bool {
	if o == nil || p == nil {
		return o == p
	}
	return slices.Equal(o.Endpoints, p.Endpoints) && o.Namespace == p.Namespace && o.Scope == p.Scope &&
		o.User == p.User && o.Password == p.Password && sameTLS(o.TLS, p.TLS)
}

// sameTLS compares what a client's configuration is made of here: each reload makes a new one, as the files
// that it is of may have changed.
func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ServerName == b.ServerName && a.InsecureSkipVerify == b.InsecureSkipVerify &&
		a.MinVersion == b.MinVersion && a.RootCAs.Equal(b.RootCAs) &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
			return slices.EqualFunc(x.Certificate, y.Certificate, bytes.Equal)
		})
}

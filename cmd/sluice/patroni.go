package main

import (
	"crypto/tls"
	"fmt"

	"go.uber.org/zap"

	"sluice/conf"
	"sluice/engine/session"
	"sluice/router"
	"sluice/upstream"
	"sluice/upstream/patroni"
)

// ownWrites are what a transaction that only reads sees, by its name in the configuration.
var ownWrites = map[string]session.OwnWrites{
	"off": session.OwnWritesOff, "wait": session.OwnWritesWait, "leader": session.OwnWritesLeader,
}

// discoveryOf is how the backends of a cluster are found; nil: they are configured. It returns the interface
// and no pointer, as a nil pointer in an interface would count as a discovery.
func discoveryOf(c *conf.Cluster, listeners []conf.Listener, admin conf.Admin, log *zap.Logger) (upstream.Discovery, error) {
	switch c.Discovery {
	case "pd":
		opt, err := pdOptions(c, admin, log)
		if err != nil {
			return nil, fmt.Errorf("pd.tls: %w", err)
		}
		return opt, nil
	case "static":
		return nil, nil
	}
	p := &c.Patroni
	opt := &patroni.Options{
		Hosts:    urls(p.Hosts),
		Interval: p.Interval.Std(), Timeout: p.Timeout.Std(), Hedge: p.Hedge.Std(),
		Learn: p.LearnHosts,
		User:  p.User, Password: string(p.Password),
		Port: p.Port, States: p.States, ZoneTag: p.ZoneTag,
		Times: limitsLag(c.Name, listeners),
		Log:   log.With(zap.String("cluster", c.Name)),
	}
	var err error
	if opt.TLS, err = hostTLS(p.TLS.CA, p.TLS.Cert, p.TLS.Key); err != nil {
		return nil, fmt.Errorf("patroni.tls: %w", err)
	}
	opt.TLS.ServerName, opt.TLS.InsecureSkipVerify = p.TLS.ServerName, p.TLS.SkipVerify
	if len(p.Etcd.Endpoints) == 0 {
		return opt, nil
	}
	opt.Etcd = &patroni.EtcdOptions{
		Endpoints: urls(p.Etcd.Endpoints),
		Namespace: p.Etcd.Namespace, Scope: p.Etcd.Scope,
		User: p.Etcd.User, Password: string(p.Etcd.Password),
	}
	if opt.Etcd.TLS, err = hostTLS(p.Etcd.CA, p.Etcd.Cert, p.Etcd.Key); err != nil {
		return nil, fmt.Errorf("patroni.etcd: %w", err)
	}
	return opt, nil
}

func urls(list []conf.BaseURL) []string {
	var out []string
	for _, u := range list {
		out = append(out, string(u))
	}
	return out
}

// limitsLag tells whether a listener of the cluster looks at how far its replicas are behind, so that they
// are asked for what the cluster's view does not tell.
func limitsLag(cluster string, listeners []conf.Listener) bool {
	for i := range listeners {
		if l := &listeners[i]; l.Cluster == cluster && (l.MaxLag > 0 || l.MaxLagTime > 0) {
			return true
		}
	}
	return false
}

// hostTLS is the TLS configuration towards an HTTP server; "" are the system's authorities, and no
// certificate.
func hostTLS(ca, cert, key string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if ca != "" {
		pool, err := conf.Authorities(ca)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = pool
	}
	return cfg, nil
}

// rolesOf is the set of the roles that are named.
func rolesOf(names []string) router.Roles {
	var set router.Roles
	for _, name := range names {
		set |= roles[name]
	}
	return set
}

func tagsOf(list []conf.Tag) []router.TagRule {
	var rules []router.TagRule
	for _, t := range list {
		rules = append(rules, router.TagRule{Name: t.Name, Value: t.Value, Not: t.Not})
	}
	return rules
}

// lagOf is how far a listener's backends may be behind.
func lagOf(l *conf.Listener) router.LagLimits {
	return router.LagLimits{Bytes: uint64(l.MaxLag), Time: l.MaxLagTime.Std(), Return: l.LagReturn,
		Unknown: l.LagUnknown == "allow"}
}

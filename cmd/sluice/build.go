package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/codec/mysql"
	"sluice/codec/postgres"
	"sluice/codec/tcp"
	"sluice/conf"
	"sluice/engine"
	"sluice/engine/session"
	"sluice/router"
	"sluice/upstream"
)

// protocols are the protocols by their name in the configuration.
var protocols = map[string]codec.Protocol{
	"postgres": postgres.Protocol{},
	"mysql":    mysql.Protocol{},
	"tcp":      tcp.Protocol{},
}

// tlsModes are the modes of TLS by their name in the configuration.
var tlsModes = map[string]codec.TLSMode{
	"disable": codec.TLSDisable, "prefer": codec.TLSPrefer, "require": codec.TLSRequire,
	"verify-ca": codec.TLSVerifyCA, "verify-full": codec.TLSVerifyFull,
}

// roles are the sets of roles by their name in the configuration.
var roles = map[string]router.Roles{
	"leader": router.Roles(0).With(router.Leader), "sync": router.Roles(0).With(router.Sync),
	"async": router.Roles(0).With(router.Async), "quorum": router.Roles(0).With(router.Quorum),
	"standby-leader": router.Roles(0).With(router.StandbyLeader), "any": router.AnyRole,
}

// backendRoles are the roles of a backend by their name in the configuration.
var backendRoles = map[string]router.Role{
	"leader": router.Leader, "sync": router.Sync, "async": router.Async,
	"quorum": router.Quorum, "standby-leader": router.StandbyLeader,
}

// engineOptions are the options of the event loops.
func engineOptions(c *conf.Config, log engine.Logger) engine.Options {
	return engine.Options{
		Loops:       c.Engine.Loops,
		LockThreads: c.Engine.LockThreads,
		ReadBuffer:  int(c.Engine.ReadBuffer),
		HighWater:   int(c.Engine.HighWater),
		LowWater:    int(c.Engine.LowWater),
		Logger:      log,
	}
}

// setupOf turns a configuration into what the proxy runs on. It reads the certificates and the
// user lists. What runs from then on writes to log.
func setupOf(c *conf.Config, log *zap.Logger) (session.Setup, error) {
	setup := session.Setup{Limits: session.Limits{
		MaxConnections: c.Engine.MaxConnections,
		LoginMax:       c.Engine.LoginMax,
		LeaveTimeout:   c.Engine.ShutdownTimeout.Std(),
		ReusePort:      c.Engine.ReusePort,
	}}
	protocol := map[string]string{}
	for i := range c.Cluster {
		opt, err := clusterOptions(&c.Cluster[i])
		if err != nil {
			return setup, fmt.Errorf("cluster %q: %w", c.Cluster[i].Name, err)
		}
		opt.Migrate = migrateOf(&c.Cluster[i], c.User)
		opt.Balance, opt.OutOfService = balanceOf(&c.Engine, &c.Cluster[i]), c.Cluster[i].OutOfService
		if opt.Discovery, err = discoveryOf(&c.Cluster[i], c.LeadingTo(c.Cluster[i].Name), c.Admin, log); err != nil {
			return setup, fmt.Errorf("cluster %q: %w", c.Cluster[i].Name, err)
		}
		if err := watchStatus(&opt, &c.Cluster[i], c, log); err != nil {
			return setup, fmt.Errorf("cluster %q: %w", c.Cluster[i].Name, err)
		}
		protocol[opt.Name] = c.Cluster[i].Protocol
		setup.Clusters = append(setup.Clusters, opt)
	}
	for i := range c.Listener {
		l := &c.Listener[i]
		set, err := settingsOf(l, protocol[l.Cluster])
		if err != nil {
			return setup, fmt.Errorf("listener %q: %w", l.Name, err)
		}
		if set.Sharing, err = sharingOf(l, c.User); err != nil {
			return setup, fmt.Errorf("listener %q: %w", l.Name, err)
		}
		set.Namespaces = namespacesOf(c, l)
		setup.Frontends = append(setup.Frontends, set)
	}
	return setup, nil
}

// clusterOptions turns one [[cluster]] into options.
func clusterOptions(c *conf.Cluster) (upstream.Options, error) {
	opt := upstream.Options{
		Name:            c.Name,
		Protocol:        protocols[c.Protocol],
		ConnectTimeout:  c.ConnectTimeout.Std(),
		RetryTimeout:    c.RetryTimeout.Std(),
		FailoverTimeout: c.FailoverTimeout.Std(), FailoverClients: c.FailoverClients,
		Socket: engine.SocketOptions{
			KeepAlive: c.Keepalive.Std(), UserTimeout: c.TCPUserTimeout.Std()},
		Health: upstream.HealthOptions{
			Interval: c.Health.Interval.Std(), Timeout: c.Health.Timeout.Std(),
			Rise: c.Health.Rise, Fall: c.Health.Fall, User: c.Health.User},
		ControlUser: c.Control.User, ControlPassword: string(c.Control.Password),
		TLSMode:              tlsModes[c.TLS.Mode],
		Introduce:            c.ProxyProtocol == "v2",
		MaxServerConnections: c.MaxServerConnections,
	}
	for _, b := range c.Backends {
		opt.Backends = append(opt.Backends,
			upstream.Spec{Addr: b.Addr, Role: backendRoles[b.Role], Zone: b.Zone, Status: b.Status, Tags: marksOf(b.Tags)})
	}
	var err error
	opt.TLS, err = serverTLS(&c.TLS)
	return opt, err
}

// settingsOf turns one [[listener]] into settings.
func settingsOf(l *conf.Listener, protocol string) (session.Settings, error) {
	set := session.Settings{
		Name:    l.Name,
		Listen:  l.Listen,
		Ports:   portsOf(l.Ports),
		Heading: headings[l.ProxyProtocol], HeadingFrom: prefixes(l.ProxyFrom),
		Cluster: l.Cluster,
		Roles:   rolesOf(l.Roles), Tags: tagsOf(l.Tags), Lag: lagOf(l), Zone: l.Zone,
		DrainTimeout:   l.DrainTimeout.Std(),
		MaxConnections: l.MaxConnections,
		Allow:          prefixes(l.Allow),
		Deny:           prefixes(l.Deny),
		IPv6Only:       l.IPv6Only,
		Backlog:        l.Backlog,
		Socket: engine.SocketOptions{
			KeepAlive: l.Keepalive.Std(), UserTimeout: l.TCPUserTimeout.Std()},
		LoginTimeout: l.LoginTimeout.Std(),
		IdleTimeout:  l.IdleTimeout.Std(),
		TLSMode:      tlsModes[l.TLS.Mode],
		TLSMatchUser: l.TLS.Mode == "verify-full",
		RequestLog:   l.RequestLog.On,
		RequestMin:   l.RequestLog.AtLeast.Std(),
		RequestText:  int(l.RequestText),
	}
	var err error
	set.TLS, set.TLSLeaf, err = clientTLS(&l.TLS, protocol)
	return set, err
}

func prefixes(list []conf.CIDR) []netip.Prefix {
	var out []netip.Prefix
	for _, c := range list {
		out = append(out, c.Prefix)
	}
	return out
}

// clientTLS is the TLS configuration towards clients, and the certificate that they are shown.
func clientTLS(t *conf.ClientTLS, protocol string) (*tls.Config, []byte, error) {
	mode := tlsModes[t.Mode]
	if mode == codec.TLSDisable {
		return nil, nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("tls: %w", err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		DynamicRecordSizingDisabled: true}
	if t.MinVersion == "1.3" {
		cfg.MinVersion = tls.VersionTLS13
	}
	if protocol == "postgres" {
		// Needed by clients that begin with TLS, https://www.postgresql.org/docs/17/protocol-flow.html#PROTOCOL-FLOW-SSL.
		cfg.NextProtos = []string{"postgresql"}
	}
	if t.CA != "" {
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
		if mode >= codec.TLSVerifyCA {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
		if cfg.ClientCAs, err = conf.Authorities(t.CA); err != nil {
			return nil, nil, fmt.Errorf("tls: %w", err)
		}
	}
	return cfg, pair.Certificate[0], nil
}

// serverTLS is the TLS configuration towards backends.
func serverTLS(t *conf.ServerTLS) (*tls.Config, error) {
	mode := tlsModes[t.Mode]
	if mode == codec.TLSDisable {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12,
		DynamicRecordSizingDisabled: true}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if t.CA != "" {
		pool, err := conf.Authorities(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		cfg.RootCAs = pool
	}
	if mode < codec.TLSVerifyFull {
		// The name is not looked at; verify-ca looks at the chain all the same.
		cfg.InsecureSkipVerify = true
	}
	if mode == codec.TLSVerifyCA {
		cfg.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, cfg.RootCAs) }
	}
	return cfg, nil
}

// verifyChain verifies a server's certificate without its name.
func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	opt := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		opt.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(opt)
	return err
}

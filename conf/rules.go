package conf

import "strconv"

// rules checks what concerns several keys at once.
func (k *checker) rules(c *Config) {
	if e := &c.Engine; e.LowWater >= e.HighWater {
		k.problem("engine.low-water", "%v is not below engine.high-water, %v", e.LowWater, e.HighWater)
	}
	k.admin(&c.Admin)
	k.labels(c)
	names := map[string]bool{}
	for i := range c.Cluster {
		k.cluster(join("cluster", strconv.Itoa(i)), &c.Cluster[i], names)
	}
	names = map[string]bool{}
	for i := range c.Listener {
		k.listener(join("listener", strconv.Itoa(i)), &c.Listener[i], c, names)
	}
	k.namespaces(c)
	k.users(c)
	k.unshared(c)
	k.addresses(c)
}

func (k *checker) admin(a *Admin) {
	if (a.User == "") != (a.Password == "") {
		k.problem("admin.user", "user and password belong together")
	}
	if at, err := parseAddr(a.Listen, false); err == nil && !at.loopback() && a.User == "" {
		k.problem("admin.listen", "%q can be reached from other machines: it needs admin.user and admin.password", a.Listen)
	}
}

// unique refuses a name that stands in names already.
func (k *checker) unique(path, name string, names map[string]bool) {
	if name != "" && names[name] {
		k.problem(path, "%q is there twice", name)
	}
	names[name] = true
}

func (k *checker) cluster(path string, c *Cluster, names map[string]bool) {
	k.unique(join(path, "name"), c.Name, names)
	k.backends(join(path, "backends"), c)
	if c.Health.User != "" && c.Protocol == "tcp" {
		k.problem(join(path, "health.user"), `has no use with protocol "tcp"`)
	}
	if c.Control.Password != "" && c.Control.User == "" {
		k.problem(join(path, "control.user"), "is missing, as there is a password")
	}
	if c.Control.User != "" && c.Protocol != "mysql" && c.Protocol != "" {
		k.problem(join(path, "control.user"), "has no use with protocol %q", c.Protocol)
	}
	k.tls(join(path, "tls"), c.TLS.Mode, c.Protocol, c.TLS.Cert, c.TLS.Key, c.TLS.CA)
	k.discovery(path, c)
	k.migrate(join(path, "migrate"), c)
	k.balance(join(path, "balance"), c)
	k.outOfService(path, c)
	k.status(path, c)
}

func (k *checker) backends(path string, c *Cluster) {
	if c.Discovery == "static" && len(c.Backends) == 0 {
		k.problem(path, `is missing: with discovery "static" a cluster has at least one backend`)
	}
	seen := map[string]bool{}
	for i, b := range c.Backends {
		k.marks(join(path, strconv.Itoa(i)), &c.Backends[i], c.Protocol)
		at, err := parseAddr(b.Addr, true)
		if err != nil {
			continue // said already
		}
		if seen[at.String()] {
			k.problem(join(join(path, strconv.Itoa(i)), "addr"), "%q is there twice", b.Addr)
		}
		seen[at.String()] = true
	}
}

// tls checks what both sides have in common.
func (k *checker) tls(path, mode, protocol, cert, key, ca string) {
	if protocol == "tcp" && mode == "prefer" {
		k.problem(join(path, "mode"), `"prefer" can't be had with protocol "tcp": it has no way to agree on TLS`)
	}
	k.certAndKey(path, cert, key)
	if (mode == "verify-ca" || mode == "verify-full") && ca == "" {
		k.problem(join(path, "ca"), "is missing: %q has to know whom to trust", mode)
	}
}

func (k *checker) certAndKey(path, cert, key string) {
	if (cert == "") != (key == "") {
		missing := "cert"
		if key == "" {
			missing = "key"
		}
		k.problem(join(path, missing), "is missing: cert and key belong together")
	}
}

func (k *checker) listener(path string, l *Listener, c *Config, names map[string]bool) {
	k.unique(join(path, "name"), l.Name, names)
	k.listenAt(path, l)
	protocol := ""
	cl := k.clusterOf(join(path, "cluster"), l, c)
	if cl != nil {
		protocol = cl.Protocol
	}
	k.roles(join(path, "roles"), l, protocol)
	k.fits(path, l, cl)
	if l.RequestLog.On && protocol == "tcp" {
		k.problem(join(path, "request-log"), `has no use with protocol "tcp": it has no requests`)
	}
	k.tls(join(path, "tls"), l.TLS.Mode, protocol, l.TLS.Cert, l.TLS.Key, l.TLS.CA)
	if l.TLS.Mode != "disable" && !k.isBad(join(path, "tls.mode")) && l.TLS.Cert == "" && l.TLS.Key == "" {
		k.problem(join(path, "tls.cert"), "is missing: mode %q needs cert and key", l.TLS.Mode)
	}
	if l.TLS.Mode == "verify-full" && protocol == "tcp" {
		k.problem(join(path, "tls.mode"), `"verify-full" can't be had with protocol "tcp": it has no user to compare with`)
	}
	k.mode(path, l, c, protocol)
}

// clusterOf finds the listener's cluster, nil if there is none.
func (k *checker) clusterOf(path string, l *Listener, c *Config) *Cluster {
	known := []string{}
	for i := range c.Cluster {
		if c.Cluster[i].Name == l.Cluster && l.Cluster != "" {
			return &c.Cluster[i]
		}
		known = append(known, c.Cluster[i].Name)
	}
	if l.Cluster == "" {
		k.problem(path, "is missing")
	} else {
		k.problem(path, "there is no cluster %q%s", l.Cluster, didYouMean(l.Cluster, known))
	}
	return nil
}

// addresses finds listening sockets that can't be open side by side.
func (k *checker) addresses(c *Config) {
	type socket struct {
		at     addr
		ports  PortRange // none: any free one
		v6Only bool
		words  string
	}
	var open []socket
	add := func(path, words, listen string, ports PortRange, v6Only bool) {
		at, err := parseAddr(listen, false)
		if err != nil {
			return // said already
		}
		if at.port != 0 {
			ports = PortRange{at.port, at.port}
		}
		for _, other := range open {
			if !ports.overlaps(other.ports) {
				continue
			}
			one, two := at, other.at
			one.port, two.port = ports.First, ports.First
			if one.conflicts(two, v6Only, other.v6Only) {
				k.problem(path, "%q is taken by %s", listen, other.words)
				return
			}
		}
		open = append(open, socket{at, ports, v6Only, words})
	}
	add("admin.listen", "admin.listen, "+strconv.Quote(c.Admin.Listen), c.Admin.Listen, PortRange{}, false)
	for i, l := range c.Listener {
		words := "listener " + strconv.Quote(l.Name) + ", " + strconv.Quote(l.Listen)
		add(join(join("listener", strconv.Itoa(i)), "listen"), words, l.Listen, l.Ports, l.IPv6Only)
	}
}

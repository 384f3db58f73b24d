package conf

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Namespace is a tenant: some of the clients, told by where they come from and who they say they are, and
// where they are led. A client is of the first one whose rules all fit it; a rule that is not given fits
// every client.
type Namespace struct {
	Name string `toml:"name" name:"need"`
	// Listeners are the names of those whose clients it is for; none = all.
	Listeners []string `toml:"listeners"`
	// Users are patterns of users' names, as path.Match has them.
	Users []string `toml:"users"`
	// Clients are the networks of the clients.
	Clients []CIDR `toml:"clients"`
	// Proxies are the networks of the proxies that name their clients by a PROXY header.
	Proxies []CIDR `toml:"proxies"`
	// Ports are those at which clients have connected.
	Ports []PortRange `toml:"ports"`
	// Cluster is where they are led; "" = the listener's own.
	Cluster string `toml:"cluster"`
	// Tags are what a backend's tags must be, besides those of the listener.
	Tags []Tag `toml:"tags"`
	// MaxConnections limits the clients, those of all its listeners together; 0 = no limit.
	MaxConnections int `toml:"max-connections" range:"0..10000000"`
}

// AppliesTo tells whether it is for clients of a listener.
func (n *Namespace) AppliesTo(listener string) bool {
	return len(n.Listeners) == 0 || slices.Contains(n.Listeners, listener)
}

// clusterOf is the name of the cluster to which it leads a listener's clients.
func (n *Namespace) clusterOf(l *Listener) string {
	if n.Cluster == "" {
		return l.Cluster
	}
	return n.Cluster
}

// ClustersOf are the names of the clusters to which clients of a listener are led, its own first.
func (c *Config) ClustersOf(l *Listener) []string {
	names := []string{l.Cluster}
	for i := range c.Namespace {
		n := &c.Namespace[i]
		if name := n.clusterOf(l); n.AppliesTo(l.Name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// LeadingTo are the listeners some of whose clients are led to a cluster, each with that cluster as its own.
func (c *Config) LeadingTo(cluster string) []Listener {
	var list []Listener
	for _, l := range c.Listener {
		if slices.Contains(c.ClustersOf(&l), cluster) {
			l.Cluster = cluster
			list = append(list, l)
		}
	}
	return list
}

// clusterNamed finds a cluster, nil if there is none.
func (c *Config) clusterNamed(name string) *Cluster {
	i := slices.IndexFunc(c.Cluster, func(cl Cluster) bool { return cl.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Cluster[i]
}

func (k *checker) namespaces(c *Config) {
	names := map[string]bool{}
	for i := range c.Namespace {
		n, at := &c.Namespace[i], join("namespace", strconv.Itoa(i))
		k.unique(join(at, "name"), n.Name, names)
		k.namespaceCluster(join(at, "cluster"), n, c)
		k.namespaceListeners(join(at, "listeners"), n, c)
		for j, pattern := range n.Users {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				k.problem(join(join(at, "users"), strconv.Itoa(j)), "%q is not a pattern such as \"shop_*\"", pattern)
			}
		}
		for j, tag := range n.Tags {
			if slices.Contains(n.Tags[:j], tag) {
				k.problem(join(join(at, "tags"), strconv.Itoa(j)), "%q is there twice", tag.String())
			}
		}
		for j, ports := range n.Ports {
			if ports.Len() == 0 {
				k.problem(join(join(at, "ports"), strconv.Itoa(j)), `is not %s`, ports.wants())
			}
		}
		k.namespaceFits(at, n, c)
	}
}

// namespaceCluster checks that there is such a cluster.
func (k *checker) namespaceCluster(at string, n *Namespace, c *Config) {
	if n.Cluster == "" || c.clusterNamed(n.Cluster) != nil {
		return
	}
	known := []string{}
	for _, cl := range c.Cluster {
		known = append(known, cl.Name)
	}
	k.problem(at, "there is no cluster %q%s", n.Cluster, didYouMean(n.Cluster, known))
}

// namespaceListeners checks that there are such listeners.
func (k *checker) namespaceListeners(at string, n *Namespace, c *Config) {
	known := []string{}
	for _, l := range c.Listener {
		known = append(known, l.Name)
	}
	for j, name := range n.Listeners {
		switch {
		case !slices.Contains(known, name):
			k.problem(join(at, strconv.Itoa(j)), "there is no listener %q%s", name, didYouMean(name, known))
		case slices.Contains(n.Listeners[:j], name):
			k.problem(join(at, strconv.Itoa(j)), "%q is there twice", name)
		}
	}
}

// namespaceFits checks a namespace against the listeners whose clients it is for.
func (k *checker) namespaceFits(at string, n *Namespace, c *Config) {
	proxies, ports := false, false
	for i := range c.Listener {
		l := &c.Listener[i]
		if !n.AppliesTo(l.Name) {
			continue
		}
		proxies = proxies || l.ProxyProtocol != "off"
		ports = ports || slices.ContainsFunc(n.Ports, l.mayHave)
		own, to := c.clusterNamed(l.Cluster), c.clusterNamed(n.clusterOf(l))
		if own == nil || to == nil {
			continue // said already
		}
		if len(n.Users) > 0 && own.Protocol == "tcp" {
			k.problem(join(at, "users"), `has no use at listener %q: with protocol "tcp" no user is known`, l.Name)
		}
		if own.Protocol != to.Protocol {
			k.problem(join(at, "cluster"), "%q speaks %q, and clients of listener %q speak %q: name the listeners by \"listeners\"",
				to.Name, to.Protocol, l.Name, own.Protocol)
		}
		if to != own && to.Discovery == "static" && (l.MaxLag != 0 || l.MaxLagTime != 0) {
			k.problem(join(at, "cluster"), "%q has static backends, whose lag is not known, and listener %q limits it", to.Name, l.Name)
		}
	}
	if len(n.Proxies) > 0 && !proxies {
		k.problem(join(at, "proxies"), "has no use: no listener that it is for takes a PROXY header")
	}
	if len(n.Ports) > 0 && !ports {
		k.problem(join(at, "ports"), "has no use: no listener that it is for has such a port")
	}
}

// mayHave tells whether the listener may listen at one of those ports.
func (l *Listener) mayHave(ports PortRange) bool {
	if l.Ports.Len() > 0 {
		return ports.overlaps(l.Ports)
	}
	at, err := parseAddr(l.Listen, false)
	return err != nil || at.port == 0 || ports.Has(at.port)
}

// portsMax is how many sockets one listener opens at most: each has a goroutine and a descriptor.
const portsMax = 4096

// listenAt checks the address of a listener, and the ports that stand in place of its own. An address without
// a port gets port 0 then.
func (k *checker) listenAt(path string, l *Listener) {
	if l.Ports.Len() > 0 && l.Listen != "" {
		if _, _, err := splitHostPort(l.Listen); err != nil {
			l.Listen = hostAlone(l.Listen)
		}
	}
	at, err := parseAddr(l.Listen, false)
	switch {
	case err != nil:
		k.problem(join(path, "listen"), "%s", err)
	case l.IPv6Only && at.host != "" && !at.ip.Is6():
		k.problem(join(path, "ipv6-only"), "%q is not an IPv6 address", l.Listen)
	case l.Ports.Len() > 0 && at.port != 0:
		k.problem(join(path, "listen"), "%q has a port, and there are ports: give it none, or port 0", l.Listen)
	case l.Ports.Len() > portsMax:
		k.problem(join(path, "ports"), "%v are %d ports, more than %d", l.Ports, l.Ports.Len(), portsMax)
	}
	switch {
	case l.ProxyProtocol == "off" && len(l.ProxyFrom) > 0:
		k.problem(join(path, "proxy-from"), "has no use without proxy-protocol")
	case l.ProxyProtocol != "off" && len(l.ProxyFrom) == 0:
		k.problem(join(path, "proxy-from"), "is missing: whoever may send a PROXY header may claim any address")
	}
}

// hostAlone gives port 0 to a host without a port.
func hostAlone(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:0", host)
}

// diffNamespaces compares two lists of namespaces. The first that fits counts, so their order matters.
func diffNamespaces(old, new []Namespace) Diffs {
	d := diff(old, new, func(n Namespace) string { return n.Name })
	was, is := orderOf(old, new), orderOf(new, old)
	for i, name := range is {
		if was[i] == name {
			continue
		}
		at := slices.IndexFunc(d.Changed, func(c Changed) bool { return c.Name == name })
		if at < 0 {
			d.Changed = append(d.Changed, Changed{Name: name})
			at = len(d.Changed) - 1
		}
		d.Changed[at].Keys = append(d.Changed[at].Keys, "order")
	}
	slices.SortFunc(d.Changed, func(a, b Changed) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// orderOf are the names of those of list that are in other too.
func orderOf(list, other []Namespace) []string {
	names := []string{}
	for _, n := range list {
		if slices.ContainsFunc(other, func(o Namespace) bool { return o.Name == n.Name }) {
			names = append(names, n.Name)
		}
	}
	return names
}

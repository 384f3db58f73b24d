package main

import (
	"sluice/conf"
	"sluice/engine/session"
)

// headings say whether clients are named by proxies, by their name in the configuration.
var headings = map[string]session.Heading{
	"off": session.HeadingOff, "accept": session.HeadingAccept, "require": session.HeadingRequire,
}

// namespacesOf are the namespaces of a listener's clients.
func namespacesOf(c *conf.Config, l *conf.Listener) []session.Namespace {
	var list []session.Namespace
	for i := range c.Namespace {
		n := &c.Namespace[i]
		if !n.AppliesTo(l.Name) {
			continue
		}
		ns := session.Namespace{Name: n.Name, Users: n.Users, Clients: prefixes(n.Clients), Proxies: prefixes(n.Proxies),
			Cluster: n.Cluster, Tags: tagsOf(n.Tags), MaxConnections: n.MaxConnections}
		if ns.Cluster == "" {
			ns.Cluster = l.Cluster
		}
		for _, p := range n.Ports {
			ns.Ports = append(ns.Ports, portsOf(p))
		}
		list = append(list, ns)
	}
	return list
}

func portsOf(p conf.PortRange) session.Ports {
	return session.Ports{First: uint16(p.First), Last: uint16(p.Last)}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// given is a value with its line in the file; line 0: it is a default.
type given[T any] struct {
	v    T
	line int
}

// proxyFile is what a patroni_proxy.yaml says.
type proxyFile struct {
	interval given[uint64] // seconds
	listen   given[string] // of its HTTP side
	clusters []proxyCluster
}

type proxyCluster struct {
	name  given[string]
	hosts []given[string]
	tls   proxyTLS
	ports []proxyPort
}

type proxyTLS struct {
	ca, cert, key given[string]
	skipVerify    given[bool]
}

type proxyPort struct {
	name   given[string]
	listen given[string]
	roles  []given[string]
	port   given[uint64]  // of the servers
	maxLag *given[uint64] // bytes
}

// proxyReader reads YAML node by node, so that each problem has its line.
type proxyReader struct {
	file     string
	problems []string
	unknown  []note // keys
}

// note is a line about something that is not kept.
type note struct {
	line int
	text string
}

func (r *proxyReader) problem(line int, format string, args ...any) {
	r.problems = append(r.problems, place(r.file, line)+fmt.Sprintf(format, args...))
}

// readPatroniProxy reads the file; what is wrong with it is in the reader.
func readPatroniProxy(path string, data []byte) (*proxyFile, *proxyReader) {
	r := &proxyReader{file: path}
	f := &proxyFile{interval: given[uint64]{v: 3}, listen: given[string]{v: "127.0.0.1:8009"}}
	top := r.document(data)
	if top == nil {
		return f, r
	}
	clusters := false
	r.table(top, wholeFile, map[string]func(string, *yaml.Node){
		"cluster_update_interval": func(at string, n *yaml.Node) { f.interval = r.number(at, n) },
		"listen_address":          func(at string, n *yaml.Node) { f.listen = r.text(at, n) },
		"clusters": func(at string, n *yaml.Node) {
			clusters = true
			r.each(at, n, func(name given[string], n *yaml.Node) { f.clusters = append(f.clusters, r.cluster(name, n)) })
		},
	})
	if !clusters && len(r.problems) == 0 {
		r.problem(top.Line, "clusters is missing")
	}
	return f, r
}

// document reads the one document that the file is to hold; nil: there is a problem.
func (r *proxyReader) document(data []byte) *yaml.Node {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		r.problem(0, "is empty")
		return nil
	}
	if err == nil {
		if err = d.Decode(&yaml.Node{}); errors.Is(err, io.EOF) {
			return doc.Content[0]
		} else if err == nil {
			r.problem(0, "there is more than one document in it")
			return nil
		}
	}
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if _, err := fmt.Sscanf(text, "line %d:", &line); err == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	r.problem(line, "is no YAML: %s", text)
	return nil
}

func (r *proxyReader) cluster(name given[string], n *yaml.Node) proxyCluster {
	c := proxyCluster{name: name}
	at := "cluster " + quoted(name.v)
	r.table(n, at, map[string]func(string, *yaml.Node){
		"hosts": func(at string, n *yaml.Node) { c.hosts = r.list(at, n) },
		"tls":   func(at string, n *yaml.Node) { c.tls = r.tls(at, n) },
		"ports": func(at string, n *yaml.Node) {
			r.each(at, n, func(name given[string], n *yaml.Node) { c.ports = append(c.ports, r.port(at, name, n)) })
		},
	})
	if len(c.hosts) == 0 {
		r.problem(name.line, "%s: has no hosts", at)
	}
	if len(c.ports) == 0 {
		r.problem(name.line, "%s: has no ports", at)
	}
	return c
}

func (r *proxyReader) tls(at string, n *yaml.Node) proxyTLS {
	var t proxyTLS
	if isNull(n) {
		return t
	}
	r.table(n, at, map[string]func(string, *yaml.Node){
		"ca_cert":     func(at string, n *yaml.Node) { t.ca = r.mayText(at, n) },
		"client_cert": func(at string, n *yaml.Node) { t.cert = r.mayText(at, n) },
		"client_key":  func(at string, n *yaml.Node) { t.key = r.mayText(at, n) },
		"skip_verify": func(at string, n *yaml.Node) {
			t.skipVerify.line = n.Line
			if !isNull(n) && n.Decode(&t.skipVerify.v) != nil {
				r.problem(n.Line, "%s: is neither true nor false", at)
			}
		},
	})
	return t
}

// proxyRoles are the roles that patroni_proxy knows, in small letters.
var proxyRoles = map[string]bool{"leader": true, "sync": true, "async": true, "any": true}

func (r *proxyReader) port(in string, name given[string], n *yaml.Node) proxyPort {
	p := proxyPort{name: name}
	at := strings.TrimSuffix(in, "s") + " " + quoted(name.v)
	seen := map[string]bool{}
	r.table(n, at, map[string]func(string, *yaml.Node){
		"listen":    func(at string, n *yaml.Node) { seen["listen"], p.listen = true, r.text(at, n) },
		"roles":     func(at string, n *yaml.Node) { p.roles = r.list(at, n) },
		"host_port": func(at string, n *yaml.Node) { seen["host_port"], p.port = true, r.number(at, n) },
		"max_lag_in_bytes": func(at string, n *yaml.Node) {
			if !isNull(n) {
				lag := r.number(at, n)
				p.maxLag = &lag
			}
		},
	})
	for _, key := range []string{"listen", "host_port"} {
		if !seen[key] {
			r.problem(name.line, "%s: %s is missing", at, key)
		}
	}
	if len(p.roles) == 0 {
		r.problem(name.line, "%s: has no roles", at)
	}
	if seen["host_port"] && (p.port.v < 1 || p.port.v > 65535) {
		r.problem(p.port.line, "%s: host_port: %d is not in 1 to 65535", at, p.port.v)
	}
	for _, role := range p.roles {
		if !proxyRoles[strings.ToLower(role.v)] {
			r.problem(role.line, "%s: roles: %q is not one of leader, sync, async, any", at, role.v)
		}
	}
	return p
}

package session

import (
	"cmp"
	"net/netip"
	"path"
	"slices"
	"sync/atomic"

	"sluice/codec"
	"sluice/router"
)

// Namespace is a tenant of a listening side: which of the clients it has, and where they are led. A rule that
// is not given fits every client.
type Namespace struct {
	Name             string
	Users            []string // patterns, as path.Match has them
	Clients, Proxies []netip.Prefix
	Ports            []Ports // at which clients have connected
	Cluster          string
	Tags             []router.TagRule // of the backends, besides those of the listening side
	MaxConnections   int              // clients at a time, of all listening sides; 0 = no limit
}

// Ports are TCP ports, both ends included.
type Ports struct{ First, Last uint16 }

func (p Ports) has(port uint16) bool { return p.First <= port && port <= p.Last }

// tenant is what the namespaces of one name have in common, whatever the listener.
type tenant struct {
	clients atomic.Int64
}

// whence is where a client comes from.
type whence struct {
	client netip.Addr
	proxy  netip.Addr // invalid if no proxy has named it
	port   uint16     // at which it has connected
}

// fits tells whether a client is one of the namespace's, as far as can be told without its user.
func (n *Namespace) fits(w whence) bool {
	return (len(n.Clients) == 0 || within(n.Clients, w.client)) &&
		(len(n.Proxies) == 0 || w.proxy.IsValid() && within(n.Proxies, w.proxy)) &&
		(len(n.Ports) == 0 || slices.ContainsFunc(n.Ports, func(p Ports) bool { return p.has(w.port) }))
}

// fitsUser tells whether a user's name is one of the namespace's.
func (n *Namespace) fitsUser(user string) bool {
	return len(n.Users) == 0 || slices.ContainsFunc(n.Users, func(pattern string) bool {
		ok, _ := path.Match(pattern, user) // the configuration has been checked: no pattern is malformed
		return ok
	})
}

// within tells whether an address is in one of the networks.
func within(list []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a prefix holds no address with a zone
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// unfold makes the settings of each namespace of set, whose own they are but for where its clients are led.
// old are the settings that were in force for the frontend; nil if there were none.
func (set *Settings) unfold(p *Proxy, old *Settings) {
	set.spaces = nil
	for i := range set.Namespaces {
		n := &set.Namespaces[i]
		space := *set
		space.space, space.Cluster, space.cluster = n, n.Cluster, p.clusters[n.Cluster]
		space.Tags = slices.Concat(set.Tags, n.Tags)
		space.tenant = p.tenantOf(n.Name)
		space.lagging = &lagging{}
		if was := old.of(n.Name); was != nil && was.cluster == space.cluster {
			space.lagging = was.lagging
		}
		set.spaces = append(set.spaces, &space)
	}
}

// tenantOf is the tenant of that name. The caller has the proxy's lock.
func (p *Proxy) tenantOf(name string) *tenant {
	t := p.tenants[name]
	if t == nil {
		t = &tenant{}
		if p.tenants == nil {
			p.tenants = map[string]*tenant{}
		}
		p.tenants[name] = t
	}
	return t
}

// dropTenants forgets those that have no namespace any more. Their clients, if some are left, count for nobody.
// The caller has the proxy's lock.
func (p *Proxy) dropTenants() {
	for name := range p.tenants {
		used := false
		for _, fe := range p.frontends {
			used = used || fe.set.Load().of(name) != nil
		}
		if !used {
			delete(p.tenants, name)
		}
	}
}

// namespace is the name of the namespace whose settings they are; "" = those of clients of none.
func (set *Settings) namespace() string {
	if set.space == nil {
		return ""
	}
	return set.space.Name
}

// of returns the settings of the namespace of that name, "" being of none; nil if there is no such one.
func (set *Settings) of(namespace string) *Settings {
	if set == nil || namespace == "" {
		return set
	}
	for _, space := range set.spaces {
		if space.space.Name == namespace {
			return space
		}
	}
	return nil
}

// views are all settings of a listening side: for clients of no namespace first.
func (set *Settings) views() []*Settings { return append([]*Settings{set}, set.spaces...) }

// choose returns the settings for a client. ok is false if they depend on its user and that is not known yet.
func (set *Settings) choose(w whence, user string, known bool) (_ *Settings, ok bool) {
	for _, space := range set.spaces {
		n := space.space
		switch {
		case !n.fits(w):
		case len(n.Users) > 0 && !known:
			return set, false
		case n.fitsUser(user):
			return space, true
		}
	}
	return set, true
}

// origin is what a session keeps whose listener has namespaces, or who has come through a proxy.
type origin struct {
	proxy  netip.AddrPort // who has named the client; zero: nobody
	to     netip.AddrPort // where the proxy says that the client was connected to
	port   uint16         // at which it has connected here
	tenant *tenant        // where it is counted; nil: nowhere

	// user is who the client has asked to go on as; "" = it is who it logged in as.
	user string

	// What present has found last, for the settings that were in force then.
	base, set *Settings
}

// whence is where the session's client comes from.
func (s *Session) whence() whence {
	return whence{client: s.from.Addr(), proxy: s.origin.proxy.Addr(), port: s.origin.port}
}

// enter finds the client's namespace and counts it in there, once all is known that it depends on; known tells
// that its user is. It returns why the client is refused.
func (s *Session) enter(known bool) *codec.Error {
	in := s.in
	if in.entered || len(s.set.spaces) == 0 {
		return nil
	}
	set, ok := s.set.choose(s.whence(), s.user, known)
	if !ok {
		return nil
	}
	in.entered = true
	s.set, s.cluster = set, set.cluster
	s.configureServer()
	if t := set.tenant; t != nil {
		if !take(&t.clients, set.space.MaxConnections) {
			return &codec.Error{Cond: codec.TooManyConns, Text: "too many connections"}
		}
		s.origin.tenant = t
	}
	return nil
}

// needsUser tells that it depends on the client's user where it is led.
func (s *Session) needsUser() bool { return !s.in.entered && len(s.set.spaces) > 0 }

// present are the settings for the session's client that are in force now.
func (s *Session) present() *Settings { return s.presentOf(s.fe.set.Load()) }

// presentOf is present for the listener's settings base.
func (s *Session) presentOf(base *Settings) *Settings {
	switch {
	case len(base.spaces) == 0:
		return base
	case s.origin == nil: // there were no namespaces when it came
		s.origin = &origin{port: addrPort(s.client.LocalAddr()).Port()}
	}
	if o := s.origin; o.base != base {
		o.base = base
		o.set, _ = base.choose(s.whence(), cmp.Or(o.user, s.user), true)
	}
	return s.origin.set
}

// errOtherUser is what a client is told that asks to go on as a user whom another namespace leads elsewhere, or who
// counts elsewhere.
var errOtherUser = codec.Error{Cond: codec.AuthDenied, Text: "this session can't go on as that user", Hint: "connect anew instead"}

// Becomes holds that a session stays within its namespace, and its client's certificate, when the client asks to go
// on as another user.
func (s *Session) Becomes(user string) error {
	if e := s.wrongCertificate(user); e != nil {
		return *e
	}
	base := s.fe.set.Load()
	if len(base.spaces) == 0 {
		return nil
	}
	now := s.presentOf(base)
	if then, _ := base.choose(s.whence(), user, true); then != now || then.cluster != s.cluster {
		return errOtherUser
	}
	s.origin.user = user
	return nil
}

var _ codec.Identity = (*Session)(nil)

// strayed tells that the session's cluster is not the one any more to which its namespace leads, or that it is of
// another namespace now, which leads elsewhere. It can't be moved there: the data are others.
func (s *Session) strayed() bool {
	now := s.present()
	return now.cluster != s.cluster && (now.space != nil || s.set.space != nil)
}

// elsewhere is what a client is told that has strayed.
var elsewhere = codec.Error{Cond: codec.BackendGone, Text: "the client's namespace leads to other servers now"}

// stray has a session leave that has strayed: at its next safe point, by force behind the drain time-out.
func (s *Session) stray() {
	if s.leaving == nil {
		s.countEviction("namespace")
		s.askToLeave(elsewhere)
	}
	at, ok := s.post()
	if !ok { // it has left, or nobody works for it: then it is at a safe point
		return
	}
	if within := s.present().DrainTimeout; within > 0 {
		s.p.topology.expect(at, within)
		return
	}
	s.cutOff(at.backend, "namespace")
}

// recount has the session counted in the namespace where it is now. A limit does not end who is in already.
func (s *Session) recount() {
	o := s.origin
	if o == nil {
		return
	}
	now := s.present().tenant
	if now == o.tenant {
		return
	}
	if o.tenant != nil {
		o.tenant.clients.Add(-1)
	}
	if now != nil {
		now.clients.Add(1)
	}
	o.tenant = now
}

// NamespaceInfo describes a namespace at one moment.
type NamespaceInfo struct {
	Name    string
	Clients int // now, at all listening sides
}

// Namespaces are those in force, by name.
func (p *Proxy) Namespaces() []NamespaceInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []NamespaceInfo{}
	for _, name := range sortedKeys(p.tenants) {
		list = append(list, NamespaceInfo{name, int(p.tenants[name].clients.Load())})
	}
	return list
}

// writeNamespaces writes how many clients each namespace has.
func (p *Proxy) writeNamespaces(m *metricWriter) {
	m.meta("sluice_namespace_connections", "gauge")
	for _, n := range p.Namespaces() {
		m.value("sluice_namespace_connections", label("namespace", n.Name), float64(n.Clients))
	}
}

package tidb

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sluice/router"
	"sluice/upstream"
)

// Limits of what is remembered.
const (
	serversMax = 2048      // servers; one more is not known
	leaveFor   = time.Hour // how long a server is remembered whose keys have gone
)

// book is what the keys say of each server.
type book struct {
	entries map[name]*entry
}

// entry is what is known of one server.
type entry struct {
	info  *member // the last that could be read
	named bool    // there is an info
	alive bool    // there is a ttl
	odd   string  // what was passed over
	known bool    // it was a member
	left  time.Time
}

func newBook() *book { return &book{entries: map[name]*entry{}} }

// put notes a key's value; nil is one that is too large to be had. changed false: it says nothing new. Each server
// writes its ttl twice a minute, and nothing but its being there matters.
func (b *book) put(key string, value []byte) (changed bool) {
	n, part, ok := parseKey(key)
	if !ok {
		return false
	}
	e := b.entries[n]
	if e == nil {
		if len(b.entries) >= serversMax {
			return false
		}
		e = &entry{}
		b.entries[n] = e
	}
	was := *e
	if part == partTTL {
		e.alive = true
	} else {
		e.named = true
		e.learn(n.addr, value)
	}
	return e.alive != was.alive || e.named != was.named || e.odd != was.odd || !e.info.same(was.info)
}

// learn reads an info. If it can't be read, what was known before holds on.
func (e *entry) learn(addr string, value []byte) {
	if value == nil {
		e.odd = "its info is too large"
		return
	}
	m, odd, err := parseInfo(addr, value)
	if err != nil {
		e.odd = "its info is passed over: " + err.Error()
		return
	}
	e.info, e.odd = m, odd
}

// drop notes that a key has gone.
func (b *book) drop(key string) (changed bool) {
	n, part, ok := parseKey(key)
	e := b.entries[n]
	if !ok || e == nil {
		return false
	}
	was := *e
	switch {
	case part == partTTL:
		e.alive = false
	default:
		e.named = false
	}
	if !e.alive && !e.named && !e.known {
		delete(b.entries, n)
	}
	return e.alive != was.alive || e.named != was.named
}

// renew has seen be all that there is: what it lacks has gone.
func (b *book) renew(seen *book) {
	for n, e := range b.entries {
		now := seen.entries[n]
		if now == nil {
			if e.alive, e.named = false, false; !e.known {
				delete(b.entries, n)
			}
			continue
		}
		if now.info != nil {
			e.info = now.info
		}
		e.alive, e.named, e.odd = now.alive, now.named, now.odd
	}
	for n, e := range seen.entries {
		if b.entries[n] == nil && len(b.entries) < serversMax {
			b.entries[n] = e
		}
	}
}

// member tells whether the server is one: an info without a ttl is what one has left that ended long ago.
func (e *entry) member() bool { return e.alive && e.named && e.info != nil }

// members is how many there are.
func (b *book) members() (n int) {
	for _, e := range b.entries {
		if e.member() {
			n++
		}
	}
	return n
}

// specs returns the backends: those that are there, and behind them those that were and whose keys have gone.
// Where several keyspaces name one address the first counts.
func (b *book) specs(opt *Options, now time.Time) (list []upstream.Spec) {
	names := slices.SortedFunc(maps.Keys(b.entries), func(x, y name) int {
		if c := strings.Compare(x.addr, y.addr); c != 0 {
			return c
		}
		return strings.Compare(x.keyspace, y.keyspace)
	})
	var leaving []upstream.Spec
	for _, n := range names {
		e := b.entries[n]
		switch {
		case e.member():
			e.known, e.left = true, time.Time{}
			list = append(list, e.spec(n, opt))
			continue
		case !e.known:
			continue
		case e.left.IsZero():
			e.left = now
		case now.Sub(e.left) >= leaveFor:
			delete(b.entries, n)
			continue
		}
		s := e.spec(n, opt)
		s.Leaving = true
		leaving = append(leaving, s)
	}
	return append(list, leaving...)
}

// spec turns a server into a backend. All TiDB servers take writes.
func (e *entry) spec(n name, opt *Options) upstream.Spec {
	tags := maps.Clone(e.info.labels)
	if n.keyspace != "" {
		if tags == nil {
			tags = map[string]string{}
		}
		tags[keyspaceTag] = n.keyspace
	}
	return upstream.Spec{
		Addr: n.addr, Role: router.Leader, Name: hostLabel(n.addr), Status: e.info.status,
		Zone: tags[opt.ZoneLabel], Tags: tags,
	}
}

// keyspaceTag is the tag that holds a server's keyspace.
const keyspaceTag = "keyspace"

// hostLabel is the first label of a host's name, as a pod has it; "" for an IP address.
func hostLabel(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	label, _, _ := strings.Cut(host, ".")
	return label
}

// oddities are what was passed over, by address.
func (b *book) oddities() map[string]string {
	odd := map[string]string{}
	for n, e := range b.entries {
		if e.odd != "" {
			odd[n.addr] = e.odd
		}
	}
	return odd
}

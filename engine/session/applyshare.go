package session

import (
	"cmp"
	"crypto/tls"
	"net/netip"
	"sync"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/router/access"
	"sluice/upstream"
	"sluice/upstream/pool"
)

// applySharing puts in force what concerns shared server connections. The caller has the lock.
func (p *Proxy) applySharing(removed []*Frontend) {
	for _, fe := range removed {
		fe.askNobody()
	}
	p.retunePools()
	for _, spec := range p.pools.all() {
		if n := spec.cluster.TLSChanges(); spec.secured.Swap(n) != n {
			spec.pool.Reconnect()
		}
	}
	p.pools.drop(func(spec *poolSpec) bool {
		set := p.settingsOf(spec)
		return spec.backend.Gone() || set == nil || spec.redefined(set)
	})
	p.hubs.drop(func(h *hub) bool { return h.backend.Gone() })
	p.hubs.renew()
	for _, fe := range p.frontends {
		for _, set := range fe.set.Load().views() {
			if set.Sharing != nil {
				p.warm(set)
			}
		}
	}
}

// settingsOf are the settings in force for a pool: its listener's, or those of a namespace there that leads to the
// pool's cluster; such that use its backend go first. nil: nobody uses it any more. The caller has the lock.
func (p *Proxy) settingsOf(spec *poolSpec) *Settings {
	fe := p.frontends[spec.fe]
	if fe == nil {
		return nil
	}
	var found *Settings
	for _, set := range fe.set.Load().views() {
		if set.Sharing == nil || set.cluster != spec.cluster {
			continue
		}
		if set.uses(spec.backend) {
			return set
		}
		if found == nil {
			found = set
		}
	}
	return found
}

// retunePools puts the listeners' present settings in force for their pools, and what follows from the present
// roles of the backends. The caller has the lock.
func (p *Proxy) retunePools() {
	for _, spec := range p.pools.all() {
		if set := p.settingsOf(spec); set != nil {
			p.pools.retune(spec, set)
		}
	}
}

// redefined tells that the pool's database is another one by now, or that somebody else logs in there.
func (spec *poolSpec) redefined(set *Settings) bool {
	d, ok := set.Sharing.Access.Database(spec.dbName)
	return ok && (d.Target != spec.target || cmp.Or(d.User, spec.client) != spec.user)
}

// applyCaps puts the limits of server connections in force that hold across pools.
func (p *Proxy) applyCaps(setup *Setup) {
	backends, databases, users := map[string]int{}, map[string]int{}, map[string]int{}
	for i := range setup.Clusters {
		c := &setup.Clusters[i]
		for _, b := range c.Backends {
			backends[c.Name+"/"+b.Addr] = c.MaxServerConnections
		}
	}
	for i := range setup.Frontends {
		sh := setup.Frontends[i].Sharing
		if sh == nil {
			continue
		}
		for _, d := range sh.Access.Databases() {
			databases[d.Name] = max(databases[d.Name], d.MaxServerConnections)
		}
		for _, u := range sh.Access.Users() {
			users[u.Name] = max(users[u.Name], u.MaxServerConnections)
		}
	}
	p.pools.group.SetCaps(pool.Caps{
		PerBackend:  func(name string) int { return backends[name] },
		PerDatabase: func(name string) int { return databases[name] },
		PerUser:     func(name string) int { return users[name] },
	})
}

// limitsOf are the limits of a user's clients of a database.
func (set *Settings) limitsOf(user, database string) access.Limits {
	return set.Sharing.Access.Find(access.Query{User: user, Database: database}).Limits
}

// retune puts the present settings in force for a pool.
func (ps *pools) retune(spec *poolSpec, set *Settings) {
	if spec.special != (codec.Param{}) {
		return
	}
	found := set.Sharing.Access.Find(access.Query{User: spec.client, Database: spec.dbName})
	w := &wanted{set: set, backend: spec.backend, found: &found, limits: found.Limits, reads: spec.reads}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	spec.sharing.Store(set.Sharing)
	spec.pool.SetOptions(w.options())
	if part := uint32(w.part()); spec.part.Swap(part) != part {
		spec.pool.Reconnect() // those that there are may be the wrong ones
	}
	user, given := found.Login(codec.Secret{})
	if user != spec.user || given.Zero() || given.Password == spec.given.Password && given.Verifier == spec.given.Verifier {
		return
	}
	spec.given = given
	spec.secret.Store(&given) // what clients have shown was the old one
	spec.pool.Retry()
}

// warm makes the pools that are to be opened ahead of their clients.
func (p *Proxy) warm(set *Settings) {
	for _, w := range set.Sharing.Warm {
		found := set.Sharing.Access.Find(access.Query{User: w.User, Database: w.Database,
			From: netip.AddrFrom4([4]byte{127, 0, 0, 1}), TLS: true})
		b, _ := set.cluster.Pick(set.want(), nil)
		if b == nil {
			continue // its first client will open it
		}
		b.Release()
		user, secret := found.Login(codec.Secret{})
		spec := p.pools.find(p, &wanted{set: set, backend: b, found: &found, limits: found.Limits,
			client: w.User, user: user, known: &secret}, func() bool { return true }) // what clients have shown is worth more
		spec.warm.Store(true)
		for _, i := range spec.pool.Loops() {
			on := p.loops[i]
			on.loop.Run(func() { on.around(func() { on.homeOf(spec) }) })
		}
	}
}

// hub is the shared listening connection of one database.
type hub struct {
	backend *upstream.Backend
	conn    *upstream.Hub
}

// hubs are the shared listening connections.
type hubs struct {
	mu   sync.Mutex
	list map[hubKey]*hub
}

type hubKey struct {
	backend  *upstream.Backend
	database string
}

// hubKey names the listening connection for the database of a pool.
func (spec *poolSpec) hubKey() hubKey { return hubKey{spec.backend, spec.target} }

// hubOf is the listening connection for the database of a pool, which logs in as the first one who
// listened.
func (p *Proxy) hubOf(spec *poolSpec) *upstream.Hub {
	k := spec.hubKey()
	p.hubs.mu.Lock()
	defer p.hubs.mu.Unlock()
	var secret codec.Secret
	if s := spec.secret.Load(); s != nil {
		secret = *s
	}
	if h := p.hubs.list[k]; h != nil {
		h.conn.Login(spec.user, secret) // its password may be a new one
		return h.conn
	}
	h := &hub{spec.backend, upstream.NewHub(spec.cluster, spec.backend, spec.target, spec.user, secret, p.log)}
	if p.hubs.list == nil {
		p.hubs.list = map[hubKey]*hub{}
	}
	p.hubs.list[k] = h
	return h.conn
}

// drop closes the listening connections that which names.
func (h *hubs) drop(which func(*hub) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, one := range h.list {
		if which(one) {
			delete(h.list, k)
			one.conn.Close()
		}
	}
}

// renew has those replaced that are from before a change of TLS.
func (h *hubs) renew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.list {
		one.conn.Renew()
	}
}

// sweepEvery is how often a loop looks for queries and transactions that take too long: a step that no
// limit in seconds notices, and no cost per query.
const sweepEvery = 100 * time.Millisecond

// limited tells that the session's work is limited in time.
func (s *Session) limited() bool {
	l := &s.sh.found.Limits
	return l.QueryTimeout > 0 || l.TransactionTimeout > 0 || l.TransactionIdleTimeout > 0 ||
		s.set.Sharing.WaitNotify > 0
}

// watch has the loop look at its sessions from time to time, while there are some that are limited.
func (on *loopState) watch(s *Session) {
	if s.sh.watched = s.limited(); !s.sh.watched {
		return
	}
	if on.watched++; on.watched == 1 {
		on.sweeper.Fn = on.sweep
		on.loop.Arm(&on.sweeper, sweepEvery)
	}
}

// sweep looks at the sessions that have a server connection, and at those that wait for one.
func (on *loopState) sweep() {
	if on.watched == 0 {
		return
	}
	on.loop.Arm(&on.sweeper, sweepEvery)
	now := engine.Nano()
	on.around(func() {
		for _, h := range on.homes {
			if h.part.Waiting() > 0 {
				on.noticing = true
			}
			for sc := range h.conns {
				if s := sc.at; s != nil && s.sh.watched && s.stage == stageRelay {
					s.overdue(sc, now)
				}
			}
		}
		if on.noticing {
			on.noticing = false
			on.notice(now)
		}
	})
}

// overdue does what is due when a query or transaction has taken too long: a query is cancelled, which
// its client is told by the server; a transaction that idles ends with its session.
func (s *Session) overdue(sc *serverConn, now int64) {
	l, t := &s.sh.found.Limits, &s.clock
	if begun := t.begun[t.head%timedOpen]; t.open > 0 && l.QueryTimeout > 0 {
		took := asDuration(now - begun)
		switch {
		case took <= l.QueryTimeout:
		case sc.cancelled != begun && sc.cancels == 0:
			sc.cancelled = begun
			sc.cancel(nil)
		case took > l.QueryTimeout+sc.home.spec.sharing.Load().AbandonTimeout:
			// A server does not see to a cancel while nobody takes what it sends.
			s.end(TimedOut, &codec.Error{Cond: codec.QueryTimeout, Text: "terminating connection due to query timeout"}, nil)
			return
		}
	}
	if !s.sh.guest.InTransaction() {
		return
	}
	idle := asDuration(now - max(sc.active, sc.heard))
	switch {
	case l.TransactionTimeout > 0 && sc.begun > 0 && asDuration(now-sc.begun) > l.TransactionTimeout:
		s.end(TimedOut, &codec.Error{Cond: codec.TransactionTimeout, Text: "terminating connection due to transaction timeout"}, nil)
	case l.TransactionIdleTimeout > 0 && t.open == 0 && idle > l.TransactionIdleTimeout:
		s.end(TimedOut, &codec.Error{Cond: codec.TransactionIdle, Text: "terminating connection due to idle-in-transaction timeout"}, nil)
	}
}

// notice tells clients that have waited for long that they wait.
func (on *loopState) notice(now int64) {
	for s := on.list.next; s != &on.list; s = s.next {
		sh := s.sh
		if sh == nil || sh.since == 0 || sh.noticed || s.stage != stageRelay {
			continue
		}
		if after := s.set.Sharing.WaitNotify; after > 0 && asDuration(now-sh.since) > after {
			sh.noticed = true
			t := &on.turn
			t.Client.Open(s.client)
			on.buf = sh.guest.AppendNotice(on.buf[:0], "waiting for a server connection: all are in use")
			sh.guest.Notify(on.buf, t)
			t.Flush()
		}
	}
}

// unitName is the unit's name in the configuration.
func unitName(u access.Unit) string {
	return [...]string{access.UnitInherit: "", access.UnitTransaction: "transaction",
		access.UnitStatement: "statement", access.UnitSession: "session"}[u]
}

// replication names the kind of a special connection.
func replication(special codec.Param) string {
	switch {
	case special == (codec.Param{}):
		return "none"
	case special.Value == "database":
		return "logical"
	}
	return "physical"
}

// wallTime is the time of day at a moment of engine.Nano.
func wallTime(nano int64) time.Time {
	if nano == 0 {
		return time.Time{}
	}
	return time.Now().Add(-asDuration(engine.Nano() - nano))
}

// tlsName says what protects a connection, as operators read it.
func tlsName(state *tls.ConnectionState) string {
	return cmp.Or(tls.VersionName(state.Version), "TLS") + "/" + tls.CipherSuiteName(state.CipherSuite)
}

// DatabaseStats are the sums of each database.
func (p *Proxy) DatabaseStats() []DatabaseStats {
	sums := map[string]*DatabaseStats{}
	p.onLoops(func(on *loopState) func() {
		list := map[string]DatabaseStats{}
		parses := on.parses()
		for spec, h := range on.homes {
			d := list[spec.dbName]
			d.add(&h.counts, parses[spec])
			list[spec.dbName] = d
		}
		return func() {
			for name, d := range list {
				if sums[name] == nil {
					sums[name] = &DatabaseStats{Database: name}
				}
				sums[name].sum(&d)
			}
		}
	})
	all := make([]DatabaseStats, 0, len(sums))
	for _, name := range sortedKeys(sums) {
		all = append(all, *sums[name])
	}
	return all
}

// add adds a pool's figures.
func (d *DatabaseStats) add(c *poolStats, parses parseStats) {
	d.sum(&DatabaseStats{Assignments: c.units, Transactions: c.units, Queries: c.queries,
		Received: c.received, Sent: c.sent, TransactionTime: asDuration(c.held),
		QueryTime: asDuration(c.asked), WaitTime: asDuration(c.waited),
		ClientParses: parses.client, ServerParses: parses.server, Binds: parses.binds})
}

// sum adds up two.
func (d *DatabaseStats) sum(o *DatabaseStats) {
	d.Assignments += o.Assignments
	d.Transactions += o.Transactions
	d.Queries += o.Queries
	d.Received += o.Received
	d.Sent += o.Sent
	d.ClientParses += o.ClientParses
	d.ServerParses += o.ServerParses
	d.Binds += o.Binds
	d.TransactionTime += o.TransactionTime
	d.QueryTime += o.QueryTime
	d.WaitTime += o.WaitTime
}

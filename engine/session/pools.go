package session

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/router"
	"sluice/router/access"
	"sluice/upstream"
	"sluice/upstream/pool"
)

// poolSpec is what server connections of one pool are opened with. It is shared by all loops.
type poolSpec struct {
	p       *Proxy
	pool    *pool.Pool
	fe      string // the listener's name
	cluster *upstream.Cluster
	backend *upstream.Backend
	dbName  string // as clients name the database
	target  string // as the server names it
	user    string // that logs in at the server
	client  string // the user, as clients log in, whose limits the pool has
	unit    access.Unit
	sharing atomic.Pointer[Sharing]
	part    atomic.Uint32                // codec.Part
	secret  atomic.Pointer[codec.Secret] // the newest that a client has proved to be right
	given   codec.Secret                 // what is configured; under the lock of pools
	schema  *atomic.Uint64               // the epoch of the database's schema, shared by its pools
	secured atomic.Uint64                // Cluster.TLSChanges that its connections were opened behind
	opened  atomic.Bool                  // there was a server connection once
	failing atomic.Bool                  // the last attempt to open a server connection has failed
	notYet  atomic.Bool                  // since the server is not what it has to be yet
	warned  atomic.Int64                 // engine.Nano at which it was logged last that none can be opened; 0: never
	back    atomic.Int64                 // when its backend was last seen to have come back
	warm    atomic.Bool                  // the configuration has it opened ahead of its first client
	dropped atomic.Bool                  // nobody is to use it any more
	special codec.Param                  // the kind of connection, if it can't be shared
	params  []codec.Param                // of the startup of such a one
	reads   bool                         // see wanted
}

// home is one loop's part of a pool.
type home struct {
	on     *loopState
	spec   *poolSpec
	part   *pool.Part
	shelf  codec.Shelf
	intros map[string]codec.Introduction
	conns  map[*serverConn]struct{}
	bst    *backendStats
	opens  uint64
	placed placing // when a unit was found to be well placed here last
	where  *gauge  // nil: nobody has asked for its server's position
	counts poolStats
}

// introsMax bounds the introductions that a loop keeps for a pool: clients choose what they are keyed
// by.
const introsMax = 1000

// poolStats are a loop's figures of one pool.
type poolStats struct {
	units   uint64 // of work, in which a client had a server connection
	held    int64  // nanoseconds of them together
	waits   uint64 // units that had to wait for it
	waited  int64  // nanoseconds
	errors  uint64 // waits that ended in an error
	cancels uint64
	// bereaved are units whose server went in their middle, and whose client has stayed.
	bereaved uint64
	pins     map[string]uint64 // sessions that were bound to a server connection, by reason
	wait     histogram

	queries        uint64
	asked          int64  // nanoseconds that they took together
	received, sent uint64 // bytes from and to clients
	parses         parseStats
}

func (c *poolStats) took(ns int64) {
	c.units++
	c.held += ns
}

// pools are the pools of a proxy.
type pools struct {
	group  *pool.Group
	mu     sync.Mutex
	specs  map[pool.Key]*poolSpec
	epoch  map[schemaKey]*atomic.Uint64
	orders orders

	seekers seekers
}

// schemaKey names one database of a cluster.
type schemaKey struct{ cluster, database string }

func newPools(loops int) *pools {
	return &pools{group: pool.NewGroup(loops), specs: map[pool.Key]*poolSpec{},
		epoch:  map[schemaKey]*atomic.Uint64{},
		orders: orders{paused: map[string]bool{}, disabled: map[string]bool{}}}
}

// wanted is a pool that a session asks for.
type wanted struct {
	set     *Settings
	backend *upstream.Backend
	found   *access.Found
	limits  access.Limits // of the pool
	client  string        // who has logged in
	user    string        // who is to log in at the server
	secret  codec.Secret
	known   *codec.Secret // what is known of it if secret is nothing
	special codec.Param
	params  []codec.Param
	session uint64 // whose a special connection is
	reads   bool   // for transactions that only read, at a backend of other roles than the listener's
}

// part is what the pool's servers have to be, by their own word. Where nobody watches over the roles of the
// backends they are what they are said to be.
func (w *wanted) part() codec.Part {
	roles := w.set.Roles
	switch {
	case w.reads && w.set.Sharing.ReadRoles.Has(router.Leader), w.set.cluster.Options().Discovery == nil:
		return codec.PartAny
	case w.reads:
		return codec.PartReplica
	case roles == router.Roles(0).With(router.Leader):
		return codec.PartPrimary
	case !roles.Has(router.Leader):
		return codec.PartReplica
	}
	return codec.PartAny
}

// find returns the pool for a session, made if need be; nil if what w was made of does not hold any more.
func (ps *pools) find(p *Proxy, w *wanted, holds func() bool) *poolSpec {
	sh := w.set.Sharing
	key := pool.Key{Listener: w.set.Name + "/" + unitName(w.found.Limits.Unit), Backend: w.set.Cluster + "/" + w.backend.Addr(),
		Database: w.found.Database.Name, User: w.user}
	if w.special != (codec.Param{}) {
		key.User += fmt.Sprintf(" (%s %d)", w.special.Name, w.session)
	}
	if w.reads {
		key.Listener += "/reads"
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !holds() {
		return nil
	}
	spec := ps.specs[key]
	if spec != nil && spec.backend != w.backend {
		ps.letGo(key, spec) // it was taken out of the cluster, and has come back
		spec = nil
	}
	if spec == nil {
		at := schemaKey{w.set.Cluster, w.found.Database.Target}
		if ps.epoch[at] == nil {
			ps.epoch[at] = new(atomic.Uint64)
		}
		spec = &poolSpec{p: p, fe: w.set.Name, cluster: w.set.cluster, backend: w.backend,
			dbName: w.found.Database.Name, target: w.found.Database.Target, user: w.user, client: w.client,
			unit: w.found.Limits.Unit, schema: ps.epoch[at], special: w.special, params: w.params, reads: w.reads}
		spec.part.Store(uint32(w.part()))
		spec.secret.Store(w.known)
		spec.given = w.given()
		spec.back.Store(w.backend.Changed().UnixNano())
		spec.secured.Store(spec.cluster.TLSChanges())
		spec.sharing.Store(sh)
		spec.pool = ps.group.Pool(key, w.options())
		ps.orders.obey(spec.pool, spec.dbName)
		ps.specs[key] = spec
	} else if spec.sharing.Load() != sh {
		spec.sharing.Store(sh)
		spec.pool.SetOptions(w.options())
	}
	if !w.secret.Zero() {
		spec.secret.Store(&w.secret)
	}
	return spec
}

// given is the secret that is configured for who logs in at the server.
func (w *wanted) given() codec.Secret {
	found := *w.found
	_, secret := found.Login(codec.Secret{})
	return secret
}

// options are those of the pool. No connections are kept ahead at a backend that does not fit: nobody would
// use them.
func (w *wanted) options() *pool.Options {
	opt := w.set.Sharing.Pool
	opt.Size, opt.Min, opt.Reserve = w.limits.PoolSize, w.limits.PoolMin, w.limits.PoolReserve
	want := w.set.want()
	if w.reads {
		want.Roles = w.set.Sharing.ReadRoles
	}
	if w.backend.Fits(want) != "" {
		opt.Min = 0
	}
	return &opt
}

// usable tells whether a wait for the pool has prospects. If its backend has been down, and is up again, it
// does not sit out the time after its last failure.
func (spec *poolSpec) usable(now int64) bool {
	if spec.pool.Usable(now) {
		return true
	}
	if spec.cameBack() {
		spec.pool.Retry()
	}
	return spec.pool.Usable(now)
}

// cameBack tells, once, that the backend is up and was not when it was asked last.
func (spec *poolSpec) cameBack() bool {
	at := spec.backend.Changed().UnixNano()
	return spec.backend.Health() == upstream.Up && spec.back.Swap(at) != at
}

// drop lets go of the pools that which names: their connections close as they come free.
func (ps *pools) drop(which func(*poolSpec) bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for key, spec := range ps.specs {
		if which(spec) {
			ps.letGo(key, spec)
		}
	}
}

// dropVain lets go of a pool that has never had a server connection: clients choose the names of databases,
// and there would be no end of such pools.
func (ps *pools) dropVain(spec *poolSpec) {
	if spec.opened.Load() || spec.pool.Open() > 0 || spec.warm.Load() {
		return
	}
	ps.drop(func(other *poolSpec) bool { return other == spec })
}

// letGo drops one pool. With the lock held.
func (ps *pools) letGo(key pool.Key, spec *poolSpec) {
	delete(ps.specs, key)
	last := true
	for _, other := range ps.specs {
		last = last && other.schema != spec.schema
	}
	if last {
		delete(ps.epoch, schemaKey{spec.cluster.Name(), spec.target})
	}
	spec.dropped.Store(true)
	ps.group.Drop(spec.pool)
	for _, on := range spec.p.loops {
		on.loop.Run(func() { on.leaveHome(spec) })
	}
}

// all returns the pools there are.
func (ps *pools) all() []*poolSpec {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	list := make([]*poolSpec, 0, len(ps.specs))
	for _, spec := range ps.specs {
		list = append(list, spec)
	}
	return list
}

// homeOf is the loop's part of a pool.
func (on *loopState) homeOf(spec *poolSpec) *home {
	h := on.homes[spec]
	if h != nil {
		return h
	}
	h = &home{on: on, spec: spec, intros: map[string]codec.Introduction{},
		conns: map[*serverConn]struct{}{}, bst: on.stats.backend(spec.backend)}
	h.shelf = on.shelfOf(spec)
	on.homes[spec] = h
	h.part = spec.pool.Part(on.loop.ID(), h)
	if spec.dropped.Load() { // meanwhile: letGo may have been here already
		on.loop.Run(func() { on.leaveHome(spec) })
	}
	return h
}

// leaveHome forgets the loop's part of a pool that is not used any more, once it is empty.
func (on *loopState) leaveHome(spec *poolSpec) {
	if h := on.homes[spec]; h != nil && len(h.conns) == 0 {
		delete(on.homes, spec)
		on.leaveShelf(spec)
	}
}

// forget takes a server connection out of the list.
func (h *home) forget(sc *serverConn) {
	delete(h.conns, sc)
	if h.spec.dropped.Load() {
		h.on.leaveHome(h.spec)
	}
}

// shelfKey names the pools whose guests and hosts have a shelf in common: those of one database and user, at
// whatever backend. What is known of a statement holds for all of these, and for no others.
type shelfKey struct{ listener, cluster, database, user string }

// sharedShelf is a shelf and the number of the loop's homes that use it.
type sharedShelf struct {
	codec.Shelf
	homes int
}

func (spec *poolSpec) shelfKey() shelfKey {
	return shelfKey{spec.fe, spec.cluster.Name(), spec.dbName, spec.user}
}

// shelfOf returns the shelf for a new home. Its number is its own among all shelves of all loops, and so are
// the names that it gives to statements.
func (on *loopState) shelfOf(spec *poolSpec) codec.Shelf {
	k := spec.shelfKey()
	s := on.shelves[k]
	if s == nil {
		number := on.loop.ID() + on.shelved*len(spec.p.loops)
		on.shelved++
		s = &sharedShelf{Shelf: spec.cluster.Options().Protocol.(codec.Sharer).NewShelf(
			codec.ShelfConfig{Loop: number})}
		on.shelves[k] = s
	}
	s.homes++
	return s.Shelf
}

// leaveShelf takes note that a home is gone.
func (on *loopState) leaveShelf(spec *poolSpec) {
	k := spec.shelfKey()
	if s := on.shelves[k]; s != nil {
		if s.homes--; s.homes == 0 {
			delete(on.shelves, k)
		}
	}
}

// A home is what its part of the pool has carried out.
var _ pool.Hooks = (*home)(nil)

// Connect opens a server connection.
func (h *home) Connect(*pool.Part) *pool.Entry {
	spec, on := h.spec, h.on
	opt, sh := spec.cluster.Options(), spec.sharing.Load()
	cfg := &codec.OpenerConfig{User: spec.user, Database: spec.target, TLS: opt.TLSMode,
		PreparedMax: sh.PreparedMax, Special: spec.special, Params: spec.params,
		Part: codec.Part(spec.part.Load())}
	if s := spec.secret.Load(); s != nil {
		cfg.Secret = *s
	}
	sc := &serverConn{id: spec.p.nextServer.Add(1), home: h, state: connOpening, opened: engine.Nano(),
		open: &openingConn{m: opt.Protocol.(codec.Sharer).NewOpener(cfg)}}
	sc.User = sc // the pool's Entry leads back here
	h.conns[sc] = struct{}{}
	on.stats.dials++
	on.stats.pending++
	sc.timer.Fn = func() { on.around(func() { sc.openFailed(errOpenTime) }) }
	on.loop.Arm(&sc.timer, opt.ConnectTimeout)
	stop := on.loop.Dial(spec.backend.Addr(), opt.Socket, opt.ConnectTimeout, sc,
		func(err error) { on.around(func() { sc.openFailed(err) }) })
	sc.open.stop = stop
	return &sc.Entry
}

// Close closes a connection that the pool has no use for.
func (h *home) Close(e *pool.Entry, _ string) { e.User.(*serverConn).shut() }

// Check has a connection show that it is alive.
func (h *home) Check(e *pool.Entry) { e.User.(*serverConn).check() }

// Move takes a free connection to another loop.
func (h *home) Move(e *pool.Entry, loop int) bool { return e.User.(*serverConn).move(loop) }

// Now is the loop's clock.
func (h *home) Now() int64 { return h.on.loop.Now() }

// Run has f called on another loop.
func (h *home) Run(loop int, f func()) {
	to := h.spec.p.loops[loop]
	to.loop.Run(func() { to.around(f) })
}

// After calls f on this loop after a while.
func (h *home) After(d time.Duration, f func()) (stop func()) {
	t := &engine.Timer{Fn: func() { h.on.around(f) }}
	h.on.loop.Arm(t, d)
	return func() { h.on.loop.Disarm(t) }
}

// move takes a free connection to another loop. It returns false if that can't be done at present.
func (sc *serverConn) move(loop int) bool {
	from, to := sc.home, sc.home.spec.p.loops[loop]
	spec := sc.home.spec
	err := sc.conn.Move(to.loop, sc, func(c *engine.Conn, err error) {
		to.around(func() {
			h := to.homeOf(spec)
			sc.home, sc.conn = h, c
			h.conns[sc] = struct{}{}
			to.stats.connected++
			if err != nil || sc.state == connClosed {
				sc.close()
				h.part.Lost(&sc.Entry)
				return
			}
			h.part.Arrived(&sc.Entry)
		})
	})
	if err != nil {
		return false
	}
	from.forget(sc)
	from.on.stats.connected--
	return true
}

// around calls f, which may give server connections to sessions, and has them go on.
func (on *loopState) around(f func()) {
	on.busy++
	f()
	on.busy--
	on.settle()
}

// grant is a server connection on its way to a session.
type grant struct {
	s  *Session
	sc *serverConn
}

// settle has the sessions go on that were given a server connection. They come one after the other,
// not from inside one another.
func (on *loopState) settle() {
	if on.busy > 0 {
		return
	}
	on.busy++
	for i := 0; i < len(on.grants); i++ { // grows while it is walked
		g := on.grants[i]
		on.grants[i] = grant{}
		g.s.granted(g.sc)
	}
	on.grants = on.grants[:0]
	on.busy--
}

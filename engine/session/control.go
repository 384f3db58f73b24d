package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"sluice/codec"
	"sluice/upstream/pool"
)

// Errors of orders.
var (
	ErrNoDatabase = errors.New("there is no such database")
	ErrNotPaused  = errors.New("it is not paused")
	ErrNoClient   = errors.New("there is no such client")
)

// errDisabled is what a new client of a database is told that an operator has disabled.
var errDisabled = codec.Error{Cond: codec.NoBackend, Text: "the database is disabled"}

// killed is what clients are told whom an operator has ended.
var killed = codec.Error{Cond: codec.Killed, Text: "terminating connection due to administrator command"}

// orders are what operators have asked for, for pools that there are and that will be. They are under
// the lock of pools.
type orders struct {
	all      bool            // everything is paused
	paused   map[string]bool // databases, as clients name them
	disabled map[string]bool
}

// obey has a pool do what was ordered.
func (o *orders) obey(p *pool.Pool, db string) {
	if was, is := p.Paused(), o.all || o.paused[db]; is && !was {
		p.Pause()
	} else if was && !is {
		p.Resume()
	}
}

// of returns the pools of a database, "" being all.
func (ps *pools) of(db string) []*poolSpec {
	var list []*poolSpec
	for _, spec := range ps.all() {
		if db == "" || spec.dbName == db {
			list = append(list, spec)
		}
	}
	return list
}

// order notes an order and has all pools obey it, as one: what is noted is what is in force, whatever
// else is ordered at the same time.
func (p *Proxy) order(db string, note func(*orders) error) error {
	if db != "" && !p.knows(db) {
		return ErrNoDatabase
	}
	ps := p.pools
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if err := note(&ps.orders); err != nil {
		return err
	}
	for _, spec := range ps.specs {
		ps.orders.obey(spec.pool, spec.dbName)
	}
	return nil
}

// pause notes that a database is paused, "" being all.
func (o *orders) pause(db string) error {
	if db == "" {
		o.all = true
	} else {
		o.paused[db] = true
	}
	return nil
}

// knows tells whether clients may know a database of that name.
func (p *Proxy) knows(db string) bool {
	for _, fe := range p.Frontends() {
		if sh := fe.Settings().Sharing; sh != nil {
			if _, ok := sh.Access.Database(db); ok {
				return true
			}
		}
	}
	return len(p.pools.of(db)) > 0
}

// ordersPoll is how often an order that waits looks whether it has come to pass.
const ordersPoll = 20 * time.Millisecond

// until waits until the condition holds.
func until(ctx context.Context, holds func() bool) error {
	ticker := time.NewTicker(ordersPoll)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
	return nil
}

// Pause has no server connection of a database handed out any more, "" being all databases, and waits until none is
// in use; those are closed then. If ctx ends first the pause stays.
func (p *Proxy) Pause(ctx context.Context, db string) error {
	if err := p.order(db, func(o *orders) error { return o.pause(db) }); err != nil {
		return err
	}
	err := until(ctx, func() bool {
		for _, i := range p.PoolInfos() {
			if (db == "" || i.Database == db) && i.inUse+i.Testing > 0 {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	p.reconnect(db)
	return nil
}

// reconnect has the server connections of a database replaced as they come free.
func (p *Proxy) reconnect(db string) {
	for _, spec := range p.pools.of(db) {
		spec.pool.Reconnect()
	}
}

// Resume ends a pause. That of one database does not end a pause of all.
func (p *Proxy) Resume(db string) error {
	return p.order(db, func(o *orders) error {
		switch {
		case db == "" && !o.all && len(o.paused) == 0, db != "" && !o.paused[db]:
			return ErrNotPaused
		case db == "":
			o.all = false
			clear(o.paused)
		default:
			delete(o.paused, db)
		}
		return nil
	})
}

// Disable refuses further clients of a database. Those that it has go on.
func (p *Proxy) Disable(db string) error {
	return p.order(db, func(o *orders) error { o.disabled[db] = true; return nil })
}

// Enable ends what Disable began.
func (p *Proxy) Enable(db string) error {
	return p.order(db, func(o *orders) error { delete(o.disabled, db); return nil })
}

// welcomes tells whether a database takes further clients.
func (p *Proxy) welcomes(db string) bool {
	p.pools.mu.Lock()
	defer p.pools.mu.Unlock()
	return !p.pools.orders.disabled[db]
}

// Reconnect has the server connections of a database replaced as they come free.
func (p *Proxy) Reconnect(db string) error {
	if db != "" && !p.knows(db) {
		return ErrNoDatabase
	}
	p.reconnect(db)
	return nil
}

// WaitClose waits until the server connections of a database that are to be replaced have been closed.
func (p *Proxy) WaitClose(ctx context.Context, db string) error {
	if db != "" && !p.knows(db) {
		return ErrNoDatabase
	}
	return until(ctx, func() bool {
		for _, i := range p.PoolInfos() {
			if (db == "" || i.Database == db) && i.Closing > 0 {
				return false
			}
		}
		return true
	})
}

// Kill pauses a database and ends its clients and server connections at once.
func (p *Proxy) Kill(db string) error {
	if err := p.order(db, func(o *orders) error { return o.pause(db) }); err != nil {
		return err
	}
	p.reconnect(db)
	for _, on := range p.loops {
		on.each(func(s *Session) {
			if s.sh == nil || s.sh.desk != nil || s.sh.home == nil || db != "" && s.sh.home.spec.dbName != db {
				return
			}
			if sc := s.sh.at; sc != nil {
				sc.at, s.sh.at = nil, nil
				sc.close()
			}
			s.endKilled()
		}, nil)
	}
	return nil
}

// endKilled ends a session by an operator's order.
func (s *Session) endKilled() {
	e := killed
	if s.stage == stageLogin {
		s.refuse(Killed, e, nil)
		return
	}
	s.end(Killed, &e, nil)
}

// KillClient ends the session with that number.
func (p *Proxy) KillClient(id uint64) error {
	found := make(chan bool, len(p.loops))
	for _, on := range p.loops {
		hit := false
		on.each(func(s *Session) {
			if s.id == id {
				hit = true
				s.endKilled()
			}
		}, func() { found <- hit })
	}
	timer := time.NewTimer(scrapeTimeout)
	defer timer.Stop()
	for range p.loops {
		select {
		case hit := <-found:
			if hit {
				return nil
			}
		case <-timer.C:
			return ErrNoClient
		}
	}
	return ErrNoClient
}

// PauseState tells whether everything is paused, and which databases are.
func (p *Proxy) PauseState() (all bool, dbs []string) {
	p.pools.mu.Lock()
	defer p.pools.mu.Unlock()
	return p.pools.orders.all, slices.Sorted(maps.Keys(p.pools.orders.paused))
}

// DisabledDatabases are the databases that are disabled.
func (p *Proxy) DisabledDatabases() []string {
	p.pools.mu.Lock()
	defer p.pools.mu.Unlock()
	return slices.Sorted(maps.Keys(p.pools.orders.disabled))
}

// CloseFrontends stops accepting clients, for good, and lets the sessions there are go on.
func (p *Proxy) CloseFrontends() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, fe := range p.frontends {
		fe.stopListening()
	}
}

package console

import (
	"cmp"
	"maps"
	"slices"
)

var poolColumns = columns("database text", "user text", "cl_active int", "cl_waiting int",
	"cl_active_cancel_req int", "cl_waiting_cancel_req int", "sv_active int", "sv_active_cancel int",
	"sv_being_canceled int", "sv_idle int", "sv_used int", "sv_tested int", "sv_login int", "maxwait int",
	"maxwait_us int", "pool_mode text", "load_balance_hosts text")

// poolKey is what PgBouncer knows a pool by.
type poolKey struct{ database, user string }

// pools has one row for each database and user: monitors take those two for the name of a row. Pools
// of several listeners or backends are added up.
func (c *Console) pools(Who) [][]any {
	sums := map[poolKey]*Pool{}
	for _, p := range c.src.Pools() {
		key := poolKey{p.Database, p.User}
		if sum := sums[key]; sum != nil {
			sum.add(&p)
		} else {
			sums[key] = &p
		}
	}
	keys := slices.SortedFunc(maps.Keys(sums), func(a, b poolKey) int {
		return cmp.Or(cmp.Compare(a.database, b.database), cmp.Compare(a.user, b.user))
	})
	var rows [][]any
	for _, key := range keys {
		p := sums[key]
		rows = append(rows, append([]any{p.Database, p.User}, p.figures()...))
	}
	return rows
}

// add adds the figures of a pool with the same database and user.
func (p *Pool) add(o *Pool) {
	p.ClientsActive += o.ClientsActive
	p.ClientsWaiting += o.ClientsWaiting
	p.CancelsActive += o.CancelsActive
	p.CancelsWaiting += o.CancelsWaiting
	p.Active += o.Active
	p.Idle += o.Idle
	p.Used += o.Used
	p.Testing += o.Testing
	p.Cancelled += o.Cancelled
	p.Login += o.Login
	p.OldestWait = max(p.OldestWait, o.OldestWait)
	if p.Unit != o.Unit {
		p.Unit = "mixed"
	}
}

// figures are the columns from cl_active on. A cancel request has a connection of its own towards the
// server, so that the two columns about them agree.
func (p *Pool) figures() []any {
	return []any{number(p.ClientsActive), number(p.ClientsWaiting), number(p.CancelsActive), number(p.CancelsWaiting),
		number(p.Active), number(p.CancelsActive), number(p.Cancelled), number(p.Idle - p.Used), number(p.Used),
		number(p.Testing), number(p.Login), seconds(p.OldestWait), micros(p.OldestWait), p.Unit, nil}
}

var backendPoolColumns = append(columns("listener text", "cluster text", "backend text", "database text", "user text",
	"pool_size int", "min_pool_size int", "reserve_pool_size int", "pinned int", "closing int", "paused int", "disabled int"),
	poolColumns[2:]...)

// backendPools has one row for each pool that there is.
func (c *Console) backendPools(Who) [][]any {
	var rows [][]any
	for _, p := range c.src.Pools() {
		rows = append(rows, append([]any{p.Listener, p.Cluster, p.Backend, p.Database, p.User,
			number(p.Size), number(p.Min), number(p.Reserve), number(p.Pinned), number(p.Closing),
			flag(p.Paused), flag(p.Disabled)}, p.figures()...))
	}
	return rows
}

var pinColumns = columns("database text", "user text", "reason text", "sessions int", "total big")

// pins tells what binds sessions to their server connections: how many now, and how many so far.
func (c *Console) pins(Who) [][]any {
	type key struct{ database, user, reason string }
	now, total := map[key]int{}, map[key]uint64{}
	for _, p := range c.src.Pools() {
		for reason, n := range p.Pins {
			total[key{p.Database, p.User, reason}] += n
		}
	}
	for _, s := range c.src.Servers() {
		if s.Pin != "" {
			k := key{s.Database, s.User, s.Pin}
			now[k]++
			total[k] += 0 // so that it has a row
		}
	}
	keys := slices.SortedFunc(maps.Keys(total), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.database, b.database), cmp.Compare(a.user, b.user), cmp.Compare(a.reason, b.reason))
	})
	var rows [][]any
	for _, k := range keys {
		rows = append(rows, []any{k.database, k.user, k.reason, number(now[k]), number(total[k])})
	}
	return rows
}

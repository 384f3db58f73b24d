package suite

import (
	"fmt"
	"time"
)

// A funnel is many clients over a few server connections. Only poolers take part, and the server
// itself where it takes as many connections as there are clients. The most clients are synthetic: pgbench
// looks at all of its descriptors in each of its turns, so that with thousands it would measure itself.
const (
	funnelPool     = 20   // server connections of a contender
	funnelClients  = 512  // the fewer clients
	funnelManyMost = 5000 // the many: a proxy of 20,000 descriptors has room for them, and so have the clients
)

// The paces of many clients, which take longer to log in: up to a millisecond and a half each at the
// server itself, a third of that at a pooler. All of them begin to ask at one moment. The lead is long
// enough for each to have had an answer by the window's begin, at the rates that are to be expected.
var (
	manyReal  = wholeSecond.with(time.Second)
	manySynth = pace{lead: 300 * time.Millisecond, tail: 300 * time.Millisecond, unit: 10 * time.Millisecond, over: 300 * time.Millisecond}
	mostSynth = pace{lead: 600 * time.Millisecond, tail: 300 * time.Millisecond, unit: 10 * time.Millisecond, over: 1500 * time.Millisecond}
)

// crowds reports whether a contender has a server connection for each of many clients although it should
// not: the server itself. A busy machine may not have it take so many in time, so it may fail, and it has
// longer to begin.
func (c cell) crowds(x Contender) bool { return x.start == nil && c.Pool > 0 }

// crowdTakes is how much longer the run of a load has to be for that.
const crowdTakes = 2 * time.Second

// syntheticFunnels are the loads of few and of many clients, each pair with one way to ask.
func syntheticFunnels() []Load {
	var out []Load
	for _, prepared := range []bool{false, true} {
		name := "syn-pg-funnel-"
		if prepared {
			name += "prepared-"
		}
		few := Load{Name: name + fmt.Sprint(funnelClients), Database: Postgres, Synthetic: true, Clients: funnelClients, Depth: 1,
			Prepared: prepared, PerQuery: 1, Unit: "query", start: startSynth, pace: manySynth}
		many := few
		many.Name, many.Clients, many.Versus, many.pace = name+fmt.Sprint(funnelManyMost), funnelManyMost, few.Name, mostSynth
		out = append(out, few, many)
	}
	return out
}

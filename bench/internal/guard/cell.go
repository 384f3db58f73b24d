package guard

// cell is one thing that is counted.
type cell struct {
	name    string
	load    load
	loops   int
	clients int
	// paced has each message wait until Sluice sleeps, so that every one wakes it. Without it Sluice
	// is never done: its peers are not slowed down by valgrind.
	paced   bool
	queries int // by which the long run is longer
}

// warmUp is the number of queries in the short run: enough to have everything made that is made once.
const warmUp = 320

// Numbers of queries, chosen so that what differs between two equal starts, up to 0.3 million
// instructions and nearly all of them the runtime's, is small beside the tolerances, and that a run
// takes about two seconds.
const (
	busyQueries   = 16_000
	pacedQueries  = 800
	funnelQueries = 8_000 // each costs some three times as much
)

// clientsPerLoop keeps a loop busy. It is the same for one loop and for two: the more events a turn
// handles, the less a query pays for the turn.
const clientsPerLoop = 16

// What is done with each load, as the second half of a cell's name.
const (
	busy         = " busy"
	busyTwoLoops = " busy, 2 loops"
	paced        = " paced"
)

// clientsPerConn has clients of a funnel wait for a server connection, so that a query is handed from
// the end of another one's: the dearest way for it, and the one that many clients take.
const clientsPerConn = 4

// cells are what the guard counts.
func cells() []cell {
	var all []cell
	for _, l := range loads {
		all = append(all,
			cell{l.name + busy, l, 1, clientsPerLoop, false, busyQueries},
			cell{l.name + busyTwoLoops, l, 2, 2 * clientsPerLoop, false, busyQueries},
			cell{l.name + paced, l, 1, 1, true, pacedQueries})
	}
	for _, l := range further {
		all = append(all, cell{l.name + busy, l, 1, clientsPerLoop, false, busyQueries})
	}
	for _, l := range funnels {
		all = append(all, cell{l.name + busy, l, 1, clientsPerConn * l.pool, false, funnelQueries})
	}
	return all
}

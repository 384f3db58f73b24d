package suite

import (
	"fmt"
	"strings"
	"time"
)

// stage is all cells that one server serves with TLS on the same sides, over as many server
// connections: the contenders stay up for the length of a stage.
type stage struct {
	backend
	sides Sides
	pool  int
	cells []cell
}

// backend is a kind of server.
type backend struct {
	database  Database
	synthetic bool
}

// String is its name in reports and messages.
func (b backend) String() string {
	if b.synthetic {
		return "synthetic " + string(b.database)
	}
	return string(b.database)
}

// backends is all kinds of servers, in the order in which they are started.
var backends = []backend{{Postgres, false}, {MariaDB, false}, {Postgres, true}, {MariaDB, true}}

// stages lays the cells out in the order in which they are measured. Within a stage they keep the
// order of the tables, so a peak is found before it is needed.
func (o *Options) stages() []stage {
	var out []stage
	for _, b := range backends {
		for _, s := range []stage{{sides: tlsNone}, {sides: tlsClientSide}, {sides: tlsBothSides}, {pool: funnelPool}} {
			s.backend = b
			for _, c := range o.cells() {
				if c.Database == b.database && c.Synthetic == b.synthetic && c.Sides == s.sides && c.Pool == s.pool {
					s.cells = append(s.cells, c)
				}
			}
			if len(s.cells) > 0 {
				out = append(out, s)
			}
		}
	}
	return out
}

// groups are the cells that are measured together, in rounds that go through all of them: one by one,
// but for loads that are compared with the one before.
func (s stage) groups() [][]cell {
	var out [][]cell
	for _, c := range s.cells {
		last := len(out) - 1
		if c.Alternate && last >= 0 && out[last][0].Scenario.Name == c.Scenario.Name && out[last][0].Load.Name == c.Versus {
			out[last] = append(out[last], c)
			continue
		}
		out = append(out, []cell{c})
	}
	return out
}

// clients is how many may come at one time in a stage.
func (s stage) clients() int {
	most := clientsMost
	for _, c := range s.cells {
		if !c.Idle { // those have contenders of their own
			most = max(most, c.Clients+c.Clients/10)
		}
	}
	return most
}

// What parts of a run take beside the samples, on two cores. They serve the estimate alone.
const (
	realServerTakes  = 5 * time.Second // to make its files, to start, to be filled, to stop
	synthServerTakes = 300 * time.Millisecond
	contenderTakes   = 200 * time.Millisecond // to start and to stop
	idleTakes        = 6 * time.Second        // for the clients to log in and to leave
	buildTakes       = time.Second            // of the floor
)

// plan is what a run is going to do.
type plan struct {
	samples int
	takes   time.Duration
	parts   []part
}

// part is one scenario's share of a plan.
type part struct {
	scenario string
	samples  int
	takes    time.Duration
}

// plan adds up what the options ask for with these contenders.
func (o *Options) plan(list []Contender) plan {
	p := plan{takes: buildTakes}
	byName := map[string]*part{}
	begun := map[backend]bool{}
	for _, s := range o.stages() {
		if !begun[s.backend] {
			begun[s.backend] = true
			p.takes += s.backend.startTakes()
		}
		starts := map[string]bool{}
		for _, c := range s.cells {
			part := byName[c.Scenario.Name]
			if part == nil {
				part = newPart(&p, c.Scenario.Name)
				byName[c.Scenario.Name] = part
			}
			samples := 0
			for _, x := range o.lineup(c, list) {
				if !starts[x.Name] && !c.Idle {
					starts[x.Name] = true
					p.takes += contenderTakes
				}
				samples += o.rounds(c)
				if c.crowds(x) {
					part.takes += time.Duration(o.rounds(c)) * crowdTakes
				}
			}
			part.samples += samples
			part.takes += time.Duration(samples) * o.sampleTakes(c)
			if c.profiled() && o.Profiles != "" {
				part.takes += c.pace.over + c.pace.lasts(profileTakes)
			}
		}
	}
	p.add()
	return p
}

func newPart(p *plan, scenario string) *part {
	if cap(p.parts) == 0 {
		p.parts = make([]part, 0, len(scenarios)) // their addresses are kept
	}
	p.parts = append(p.parts, part{scenario: scenario})
	return &p.parts[len(p.parts)-1]
}

func (p *plan) add() {
	for _, part := range p.parts {
		p.samples += part.samples
		p.takes += part.takes
	}
}

func (b backend) startTakes() time.Duration {
	if b.synthetic {
		return synthServerTakes
	}
	return realServerTakes
}

// sampleTakes is the time from the start of a load to the next one's.
func (o *Options) sampleTakes(c cell) time.Duration {
	if c.Idle {
		return idleTakes
	}
	return c.pace.over + c.pace.lasts(o.window(c))
}

// String tells the plan, a line per scenario.
func (p plan) String() string {
	var b strings.Builder
	for _, part := range p.parts {
		fmt.Fprintf(&b, "%-14s %4d samples  %7s\n", part.scenario, part.samples, part.takes.Round(time.Second))
	}
	fmt.Fprintf(&b, "%-14s %4d samples  %7s about, with the starts of servers and contenders\n", "all", p.samples, p.takes.Round(time.Second))
	return b.String()
}

package router

import (
	"math/rand/v2"
	"testing"
	"time"
)

// lived is a session of a simulated day.
type lived struct {
	at    *played
	came  time.Time // to where it is
	from  *played   // where it was before
	moved time.Time
	cpu   float64 // share of a backend's CPUs that it uses
	ends  time.Time
}

// day is a world with sessions that come and go, each with a load of its own.
type day struct {
	*world
	t        *testing.T
	random   *rand.Rand
	sessions []*lived
	rest     time.Duration // that a session has behind a move for load
	looked   time.Time     // who is to leave has left until then
	came     int           // sessions
	moves    int
	again    int // moved within a minute behind another move
	back     int // moved back to where it was, within ten minutes
}

// TestDayOfChurn: through a day of arrivals, departures, loads that change, restarts and crashes, fewer than one in a
// hundred moves befalls a session within a minute behind another one, and few lead back; also if sessions themselves
// have no rest, and if figures come late, as from a Prometheus that scrapes every fifteen seconds.
func TestDayOfChurn(t *testing.T) {
	for _, tt := range []struct {
		name     string
		backends int
		policy   Policy
		rest     time.Duration
		late     time.Duration
		seed     uint64
		length   time.Duration
		back     float64 // the percentage of moves that may lead back, somewhat above the worst of a dozen seeds
	}{
		{"three by resources", 3, ByResources, time.Minute, 0, 1, 24 * time.Hour, 1},
		{"ten by resources", 10, ByResources, time.Minute, 0, 2, 4 * time.Hour, 1},
		{"five by connections", 5, ByConnections, time.Minute, 0, 3, 4 * time.Hour, 1},
		{"five by location", 5, ByLocation, time.Minute, 0, 4, 4 * time.Hour, 1},
		{"three by resources, figures late", 3, ByResources, time.Minute, 15 * time.Second, 7, 6 * time.Hour, 1},
		{"three by resources, without a rest", 3, ByResources, 0, 0, 5, 4 * time.Hour, 8},
		{"three by resources, figures late, without a rest", 3, ByResources, 0, 15 * time.Second, 8, 6 * time.Hour, 8},
		{"ten by connections, without a rest", 10, ByConnections, 0, 0, 6, 4 * time.Hour, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDay(t, tt.backends, tt.policy, tt.rest, tt.seed)
			if tt.late > 0 {
				d.every, d.late = tt.late, tt.late
			}
			d.live(tt.length)
			t.Logf("%d sessions, %d moves; %d times (%.3f %% of the sessions) twice within a minute, %d back within ten",
				d.came, d.moves, d.again, 100*float64(d.again)/float64(d.came), d.back)
			if d.moves == 0 {
				t.Error("nothing was moved")
			}
			if 100*d.again >= d.came {
				t.Errorf("%d of %d sessions were moved twice within a minute", d.again, d.came)
			}
			if 100*d.again >= d.moves {
				t.Errorf("%d of %d moves came within a minute behind another one of the same session", d.again, d.moves)
			}
			// A session's own rest keeps it from going back for load, so that those who do have left a backend that was
			// down. In the program each session has one. Where it has none the balancer alone keeps it, which has a memory of
			// backends, and the load here is another one at some backend every minute or so.
			if 100*float64(d.back) >= tt.back*float64(d.moves) {
				t.Errorf("%d of %d moves led back within ten minutes", d.back, d.moves)
			}
			if perSession := float64(d.moves) / float64(d.came); perSession > 3 {
				t.Errorf("a session was moved %.1f times in the mean", perSession)
			}
		})
	}
}

func newDay(t *testing.T, backends int, policy Policy, rest time.Duration, seed uint64) *day {
	d := &day{world: newWorld(), t: t, random: rand.New(rand.NewPCG(seed, seed)), rest: rest}
	d.tick, d.spread.Policy, d.spread.Zone = time.Second, policy, "east"
	d.world.random = seed
	d.noise = func() float64 { return 0.06 * d.random.NormFloat64() }
	d.carry = d.carryOut
	for i := range backends {
		p := d.at(string(rune('a' + i)))
		p.silent, p.zone = false, "east"
		if i%2 == 1 && policy == ByLocation {
			p.zone = "west"
		}
		p.memory, p.perMem = 0.2, 0.0004
	}
	for range 120 * backends {
		d.arrive()
	}
	return d
}

// arrive has a session come: to where the router sends it.
func (d *day) arrive() {
	p := d.choose()
	if p == nil {
		return
	}
	cpu := 0.001 + 0.004*d.random.Float64()
	if d.random.IntN(50) == 0 {
		cpu = 0.05 // a heavy one
	}
	s := &lived{at: p, cpu: cpu, came: d.now,
		ends: d.now.Add(time.Duration(d.random.ExpFloat64() * float64(40*time.Minute)))}
	d.came++
	d.join(s, s.at, 1)
	d.sessions = append(d.sessions, s)
}

// join counts a session in, or with -1 out.
func (d *day) join(s *lived, p *played, by int) {
	p.sessions += by
	p.cpu = max(p.cpu+float64(by)*s.cpu, 0)
}

// carryOut moves the oldest sessions that may move, as the program does.
func (d *day) carryOut(from, to *played, o *Order) (n int) {
	for _, s := range d.sessions {
		if n == o.Count {
			break
		}
		soon := !s.moved.IsZero() && d.now.Sub(s.moved) < time.Minute
		returns := s.from == to && !s.moved.IsZero() && d.now.Sub(s.moved) < 10*time.Minute
		if s.at != from || !o.Factor.hard() && d.rest > 0 && (soon || returns) {
			continue
		}
		if soon {
			d.again++
		}
		if returns {
			d.back++
		}
		d.join(s, from, -1)
		d.join(s, to, 1)
		s.at, s.from, s.moved = to, from, d.now
		d.moves++
		n++
	}
	return n
}

// live plays for some time.
func (d *day) live(length time.Duration) {
	for end := d.now.Add(length); d.now.Before(end); {
		d.run(d.tick)
		d.depart()
		for range d.arrivals() {
			d.arrive()
		}
		d.disturb()
	}
}

// arrivals is how many sessions come in a tick: as many as leave in the mean, more by day than by night.
func (d *day) arrivals() int {
	hours := d.now.Sub(d.start).Hours()
	rate := float64(120*len(d.backends)) / (40 * 60) * d.tick.Seconds()
	if int(hours)%24 >= 12 {
		rate *= 0.6
	}
	n := int(rate)
	if d.random.Float64() < rate-float64(n) {
		n++
	}
	return n
}

// departEvery is how often it is looked who leaves.
const departEvery = 5 * time.Second

// depart has the sessions leave whose time is over.
func (d *day) depart() {
	if d.now.Sub(d.looked) < departEvery {
		return
	}
	d.looked = d.now
	kept := d.sessions[:0]
	for _, s := range d.sessions {
		if d.now.After(s.ends) {
			d.join(s, s.at, -1)
			continue
		}
		kept = append(kept, s)
	}
	d.sessions = kept
}

// disturb has something happen now and then: a server restarts, fails its checks for a moment, or a batch makes one
// busy or full.
func (d *day) disturb() {
	p := d.backends[d.random.IntN(len(d.backends))]
	day := 24 * time.Hour.Seconds() / d.tick.Seconds()
	switch r := d.random.Float64() * day; {
	case r < 6 && !p.down: // it crashes, and its sessions are gone
		kept := d.sessions[:0]
		for _, s := range d.sessions {
			if s.at != p {
				kept = append(kept, s)
			}
		}
		d.sessions = kept
		p.restarts()
		p.cpu, p.memory, p.down = 0, 0.05, true
	case r < 12 && !p.down: // its checks fail
		p.down = true
	case r < 600 && p.down:
		p.down = false
		p.memory = max(p.memory, 0.2)
	case r < 1200: // a batch begins, or ends
		p.cpu = d.own(p) + 0.5*float64(d.random.IntN(2))
	case r < 1260:
		p.memory = 0.2 + 0.6*d.random.Float64()
	}
	for _, p := range d.backends {
		if p.down && d.random.Float64() < 0.01 {
			p.down = false
			p.memory = max(p.memory, 0.2)
		}
	}
}

// own is the usage that a backend's sessions make.
func (d *day) own(p *played) (sum float64) {
	for _, s := range d.sessions {
		if s.at == p {
			sum += s.cpu
		}
	}
	return sum
}

package router

import (
	"math"
	"strings"
	"time"
)

// world is a cluster that is played: its backends use CPU and memory by what a test says and by their sessions, say so
// every few seconds, and sessions go where a balancer orders them to.
type world struct {
	now      time.Time
	start    time.Time
	tick     time.Duration // between two Steps
	every    time.Duration // between two readings of a backend
	late     time.Duration // how old a reading is when it becomes known
	spread   Spread
	zone     string    // that the sessions ask for
	asks     []TagRule // likewise
	random   uint64
	backends []*played
	balancer *Balancer
	moved    map[string]int // sessions, by "a>b factor"
	why      []string
	noise    func() float64                       // added to the usage of an interval between two readings, or nil
	stuck    map[string]bool                      // backends whose sessions can't move
	carry    func(from, to *played, o *Order) int // carries an order out; nil: all sessions go
}

// played is one backend of a world.
type played struct {
	name, zone string
	tags       map[string]string
	down, gone bool
	drained    bool
	closing    bool // its server is about to stop
	silent     bool // it has no figures
	sessions   int

	procs          float64
	cpu, perCPU    float64 // usage without sessions, and of each
	memory, perMem float64 // likewise, as shares of its quota
	grows          float64 // memory, per second
	pd, kv         float64 // shares of requests that fail
	counters       Reading
	read           time.Time
	readings       []Reading
	onWay          []Reading // that are not known yet
}

func newWorld() *world {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &world{now: start, start: start, tick: 100 * time.Millisecond, every: 5 * time.Second, balancer: NewBalancer(), random: 88172645463325252,
		spread: Spread{Policy: ByResources, CountRatio: DefaultCountRatio}, moved: map[string]int{}, stuck: map[string]bool{}}
}

// at is the backend of a name, made if there is none.
func (w *world) at(name string) *played {
	for _, p := range w.backends {
		if p.name == name {
			return p
		}
	}
	p := &played{name: name, procs: 8, silent: true}
	w.backends = append(w.backends, p)
	return p
}

// usage is the share of its CPUs that a backend uses.
func (p *played) usage() float64 { return min(p.cpu+p.perCPU*float64(p.sessions), 1) }

// live has a backend's counters go on, and takes a reading when it is due.
func (w *world) live(p *played, i int) {
	for len(p.onWay) > 0 && w.now.Sub(p.onWay[0].At) >= w.late {
		p.readings, p.onWay = append(p.readings, p.onWay[0]), p.onWay[1:]
	}
	d := w.tick.Seconds()
	usage := p.usage()
	if w.noise != nil {
		usage = min(max(usage+w.noise(), 0), 1)
	}
	c := &p.counters
	c.CPU += usage * p.procs * d
	p.memory += p.grows * d
	c.PDTotal, c.PDFailed = c.PDTotal+100*d, c.PDFailed+100*d*p.pd
	c.KVTotal, c.KVFailed = c.KVTotal+1000*d, c.KVFailed+1000*d*p.kv
	if p.read.IsZero() {
		p.read = w.now.Add(-time.Duration(i) * 1300 * time.Millisecond) // not all at one moment
	}
	if w.now.Sub(p.read) < w.every {
		return
	}
	p.read = w.now
	c.At, c.Procs, c.Sessions = w.now, p.procs, p.sessions
	c.Quota = 16 << 30
	c.Memory = (p.memory + p.perMem*float64(p.sessions)) * c.Quota
	if !p.silent && !p.down && !p.gone {
		p.onWay = append(p.onWay, *c)
		if w.late == 0 {
			p.readings, p.onWay = append(p.readings, p.onWay...), p.onWay[:0]
		}
	}
	for len(p.readings) > 0 && w.now.Sub(p.readings[0].At) > 2*time.Minute {
		p.readings = p.readings[1:]
	}
}

// run plays for some time.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(w.tick)
		for i, p := range w.backends {
			w.live(p, i)
		}
		w.step()
	}
}

// want is what the sessions ask for.
func (w *world) want() Want {
	return Want{Roles: AnyRole, Zone: w.zone, Tags: w.asks, Spread: &w.spread}
}

// routed is a backend as the choice for a new session sees it, but for its figures.
func (p *played) routed() Backend {
	return Backend{Addr: p.name, Zone: p.zone, Tags: p.tags, Out: p.gone, Drained: p.drained, Closing: p.closing,
		Healthy: !p.down, Sessions: p.sessions}
}

// unfit is why a backend does not fit the sessions; "" if it does.
func (w *world) unfit(p *played) string {
	b := p.routed()
	return Fits(&b, w.want())
}

// list are the backends as the choice for a new session sees them.
func (w *world) list() (list []Backend) {
	verdicts := w.balancer.Verdicts()
	i := 0
	for _, p := range w.backends {
		b := p.routed()
		if !p.gone && i < len(verdicts) {
			if w.spread.Policy.UsesFigures() {
				b.Load = verdicts[i].Load
			}
			i++
		}
		list = append(list, b)
	}
	return list
}

// choose is the backend that takes a new session; nil if none does.
func (w *world) choose() *played {
	w.random = mix(w.random)
	c := Pick(w.list(), w.want(), w.random)
	if c.Index < 0 {
		return nil
	}
	return w.backends[c.Index]
}

// evict has the sessions of who does not fit them go where new ones would, as the program does, at once. One that is
// only to be emptied keeps those that nobody else would take.
func (w *world) evict() {
	for _, p := range w.backends {
		if p.gone || p.sessions == 0 {
			continue
		}
		why := w.unfit(p)
		for why != "" && p.sessions > 0 {
			to := w.choose()
			if to == nil {
				break
			}
			p.sessions--
			to.sessions++
			w.moved[p.name+">"+to.name+" "+why]++
		}
	}
}

// step has the balancer look once.
func (w *world) step() {
	w.evict()
	snap := &Snapshot{Groups: []Group{{Name: "g", Zone: w.zone}}}
	for _, p := range w.backends {
		if p.gone {
			continue
		}
		if w.unfit(p) == "" {
			snap.Groups[0].Members = append(snap.Groups[0].Members, len(snap.Backends))
		}
		snap.Backends = append(snap.Backends, Standing{Addr: p.name, Zone: p.zone, Tags: p.tags, Healthy: !p.down,
			Score: p.sessions, Readings: p.readings})
	}
	for _, o := range w.balancer.Step(w.now, snap, &w.spread) {
		from, to := w.at(o.From), w.at(o.To)
		n := o.Count
		switch {
		case w.carry != nil:
			n = w.carry(from, to, &o)
		case w.stuck[o.From]:
			n = 0
		default:
			from.sessions -= n
			to.sessions += n
		}
		w.balancer.Moved(w.now, &o, n)
		if n > 0 {
			w.moved[o.From+">"+o.To+" "+o.Factor.String()] += n
			w.why = append(w.why, o.Why)
		}
	}
}

// restarts has a backend begin anew: its counters, its readings and its sessions are gone.
func (p *played) restarts() {
	p.counters = Reading{}
	p.sessions, p.memory = 0, 0
}

// uneven is how many times the sessions of the emptiest backend, with one more, the fullest has.
func (w *world) uneven() float64 {
	least, most := math.MaxInt, 0
	for _, p := range w.backends {
		if !p.gone && !p.down {
			least, most = min(least, p.sessions), max(most, p.sessions)
		}
	}
	return float64(most) / float64(least+1)
}

// moves are how many sessions have moved for a reason, or all for "".
func (w *world) moves(what string) (n int) {
	for key, count := range w.moved {
		if strings.Contains(key, what) {
			n += count
		}
	}
	return n
}

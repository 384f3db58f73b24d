package router

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Standing is what a balancer is told of one backend.
type Standing struct {
	Addr    string
	Zone    string
	Tags    map[string]string
	Healthy bool
	// Score is the number of sessions at it and on their way to it, without those on their way from it.
	Score    int
	Readings []Reading // of the last two minutes, oldest first; none: it has no figures
}

// Group are backends among which some sessions may move: those that fit them.
type Group struct {
	Name    string // for people, and to know it again
	Zone    string // where the sessions go first; "" = not said
	Members []int  // in Snapshot.Backends
}

// Snapshot is what a balancer is told of a cluster at one moment.
type Snapshot struct {
	Backends []Standing
	Groups   []Group
}

// Order is a decision: sessions of a group are to move from one backend to another, oldest first.
type Order struct {
	Group    string
	From, To string // addresses
	Factor   Factor
	Count    int
	Why      string // one line
}

// Verdict is how a backend stands by the last Step.
type Verdict struct {
	Load   *Load
	Grades [Factors]int
	Heard  []Factor // the factors that count, in order; not to be changed
	Note   string   // what is about to become of its sessions, or why nothing is
}

// Balancer decides which sessions move so that all backends do alike. It remembers how fast sessions were moving, and
// who has given sessions to whom. It is no set of rules of its own: those are the factors (advice.go).
//
// A move must not be undone. So
//   - a factor that holds against a move stops all that come behind it,
//   - an order is thought to its end: if the factors would then move the sessions back, it is not given,
//   - a backend that has given sessions takes none for a while, but for a reason that lets no session stay, and the
//     other way round; for longer and longer if that goes on,
//   - at one moment, and for load alone, a group moves sessions from one backend to one other.
//
// It is for one goroutine.
type Balancer struct {
	paces  map[paceKey]*pace
	rests  map[string]*rest
	barren map[[3]string]*barren
	loads  map[string]*measured
	per    float64 // share of a backend's CPUs that a session takes

	verdicts []Verdict
	swept    time.Time
	began    time.Time
}

// startWait is how long a balancer that has just begun waits for the figures of all backends, where sessions are spread
// by those: by what is behind them in order, sessions would go where they are not to stay.
const startWait = 15 * time.Second

// measured are a backend's figures, as they were made of its readings.
type measured struct {
	load   *Load
	made   time.Time
	latest time.Time // the last reading's
	raw    Load      // without PerSession
	seen   time.Time
}

// measureEvery is how old figures may be that no reading has changed: what they were made of grows old.
const measureEvery = 5 * time.Second

// barren is a way on which no session could be moved.
type barren struct {
	until  time.Time
	lasted time.Duration
}

// A way on which no session could be moved rests, twice as long each time.
const (
	barrenMin = 3 * time.Second
	barrenMax = time.Minute
)

// NewBalancer makes a Balancer.
func NewBalancer() *Balancer {
	return &Balancer{paces: map[paceKey]*pace{}, rests: map[string]*rest{}, barren: map[[3]string]*barren{},
		loads: map[string]*measured{}}
}

// Step returns what is to be done now. Moved is to be called for each order.
func (b *Balancer) Step(now time.Time, snap *Snapshot, s *Spread) []Order {
	loads := b.measure(now, snap.Backends)
	b.verdicts = make([]Verdict, len(snap.Backends))
	for i := range b.verdicts { // also those that are in no group
		alone := side{Standing: &snap.Backends[i], load: loads[i], score: snap.Backends[i].Score}
		alone.judge(s, s.zone(""))
		b.verdicts[i] = Verdict{Load: loads[i], Heard: orders[s.Policy], Grades: alone.grades}
	}
	if now.Sub(b.swept) > time.Second {
		b.forget(now)
		b.swept = now
	}
	if b.began.IsZero() {
		b.began = now
	}
	waits := s.Policy.UsesFigures() && now.Sub(b.began) < startWait && !allKnown(loads)
	var list []Order
	shift := make([]int, len(snap.Backends)) // by the orders of this Step
	for i := range snap.Groups {
		g := &snap.Groups[i]
		zone := s.zone(g.Zone)
		sides := make([]side, len(g.Members))
		for j, m := range g.Members {
			st := &snap.Backends[m]
			sides[j] = side{Standing: st, i: m, load: loads[m], score: st.Score + shift[m]}
			sides[j].judge(s, zone)
			sides[j].takes = sides[j].grades[FactorLabel] == 0 && sides[j].grades[FactorStatus] == 0
			b.verdicts[m].Grades = sides[j].grades
		}
		list = b.group(now, g, sides, s, shift, waits, list)
	}
	return list
}

// allKnown tells whether each backend has figures.
func allKnown(loads []*Load) bool {
	return !slices.ContainsFunc(loads, func(l *Load) bool { return math.IsNaN(l.CPUNow) })
}

// Verdicts are how the backends stand by the last Step, in the order of its snapshot; not to be changed.
func (b *Balancer) Verdicts() []Verdict { return b.verdicts }

// Moved tells how many sessions an order has set in motion, before the next Step. If there was none, the way rests for
// a while, so that others have their turn.
func (b *Balancer) Moved(now time.Time, o *Order, n int) {
	key := [3]string{o.Group, o.From, o.To}
	if n > 0 {
		delete(b.barren, key)
		b.played(o.From, gives, now)
		b.played(o.To, took, now)
		return
	}
	f := b.barren[key]
	if f == nil {
		f = &barren{lasted: barrenMin / 2}
		b.barren[key] = f
	}
	f.lasted = min(2*f.lasted, barrenMax)
	f.until = now.Add(f.lasted)
}

// measure makes the figures of all backends, anew where they may have changed.
func (b *Balancer) measure(now time.Time, list []Standing) []*Load {
	raw := make([]*Load, len(list))
	for i := range list {
		st := &list[i]
		m := b.loads[st.Addr]
		if m == nil {
			m = &measured{}
			b.loads[st.Addr] = m
		}
		latest := time.Time{}
		if n := len(st.Readings); n > 0 {
			latest = st.Readings[n-1].At
		}
		if m.load == nil || !latest.Equal(m.latest) || now.Sub(m.made) >= measureEvery {
			m.raw, m.latest, m.made, m.load = measure(st.Readings, now), latest, now, nil
		}
		m.seen = now
		raw[i] = &m.raw
	}
	if u := perSession(raw, b.per); u != b.per {
		b.per = u
		for _, m := range b.loads {
			m.load = nil
		}
	}
	loads := make([]*Load, len(list))
	for i := range list {
		m := b.loads[list[i].Addr]
		if m.load == nil {
			l := m.raw
			l.PerSession = b.per
			m.load = &l
		}
		loads[i] = m.load
	}
	for addr, m := range b.loads {
		if now.Sub(m.seen) > paceKept {
			delete(b.loads, addr)
		}
	}
	return loads
}

// compareSides orders by all factors, the better first; those alike by address.
func compareSides(a, b *side, heard []Factor) int {
	for _, f := range heard {
		if d := a.grades[f] - b.grades[f]; d != 0 {
			return d
		}
	}
	switch {
	case a.Addr < b.Addr:
		return -1
	case a.Addr > b.Addr:
		return 1
	}
	return 0
}

// group decides for one group: the worst backend is relieved first, in favour of the best. With spread, nothing is
// moved for load alone.
func (b *Balancer) group(now time.Time, g *Group, sides []side, s *Spread, shift []int, spread bool, list []Order) []Order {
	heard := orders[s.Policy]
	slices.SortFunc(sides, func(x, y side) int { return compareSides(&x, &y, heard) })
	for i := len(sides) - 1; i >= 0; i-- {
		from := &sides[i]
		if from.score <= 0 {
			continue
		}
		f, speed, to := b.way(now, g, sides, from, s)
		if to == nil || spread && !f.hard() {
			continue
		}
		o, ok, futile := b.order(now, g, f, speed, from, to, s)
		if !f.hard() && !futile {
			spread = true // one such order at a time
		}
		if ok {
			shift[from.i] -= o.Count
			shift[to.i] += o.Count
			*from, *to = from.after(-o.Count, 0, s, s.zone(g.Zone)), to.after(o.Count, 0, s, s.zone(g.Zone))
			list = append(list, o)
		}
	}
	return list
}

// way finds to whom sessions of a backend would go, and for which factor; to is nil if they stay. What is heard of
// the best backend first is heard of the next ones if that one may not take them now.
func (b *Balancer) way(now time.Time, g *Group, sides []side, from *side, s *Spread) (f Factor, speed float64, to *side) {
	note := ""
	for i := range sides {
		to = &sides[i]
		if to == from {
			break // those behind it are worse
		}
		if !to.takes {
			continue
		}
		ok := false
		if f, speed, ok = walk(orders[s.Policy], from, to, s); !ok {
			break
		}
		switch bar := b.barren[[3]string{g.Name, from.Addr, to.Addr}]; {
		case bar != nil && now.Before(bar.until):
			note = fmt.Sprintf("%s: none of its sessions can go to %s at present", f, to.Addr)
			continue
		case f.hard():
		case !b.rested(from.Addr, gives, now):
			b.verdicts[from.i].Note = fmt.Sprintf("%s: it keeps its sessions for now, it has taken some a short while ago", f)
			return f, 0, nil
		case !b.rested(to.Addr, took, now):
			note = fmt.Sprintf("%s: %s takes no sessions for now, it has given some a short while ago", f, to.Addr)
			continue
		}
		return f, speed, to
	}
	if note != "" {
		b.verdicts[from.i].Note = note
	}
	return f, 0, nil
}

// order makes an order, of as many sessions as are due, and no more than would stay where they go; futile: none would.
func (b *Balancer) order(now time.Time, g *Group, f Factor, speed float64, from, to *side, s *Spread) (o Order, ok, futile bool) {
	key := paceKey{f, g.Name}
	if frozen(f) {
		key.of = from.Addr
	}
	p := b.pace(key, speed, now)
	text := f.String() + ": " + why(f, from, to, s)
	b.verdicts[from.i].Note = text
	n := min(p.due(now), from.score)
	if n <= 0 {
		return o, false, false
	}
	if !f.hard() {
		zone := s.zone(g.Zone)
		for n > 1 && comesBack(n, f, from, to, s, zone) {
			n /= 2
		}
		if comesBack(n, f, from, to, s, zone) {
			b.verdicts[from.i].Note = text + "; but a session that moves would be moved back"
			return o, false, true
		}
	}
	p.spent(n)
	return Order{Group: g.Name, From: from.Addr, To: to.Addr, Factor: f, Count: n,
		Why: fmt.Sprintf("%s: %d now, %.3g per second", text, n, p.speed)}, true, false
}

// comesBack tells whether sessions that have moved for a factor would be moved back, for that one or one that goes
// before it.
func comesBack(n int, f Factor, from, to *side, s *Spread, zone string) bool {
	share := 0.0
	if from.load.Memory > 0 && from.score > 0 {
		share = from.load.Memory / float64(from.score)
	}
	heard := orders[s.Policy]
	heard = heard[:slices.Index(heard, f)+1]
	there, here := to.after(n, share, s, zone), from.after(-n, share, s, zone)
	_, _, back := walk(heard, &there, &here, s)
	return back
}

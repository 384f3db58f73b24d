package router

import "time"

// paceKept is how long it is remembered how fast sessions leave a backend that is not seen, or for a reason that does
// not hold at the moment.
const paceKept = time.Minute

// burst is the time whose sessions may move at one moment.
const burst = time.Second

// paceKey is what has a speed of its own: a backend that is left as a whole, or a group of backends among which
// sessions are spread.
type paceKey struct {
	factor Factor
	of     string
}

// pace is how fast sessions move for one reason.
type pace struct {
	speed  float64 // sessions per second; of factors whose speed is that of the begin, the begin's
	credit float64 // sessions that may move now
	at     time.Time
}

// due returns how many sessions may move at a moment. The first may at once.
func (p *pace) due(now time.Time) int {
	if p.at.IsZero() {
		p.credit = 1
	} else {
		p.credit += p.speed * max(now.Sub(p.at).Seconds(), 0)
	}
	p.credit = min(p.credit, p.speed*burst.Seconds()+1)
	p.at = now
	return int(p.credit + 1e-9)
}

// spent takes note of sessions that were ordered to move.
func (p *pace) spent(n int) { p.credit -= float64(n) }

// pace returns the pace for a key. Sessions that leave a backend as a whole do so at the speed of the begin: when
// few are left they would never be gone. Out of memory may come nearer meanwhile: then it grows.
func (b *Balancer) pace(key paceKey, speed float64, now time.Time) *pace {
	p := b.paces[key]
	if p == nil {
		p = &pace{speed: speed}
		b.paces[key] = p
	}
	switch key.factor {
	case FactorStatus, FactorHealth:
	case FactorMemory:
		p.speed = max(p.speed, speed)
	default:
		p.speed = speed
	}
	return p
}

// frozen tells whether the factor's speed is by backend.
func frozen(f Factor) bool { return f == FactorStatus || f == FactorHealth || f == FactorMemory }

// forget drops what has not been of use for long.
func (b *Balancer) forget(now time.Time) {
	for key, p := range b.paces {
		if now.Sub(p.at) > paceKept {
			delete(b.paces, key)
		}
	}
	for key, r := range b.rests {
		if now.Sub(r.at) > restKept {
			delete(b.rests, key)
		}
	}
	for key, f := range b.barren {
		if now.After(f.until.Add(barrenMax)) {
			delete(b.barren, key)
		}
	}
}

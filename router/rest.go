package router

import "time"

const (
	// restMin is how long a backend that has given sessions takes none, and the other way round, but for a reason
	// that lets no session stay. It is longer than the figures take to show what a move has changed.
	restMin = time.Minute
	// restMax bounds the rest of a backend that gives and takes in turn: each time it is longer until it takes some
	// again. It gives them after restMin, or it could not be relieved.
	restMax = 15 * time.Minute
	// restKept is how long it is remembered.
	restKept = 2 * restMax
)

// part is what a backend was in the last move.
type part int8

const (
	gives part = iota + 1
	took
)

// rest is the part that a backend has played.
type rest struct {
	is    part
	at    time.Time     // of the last move
	lasts time.Duration // until it takes some again, if it gives
}

// rested tells whether a backend may play a part now.
func (b *Balancer) rested(addr string, as part, now time.Time) bool {
	r := b.rests[addr]
	if r == nil || r.is == as {
		return true
	}
	least := restMin
	if as == took {
		least = r.lasts
	}
	return now.Sub(r.at) >= least
}

// played takes note that a backend has played a part. One that has changed it soon after it might is about to go to
// and fro.
func (b *Balancer) played(addr string, as part, now time.Time) {
	r := b.rests[addr]
	switch {
	case r == nil:
		r = &rest{lasts: restMin}
		b.rests[addr] = r
	case r.is != as && now.Sub(r.at) < 2*r.lasts:
		r.lasts = min(2*r.lasts, restMax)
	case r.is != as || now.Sub(r.at) > 4*r.lasts:
		r.lasts = restMin
	}
	r.is, r.at = as, now
}

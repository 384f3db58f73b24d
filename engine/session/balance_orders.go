package session

import (
	"time"

	"sluice/engine"
	"sluice/router"
	"sluice/upstream"
)

const (
	// balanceRest is how long a session stays where it has been moved to, if load is all that speaks against that.
	balanceRest = time.Minute
	// balanceReturn is how long it does not come back to where it was moved away from.
	balanceReturn = 10 * time.Minute
	// balanceAnswer bounds how long a loop is waited for that has been told to move sessions.
	balanceAnswer = time.Second
)

// carryOut has sessions moved as an order says, and returns how many are about to. Each loop moves its share; what
// one of them has not got, others make up for.
func (b *balance) carryOut(o *router.Order, backends []*upstream.Backend, zone string) (moved int) {
	from, to := named(backends, o.From), named(backends, o.To)
	if from == nil || to == nil {
		return 0
	}
	loops := len(b.p.loops)
	for range 2 { // in the second round it is known who has some
		for i := range loops {
			left := o.Count - moved
			if left <= 0 {
				return moved
			}
			on := b.p.loops[(b.turn+i)%loops]
			moved += b.relocate(on, from, to, o.Factor, (left+loops-i-1)/(loops-i), zone)
		}
		b.turn++
	}
	return moved
}

func named(list []*upstream.Backend, addr string) *upstream.Backend {
	for _, b := range list {
		if b.Addr() == addr {
			return b
		}
	}
	return nil
}

// relocate has one loop move sessions, and waits until it knows how many.
func (b *balance) relocate(on *loopState, from, to *upstream.Backend, f router.Factor, n int, zone string) int {
	answer := make(chan int, 1)
	asked := on.loop.Run(func() {
		on.around(func() {
			answer <- on.relocate(from, to, f.String(), n, func(s *Session) bool { return s.mayBalance(to, f, zone) })
		})
	})
	if !asked {
		return 0
	}
	timer := time.NewTimer(balanceAnswer)
	defer timer.Stop()
	select {
	case started := <-answer:
		return started
	case <-timer.C: // it is busy, and will come to it
		return n
	case <-b.p.stop:
		return 0
	}
}

// mayBalance tells whether the session may be moved to a backend for a factor. For load alone, one that has just
// been moved rests, and none goes back to where it was moved away from for that.
func (s *Session) mayBalance(to *upstream.Backend, f router.Factor, zone string) bool {
	if s.want().Zone != zone {
		return false
	}
	if f == router.FactorLabel || f == router.FactorStatus || s.mob == nil || s.mob.past == nil || s.mob.past.moved == 0 {
		return true
	}
	last := s.mob.past
	ago := asDuration(engine.Nano() - last.moved)
	return ago >= balanceRest && (to != last.from || !last.order || ago >= balanceReturn)
}

package patroni

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// jitter spreads the polls of many Sluices: an interval is up to this share longer or shorter.
	jitter = 0.1
	// intervalMin keeps a poller from asking without a pause, whatever its options are.
	intervalMin = 10 * time.Millisecond
	// hurryGap is the least time between two polls that others have asked for by Hurry, and the first pause
	// while there is something to wait for.
	hurryGap = 250 * time.Millisecond
	// pauseGrowth is by how much that pause grows from poll to poll.
	pauseGrowth = 1.5
	// leaderlessPause bounds it while no leader is known, or one is about to go: clients wait for the next.
	leaderlessPause = 500 * time.Millisecond
)

// rest waits until the next poll is due.
func (p *Poller) rest(ctx context.Context, opt *Options) {
	due := p.began.Add(p.next(opt))
	for {
		p.mu.Lock()
		if p.hurried {
			due = earlier(due, p.began.Add(hurryGap))
		}
		if p.now || len(p.waiters) > 0 {
			due = time.Time{}
		}
		p.mu.Unlock()
		timer := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			return
		case <-p.wake:
			timer.Stop()
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// next is how long after the begin of the last poll the next one begins: an interval, but less while a leader
// is awaited, and for a while after Hurry.
func (p *Poller) next(opt *Options) time.Duration {
	interval := max(intervalMin, time.Duration(float64(opt.Interval)*(1+jitter*(2*rand.Float64()-1))))
	waits := p.awaitsLeader()
	if waits && p.pause == 0 {
		p.pause = hurryGap
	}
	if p.pause == 0 {
		return interval
	}
	pause := p.pause
	p.pause = time.Duration(float64(pause) * pauseGrowth)
	if waits {
		p.pause = min(p.pause, leaderlessPause)
	} else if p.pause >= opt.Interval {
		p.pause = 0
	}
	return min(pause, interval)
}

// awaitsLeader tells whether no leader is known, or work is held back for the next one, or what is known is
// refused for what was known before.
func (p *Poller) awaitsLeader() bool {
	if _, held := p.finds.Held(); held {
		return true
	}
	return p.inForce == nil || p.inForce.Leader == "" || p.older > 0
}

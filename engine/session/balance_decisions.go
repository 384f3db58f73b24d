package session

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"sluice/router"
	"sluice/upstream"
)

// decisionsMax is how many decisions are remembered. decisionSpan is the time in which what is decided again counts
// as the same decision.
const (
	decisionsMax = 256
	decisionSpan = 10 * time.Second
	// decisionLines is how many lines of the log there are for decisions in that time: a cluster of very many backends
	// may have more that are new.
	decisionLines = 20
)

// Decision is what a balancer has decided, for some time: sessions move from one backend to another.
type Decision struct {
	Cluster  string    `json:"cluster"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Reason   string    `json:"reason"`
	Sessions int       `json:"sessions"` // that were set in motion
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Why      string    `json:"why"` // one line; of the last time
}

// note takes note of an order by which n sessions are about to move.
func (ba *balancing) note(c *upstream.Cluster, o *router.Order, n int, now time.Time, log *zap.Logger) {
	ba.mu.Lock()
	defer ba.mu.Unlock()
	d := Decision{Cluster: c.Name(), From: o.From, To: o.To, Reason: o.Factor.String(), Sessions: n, Since: now,
		Until: now, Why: o.Why}
	for i := len(ba.made) - 1; i >= 0; i-- {
		was := &ba.made[i]
		if now.Sub(was.Until) > decisionSpan {
			break
		}
		if was.Cluster == d.Cluster && was.From == d.From && was.To == d.To && was.Reason == d.Reason {
			d.Since, d.Sessions = was.Since, was.Sessions+n
			ba.made = append(slices.Delete(ba.made, i, i+1), d)
			return
		}
	}
	if len(ba.made) >= decisionsMax {
		ba.made = slices.Delete(ba.made, 0, 1)
	}
	ba.made = append(ba.made, d)
	if now.Sub(ba.since) >= decisionSpan {
		ba.since, ba.lines = now, 0
	}
	switch ba.lines++; {
	case ba.lines < decisionLines:
		log.Info("sessions are moved", zap.String("cluster", d.Cluster), zap.String("from", d.From),
			zap.String("to", d.To), zap.String("why", d.Why))
	case ba.lines == decisionLines:
		log.Info("more sessions are moved than are logged one by one; the admin side has the last decisions")
	}
}

// Decisions are the last decisions of the balancers, the newest first.
func (p *Proxy) Decisions() []Decision {
	p.balancing.mu.Lock()
	defer p.balancing.mu.Unlock()
	list := append([]Decision{}, p.balancing.made...)
	slices.Reverse(list)
	return list
}

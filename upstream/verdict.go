package upstream

import (
	"time"

	"go.uber.org/zap"
)

// The ways in which a backend is checked. Each has a clock and an opinion of its own.
const (
	byGreeting = iota // the server greets, or says what its protocol has for it
	byStatus          // its status port says that it is well
	ways
)

// judge takes the result of one check into b's state and returns the new length of the row.
func (c *Cluster) judge(b *Backend, way int, err error, row int) int {
	b.checks.Add(1)
	opt := c.Options().Health
	is, need := Up, opt.Rise
	if err != nil {
		is, need = Down, opt.Fall
		b.failures.Add(1)
		text := err.Error()
		b.lastErr.Store(&text)
	}
	was := b.opinion(way)
	if was == is {
		return 0
	}
	row++
	if was != Unknown && row < need {
		return row
	}
	c.conclude(b, way, is, err)
	return 0
}

func (b *Backend) opinion(way int) Health {
	b.verdict.Lock()
	defer b.verdict.Unlock()
	return b.opinions[way]
}

// withdraw has one way to check b count no more.
func (c *Cluster) withdraw(b *Backend, way int) { c.conclude(b, way, Unknown, nil) }

// conclude has another opinion count. A backend is down as soon as one says so, and up when none does and one says
// that it is.
func (c *Cluster) conclude(b *Backend, way int, opinion Health, err error) {
	b.verdict.Lock()
	b.opinions[way] = opinion
	is := Unknown
	for _, o := range b.opinions {
		is = max(is, o)
	}
	was := Health(b.health.Swap(uint32(is)))
	b.verdict.Unlock()
	if was == is {
		return
	}
	b.changed.Store(time.Now().UnixNano())
	if len(c.Options().OutOfService) > 0 {
		c.changes.Add(1) // whether they are out depends on who else is up
	}
	switch {
	case is == Down:
		c.log.Warn("backend is down", zap.String("cluster", c.name), zap.String("backend", b.addr), zap.Error(err))
	case was == Down:
		c.log.Info("backend is up again", zap.String("cluster", c.name), zap.String("backend", b.addr))
	}
	if is == Down {
		c.Hurry() // it may not be in its part any more
	}
	c.tellChanged()
}

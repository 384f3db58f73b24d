package pool

// retireMax bounds how many idle entries are closed for their age at a time, and retireEach is the time,
// in nanoseconds, until the next ones: closing and opening many at once would be felt.
const (
	retireMax  = 4
	retireEach = 100_000_000
)

// retireDue is when an idle entry is to be closed; 0 = never.
func (p *Part) retireDue(e *Entry) int64 {
	due := e.expires
	if d := int64(p.pool.opt.Load().IdleTimeout); d > 0 {
		if at := e.LastUsed + e.spreadOf(d); due == 0 || at < due {
			due = at
		}
	}
	return due
}

// retire closes idle entries: all those that are outdated or too many, those that have to make room for
// another pool, and a few of those that are too old.
func (p *Part) retire(now int64) {
	o, epoch := p.pool.opt.Load(), p.pool.epoch.Load()
	if p.seen != o || p.seenEpoch != epoch || p.pool.mode.Load()&dropped != 0 || p.pool.group.over.Load() {
		p.seen, p.seenEpoch = o, epoch
		p.retireOutdated(now, o)
	}
	p.evict()
	if p.retireAt != 0 && now >= p.retireAt {
		p.retireOld(now)
	}
}

// retireOutdated looks at all idle entries after a change of what holds for them.
func (p *Part) retireOutdated(now int64, o *settings) {
	p.retireAt = 0
	for e := p.idle.first; e != nil; {
		next := e.next
		why := p.outdated(e)
		if why == "" && (p.pool.alive() > o.Size || p.pool.exceeds()) {
			why = "surplus"
		}
		if why != "" {
			p.idle.remove(e)
			p.close(e, why)
		} else if due := p.retireDue(e); due != 0 && (p.retireAt == 0 || due < p.retireAt) {
			p.retireAt = due
		}
		e = next
	}
}

// evict closes the entries that are idle longest, for another pool.
func (p *Part) evict() {
	n := p.line.evict.Load()
	if n == 0 {
		return
	}
	p.line.evict.Add(-n)
	for ; n > 0 && p.idle.n > 0; n-- {
		e := p.idle.pop()
		p.close(e, "evicted")
	}
	if p.idle.n > 0 {
		p.line.idleSince.Store(p.idle.first.LastUsed)
		return
	}
	p.line.spare.Store(false)
	if n > 0 {
		p.pool.group.retry(p.pool) // who asked has to look elsewhere
	}
}

// retireOld closes idle entries that are too old, the oldest first.
func (p *Part) retireOld(now int64) {
	closed, least := 0, p.pool.opt.Load().Min
	p.retireAt = 0
	for e := p.idle.first; e != nil; {
		next := e.next
		due := p.retireDue(e)
		switch {
		case due == 0:
		case now < due:
			p.retireBy(due)
		case closed == retireMax:
			p.retireBy(now + retireEach)
		case e.expires != 0 && now >= e.expires:
			closed++
			p.idle.remove(e)
			p.close(e, "lifetime")
		case p.pool.leave(least):
			closed++
			p.idle.remove(e)
			p.left(e, "idle")
		default: // one of those that are kept
			p.retireBy(now + int64(p.pool.opt.Load().IdleTimeout))
		}
		e = next
	}
	if p.idle.n > 0 {
		p.line.idleSince.Store(p.idle.first.LastUsed)
	}
}

// retireBy has the idle entries looked at by then.
func (p *Part) retireBy(due int64) {
	if p.retireAt == 0 || due < p.retireAt {
		p.retireAt = due
	}
}

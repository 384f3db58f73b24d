package pool

// place finds a use for an entry that is free: a waiter here, one on another loop, or none. What comes
// free from inside, because a waiter has no use for what it was granted, takes its turn after: the stack
// stays flat.
func (p *Part) place(e *Entry) {
	if p.placing {
		p.back.push(e)
		return
	}
	p.placing = true
	for e != nil {
		p.placeOne(e, p.h.Now())
		e = p.back.pop()
	}
	p.placing = false
}

func (p *Part) placeOne(e *Entry, now int64) {
	if why := p.unfit(e, now); why != "" {
		p.close(e, why)
		return
	}
	open := p.pool.mode.Load() == 0
	if open {
		if to := p.elder(now); to != nil && (p.send(e, to) || p.makeRoom(e, to)) {
			return
		}
	}
	if !open || p.queue.n == 0 {
		p.rest(e, now)
		return
	}
	if !p.fit(e) {
		p.check(e)
		return
	}
	p.grant(e)
}

// grant hands a free entry to the first waiter.
func (p *Part) grant(e *Entry) {
	w := p.queue.head
	p.queue.remove(w)
	p.publish()
	e.state = used
	e.Uses++
	p.used++
	w.Grant(e)
}

// rest leaves an entry idle, unless there are too many.
func (p *Part) rest(e *Entry, now int64) {
	if p.pool.Open() > p.pool.opt.Load().Size && p.pool.leave(p.pool.opt.Load().Size) {
		p.left(e, "surplus")
		return
	}
	e.state = idle
	p.idle.push(e)
	if due := p.retireDue(e); due != 0 && (p.retireAt == 0 || due < p.retireAt) {
		p.retireAt = due
		p.arm(now, due)
	}
	if p.line.spare.Load() {
		return
	}
	p.line.idleSince.Store(p.idle.first.LastUsed)
	p.line.spare.Store(true)
	p.pool.pokeWaiting(p)
	p.pool.group.retry(p.pool)
}

// outdated says why an entry is to be closed whatever else may be; "" = it is not.
func (p *Part) outdated(e *Entry) string {
	switch {
	case p.pool.mode.Load()&dropped != 0:
		return "dropped"
	case e.epoch != p.pool.epoch.Load():
		return "reconnect"
	}
	return ""
}

// unfit says why a free entry is to be closed; "" = it is not.
func (p *Part) unfit(e *Entry, now int64) string {
	if why := p.outdated(e); why != "" {
		return why
	}
	o := p.pool.opt.Load()
	switch {
	case e.expires != 0 && now >= e.expires:
		return "lifetime"
	case p.pool.Open() > o.Size+o.Reserve && p.pool.alive() > o.Size+o.Reserve, p.pool.exceeds():
		return "surplus"
	case p.pool.yields(now, p.queue.since()):
		return "evicted"
	}
	return ""
}

// close has a free entry closed.
func (p *Part) close(e *Entry, why string) {
	p.pool.leave(-1)
	p.left(e, why)
}

// left is close for an entry that was noted as leaving.
func (p *Part) left(e *Entry, why string) {
	e.state = leaving
	p.h.Close(e, why)
}

// check has a free entry checked.
func (p *Part) check(e *Entry) {
	e.state = checking
	p.checking++
	p.h.Check(e)
}

// Hand-over between loops.
const (
	// patience is, in nanoseconds, how long a waiter is left to its own loop: what is in use there
	// mostly comes free sooner than another loop could send something.
	patience = 200_000
	// slack is how much longer, in nanoseconds, another loop's first waiter must have waited than the
	// own one, besides a part of its wait: a quarter, and a half as long as the last connection that was
	// sent there has not yet served a whole queue. It allows for grain, for a batch of events, and for
	// chance: one connection of ten that has moved makes a difference of a fifth in the waits.
	slack    = 300_000
	slackOf  = 4
	hurrying = 2
)

// elder returns the part on another loop whose first waiter comes before those here, or nil.
func (p *Part) elder(now int64) (to *Part) {
	all := p.pool.parts()
	if len(all) == 1 {
		return nil
	}
	mine, oldest := p.queue.since(), int64(0)
	for _, q := range all {
		s := q.line.since.Load()
		if q == p || s == 0 || to != nil && s >= oldest {
			continue
		}
		coming := q.line.coming.Load()
		if mine == 0 {
			if now-s < patience || coming >= q.line.count.Load() {
				continue
			}
		} else if coming > 0 || mine-s < q.slack(now, s) {
			continue
		}
		to, oldest = q, s
	}
	return to
}

// slack is how much longer than somebody here a waiter of that part, who has come at since, must have
// waited to come first.
func (p *Part) slack(now, since int64) int64 {
	if since < p.line.arrived.Load() {
		return slack + (now-since)/hurrying
	}
	return slack + (now-since)/slackOf
}

// send takes a free entry to another loop. It returns false if it can't be moved.
func (p *Part) send(e *Entry, to *Part) bool {
	e.state, e.to = moving, to
	e.loop.Store(-1)
	to.line.coming.Add(1)
	if p.h.Move(e, to.loop) {
		return true
	}
	to.line.coming.Add(-1)
	e.state, e.to = free, nil
	e.loop.Store(int32(p.loop))
	return false
}

// makeRoom has a free entry closed that can't be moved to another loop, if nobody here waits for it and
// the other loop can't open one of its own for want of room.
func (p *Part) makeRoom(e *Entry, to *Part) bool {
	room := p.pool.Open() < p.pool.opt.Load().Size && !p.pool.refused.Load()
	if room || p.queue.n > 0 || p.pool.leaving.Load() > 0 || to.line.opening.Load() > 0 {
		return false
	}
	p.close(e, "unmovable")
	return true
}

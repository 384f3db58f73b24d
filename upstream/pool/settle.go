package pool

import "time"

// settle sees to everything that may be due here. It runs on the Part's loop when it was poked, and when
// its timer fires; what is urgent is done without it.
func (p *Part) settle() {
	p.line.poked.Store(false)
	now := p.h.Now()
	switch mode := p.pool.mode.Load(); {
	case mode&dropped != 0:
		p.failAll(ErrDropped)
	case mode&disabled != 0:
		p.failAll(p.pool.reason.Load().err)
	case p.pool.hopeless(now):
		p.failAll(p.pool.failure.Load().err)
	}
	p.expire(now)
	p.retire(now)
	if p.pool.mode.Load() == 0 {
		p.serve()
		p.give()
		if p.fired && p.need() > 0 {
			p.pool.refused.Store(false) // see capRetry
		}
		p.seek(now)
		p.ask(now)
		p.warm(now)
	}
	if p.idle.n == 0 && p.line.spare.Load() {
		p.line.spare.Store(false)
	}
	p.fired = false
	p.armFor(now)
}

// failsMax bounds how many waits end without an entry in one call.
const failsMax = 256

// failAll fails those who wait now, some in each turn of the loop; who waits again takes its turn.
func (p *Part) failAll(err error) {
	for n := min(p.queue.n, failsMax); n > 0 && p.queue.n > 0; n-- {
		p.fail(p.queue.head, err)
	}
	if p.queue.n > 0 {
		p.poke()
	}
}

func (p *Part) fail(w *Waiter, err error) {
	p.queue.remove(w)
	p.publish()
	w.Fail(err)
}

// expire ends waits that took too long.
func (p *Part) expire(now int64) {
	limit := int64(p.pool.opt.Load().WaitTimeout)
	if limit == 0 {
		return
	}
	for range failsMax {
		if p.queue.n == 0 || now-p.queue.since() < limit {
			return
		}
		p.fail(p.queue.head, ErrWait)
	}
	p.poke()
}

// serve hands idle entries to those who wait here.
func (p *Part) serve() {
	for n := p.idle.n; n > 0 && p.idle.n > 0 && p.queue.n > 0; n-- {
		e := p.next()
		if !p.fit(e) && p.need() <= 0 {
			return
		}
		p.idle.remove(e)
		e.state = free
		p.place(e)
	}
}

// give sends idle entries to those who wait on other loops.
func (p *Part) give() {
	for p.idle.n > 0 && p.queue.n == 0 {
		var to *Part
		for _, q := range p.pool.parts() {
			s := q.line.since.Load()
			if q != p && s != 0 && q.line.coming.Load() < q.line.count.Load() &&
				(to == nil || s < to.line.since.Load()) {
				to = q
			}
		}
		if to == nil {
			return
		}
		e := p.idle.last
		p.idle.remove(e)
		e.state = free
		if p.send(e, to) {
			continue
		}
		if !p.makeRoom(e, to) {
			e.state = idle
			p.idle.push(e)
		}
		return
	}
}

// need is the number of waiters for whom nothing is on its way.
func (p *Part) need() int {
	return p.queue.n - p.opening - p.checking - int(p.line.coming.Load())
}

// seek begins to open connections for those who wait.
func (p *Part) seek(now int64) {
	for p.need() > 0 {
		d := forWaiter
		if after := int64(p.pool.opt.Load().ReserveAfter); after > 0 && now-p.queue.since() >= after {
			d = forLong
		}
		if !p.connect(now, d) {
			return
		}
	}
}

// elsewhere tells whether another loop may have idle entries for those who wait here.
func (p *Part) elsewhere() bool {
	if p.queue.n <= int(p.line.coming.Load()) {
		return false
	}
	for _, q := range p.pool.parts() {
		if q != p && q.line.spare.Load() {
			return true
		}
	}
	return false
}

// ask has other loops send what is idle there, when those who wait here have been patient, or nothing
// happens on this loop that could serve them. Otherwise it is thought of again in the next turn.
func (p *Part) ask(now int64) {
	if !p.elsewhere() {
		return
	}
	if now-p.queue.since() < patience && p.ops != p.opsAsked {
		p.opsAsked = p.ops
		p.poke()
		return
	}
	p.tell(p.queue.since(), p.queue.n)
	for _, q := range p.pool.parts() {
		if q != p && q.line.spare.Load() {
			q.poke()
		}
	}
}

// warm opens connections ahead, up to this part's share of Min.
func (p *Part) warm(now int64) {
	o := p.pool.opt.Load()
	share := 0
	for i, loop := range o.loops {
		if loop == p.loop {
			share = (o.Min + len(o.loops) - 1 - i) / len(o.loops)
		}
	}
	for p.idle.n+p.used+p.opening+p.checking < share && p.connect(now, forMin) {
	}
}

// armFor sets the timer for whatever is due next.
func (p *Part) armFor(now int64) {
	o := p.pool.opt.Load()
	if since := p.queue.since(); since != 0 {
		if o.WaitTimeout > 0 {
			p.arm(now, since+int64(o.WaitTimeout))
		}
		if due := since + int64(o.ReserveAfter); o.ReserveAfter > 0 && o.Reserve > 0 && due > now {
			p.arm(now, due)
		}
	}
	if retry := p.pool.retryAt.Load(); retry > now && (p.queue.n > 0 || p.pool.alive() < o.Min) {
		p.arm(now, retry)
	}
	if p.queue.n > 0 && p.pool.refused.Load() {
		p.arm(now, now+capRetry)
	}
	if p.retireAt != 0 {
		p.arm(now, p.retireAt)
	}
}

// capRetry is the time, in nanoseconds, after which a pool that a cap has refused a connection tries again
// by itself. It is told when there is room; but room may also be kept for another pool that turns out not
// to need it.
const capRetry = 100_000_000

// arm has settle called at a time, if it would not be before.
func (p *Part) arm(now, due int64) {
	if p.timerAt != 0 && p.timerAt <= due {
		return
	}
	if p.timerAt != 0 {
		p.stop()
	}
	p.timerAt = due
	p.stop = p.h.After(time.Duration(max(due-now, 1)), p.timerFn)
}

func (p *Part) timerFired() {
	p.timerAt = 0
	p.fired = true
	p.settle()
}

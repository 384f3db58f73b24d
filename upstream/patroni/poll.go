package patroni

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// An older timeline is believed when so many polls in a row, over so many intervals, have spoken of nothing
// else.
const (
	olderPolls     = 3
	olderIntervals = 2
	olderMost      = 10 * time.Second // but no longer than this
)

// run polls until ctx ends.
func (p *Poller) run(ctx context.Context) {
	defer close(p.done)
	var opt *Options
	var c *client
	var h hosts
	for ctx.Err() == nil {
		pollCtx, now, waiters := p.begin(ctx)
		if now != opt {
			last := h.last
			c, h = newClient(now), newHosts(now.Hosts)
			p.change(opt, now, &h, last)
			opt = now
		}
		p.poll(pollCtx, opt, c, &h)
		p.end(pollCtx.Err() != nil, waiters)
		p.rest(ctx, opt)
	}
}

// begin takes what the next poll is for.
func (p *Poller) begin(ctx context.Context) (context.Context, *Options, []chan struct{}) {
	_, held := p.finds.Held()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut != nil {
		p.cut()
	}
	ctx, p.cut = context.WithCancel(ctx)
	waiters := p.waiters
	p.doubt = held || p.hurried
	if p.hurried {
		p.pause = hurryGap
	}
	p.waiters, p.now, p.hurried = nil, false, false
	p.began = time.Now()
	return ctx, p.opt, waiters
}

// end answers those who wait for the poll. If it was cut short, they wait for the next one.
func (p *Poller) end(cut bool, waiters []chan struct{}) {
	if cut {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiters = append(p.waiters, waiters...)
		return
	}
	for _, w := range waiters {
		close(w)
	}
}

// change takes other options into what is known. Where hosts have stayed, so has the cluster.
func (p *Poller) change(was, now *Options, h *hosts, last string) {
	if was == nil || p.inForce == nil {
		return
	}
	before := newHosts(was.Hosts)
	if !slices.ContainsFunc(h.configured, before.knows) {
		p.inForce, p.older, p.places = nil, 0, positions{}
		return
	}
	h.last = last
	if now.Learn {
		h.learn(p.inForce)
	}
	p.tell(p.inForce, now)
}

// poll makes one poll and tells what it has found.
func (p *Poller) poll(ctx context.Context, opt *Options, c *client, h *hosts) {
	q := &question{client: c, hosts: h, inForce: p.inForce, doubt: p.doubt, hedge: opt.Hedge}
	best, err := q.ask(ctx)
	if ctx.Err() != nil {
		return // it was cut short: its result says nothing
	}
	if err == nil {
		err = p.believe(best.view, opt)
	}
	p.note(best, err, opt)
	if err != nil {
		return
	}
	v := best.view
	h.last = best.host
	if opt.Learn {
		h.learn(v)
	}
	changed := p.inForce == nil || p.inForce.Leader != v.Leader
	p.inForce, p.strange = v, best.odd
	wanted := opt.Times && v.Leader != "" // without a leader there is nothing to be behind of
	if !wanted || changed {               // a new leader is told at once: lags can wait
		p.tell(v, opt)
	}
	if !wanted {
		return
	}
	p.places.ask(ctx, c, h, v)
	if ctx.Err() == nil {
		p.tell(v, opt)
	}
}

// tell has a view in force.
func (p *Poller) tell(v *View, opt *Options) {
	if opt.Times {
		v = p.places.measured(v, time.Now())
	}
	list, odd := specs(v, opt)
	p.warn(append(odd, p.strange...), opt)
	p.finds.Found(list)
	p.turn.polled(v)
}

// believe refuses a view of an older timeline than that in force: whoever tells it does not know yet of the
// leader that we know. Only if nobody tells anything else for a while, the cluster must have been made anew.
func (p *Poller) believe(v *View, opt *Options) error {
	if !older(v, p.inForce) {
		p.older = 0
		p.bar(v)
		return nil
	}
	if p.older == 0 {
		p.since = time.Now()
	}
	p.older++
	if p.older < olderPolls || time.Since(p.since) < min(olderMost, olderIntervals*opt.Interval) {
		return fmt.Errorf("%s: it tells of timeline %d, but %d is known of", v.From, v.Timeline, p.inForce.Timeline)
	}
	p.older = 0
	opt.logger().Warn("patroni has gone back to an older timeline: the cluster was made anew, it seems",
		zap.String("host", v.From), zap.Uint64("timeline", v.Timeline), zap.Uint64("before", p.inForce.Timeline))
	p.places = positions{}
	return nil
}

// bar is what later views are measured by: a leader's own word. A timeline that others tell of while the leader
// tells none may be one that somebody has gone astray on, and that no leader will ever be on.
func (p *Poller) bar(v *View) {
	switch {
	case !v.guessed:
	case p.inForce != nil:
		v.Timeline = p.inForce.Timeline
	default:
		v.Timeline = 0
	}
}

// note keeps how a poll went, and says so in the log where that has changed.
func (p *Poller) note(best *told, err error, opt *Options) {
	p.mu.Lock()
	was := p.status
	p.status.Polls++
	p.status.Stale = err != nil
	if err != nil {
		p.status.Failures++
		p.status.LastError = err.Error()
	} else {
		p.status.At, p.status.From = best.view.At, best.host
	}
	p.mu.Unlock()
	switch {
	case err != nil && !was.Stale:
		opt.logger().Warn("patroni can't be asked: what is known stays in force", zap.Error(err))
	case err == nil && was.Stale:
		opt.logger().Info("patroni answers again", zap.String("host", best.host))
	}
}

// warn says what is odd about members, once for each until it changes.
func (p *Poller) warn(odd []oddity, opt *Options) {
	now := make(map[string]string, len(odd))
	for _, o := range odd {
		if now[o.member] != "" {
			now[o.member] += "; "
		}
		now[o.member] += o.reason
	}
	for member, reason := range now {
		if p.warned[member] != reason {
			opt.logger().Warn("patroni tells something odd about a member",
				zap.String("member", clip(member)), zap.String("reason", reason))
		}
	}
	p.warned = now
}

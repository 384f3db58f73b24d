package patroni

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// atOnce is how many hosts are asked at the same time where an answer is in doubt.
const atOnce = 4

// told is one host's answer.
type told struct {
	host string
	turn int // in which it was asked
	view *View
	odd  []oddity
	own  bool // the leader itself says that it leads
	err  error
}

// question is one poll: several hosts are asked for one answer. It belongs to the goroutine that asks.
type question struct {
	client  *client
	hosts   *hosts
	inForce *View // what is known; nil = nothing
	doubt   bool  // something speaks for a change: that nothing has changed needs a second word too
	hedge   time.Duration

	ctx     context.Context
	left    []string // hosts not asked yet
	answers chan told
	turns   int                  // hosts asked
	since   map[string]time.Time // when those were asked that have not answered
	open    int                  // of them, those that still owe an answer
	best    *told
	errs    []string
}

// ask asks one host after the other, the next one when one takes longer than hedge or fails, and returns the
// first answer that is beyond doubt. If only a doubtful one can be had, it is the freshest of those that
// come within hedge after the first; but all are waited for while none is known that is not too old. What
// comes later than the return is dropped.
func (q *question) ask(ctx context.Context) (*told, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of those that are not waited for any more
	q.ctx, q.left = ctx, q.hosts.order(q.inForce)
	q.answers = make(chan told, len(q.left)) // nobody has to be there to take them
	q.since = make(map[string]time.Time, len(q.left))
	defer q.noteSilent()
	next := time.NewTimer(q.hedge)
	defer next.Stop()
	var settle <-chan time.Time
	q.askNext()
	for q.doubt && q.turns < min(atOnce, cap(q.answers)) {
		q.askNext()
	}
	for q.open > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-settle:
			return q.best, nil
		case <-next.C:
			q.askNext()
			next.Reset(q.hedge)
		case a := <-q.answers:
			q.open--
			if q.take(&a) {
				return q.best, nil
			}
			if q.best != nil && settle == nil && !older(q.best.view, q.inForce) {
				timer := time.NewTimer(q.hedge)
				defer timer.Stop()
				settle = timer.C
			}
			q.askNext()
			next.Reset(q.hedge)
		}
	}
	if q.best == nil && len(q.errs) == 0 {
		return nil, errors.New("there is no host to ask")
	}
	if q.best == nil {
		return nil, errors.New(strings.Join(q.errs, "; "))
	}
	return q.best, nil
}

// askNext asks the next host, if there is one.
func (q *question) askNext() {
	if len(q.left) == 0 {
		return
	}
	host, turn := q.left[0], q.turns
	q.left = q.left[1:]
	q.turns++
	q.open++
	q.since[host] = time.Now()
	go func() { q.answers <- q.client.cluster(q.ctx, host, turn) }()
}

// noteSilent has those that were given up asked later the next time.
func (q *question) noteSilent() {
	for host, at := range q.since {
		if time.Since(at) >= q.hedge {
			q.hosts.silent[host] = time.Now()
		}
	}
}

// cluster asks one host for its view.
func (c *client) cluster(ctx context.Context, host string, turn int) told {
	a := told{host: host, turn: turn}
	body, err := c.get(ctx, host+"/cluster")
	if err == nil {
		a.view, a.odd, err = parse(body)
	}
	if err == nil && len(a.view.Members) == 0 {
		err = errors.New("it knows of no member that can be used")
		if len(a.odd) > 0 { // the first shows what it is about
			err = fmt.Errorf("%w; %s: %s", err, clip(a.odd[0].member), a.odd[0].reason)
		}
	}
	if err != nil {
		a.err = fmt.Errorf("%s: %w", host, err)
		return a
	}
	a.view.From, a.view.At = host, time.Now()
	return a
}

// take compares an answer with the best so far. It returns true if there is no doubt left.
func (q *question) take(a *told) (sure bool) {
	delete(q.since, a.host)
	if a.err != nil {
		q.hosts.silent[a.host] = time.Now()
		q.errs = append(q.errs, a.err.Error())
		return false
	}
	delete(q.hosts.silent, a.host)
	leader, known := q.hosts.leaderOf(a.view)
	a.own = known && leader == a.host
	if q.best == nil || a.fresher(q.best, q.inForce) {
		q.best = a
	}
	if q.sure(q.best) {
		return true
	}
	if known {
		q.first(leader)
	}
	return false
}

// sure tells whether an answer needs no other beside it: nothing has changed, and nothing speaks for it; or the
// leader says itself that it leads, where none did before or on a new timeline. An old leader says so too for
// a while. Neither if the timeline goes back.
func (q *question) sure(a *told) bool {
	switch {
	case older(a.view, q.inForce):
		return false
	case q.inForce == nil || q.inForce.Leader == "":
		return a.own
	case a.view.Leader == q.inForce.Leader:
		return !q.doubt
	}
	return a.own && a.view.Timeline > q.inForce.Timeline
}

// first has a host asked next that was not asked yet. It is the leader that one has just named: nobody knows
// better.
func (q *question) first(host string) {
	for i, h := range q.left {
		if h == host {
			copy(q.left[1:i+1], q.left[:i])
			q.left[0] = host
			return
		}
	}
}

// older tells whether v speaks of a timeline before that of w. A timeline that is not told is not.
func older(v, w *View) bool {
	return w != nil && v.Timeline != 0 && v.Timeline < w.Timeline
}

// fresher tells whether a is to be believed rather than b: of the higher timeline, of the leader itself,
// with a leader, asked for later. Of two that both say that they lead it is the one in force, until the new
// one has its timeline.
func (a *told) fresher(b *told, inForce *View) bool {
	switch {
	case a.view.Timeline != b.view.Timeline:
		return a.view.Timeline > b.view.Timeline
	case a.own != b.own:
		return a.own
	case a.own && inForce != nil && a.view.Leader != b.view.Leader &&
		(a.view.Leader == inForce.Leader || b.view.Leader == inForce.Leader):
		return a.view.Leader == inForce.Leader
	case (a.view.Leader == "") != (b.view.Leader == ""):
		return a.view.Leader != ""
	}
	return a.turn > b.turn
}

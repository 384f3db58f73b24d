package patroni

import (
	"sync"
	"time"

	"sluice/upstream"
)

// What is known of the time that a switchover takes.
const (
	// holdMax is how long work is held back at most. The leader looks for a request at the latest after
	// loop_wait (10 s unless configured) and then needs some seconds to stop.
	holdMax = 30 * time.Second
	// holdLead is how long before its time a scheduled switchover counts: clocks differ a little, and work
	// under way ends better before than during it.
	holdLead = 200 * time.Millisecond
	// overdue is how late a scheduled switchover may be and still happen: Patroni drops one whose time is
	// past by more than one and a half loop_wait.
	overdue = 15 * time.Second
)

// due says whether s takes the lead from leader, and how long from now work is to be held back for it.
func (s *Switchover) due(leader string, now time.Time) (in time.Duration, ok bool) {
	if s == nil || leader == "" || s.To == leader || (s.From != "" && s.From != leader) {
		return 0, false // Patroni drops such a request
	}
	if s.At.IsZero() {
		return 0, true
	}
	if now.Sub(s.At) > overdue {
		return 0, false
	}
	return max(0, s.At.Add(-holdLead).Sub(now)), true
}

func (s *Switchover) same(o *Switchover) bool {
	return s.From == o.From && s.To == o.To && s.At.Equal(o.At)
}

// turn has new work held back while the lead is about to change. It hears of a request by the polls, which
// tell of scheduled ones only, and from etcd, which tells of all and first.
type turn struct {
	finds upstream.Finds

	mu     sync.Mutex
	view   said  // what the last poll has said
	paused bool  // of it: nothing that is scheduled happens
	etcd   *said // what etcd says; nil = it is not heard
	timer  *time.Timer
	closed bool

	held  string    // the leader whose work is held back; "" = none is
	until time.Time // the hold is over then by itself
	last  said      // what was held back for last: not again for the same
	heard bool      // etcd has told of it
}

// said is what one source says: who leads, and what is asked for (nil = nothing).
type said struct {
	leader string
	asked  *Switchover
}

func newTurn(finds upstream.Finds) *turn { return &turn{finds: finds} }

// polled tells what a poll has found, after finds knows it.
func (t *turn) polled(v *View) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.view, t.paused = said{v.Leader, v.Switchover}, v.Paused
	t.consider()
}

// told tells what etcd says.
func (t *turn) told(s said) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.etcd = &s
	t.consider()
}

// deaf tells that etcd is not heard any more. A hold that it has asked for goes on: it is bounded, and
// nothing is known that would end it.
func (t *turn) deaf() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.etcd = nil
	t.consider()
}

// close ends it: finds is told nothing more.
func (t *turn) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// consider begins a hold, ends it, or sets the time for it. mu is held, so that what finds is told comes
// in order.
func (t *turn) consider() {
	if t.closed {
		return
	}
	now := time.Now()
	source := t.view
	if t.etcd != nil {
		source = *t.etcd
	}
	t.settle(source, now)
	if t.held != "" {
		return
	}
	if source.asked == nil {
		t.last = said{}
	}
	// The sources must agree. What etcd tells behind an interruption may be long done, and when the poll is
	// the one behind, the hold would be of a former leader.
	in, ok := source.asked.due(source.leader, now)
	if !ok || source.leader != t.view.leader || t.last.leader == source.leader && t.last.asked.same(source.asked) {
		return
	}
	if t.paused && !source.asked.At.IsZero() {
		return
	}
	if in > 0 {
		t.wake(in)
		return
	}
	t.held, t.until, t.last, t.heard = source.leader, now.Add(holdMax), source, t.etcd != nil
	why := "switchover from " + source.leader
	if to := source.asked.To; to != "" {
		why += " to " + clip(to)
	}
	t.finds.Hold(why, holdMax)
}

// settle forgets a hold that has ended by itself, and ends one whose request has gone while the leader has
// stayed. With another leader, finds ends it.
func (t *turn) settle(source said, now time.Time) {
	switch {
	case t.held == "":
	case !now.Before(t.until), t.view.leader != "" && t.view.leader != t.held:
		t.held = ""
	case source.asked == nil && source.leader == t.held && t.heard == (t.etcd != nil):
		t.held = ""
		t.finds.EndHold()
	}
}

// wake has consider look again.
func (t *turn) wake(in time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(in, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.consider()
	})
}

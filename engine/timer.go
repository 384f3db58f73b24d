package engine

import "time"

// tick is the step of the loops' timers: deadlines are met up to two steps late. Chosen: time-outs of
// sessions are seconds, and a step costs a wake-up of an idle loop.
const tick = 50 * time.Millisecond

// slots is the number of lists in the wheel; one revolution is slots × tick = 25.6 s. A longer timer
// is met once per revolution on its way.
const slots = 512

// Timer calls a function on its loop once, after a while. The zero value with Fn set is ready; it may
// be armed again any number of times. Only on its loop.
type Timer struct {
	Fn         func()
	due        int64 // in ticks
	next, prev *Timer
}

// wheel is a loop's timers: arming and stopping are a few writes, whatever their number. The runtime's
// own timers would need a lock and a hop to the loop for each.
type wheel struct {
	lists [slots]Timer // heads
	due   Timer        // head of those that fire in this turn
	at    int64        // the tick that was handled last
	armed int
	clock *time.Timer
	ticks bool // clock is running
}

// init takes the function that has advance run on the loop.
func (w *wheel) init(run func(advance func())) {
	for i := range w.lists {
		h := &w.lists[i]
		h.next, h.prev = h, h
	}
	advance := func() { w.advance(Nano()) }
	w.clock = time.AfterFunc(time.Hour, func() { run(advance) })
	w.clock.Stop()
}

// Arm sets t to fire after d, in place of what it was set to before. It never fires early.
func (l *Loop) Arm(t *Timer, d time.Duration) { l.wheel.arm(t, Nano(), d) }

// timerMax is the longest time that a timer can be armed for; it keeps sums from overflowing.
const timerMax = 100 * 365 * 24 * time.Hour

// arm sets t to fire d after now, which is in nanoseconds.
func (w *wheel) arm(t *Timer, now int64, d time.Duration) {
	w.remove(t)
	if w.armed == 0 {
		w.at = now / int64(tick) // nothing was due in the time that was not watched
	}
	t.due = (now+int64(min(max(d, 0), timerMax)))/int64(tick) + 1
	w.insert(t)
	if !w.ticks {
		w.ticks = true
		w.clock.Reset(tick)
	}
}

// Disarm stops t if it is armed.
func (l *Loop) Disarm(t *Timer) { l.wheel.remove(t) }

// insert puts t in the list of its slot.
func (w *wheel) insert(t *Timer) {
	h := &w.lists[t.due&(slots-1)]
	t.prev, t.next = h.prev, h
	t.prev.next, h.prev = t, t
	w.armed++
}

// remove takes t out of its list, if it is in one.
func (w *wheel) remove(t *Timer) {
	if t.next == nil {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	w.armed--
}

// advance fires what is due at nano. It runs on the loop once per tick while a timer is armed.
func (w *wheel) advance(nano int64) {
	now := nano / int64(tick)
	if now-w.at > slots {
		w.at = now - slots // every list once is enough
	}
	for w.at < now {
		w.at++
		w.fire(&w.lists[w.at&(slots-1)], now)
	}
	w.ticks = w.armed > 0
	if w.ticks {
		w.clock.Reset(tick)
	}
}

// fire calls the timers of one list that are due. A function may arm or disarm any timer, so the due
// ones are moved to a list of their own first.
func (w *wheel) fire(h *Timer, now int64) {
	due := &w.due
	due.next, due.prev = due, due
	for t := h.next; t != h; {
		next := t.next
		if t.due <= now {
			t.prev.next, t.next.prev = t.next, t.prev
			t.prev, t.next = due.prev, due
			t.prev.next, due.prev = t, t
		}
		t = next
	}
	for due.next != due {
		t := due.next
		w.remove(t)
		t.Fn()
	}
}

package engine

import "sync"

// tasks is a loop's queue of functions to call: in order, and unbounded, for who submits them can't
// wait. Its users bound themselves: each has one task under way, or one per connection.
type tasks struct {
	sync.Mutex
	queue   []func()
	spare   []func() // the slice that ran last, to be filled next
	queued  bool     // the bell was rung and the queue has not run since
	stopped bool
}

// Run has f called on the loop, after everything that was given to Run before. It may be called from
// anywhere and never blocks; on the loop itself too, f then runs in a later turn. After Stop f is
// dropped and the result is false.
func (l *Loop) Run(f func()) bool {
	t := &l.tasks
	t.Lock()
	defer t.Unlock()
	if t.stopped {
		return false
	}
	t.queue = append(t.queue, f)
	if !t.queued {
		t.queued = l.ring()
	}
	return true
}

// runTasks runs what is queued now; what these tasks queue in turn waits for the next turn, so that
// tasks can't keep the loop from its sockets.
func (l *Loop) runTasks() {
	t := &l.tasks
	t.Lock()
	run := t.queue
	t.queue = t.spare[:0]
	t.spare = nil
	t.Unlock()

	for i, f := range run {
		f()
		run[i] = nil
	}

	t.Lock()
	t.spare = run[:0]
	t.queued = len(t.queue) > 0 && !t.stopped && l.ring()
	t.Unlock()
}

// stop refuses further tasks, enrolments and dials, and waits for the enrolments that are under way:
// gnet would forget them along with their descriptors.
func (l *Loop) stop() {
	l.tasks.Lock()
	l.tasks.stopped = true
	l.tasks.queue = nil
	l.turns.due.Add(1) // gnet will be told to stop
	l.ring()
	l.tasks.Unlock()
	l.cancel()
	l.scan.Stop()
	l.awaitEnrolments()
}

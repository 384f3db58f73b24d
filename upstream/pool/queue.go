package pool

// queue is who waits, in order of arrival.
type queue struct {
	head, tail *Waiter
	n          int
}

func (q *queue) push(w *Waiter) {
	w.prev, w.next = q.tail, nil
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.n++
}

func (q *queue) remove(w *Waiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.part = nil, nil, nil
	q.n--
}

// since is when the first of them arrived; 0 if nobody waits.
func (q *queue) since() int64 {
	if q.head == nil {
		return 0
	}
	return q.head.since
}

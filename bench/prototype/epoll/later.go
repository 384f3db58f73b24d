package main

// write is one that comes at the end of the turn: bytes of the loop's buffer, which for an end that has
// several lie one behind another only if nothing was read in between.
type write struct {
	to *end
	b  []byte
}

// later notes a write. The bytes lie at the end of what is filled.
func (l *loop) later(to *end, b []byte) {
	start := l.filled
	l.filled += len(b)
	to.waiting += len(b)
	if last := len(l.waiting) - 1; last >= 0 && l.waiting[last].to == to {
		l.waiting[last].b = l.buffer[start-len(l.waiting[last].b) : l.filled]
		return
	}
	l.waiting = append(l.waiting, write{to, b})
}

// writeWaiting does the writes of this turn. An end gets at most a chunk in all, so what it can not
// take is bounded.
func (l *loop) writeWaiting() {
	for i := range l.waiting {
		w := &l.waiting[i]
		to := w.to
		to.waiting -= len(w.b)
		switch {
		case to.holds():
			to.add(w.b)
		default:
			l.send(to, w.b)
		}
		l.passEnd(to)
		w.to, w.b = nil, nil
	}
	l.waiting, l.filled = l.waiting[:0], 0
}

// add keeps more of what the end could not take. With what it holds that is a chunk at most.
func (e *end) add(more []byte) {
	if len(e.held)-e.to < len(more) {
		e.to = copy(e.held, e.held[e.from:e.to])
		e.from = 0
	}
	e.to += copy(e.held[e.to:], more)
}

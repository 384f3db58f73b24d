package postgres

// held is a statement that is prepared on a host, or will be as soon as the server has read what was
// sent to it.
type held struct {
	st    *stmt
	batch uint64 // in which its Parse was sent; see host.settled
	stale bool   // has to be made anew before its next use

	older, newer *held // by use
}

// hold returns what the host holds of a statement and makes it the newest; nil if there is nothing.
func (h *host) hold(st *stmt) *held {
	d := h.stmts[st]
	if d != nil && h.uses.older != d {
		d.older.newer, d.newer.older = d.newer, d.older
		h.putNewest(d)
	}
	return d
}

// lacks tells whether a statement has to be prepared before it is used.
func (h *host) lacks(st *stmt) bool {
	d := h.stmts[st]
	return d == nil || d.stale
}

// sureOf tells whether it is certain that a statement is held, or is not.
func (h *host) sureOf(d *held) (batch uint64, sure bool) {
	batch = h.evicted
	if d != nil {
		batch = d.batch
	}
	return batch, h.sure(batch)
}

// keep notes that a statement is being prepared, by the present batch.
func (h *host) keep(st *stmt) *held {
	d := h.stmts[st]
	if d == nil {
		d = &held{st: st}
		h.stmts[st] = d
		h.putNewest(d)
	}
	d.batch, d.stale = h.sent, false
	return d
}

// lose forgets a statement.
func (h *host) lose(st *stmt) {
	if d := h.stmts[st]; d != nil {
		d.older.newer, d.newer.older = d.newer, d.older
		delete(h.stmts, st)
	}
}

// putNewest links d in as the statement that was used last.
func (h *host) putNewest(d *held) {
	d.older, d.newer = h.uses.older, &h.uses
	d.older.newer, d.newer.older = d, d
}

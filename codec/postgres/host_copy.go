package postgres

// While the server reads COPY data it ignores Sync, for the good of clients that send it with the
// Execute and again behind CopyDone (copy.go tells it at length). If the COPY succeeds, it has read
// CopyDone, and ignored every Sync in front of it. If it fails, its answers do not say whether it did so
// before it came to those Syncs or behind them. They are in doubt then:
//
//   - a ReadyForQuery that comes before the client has sent a Sync behind the end of its data answers
//     the first of them: there is no other;
//   - one that comes later answers the Sync behind. For each of those in front another ReadyForQuery
//     may be on its way. It would come before any other answer, so the first message of the next one
//     ends the doubt. If the client asks for nothing, Sluice asks, by an empty Query.

// copyDone takes a CommandComplete: if it ends a COPY from the client, the Syncs in front of CopyDone
// have been ignored.
func (h *host) copyDone() {
	was := h.copying
	h.copying = copyNone
	if was != copyIn {
		return
	}
	at, syncs := h.copyEnd()
	if at == h.owed.Len() || h.owed.At(at).Code != oweCopyEnd {
		return
	}
	h.owed.Remove(at)
	h.ignored(syncs)
}

// copyEnd returns the place of the first message behind that at the front that is no Sync, and the
// number of Syncs before it.
func (h *host) copyEnd() (at, syncs int) {
	for at = 1; at < h.owed.Len() && h.owed.At(at).Code == oweSync; at++ {
		syncs++
	}
	return at, syncs
}

// ignored takes n Syncs out that stand behind the front.
func (h *host) ignored(n int) {
	for ; n > 0; n-- {
		h.owed.Remove(1)
		h.done++
		if g := h.guest; g != nil && g.watch != nil && !h.gone {
			g.watch.OnDone(kindExtended, false)
		}
	}
}

// copyFailed takes the failure of a statement that may be a COPY from the client. It returns true if
// there is doubt, so that the debts stay until a ReadyForQuery tells more.
func (h *host) copyFailed() bool {
	was := h.copying
	h.copying = copyNone
	if was != copyIn {
		return false
	}
	_, syncs := h.copyEnd()
	if syncs == 0 {
		return false
	}
	h.copying = copyFailed
	h.doubt = syncs
	return true
}

// isStray tells whether a ReadyForQuery can only be the answer to a Sync that was in doubt.
func (h *host) isStray() bool {
	return h.doubt > 0 && h.copying != copyFailed && (h.owed.Len() == 0 || h.owed.Front().Code != oweSync)
}

// copyAnswered takes the ReadyForQuery behind a COPY that has failed with Syncs in doubt: what it
// answers is at the front then.
func (h *host) copyAnswered() {
	h.copying = copyNone
	at, syncs := h.copyEnd()
	if h.owed.Front().Code == oweQuery {
		h.doubt = syncs
		h.ignored(syncs)
		return
	}
	last := at
	for last < h.owed.Len() && h.owed.At(last).Code != oweSync {
		last++
	}
	if last == h.owed.Len() {
		// There is no Sync behind: this answers the first in front.
		h.doubt = 0
		h.popFailed(1)
		return
	}
	h.ignored(syncs)
	h.doubt = syncs
	h.popFailed(last - syncs)
}

// popFailed takes off the n oldest debts, whose COPY has failed.
func (h *host) popFailed(n int) {
	for i := n - 1; i >= 0; i-- {
		h.undo(i, n, h.done, i == 0)
	}
	for ; n > 0; n-- {
		h.owed.Pop()
	}
}

package postgres

import (
	"slices"

	"sluice/codec"
)

// A server may go in the middle of a client's work: it is shut down, it crashes, the network breaks. On a
// connection of its own the client would lose its session as well. Here it only loses what cannot be
// had elsewhere: the transaction. It is told an error in the place of each answer that it is owed, as a
// server that lives on would tell it, so that the protocol stays in step:
//
//   - 40001 if the transaction is certainly rolled back: a block was open, and nothing under way may have
//     ended it;
//   - 40003 if something was under way that may have been committed.
//
// Behind the loss of a block the client is in a failed transaction, though it has no host: see
// guest_lost.go. Without a block it is idle.

// loss is what a guest has to remember of a host that it has lost.
type loss struct {
	untold   *regret // what the client is yet to be told
	any      bool    // that, or one of the next two
	block    bool    // the client is in a failed transaction, which its next host has to be put in
	skipping bool    // up to the client's Sync nothing that it sends is acted on
	replied  bool    // the answer to the group that is open has begun
	repeats  bool    // the next command is one that was begun before: nobody is told again
}

// set has any follow the others.
func (l *loss) set() { l.any = l.block || l.skipping || l.untold != nil }

// regret is what a client is told of the loss.
type regret struct {
	cond   codec.Condition
	detail string
}

// Bereave parts the guest from its host, which is lost.
func (g *guest) Bereave(t *codec.Turn) (again []byte, ok bool) {
	h := g.host
	if h == nil || h.ending && !h.withheld || !g.survives() {
		return nil, false // among others, if the client was told that its session ends
	}
	h.backOut()
	if h.mayRepeat() {
		again = slices.Concat(h.record, g.buf)
		h.undoAll()
		g.dropNames(h.recordOf)
		g.loss.repeats = true
		g.buf, g.want = g.buf[:0], 0
		g.group = false
	} else {
		m := mourning{g: g, h: h, t: t}
		m.tell()
		h.undoAll()
	}
	g.leaveLost()
	return again, true
}

// survives tells whether the session can go on when the host at hand is lost.
func (g *guest) survives() bool {
	h := g.host
	switch {
	case !g.cfg.KeepOnLoss || g.cfg.Lasting || g.special || g.intro == nil || g.fail != nil || h.gone:
	case g.Mid() || h.copying == copyBoth || h.copying == copyFailed || h.doubt > 0:
	case g.Pin() != "" || h.looked != 0 || h.uneasy || h.isUneasy(0):
	case g.suspect&(wordLocks|wordPrepared) != 0 && (h.tx != codec.TxIdle || h.past&courseOpens != 0):
		// What outlives a rollback on a server that lives on may be gone.
	default:
		return true
	}
	return false
}

// leaveLost parts the guest from its lost host. What was changed since its last transaction ended is rolled
// back with the rest.
func (g *guest) leaveLost() {
	h := g.host
	g.batch = h.sent
	g.loss.replied = g.group && h.replied
	h.guest, g.host, h.started = nil, nil, false
	g.suspect, g.unsure, g.hold, g.back = 0, false, false, false
	g.changes.clear()
	g.portal = namedChange{}
	g.await, g.forsaken, g.sole, g.ahead = 0, false, false, ahead{}
	if g.left > 0 { // of a message that the server has got the front of
		g.drop, g.scan, g.later = true, false, false
	}
	g.loss.set()
}

// backOut ends what the host does with the batch at the front without the client's knowledge: it has failed,
// and the client was not told.
func (h *host) backOut() {
	if h.copying == copyIn { // it has ignored the Syncs in front of the end of the data
		_, syncs := h.copyEnd()
		h.ignored(syncs)
	}
	if h.curing || h.turning {
		h.owed.Front().Act = codec.OwedForward
		h.undone = true
	}
}

// mayRepeat tells whether the client's work can be done again elsewhere, as if it had never been sent: it
// is kept, and what of it may have been done is without effect. It runs nothing but BEGIN, or has failed.
func (h *host) mayRepeat() bool {
	if !h.keptAlone() {
		return false
	}
	for i := range h.owed.Len() {
		switch d := h.owed.At(i); d.Code {
		case oweQuery, oweFunction, oweExecute:
			if d.Act == codec.OwedForward && course(d.Mark) != courseOpens && !h.undone {
				return false
			}
		}
	}
	return true
}

// undoAll takes back what was noted of all that the server has not answered.
func (h *host) undoAll() {
	n, batch := h.owed.Len(), h.sent
	for i := n - 1; i >= 0; i-- {
		if endsBatch(h.owed.At(i).Code) {
			batch--
		}
		h.undo(i, n, batch, false)
	}
}

// dropNames drops the statements that were prepared in a batch.
func (g *guest) dropNames(batch uint64) {
	for name, n := range g.names {
		if n.batch == batch {
			delete(g.names, name)
			g.shelf.release(n.st)
		}
	}
}

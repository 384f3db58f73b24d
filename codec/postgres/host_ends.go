package postgres

import "sluice/codec"

// Reset runs the statement that wipes the session's state. No prepared statement is taken to have outlived
// it, and no setting if it says so.
func (h *host) Reset(query string, t *codec.Turn) {
	h.write(oweOwn, 0, query, t)
	if wipesSettings([]byte(query)) {
		h.settings = nil
	}
	if c := new(command); soleCommand([]byte(query), c) && c.kind == cmdDiscardAll {
		h.blank = true
	}
	h.distrust()
}

// wipesSettings tells whether RESET ALL or DISCARD ALL is among the statements of a text.
func wipesSettings(text []byte) bool {
	s := sqlScanner{text: text}
	for first := true; ; {
		t := s.next()
		switch {
		case t.kind == tokenEnd || t.kind == tokenUnsure:
			return false
		case first && (s.is(t, "reset") || s.is(t, "discard")) && s.is(s.next(), "all"):
			return true
		}
		first = t.kind == tokenSemicolon
	}
}

// Check has the server show that it is alive.
func (h *host) Check(query string, t *codec.Turn) { h.write(oweOwn, 0, query, t) }

// Abandon takes note that the client of the guest at hand has gone. What the client has begun is ended
// as the client could have ended it, then the transaction is rolled back and the session wiped.
func (h *host) Abandon(t *codec.Turn) (cancel, ok bool) {
	g := h.guest
	if g == nil || h.ending || h.failed != nil || h.copying == copyBoth {
		return false, false
	}
	if g.left > 0 && !g.drop {
		return false, false // the server waits for the rest of a message
	}
	h.gone = true
	h.dirty = h.dirty || h.owed.Len() > 0 || h.started && (h.tx != codec.TxIdle || g.group || g.large ||
		g.pins != 0 || g.suspect&wordLook != 0)
	for i := range h.owed.Len() {
		d := h.owed.At(i)
		cancel = cancel || !ownCode(d.Code)
		if d.Act == codec.OwedForward {
			d.Act = codec.OwedSwallow
		}
	}
	if h.in.left > 0 && h.fate == fatePass {
		h.fate = fateSwallow
	}
	if h.fate == fateCopy {
		h.fate = fateKeep
	}
	switch {
	case h.copying == copyIn:
		h.endCopy(t)
	case h.deaf || h.copying == copyFailed:
		h.writeSync(t)
	case g.group:
		h.spoil(t)
		h.writeSync(t)
	}
	g.group = false
	if h.owed.Len() == 0 {
		h.leave(t)
	}
	return cancel, true
}

// syncMessage is a Sync.
const syncMessage = "S\x00\x00\x00\x04"

// writeSync ends what the client has begun.
func (h *host) writeSync(t *codec.Turn) {
	h.deaf = false
	t.Server.AppendString(syncMessage)
	h.owed.Push(debt{Act: codec.OwedSwallow, Code: oweSync})
	h.sent++
}

// spoil has what the client has sent since its last Sync fail: a server that loses its client before the
// Sync does not commit it either.
func (h *host) spoil(t *codec.Turn) {
	const notSQL = "\x00the client has gone before its Sync\x00\x00\x00" // the unnamed statement, its text, no types
	out := appendHeader(t.Server.Begin(), 'P', len(notSQL))
	t.Server.End(append(out, notSQL...))
	h.owed.Push(debt{Act: codec.OwedSwallow, Code: oweParse})
}

// endCopy breaks a COPY from a client off that has gone.
func (h *host) endCopy(t *codec.Turn) {
	const why = "the client has gone"
	out := t.Server.Begin()
	out = appendHeader(out, 'f', len(why)+1)
	t.Server.End(append(append(out, why...), 0))
	h.owed.Push(debt{Act: codec.OwedSwallow, Code: oweCopyEnd})
	h.writeSync(t)
}

// leave takes the next step back to a free host, when the client has gone and nothing is owed.
func (h *host) leave(t *codec.Turn) {
	switch {
	case h.failed != nil:
	case h.tx != codec.TxIdle:
		h.write(oweOwn, 0, "ROLLBACK", t)
	case h.dirty:
		h.dirty = false
		h.write(oweOwn, 0, "DISCARD ALL", t)
		h.settings, h.blank = nil, true
		h.wipe()
	default:
		h.gone = false
		h.guest.letGo()
	}
}

// letGo leaves nothing of the guest that would keep its host.
func (g *guest) letGo() {
	g.pins, g.suspect = 0, 0
	g.group, g.large, g.blind = false, false, false
	g.left = 0
}

// wipe forgets all statements: the server has dropped them.
func (h *host) wipe() {
	clear(h.stmts)
	h.uses.older, h.uses.newer = &h.uses, &h.uses
	h.unnamed.st = nil
}

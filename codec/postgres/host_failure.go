package postgres

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// cutString cuts a string off the front of a body.
func cutString(b []byte) (s, rest []byte, ok bool) {
	return bytes.Cut(b, []byte{0})
}

// failure takes an ErrorResponse.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
func (h *host) failure(t *codec.Turn) error {
	h.fatal = fatal{}
	dying := h.fatal.look(h.body)
	if dying {
		h.ending = true
		h.said = append(appendHeader(nil, msgError, len(h.body)), h.body...)
		if h.withheld = h.withholds(); h.withheld {
			return nil
		}
	}
	if h.guest != nil {
		h.guest.changes.rough = true
	}
	if h.owed.Len() == 0 {
		if h.guest != nil && !h.gone && h.fate == fateKeep {
			h.tellError(owing{}, t)
		}
		return nil
	}
	d := h.owed.Front()
	if ownCode(d.Code) {
		h.ownFailed(*d)
		if dying && h.guest != nil && !h.gone && d.Code != oweSwitch {
			h.tellError(owing{}, t)
		}
		return nil
	}
	if d.Flag&flagInstead != 0 {
		h.instead = append([]byte(nil), h.body...)
		switch {
		case d.Code == oweParse:
			h.skip(t)
		case d.Ref.named.apart:
			h.undo(0, 1, h.done, true)
		default:
			h.lose(d.Ref.st)
		}
		return nil
	}
	if h.isCachedPlan() && h.cure(d) {
		h.skip(t)
		h.owed.Front().Act = codec.OwedSwallow
		return nil
	}
	if h.turns() {
		h.turn(t)
		return nil
	}
	if !h.replied {
		h.onReply(d.Code)
	}
	h.erred = true
	if h.instead != nil {
		h.body, h.instead = h.instead, nil
	}
	if h.fate == fateKeep {
		if h.guest != nil && !h.gone {
			h.tellError(d.Ref, t)
		}
	}
	if dying {
		return nil
	}
	switch d.Code {
	case oweSync:
	case oweQuery, oweFunction:
		h.copyFailed()
		h.undo(0, 1, h.done, true)
	default:
		if h.copying == copyIn && h.copyFailed() {
			return nil
		}
		h.skip(t)
	}
	return nil
}

// skip takes off what the server skips behind an error: everything up to a Sync.
func (h *host) skip(t *codec.Turn) {
	n, batches := 0, uint64(0)
	for n < h.owed.Len() && h.owed.At(n).Code != oweSync {
		if endsBatch(h.owed.At(n).Code) {
			batches++
		}
		n++
	}
	batch := h.done + batches
	h.foreign = true // a Parse that was to replace it may have been skipped
	for i := n - 1; i >= 0; i-- {
		d := h.owed.At(i)
		if endsBatch(d.Code) {
			batch--
		}
		h.undo(i, n, batch, i == 0)
	}
	if h.deaf = n == h.owed.Len(); h.deaf {
		h.copying = copyNone
	}
	for ; n > 0; n-- {
		d := *h.owed.Front()
		h.owed.Pop()
		if endsBatch(d.Code) {
			h.done++
			h.skipped(d)
		}
	}
	h.copying = copyNone
}

// skipped tells of a command that was skipped.
func (h *host) skipped(d debt) {
	if g := h.guest; g != nil && g.watch != nil && !h.gone {
		if d.Flag&flagGroup != 0 {
			g.watch.OnDone(kindExtended, true)
		}
		g.watch.OnDone(kindOf(d.Code), true)
	}
}

// undo takes back what was noted of message i, of that batch, when it was sent: the server has not acted
// on it, or (if it failed) not done it. It is one of the n oldest, which go all together, newest first.
func (h *host) undo(i, n int, batch uint64, failed bool) {
	g, d := h.guest, h.owed.At(i)
	switch d.Code {
	case oweParse:
		h.undoParse(i, n, batch, failed)
	case oweExecute:
		if d.Ref.st != nil { // see prepareBySQL
			h.unmade(i, n, batch)
		}
	case oweClose:
		switch {
		case d.Flag&(flagEvict|flagStale) != 0:
			if kept := d.Ref.held; kept != nil && h.stmts[kept.st] == nil {
				h.stmts[kept.st] = kept
				h.putNewest(kept)
			}
		case d.Ref.named != nil && d.Ref.named.apart && g != nil:
			g.setApart(d.Ref.named)
		case d.Ref.named != nil && g != nil:
			if g.names[d.Ref.named.name] == nil {
				g.names[d.Ref.named.name] = d.Ref.named
			}
		case d.Flag&flagUnnamed != 0:
			h.undoUnnamed(d.Ref.prev, batch)
		}
	case oweQuery:
		if n := d.Ref.named; n != nil && n.apart && g != nil {
			if d.Ref.st != nil {
				g.unexpose(d)
			} else { // a DEALLOCATE
				g.setApart(n)
			}
		} else if n != nil && d.Ref.st != nil { // a PREPARE
			if g != nil && g.names[n.name] == n {
				delete(g.names, n.name)
				g.shelf.release(n.st)
			}
			h.lose(d.Ref.st)
		}
		if !failed {
			h.undoUnnamed(d.Ref.prev, batch)
		}
	}
}

// undoParse takes back a Parse.
func (h *host) undoParse(i, n int, batch uint64, failed bool) {
	g, d := h.guest, h.owed.At(i)
	if n := d.Ref.named; n != nil && n.apart && g != nil {
		if d.Ref.st != nil {
			g.unexpose(d)
		} else {
			g.dropApart(n.name)
		}
		return
	}
	if d.Flag&flagTaken != 0 {
		h.undoDeallocate(d)
		return
	}
	if d.Flag&flagUnnamed != 0 {
		if d.Act != codec.OwedInvent && h.unnamed.batch <= batch {
			h.unnamed.st = nil
		}
		if d.Act != codec.OwedSwallow && g != nil && g.unnamed.st == d.Ref.st && g.unnamed.batch <= batch {
			g.shelf.release(g.unnamed.st)
			g.unnamed = unnamedStmt{batch: batch}
			if !failed {
				h.undoUnnamed(d.Ref.prev, batch)
			}
			return
		}
		for j := n; j < h.owed.Len(); j++ { // a later message is to be undone to what was before this one
			if x := h.owed.At(j); x.Ref.prev == d.Ref.st && d.Act != codec.OwedSwallow {
				if x.Ref.prev = d.Ref.prev; failed {
					x.Ref.prev = nil
				}
				break
			}
		}
		return
	}
	if d.Act != codec.OwedInvent {
		h.unmade(i, n, batch)
	}
	if n := d.Ref.named; n != nil && d.Act != codec.OwedSwallow && g != nil && g.names[n.name] == n {
		delete(g.names, n.name)
		g.shelf.release(n.st)
	}
}

// undoDeallocate gives the client a statement back whose DEALLOCATE, sent by Parse, came to nothing.
func (h *host) undoDeallocate(d *debt) {
	g, n := h.guest, d.Ref.named
	if g == nil || d.Ref.held == nil || g.names[n.name] != nil {
		return
	}
	g.shelf.use(n.st)
	g.names[n.name] = n
	d.Ref.held.stale = false
}

// unmade forgets the statement of Parse i of that batch, which came to nothing, and that it is evicted
// behind the n oldest: an eviction among these has been taken back before.
func (h *host) unmade(i, n int, batch uint64) {
	st := h.owed.At(i).Ref.st
	if held := h.stmts[st]; held != nil && held.batch == batch {
		h.lose(st)
	}
	for ; n < h.owed.Len(); n++ {
		if kept := h.owed.At(n).Ref.held; kept != nil && kept.st == st && kept.batch == batch {
			h.owed.At(n).Ref.held = nil
		}
	}
}

// undoUnnamed gives the client the unnamed statement back that it had before that batch, unless there
// is a later one, or there will be none.
func (h *host) undoUnnamed(prev *stmt, batch uint64) {
	g := h.guest
	if g == nil || prev == nil || g.unnamed.st != nil || g.unnamed.batch > batch {
		return
	}
	g.shelf.use(prev)
	g.unnamed = unnamedStmt{st: prev, batch: batch}
}

// tellError passes an ErrorResponse on, with the shared name of a statement in it, if there is one,
// put back to the client's.
func (h *host) tellError(ref owing, t *codec.Turn) {
	out := h.client(t)
	b := out.Begin()
	start := len(b)
	b = appendHeader(b, msgError, len(h.body))
	b = h.appendOwnNames(b, ref)
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	out.End(b)
}

// appendOwnNames appends the body of an ErrorResponse with the client's own names in it.
func (h *host) appendOwnNames(dst []byte, ref owing) []byte {
	body := h.body
	for {
		i := bytes.Index(body, []byte(`"`+namePrefix))
		if i < 0 {
			return append(dst, body...)
		}
		end := bytes.IndexAny(body[i+1:], "\"\x00")
		if end < 0 || body[i+1+end] == 0 {
			return append(dst, body...)
		}
		name := body[i+1 : i+1+end]
		dst = append(dst, body[:i+1]...)
		dst = append(dst, h.clientName(name, ref)...)
		body = body[i+1+end:]
	}
}

// clientName returns the client's name for a statement that the server knows by name.
func (h *host) clientName(name []byte, ref owing) string {
	if n := ref.named; n != nil && (ref.st == nil || ref.st.name == string(name)) {
		return n.name
	}
	if h.guest != nil {
		for _, n := range h.guest.names {
			if n.st != nil && n.st.name == string(name) {
				return n.name
			}
		}
	}
	return string(name)
}

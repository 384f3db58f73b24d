package postgres

import (
	"sluice/codec"
)

// ready has a client's statement prepared on the host, in front of the message at hand.
func (g *guest) ready(n *named, r *request) (*stmt, codec.Need, error) {
	h := g.host
	if !h.sure(n.batch) {
		return nil, g.wait(n.batch), nil
	}
	d := h.hold(n.st)
	if batch, sure := h.sureOf(d); !sure {
		return nil, g.wait(batch), nil
	}
	if d != nil && !d.stale && !(h.again && n.st.old) && !g.hides(n.st) {
		return n.st, codec.NeedBytes, nil
	}
	if g.refit(n) {
		d = h.hold(n.st)
		if batch, sure := h.sureOf(d); !sure {
			return nil, g.wait(batch), nil
		}
		if d != nil && !d.stale {
			return n.st, codec.NeedBytes, nil
		}
	}
	r.s.cut(r.at)
	if err := h.makeRoom(n.st, d, r.s.t); err != nil {
		return nil, codec.NeedBytes, err
	}
	h.keep(n.st)
	if n.st.sql > 0 {
		return n.st, codec.NeedBytes, h.prepareBySQL(n, r.s.t)
	}
	h.writeParse(n.st, r.s.t)
	return n.st, codec.NeedBytes, h.ask(debt{Act: codec.OwedSwallow, Code: oweParse, Ref: owing{named: n, st: n.st}})
}

// hides tells whether a temporary table may hide another one from this session, which a statement was
// prepared for.
func (g *guest) hides(st *stmt) bool {
	return (g.suspect|g.pins|g.host.looked)&wordTemp != 0 && st.shared()
}

// refit turns a client's statement into that of the settings in force, before it is prepared under
// them: what a server makes of a text depends on them. When a batch is run again, it turns an old
// statement into the new one. It tells whether it is another one then.
func (g *guest) refit(n *named) bool {
	print := g.print()
	if n.st.sharedUnder(print) && !(g.host.again && n.st.old) {
		return false
	}
	st := g.shelf.intern([]byte(n.st.tail), n.st.sql, print, g.words)
	g.shelf.release(n.st)
	n.st = st
	return true
}

// prepareBySQL has the server carry out a PREPARE inside a group.
func (h *host) prepareBySQL(n *named, t *codec.Turn) error {
	h.parses++
	return h.runInGroup(n.st.prepare(), owing{named: n, st: n.st}, t)
}

// runInGroup has the server run a statement of Sluice's own inside a group, by a statement and a portal
// of Sluice's own. ref is what has come to nothing if it fails.
func (h *host) runInGroup(text string, ref owing, t *codec.Turn) error {
	const own = namePrefix + "prepare"
	out := appendClose(t.Server.Begin(), 'S', own) // an earlier one that failed may have left it
	out = appendParse(out, own, text+"\x00\x00\x00")
	out = appendHeader(out, 'B', 2*len(own)+2+6)
	out = append(append(append(append(out, own...), 0), own...), 0, 0, 0, 0, 0, 0, 0)
	out = appendHeader(out, 'E', len(own)+1+4)
	out = append(append(out, own...), 0, 0, 0, 0, 0)
	t.Server.End(appendClose(out, 'P', own))
	for _, code := range []byte{oweClose, oweParse, oweBind, oweExecute, oweClose} {
		d := debt{Act: codec.OwedSwallow, Code: code}
		if code == oweExecute {
			d.Ref = ref
		}
		if err := h.ask(d); err != nil {
			return err
		}
	}
	return nil
}

// readyUnnamed has the client's unnamed statement prepared on the host.
func (g *guest) readyUnnamed(r *request) (codec.Need, error) {
	h := g.host
	st := g.unnamed.st
	if !h.sure(g.unnamed.batch) {
		return g.wait(g.unnamed.batch), nil
	}
	if st == nil && !g.large && (h.foreign || !h.sure(h.cleared)) {
		// The server has to say that there is none; what it has may be another client's.
		r.s.cut(r.at)
		h.foreign, h.unnamed.st, h.cleared = false, nil, h.sent
		r.s.t.Server.AppendString("C\x00\x00\x00\x06S\x00")
		return codec.NeedBytes, h.ask(debt{Act: codec.OwedSwallow, Code: oweClose})
	}
	if st == nil {
		return codec.NeedBytes, nil
	}
	if h.unnamed.st == st && !(h.again && st.old) && !g.hides(st) {
		if !h.sure(h.unnamed.batch) {
			return g.wait(h.unnamed.batch), nil
		}
		return codec.NeedBytes, nil
	}
	if print := g.print(); st.print != print || h.again && st.old {
		st = g.shelf.intern([]byte(st.tail), 0, print, g.words)
		g.shelf.release(g.unnamed.st)
		g.unnamed.st = st
	}
	r.s.cut(r.at)
	h.unnamed = unnamedStmt{st, h.sent}
	out := r.s.t.Server.Begin()
	r.s.t.Server.End(appendParse(out, "", st.tail))
	return codec.NeedBytes, h.ask(debt{Act: codec.OwedSwallow, Code: oweParse, Ref: owing{st: st}, Flag: flagUnnamed})
}

// forgetUnnamed notes that the unnamed statement is gone, on both sides: a Query drops it.
func (g *guest) forgetUnnamed() {
	if g.unnamed.st != nil {
		g.shelf.release(g.unnamed.st)
	}
	g.unnamed = unnamedStmt{batch: g.host.sent}
	g.host.unnamed.st = nil
	g.host.foreign = false
	g.large = false
}

// wait has the client's bytes wait until a batch is over.
func (g *guest) wait(batch uint64) codec.Need {
	g.await = batch
	return codec.NeedTurn
}

package postgres

import (
	"bytes"

	"sluice/codec"
)

var errNames = codec.Error{Cond: codec.LimitOfClient, Text: "a name in a message is longer than 16384 bytes"}

// parse acts on a Parse: the statement is the shelf's one of that text, and prepared on the host at
// hand unless it is there already.
func (g *guest) parse(r *request) (more int, need codec.Need, err error) {
	name, next := r.cstring(headerSize)
	if next == 0 {
		return g.moreOfNames(r)
	}
	if g.cfg.Lasting {
		g.enterGroup(statement('P', r.m[headerSize:]))
		return 0, codec.NeedBytes, g.host.ask(debt{Code: oweParse})
	}
	if !r.whole() && r.total-next <= g.cfg.StatementMax {
		return r.total, 0, nil
	}
	if !r.whole() || r.total-next > g.cfg.StatementMax || g.host.prepared() == 0 && len(name) > 0 {
		return 0, codec.NeedBytes, g.parseAlone(r, name, next)
	}
	tail := r.m[next:]
	if bytes.IndexByte(tail, 0) < 0 {
		return 0, codec.NeedBytes, errClientName
	}
	if len(name) == 0 {
		if done, need, err := g.parseCommand(r, tail); done || need != codec.NeedBytes || err != nil {
			return 0, need, err
		}
		return 0, codec.NeedBytes, g.parseUnnamed(r, tail)
	}
	return g.parseNamed(r, name, tail)
}

// moreOfNames asks for more bytes of a message whose names are not whole.
func (g *guest) moreOfNames(r *request) (more int, need codec.Need, err error) {
	switch {
	case r.whole():
		return 0, codec.NeedBytes, errClientName
	case len(r.m) > 2*maxNames:
		return 0, codec.NeedBytes, errNames
	}
	return min(r.total, 2*len(r.m)+64), codec.NeedBytes, nil
}

// parseAlone passes a Parse on that is not shared: it is too long, or nothing is. Its name on the
// server is the client's own, so that the session is bound to the host; the look finds it.
func (g *guest) parseAlone(r *request, name []byte, next int) error {
	if bytes.HasPrefix(name, []byte(namePrefix)) {
		return codec.Error{Cond: codec.LimitOfClient, Text: `names of prepared statements that begin with "` + namePrefix + `" are reserved here`}
	}
	g.enterGroup(statement('P', r.m[headerSize:]))
	if len(name) > 0 {
		g.pins |= pinAlone
	} else {
		g.forgetUnnamed()
		g.large = true
	}
	g.scan = !r.whole()
	g.scanner.start(g.words)
	g.scanner.feed(r.m[next:])
	if !g.scan {
		g.suspect |= g.scanned() & (wordLook | wordUnsure)
	}
	return g.host.ask(debt{Code: oweParse})
}

// parseUnnamed acts on a Parse of the unnamed statement.
func (g *guest) parseUnnamed(r *request, tail []byte) error {
	h := g.host
	st := g.shelf.intern(tail, g.print(), g.words)
	g.enterGroup(r.m[len(r.m)-len(tail) : len(r.m)-st.typesLen()])
	prev := g.unnamed
	g.unnamed = unnamedStmt{st, h.sent}
	g.large = false
	if prev.st != nil {
		g.shelf.release(prev.st)
	}
	d := debt{Code: oweParse, Ref: owing{st: st, prev: prev.st}, Flag: flagUnnamed}
	if h.unnamed.st == st && h.sure(h.unnamed.batch) && h.tx != codec.TxFailed {
		r.s.skip(r.at, r.at+r.total)
		d.Act = codec.OwedInvent
		return h.invent(d, r.s.t)
	}
	h.unnamed = unnamedStmt{st, h.sent}
	h.foreign = false
	return h.ask(d)
}

// print returns the fingerprint of the settings in force. While they can't be relied on, nothing that
// is prepared is shared.
func (g *guest) print() digest {
	if g.unsure || g.suspect&wordSettings != 0 {
		return g.shelf.own()
	}
	return g.settings.prints()
}

// parseNamed acts on a Parse with a name.
func (g *guest) parseNamed(r *request, name, tail []byte) (more int, need codec.Need, err error) {
	h := g.host
	if old := g.names[string(name)]; old != nil {
		if !h.sure(old.batch) {
			return 0, g.wait(old.batch), nil
		}
		return g.parseAgain(r, old, tail)
	}
	if !h.sure(g.closed) {
		return 0, g.wait(g.closed), nil
	}
	print := g.print()
	if h.tx == codec.TxFailed {
		print = g.shelf.own() // the server has to say whether it takes it
	}
	st := g.shelf.intern(tail, print, g.words)
	d := h.hold(st)
	if batch, sure := h.sureOf(d); !sure {
		g.shelf.release(st)
		return 0, g.wait(batch), nil
	}
	g.enterGroup(r.m[r.total-len(tail) : r.total-st.typesLen()])
	n := &named{name: string(name), st: st, batch: h.sent}
	g.name(n)
	reply := debt{Code: oweParse, Ref: owing{named: n, st: st}}
	if d != nil && !d.stale {
		r.s.skip(r.at, r.at+r.total)
		reply.Act = codec.OwedInvent
		return 0, codec.NeedBytes, h.invent(reply, r.s.t)
	}
	r.s.skip(r.at, r.at+r.total)
	if err := h.makeRoom(st, d, r.s.t); err != nil {
		return 0, codec.NeedBytes, err
	}
	h.keep(st)
	h.writeParse(st, r.s.t)
	return 0, codec.NeedBytes, h.ask(reply)
}

// parseAgain acts on a Parse with a name that is taken. The server itself has to say so, or whatever
// else is wrong with it: the old statement's name is prepared a second time.
func (g *guest) parseAgain(r *request, old *named, tail []byte) (more int, need codec.Need, err error) {
	st, need, err := g.ready(old, r)
	if need != codec.NeedBytes || err != nil {
		return 0, need, err
	}
	g.enterGroup(nil)
	r.s.skip(r.at, r.at+r.total)
	r.s.t.Server.End(appendNamed(r.s.t.Server.Begin(), 'P', nil, st.name, tail, 0))
	return 0, codec.NeedBytes, g.host.ask(debt{Code: oweParse, Ref: owing{named: old, st: st}, Flag: flagTaken})
}

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
	if d != nil && !d.stale && !(h.again && n.st.old) {
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

// refit turns a client's statement into that of the settings in force, before it is prepared under
// them: what a server makes of a text depends on them. When a batch is run again, it turns an old
// statement into the new one. It tells whether it is another one then.
func (g *guest) refit(n *named) bool {
	print := g.print()
	if n.st.sql > 0 {
		print[1] ^= 1 // never the same as a Parse's
	}
	if n.st.print == print && !(g.host.again && n.st.old) {
		return false
	}
	st := g.shelf.intern([]byte(n.st.tail), print, g.words)
	st.sql = n.st.sql
	g.shelf.release(n.st)
	n.st = st
	return true
}

// prepareBySQL has the server carry out a PREPARE inside a group, by a statement and a portal of
// Sluice's own.
func (h *host) prepareBySQL(n *named, t *codec.Turn) error {
	h.parses++
	const own = namePrefix + "prepare"
	out := t.Server.Begin()
	out = appendParse(out, own, n.st.prepare()+"\x00\x00\x00")
	out = appendHeader(out, 'B', 2*len(own)+2+6)
	out = append(append(append(append(out, own...), 0), own...), 0, 0, 0, 0, 0, 0, 0)
	out = appendHeader(out, 'E', len(own)+1+4)
	out = append(append(out, own...), 0, 0, 0, 0, 0)
	for _, kind := range []byte{'P', 'S'} {
		out = appendHeader(out, 'C', 1+len(own)+1)
		out = append(append(append(out, kind), own...), 0)
	}
	t.Server.End(out)
	for _, code := range []byte{oweParse, oweBind, oweExecute, oweClose, oweClose} {
		d := debt{Act: codec.OwedSwallow, Code: code}
		if code == oweParse {
			d.Ref = owing{named: n, st: n.st}
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
	if st == nil && h.foreign && !g.large {
		// The server has to say that there is none; what it has may be another client's.
		r.s.cut(r.at)
		h.foreign, h.unnamed.st = false, nil
		r.s.t.Server.AppendString("C\x00\x00\x00\x06S\x00")
		return codec.NeedBytes, h.ask(debt{Act: codec.OwedSwallow, Code: oweClose})
	}
	if st == nil {
		return codec.NeedBytes, nil
	}
	if h.unnamed.st == st && !(h.again && st.old) {
		if !h.sure(h.unnamed.batch) {
			return g.wait(h.unnamed.batch), nil
		}
		return codec.NeedBytes, nil
	}
	if print := g.print(); st.print != print || h.again && st.old {
		st = g.shelf.intern([]byte(st.tail), print, g.words)
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

// bind acts on a Bind: the statement's name is changed.
func (g *guest) bind(r *request) (more int, need codec.Need, err error) {
	_, at := r.cstring(headerSize)
	if at == 0 {
		return g.moreOfNames(r)
	}
	name, next := r.cstring(at)
	if next == 0 {
		return g.moreOfNames(r)
	}
	n := g.names[string(name)]
	switch {
	case g.cfg.Lasting:
	case len(name) == 0:
		if g.unnamed.st != nil {
			w := g.unnamed.st.words
			if more, need := g.bound(r, g.unnamed.st, next); more > 0 || need != codec.NeedBytes {
				return more, need, nil
			}
			g.suspect |= w & (wordLook | wordUnsure)
		}
		if need, err := g.readyUnnamed(r); need != codec.NeedBytes || err != nil {
			return 0, need, err
		}
	case n != nil:
		if more, need := g.bound(r, n.st, next); more > 0 || need != codec.NeedBytes {
			return more, need, nil
		}
		st, need, err := g.ready(n, r)
		if need != codec.NeedBytes || err != nil {
			return 0, need, err
		}
		g.suspect |= st.words & (wordLook | wordUnsure)
		g.rename(r, 'B', at, next, st.name)
	case !g.host.sure(g.closed):
		return 0, g.wait(g.closed), nil
	default:
		n = g.unknown(r, 'B', at, next, name)
	}
	g.enterGroup(nil)
	d := debt{Code: oweBind, Ref: owing{named: n}}
	if n != nil {
		d.Ref.st = n.st
	}
	return 0, codec.NeedBytes, g.host.ask(d)
}

// rename writes the message at hand with another name at m[at:next-1].
func (g *guest) rename(r *request, typ byte, at, next int, name string) {
	r.s.skip(r.at, r.at+len(r.m))
	out := r.s.t.Server.Begin()
	rest := r.m[next:]
	r.s.t.Server.End(appendNamed(out, typ, r.m[headerSize:at], name, rest, r.total-len(r.m)))
}

// unknown passes a message on that speaks of a statement the client does not have: the server says so,
// unless Sluice itself uses that name.
func (g *guest) unknown(r *request, typ byte, at, next int, name []byte) *named {
	if !bytes.HasPrefix(name, []byte(namePrefix)) {
		return nil
	}
	n := &named{name: string(name)}
	g.rename(r, typ, at, next, namePrefix+"?")
	return n
}

// describeOrClose acts on Describe and Close, which are short.
func (g *guest) describeOrClose(typ byte, r *request) (more int, need codec.Need, err error) {
	if !r.whole() {
		return r.total, codec.NeedBytes, nil
	}
	const at = headerSize + 1
	name, next := r.cstring(at)
	if next == 0 {
		return 0, codec.NeedBytes, errClientName
	}
	d := debt{Code: oweDescribe}
	if typ == 'C' {
		d.Code = oweClose
	}
	if g.cfg.Lasting || r.m[headerSize] != 'S' {
		g.enterGroup(nil)
		return 0, codec.NeedBytes, g.host.ask(d)
	}
	if typ == 'C' {
		return g.closeStatement(r, name)
	}
	n := g.names[string(name)]
	switch {
	case len(name) == 0:
		if need, err = g.readyUnnamed(r); need != codec.NeedBytes || err != nil {
			return 0, need, err
		}
	case n != nil:
		st, need, err := g.ready(n, r)
		if need != codec.NeedBytes || err != nil {
			return 0, need, err
		}
		g.rename(r, 'D', at, next, st.name)
		d.Ref = owing{named: n, st: st}
	case !g.host.sure(g.closed):
		return 0, g.wait(g.closed), nil
	default:
		d.Ref.named = g.unknown(r, 'D', at, next, name)
	}
	g.enterGroup(nil)
	return 0, codec.NeedBytes, g.host.ask(d)
}

// closeStatement acts on a Close of a statement. Only the client's name for it goes: the statement
// stays prepared, for whoever wants it next.
func (g *guest) closeStatement(r *request, name []byte) (more int, need codec.Need, err error) {
	d := debt{Code: oweClose}
	n := g.names[string(name)]
	switch {
	case len(name) == 0:
		g.enterGroup(nil)
		d.Ref.prev, d.Flag = g.unnamed.st, flagUnnamed
		g.forgetUnnamed()
		return 0, codec.NeedBytes, g.host.ask(d)
	case n != nil:
		if !g.host.sure(n.batch) {
			return 0, g.wait(n.batch), nil
		}
		delete(g.names, n.name)
		g.closed = g.host.sent
		d.Ref.named = n
	case !g.host.sure(g.closed):
		return 0, g.wait(g.closed), nil
	case !bytes.HasPrefix(name, []byte(namePrefix)):
		// It may be one that is not shared.
		if g.pins&wordPrepared != 0 {
			g.suspect |= wordPrepared
		}
		g.enterGroup(nil)
		return 0, codec.NeedBytes, g.host.ask(d)
	}
	g.enterGroup(nil)
	r.s.skip(r.at, r.at+r.total)
	d.Act = codec.OwedInvent
	return 0, codec.NeedBytes, g.host.invent(d, r.s.t)
}

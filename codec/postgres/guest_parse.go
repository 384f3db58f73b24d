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
	if !r.whole() || r.total-next > g.cfg.StatementMax || len(name) > 0 && !(g.mayShare(name) && g.roomFor(r.total-next)) {
		need, err = g.parseAlone(r, name, next)
		return 0, need, err
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

// mayShare tells whether a statement of that name may be shared. It may not where the server itself has to
// say whether the name is taken: SQL has prepared statements there that Sluice does not know by name.
func (g *guest) mayShare(name []byte) bool {
	h := g.host
	return h.prepared() > 0 && !g.isApart(name) && (g.suspect|g.pins|h.looked)&wordPrepared == 0
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

// parseUnnamed acts on a Parse of the unnamed statement.
func (g *guest) parseUnnamed(r *request, tail []byte) error {
	h := g.host
	st := g.shelf.intern(tail, 0, g.print(), g.words)
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
// is prepared is shared; nor while there may be temporary tables, which hide others of their names from
// this session alone.
func (g *guest) print() digest {
	if g.unsure || (g.suspect|g.pins|g.host.looked)&(wordSettings|wordTemp) != 0 {
		return g.shelf.own()
	}
	return g.settings.prints()
}

// parseNamed acts on a Parse with a name.
func (g *guest) parseNamed(r *request, name, tail []byte) (more int, need codec.Need, err error) {
	h := g.host
	if old := g.find(name); old != nil {
		need, err = g.parseAgain(r, old, name, r.total-len(tail))
		return 0, need, err
	}
	if !h.sure(g.closed) {
		return 0, g.wait(g.closed), nil
	}
	print := g.print()
	if h.tx == codec.TxFailed {
		print = g.shelf.own() // the server has to say whether it takes it
	}
	st := g.shelf.intern(tail, 0, print, g.words)
	d := h.hold(st)
	if batch, sure := h.sureOf(d); !sure {
		g.shelf.release(st)
		return 0, g.wait(batch), nil
	}
	g.enterGroup(r.m[r.total-len(tail) : r.total-st.typesLen()])
	n := &named{name: string(key(name)), st: st, batch: h.sent}
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

// nameNothing is the name of a statement without a text, by which a server says what is wrong with a
// message of the client's.
const nameNothing = namePrefix + "nothing"

// prepareNothing has the server prepare it, in front of the message at hand.
func (g *guest) prepareNothing(r *request) error {
	r.s.cut(r.at)
	out := appendClose(r.s.t.Server.Begin(), 'S', nameNothing)
	r.s.t.Server.End(appendParse(out, nameNothing, "\x00\x00\x00"))
	for _, code := range []byte{oweClose, oweParse} {
		if err := g.host.ask(debt{Act: codec.OwedSwallow, Code: code}); err != nil {
			return err
		}
	}
	return nil
}

// parseAgain acts on a Parse with a name that is taken. The server itself has to say so, or whatever
// else is wrong with it: the name that it gets is taken by a statement of Sluice's own.
func (g *guest) parseAgain(r *request, old *named, name []byte, next int) (codec.Need, error) {
	h := g.host
	if !h.sure(old.batch) {
		return g.wait(old.batch), nil
	}
	if len(name) > keySize {
		old = &named{name: string(name)} // the server speaks of it by the name it was given
	}
	if err := g.prepareNothing(r); err != nil {
		return codec.NeedBytes, err
	}
	g.enterGroup(nil)
	g.rename(r, 'P', headerSize, next, nameNothing)
	return codec.NeedBytes, h.ask(debt{Code: oweParse, Ref: owing{named: &named{name: old.name}}, Flag: flagTaken})
}

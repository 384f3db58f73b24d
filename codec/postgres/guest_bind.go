package postgres

import (
	"bytes"

	"sluice/codec"
)

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
	if at == headerSize+1 && g.portal.name != "" {
		g.portal = namedChange{}
	}
	n := g.find(name)
	switch {
	case g.cfg.Lasting:
	case len(name) == 0:
		if g.large {
			g.boundApart()
		}
		if g.unnamed.st != nil {
			if more, need := g.bound(r, g.unnamed.st, next); more > 0 || need != codec.NeedBytes {
				return more, need, nil
			}
		}
		if need, err := g.readyUnnamed(r); need != codec.NeedBytes || err != nil {
			return 0, need, err
		}
		if st := g.unnamed.st; st != nil {
			g.suspect |= st.words & (wordLook | wordUnsure)
			g.takesBack(st)
		}
	case n != nil:
		if more, need := g.bound(r, n.st, next); more > 0 || need != codec.NeedBytes {
			return more, need, nil
		}
		if h := g.host; h.tx == codec.TxFailed && h.owed.Len() == 0 && h.lacks(n.st) && !runsInFailed(n.st.text()) {
			return 0, codec.NeedBytes, g.bindNothing(r, n, at)
		}
		st, need, err := g.ready(n, r)
		if need != codec.NeedBytes || err != nil {
			return 0, need, err
		}
		g.suspect |= st.words & (wordLook | wordUnsure)
		g.takesBack(st)
		g.rename(r, 'B', at, next, st.name)
	case !g.host.sure(g.closed):
		return 0, g.wait(g.closed), nil
	case g.isApart(name):
		g.boundApart()
	default:
		n = g.unknown(r, 'B', at, next, name)
	}
	g.enterGroup(nil)
	if g.cfg.KeepOnLoss {
		g.courseBound(at > headerSize+1, name, n)
	}
	d := debt{Code: oweBind, Ref: owing{named: n}}
	if n != nil {
		d.Ref.st = n.st
	}
	return 0, codec.NeedBytes, g.host.ask(d)
}

// bindNothing acts on a Bind in a failed transaction, in which a server prepares nothing. It refuses the
// Bind, whatever the statement is: so it gets one without a text, and without the parameters.
func (g *guest) bindNothing(r *request, n *named, at int) error {
	if err := g.prepareNothing(r); err != nil {
		return err
	}
	g.enterGroup(nil)
	r.s.skip(r.at, r.at+len(r.m))
	g.drop = true
	const none = "\x00\x00\x00\x00\x00\x00"
	r.s.t.Server.End(appendNamed(r.s.t.Server.Begin(), 'B', r.m[headerSize:at], nameNothing, []byte(none), 0))
	return g.host.ask(debt{Code: oweBind, Ref: owing{named: &named{name: n.name}}})
}

// runsInFailed tells whether a statement may be run in a transaction that has failed.
func runsInFailed(text string) bool {
	s := sqlScanner{text: []byte(text)}
	t := s.next()
	for _, verb := range [...]string{"commit", "end", "rollback", "abort", "prepare"} {
		if s.is(t, verb) {
			return true
		}
	}
	return t.kind == tokenUnsure
}

// takesBack notes that a statement may be run that takes settings back, or drops prepared statements:
// what stands behind it in the group finds none of them, and what stands behind the group has to wait.
func (g *guest) takesBack(st *stmt) {
	if st.survey.drops {
		g.host.distrust()
	}
	g.back = g.back || st.survey.back || st.survey.drops
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
	n := g.find(name)
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
	n := g.find(name)
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
	case g.isApart(name):
		d = g.closeApart(name, oweClose)
		g.enterGroup(nil)
		return 0, codec.NeedBytes, g.host.ask(d)
	case !bytes.HasPrefix(name, []byte(namePrefix)):
		// It may be one that SQL has prepared.
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

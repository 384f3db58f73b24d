package postgres

import (
	"bytes"
	"math"

	"sluice/codec"
)

// findCommand tells whether a Query is one of the commands that concern what Sluice keeps for the
// client, and which: the shelf's command.
func (g *guest) findCommand(text []byte, w words) bool {
	c := &g.shelf.command
	return !isSelect(text) && soleCommand(text, c) || w&wordExecute != 0 && findExecute(text, c)
}

// command acts on the command that was found: SQL has the same namespace of prepared statements as the
// protocol.
//
// https://www.postgresql.org/docs/current/sql-prepare.html
func (g *guest) command(r *request, text []byte) (done bool, need codec.Need, err error) {
	c := &g.shelf.command
	switch c.kind {
	case cmdBegin:
		if g.cfg.SingleStatements {
			return true, codec.NeedBytes, errSingle
		}
	case cmdPrepare:
		return g.sqlPrepare(r, text, c)
	case cmdExecute:
		return g.sqlExecute(r, text, c)
	case cmdDeallocate, cmdDeallocateAll:
		return g.sqlDeallocate(r, text, c)
	case cmdListen, cmdUnlisten, cmdUnlistenAll:
		return g.listen(r, c)
	}
	return false, codec.NeedBytes, nil
}

var errSingle = codec.Error{
	Cond: codec.NotShareable,
	Text: "transaction blocks are not allowed here: each statement may run on another server connection",
	Hint: `The listener's unit is "statement".`,
}

// settled asks for a host with which nothing is outstanding, so that the transaction's status is known.
func (g *guest) settled() codec.Need {
	h := g.host
	switch {
	case h == nil:
		return codec.NeedHost
	case h.busyOwn():
		return codec.NeedTurn
	case h.done < h.sent:
		return g.wait(h.sent - 1)
	}
	return codec.NeedBytes
}

// sqlPrepare acts on PREPARE.
func (g *guest) sqlPrepare(r *request, text []byte, c *command) (bool, codec.Need, error) {
	h := g.host
	if h == nil || h.prepared() == 0 || g.group || g.isApart(c.name()) {
		return false, codec.NeedBytes, nil
	}
	if need := g.settled(); need != codec.NeedBytes {
		return true, need, nil
	}
	old := g.find(c.name())
	if old != nil { // the server has to say so
		if err := g.readyForQuery(old, r); err != nil {
			return true, codec.NeedBytes, err
		}
		g.rewrite(r, text, c, old.st.name)
		return true, codec.NeedBytes, g.pass(text, debt{Ref: owing{named: old}, Flag: flagCalm})
	}
	if !g.roomFor(len(text)) {
		return false, codec.NeedBytes, nil
	}
	tail := append(append(append([]byte(nil), text[:c.at]...), 0), text[c.end:]...)
	st := g.shelf.intern(tail, c.at+1, g.print(), g.words)
	n := &named{name: string(key(c.name())), st: st, batch: h.sent}
	g.name(n)
	r.s.cut(r.at)
	if d := h.hold(st); d != nil {
		if err := h.drop(d, flagStale, r.s.t); err != nil {
			return true, codec.NeedBytes, err
		}
	} else if err := h.makeRoomForQuery(r.s.t); err != nil {
		return true, codec.NeedBytes, err
	}
	h.keep(st)
	g.rewrite(r, text, c, st.name)
	return true, codec.NeedBytes, g.pass(text, debt{Ref: owing{named: n, st: st}, Flag: flagCalm})
}

// rewrite writes a Query with another name at its place.
func (g *guest) rewrite(r *request, text []byte, c *command, name string) {
	r.s.skip(r.at, r.at+r.total)
	out := r.s.t.Server.Begin()
	out = appendHeader(out, 'Q', len(text)-(c.end-c.at)+len(name)+1)
	out = append(append(append(out, text[:c.at]...), name...), text[c.end:]...)
	r.s.t.Server.End(append(out, 0))
}

// sqlExecute acts on EXECUTE.
func (g *guest) sqlExecute(r *request, text []byte, c *command) (bool, codec.Need, error) {
	n := g.find(c.name())
	if n == nil && g.host != nil && !g.host.sure(g.closed) {
		return true, g.settled(), nil
	}
	if n == nil {
		if g.isApart(c.name()) {
			g.boundApart()
		}
		if !bytes.HasPrefix(c.name(), []byte(namePrefix)) {
			return false, codec.NeedBytes, nil
		}
		n = &named{name: string(c.name())}
	}
	if n.st != nil {
		if need := g.sequences(r, n.st.words); need != codec.NeedBytes {
			return true, need, nil
		}
	}
	if need := g.settled(); need != codec.NeedBytes {
		return true, need, nil
	}
	name := namePrefix + "0"
	if n.st != nil {
		if err := g.readyForQuery(n, r); err != nil {
			return true, codec.NeedBytes, err
		}
		name = n.st.name
		g.executed(n.st)
	}
	g.rewrite(r, text, c, name)
	return true, codec.NeedBytes, g.pass(text, debt{Ref: owing{named: n}})
}

// executed takes what a statement says that EXECUTE may run. Its parameters are not read: what settings
// they name is not known.
func (g *guest) executed(st *stmt) {
	w := findSettings([]byte(st.text()), st.words, &g.custom)
	g.suspect |= w & (wordLook | wordUnsure)
	if w&wordParams != 0 {
		g.suspect |= wordUnsure
	}
}

// parseCommand acts on a Parse, without a name, of EXECUTE and DEALLOCATE: drivers send them so. The
// statement in it is the one that the server knows, so what is parsed fits this host only.
func (g *guest) parseCommand(r *request, tail []byte) (done bool, need codec.Need, err error) {
	text := tail[:bytes.IndexByte(tail, 0)]
	c := &g.shelf.command
	if isSelect(text) || !soleCommand(text, c) || c.kind != cmdExecute && c.kind != cmdDeallocate {
		return false, codec.NeedBytes, nil
	}
	n := g.find(c.name())
	if n == nil {
		return false, codec.NeedBytes, nil
	}
	at, end, kind := c.at, c.end, c.kind
	st, need, err := g.ready(n, r)
	if need != codec.NeedBytes || err != nil {
		return true, need, err
	}
	g.enterGroup(text)
	if kind == cmdExecute {
		g.executed(st)
	}
	r.s.skip(r.at, r.at+r.total)
	out := appendHeader(r.s.t.Server.Begin(), 'P', 1+len(tail)-(end-at)+len(st.name))
	out = append(append(append(append(out, 0), tail[:at]...), st.name...), tail[end:]...)
	r.s.t.Server.End(out)
	d := debt{Code: oweParse, Ref: owing{named: n}, Flag: flagTaken}
	if kind == cmdDeallocate {
		d.Ref.held = g.host.stmts[st]
		// It is gone as soon as that is executed, and made anew if it is asked for again.
		delete(g.names, n.name)
		g.shelf.release(n.st)
		g.host.stmts[st].stale = true
	}
	g.forgetUnnamed()
	g.large = true
	return true, codec.NeedBytes, g.host.ask(d)
}

// readyForQuery has a statement prepared on the host in front of a Query. An error is told in place of
// that Query's own.
func (g *guest) readyForQuery(n *named, r *request) error {
	h := g.host
	d := h.hold(n.st)
	if d != nil && !d.stale && !g.hides(n.st) {
		return nil
	}
	if g.refit(n) {
		if d = h.hold(n.st); d != nil && !d.stale {
			return nil
		}
	}
	r.s.cut(r.at)
	t := r.s.t
	if d != nil {
		if err := h.drop(d, flagStale, t); err != nil {
			return err
		}
	} else if err := h.makeRoomForQuery(t); err != nil {
		return err
	}
	h.keep(n.st)
	if n.st.sql > 0 {
		h.parses++
		t.Server.End(appendQuery(t.Server.Begin(), n.st.prepare()))
		return h.ask(debt{Act: codec.OwedSwallow, Code: oweQuery, Ref: owing{named: n, st: n.st}, Flag: flagInstead})
	}
	h.writeParse(n.st, t)
	if err := h.ask(debt{Act: codec.OwedSwallow, Code: oweParse, Ref: owing{named: n, st: n.st}, Flag: flagInstead}); err != nil {
		return err
	}
	t.Server.AppendString(syncMessage)
	return h.ask(debt{Act: codec.OwedSwallow, Code: oweSync})
}

// prepare returns the text of a PREPARE under the shared name.
func (st *stmt) prepare() string { return st.prepareAs(st.name) }

// prepareAs returns the text of a PREPARE under that name.
func (st *stmt) prepareAs(name string) string { return st.tail[:st.sql-1] + name + st.tail[st.sql:] }

// makeRoomForQuery makes room for a statement, where no group is open.
func (h *host) makeRoomForQuery(t *codec.Turn) error {
	if len(h.stmts) < h.cfg.PreparedMax || h.uses.newer == &h.uses {
		return nil
	}
	return h.drop(h.uses.newer, flagEvict, t)
}

// drop has the server drop a statement where no group is open. Unlike DEALLOCATE, a Close does not
// fail, not even in a transaction that has failed.
func (h *host) drop(d *held, flag byte, t *codec.Turn) error {
	if err := h.ask(h.close(d, flag, t)); err != nil {
		return err
	}
	t.Server.AppendString(syncMessage)
	return h.ask(debt{Act: codec.OwedSwallow, Code: oweSync})
}

// sqlDeallocate acts on DEALLOCATE: only the client's names go. In a failed transaction it is the
// server's to refuse.
func (g *guest) sqlDeallocate(r *request, text []byte, c *command) (bool, codec.Need, error) {
	all := c.kind == cmdDeallocateAll
	n := g.find(c.name())
	if n == nil && g.host != nil && !g.host.sure(g.closed) {
		return true, g.settled(), nil
	}
	if !all && !g.group && g.isApart(c.name()) {
		if g.busy() {
			return true, codec.NeedTurn, nil
		}
		return true, codec.NeedBytes, g.pass(text, g.closeApart(c.name(), oweQuery))
	}
	if g.group || !all && n == nil || all && g.pins&(wordPrepared|pinAlone) != 0 {
		return false, codec.NeedBytes, nil
	}
	if g.host != nil || g.loss.block {
		if need := g.settled(); need != codec.NeedBytes {
			return true, need, nil
		}
		if g.host.tx == codec.TxFailed {
			return false, codec.NeedBytes, nil
		}
	}
	if all {
		g.forgetNames(math.MaxUint64)
	} else {
		delete(g.names, n.name)
		g.shelf.release(n.st)
	}
	tag := "DEALLOCATE"
	if all {
		tag = "DEALLOCATE ALL"
	}
	r.s.skip(r.at, r.at+r.total)
	g.answer(tag, nil, r.s.t)
	return true, codec.NeedBytes, nil
}

// forgetNames drops all prepared statements of the client that were made up to that batch, but for those
// that are coming.
func (g *guest) forgetNames(batch uint64) {
	for name, n := range g.names {
		if n.batch <= batch && !n.coming {
			delete(g.names, name)
			g.shelf.release(n.st)
		}
	}
}

// answer tells the client that a Query was done, or why not.
func (g *guest) answer(tag string, e *codec.Error, t *codec.Turn) {
	g.begun(kindQuery, nil)
	if g.watch != nil {
		g.watch.OnReply(kindQuery)
	}
	g.unnamed, g.large = g.noUnnamed(), false // a Query drops it
	if g.host != nil {
		g.host.foreign = true
	}
	out := t.Client.Begin()
	if e != nil {
		out = appendReport(out, msgError, "ERROR", sqlState(e.Cond), e.Text, "", e.Hint)
	} else {
		out = appendComplete(out, tag)
	}
	status := byte('I')
	if g.host != nil && g.host.tx == codec.TxOpen {
		status = 'T'
	}
	t.Client.End(append(out, 'Z', 0, 0, 0, 5, status))
	if g.watch != nil {
		g.watch.OnDone(kindQuery, e != nil)
	}
}

// listen acts on LISTEN and UNLISTEN. Outside a transaction they are Sluice's own to do; inside one the
// session is bound to the host from then on.
func (g *guest) listen(r *request, c *command) (bool, codec.Need, error) {
	if !g.cfg.Aside || g.host != nil || g.loss.block || g.group || !g.inUTF8() {
		return false, codec.NeedBytes, nil
	}
	g.aside = codec.Aside{Name: string(c.name())}
	switch c.kind {
	case cmdUnlisten:
		g.aside.Kind = codec.AsideUnlisten
	case cmdUnlistenAll:
		g.aside.Kind = codec.AsideUnlistenAll
	}
	r.s.skip(r.at, r.at+r.total)
	return true, codec.NeedAside, nil
}

// inUTF8 tells whether the client's names and texts are those of the shared listening connection.
func (g *guest) inUTF8() bool {
	if g.told == nil {
		return false
	}
	encoding, _ := g.told.get("client_encoding")
	return encoding == "UTF8"
}

// Answered tells that what NeedAside asked for was done.
func (g *guest) Answered(err *codec.Error, t *codec.Turn) {
	tag := "UNLISTEN"
	if g.aside.Kind == codec.AsideListen {
		tag = "LISTEN"
	}
	g.answer(tag, err, t)
}

// bound looks at a Bind before it is sent: more of it is needed if its parameters name settings.
func (g *guest) bound(r *request, st *stmt, at int) (more int, need codec.Need) {
	if need := g.sequences(r, st.words); need != codec.NeedBytes {
		return 0, need
	}
	if st.words&(wordSettings|wordParams) == 0 && !st.sets {
		return 0, codec.NeedBytes
	}
	if !r.whole() {
		if r.total <= maxQueryHead {
			return r.total, codec.NeedBytes
		}
		g.suspect |= wordSettings | wordUnsure
		return 0, codec.NeedBytes
	}
	w := findSettings([]byte(st.text()), st.words, &g.custom)
	g.suspect |= w & (wordLook | wordUnsure)
	if w&wordParams != 0 {
		g.custom.addParams(r.m[at:])
	}
	if r.m[headerSize] == 0 {
		g.portal = plainChange([]byte(st.text()))
	}
	return 0, codec.NeedBytes
}

// addParams adds the values of a Bind, from behind its names, that may be names of settings.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BIND
func (n *customNames) addParams(b []byte) {
	if len(b) < 2 {
		return
	}
	formats := int(b[0])<<8 | int(b[1])
	if b = b[2:]; len(b) < 2*formats+2 {
		return
	}
	b = b[2*formats:]
	count := int(b[0])<<8 | int(b[1])
	b = b[2:]
	for ; count > 0 && len(b) >= 4; count-- {
		size := int(int32(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])))
		b = b[4:]
		if size < 0 {
			continue
		}
		if size > len(b) {
			return
		}
		if isCustomName(b[:size]) {
			n.add(b[:size])
		}
		b = b[size:]
	}
}

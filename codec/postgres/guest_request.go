package postgres

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// request is a message of the client that is being acted on.
type request struct {
	s     *source
	at    int    // where it begins in the source
	m     []byte // its header and what is at hand of its body
	total int    // bytes of it, header included
}

// whole tells whether all of it is at hand.
func (r *request) whole() bool { return len(r.m) == r.total }

// cstring returns the string at m[at:], and where what follows begins; 0 if its end is not at hand.
func (r *request) cstring(at int) (b []byte, next int) {
	if at >= len(r.m) {
		return nil, 0
	}
	end := bytes.IndexByte(r.m[at:], 0)
	if end < 0 {
		return nil, 0
	}
	return r.m[at : at+end], at + end + 1
}

// act acts on a message. more > 0: that many bytes of it are needed first.
func (g *guest) act(typ byte, r *request) (more int, need codec.Need, err error) {
	switch typ {
	case 'X':
		g.quit = true
		r.s.skip(r.at, r.at+len(r.m))
		return 0, codec.NeedEnd, nil
	case 'c', 'd', 'f':
		return 0, codec.NeedBytes, g.copyData(typ, r)
	case 'H':
		if g.host == nil {
			r.s.skip(r.at, r.at+len(r.m))
		}
		return 0, codec.NeedBytes, nil
	case 'S':
		return 0, codec.NeedBytes, g.sync(r)
	case 'Q':
		return g.query(r)
	case 'F':
		return g.function(r)
	}
	if g.host == nil {
		return g.alone(typ, r)
	}
	if g.busy() {
		return 0, codec.NeedTurn, nil
	}
	switch typ {
	case 'P':
		return g.parse(r)
	case 'B':
		return g.bind(r)
	case 'D', 'C':
		return g.describeOrClose(typ, r)
	}
	if len(r.m) == headerSize && (g.portal.name != "" || g.unnamedPortal != g.namedPortals) {
		return headerSize + 1, codec.NeedBytes, nil // the portal's name begins there
	}
	g.enterGroup(nil)
	return 0, codec.NeedBytes, g.host.ask(debt{Code: oweExecute, Flag: g.executes(r), Mark: byte(g.courseExecuted(r))}) // 'E'
}

// function acts on a FunctionCall.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-FUNCTION-CALL
func (g *guest) function(r *request) (more int, need codec.Need, err error) {
	const front = headerSize + 4 // up to the function's OID
	if len(r.m) < front {
		return front, codec.NeedBytes, nil
	}
	var w words
	if !g.cfg.Lasting {
		w = functionWords(binary.BigEndian.Uint32(r.m[headerSize:]))
	}
	if w&wordSequence != 0 {
		if need := g.sequence(r); need != codec.NeedBytes {
			return 0, need, nil
		}
	}
	if g.host == nil {
		return 0, codec.NeedHost, nil
	}
	if g.busy() {
		return 0, codec.NeedTurn, nil
	}
	g.suspect |= w & (wordLook | wordUnsure)
	flag := g.leaveGroup(kindFunction, nil)
	return 0, codec.NeedBytes, g.host.ask(debt{Code: oweFunction, Flag: flag})
}

// alone acts on a message without a host, if that is possible: the name of a statement is given up
// without one, and taken if a server of the pool has prepared the statement well since the schema last
// changed. Clients that prepare before they go to work need no server each, and don't wait for one.
func (g *guest) alone(typ byte, r *request) (more int, need codec.Need, err error) {
	if g.cfg.Lasting || g.loss.block || typ != 'P' && typ != 'C' || r.total > maxQueryHead {
		return 0, codec.NeedHost, nil
	}
	if !r.whole() {
		return r.total, codec.NeedBytes, nil
	}
	answer := ""
	if typ == 'P' {
		answer = g.parseKnown(r)
	} else {
		answer = g.closeKnown(r)
	}
	if answer == "" {
		if _, next := r.cstring(headerSize); typ == 'P' && !g.forsaken && next > 0 && speaksOfSequences(r.m[next:]) {
			return 0, codec.NeedSame, nil
		}
		return 0, codec.NeedHost, nil
	}
	r.s.skip(r.at, r.at+r.total)
	r.s.t.Client.AppendString(answer)
	return 0, codec.NeedBytes, nil
}

// parseKnown takes a name for a statement that is known to be well. It returns the answer; "" if a server
// has to be asked.
func (g *guest) parseKnown(r *request) string {
	name, next := r.cstring(headerSize)
	if len(name) == 0 || g.unsure || g.find(name) != nil || g.isApart(name) {
		return ""
	}
	st := g.shelf.find(r.m[next:], g.settings.prints())
	if st == nil || st.proven != g.shelf.era || !g.roomFor(len(st.tail)) {
		return ""
	}
	g.shelf.use(st)
	g.enterGroup(nil)
	g.name(&named{name: string(key(name)), st: st})
	return "1\x00\x00\x00\x04"
}

// closeKnown gives the name of a statement up.
func (g *guest) closeKnown(r *request) string {
	name, _ := r.cstring(headerSize + 1)
	n := g.find(name)
	if n == nil || r.m[headerSize] != 'S' {
		return ""
	}
	g.enterGroup(nil)
	delete(g.names, n.name)
	g.shelf.release(n.st)
	return "3\x00\x00\x00\x04"
}

// name enters a prepared statement of the client.
func (g *guest) name(n *named) {
	if g.names == nil {
		g.names = make(map[string]*named)
	}
	g.names[n.name] = n
}

// busy tells that a message has to wait for what Sluice itself does on the host.
func (g *guest) busy() bool {
	h := g.host
	return h.busyOwn() || g.hold
}

// isSelect tells at a glance that a text begins with SELECT.
func isSelect(text []byte) bool {
	return len(text) > 6 && text[0]|0x20 == 's' && text[1]|0x20 == 'e' && text[2]|0x20 == 'l'
}

// isSetLocal tells whether a text is a SET LOCAL, or SET TRANSACTION or SET CONSTRAINTS, and nothing
// else: their effect ends with the transaction.
func isSetLocal(text []byte) bool {
	if !maySet(text) {
		return false
	}
	s := sqlScanner{text: text}
	if !s.is(s.next(), "set") {
		return false
	}
	if t := s.next(); !s.is(t, "local") && !s.is(t, "transaction") {
		return false
	}
	for {
		switch s.next().kind {
		case tokenEnd:
			return true
		case tokenSemicolon:
			return s.next().kind == tokenEnd
		case tokenUnsure:
			return false
		}
	}
}

// enterGroup notes a message of the extended protocol.
func (g *guest) enterGroup(text []byte) {
	if !g.group {
		g.group = true
		if h := g.host; h != nil {
			h.startRecord()
		}
		g.begun(kindExtended, text)
	}
}

// begun tells of a command that has begun.
func (g *guest) begun(k codec.Kind, text []byte) {
	if g.loss.repeats {
		g.loss.repeats = false
	} else if g.watch != nil {
		g.watch.OnCommand(k, text)
	}
}

// leaveGroup notes a command that has its ReadyForQuery without a Sync. It returns the flag of its
// debt.
func (g *guest) leaveGroup(k codec.Kind, text []byte) (flag byte) {
	if g.group {
		g.group = false
		flag = flagGroup
	}
	g.begun(k, text)
	return flag
}

// sync acts on a Sync. Without a host there is nothing to be synchronised.
func (g *guest) sync(r *request) error {
	group := g.group
	if !group {
		g.begun(kindExtended, nil)
	}
	g.group = false
	if g.host == nil {
		r.s.skip(r.at, r.at+len(r.m))
		g.syncAlone(r, group)
		return nil
	}
	g.host.deaf = false
	if g.back {
		g.back, g.hold, g.heldBy = false, true, g.host.sent
	}
	return g.host.ask(debt{Code: oweSync})
}

// copyData acts on CopyData, CopyDone and CopyFail. Those that come when their COPY is over, because
// it has failed, are for nobody: the server would throw them away.
func (g *guest) copyData(typ byte, r *request) error {
	h := g.host
	if h == nil || h.copying == copyNone && h.owed.Len() == 0 {
		r.s.skip(r.at, r.at+len(r.m))
		g.drop = true
		return nil
	}
	if typ != 'd' && h.copying != copyBoth {
		return h.ask(debt{Code: oweCopyEnd})
	}
	return nil
}

// query acts on a Query. A short one is looked at as a whole.
func (g *guest) query(r *request) (more int, need codec.Need, err error) {
	if !r.whole() && r.total <= maxQueryHead && !g.cfg.Lasting {
		return r.total, 0, nil
	}
	if len(r.m) < minFront && g.cfg.KeepOnLoss && !r.whole() {
		return minFront, 0, nil
	}
	text := r.m[headerSize:]
	if r.whole() && len(text) > 0 {
		text = text[:len(text)-1]
	}
	var w words
	set := false // SET may be among its statements, or there are several
	if g.ahead.known {
		w, set = g.ahead.words, g.ahead.set
	} else if !g.cfg.Lasting && r.whole() {
		set = maySet(text)
		w = scanText(text, g.words)
		if set || w&wordSettings != 0 {
			w = findSettings(text, w, &g.custom)
		}
		if g.findCommand(text, w) {
			done, need, err := g.command(r, text)
			if done || need != codec.NeedBytes || err != nil {
				return 0, need, err
			}
		} else {
			g.ahead = ahead{true, set, w}
		}
	}
	if need := g.sequences(r, w); need != codec.NeedBytes {
		return 0, need, nil
	}
	if g.host == nil {
		return 0, codec.NeedHost, nil
	}
	if g.busy() {
		return 0, codec.NeedTurn, nil
	}
	if !g.cfg.Lasting && !r.whole() {
		g.scan = true
		g.scanner.start(g.words)
		g.scanner.feed(text)
	}
	g.suspect |= w & (wordLook | wordUnsure)
	d := debt{}
	switch {
	case !r.whole() || g.cfg.Lasting || isSelect(text) && !set:
	case isSetLocal(text):
		d.Flag = flagCalm
		g.unsure = true
	case maySurvey(text, set):
		d.Flag = g.changeSent(plainChange(text))
		v, err := g.expose(text, r)
		if err != nil {
			return 0, codec.NeedBytes, err
		}
		g.hold, g.heldBy = !g.group && (v.back || v.drops), g.host.sent
	}
	if g.cfg.KeepOnLoss {
		c := course(0)
		switch {
		case !r.whole():
			c = courseOfFront(text[:min(len(text), minFront)])
		case set || mayTurn(text) || g.cfg.Lasting: // maySet is not asked again
			c = courseOf(text)
		}
		if r.whole() && (c == courseOpens || g.host.cfg.Part == codec.PartPrimary) {
			g.host.keepQuery(r.m)
		}
		d.Mark = byte(c)
	}
	return 0, codec.NeedBytes, g.pass(text, d)
}

// pass has the server run a Query. d is what is known of it.
func (g *guest) pass(text []byte, d debt) error {
	d.Code = oweQuery
	d.Flag |= g.leaveGroup(kindQuery, text)
	d.Ref.prev = g.unnamed.st
	g.forgetUnnamed()
	return g.host.ask(d)
}

// appendNamed appends a message whose body is a name and what follows it.
func appendNamed(dst []byte, typ byte, front []byte, name string, rest []byte, more int) []byte {
	n := 4 + len(front) + len(name) + 1 + len(rest) + more
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, front...)
	dst = append(append(dst, name...), 0)
	return append(dst, rest...)
}

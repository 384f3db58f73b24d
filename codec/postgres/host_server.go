package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"sluice/codec"
)

// fate is what becomes of a message of the server.
type fate uint8

const (
	fatePass    fate = iota // it goes to the client as it is
	fateCopy                // it goes to the client, and is read as well
	fateKeep                // it is read first, and then told or not
	fateSwallow             // it is thrown away
)

// run is a piece of the server's stream that is being read: p[from:at] goes to the client unchanged.
type run struct {
	p        []byte
	from, at int
}

// client returns the outlet to the client, behind what has been passed so far.
func (h *host) client(t *codec.Turn) *codec.Outlet {
	if r := &h.run; r.at > r.from {
		t.Client.Pass(r.p[r.from:r.at])
		r.from = r.at
	}
	return &t.Client
}

// Server reads the server's stream. What goes to the client unchanged goes by runs of messages.
func (h *host) Server(p []byte, t *codec.Turn) error {
	h.run = run{p: p}
	if len(h.early) > 0 {
		h.tellEarly(t)
	}
	err := h.read(t)
	h.client(t)
	h.run = run{}
	return err
}

// read reads the present run to its end: messages that lie in it as a whole at once, others as they come.
func (h *host) read(t *codec.Turn) error {
	r := &h.run
	for r.at < len(r.p) {
		if !h.in.mid() {
			if err := h.readWhole(t); err != nil || r.at == len(r.p) {
				return err
			}
		}
		if err := h.readPart(t); err != nil {
			return err
		}
	}
	return nil
}

// readWhole reads messages up to one that does not lie in the run as a whole.
func (h *host) readWhole(t *codec.Turn) error {
	r := &h.run
	for {
		m := r.p[r.at:]
		if len(m) < headerSize {
			return nil
		}
		typ, size := m[0], binary.BigEndian.Uint32(m[1:])
		if typ == 'D' && h.replied && h.passesRows() {
			if rest := skipRows(m); len(rest) < len(m) {
				r.at = len(r.p) - len(rest)
				continue
			}
		}
		if !serverRules[typ].allows(size) {
			return ruleError(codec.Server, typ, size)
		}
		if uint64(size) >= uint64(len(m)) {
			return nil
		}
		fate, err := h.begin(typ, size)
		if err != nil {
			return err
		}
		h.fate = fate
		if fate >= fateKeep {
			h.client(t)
			r.from = r.at + 1 + int(size)
		}
		r.at += 1 + int(size)
		if fate != fatePass && fate != fateSwallow {
			h.body = m[headerSize : 1+size]
		}
		if err := h.end(typ, t); err != nil {
			return err
		}
		h.fate, h.body = fatePass, nil
	}
}

// readPart reads what there is of a message that comes in pieces.
func (h *host) readPart(t *codec.Turn) error {
	c, r := &h.in, &h.run
	if c.left == 0 {
		if ok, err := h.header(t); !ok || err != nil {
			return err
		}
	}
	body := c.body(r.p[r.at:])
	c.left -= uint32(len(body))
	r.at += len(body)
	if h.fate >= fateKeep {
		r.from = r.at
	}
	if h.fate == fateCopy || h.fate == fateKeep {
		h.take(body)
	}
	if c.left > 0 {
		return nil
	}
	if err := h.end(c.head[0], t); err != nil {
		return err
	}
	h.fate, h.body, h.gather = fatePass, nil, h.gather[:0]
	if cap(h.gather) > maxQueryHead {
		h.gather = nil
	}
	return nil
}

// header reads a header, and decides what becomes of the message. ok is false if it is not whole.
func (h *host) header(t *codec.Turn) (ok bool, err error) {
	c, r := &h.in, &h.run
	start, cut := r.at, c.have > 0
	typ, size, rest, ok := c.header(r.p[r.at:])
	if !ok {
		h.client(t)
		r.from, r.at = len(r.p), len(r.p)
		return false, nil
	}
	if !serverRules[typ].allows(size) {
		return false, ruleError(codec.Server, typ, size)
	}
	if h.fate, err = h.begin(typ, size); err != nil {
		return false, err
	}
	if cut || h.fate >= fateKeep {
		r.at = start
		h.client(t)
		r.from = len(r.p) - len(rest)
		if cut && h.fate < fateKeep {
			t.Client.Append(c.head[:]...)
		}
	}
	r.at = len(r.p) - len(rest)
	c.left = size - 4
	return true, nil
}

// passesRows tells whether DataRows go to the client.
func (h *host) passesRows() bool {
	return h.owed.Len() > 0 && h.owed.Front().Act == codec.OwedForward
}

// take keeps a body that has to be read. If it is whole, it is not copied.
func (h *host) take(body []byte) {
	if h.in.left == 0 && len(h.gather) == 0 {
		h.body = body
		return
	}
	h.gather = append(h.gather, body[:min(len(body), maxGathered-len(h.gather))]...)
	h.body = h.gather
}

var errLongStatus = errors.New("postgres: the server sent a ParameterStatus that is too long")

// begin decides what becomes of a message.
func (h *host) begin(typ byte, size uint32) (fate, error) {
	toClient := h.guest != nil && !h.gone
	switch typ {
	case 'A':
		if toClient {
			return fatePass, nil
		}
		return fateSwallow, nil
	case 'N':
		switch {
		case !toClient || h.owed.Len() > 0 && h.owed.Front().Act != codec.OwedForward:
			return fateSwallow, nil
		case h.guest.cfg.KeepOnLoss && size <= maxGathered:
			return fateKeep, nil
		}
		return fatePass, nil
	case 'S':
		if size > maxGathered {
			return 0, errLongStatus
		}
		return fateKeep, nil
	case 'E':
		if h.copying != copyFailed {
			h.doubt = 0
		}
		if size > maxGathered && toClient && (h.owed.Len() == 0 || !ownCode(h.owed.Front().Code)) {
			return fateCopy, nil
		}
		return fateKeep, nil
	}
	if typ == 'Z' && h.isStray() {
		return h.fateOf(toClient), nil
	}
	if h.copying != copyFailed && typ != 'Z' {
		h.doubt = 0
	}
	if h.owed.Len() == 0 {
		return 0, fmt.Errorf("postgres: the server sent type %q that nobody asked for", typ)
	}
	d := h.owed.Front()
	if d.Act == codec.OwedSwallow {
		if typ == 'Z' || typ == 'D' && (d.Code == oweLook || d.Code == owePosition) {
			return fateKeep, nil
		}
		return fateSwallow, nil
	}
	if !h.replied {
		h.onReply(d.Code)
	}
	if typ == 'Z' || typ == 'C' {
		return fateCopy, nil
	}
	return fatePass, nil
}

// fateOf is that of a message that goes to the client, if there is one, and is read.
func (h *host) fateOf(toClient bool) fate {
	if toClient {
		return fateCopy
	}
	return fateKeep
}

// ownCode tells whether a debt is for a Query of Sluice's own.
func ownCode(code byte) bool { return code >= oweSwitch }

// onReply tells of the first message of an answer.
func (h *host) onReply(code byte) {
	h.replied = true
	if g := h.guest; g != nil && g.watch != nil && !h.gone {
		g.watch.OnReply(kindOf(code))
	}
}

// kindOf is the kind of command that a debt belongs to.
func kindOf(code byte) codec.Kind {
	switch code {
	case oweQuery:
		return kindQuery
	case oweFunction:
		return kindFunction
	}
	return kindExtended
}

// answers has, for each type of message that ends the answer to a message of the extended protocol,
// what it may answer.
var answers = [256]byte{'1': oweParse, '2': oweBind, '3': oweClose, 'n': oweDescribe}

// end acts on a message that is whole.
func (h *host) end(typ byte, t *codec.Turn) error {
	switch typ {
	case 'D':
		if h.fate == fateKeep && h.owed.Front().Code == owePosition {
			h.locatedBy(h.body)
		} else if h.fate == fateKeep {
			if err := h.looking.row(h.body); err != nil && h.lookErr == nil {
				h.lookErr = err
			}
		}
		return nil
	case 'N':
		if h.fate == fateKeep && h.guest != nil && !h.gone {
			h.notice(t)
		}
		return nil
	case 'A', 'd', 't', 'V':
		return nil
	case 'Z':
		return h.ready(h.body[0], t)
	case 'E':
		return h.failure(t)
	case 'S':
		return h.status(t)
	}
	d := h.owed.Front()
	if d.Act == codec.OwedForward {
		h.count(typ)
	}
	switch typ {
	case '1', '2', '3', 'n':
		if d.Code != answers[typ] {
			return fmt.Errorf("postgres: the server sent type %q out of place", typ)
		}
		if typ == '1' && d.Ref.st != nil && h.shelf != nil {
			d.Ref.st.proven = h.shelf.era
		}
		h.pop(t)
	case 'T':
		if d.Code == oweDescribe {
			h.pop(t)
		}
	case 'C', 'I', 's':
		h.complete(typ, d, t)
	case 'G':
		h.copying = copyIn
		if h.gone {
			h.endCopy(t)
		}
	case 'H':
		h.copying = copyOut
	case 'W':
		h.copying = copyBoth
	case 'c':
		if h.copying == copyOut {
			h.copying = copyNone
		}
	}
	return nil
}

// complete takes the end of a statement's answer.
func (h *host) complete(typ byte, d *debt, t *codec.Turn) {
	if typ == 'C' {
		h.copyDone()
		if h.fate == fateCopy {
			h.tagged(d.Flag)
		}
		d = h.owed.Front()
	}
	if d.Code == oweExecute {
		if d.Act == codec.OwedForward {
			h.past = h.past.behind(course(d.Mark))
		}
		h.pop(t)
	}
}

// pop takes the oldest debt as paid, and tells the client what was to be invented behind it.
func (h *host) pop(t *codec.Turn) {
	h.owed.Pop()
	for h.owed.Len() > 0 {
		d := h.owed.Front()
		if d.Act != codec.OwedInvent && d.Code != oweCopyEnd {
			return
		}
		if d.Act == codec.OwedInvent {
			h.client(t)
			h.tell(d, t)
		}
		h.owed.Pop()
	}
}

// ready takes a ReadyForQuery.
func (h *host) ready(status byte, t *codec.Turn) error {
	switch status {
	case 'I':
		h.tx = codec.TxIdle
	case 'T':
		h.tx = codec.TxOpen
	case 'E':
		h.tx = codec.TxFailed
	default:
		return fmt.Errorf("postgres: the server sent the unknown transaction status 0x%02x", status)
	}
	if h.isStray() {
		h.doubt--
		return nil
	}
	if h.copying == copyFailed {
		h.copyAnswered()
	}
	d := *h.owed.Front()
	if !endsBatch(d.Code) {
		return errUnasked
	}
	if h.turning {
		if h.hasTurned(status, t) {
			return nil
		}
		d = *h.owed.Front()
	}
	h.copying = copyNone
	h.done++
	if ownCode(d.Code) {
		h.pop(t)
		h.ownDone(d, t)
	} else {
		if d.Act == codec.OwedForward {
			h.commandDone(d)
		}
		h.past = 0
		h.pop(t)
		if h.curing {
			h.rerun(t)
		}
	}
	if h.owed.Len() == 0 {
		h.settle(t)
	}
	return nil
}

// commandDone tells of the end of a client's command.
func (h *host) commandDone(d debt) {
	failed := h.erred
	h.replied, h.erred, h.instead = false, false, nil
	g := h.guest
	if g == nil || h.gone {
		return
	}
	h.blind = false
	if h.tx != codec.TxFailed {
		g.loss.block, g.loss.any = false, false
	}
	if g.cfg.SingleStatements && h.tx != codec.TxIdle && g.fail == nil {
		g.fail = errSingle
	}
	if h.tx != codec.TxIdle {
		h.uneasy = h.uneasy || h.isUneasy(course(d.Mark))
		g.hold = g.hold && h.done <= g.heldBy
	} else if !g.cfg.Lasting {
		g.suspect |= g.settings.always()
		h.uneasy = g.suspect&(wordLook|wordUnsure) != 0
	}
	if g.watch == nil {
		return
	}
	if d.Flag&flagGroup != 0 {
		g.watch.OnDone(kindExtended, false)
	}
	g.watch.OnDone(kindOf(d.Code), failed)
}

// status takes a ParameterStatus. The client hears of it unless Sluice itself has caused it. What a RESET
// or DISCARD reports is the server's own value; the client hears of its own, which comes next.
func (h *host) status(t *codec.Turn) error {
	name, rest, ok := cutString(h.body)
	value, rest, ok2 := cutString(rest)
	if !ok || !ok2 || len(rest) > 0 {
		return errors.New("postgres: the server sent a ParameterStatus that makes no sense")
	}
	was, p := h.report, codec.Param{Name: string(name), Value: string(value)}
	h.report = was.with(p.Name, p.Value)
	g := h.guest
	if g == nil || h.gone || g.told == nil || h.owed.Len() > 0 && h.owed.Front().Act == codec.OwedSwallow {
		return nil
	}
	if g.hold && h.tx == codec.TxIdle {
		p.Value = h.ownValue(p)
	}
	if told := g.told; told != was || p.Value != string(value) {
		if g.told = told.with(p.Name, p.Value); g.told == told {
			return nil
		}
	} else {
		g.told = h.report
	}
	out := h.client(t)
	out.End(appendStatus(out.Begin(), p))
	if !g.cfg.Lasting && h.owed.Len() > 0 {
		if g.changes.tell(p.Name) {
			g.suspect |= wordNamed
		} else {
			g.suspect |= wordSettings
		}
		g.unsure = true
	}
	return nil
}

// ownValue is what a parameter will be for the client that has gone back to what it was at the login, if
// it did: the value of the client's own login, not of Sluice's.
func (h *host) ownValue(p codec.Param) string {
	g := h.guest
	if _, own := g.startup.get(settingName(p.Name)); own && p.Value == firstOf(h.fresh.get(p.Name)) {
		if value, ok := g.intro.report.get(p.Name); ok {
			return value
		}
	}
	return p.Value
}

// tagged takes the tag of a command of the client's.
func (h *host) tagged(flag byte) {
	g := h.guest
	if g == nil || g.cfg.Lasting || h.gone {
		return
	}
	tag := h.body
	if n := len(tag); n > 0 && tag[n-1] == 0 {
		tag = tag[:n-1]
	}
	if flag&flagCalm != 0 {
		return
	}
	h.drawn = h.drawn || draws(tag)
	if len(g.changes.list) > 0 && string(tag) == "ROLLBACK" {
		g.changes.rough = true
	}
	if flag&flagNamed != 0 && (string(tag) == "SET" || string(tag) == "RESET") {
		g.suspect |= wordNamed
		g.unsure = true
		return
	}
	if w := tagWords(tag, g.pins); w != 0 {
		g.suspect |= w
		if w&wordSettings != 0 {
			g.unsure = true
		}
		if tag[0] == 'D' {
			h.dropped(string(tag))
		}
	}
	if isDDL(tag) && g.suspect&wordTemp == 0 {
		h.altered = true
		h.Forget()
	}
}

// dropped takes the tag of a command that may have wiped what is kept of the session.
func (h *host) dropped(tag string) {
	g := h.guest
	switch tag {
	case "DISCARD ALL":
		g.pins, g.custom = 0, customNames{}
		g.ahead = ahead{} // its names of settings are to be found again
		g.custom.addSettings(g.startup)
		fallthrough
	case "DEALLOCATE ALL":
		h.forgetPrepared()
		if h.owed.Len() == 1 {
			h.wipe()
		} else {
			h.distrust()
		}
	case "DISCARD SEQUENCES":
		g.pins &^= wordSequence
	}
}

// forgetPrepared takes the client's prepared statements off, but for those that are made behind the
// command at hand.
func (h *host) forgetPrepared() {
	g, words := h.guest, h.guest.apart.words
	for n := range h.coming() {
		n.coming = true
	}
	g.forgetNames(h.done)
	g.forgetApart()
	for n := range h.coming() {
		if n.coming = false; n.apart {
			g.setApart(n)
			g.apart.words = words
		}
	}
}

// coming are the client's statements whose Parse is on its way, behind the command at hand.
func (h *host) coming() iter.Seq[*named] {
	return func(yield func(*named) bool) {
		for i := 1; i < h.owed.Len(); i++ {
			d := h.owed.At(i)
			if d.Code == oweParse && d.Act != codec.OwedSwallow && d.Ref.named != nil && d.Flag&flagTaken == 0 && !yield(d.Ref.named) {
				return
			}
		}
	}
}

// noUnnamed lets go of the unnamed statement.
func (g *guest) noUnnamed() unnamedStmt {
	if g.unnamed.st != nil {
		g.shelf.release(g.unnamed.st)
	}
	return unnamedStmt{}
}

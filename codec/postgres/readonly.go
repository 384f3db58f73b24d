package postgres

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"sluice/codec"
)

// A unit of work may be done by a standby if the client itself says that it only reads: by BEGIN READ
// ONLY, or by default_transaction_read_only and a statement that only can read. It must be what is going to
// run, so what is not at hand counts as no: a statement in a Parse has to be followed by the Bind and the
// Execute that run it.
//
//   - https://www.postgresql.org/docs/current/sql-set-transaction.html
//   - https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-USERS

var _ codec.Reader = (*guest)(nil)

// ReadOnly tells that the unit of work in front only reads.
func (g *guest) ReadOnly(rest []byte) bool {
	if g.cfg.Lasting || g.special || g.loss.block {
		return false
	}
	front := g.buf
	if len(front) == 0 {
		front, rest = rest, nil
	}
	typ, body, more, ok := wholeMessage(front)
	if !ok {
		return false
	}
	if len(g.buf) > 0 {
		more = rest
	}
	switch typ {
	case 'Q':
		text, _, ok := cutString(body)
		return ok && g.onlyReads(text)
	case 'P':
		name, tail, ok := cutString(body)
		text, _, ok2 := cutString(tail)
		return ok && ok2 && g.onlyReads(text) && isRun(name, more)
	case 'B':
		portal, tail, ok := cutString(body)
		name, _, ok2 := cutString(tail)
		return ok && ok2 && g.onlyReads(g.textOf(name)) && isExecuted(portal, more)
	}
	return false
}

// Sole has what the client sends behind the unit of work wait.
func (g *guest) Sole() { g.sole = true }

// isAhead tells that a message begins something new behind what a sole unit of work is still owed.
func (g *guest) isAhead(typ byte) bool {
	if g.group || g.host.owed.Len() == 0 {
		return false
	}
	switch typ {
	case 'Q', 'P', 'B', 'D', 'E', 'C', 'F':
		return true
	}
	return false
}

// textOf is the text of a prepared statement of the client; nil if it is not known. It must not be
// changed.
func (g *guest) textOf(name []byte) []byte {
	st := g.unnamed.st
	if len(name) > 0 {
		st = nil
		if n := g.find(name); n != nil {
			st = n.st
		}
	}
	if st == nil {
		return nil
	}
	text := st.text()
	return unsafe.Slice(unsafe.StringData(text), len(text))
}

// wholeMessage cuts a message off the front of p.
func wholeMessage(p []byte) (typ byte, body, rest []byte, ok bool) {
	if len(p) < headerSize {
		return 0, nil, nil, false
	}
	size := binary.BigEndian.Uint32(p[1:])
	if size < 4 || uint64(size) >= uint64(len(p)) {
		return 0, nil, nil, false
	}
	return p[0], p[headerSize : 1+size], p[1+size:], true
}

// isRun tells that what follows binds the statement of that name and executes it.
func isRun(name, p []byte) bool {
	typ, body, rest, ok := wholeMessage(p)
	if ok && typ == 'D' {
		typ, body, rest, ok = wholeMessage(rest)
	}
	if !ok || typ != 'B' {
		return false
	}
	portal, tail, ok := cutString(body)
	bound, _, ok2 := cutString(tail)
	return ok && ok2 && bytes.Equal(bound, name) && isExecuted(portal, rest)
}

// isExecuted tells that what follows executes that portal.
func isExecuted(portal, p []byte) bool {
	typ, body, rest, ok := wholeMessage(p)
	if ok && typ == 'D' {
		typ, body, _, ok = wholeMessage(rest)
	}
	name, _, ok2 := cutString(body)
	return ok && ok2 && typ == 'E' && bytes.Equal(name, portal)
}

// onlyReads tells that all of a text is run by a transaction that says that it only reads, or by none.
func (g *guest) onlyReads(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	s := sqlScanner{text: text}
	t := s.next()
	for t.kind == tokenSemicolon {
		t = s.next()
	}
	if t.kind != tokenWord {
		return false
	}
	byDefault := g.defaults("default_transaction_read_only", "on")
	serializable := g.defaults("default_transaction_isolation", "serializable")
	if !s.is(t, "begin") && !s.is(t, "start") {
		return byDefault && !serializable && readsOn(&s, t)
	}
	var m modes
	t, ok := m.read(&s, t)
	if m.level {
		serializable = m.serializable
	}
	return ok && (m.readOnly || byDefault) && !m.write && !serializable && readsOn(&s, t)
}

// defaults tells that the client has set a setting to that value.
func (g *guest) defaults(name, value string) bool {
	if g.settings == nil {
		return false
	}
	got, _ := g.settings.get(name)
	return got == value
}

// modes are those of a transaction that begins.
type modes struct {
	readOnly, write bool // READ ONLY, READ WRITE
	level           bool // there is an isolation level
	serializable    bool // it is one that no standby has
}

// read reads BEGIN or START TRANSACTION, whose first word is t. last is what stands behind it.
//
// https://www.postgresql.org/docs/current/sql-begin.html
func (m *modes) read(s *sqlScanner, t token) (last token, ok bool) {
	start := s.is(t, "start")
	t = s.next()
	if noise := s.is(t, "transaction") || !start && s.is(t, "work"); noise {
		t = s.next()
	} else if start {
		return t, false
	}
	for ; ; t = s.next() {
		switch {
		case t.kind == tokenEnd, t.kind == tokenSemicolon:
			return t, true
		case t.kind == tokenOther && s.text[t.at] == ',':
		case s.is(t, "read"):
			t = s.next()
			m.readOnly, m.write = m.readOnly || s.is(t, "only"), m.write || s.is(t, "write")
			if !s.is(t, "only") && !s.is(t, "write") {
				return t, false
			}
		case s.is(t, "isolation"):
			if !s.is(s.next(), "level") || !m.isolation(s) {
				return t, false
			}
		case s.is(t, "not"):
			if !s.is(s.next(), "deferrable") {
				return t, false
			}
		case s.is(t, "deferrable"):
		default:
			return t, false
		}
	}
}

// isolation reads an isolation level.
func (m *modes) isolation(s *sqlScanner) bool {
	m.level = true
	t := s.next()
	switch {
	case s.is(t, "serializable"):
		m.serializable = true
		return true
	case s.is(t, "repeatable"):
		return s.is(s.next(), "read")
	case s.is(t, "read"):
		t = s.next()
		return s.is(t, "committed") || s.is(t, "uncommitted")
	}
	return false
}

// readingVerbs begin statements that change nothing, or are refused, in a transaction that only reads.
var readingVerbs = [...]string{"select", "with", "values", "table", "show", "explain", "declare", "fetch", "move", "close"}

// readsOn tells that from t on, which begins a statement, there are only such that read, and at most the
// end of the transaction behind them.
func readsOn(s *sqlScanner, t token) bool {
	for {
		switch {
		case t.kind == tokenSemicolon:
			t = s.next()
			continue
		case t.kind == tokenEnd:
			return true
		case t.kind != tokenWord:
			return false
		}
		c := command{}
		if !reads(s, t) {
			return c.transaction(s, t) && c.kind == cmdEnd
		}
		for t = s.next(); t.kind != tokenSemicolon; t = s.next() {
			if t.kind == tokenEnd {
				return t.depth == 0
			}
			if t.kind == tokenUnsure {
				return false
			}
		}
		if t.depth != 0 {
			return false
		}
	}
}

// reads tells that t is the verb of a statement that reads.
func reads(s *sqlScanner, t token) bool {
	for _, verb := range readingVerbs {
		if s.is(t, verb) {
			return true
		}
	}
	return false
}

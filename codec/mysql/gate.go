package mysql

import (
	"bytes"

	"sluice/codec"
)

// Gate tells how many of the client's bytes may go on while the session is about to be moved: what belongs
// to a message that has begun, what takes the session out of what keeps it busy, and of that no more than
// one command at a time, so that the first safe point that comes is seen. With each answer of the server
// it may be more.
//
// In a transaction a BEGIN waits, too: the session can be moved at the COMMIT that it implies. In a
// compressed session nothing is looked into: while it is in a transaction all goes on.
func (m *Mover) Gate(p []byte) (n int) {
	if m.awaitsData() || m.holds(codec.Client) {
		return len(p) // behind what is held back to be translated p does not begin with a message
	}
	if m.z != nil {
		return m.gateFrames(p)
	}
	n, more := m.cli.pending(p)
	if n >= len(p) || more {
		return len(p) // the rest of a long message, mostly
	}
	if m.Owed() > 0 || n > 0 && m.begins(p) {
		return n
	}
	for n < len(p) {
		pass, wait := m.gateCommand(p[n:])
		n += pass
		if wait {
			return min(n, len(p))
		}
	}
	return len(p)
}

// begins tells that the message under way, the rest of which lies at the front of p, will be answered.
func (m *Mover) begins(p []byte) bool {
	b, at := byte(0), 0
	switch {
	case m.cli.nhead > 0:
		b = m.cli.head[0]
	default:
		if m.cli.nhdr > 0 {
			at = headerLen - int(m.cli.nhdr)
		}
		if at >= len(p) {
			return true // not known yet
		}
		b = p[at]
	}
	return commands[kindOf(b)].reply != replyNone
}

// gateCommand looks at the front of a message where nothing is owed. pass is the length of what goes on;
// wait says that what follows it does not.
func (m *Mover) gateCommand(p []byte) (pass int, wait bool) {
	if m.resting() {
		return 0, true
	}
	if len(p) <= headerLen {
		return 0, true // until it is known what it is
	}
	size := int(packetLen(p))
	if m.Tx() == codec.TxOpen && p[headerLen] == comQuery && size <= maxBegin && m.mayBegin(p[headerLen:]) {
		if len(p) < headerLen+size {
			return 0, true
		}
		if m.isBegin(p[headerLen : headerLen+size]) {
			return 0, true
		}
	}
	if size == fullLen {
		return len(p), false
	}
	return headerLen + size, commands[kindOf(p[headerLen])].reply != replyNone
}

// resting tells that nothing keeps the session busy but messages under way.
func (m *Mover) resting() bool {
	return m.Tx() != codec.TxOpen && !m.open.has(openCursor) && !m.open.has(openLongData)
}

// gateFrames is Gate in a compressed session.
func (m *Mover) gateFrames(p []byte) int {
	switch {
	case m.Mid(codec.Client), !m.resting():
		return len(p)
	}
	return 0
}

// Askable tells that the session is at a safe point, or would be behind a COMMIT that the first of the bytes
// held back implies.
func (m *Mover) Askable(held []byte) bool {
	if m.Ending() {
		return false
	}
	if m.Busy() == "" {
		return true
	}
	_, ok := m.beginAhead(held)
	return ok
}

// beginAhead tells whether the session only has a transaction open and the next message of the client is a
// BEGIN, which has n bytes.
func (m *Mover) beginAhead(held []byte) (n int, ok bool) {
	if m.Busy() != "transaction" || m.z != nil || m.open.has(openCursor) || m.open.has(openLongData) {
		return 0, false
	}
	size, whole := wholePacket(held)
	if !whole || size == 0 || size > maxBegin || held[headerLen] != comQuery || held[3] != 0 {
		return 0, false
	}
	return headerLen + size, m.isBegin(held[headerLen : headerLen+size])
}

// maxBegin is the longest payload that is looked at as a BEGIN, in bytes.
const maxBegin = 512

// mayBegin tells whether the front of a COM_QUERY does not rule a BEGIN out.
func (m *Mover) mayBegin(b []byte) bool {
	text := b[1:]
	if m.facts.caps&capQueryAttributes != 0 {
		if len(text) < 2 || text[0] != 0 {
			return true
		}
		text = text[2:]
	}
	if len(text) == 0 {
		return true
	}
	switch c := text[0] | 0x20; c {
	case 'b', 's':
		return true
	}
	return isSpace(text[0]) || bytes.IndexByte([]byte("/-#"), text[0]) >= 0
}

// isBegin tells whether a whole COM_QUERY is a statement that ends a transaction by beginning another one,
// and surely one that the server understands:
//
//	BEGIN [WORK] | BEGIN PESSIMISTIC | BEGIN OPTIMISTIC | START TRANSACTION [WITH CONSISTENT SNAPSHOT] [;]
//
// where the third and the fourth are TiDB's. (TiDB may refuse START TRANSACTION READ ONLY, and then ends
// nothing.)
//
//   - https://dev.mysql.com/doc/refman/8.0/en/commit.html
//   - https://docs.pingcap.com/tidb/stable/sql-statement-start-transaction
func (m *Mover) isBegin(b []byte) bool {
	text, ok := b[1:], true
	if m.facts.caps&capQueryAttributes != 0 {
		if text, ok = skipAttributes(text); !ok {
			return false
		}
	}
	s := scanner{b: text}
	switch {
	case s.word("BEGIN"):
		_ = s.word("WORK") || m.kind == kindTiDB && (s.word("PESSIMISTIC") || s.word("OPTIMISTIC"))
	case s.word("START") && s.word("TRANSACTION"):
		if s.word("WITH") && !(s.word("CONSISTENT") && s.word("SNAPSHOT")) {
			return false
		}
	default:
		return false
	}
	s.blank()
	if s.i < len(s.b) && s.b[s.i] == ';' {
		s.i++
		s.blank()
	}
	return !s.torn && s.i == len(s.b)
}

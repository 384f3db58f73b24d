package mysql

import (
	"encoding/binary"

	"sluice/codec"
)

// Mover is the Follower of a session that can go on at another server. It keeps what a second login takes
// (account), and notes what changes the state that a server can be asked for (marks).
type Mover struct {
	Follower
	opt     *codec.MoveOptions
	account account
	kind    serverKind
	marks   uint32
	kept    keptStates // TiDB's answer to the last question
	keep    *keep      // what replay needs; nil where the server is TiDB

	change    []byte // a COM_CHANGE_USER under way, cut to maxChangeKept
	changing  bool   // its answer is still owed
	gathering bool   // it has not come to its end

	pin     codec.Pin // what the server has refused to move the session for
	pinMark uint32    // marks at that time

	prepares bool // TiDB: a statement was prepared
	modes    bool // TiDB: the sql_mode may have been changed since
	batches  bool // TiDB: a transaction may be committed in parts (noteBatch)
	left     bool // the last statement has left something that a question would take away

	thread uint32 // connection id at the server of the login

	id  uint32 // connection id at the server, if the session was moved; else 0
	own *ownID // answers for the id that the client knows; nil until the session was moved
}

// newMover returns a mover that begins behind the OK of the login.
func newMover(x facts, w codec.Watcher, opt *codec.MoveOptions, a account, kind serverKind) *Mover {
	m := &Mover{Follower: *newFollower(x, w), opt: opt, account: a, kind: kind}
	m.mover = m
	if kind != kindTiDB {
		m.keep = newKeep(m)
	}
	return m
}

// Marks grows with each command that may have changed what the server would answer.
func (m *Mover) Marks() uint32 { return m.marks }

// passes tells that a command is of no account for where its session can go on: a whole COM_QUERY whose statement
// is quiet, as nearly all are.
func (m *Mover) passes(c *owedCommand, text []byte, whole bool) bool {
	return whole && c.kind == comQuery && m.quiet(text) && !m.keep.watchful()
}

// quiet tells that a statement leaves no trace in its session. TiDB may be set to run several statements in one
// text for clients that have not asked for that, too:
// https://docs.pingcap.com/tidb/stable/system-variables#tidb_multi_statement_mode-new-in-v4011.
func (m *Mover) quiet(text []byte) bool {
	return quiet(text, m.opt.Functions, m.kind == kindTiDB || m.facts.caps&capMultiStatements != 0)
}

// begun notes a command of the client that does not pass: at is its front as far as it is at hand, or nil; text, within that, is
// its statement, whole if all of it is there.
func (m *Mover) begun(c *owedCommand, head, at, text []byte, whole bool) {
	switch c.kind {
	case comQuery:
		c.loud = true
		if m.kind == kindTiDB {
			m.noteBatch(c, text, whole)
			m.noteModes(text, whole)
			c.touches = !whole || nextIsolation(text)
			c.told = c.told || c.touches
		}
	case comStmtPrepare:
		m.prepares = true
		m.noteBatch(c, text, whole)
		c.touches = !whole || c.verb&(verbReads|verbWrites) == 0 || !quiet(text, m.opt.Functions, false)
		if m.keep != nil {
			m.keep.take(c, at, whole)
			return
		}
	case comStmtClose:
		if m.keep != nil {
			return
		}
	case comStmtExecute, kindBulk:
		if m.keep != nil {
			m.keep.take(c, at, whole)
		}
		if c.stmt == lastStatement || m.open.of(c.stmt)&openTouches != 0 {
			m.marks++
		}
		return
	case comStmtLongData, comStmtReset, comStmtFetch, comPing, comStatistics, comQuit:
		return
	case comSetOption:
		c.told = true
		if len(head) >= 3 {
			c.stmt = uint32(binary.LittleEndian.Uint16(head[1:]))
		}
	case comChangeUser:
		if m.changing {
			m.account.user = "" // two at once: whose will be agreed to is not followed
		}
		m.changing, m.gathering, m.change = true, true, nil
		c.told = true
		m.gather(at)
	}
	m.marks++
	if m.keep != nil {
		m.keep.take(c, at, whole)
	}
}

// gather takes bytes of a COM_CHANGE_USER.
func (m *Mover) gather(b []byte) {
	m.change = append(m.change, b[:min(len(b), maxChangeKept-len(m.change))]...)
}

// part takes a piece of a command that comes in pieces; first tells that it is the first.
func (m *Mover) part(p []byte, first bool) {
	if m.gathering {
		m.gather(p)
	}
	if m.keep != nil && len(p) > 0 {
		m.keep.part(p, first)
	}
}

// clientEnd is called behind each command that came in pieces.
func (m *Mover) clientEnd() {
	m.gathering = false
	if m.keep == nil {
		return
	}
	var c *owedCommand
	if m.owed.n > 0 {
		c = m.owed.last()
	}
	m.keep.complete(c)
}

// preparedOK notes the statement that the oldest owed command has prepared.
func (m *Mover) preparedOK(c *owedCommand, b []byte) {
	if c.touches {
		m.open.set(m.prepared, openTouches)
	}
	if m.keep != nil {
		m.keep.preparedOK(b)
	}
}

// result notes an OK: the id of a row that was inserted is part of a session's state, and the client may ask how many
// rows it were.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
func (m *Mover) result(b []byte) {
	switch { // as most are
	case len(b) == 5 && b[0] == 0xfe:
		m.left = false
		if m.keep != nil {
			m.keep.warned = b[1]|b[2] != 0
		}
		return
	case len(b) == 7 && b[0] == 0 && b[1] < 0xfb && b[2] == 0:
		m.left = b[1] != 0
		if m.keep != nil {
			m.keep.warned = b[5]|b[6] != 0
		}
		return
	}
	if m.keep != nil {
		m.keep.warned = warns(b)
	}
	if m.left = false; len(b) < 3 || b[0] != 0 {
		return
	}
	rows, rest, ok := lenenc(b[1:])
	if m.left = ok && rows != 0; ok && len(rest) > 0 && rest[0] != 0 {
		m.marks++
	}
}

// ended notes that a command has its whole answer.
func (m *Mover) ended(c owedCommand, failed bool) {
	defer m.keep.ended(c, failed) // behind what else is noted of it
	switch c.kind {
	case comQuery:
		m.left = m.left || c.touches && !failed
	case comSetOption:
		switch {
		case failed:
		case c.stmt == multiStatementsOn:
			m.facts.caps |= capMultiStatements
		case c.stmt == multiStatementsOff:
			m.facts.caps &^= capMultiStatements
		}
	case comChangeUser:
		if !failed && m.changing {
			lost := m.account.user == ""
			if m.account.changed(m.change, m.facts.caps); lost {
				m.account.user = ""
			}
		}
		m.changing, m.change = false, nil
	}
}

// Options of COM_SET_OPTION.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_set_option.html
const (
	multiStatementsOn  = 0
	multiStatementsOff = 1
)

package mysql

import "encoding/binary"

// finish ends the oldest owed command.
func (f *Follower) finish(failed bool) {
	c := *f.owed.head()
	f.owed.pop()
	f.phase, f.replied, f.later, f.dialogue = phaseFirst, false, false, false
	if !failed {
		f.fatal = false
		f.done(c)
	}
	if m := f.mover; m != nil && (c.told || m.keep.awaits()) {
		m.ended(c, failed)
	}
	if f.watch != nil {
		f.watch.OnDone(c.kind, failed)
	}
	f.settle()
}

// done applies what a command has done to the session.
func (f *Follower) done(c owedCommand) {
	switch c.kind {
	case comStmtExecute, kindBulk:
		id := f.statement(c.stmt)
		f.open.clear(id, openLongData|openCursor)
		if f.facts.status&statusCursorExists != 0 {
			f.open.set(id, openCursor)
		}
	case comStmtFetch:
		if f.facts.status&statusLastRowSent != 0 {
			f.open.clear(f.statement(c.stmt), openCursor)
		}
	case comStmtReset:
		f.open.clear(f.statement(c.stmt), openLongData|openCursor)
	case comResetConn, comChangeUser:
		f.open.reset()
	case comRegisterSlave:
		f.replica = true
	}
}

// okStatus reads the status flags of an OK, or of an EOF in either of its forms.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
func okStatus(b []byte) (status uint16, ok bool) {
	if len(b) == 0 || b[0] != 0 && b[0] != 0xfe {
		return 0, false
	}
	if b[0] == 0xfe && len(b) == 5 {
		return eofStatus(b)
	}
	rest := b[1:]
	for range 2 { // affected rows, last insert id
		if _, rest, ok = lenenc(rest); !ok {
			return 0, false
		}
	}
	if len(rest) < 2 {
		return 0, false
	}
	return binary.LittleEndian.Uint16(rest), true
}

// eofStatus reads the status flags of an EOF.
func eofStatus(b []byte) (status uint16, ok bool) {
	if len(b) != 5 || b[0] != 0xfe {
		return 0, false
	}
	return binary.LittleEndian.Uint16(b[3:]), true
}

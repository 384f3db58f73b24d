package mysql

import "encoding/binary"

// maxColumns bounds the columns of a result. Servers stop at 4096.
const maxColumns = 1 << 16

// answer judges a message of the server. b is the front of it, total its length.
func (f *Follower) answer(b []byte, total uint32) error {
	switch {
	case f.opaque:
		return nil
	case f.owed.n == 0:
		return f.unasked(b)
	case len(b) >= 3 && b[0] == 0xff:
		if binary.LittleEndian.Uint16(b[1:]) == progressCode {
			return nil
		}
		return f.refused(b)
	}
	switch f.phase {
	case phaseFirst:
		return f.firstAnswer(b, total)
	case phaseDefs:
		if f.skip--; f.skip == 0 {
			f.defsOver()
		}
		return nil
	case phaseDefsEnd:
		return f.defsEnd(b)
	case phaseRows:
		return f.row(b, total)
	case phaseSkip:
		if f.skip--; f.skip == 0 {
			f.finish(false)
		}
		return nil
	}
	return f.result(b) // phaseInfile
}

// progressCode in an ERR of MariaDB's is a report of progress: the answer is still to come.
//
// https://mariadb.com/kb/en/progress-reporting/
const progressCode = 0xffff

// firstAnswer judges the first message of an answer, or of one more result within it.
func (f *Follower) firstAnswer(b []byte, total uint32) error {
	switch f.due {
	case replyQuery:
		return f.queryAnswer(b)
	case replyRows:
		return f.row(b, total)
	case replyStmt:
		return f.stmtAnswer(b)
	case replyText:
		f.finish(false)
		return nil
	case replyAuth:
		return f.authAnswer(b, total)
	case replyEvents:
		if len(b) > 0 && b[0] == 0xfe && total < 9 {
			f.finish(false)
		}
		return nil
	case replyOpaque:
		f.opaque = true
		return nil
	}
	if f.owed.head().kind == kindOther { // whatever it is: servers answer commands they don't know by ERR
		f.finish(false)
		return nil
	}
	return f.result(b)
}

// queryAnswer judges the first message of a result.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
func (f *Follower) queryAnswer(b []byte) error {
	if len(b) == 0 {
		return errAnswer
	}
	switch b[0] {
	case 0x00, 0xfe:
		return f.result(b)
	case 0xfb:
		if f.owed.n > 1 || !f.cli.atBoundary() {
			return errPipelined // the server will read what was sent ahead as the file
		}
		f.infile, f.phase = true, phaseInfile
		return nil
	}
	n, rest, ok := lenenc(b)
	if !ok || n == 0 || n > maxColumns {
		return errAnswer
	}
	if f.mayOmitDefs() && len(rest) > 0 && rest[0] == 0 {
		n = 0
	}
	f.skip, f.phase = uint32(n), phaseDefs
	if n == 0 {
		f.defsOver()
	}
	return nil
}

// defsOver turns to what follows the last column definition.
func (f *Follower) defsOver() {
	f.phase = phaseDefsEnd
	if f.deprecateEOF() {
		f.phase = phaseRows
	}
}

// mayOmitDefs tells whether a byte behind the column count says if column definitions follow. (MySQL's
// manual has the byte in front of the count; the server sends it behind.)
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
//   - https://jira.mariadb.org/browse/MDEV-19237
//   - https://mariadb.com/kb/en/result-set-packets/
func (f *Follower) mayOmitDefs() bool {
	return f.facts.caps&capOptionalMetadata != 0 || f.facts.ext&extCacheMetadata != 0
}

func (f *Follower) deprecateEOF() bool { return f.facts.caps&capDeprecateEOF != 0 }

// defsEnd judges the EOF behind column definitions. If it tells of a cursor no rows follow: they are
// fetched.
func (f *Follower) defsEnd(b []byte) error {
	status, ok := eofStatus(b)
	if !ok {
		return errAnswer
	}
	if status&statusCursorExists != 0 && commands[f.owed.head().kind].stmt {
		f.ended(status)
		return nil
	}
	f.phase = phaseRows
	return nil
}

// row judges a row or the end of the rows. A row, too, can begin with 0xfe, if its first field has 16
// MiB or more, but then it is long.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html
func (f *Follower) row(b []byte, total uint32) error {
	f.phase = phaseRows
	if len(b) == 0 || b[0] != 0xfe || total >= 9 && !(f.deprecateEOF() && total < fullLen) {
		return nil
	}
	return f.result(b)
}

// result judges an OK or EOF that ends a result.
func (f *Follower) result(b []byte) error {
	status, ok := okStatus(b)
	if !ok {
		return errAnswer
	}
	if f.mover != nil {
		f.mover.result(b)
	}
	f.ended(status)
	return nil
}

// ended notes the end of a result: another one follows, or the answer is complete.
func (f *Follower) ended(status uint16) {
	f.setStatus(status)
	if status&statusMoreResults != 0 && f.due == replyQuery {
		f.phase, f.later = phaseFirst, true
		return
	}
	f.finish(false)
}

// stmtAnswer judges PREPARE_OK, behind which come the definitions of parameters and columns.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
func (f *Follower) stmtAnswer(b []byte) error {
	if len(b) < 9 || b[0] != 0 {
		return errAnswer
	}
	f.prepared = binary.LittleEndian.Uint32(b[1:])
	if f.owed.head().verb&verbHides != 0 {
		f.open.set(f.prepared, openHidden)
	}
	if f.mover != nil {
		f.mover.preparedOK(f.owed.head(), b)
	}
	f.skip = definitions(b, f.facts.caps)
	f.phase = phaseSkip
	if f.skip == 0 {
		f.finish(false)
	}
	return nil
}

// definitions is the number of messages that follow a PREPARE_OK.
func definitions(b []byte, caps uint32) (n uint32) {
	columns, params := binary.LittleEndian.Uint16(b[5:]), binary.LittleEndian.Uint16(b[7:])
	if caps&capOptionalMetadata != 0 && len(b) > 12 && b[12] == 0 {
		columns, params = 0, 0
	}
	for _, some := range [...]uint16{params, columns} {
		n += uint32(some)
		if some > 0 && caps&capDeprecateEOF == 0 {
			n++
		}
	}
	return n
}

// refused ends the answer by an ERR.
func (f *Follower) refused(b []byte) error {
	c := f.owed.head()
	f.erred = true
	if f.due == replyQuery {
		// An ERR has no status. With autocommit off the failed statement has opened a transaction
		// all the same, and a procedure may have done so by itself.
		f.inDoubt = f.inDoubt || f.later || c.verb&verbHides != 0 || f.facts.status&statusAutocommit == 0 ||
			c.stmt != 0 && f.open.of(f.statement(c.stmt))&openHidden != 0
	}
	if f.mover != nil && f.mover.keep != nil {
		f.mover.keep.code, f.mover.keep.warned = binary.LittleEndian.Uint16(b[1:]), true
	}
	if endsConnection(binary.LittleEndian.Uint16(b[1:])) {
		f.fatal = true
	}
	f.finish(true)
	return nil
}

// unasked judges a message that no command waits for. A server says goodbye like this.
//
// https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html#error_er_client_interaction_timeout
func (f *Follower) unasked(b []byte) error {
	if len(b) < 3 || b[0] != 0xff {
		return errUnasked
	}
	f.fatal = true
	return nil
}

// endsConnection tells whether servers hang up behind an ERR with this code: shutdown, packet too
// large, network errors, kill, idle time-out (MariaDB's and MySQL's codes).
func endsConnection(code uint16) bool {
	switch code {
	case 1053, 1153, 1158, 1159, 1160, 1161, 1927, 3169, 4031:
		return true
	}
	return false
}

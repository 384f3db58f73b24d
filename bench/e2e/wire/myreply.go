package wire

import "encoding/binary"

// Reply reads the whole answer to COM_QUERY, COM_STMT_EXECUTE and the like: every result of it. It
// returns early, with the packet, where the client is asked for a file (0xFB).
func (m *MySQL) Reply() []byte {
	for {
		p := m.Packet()
		switch {
		case len(p) == 0, p[0] == 0xfb:
			return p
		case p[0] == 0xff:
			if progress(p) {
				continue
			}
			return p
		case p[0] == 0x00:
			if okStatus(p)&statusMoreResults == 0 {
				return p
			}
		default:
			status, last := m.resultSet(p)
			if status&statusMoreResults == 0 {
				return last
			}
		}
	}
}

// progress tells whether an ERR packet is one of MariaDB's progress reports, which have the code
// 0xFFFF and stand in front of the real answer: https://mariadb.com/kb/en/progress-reporting/.
func progress(p []byte) bool { return len(p) >= 3 && p[0] == 0xff && p[1] == 0xff && p[2] == 0xff }

// resultSet reads a result set whose first packet is p, and returns the status flags in its end. A
// set with a cursor ends behind its columns.
func (m *MySQL) resultSet(p []byte) (status int, last []byte) {
	columns, rest := lenenc(p)
	if m.Caps&MariaCacheMeta != 0 && len(rest) > 0 && rest[0] == 0 {
		columns = 0 // the client is taken to remember them
	}
	for range columns {
		m.Packet()
	}
	if m.Caps&DeprecateEOF == 0 {
		if p := m.Packet(); len(p) >= 5 {
			if s := eofStatus(p); s&statusCursor != 0 {
				return s, p
			}
		}
	}
	return m.rows()
}

// Rows reads what has no count in front of it, up to its end: the answer to COM_FIELD_LIST.
func (m *MySQL) Rows() { m.rows() }

// rows reads rows up to the packet that ends them.
func (m *MySQL) rows() (status int, last []byte) {
	split := false // the packet before was one of a split row
	for m.fault == nil {
		p := m.Packet()
		if len(p) == 0 && !split {
			return 0, p
		}
		begins := !split
		split = len(p) == PacketMax
		switch {
		case !begins || len(p) == 0:
			continue
		case p[0] == 0xff:
			return 0, p
		case p[0] != 0xfe:
			continue
		case m.Caps&DeprecateEOF == 0 && len(p) < 9:
			return eofStatus(p), p
		case m.Caps&DeprecateEOF != 0 && len(p) < PacketMax:
			return okStatus(p), p
		}
	}
	return 0, nil
}

func eofStatus(p []byte) int {
	if len(p) < 5 {
		return 0
	}
	return int(binary.LittleEndian.Uint16(p[3:]))
}

func okStatus(p []byte) int {
	_, rest := lenenc(p[1:])
	_, rest = lenenc(rest)
	if len(rest) < 2 {
		return 0
	}
	return int(binary.LittleEndian.Uint16(rest))
}

// Prepare prepares sql, reads the answer and returns the statement's id; 0 if it was refused.
func (m *MySQL) Prepare(sql string) uint32 {
	m.Command(ComStmtPrepare, []byte(sql))
	p := m.packet("statement", func(p []byte) {
		if len(p) >= 5 {
			blank(p[1:5])
		}
	})
	if len(p) < 12 || p[0] != 0 {
		return 0
	}
	id := binary.LittleEndian.Uint32(p[1:])
	columns, params := int(binary.LittleEndian.Uint16(p[5:])), int(binary.LittleEndian.Uint16(p[7:]))
	for _, n := range []int{params, columns} {
		for range n {
			m.Packet()
		}
		if n > 0 && m.Caps&DeprecateEOF == 0 {
			m.Packet()
		}
	}
	return id
}

// Execute runs a prepared statement with text parameters and reads the answer. With cursor, the rows
// wait to be fetched.
func (m *MySQL) Execute(id uint32, cursor bool, params ...string) {
	m.Command(ComStmtExecute, ExecuteArgs(id, cursor, params...))
	m.Reply()
}

// ExecuteArgs is the body of COM_STMT_EXECUTE with parameters of the type VAR_STRING. "\x00" stands for one
// that was sent as long data before.
func ExecuteArgs(id uint32, cursor bool, params ...string) []byte {
	p := le32(nil, id)
	if cursor {
		p = append(p, 1) // CURSOR_TYPE_READ_ONLY
	} else {
		p = append(p, 0)
	}
	p = le32(p, 1)
	if len(params) == 0 {
		return p
	}
	p = append(p, make([]byte, (len(params)+7)/8)...)
	p = append(p, 1)
	for range params {
		p = append(p, 0xfd, 0)
	}
	for _, v := range params {
		if v != "\x00" {
			p = append(Lenenc(p, uint64(len(v))), v...)
		}
	}
	return p
}

// Fetch reads up to n rows from the cursor of a statement, and tells whether there are more.
func (m *MySQL) Fetch(id uint32, n uint32) (more bool) {
	m.Command(ComStmtFetch, le32(le32(nil, id), n))
	status, last := m.rows()
	return len(last) > 0 && last[0] != 0xff && status&statusLastRow == 0
}

// StmtID is a statement's id as commands carry it.
func StmtID(id uint32) []byte { return le32(nil, id) }

// LongData sends a piece of a parameter's value ahead of the execution. There is no answer.
func (m *MySQL) LongData(id uint32, param int, data string) {
	m.Command(ComStmtLongData, le16(le32(nil, id), param), []byte(data))
}

package mysql

import "encoding/binary"

// typesAt is where an execution says of which types its parameters are.
type typesAt struct {
	flag     int  // where the flag stands that says whether it does (COM_STMT_EXECUTE: a byte); behind a front that is too short
	from, to int  // where the types stand; from == to: where they would
	bound    bool // they are there
	ok       bool // the front at hand reaches as far
}

// Flags of the two commands that execute a statement.
const (
	executeHasCount = 0x08 // COM_STMT_EXECUTE: the number of parameters is there
	bulkSendsTypes  = 0x80 // COM_STMT_BULK_EXECUTE
)

// findTypes looks for the types of the parameters in the payload of an execution, or its front. A
// statement without parameters has none.
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
//   - https://mariadb.com/kb/en/com_stmt_bulk_execute/
func findTypes(b []byte, params uint16, caps uint32) (at typesAt) {
	if len(b) == 0 {
		return at
	}
	if b[0] == comBulkExecute {
		return findBulkTypes(b, params)
	}
	const fixed = 1 + 4 + 1 + 4
	if at.flag = fixed; len(b) < fixed {
		return at
	}
	n, i := uint64(params), fixed
	attributes := caps&capQueryAttributes != 0
	if attributes && (params > 0 || b[5]&executeHasCount != 0) {
		count, rest, ok := lenenc(b[fixed:])
		if !ok {
			at.flag += 9 // the longest that the count can be
			return at
		}
		if count > 1<<16 {
			return typesAt{}
		}
		n, i = count, len(b)-len(rest)
	}
	if n == 0 {
		return typesAt{}
	}
	at.flag = i + int(n+7)/8
	at.from = at.flag + 1
	at.to = at.from
	if at.flag >= len(b) {
		return at
	}
	if b[at.flag] != 1 {
		at.ok = true
		return at
	}
	for range n {
		if at.to += 2; !attributes {
			continue
		}
		if at.to > len(b) {
			return at
		}
		_, rest, ok := lenencBytes(b[at.to:])
		if !ok {
			return at
		}
		at.to = len(b) - len(rest)
	}
	at.ok = at.to <= len(b)
	at.bound = at.ok
	return at
}

func findBulkTypes(b []byte, params uint16) (at typesAt) {
	const fixed = 1 + 4 + 2
	if at.flag = fixed; len(b) < fixed {
		return at
	}
	if at.flag, at.from, at.to = 5, fixed, fixed; params == 0 {
		return at
	}
	at.ok = true
	if binary.LittleEndian.Uint16(b[5:])&bulkSendsTypes != 0 {
		at.to += 2 * int(params)
		at.ok = at.to <= len(b)
		at.bound = at.ok
	}
	return at
}

package mysql

// wordLen is how much of a statement tells its verb from all others that matter to mayHide.
const wordLen = 4

// plainVerbs are the beginnings of statements that can't open a transaction which outlives their own
// failure, as a CALL, an EXECUTE or MariaDB's compound statements can.
var plainVerbs = [...]string{
	"SELE", "INSE", "UPDA", "DELE", "REPL", "WITH", "LOAD",
	"SHOW", "DESC", "EXPL", "CREA", "DROP", "ALTE", "TRUN", "KILL",
}

// mayHide tells whether the statement may open a transaction and then fail, which leaves the client
// (and Sluice) without a word of it: an ERR has no status. text is at least wordLen bytes of its front,
// or all of it.
func mayHide(text []byte) bool {
	if len(text) < wordLen {
		return true
	}
	var word [wordLen]byte
	for i := range word {
		word[i] = text[i] &^ 0x20 // upper case, where it is a letter
	}
	for _, v := range plainVerbs {
		if string(word[:]) == v {
			return false
		}
	}
	return true
}

// skipNoAttributes skips the attribute block of a COM_QUERY that has no attributes; of another one it
// returns nothing.
func skipNoAttributes(b []byte) []byte {
	if len(b) < 2 || b[0] != 0 {
		return nil
	}
	return b[2:]
}

// maxAttributes bounds the attributes that are looked through for the text behind them.
const maxAttributes = 64

// skipAttributes returns the text of a COM_QUERY behind its attributes; ok is false if it does not lie
// in b. b begins behind the command byte.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
func skipAttributes(b []byte) (text []byte, ok bool) {
	n, b, ok := lenenc(b)
	if !ok || n > maxAttributes {
		return nil, false
	}
	if _, b, ok = lenenc(b); !ok { // number of parameter sets
		return nil, false
	}
	if n == 0 {
		return b, true
	}
	nulls := (int(n) + 7) / 8
	if len(b) < nulls+1 || b[nulls] != 1 { // the types are always sent along
		return nil, false
	}
	bitmap, b := b[:nulls], b[nulls+1:]
	var types [maxAttributes]byte
	for i := range n {
		if len(b) < 2 {
			return nil, false
		}
		types[i] = b[0]
		if _, b, ok = lenencBytes(b[2:]); !ok { // name
			return nil, false
		}
	}
	for i := range n {
		if bitmap[i/8]>>(i%8)&1 == 1 {
			continue
		}
		if b, ok = skipValue(types[i], b); !ok {
			return nil, false
		}
	}
	return b, true
}

// skipValue skips one value of the binary protocol.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func skipValue(typ byte, b []byte) (rest []byte, ok bool) {
	n := 0
	switch typ {
	case 0x06: // NULL
	case 0x01: // TINY
		n = 1
	case 0x02, 0x0d: // SHORT, YEAR
		n = 2
	case 0x03, 0x04, 0x09: // LONG, FLOAT, INT24
		n = 4
	case 0x05, 0x08: // DOUBLE, LONGLONG
		n = 8
	case 0x07, 0x0a, 0x0b, 0x0c: // TIMESTAMP, DATE, TIME, DATETIME: a byte of length
		if len(b) == 0 {
			return nil, false
		}
		n = 1 + int(b[0])
	default: // strings of all sorts
		_, rest, ok = lenencBytes(b)
		return rest, ok
	}
	if len(b) < n {
		return nil, false
	}
	return b[n:], true
}

package mysql

import "encoding/binary"

// wordLen is how much of a statement tells its verb from all others that matter to verbOf.
const wordLen = 4

// verb is what the first word of a statement tells of it.
type verb uint8

const (
	// verbHides: it may open a transaction and then fail, which leaves the client (and Sluice) without a word of it:
	// an ERR has no status.
	verbHides  verb = 1 << iota
	verbReads       // it reads
	verbWrites      // it changes rows, or nothing
	verbBegins      // it may be a BEGIN
)

// verbOf reads the first word. text is at least wordLen bytes of the statement's front, or all of it.
func verbOf(text []byte) verb {
	if len(text) < wordLen {
		return verbHides
	}
	word := binary.LittleEndian.Uint32(text) &^ 0x20202020 // upper case, where it is letters
	switch word {
	case sele, show:
		return verbReads
	case inse, upda, dele, repl, with, desc: // (DESC ANALYZE runs what is behind it)
		return verbWrites
	case load, expl, crea, drop, alte, trun, kill:
		return 0
	case begi:
		return verbHides | verbBegins
	}
	return verbHides
}

// The beginnings of statements that can't open a transaction which outlives their own failure, as a
// CALL, an EXECUTE or MariaDB's compound statements can. They are compared as numbers: this is done for
// each statement.
const (
	sele = 'S' | 'E'<<8 | 'L'<<16 | 'E'<<24
	inse = 'I' | 'N'<<8 | 'S'<<16 | 'E'<<24
	upda = 'U' | 'P'<<8 | 'D'<<16 | 'A'<<24
	dele = 'D' | 'E'<<8 | 'L'<<16 | 'E'<<24
	repl = 'R' | 'E'<<8 | 'P'<<16 | 'L'<<24
	with = 'W' | 'I'<<8 | 'T'<<16 | 'H'<<24
	load = 'L' | 'O'<<8 | 'A'<<16 | 'D'<<24
	show = 'S' | 'H'<<8 | 'O'<<16 | 'W'<<24
	desc = 'D' | 'E'<<8 | 'S'<<16 | 'C'<<24
	expl = 'E' | 'X'<<8 | 'P'<<16 | 'L'<<24
	crea = 'C' | 'R'<<8 | 'E'<<16 | 'A'<<24
	drop = 'D' | 'R'<<8 | 'O'<<16 | 'P'<<24
	alte = 'A' | 'L'<<8 | 'T'<<16 | 'E'<<24
	trun = 'T' | 'R'<<8 | 'U'<<16 | 'N'<<24
	kill = 'K' | 'I'<<8 | 'L'<<16 | 'L'<<24
)

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

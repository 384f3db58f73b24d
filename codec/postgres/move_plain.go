package postgres

import (
	"bytes"
	"encoding/binary"
)

// Nearly all statements read or write rows and do nothing else. Those that can be told by a few looks are told here:
// a text is looked at for each query, and only what a look does not settle is read word by word (tracker.text).

// The first words of such statements, with the space behind them, as numbers.
const (
	plainSelect = 's' | 'e'<<8 | 'l'<<16 | 'e'<<24 | 'c'<<32 | 't'<<40 | ' '<<48
	plainInsert = 'i' | 'n'<<8 | 's'<<16 | 'e'<<24 | 'r'<<32 | 't'<<40 | ' '<<48
	plainUpdate = 'u' | 'p'<<8 | 'd'<<16 | 'a'<<24 | 't'<<32 | 'e'<<40 | ' '<<48
	plainDelete = 'd' | 'e'<<8 | 'l'<<16 | 'e'<<24 | 't'<<32 | 'e'<<40 | ' '<<48

	lowerCase = 0x20202020202020 // the bit that makes letters small ones, in each of seven bytes
)

// isPlain tells that a text is one statement that leaves nothing in its session. selects: unless it is a SELECT INTO,
// which makes a table; it gives itself away by its answer, which has no RowDescription (follower.completed). It may
// say false of a text that is plain.
func (t *tracker) isPlain(text []byte) (plain, selects bool) {
	if len(text) < 8 || len(t.opt.Functions) > 0 {
		return false, false
	}
	switch binary.LittleEndian.Uint64(text)&(1<<56-1) | lowerCase {
	case plainSelect:
		selects = true
	case plainInsert, plainDelete:
	case plainUpdate:
		if !plainTarget(text[7:]) {
			return false, false
		}
	default:
		return false, false
	}
	text = text[7:]
	if i := bytes.IndexByte(text, ';'); i >= 0 && i != len(text)-1 {
		return false, false
	}
	return !callsOddly(text) && !dotsOddly(text), selects
}

// plainTarget tells that an UPDATE is not one of the view pg_settings, in whatever way that is written: it begins
// with a letter, and neither "only" nor "pg_" nor U&"…".
//
// https://www.postgresql.org/docs/current/view-pg-settings.html
func plainTarget(text []byte) bool {
	if len(text) < 3 {
		return false
	}
	switch c := text[0] | 0x20; {
	case c < 'a' || c > 'z':
		return false
	case c == 'o':
		return text[1]|0x20 != 'n'
	case c == 'u':
		return text[1] != '&'
	case c == 'p':
		return text[1]|0x20 != 'g' || text[2] != '_'
	}
	return true
}

// callsOddly tells that a text calls a function whose name ends like one of those watched for, or one whose name
// can't be read by a look.
func callsOddly(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '(')
		if i < 0 {
			return false
		}
		end := i
		for end > 0 && text[end-1] == ' ' {
			end--
		}
		if end > 0 {
			switch c := text[end-1]; {
			case c == '"', c == '\'', c == '$': // a quoted name, or what stands behind its UESCAPE
				return true
			case c == '/', c < ' ': // a comment between the name and its bracket, or there might be
				return true
			}
		}
		if end >= 5 && oddEnd(binary.LittleEndian.Uint32(text[end-4:])|0x20202020, text[end-5]|0x20) {
			return true
		}
		text = text[i+1:]
	}
}

// dotsOddly tells that a dot in a text may stand before the name of a watched function, which can be called without a
// bracket: x.f is f(x). So it is before pg_catalog behind a database's name.
//
// https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-USAGE
func dotsOddly(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '.')
		if i < 0 {
			return false
		}
		if text = text[i+1:]; len(text) > 0 && text[0] == '"' {
			text = text[1:]
		}
		if len(text) < 3 {
			continue
		}
		switch c := text[0]; {
		case c|0x20 == 'p':
			if text[1]|0x20 == 'g' && text[2] == '_' {
				return true
			}
		case c|0x20 == 'c':
			if text[1]|0x20 == 'u' && text[2]|0x20 == 'r' {
				return true
			}
		case c|0x20 == 'u':
			if text[1] == '&' {
				return true
			}
		case c <= ' ', c == '/', c == '-': // a blank or a comment between the dot and the name
			return true
		}
	}
}

// saysInto tells that a text may have the word INTO in it.
func saysInto(text []byte) bool {
	for i := 3; i < len(text); {
		switch text[i] | 0x20 {
		case 'o':
			if text[i-1]|0x20 == 't' && text[i-2]|0x20 == 'n' && text[i-3]|0x20 == 'i' {
				return true
			}
			i += 4
		case 't':
			i++
		case 'n':
			i += 2
		case 'i':
			i += 3
		default:
			i += 4
		}
	}
	return false
}

// oddEnd tells whether a watched function's name ends with these four letters, small ones, behind that one:
// set_config, the advisory locks and their ends ('_' has the bit of small letters set, too), currval, lastval, and what
// makes replication slots.
func oddEnd(word uint32, before byte) bool {
	switch word {
	case 'n' | 'f'<<8 | 'i'<<16 | 'g'<<24,
		'l' | 'o'<<8 | 'c'<<16 | 'k'<<24,
		'a' | 'r'<<8 | 'e'<<16 | 'd'<<24,
		('_' | 0x20) | 'a'<<8 | 'l'<<16 | 'l'<<24,
		'r' | 'v'<<8 | 'a'<<16 | 'l'<<24,
		's' | 'l'<<8 | 'o'<<16 | 't'<<24:
		return true
	case 't' | 'v'<<8 | 'a'<<16 | 'l'<<24:
		return before == 's' // and not nextval, which is common
	}
	return false
}

// passes takes the text of a Query that came alone and whole, if it is plain; else it does nothing.
func (t *tracker) passes(text []byte) bool {
	plain, selects := t.isPlain(text)
	if !plain {
		return false
	}
	if u := &t.unnamed; len(u.raw) > 0 || u.unsure || u.risky || u.ends || u.makes {
		t.dropUnnamed()
	}
	if selects {
		t.makes |= makesUnlessRows
	}
	t.endings.opens = false
	return true
}

// makings says whether what is owed may make a table by a SELECT INTO.
type makings uint8

const (
	makesUnlessRows makings = 1 // a CommandComplete that no RowDescription stands before tells of it
	makesMaybe      makings = 2 // any CommandComplete may
)

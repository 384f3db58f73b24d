package mysql

import (
	"encoding/binary"

	"sluice/codec"
)

// killText reads a statement that is KILL with a connection id, and nothing else:
//
//	KILL [HARD | SOFT] [TIDB] [CONNECTION | QUERY] number [;]
//
// in any case, with blanks and comments anywhere. at and end are where the number stands in text. Not
// meant are MariaDB's KILL QUERY ID (which counts queries) and KILL USER, and an id that is an
// expression: those are the server's.
//
//   - https://dev.mysql.com/doc/refman/8.0/en/kill.html
//   - https://mariadb.com/kb/en/kill/
//   - https://docs.pingcap.com/tidb/stable/sql-statement-kill
func killText(text []byte) (k codec.Kill, at, end int, ok bool) {
	s := scanner{b: text}
	if !s.word("KILL") {
		return k, 0, 0, false
	}
	_ = s.word("HARD") || s.word("SOFT")
	_ = s.word("TIDB")
	k.Query = s.word("QUERY")
	_ = k.Query || s.word("CONNECTION")
	at, end, n, ok := s.number()
	if !ok {
		return k, 0, 0, false
	}
	k.ID = n
	s.blank()
	if s.i < len(s.b) && s.b[s.i] == ';' {
		s.i++
		s.blank()
	}
	return k, at, end, !s.torn && s.i == len(s.b)
}

// scanner reads a statement word by word.
type scanner struct {
	b    []byte
	i    int
	torn bool // a comment has no end
}

// blank skips white space and comments. A comment that servers may run (/*! and /*M!) is left.
//
// https://dev.mysql.com/doc/refman/8.0/en/comments.html
func (s *scanner) blank() {
	for s.i < len(s.b) {
		rest := s.b[s.i:]
		switch {
		case isSpace(rest[0]):
			s.i++
		case rest[0] == '#', len(rest) > 2 && rest[0] == '-' && rest[1] == '-' && isSpace(rest[2]):
			s.skipPast("\n", false)
		case isComment(rest):
			s.i += 2
			s.skipPast("*/", true)
		default:
			return
		}
	}
}

// isComment tells whether b begins with a comment that is nothing else.
func isComment(b []byte) bool {
	if len(b) < 4 || b[0] != '/' || b[1] != '*' {
		return false
	}
	return b[2] != '!' && b[2] != '+' && (b[2] != 'M' || b[3] != '!')
}

// skipPast skips up to and including end. Without end it skips all; needed says that this is wrong.
func (s *scanner) skipPast(end string, needed bool) {
	for ; s.i+len(end) <= len(s.b); s.i++ {
		if string(s.b[s.i:s.i+len(end)]) == end {
			s.i += len(end)
			return
		}
	}
	s.i = len(s.b)
	s.torn = s.torn || needed
}

// word skips a word, given in upper case, if it is the next.
func (s *scanner) word(w string) bool {
	s.blank()
	if len(s.b)-s.i < len(w) {
		return false
	}
	for j := range w {
		if s.b[s.i+j]&^0x20 != w[j] {
			return false
		}
	}
	if end := s.i + len(w); end < len(s.b) && isWord(s.b[end]) {
		return false
	}
	s.i += len(w)
	return true
}

// number reads a decimal number that fits a connection id.
func (s *scanner) number() (at, end int, n uint32, ok bool) {
	s.blank()
	at = s.i
	var v uint64
	for ; s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9'; s.i++ {
		if v = v*10 + uint64(s.b[s.i]-'0'); v > 1<<32-1 {
			return 0, 0, 0, false
		}
	}
	if s.i == at || s.i < len(s.b) && isWord(s.b[s.i]) {
		return 0, 0, 0, false
	}
	return at, s.i, uint32(v), true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// killMessage reads a whole command of the client: its payload. at and end are where the id stands in
// it.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_process_kill.html
func killMessage(b []byte, attributes bool) (k codec.Kill, at, end int, ok bool) {
	switch {
	case len(b) == 5 && b[0] == comProcessKill:
		return codec.Kill{ID: binary.LittleEndian.Uint32(b[1:])}, 1, 5, true
	case len(b) > 0 && b[0] == comQuery:
		text := b[1:]
		if attributes {
			if text, ok = skipAttributes(text); !ok {
				return k, 0, 0, false
			}
		}
		front := len(b) - len(text)
		k, at, end, ok = killText(text)
		return k, front + at, front + end, ok
	}
	return k, 0, 0, false
}

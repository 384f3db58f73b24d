package mysql

import "bytes"

// lexer reads a statement further than its first words: names, literals, its end. It takes a backslash in
// a literal for an escape; where the SQL mode says otherwise it may find another end of the statement
// than the server does. What is missed so, the server's counters tell.
type lexer struct{ scanner }

// skip skips a byte if it is the next.
func (s *lexer) skip(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// quoted skips what is quoted by the byte at hand, and returns what is inside; ok is false without an end.
func (s *lexer) quoted() (inside []byte, ok bool) {
	q, from := s.b[s.i], s.i+1
	for i := from; i < len(s.b); i++ {
		switch {
		case s.b[i] == '\\' && q != '`':
			i++
		case s.b[i] != q:
		case i+1 < len(s.b) && s.b[i+1] == q:
			i++
		default:
			s.i = i + 1
			return s.b[from:i], true
		}
	}
	s.i = len(s.b)
	return nil, false
}

// statement skips to the end of a statement, and returns it, and what comes behind. The body of a routine
// has statements inside: it goes to the end of the text.
func (s *lexer) statement() (stmt, rest []byte) {
	from := s.i
	if s.routine() {
		return s.b[from:], nil
	}
	s.i = from
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == ';':
			stmt = s.b[from:s.i]
			return stmt, s.b[s.i+1:]
		case c == '\'', c == '"', c == '`':
			s.quoted()
		case c == '#', c == '-', c == '/':
			at := s.i
			if s.blank(); s.i == at {
				s.i++
			}
		default:
			s.i++
		}
	}
	return s.b[from:], nil
}

// routine tells whether a statement has others inside.
func (s *lexer) routine() bool {
	switch {
	case s.word("CREATE"):
		_ = s.word("OR") && s.word("REPLACE")
		for _, w := range []string{"DEFINER", "AGGREGATE", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE"} {
			if s.word(w) {
				return true
			}
		}
	case s.word("BEGIN"):
		return s.word("NOT")
	case s.word("IF"), s.word("CASE"), s.word("LOOP"), s.word("WHILE"), s.word("REPEAT"), s.word("FOR"):
		return true
	}
	return false
}

// name reads a name.
func (s *lexer) name() (string, bool) {
	s.blank()
	if s.i == len(s.b) {
		return "", false
	}
	if c := s.b[s.i]; c == '`' || c == '"' {
		inside, ok := s.quoted()
		if !ok || len(inside) == 0 {
			return "", false
		}
		return string(bytes.ReplaceAll(inside, []byte{c, c}, []byte{c})), true
	}
	from := s.i
	for s.i < len(s.b) && isWord(s.b[s.i]) {
		s.i++
	}
	return string(s.b[from:s.i]), s.i > from
}

// path reads a name that may be qualified: "db\x00name", or "name".
func (s *lexer) path() (string, bool) {
	name, ok := s.name()
	if !ok {
		return "", false
	}
	if s.blank(); !s.skip('.') {
		return name, true
	}
	last, ok := s.name()
	return name + "\x00" + last, ok
}

// onlyLiteral reads one string literal that is all there is up to the end of the statement, and returns what is
// inside, with its escapes.
func (s *lexer) onlyLiteral() (inside []byte, ok bool) {
	if s.blank(); s.i == len(s.b) || s.b[s.i] != '\'' && s.b[s.i] != '"' {
		return nil, false
	}
	if inside, ok = s.quoted(); !ok {
		return nil, false
	}
	s.blank()
	for s.skip(';') {
		s.blank()
	}
	return inside, s.i == len(s.b) && !s.torn
}

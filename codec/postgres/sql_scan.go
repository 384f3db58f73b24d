package postgres

import "bytes"

// token is a piece of a statement.
type token struct {
	kind     tokenKind
	at, end  int  // its place in the text
	depth    int  // of parentheses around it; a parenthesis counts itself
	adjacent bool // nothing stands between it and the token before
}

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota // the end of the text
	tokenWord                    // a keyword or a name without quotes
	tokenQuoted                  // a name in double quotes
	tokenString                  // a string constant
	tokenParam                   // $1
	tokenSemicolon
	tokenOther  // a number, an operator, a parenthesis: one byte of it
	tokenUnsure // how the text goes on from here depends on the session's settings
)

// sqlScanner cuts a text into tokens, by
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html. Where the server's reading depends
// on standard_conforming_strings, backslash_quote or the encoding, it says so and goes no further.
type sqlScanner struct {
	text  []byte
	pos   int
	depth int
	lost  bool // there was a place of doubt
}

// next returns the next token; behind the end, or behind a place of doubt, always the same one.
func (s *sqlScanner) next() token {
	from := s.pos
	if s.lost || !s.skipBlank() {
		return s.unsure()
	}
	t := token{at: s.pos, depth: s.depth, adjacent: s.pos == from}
	if s.pos == len(s.text) {
		t.end = s.pos
		return t
	}
	ok := true
	switch c := s.text[s.pos]; {
	case c == ';':
		t.kind = tokenSemicolon
		ok = s.whole(c)
		s.pos++
	case c == '\'':
		t.kind = tokenString
		ok = s.skipString(false)
	case c == '"':
		t.kind = tokenQuoted
		ok = s.skipName()
	case c == '$':
		ok = s.dollar(&t)
	case isNameStart(c):
		ok = s.word(&t)
	case '0' <= c && c <= '9':
		t.kind = tokenOther
		s.pos += wordLength(s.text[s.pos:])
	default:
		t.kind = tokenOther
		ok = s.whole(c)
		s.other(&t, c)
	}
	if !ok {
		return s.unsure()
	}
	t.end = s.pos
	return t
}

// unsure goes no further, for good.
func (s *sqlScanner) unsure() token {
	s.lost = true
	return token{kind: tokenUnsure, at: s.pos, end: s.pos}
}

// whole tells that c, the next byte, is a character of its own. In some encodings the second byte of
// one may be anything from '0' on: https://www.postgresql.org/docs/current/multibyte.html.
func (s *sqlScanner) whole(c byte) bool {
	return c < '0' || s.pos == 0 || s.text[s.pos-1] < 0x80
}

// other takes one byte, and counts parentheses.
func (s *sqlScanner) other(t *token, c byte) {
	s.pos++
	switch c {
	case '(':
		s.depth++
		t.depth = s.depth
	case ')':
		s.depth--
	}
}

// skipBlank skips white space and comments. ok is false if a comment does not end.
func (s *sqlScanner) skipBlank() (ok bool) {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		switch {
		case isBlank(rest[0]):
			s.pos++
		case hasPrefix(rest, "--"):
			n := bytes.IndexAny(rest, "\r\n")
			if n < 0 {
				n = len(rest)
			}
			s.pos += n
		case hasPrefix(rest, "/*"):
			if !s.skipComment() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

// skipComment skips a comment, and those nested in it.
func (s *sqlScanner) skipComment() (ok bool) {
	depth := 0
	for i := s.pos; i+1 < len(s.text); {
		switch {
		case s.text[i] == '/' && s.text[i+1] == '*':
			depth++
			i += 2
		case s.text[i] == '*' && s.text[i+1] == '/':
			i += 2
			if depth--; depth == 0 {
				s.pos = i
				return true
			}
		default:
			i++
		}
	}
	return false
}

// isBlank tells white space. The vertical tab is left out: older servers take it for an error.
func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'
}

// skipString skips a string constant. A backslash in it escapes what follows if escapes is true, and
// else is a reason for doubt; and so is one among bytes that are not ASCII, for it may be the second
// half of a character.
func (s *sqlScanner) skipString(escapes bool) (ok bool) {
	slash, high := false, false
	for i := s.pos + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c >= 0x80:
			high = true
		case c == '\\':
			slash = true
			i++
		case c == '\'':
			if i+1 < len(s.text) && s.text[i+1] == '\'' {
				i++
				continue
			}
			s.pos = i + 1
			return !slash || escapes && !high
		}
	}
	return false
}

// skipName skips a name in double quotes.
func (s *sqlScanner) skipName() (ok bool) {
	for i := s.pos + 1; i < len(s.text); i++ {
		if s.text[i] != '"' {
			continue
		}
		if i+1 < len(s.text) && s.text[i+1] == '"' {
			i++
			continue
		}
		s.pos = i + 1
		return true
	}
	return false
}

// dollar takes a parameter, or a string in dollar quotes.
func (s *sqlScanner) dollar(t *token) (ok bool) {
	rest := s.text[s.pos+1:]
	n := wordLength(rest)
	if n > 0 && '0' <= rest[0] && rest[0] <= '9' {
		t.kind = tokenParam
		s.pos += 1 + n
		return true
	}
	if n == len(rest) || rest[n] != '$' {
		t.kind = tokenOther
		s.pos++
		return true
	}
	for _, c := range rest[:n] {
		if c >= 0x80 {
			return false
		}
	}
	mark := s.text[s.pos : s.pos+n+2]
	end := bytes.Index(rest[n+1:], mark)
	if end < 0 {
		return false
	}
	t.kind = tokenString
	s.pos += len(mark) + end + len(mark)
	return true
}

// word takes a word, or the string or name that it is the prefix of.
func (s *sqlScanner) word(t *token) (ok bool) {
	t.kind = tokenWord
	n := nameLength(s.text[s.pos:])
	s.pos += n
	if s.pos == len(s.text) || n > 2 {
		return true
	}
	next := s.text[s.pos]
	if n == 1 && next == '\'' {
		switch s.text[t.at] | 0x20 {
		case 'e':
			t.kind = tokenString
			return s.skipString(true)
		case 'b', 'x', 'n':
			t.kind = tokenString
			return s.skipString(false)
		}
	}
	if n == 1 && next == '&' && s.text[t.at]|0x20 == 'u' {
		return s.pos+1 == len(s.text) || s.text[s.pos+1] != '\'' && s.text[s.pos+1] != '"'
	}
	return true
}

// isNameStart tells what a name without quotes begins with.
func isNameStart(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

// nameLength is the length of the name without quotes that p begins with.
func nameLength(p []byte) int {
	for i, c := range p {
		if !isWordByte(c) && c != '$' {
			return i
		}
	}
	return len(p)
}

// is tells whether the token is that keyword, given in lower case.
func (s *sqlScanner) is(t token, keyword string) bool {
	return t.kind == tokenWord && equalFold(s.text[t.at:t.end], keyword)
}

// equalFold compares with a word of lower case ASCII.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if lowerByte(c) != lower[i] {
			return false
		}
	}
	return true
}

package postgres

import "bytes"

// findSettings reads which settings a text of statements changes, and adds their names to n. w is what
// scanText said of the text. It is returned without wordSettings if there is no change that outlives
// its transaction; with wordParams if parameters hold names; and with wordUnsure if there are names
// that it can't tell.
func findSettings(text []byte, w words, n *customNames) words {
	if w&wordSettings == 0 && !maySet(text) {
		return w
	}
	f := settingFinder{scan: sqlScanner{text: text}, names: n, calls: w&wordSettings != 0}
	f.run(text)
	if w&wordSettings != 0 && !f.found {
		w &^= wordSettings
	}
	return w | f.says
}

// maySet tells at a glance whether a SET can be among the text's statements: it is the first one, or
// there is more than one, or code to be run.
func maySet(text []byte) bool {
	for len(text) > 0 && (isBlank(text[0]) || text[0] == ';') {
		text = text[1:]
	}
	if len(text) < 4 {
		return false
	}
	switch text[0] | 0x20 {
	case 's':
		if text[1]|0x20 == 'e' && text[2]|0x20 == 't' {
			return true
		}
	case 'd', 'c':
		if text[1]|0x20 == 'o' && !isWordByte(text[2]) || text[1]|0x20 == 'a' {
			return true // DO, CALL
		}
	case '-' | 0x20, '/' | 0x20:
		return true
	}
	i := bytes.IndexByte(text, ';')
	if i < 0 {
		return false
	}
	for _, c := range text[i:] {
		if c != ';' && !isBlank(c) {
			return true
		}
	}
	return false
}

// settingFinder goes through the tokens of a text.
type settingFinder struct {
	scan  sqlScanner
	names *customNames
	calls bool // set_config is somewhere in the text
	says  words
	found bool // a change that outlives its transaction
	// locals has names taken, too, that are only set for a transaction: behind it, such a setting of a client's own
	// is there, and empty.
	locals bool
}

func (f *settingFinder) run(text []byte) {
	first, update, code := true, false, false // in the present statement
	for t := f.scan.next(); t.kind != tokenEnd; t = f.scan.next() {
		switch {
		case t.kind == tokenUnsure:
			f.doubt(text)
			return
		case t.kind == tokenSemicolon:
			first, update, code = true, false, false
			continue
		case first && f.scan.is(t, "set"):
			f.set()
		case first && (f.scan.is(t, "do") || f.scan.is(t, "call")):
			f.code(text)
			code = true
		case code && t.kind == tokenString:
			f.body(text[t.at:t.end])
		case f.named(t, "set_config"):
			f.call()
		case f.scan.is(t, "update"):
			update = true
		case f.named(t, "pg_settings"):
			f.found = f.found || update
		}
		first = false
	}
}

// named tells that a token is that name, in quotes or without.
func (f *settingFinder) named(t token, name string) bool {
	switch t.kind {
	case tokenWord:
		return f.scan.is(t, name)
	case tokenQuoted:
		return equalFold(f.scan.text[t.at+1:t.end-1], name)
	}
	return false
}

// doubt is for a text that can't be cut into tokens.
func (f *settingFinder) doubt(text []byte) {
	f.found = true
	if f.calls {
		f.says |= wordUnsure
	}
	f.afterSet(text)
}

// afterSet takes what follows each word SET for a name.
func (f *settingFinder) afterSet(text []byte) {
	for len(text) > 0 {
		n := wordLength(text)
		set := equalFold(text[:n], "set")
		if text = text[max(n, 1):]; !set {
			continue
		}
		rest := bytes.TrimLeft(text, " \t\r\n\f")
		if n := wordLength(rest); equalFold(rest[:n], "session") {
			rest = bytes.TrimLeft(rest[n:], " \t\r\n\f")
		}
		f.names.add(bytes.ReplaceAll(rest[:dottedLength(rest)], []byte{'"'}, nil))
	}
}

// dottedLength is the length of names joined by dots.
func dottedLength(p []byte) int {
	for i, c := range p {
		if !isWordByte(c) && c != '.' && c != '$' && c != '"' {
			return i
		}
	}
	return len(p)
}

// set reads SET [SESSION] name, behind SET. SET LOCAL ends with its transaction.
func (f *settingFinder) set() {
	s := f.scan // looks ahead
	t := s.next()
	switch {
	case s.is(t, "local") && !f.locals:
		return
	case s.is(t, "local"):
		t = s.next()
	default:
		f.found = true
		if s.is(t, "session") {
			t = s.next()
		}
	}
	var name [maxCustomName + 1]byte
	b := name[:0]
	for t.kind == tokenWord || t.kind == tokenQuoted {
		part := s.text[t.at:t.end]
		if t.kind == tokenQuoted {
			part = part[1 : len(part)-1]
		}
		b = append(b, part...)
		if t = s.next(); t.kind != tokenOther || s.text[t.at] != '.' {
			break
		}
		b = append(b, '.')
		t = s.next()
	}
	f.names.add(b)
}

// call reads set_config(name, value, is_local), behind set_config. It does nothing beyond its
// transaction if the last word is true.
func (f *settingFinder) call() {
	s := f.scan
	open := s.next()
	if open.kind != tokenOther || s.text[open.at] != '(' {
		return // not a call
	}
	name := s.next()
	behind := skipCast(&s)
	sole := behind.kind == tokenOther && s.text[behind.at] == ','
	local, known := lastArgument(&s, behind, open.depth)
	if known && local && !f.locals {
		return
	}
	f.found = f.found || !known || !local
	switch {
	case sole && name.kind == tokenString && f.literal(s.text[name.at:name.end]):
	case sole && name.kind == tokenParam:
		f.says |= wordParams
	default:
		f.says |= wordUnsure
	}
}

// skipCast returns the first token that is not of a cast (::text).
func skipCast(s *sqlScanner) token {
	t := s.next()
	for t.kind == tokenOther && s.text[t.at] == ':' {
		t = s.next()
		if t.kind == tokenWord {
			return s.next()
		}
	}
	return t
}

// lastArgument reads on to the parenthesis that closes the one of that depth. It tells whether the last
// argument is a plain true or false, and which.
func lastArgument(s *sqlScanner, t token, depth int) (local, known bool) {
	count, last := 0, token{} // tokens since the last comma
	for ; t.kind != tokenEnd && t.kind != tokenUnsure; t = s.next() {
		if t.depth == depth && t.kind == tokenOther {
			switch s.text[t.at] {
			case ',':
				count = 0
				continue
			case ')':
				yes := s.is(last, "true")
				return yes, count == 1 && (yes || s.is(last, "false"))
			}
		}
		count++
		last = t
	}
	return false, false
}

// literal takes a name from a string constant, if it is an easy one.
func (f *settingFinder) literal(b []byte) bool {
	if len(b) < 3 || b[0] != '\'' {
		return false
	}
	b = b[1 : len(b)-1]
	if bytes.ContainsAny(b, `\'`) {
		return false
	}
	f.names.add(b)
	return true
}

// code is about a statement that runs code of its own: a DO has it in a string. If the code sets
// anything, each word with a dot in it is taken for a name.
func (f *settingFinder) code(text []byte) {
	f.found = true
	if !containsFold(text, "set") {
		return
	}
	for len(text) > 0 {
		n := dottedLength(text)
		f.names.add(bytes.Trim(text[:n], `$"`))
		text = text[max(n, 1):]
	}
}

// body looks into the string of a statement that runs code. A name that is put together there can't be
// told: as an argument of set_config, or in a SET that is made as text.
func (f *settingFinder) body(b []byte) {
	if makesSet(b) {
		f.says |= wordUnsure
	}
	if !f.calls || !containsFold(b, "set_config") {
		return
	}
	if b[0] != '$' { // strings in it have their quotes doubled
		f.says |= wordUnsure
		return
	}
	mark := bytes.IndexByte(b[1:], '$') + 2
	in := settingFinder{scan: sqlScanner{text: b[mark : len(b)-mark]}, names: f.names, calls: true}
	for t := in.scan.next(); t.kind != tokenEnd; t = in.scan.next() {
		if t.kind == tokenUnsure {
			in.says |= wordUnsure
			break
		}
		if in.named(t, "set_config") {
			in.call()
		}
	}
	f.says |= in.says & wordUnsure
}

// makesSet tells whether a string in the code begins with SET and does not go on with a whole name.
func makesSet(b []byte) bool {
	for {
		i := bytes.IndexAny(b, `'$`)
		if i < 0 {
			return false
		}
		b = b[i+1:]
		text := bytes.TrimLeft(b, " \t\r\n\f")
		if n := wordLength(text); !equalFold(text[:n], "set") {
			continue
		} else if text = bytes.TrimLeft(text[n:], " \t\r\n\f"); len(text) == 0 {
			return true
		}
		if n := wordLength(text); equalFold(text[:n], "session") {
			text = bytes.TrimLeft(text[n:], " \t\r\n\f")
		}
		// A '$' may be in a name, or end the string.
		n := dottedLength(text)
		if n == 0 || n == len(text) || bytes.IndexByte(text[:n], '$') >= 0 || text[n] != '=' && !isBlank(text[n]) {
			return true
		}
	}
}

// containsFold tells whether a text has that word of lower case ASCII in it, in any case.
func containsFold(b []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(b); i++ {
		if equalFold(b[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

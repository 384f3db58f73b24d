package mysql

import (
	"bytes"
	"strings"
)

// loudness is what a text may do by what stands anywhere in it.
type loudness struct {
	lock     bool   // GET_LOCK
	variable bool   // @name
	function string // one that the configuration names
}

// look adds what text has. It does not care where literals begin and end: it may find too much.
func (l *loudness) look(text []byte, functions []string) {
	l.variable = l.variable || bytes.IndexByte(text, '@') >= 0
	calls(text, func(name []byte, _ int) {
		if strings.EqualFold(string(name), "get_lock") {
			l.lock = true
		}
		if f := configured(name, functions); f != "" {
			l.function = f
		}
	})
}

// effects are what was found, without more to say of it.
func (l *loudness) effects() (list []effect) {
	if l.lock {
		list = append(list, effect{kind: effUserLock})
	}
	if l.function != "" {
		list = append(list, effect{kind: effFunction, name: l.function})
	}
	return list
}

// configured returns the name as the configuration has it; "" if it is not there.
func configured(name []byte, functions []string) string {
	for _, f := range functions {
		if strings.EqualFold(f, string(name)) {
			return f
		}
	}
	return ""
}

// calls tells of each name in front of a bracket; at is where the bracket stands.
func calls(text []byte, found func(name []byte, at int)) {
	for from := 0; ; {
		i := bytes.IndexByte(text[from:], '(')
		if i < 0 {
			return
		}
		at := from + i
		from = at + 1
		end := at
		for end > 0 && isSpace(text[end-1]) {
			end--
		}
		for end > 1 && text[end-1] == '/' && text[end-2] == '*' { // a comment in between
			open := bytes.LastIndex(text[:end-2], []byte("/*"))
			if open < 0 {
				break
			}
			for end = open; end > 0 && isSpace(text[end-1]); {
				end--
			}
		}
		if end > 0 && text[end-1] == '`' {
			end--
		}
		if name := lastName(text[:end]); len(name) > 0 {
			found(name, at)
		}
	}
}

// appendCalls appends what the functions do that a statement calls.
func appendCalls(list []effect, stmt []byte, functions []string) []effect {
	calls(stmt, func(name []byte, at int) {
		if len(list) > maxEffects {
			return
		}
		if f := configured(name, functions); f != "" {
			list = append(list, effect{kind: effFunction, name: f})
		}
		switch len(name) {
		case len("get_lock"):
			if strings.EqualFold(string(name), "get_lock") {
				list = append(list, effect{kind: effUserLock, name: onlyCall(stmt, name, at)})
			}
		case len("release_lock"):
			if strings.EqualFold(string(name), "release_lock") {
				if lock := onlyCall(stmt, name, at); lock != "" {
					list = append(list, effect{kind: effUserUnlock, name: lock})
				}
			}
		case len("release_all_locks"):
			if strings.EqualFold(string(name), "release_all_locks") && onlyCall(stmt, name, at) != "" {
				list = append(list, effect{kind: effUserFree})
			}
		}
	})
	return list
}

// onlyCall returns the first argument of a call, if the statement does nothing else than to call the function
// once, with that as a literal: SELECT | DO name('…' …) and what may name the result. Without arguments it is
// "()". "" is anything else.
func onlyCall(stmt, name []byte, at int) string {
	s := &lexer{scanner{b: stmt}}
	if !s.word("SELECT") && !s.word("DO") {
		return ""
	}
	if s.blank(); !bytes.HasPrefix(stmt[s.i:], name) {
		return ""
	}
	s.i = at + 1
	if s.blank(); s.skip(')') {
		if s.blank(); s.i == len(stmt) {
			return "()"
		}
		return ""
	}
	if s.i == len(stmt) || stmt[s.i] != '\'' && stmt[s.i] != '"' {
		return ""
	}
	lock, ok := s.quoted()
	if !ok || len(lock) == 0 || bytes.ContainsAny(lock, "\\'\"") {
		return ""
	}
	if s.blank(); s.skip(',') { // the time-out of GET_LOCK
		s.blank()
		s.skip('-')
		for s.i < len(stmt) && (stmt[s.i] >= '0' && stmt[s.i] <= '9' || stmt[s.i] == '.') {
			s.i++
		}
		s.blank()
	}
	if !s.skip(')') {
		return ""
	}
	s.word("AS")
	if s.blank(); s.i < len(stmt) {
		if _, ok := s.name(); !ok {
			return ""
		}
	}
	if s.blank(); s.i != len(stmt) {
		return ""
	}
	return strings.ToLower(string(lock))
}

package mysql

import (
	"bytes"
	"strings"
	"sync/atomic"
)

// learnt are the variables that a version of MariaDB has for its sessions. By their names they can be asked for
// at a third of what the server's table of them costs it, which makes that up from all variables each time.
type learnt struct {
	version string
	vars    []learntVariable
	text    string // the question for their values
	uses    atomic.Int32
}

// learntVariable is one of them.
type learntVariable struct {
	name string
	kind string // the server's word for its type
	only bool   // it has no global value
}

// lastLearnt are those of the last server that was asked in full.
var lastLearnt atomic.Pointer[learnt]

const (
	// learntUses is how often they are used until a server is asked in full again: a plugin may have brought
	// others with it.
	learntUses = 256
	// maxLearnt bounds them.
	maxLearnt = 1000
)

// learntNow returns what is known of variables; nil if a server has to be asked in full.
func learntNow() *learnt {
	l := lastLearnt.Load()
	if l == nil || l.uses.Add(1) > learntUses {
		return nil
	}
	return l
}

// learn remembers variables, unless one has a name that is none: it becomes part of a statement.
func learn(version string, vars []learntVariable) {
	if len(vars) == 0 || len(vars) > maxLearnt {
		return
	}
	var b strings.Builder
	b.WriteString("SELECT @@version,@@character_set_results")
	for _, v := range vars {
		if !isName(v.name) {
			return
		}
		b.WriteString(",@@" + v.name)
		if !v.only {
			b.WriteString(",@@global." + v.name)
		}
	}
	b.WriteString(limit)
	lastLearnt.Store(&learnt{version: version, vars: vars, text: b.String()})
}

// isName tells that a variable's name needs no quotes.
func isName(s string) bool {
	for i := range len(s) {
		if !isWord(s[i]) || s[i] >= 0x80 {
			return false
		}
	}
	return s != ""
}

// take takes the values; false says that this server has to be asked in full: it is of another version, it does
// not know all the names, or the values have been changed on their way, to another character set.
func (l *learnt) take(s *state, r *answer) bool {
	n := 2
	for _, v := range l.vars {
		if n += 2; v.only {
			n--
		}
	}
	row, ok := r.one(n)
	if !ok || string(row[0]) != l.version || !readable(string(row[1])) {
		return false
	}
	at := 2
	for _, v := range l.vars {
		value, global := row[at], field(nil)
		if at++; !v.only {
			global = row[at]
			at++
		}
		if strings.ContainsRune(string(value), '?') || !isASCII(string(value)) {
			return false
		}
		s.offer(v, value, global)
	}
	return true
}

// readable tells that ASCII is read as it is in a character_set_results, of which nil has become "".
func readable(set string) bool {
	switch set {
	case "ucs2", "utf16", "utf16le", "utf32":
		return false
	}
	return isASCII(set) && !strings.ContainsRune(set, 0) && !strings.ContainsRune(set, '?')
}

// offer takes a variable if it matters: the session has another value than new ones get, or it may matter
// though it is the same.
func (s *state) offer(l learntVariable, value, global field) {
	v := variable{name: l.name, value: value, number: isNumber(l.kind)}
	if l.kind == "BOOLEAN" {
		v.value, global, v.number = onOff(value), onOff(global), true
	}
	switch {
	case notCarried[v.name]:
		return
	case s.wants(v.name) || semantics[v.name]:
	case l.only: // it is at its default if it is empty
		if len(v.value) == 0 || string(v.value) == "0" {
			return
		}
	case same(v.value, global):
		return
	}
	v.value = bytes.Clone(v.value) // of a row that is not kept
	s.take(v)
}

// onOff turns the words for a switch into those that SELECT has for it.
func onOff(b field) field {
	switch string(b) {
	case "ON":
		return field("1")
	case "OFF":
		return field("0")
	}
	return b
}

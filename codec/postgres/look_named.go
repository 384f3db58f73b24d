package postgres

import (
	"slices"
	"strings"
)

// A plain SET or RESET says by its text which one setting it changes, and a whole look, which asks for
// all of them, is many times as dear as such a statement. So what plain statements have named is kept
// until their transaction is over. If that has gone well, without an error or a rollback, they are what
// has changed: a RESET is known to have left nothing, what the server has reported by ParameterStatus is
// known, and the rest is asked for by name. In every other case the look is a whole one.
//
// What counts is the value that the server tells when all is over, not the one in the text: a later
// statement, or a function, may have set another one.

// namedChange is what a plain SET or RESET does.
type namedChange struct {
	name  string // as pg_settings has it
	reset bool
	told  bool // the server has reported the value since
}

// changes are those of the present transaction, each name once.
type changes struct {
	list  []namedChange
	rough bool // there was an error or a rollback: what they came to is not known
}

// maxChanges bounds them. One more is looked at with all others.
const maxChanges = 16

// put takes a change that has been sent to the server. It returns false if there are too many.
func (c *changes) put(n namedChange) bool {
	for i := range c.list {
		if c.list[i].name == n.name {
			c.list[i] = n
			return true
		}
	}
	if len(c.list) == maxChanges {
		return false
	}
	c.list = append(c.list, n)
	return true
}

// tell notes that the server has reported a parameter, and tells whether that is one of those that were
// changed.
func (c *changes) tell(name string) bool {
	for i := range c.list {
		if c.list[i].name == name {
			c.list[i].told = true
			return true
		}
	}
	return false
}

// clear begins anew.
func (c *changes) clear() { c.list, c.rough = c.list[:0], false }

// special are settings that a whole look does not list, that change others, or that stand for another
// one.
//
// https://www.postgresql.org/docs/current/sql-set.html
var special = map[string]bool{
	"all": true, "role": true, "session_authorization": true, "seed": true,
	"transaction_isolation": true, "transaction_read_only": true, "transaction_deferrable": true,
	"sort_mem": true, "vacuum_mem": true, // old names of work_mem and maintenance_work_mem
}

// plainChange reads a text that is one SET or RESET of one setting and nothing else, whatever the
// session's settings are. Of any other text it makes a change without a name.
func plainChange(text []byte) (c namedChange) {
	s := sqlScanner{text: text}
	t := s.next()
	switch {
	case s.is(t, "set"):
	case s.is(t, "reset"):
		c.reset = true
	default:
		return c
	}
	t = s.next()
	if !c.reset && s.is(t, "session") {
		t = s.next()
	}
	name, t := plainName(&s, t)
	if !c.reset {
		t = plainValue(&s, t)
	}
	for t.kind == tokenSemicolon {
		t = s.next()
	}
	if t.kind == tokenEnd {
		c.name = name
	}
	return c
}

// plainName reads a setting's name that begins with t, and returns the token behind it. It is "" if that
// is none, or one that has to be looked at with all others.
func plainName(s *sqlScanner, t token) (name string, behind token) {
	var b []byte
	for {
		part := s.text[t.at:t.end]
		switch t.kind {
		case tokenWord:
		case tokenQuoted:
			part = part[1 : len(part)-1]
		default:
			return "", t
		}
		b = append(b, part...)
		if t = s.next(); t.kind != tokenOther || s.text[t.at] != '.' {
			break
		}
		b = append(b, '.')
		t = s.next()
	}
	for _, c := range b {
		if c >= 0x80 || !isWordByte(c) && c != '.' {
			return "", t
		}
	}
	if name = settingName(string(b)); len(name) > maxName || special[name] {
		name = ""
	}
	return name, t
}

// plainValue reads what stands behind the name in a SET, from t on, and returns the token behind it. A
// text that is not to be relied on is answered by a token of doubt.
func plainValue(s *sqlScanner, t token) (behind token) {
	if !s.is(t, "to") && !(t.kind == tokenOther && s.text[t.at] == '=') {
		return s.unsure()
	}
	if t = s.next(); s.is(t, "default") || t.kind == tokenEnd || t.kind == tokenSemicolon {
		return s.unsure()
	}
	for t.kind == tokenWord || t.kind == tokenQuoted || t.kind == tokenString || t.kind == tokenOther {
		t = s.next()
	}
	return t
}

// changeSent notes that a statement is on its way that may be a plain SET or RESET. It returns the flag of
// its debt.
func (g *guest) changeSent(c namedChange) byte {
	if c.name != "" && g.changes.put(c) {
		return flagNamed
	}
	return 0
}

// executes returns the flag of an Execute: it may be that of a plain SET or RESET in the unnamed portal.
func (g *guest) executes(r *request) byte {
	if g.portal.name == "" || len(r.m) <= headerSize || r.m[headerSize] != 0 {
		return 0
	}
	return g.changeSent(g.portal)
}

// lookDue tells which sections of a look are due. Of settings that were changed by name it takes what is
// known, and if that is all, there is no need to look.
func (h *host) lookDue() words {
	g := h.guest
	if g.suspect&wordNamed == 0 {
		return g.suspect & wordLook
	}
	switch {
	case g.suspect&wordSettings != 0 || g.changes.rough:
		g.suspect = g.suspect&^wordNamed | wordSettings
	case len(h.unknown()) == 0:
		g.suspect &^= wordNamed
		h.takeChanges(nil)
	}
	return g.suspect & wordLook
}

// unknown are the names of changed settings whose values have to be asked for.
func (h *host) unknown() (names []string) {
	for _, c := range h.guest.changes.list {
		if _, known := h.known(c); !known {
			names = append(names, c.name)
		}
	}
	return names
}

// known is a changed setting's value, if the server has reported it. What is not ASCII was reported in
// the client's encoding.
func (h *host) known(c namedChange) (value string, ok bool) {
	if c.reset || !c.told {
		return "", c.reset
	}
	value, ok = h.report.get(c.name)
	return value, ok && strings.IndexFunc(value, unprintable) < 0
}

// takeChanges takes what has become of the changed settings; asked are those that were asked for and
// have a value.
func (h *host) takeChanges(asked []setting) {
	g := h.guest
	list := slices.Clone(h.settings.all())
	for _, c := range g.changes.list {
		list = slices.DeleteFunc(list, func(s setting) bool { return strings.EqualFold(s.name, c.name) })
		if c.reset {
			continue
		}
		value, ok := h.known(c)
		if i := slices.IndexFunc(asked, func(s setting) bool { return s.name == c.name }); !ok && i >= 0 {
			value, ok = asked[i].value, true
		}
		if !ok && strings.Contains(c.name, ".") {
			g.suspect |= wordSettings // it may be none at all, or one that a module has defined
			return
		}
		list = append(list, setting{c.name, value})
	}
	h.settings = newSettings(list)
	g.settings = h.settings.over(g.startup)
	g.unsure = false
	g.changes.clear()
}

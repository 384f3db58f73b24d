package postgres

import (
	"cmp"
	"slices"
	"strings"
)

// sessionState is what a session keeps at its server beyond transactions, and what of it can be put in place at
// another one. It is not changed once made.
type sessionState struct {
	pristine   bool         // nothing has been done since the login: there is nothing to put in place
	settings   []setting    // as the session has set them, by name; but for statement_timeout and what follows
	timeout    string       // statement_timeout
	role, user string       // the setting "role", and the session user
	statements []preparedAs // by name
	types      []string     // names of the types that were asked for; "" of one that there is not
	size       int          // bytes of all
}

// preparedAs is a prepared statement.
type preparedAs struct {
	name, text string
	sql        bool     // made by SQL's PREPARE, which is its text, types and all
	types      []string // of its parameters: the OID of a type of the server's own, or a name with its schema, in hex
}

// setting returns the value of a setting that the session has set.
func (s *sessionState) setting(name string) (value string, ok bool) {
	for _, x := range s.settings {
		if x.name == name {
			return x.value, true
		}
	}
	return "", false
}

// sort puts all in the order in which it is compared.
func (s *sessionState) sort() {
	slices.SortFunc(s.settings, func(a, b setting) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(s.statements, func(a, b preparedAs) int { return cmp.Compare(a.name, b.name) })
}

// differs names the first thing in which two states differ; "" if they are the same.
func (s *sessionState) differs(o *sessionState) string {
	switch {
	case s.user != o.user:
		return "session_authorization"
	case s.role != o.role:
		return "role"
	case s.timeout != o.timeout:
		return "statement_timeout"
	case len(s.settings) != len(o.settings):
		return "the number of settings"
	case len(s.statements) != len(o.statements):
		return "the number of prepared statements"
	}
	for i, x := range s.settings {
		if x != o.settings[i] {
			return x.name
		}
	}
	for i, p := range s.statements {
		if q := o.statements[i]; p.name != q.name || p.text != q.text || p.sql != q.sql || !slices.Equal(p.types, q.types) {
			return "a prepared statement"
		}
	}
	return ""
}

// lasting tells that the state can be relied on although nothing is asked: with pg_temp in the search path, a
// table may be temporary without a word.
func (s *sessionState) lasting() bool {
	path, _ := s.setting("search_path")
	return !strings.Contains(strings.ToLower(path), watchedPrefix)
}

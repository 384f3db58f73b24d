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
	// names are those of types of the database's own, with their schemas, by their OIDs at this server.
	names map[uint32]string
}

// preparedAs is a prepared statement.
type preparedAs struct {
	name, text string
	sql        bool     // made by SQL's PREPARE, which is its text, types and all
	types      []uint32 // OIDs, of its parameters
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

// differs names the first thing in which a state differs from that of another server, whose types have other OIDs; ""
// if they are the same.
func (s *sessionState) differs(o *sessionState, types typeOIDs) string {
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
		if q := o.statements[i]; p.name != q.name || p.text != q.text || p.sql != q.sql || !slices.Equal(s.there(p.types, types), q.types) {
			return "a prepared statement"
		}
	}
	return ""
}

// there are the OIDs of types at another server; 0 for those that there are not.
func (s *sessionState) there(oids []uint32, types typeOIDs) []uint32 {
	list := slices.Clone(oids)
	for i, oid := range oids {
		if oid >= firstOwn {
			list[i] = types[s.names[oid]]
		}
	}
	return list
}

// at is the state as another server has it: with its OIDs.
func (s *sessionState) at(types typeOIDs) *sessionState {
	if len(s.names) == 0 {
		return s
	}
	o := *s
	o.names = make(map[uint32]string, len(s.names))
	for _, name := range s.names {
		o.names[types[name]] = name
	}
	o.statements = slices.Clone(s.statements)
	for i, p := range o.statements {
		o.statements[i].types = s.there(p.types, types)
	}
	return &o
}

// ownTypes are the types of the database's own that prepared statements have for parameters.
func (s *sessionState) ownTypes() (list []uint32) {
	for _, p := range s.statements {
		for _, oid := range p.types {
			if oid >= firstOwn && !slices.Contains(list, oid) {
				list = append(list, oid)
			}
		}
	}
	return list
}

// lasting tells that the state can be relied on although nothing is asked: with pg_temp in the search path, a
// table may be temporary without a word.
func (s *sessionState) lasting() bool {
	path, _ := s.setting("search_path")
	return !strings.Contains(strings.ToLower(path), watchedPrefix)
}

package postgres

import (
	"encoding/binary"
	"slices"
)

// appendState appends what puts a state in place, as one batch: a Query with all settings; the prepared statements,
// which are read under them; then client_encoding and statement_timeout. Meanwhile, texts pass in the database's own
// encoding, as they were asked for, and nothing is cut short. ok is false if a type has no OID.
//
// Settings come before the user and the role, since these may not be allowed to set them.
func (p *put) appendState(dst []byte, s *sessionState, login string) (out []byte, ok bool) {
	dst = appendQuery(dst, string(appendSettings(nil, s, login)))
	p.steps = append(p.steps, putSettings)
	parsed := false
	for _, x := range s.statements {
		if !x.sql {
			types := s.there(x.types, p.types)
			if slices.Contains(types, 0) {
				return nil, false
			}
			dst = appendStatement(dst, x, types)
			parsed = true
		}
	}
	if parsed {
		dst = append(dst, syncMessage...)
		p.steps = append(p.steps, putParse)
	}
	for _, x := range s.statements {
		if x.sql {
			dst = appendQuery(dst, x.text)
			p.steps = append(p.steps, putPrepare)
		}
	}
	dst = appendQuery(dst, string(appendEncoding(nil, s)))
	p.steps = append(p.steps, putEncoding)
	return dst, true
}

// appendStatement appends the Parse of a statement.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PARSE
func appendStatement(dst []byte, x preparedAs, types []uint32) []byte {
	dst = appendHeader(dst, 'P', len(x.name)+1+len(x.text)+1+2+4*len(types))
	dst = append(append(dst, x.name...), 0)
	dst = append(append(dst, x.text...), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(types)))
	for _, oid := range types {
		dst = binary.BigEndian.AppendUint32(dst, oid)
	}
	return dst
}

const (
	sqlSetConfig = "pg_catalog.set_config("
	sqlPutAway   = "SELECT pg_catalog.set_config('client_encoding',pg_catalog.getdatabaseencoding(),false)," +
		"pg_catalog.set_config('statement_timeout','0',false);"
)

// appendSettings appends the text that gives a session its settings, its user and its role. login is the user that
// it has logged in as.
func appendSettings(dst []byte, s *sessionState, login string) []byte {
	dst = append(dst, sqlPutAway...)
	list := slices.DeleteFunc(slices.Clone(s.settings), func(x setting) bool { return x.name == "client_encoding" })
	if set := newSettings(list); set != nil {
		dst = append(appendSwitch(dst, nil, set), ';')
	}
	if s.user != login {
		dst = append(appendSet(append(dst, "SELECT "...), "session_authorization", s.user), ';')
	}
	return appendSet(append(dst, "SELECT "...), "role", s.role)
}

// appendEncoding appends the text that gives a session its own client_encoding and statement_timeout. The latter
// is not set if it is what the session would have without it.
func appendEncoding(dst []byte, s *sessionState) []byte {
	dst = append(dst, "SELECT "...)
	if encoding, ok := s.setting("client_encoding"); ok {
		dst = appendSet(dst, "client_encoding", encoding)
	} else {
		dst = append(dst, sqlSetConfig+"'client_encoding',NULL,false)"...)
	}
	dst = append(dst, ","+sqlSetConfig+"'statement_timeout',NULL,false);SELECT "...)
	dst = appendSet(dst, "statement_timeout", s.timeout)
	dst = append(dst, " WHERE pg_catalog.current_setting('statement_timeout')OPERATOR(pg_catalog.<>)"...)
	return appendText(dst, s.timeout)
}

// appendSet appends a call that sets a setting for the session.
func appendSet(dst []byte, name, value string) []byte {
	dst = append(appendText(append(dst, sqlSetConfig...), name), ',')
	return append(appendText(dst, value), ",false)"...)
}

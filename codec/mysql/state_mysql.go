package mysql

import (
	"bytes"
	"slices"
	"strings"

	"sluice/codec"
)

// mysqlQuestions are the questions for a session's state where the server is MySQL. It has no table of user
// variables that every user may read: their names are those that were seen in texts. Where a procedure was
// called, which may have made others, performance_schema is asked for them; without the right to, the
// session stays where it is.
//
//   - https://dev.mysql.com/doc/refman/8.0/en/show-variables.html
//   - https://dev.mysql.com/doc/refman/8.0/en/show-status.html
//   - https://dev.mysql.com/doc/refman/8.0/en/performance-schema-user-variable-tables.html
func (k *keep) mysqlQuestions() []question {
	role := "CAST(CURRENT_ROLE() AS BINARY)"
	list := []question{
		{"SHOW SESSION VARIABLES", (*state).takeSession, false},
		{"SHOW GLOBAL VARIABLES", (*state).takeGlobal, false},
		{"SELECT CAST(DATABASE() AS BINARY)," + role + ",CAST((SELECT 1 FROM information_schema.SCHEMATA" +
			" WHERE SCHEMA_NAME=DATABASE())AS BINARY),CAST(@@pseudo_thread_id AS BINARY)," +
			"CAST(@@timestamp AS BINARY)" + limit, (*state).takeCurrent, false},
		{"SHOW SESSION STATUS WHERE Variable_name IN('" + strings.Join(counterNames[:], "','") + "')",
			(*state).takeCounters, true},
	}
	if k.called {
		list = append(list, question{"SELECT CAST(VARIABLE_NAME AS BINARY),'' FROM" +
			" performance_schema.user_variables_by_thread JOIN performance_schema.threads USING(THREAD_ID)" +
			" WHERE PROCESSLIST_ID=CONNECTION_ID() ORDER BY 1" + limit, (*state).takeUserNames, false})
		list = append(list, question{"SELECT CAST(COUNT(*)AS BINARY) FROM information_schema.ROUTINES" +
			" WHERE ROUTINE_SCHEMA NOT IN('sys','mysql')" +
			" AND(ROUTINE_DEFINITION IS NULL OR LOCATE('get_lock',LOWER(ROUTINE_DEFINITION))>0)" + limit,
			(*state).takeRoutines, false})
	} else {
		names := k.userNames()
		list = append(list, question{"SELECT 1" + limit, func(s *state, _ *answer) ([]string, error) {
			var r answer
			for _, n := range names {
				r.rows = append(r.rows, []field{field(n), field("")})
			}
			return s.takeUserNames(&r)
		}, false})
	}
	return append(list, question{"SELECT CAST(@@timestamp AS BINARY)" + limit, (*state).takeClock, false})
}

// semanticMySQL are MySQL's as semantic are MariaDB's.
//
// https://dev.mysql.com/doc/refman/8.0/en/server-system-variables.html
var semanticMySQL = []string{
	"autocommit", "character_set_client", "character_set_connection", "character_set_results",
	"collation_connection", "default_storage_engine", "default_week_format", "div_precision_increment",
	"foreign_key_checks", "group_concat_max_len", "lc_time_names", "sql_auto_is_null", "sql_mode",
	"sql_safe_updates", "sql_select_limit", "time_zone", "transaction_isolation", "transaction_read_only",
	"unique_checks",
}

// readOnlyMySQL are session variables that nobody sets, or that go their own way.
//
// https://dev.mysql.com/doc/refman/8.0/en/server-system-variables.html
var readOnlyMySQL = map[string]bool{
	"error_count": true, "warning_count": true, "external_user": true, "proxy_user": true, "gtid_owned": true,
	"character_set_database": true, "collation_database": true, "statement_id": true, "rand_seed1": true,
	"rand_seed2": true, "pseudo_replica_mode": true, "pseudo_slave_mode": true,
}

// takeSession takes all session variables.
func (s *state) takeSession(r *answer) ([]string, error) {
	for _, row := range r.rows {
		if len(row) != 2 {
			return nil, errAnswerOdd
		}
		v := variable{name: strings.ToLower(string(row[0])), value: row[1], number: looksNumber(row[1])}
		if !notCarried[v.name] && !readOnlyMySQL[v.name] {
			s.take(v)
		}
	}
	return nil, nil
}

// takeGlobal leaves those session variables that differ from the global ones, or are carried at any rate.
func (s *state) takeGlobal(r *answer) ([]string, error) {
	global := map[string]field{}
	for _, row := range r.rows {
		if len(row) != 2 {
			return nil, errAnswerOdd
		}
		global[strings.ToLower(string(row[0]))] = row[1]
	}
	s.vars = slices.DeleteFunc(s.vars, func(v variable) bool {
		if slices.Contains(semanticMySQL, v.name) || s.wants(v.name) {
			return false
		}
		g, ok := global[v.name]
		if !ok { // it has no global value: only what is used with the next statements is carried
			return !slices.Contains(late, v.name) || string(v.value) == "0"
		}
		return same(g, v.value)
	})
	if v, ok := s.find("character_set_results"); ok && len(v.value) == 0 { // SHOW has no NULL
		for i := range s.vars {
			if s.vars[i].name == v.name {
				s.vars[i].value = nil
			}
		}
	}
	return nil, nil
}

// looksNumber tells whether a value is to be written without quotes.
func looksNumber(b []byte) bool {
	digits := false
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			digits = true
		case c == '-' && i == 0, c == '.' && i > 0:
		default:
			return false
		}
	}
	return digits
}

// maxNames bounds the user variables that are remembered of texts.
const maxNames = 256

// noteNames takes down the names of user variables in a text. It does not care where literals begin and end:
// a name too many has no value.
func (k *keep) noteNames(text []byte) {
	for {
		i := bytes.IndexByte(text, '@')
		if i < 0 {
			return
		}
		before := i > 0 && isWord(text[i-1]) // of an account, or an address
		text = text[i+1:]
		if before || len(text) == 0 {
			continue
		}
		if text[0] == '@' {
			text = text[1:]
			continue
		}
		name, ok := userName(text)
		if !ok {
			continue
		}
		if _, there := k.names[name]; there {
			continue
		}
		if len(k.names) == maxNames || !k.room(fieldCost+len(name)) {
			k.tooMany = true
			return
		}
		if k.names == nil {
			k.names = map[string]struct{}{}
		}
		k.names[name] = struct{}{}
	}
}

// userName reads the name of a user variable behind its @, in lower case: they are all the same to MySQL.
//
// https://dev.mysql.com/doc/refman/8.0/en/user-variables.html
func userName(b []byte) (string, bool) {
	s := &lexer{scanner{b: b}}
	if c := b[0]; c == '`' || c == '"' || c == '\'' {
		inside, ok := s.quoted()
		if !ok || len(inside) == 0 || len(inside) > maxName || bytes.IndexByte(inside, c) >= 0 {
			return "", false
		}
		return strings.ToLower(string(inside)), true
	}
	n := 0
	for n < len(b) && (isWord(b[n]) || b[n] == '.') {
		n++
	}
	if n == 0 || n > maxName {
		return "", false
	}
	return strings.ToLower(string(b[:n])), true
}

// userNames are the names of user variables seen, in order.
func (k *keep) userNames() []string {
	list := make([]string, 0, len(k.names))
	for n := range k.names {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// typeOfDef reads the type of a column as userVariable.kind has it.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func typeOfDef(def []byte) (kind string, ok bool) {
	for range 6 { // catalog, schema, table, its own name, name, its own name
		if _, def, ok = lenencBytes(def); !ok {
			return "", false
		}
	}
	const fixed = 1 + 2 + 4 + 1 + 2 // length of what follows, character set, length, type, flags
	if len(def) < fixed {
		return "", false
	}
	const unsigned = 32
	switch def[7] {
	case 0x01, 0x02, 0x03, 0x08, 0x09:
		if def[8]&unsigned != 0 {
			return "INT UNSIGNED", true
		}
		return "INT", true
	case 0x04, 0x05:
		return "DOUBLE", true
	case 0x00, 0xf6:
		return "DECIMAL", true
	}
	return "VARCHAR", true
}

var errTooManyNames = codec.PinError{Pin: codec.Pin{Name: "user-variable",
	Reason: "it has more user variables than are remembered"}}

package mysql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/codec"
)

// errAnswerOdd ends a move whose server answers otherwise than it should.
var errAnswerOdd = errors.New("the server's answer on the session's state makes no sense")

// limit stands behind each question: without, sql_select_limit would cut the answer.
//
// https://mariadb.com/kb/en/server-system-variables/#sql_select_limit
const limit = " LIMIT 1000000"

// mariadbQuestions are the questions for a session's state. What they ask for is turned into bytes (BINARY),
// so that character_set_results does not change it, and they hold nothing that an SQL mode reads in another
// way.
//
//   - https://mariadb.com/kb/en/information-schema-system_variables-table/
//   - https://mariadb.com/kb/en/information-schema-session_status-table/
//   - https://mariadb.com/kb/en/information-schema-user_variables-table/
var mariadbQuestions = []question{
	mariadbVariables,
	{"SELECT BINARY DATABASE(),BINARY CURRENT_ROLE(),BINARY(SELECT 1 FROM information_schema.SCHEMATA" +
		" WHERE SCHEMA_NAME=DATABASE()),BINARY @@pseudo_thread_id,BINARY @@timestamp" +
		limit, (*state).takeCurrent, false},
	{"SELECT BINARY VARIABLE_NAME,BINARY VARIABLE_VALUE FROM information_schema.SESSION_STATUS" +
		" WHERE VARIABLE_NAME IN('" + strings.Join(mariadbCounters(), "','") + "')" + limit, (*state).takeCounters, true},
	{"SELECT BINARY VARIABLE_NAME,BINARY VARIABLE_TYPE FROM information_schema.USER_VARIABLES" +
		" ORDER BY 1" + limit, (*state).takeUserNames, false},
	{"SELECT BINARY @@timestamp" + limit, (*state).takeClock, false},
}

// mariadbVariables asks for all variables that a session may set.
var mariadbVariables = question{"SELECT BINARY LOWER(VARIABLE_NAME),BINARY VARIABLE_TYPE,BINARY VARIABLE_SCOPE," +
	"BINARY SESSION_VALUE,BINARY GLOBAL_VALUE,BINARY @@version FROM information_schema.SYSTEM_VARIABLES" +
	" WHERE VARIABLE_SCOPE<>'GLOBAL' AND READ_ONLY='NO'" + limit, (*state).takeVariables, false}

// mariadbRoutines is asked of a session that has called a procedure.
//
// https://mariadb.com/kb/en/information-schema-routines-table/
var mariadbRoutines = question{"SELECT BINARY COUNT(*) FROM information_schema.ROUTINES" +
	" WHERE ROUTINE_SCHEMA NOT IN('sys','mysql')" +
	" AND(ROUTINE_DEFINITION IS NULL OR LOCATE('get_lock',LOWER(ROUTINE_DEFINITION))>0)" + limit, (*state).takeRoutines, false}

// mariadbCounters are the counters that MariaDB has. It counts temporary tables by themselves, and so
// all tables are of no interest (and that counter is known to run backwards).
func mariadbCounters() (list []string) {
	for n, name := range counterNames {
		if tally(n) != countTable {
			list = append(list, name)
		}
	}
	return list
}

// semantic are variables that are carried even where the session has the server's global value: the new
// server's may be another one, and what a client's statements mean must not change under it.
var semantic = []string{
	"autocommit", "character_set_client", "character_set_connection", "character_set_results",
	"check_constraint_checks", "collation_connection", "default_storage_engine", "default_week_format",
	"div_precision_increment", "foreign_key_checks", "group_concat_max_len", "lc_time_names",
	"sql_auto_is_null", "sql_mode", "sql_safe_updates", "sql_select_limit", "time_zone", "tx_isolation",
	"tx_read_only", "unique_checks",
}

// semantics are the same as a set.
var semantics = func() map[string]bool {
	set := map[string]bool{}
	for _, name := range semantic {
		set[name] = true
	}
	return set
}()

// notCarried are variables that go their own way at each server, or say what was.
var notCarried = map[string]bool{
	"identity":           true, // another name of last_insert_id
	"timestamp":          true, // state.stamp
	"pseudo_thread_id":   true, // state.thread
	"max_allowed_packet": true, // can't be set by a session
	"net_buffer_length":  true, // likewise
	"wsrep_gtid_seq_no":  true,
}

// takeVariables takes those that matter, and learns which there are.
func (s *state) takeVariables(r *answer) ([]string, error) {
	var known []learntVariable
	version := ""
	for _, row := range r.rows {
		if len(row) != 6 {
			return nil, errAnswerOdd
		}
		v := learntVariable{name: string(row[0]), kind: string(row[1]), only: string(row[2]) == "SESSION ONLY"}
		known, version = append(known, v), string(row[5])
		value, global := row[3], row[4]
		if len(value) == 0 && nullable[v.name] {
			value = nil
		}
		if len(global) == 0 && nullable[v.name] {
			global = nil
		}
		if s.offer(v, value, global); len(value) >= maxVariable && !same(value, global) {
			return nil, codec.PinError{Pin: codec.Pin{Name: "variable", Reason: "the value of " + v.name + " is too long"}}
		}
	}
	learn(version, known)
	return nil, nil
}

// maxVariable is the length at which MariaDB cuts the values that its table of variables has.
const maxVariable = 2048

// nullable are variables that may be NULL and not empty. The table shows both as the empty string.
var nullable = map[string]bool{
	"character_set_results": true, "default_tmp_storage_engine": true, "enforce_storage_engine": true,
	"innodb_tmpdir": true, "innodb_ft_user_stopword_table": true,
}

// isNumber tells which types of variables are written without quotes.
func isNumber(typ string) bool {
	return strings.HasPrefix(typ, "INT") || strings.HasPrefix(typ, "BIGINT") || typ == "DOUBLE"
}

// takeCurrent takes the database, the role, the connection's id as statements see it, and the clock.
func (s *state) takeCurrent(r *answer) ([]string, error) {
	row, ok := r.one(5)
	if !ok {
		return nil, errAnswerOdd
	}
	s.db, s.role, s.dbThere, s.thread, s.stamp = row[0], row[1], row[2] != nil, row[3], row[4]
	if string(s.role) == "NONE" { // MySQL
		s.role = nil
	}
	return nil, nil
}

// takeClock takes the clock once more: one that has not gone on was stopped by SET timestamp.
//
// https://mariadb.com/kb/en/server-system-variables/#timestamp
func (s *state) takeClock(r *answer) ([]string, error) {
	row, ok := r.one(1)
	if !ok {
		return nil, errAnswerOdd
	}
	if !same(s.stamp, row[0]) {
		s.stamp = nil
	}
	return nil, nil
}

// takeRoutines takes the number of routines that may take a lock.
func (s *state) takeRoutines(r *answer) ([]string, error) {
	if row, ok := r.one(1); !ok || string(row[0]) != "0" {
		return nil, codec.PinError{Pin: codec.Pin{Name: "procedure",
			Reason: "it has called a procedure, and there is one that may take a lock"}}
	}
	return nil, nil
}

// takeCounters takes what the server counts.
func (s *state) takeCounters(r *answer) ([]string, error) {
	for _, row := range r.rows {
		if len(row) != 2 {
			return nil, errAnswerOdd
		}
		for n, name := range counterNames {
			if !strings.EqualFold(name, string(row[0])) {
				continue
			}
			v, err := strconv.ParseUint(string(row[1]), 10, 64)
			if err != nil {
				return nil, errAnswerOdd
			}
			s.counts[n], s.counted[n] = v, true
		}
	}
	return nil, nil
}

// takeUserNames takes the names and types of user variables, and returns the questions for the values.
func (s *state) takeUserNames(r *answer) (more []string, err error) {
	for _, row := range r.rows {
		if len(row) != 2 || len(row[0]) == 0 {
			return nil, errAnswerOdd
		}
		name := string(row[0])
		if !s.utf8() && !isASCII(name) {
			return nil, codec.PinError{Pin: codec.Pin{Name: "user-variable",
				Reason: "it has a variable whose name can't be said in its character set"}}
		}
		s.user = append(s.user, userVariable{name: name, kind: string(row[1])})
	}
	return userQuestions(s.user), nil
}

// userChunk is how many variables are asked for by one statement.
const userChunk = 64

// userQuestions are the questions for the values of user variables, and what these are compared by.
func userQuestions(list []userVariable) (q []string) {
	for from := 0; from < len(list); from += userChunk {
		var b strings.Builder
		b.WriteString("SELECT ")
		for i, v := range list[from:min(from+userChunk, len(list))] {
			if i > 0 {
				b.WriteByte(',')
			}
			name := quoteName(v.name)
			fmt.Fprintf(&b, "@%s,CAST(@%s AS BINARY),CAST(COLLATION(@%s)AS BINARY)", name, name, name)
		}
		b.WriteString(limit)
		q = append(q, b.String())
	}
	return q
}

// takeValues takes the answer to one of the questions for values, the variables from that one on.
func (s *state) takeValues(from int, r *answer) error {
	n := min(userChunk, len(s.user)-from)
	if n <= 0 {
		return errAnswerOdd
	}
	row, ok := r.one(3 * n)
	if !ok || len(r.defs) != 3*n {
		return errAnswerOdd
	}
	for i := range n {
		v := &s.user[from+i]
		if v.kind == "" {
			if v.kind, ok = typeOfDef(r.defs[3*i]); !ok {
				return errAnswerOdd
			}
		}
		v.value, v.collation = row[3*i+1], string(row[3*i+2])
	}
	return nil
}

// quoteName quotes a name as all SQL modes read it.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

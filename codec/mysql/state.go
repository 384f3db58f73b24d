package mysql

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sluice/codec"
)

// state is what a server has told of a session.
type state struct {
	vars    []variable // those that matter, in the order of their names
	user    []userVariable
	db      field  // the current database in UTF-8; nil if there is none
	dbThere bool   // it still exists
	role    field  // nil if there is none
	thread  field  // the connection's id, unless the client has set another one
	stamp   field  // @@timestamp, if it does not go on
	want    *state // the one with which this shall be compared; nil: none
	counts  [counters]uint64
	counted [counters]bool // the server has such a counter
}

// variable is one of a session's settings.
type variable struct {
	name   string // in lower case
	value  field
	number bool // it is written without quotes
}

// userVariable is one that a client has made up.
type userVariable struct {
	name      string
	kind      string // "INT", "INT UNSIGNED", "DOUBLE", "DECIMAL", "VARCHAR"
	collation string
	value     field
}

// find returns a variable.
func (s *state) find(name string) (v variable, ok bool) {
	i, ok := slices.BinarySearchFunc(s.vars, name, func(v variable, name string) int {
		return strings.Compare(v.name, name)
	})
	if !ok {
		return v, false
	}
	return s.vars[i], true
}

// wants tells that a variable is told whatever its value is.
func (s *state) wants(name string) bool {
	if s.want == nil {
		return false
	}
	_, ok := s.want.find(name)
	return ok
}

// take adds a variable.
func (s *state) take(v variable) {
	i, there := slices.BinarySearchFunc(s.vars, v.name, func(a variable, name string) int {
		return strings.Compare(a.name, name)
	})
	if !there {
		s.vars = slices.Insert(s.vars, i, v)
	}
}

// utf8 tells whether texts of the session are UTF-8.
func (s *state) utf8() bool {
	v, ok := s.find("character_set_client")
	return ok && bytes.HasPrefix(v.value, []byte("utf8"))
}

// size is about the memory that the state takes, in bytes.
func (s *state) size() int {
	n := len(s.db) + len(s.role)
	for _, v := range s.vars {
		n += fieldCost + len(v.name) + len(v.value)
	}
	for _, v := range s.user {
		n += 2*fieldCost + len(v.name) + len(v.value)
	}
	return n
}

// differs says what is different at the new server; "" if nothing is that matters. free are variables that a
// session can't have a value of its own of.
func (s *state) differs(at *state, free map[string]bool) string {
	for _, v := range s.vars {
		if got, ok := at.find(v.name); !free[v.name] && (!ok || !same(v.value, got.value)) {
			return "variable " + v.name
		}
	}
	for _, v := range at.vars {
		if _, ok := s.find(v.name); !ok && !free[v.name] && !ownDefault[v.name] {
			return "variable " + v.name
		}
	}
	switch {
	case len(s.user) != len(at.user):
		return "number of user variables"
	case !same(s.role, at.role):
		return "role"
	case s.dbThere && !same(s.db, at.db):
		return "current database"
	case !same(s.stamp, at.stamp):
		return "variable timestamp"
	}
	for i, v := range s.user {
		got := at.user[i]
		sameKind := v.kind == got.kind && v.collation == got.collation || v.value == nil
		if v.name != got.name || !sameKind || !same(v.value, got.value) {
			return "user variable @" + v.name
		}
	}
	return ""
}

// ownDefault are variables whose first value in a session need not be the global one.
var ownDefault = map[string]bool{
	"wait_timeout": true, // interactive_timeout's, for clients that say they are
	"rand_seed1":   true, "rand_seed2": true,
}

// same compares two values; NULL is not the empty string.
func same(a, b field) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// hidden compares the server's counters with what was counted here; base is where they stood at the begin.
func (s *state) hidden(mine, base *[counters]uint64) codec.Pin {
	for n := range counters {
		if !s.counted[n] {
			continue
		}
		want := mine[n] + base[n]
		if got := s.counts[n]; got != want {
			return codec.Pin{Name: "hidden", Reason: fmt.Sprintf("its server counts %d times %s, %d are known of",
				got, counterNames[n], want)}
		}
	}
	return codec.Pin{}
}

// counterNames are the server's status variables.
//
//   - https://mariadb.com/kb/en/server-status-variables/
//   - https://dev.mysql.com/doc/refman/8.0/en/server-status-variables.html#statvar_Com_xxx
var counterNames = [counters]string{
	countTemp: "Com_create_temporary_table", countTable: "Com_create_table", countLock: "Com_lock_tables",
	countFlush: "Com_flush", countHandler: "Com_ha_open", countXA: "Com_xa_start", countPrepare: "Com_prepare_sql",
}

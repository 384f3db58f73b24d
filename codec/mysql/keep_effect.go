package mysql

import (
	"bytes"
	"strings"
)

// effectKind is what a statement does that binds a session, loosens it, or has to be kept.
type effectKind uint8

const (
	effOpaque     effectKind = iota // something that its text does not show
	effCreate                       // CREATE TABLE, which MySQL counts with temporary ones
	effTemp                         // a temporary table or sequence is made: name
	effDrop                         // a table is dropped: name
	effLock                         // LOCK TABLES
	effUnlock                       // UNLOCK TABLES
	effBegin                        // a transaction is begun, which unlocks tables
	effFlush                        // FLUSH of any kind
	effReadLock                     // FLUSH … WITH READ LOCK or FOR EXPORT
	effBackup                       // BACKUP STAGE, BACKUP LOCK, LOCK INSTANCE
	effBackupEnd                    // what ends that
	effOpen                         // HANDLER … OPEN
	effClose                        // HANDLER … CLOSE
	effXA                           // XA START
	effXAEnd                        // XA COMMIT or ROLLBACK
	effPrepare                      // PREPARE name: text, or "" if that is made at the server
	effDealloc                      // DEALLOCATE PREPARE name
	effExecute                      // EXECUTE name
	effUserLock                     // GET_LOCK: name, or "" if that is not in the text
	effUserUnlock                   // RELEASE_LOCK(name), just once
	effUserFree                     // RELEASE_ALL_LOCKS()
	effUse                          // the current database becomes name
	effEra                          // what texts are read by changes
	effNextTx                       // SET TRANSACTION, for the next one only
	effZero                         // FLUSH STATUS: the server's counters begin anew
	effFunction                     // a function that the configuration names
	effCall                         // a procedure
	effReset                        // COM_RESET_CONNECTION
	effUser                         // COM_CHANGE_USER
)

// effect is one of these with its words.
type effect struct {
	kind effectKind
	name string
	text string
}

// maxEffects bounds what is taken from one text. Behind it the text is opaque.
const maxEffects = 64

// analyse reads a text of one statement, or several: batch.
func analyse(text []byte, functions []string) (list []effect, batch bool) {
	for first := true; ; first = false {
		s := lexer{scanner{b: text}}
		s.blank()
		for s.skip(';') {
			s.blank()
		}
		if s.i == len(text) {
			break
		}
		batch = !first
		stmt, rest := s.statement()
		list = appendEffects(list, stmt, functions)
		if len(list) > maxEffects {
			return append(list[:maxEffects], effect{kind: effOpaque}), true
		}
		if len(rest) == 0 {
			break
		}
		text = rest
	}
	return list, batch
}

// appendEffects appends those of one statement.
func appendEffects(list []effect, stmt []byte, functions []string) []effect {
	s := &lexer{scanner{b: stmt}}
	found := false
	for _, v := range verbs {
		if found = s.word(v.word); found {
			list = v.effects(list, s)
			break
		}
	}
	switch {
	case found:
	case s.word("EXECUTE"):
		list = effectsOfExecute(list, s)
	case bytes.HasPrefix(s.b[s.i:], []byte("/*")):
		list = append(list, effect{kind: effOpaque}, effect{kind: effEra}) // for some servers only
	}
	if defines(stmt) {
		return list
	}
	return appendCalls(list, stmt, functions)
}

// defines tells that a statement makes a routine: what that calls is not called yet.
func defines(stmt []byte) bool {
	s := &lexer{scanner{b: stmt}}
	if !s.word("CREATE") {
		return false
	}
	s.i = 0
	return s.routine()
}

// verbs are the statements that are looked into, by their first word. s stands behind it.
var verbs = []struct {
	word    string
	effects func(list []effect, s *lexer) []effect
}{
	{"SET", effectsOfSet},
	{"CREATE", effectsOfCreate},
	{"DROP", effectsOfDrop},
	{"ALTER", effectsOfAlter},
	{"RENAME", effectsOfAlter},
	{"LOCK", func(list []effect, s *lexer) []effect {
		if s.word("INSTANCE") {
			return append(list, effect{kind: effBackup})
		}
		return append(list, effect{kind: effLock})
	}},
	{"UNLOCK", func(list []effect, s *lexer) []effect {
		if s.word("INSTANCE") {
			return append(list, effect{kind: effBackupEnd})
		}
		return append(list, effect{kind: effUnlock})
	}},
	{"BEGIN", effectsOfBegin},
	{"START", func(list []effect, s *lexer) []effect {
		if s.word("TRANSACTION") {
			return append(list, effect{kind: effBegin})
		}
		return list
	}},
	{"FLUSH", effectsOfFlush},
	{"BACKUP", func(list []effect, s *lexer) []effect {
		if s.word("UNLOCK") || s.word("STAGE") && s.word("END") {
			return append(list, effect{kind: effBackupEnd})
		}
		return append(list, effect{kind: effBackup})
	}},
	{"HANDLER", effectsOfHandler},
	{"XA", func(list []effect, s *lexer) []effect {
		switch {
		case s.word("START"), s.word("BEGIN"):
			return append(list, effect{kind: effXA})
		case s.word("COMMIT"), s.word("ROLLBACK"):
			return append(list, effect{kind: effXAEnd})
		}
		return list
	}},
	{"PREPARE", effectsOfPrepare},
	{"DEALLOCATE", effectsOfDeallocate},
	{"USE", func(list []effect, s *lexer) []effect {
		if name, ok := s.name(); ok {
			return append(list, effect{kind: effUse, name: name})
		}
		return append(list, effect{kind: effOpaque})
	}},
	{"CALL", func(list []effect, s *lexer) []effect {
		name, _ := s.path()
		return append(list, effect{kind: effCall, name: name})
	}},
	{"IF", effectsOfCompound}, {"CASE", effectsOfCompound}, {"LOOP", effectsOfCompound},
	{"WHILE", effectsOfCompound}, {"REPEAT", effectsOfCompound}, {"FOR", effectsOfCompound},
}

// effectsOfCompound are those of MariaDB's compound statements outside of procedures.
//
// https://mariadb.com/kb/en/using-compound-statements-outside-of-stored-programs/
func effectsOfCompound(list []effect, _ *lexer) []effect {
	return append(list, effect{kind: effOpaque}, effect{kind: effCall}, effect{kind: effEra})
}

func effectsOfBegin(list []effect, s *lexer) []effect {
	if s.word("NOT") {
		return effectsOfCompound(list, s)
	}
	return append(list, effect{kind: effBegin})
}

// effectsOfSet are those of SET in all its forms. What the variables are is asked for later.
func effectsOfSet(list []effect, s *lexer) []effect {
	if s.word("TRANSACTION") {
		return append(list, effect{kind: effNextTx})
	}
	if s.word("STATEMENT") { // … FOR a statement of any kind
		return append(list, effect{kind: effOpaque})
	}
	for _, word := range []string{"sql_mode", "names", "char", "collation"} {
		if containsFold(s.b, word) {
			return append(list, effect{kind: effEra})
		}
	}
	return list
}

func effectsOfCreate(list []effect, s *lexer) []effect {
	if s.word("OR") {
		s.word("REPLACE")
	}
	if !s.word("TEMPORARY") {
		if s.word("TABLE") {
			list = append(list, effect{kind: effCreate})
		}
		return list
	}
	if !s.word("TABLE") {
		s.word("SEQUENCE")
	}
	if s.word("IF") {
		_ = s.word("NOT") && s.word("EXISTS")
	}
	name, _ := s.path()
	return append(list, effect{kind: effTemp, name: name})
}

func effectsOfDrop(list []effect, s *lexer) []effect {
	if s.word("PREPARE") {
		return appendNamed(list, effDealloc, s)
	}
	s.word("TEMPORARY")
	if !s.word("TABLE") && !s.word("TABLES") && !s.word("SEQUENCE") {
		return list
	}
	_ = s.word("IF") && s.word("EXISTS")
	for len(list) <= maxEffects {
		name, ok := s.path()
		if !ok {
			return list
		}
		list = append(list, effect{kind: effDrop, name: name})
		if s.blank(); !s.skip(',') {
			return list
		}
	}
	return list
}

// effectsOfAlter are those of what may rename a temporary table: one that is bound stays so.
func effectsOfAlter(list []effect, _ *lexer) []effect { return list }

func effectsOfFlush(list []effect, s *lexer) []effect {
	list = append(list, effect{kind: effFlush})
	rest := s.b[s.i:]
	if containsFold(rest, "lock") || containsFold(rest, "export") {
		list = append(list, effect{kind: effReadLock})
	}
	if containsFold(rest, "status") {
		list = append(list, effect{kind: effZero})
	}
	return list
}

func effectsOfHandler(list []effect, s *lexer) []effect {
	s.path()
	switch {
	case s.word("OPEN"):
		return append(list, effect{kind: effOpen})
	case s.word("CLOSE"):
		return append(list, effect{kind: effClose})
	}
	return list
}

// effectsOfPrepare are those of PREPARE name FROM 'text'. A text that is anything else than one literal is
// made at the server.
func effectsOfPrepare(list []effect, s *lexer) []effect {
	name, ok := s.name()
	if !ok || !s.word("FROM") {
		return append(list, effect{kind: effOpaque})
	}
	e := effect{kind: effPrepare, name: strings.ToLower(name)}
	if _, ok := s.onlyLiteral(); ok {
		e.text = string(bytes.TrimRight(s.b, " \t\r\n;"))
	}
	return append(list, e)
}

func effectsOfExecute(list []effect, s *lexer) []effect {
	if !s.word("IMMEDIATE") {
		return appendNamed(list, effExecute, s)
	}
	if text, ok := s.onlyLiteral(); ok {
		return appendEffects(list, text, nil)
	}
	return append(list, effect{kind: effOpaque}, effect{kind: effCall}, effect{kind: effEra})
}

func effectsOfDeallocate(list []effect, s *lexer) []effect {
	s.word("PREPARE")
	return appendNamed(list, effDealloc, s)
}

func appendNamed(list []effect, kind effectKind, s *lexer) []effect {
	name, ok := s.name()
	if !ok {
		return append(list, effect{kind: effOpaque})
	}
	return append(list, effect{kind: kind, name: strings.ToLower(name)})
}

// containsFold tells whether b holds a word, given in lower case.
func containsFold(b []byte, word string) bool {
	for i := 0; i+len(word) <= len(b); i++ {
		if b[i]|0x20 == word[0]|0x20 && strings.EqualFold(string(b[i:i+len(word)]), word) {
			return true
		}
	}
	return false
}

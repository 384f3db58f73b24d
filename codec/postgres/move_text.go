package postgres

import (
	"bytes"
	"strings"
	"sync"
)

// What a session's state may depend on is asked of its server, but for what no server can tell: the names of
// settings that are a client's own, and what functions do of which nothing can be seen. For these, and to know
// whether the state may have changed since it was asked for, the texts of statements are looked at, once for each
// Query and Parse, for few words and for the first one.

// Words beyond those of a look.
const (
	// wordFunction is a function or procedure that is configured to change a session in a way that can't be seen.
	wordFunction words = 1 << 29
)

// movingSets are the words to watch for by the functions that are configured. There are as many as configurations
// that were in force.
var movingSets = struct {
	sync.Mutex
	all map[string]*wordSet
}{all: make(map[string]*wordSet)}

// maxMovingSets bounds them: beyond it they are made anew.
const maxMovingSets = 64

// movingWords returns the words to watch for.
func movingWords(functions []string) *wordSet {
	key := strings.Join(functions, "\x00")
	movingSets.Lock()
	defer movingSets.Unlock()
	s := movingSets.all[key]
	if s == nil {
		s = newMovingWords(functions)
		if len(movingSets.all) >= maxMovingSets {
			clear(movingSets.all)
		}
		movingSets.all[key] = s
	}
	return s
}

func newMovingWords(functions []string) *wordSet {
	s := &wordSet{}
	for _, w := range watched {
		if w.says&(wordExecute|wordDraws) == 0 {
			s.put(w.word, w.middle, w.says)
		}
	}
	s.putFunctions(slotMakers, wordTemp)
	s.putFunctions(functions, wordFunction)
	return s
}

// slotMakers make replication slots, which may be temporary: then they go with their session.
//
// https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
var slotMakers = []string{
	"pg_create_physical_replication_slot", "pg_create_logical_replication_slot",
	"pg_copy_physical_replication_slot", "pg_copy_logical_replication_slot",
}

// withoutComments returns a text without what stands before its first word.
func withoutComments(text []byte) []byte {
	if len(text) == 0 || isNameStart(text[0]) {
		return text
	}
	s := sqlScanner{text: text}
	if !s.skipBlank() {
		return text
	}
	return text[s.pos:]
}

// verbs is what the first word of a text says of it.
type verbs uint8

const (
	verbHarmless verbs = 1 << iota // it is one statement that leaves nothing in its session, but by functions
	verbOpens                      // it opens a transaction block
	verbEnds                       // it may end one
)

// verbOf judges a text by its first word. No comment stands before it.
func verbOf(text []byte) verbs {
	n := wordLength(text[:min(len(text), maxVerb)])
	verb := text[:n]
	if n < 3 {
		if n == 0 && len(text) == 0 {
			return verbHarmless
		}
		return verbEnds
	}
	for _, v := range knownVerbs[verb[0]&31] {
		if !equalFold(verb, v.word) {
			continue
		}
		if manyStatements(text) {
			return verbEnds
		}
		return v.says
	}
	return verbEnds
}

// maxVerb is longer than any of them.
const maxVerb = 12

// knownVerbs are by their first letter; see letterBit. They are the commands' own names:
// https://www.postgresql.org/docs/current/sql-commands.html.
var knownVerbs = func() (t [32][]knownVerb) {
	for _, v := range [...]string{
		"select", "insert", "update", "delete", "begin", "commit", "with", "end", "rollback", "merge", "values",
		"table", "copy", "savepoint", "release", "start", "abort", "fetch", "move", "close", "show", "lock",
	} {
		says := verbHarmless
		switch v {
		case "begin", "start":
			says |= verbOpens
		case "commit", "end", "rollback", "abort":
			says |= verbEnds
		}
		t[v[0]&31] = append(t[v[0]&31], knownVerb{v, says})
	}
	return t
}()

type knownVerb struct {
	word string
	says verbs
}

// manyStatements tells whether there may be more than one statement in a text.
func manyStatements(text []byte) bool {
	i := bytes.IndexByte(text, ';')
	if i < 0 {
		return false
	}
	for _, c := range text[i:] {
		if c != ';' && !isBlank(c) {
			return true
		}
	}
	return false
}

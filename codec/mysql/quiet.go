package mysql

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// maxQuiet bounds the statements that are looked through for what changes a session, in bytes.
const maxQuiet = 4 << 10

// quiet tells that a statement leaves no trace in its session, so that what a server has told of the
// session before still holds: it reads or writes rows, or begins or ends a transaction, sets no variable,
// and calls none of the functions that do more. functions are names of further ones. What the last
// statement has left to be asked for (ROW_COUNT, FOUND_ROWS, warnings) does not count. several tells that the
// server would run several statements in one text.
//
// It may say false of a statement that is quiet, never true of one that is not.
func quiet(text []byte, functions []string, several bool) bool {
	if len(text) > maxQuiet || len(text) < wordLen {
		return false
	}
	word := wordOf(text)
	if !quietVerb(word) {
		if text = behindBlank(text); len(text) < wordLen {
			return false
		}
		if word = wordOf(text); !quietVerb(word) {
			return false
		}
	}
	if bytes.IndexByte(text, '@') >= 0 {
		return false
	}
	if several || word == begi { // BEGIN may begin a compound statement of MariaDB's
		if i := bytes.IndexByte(text, ';'); i >= 0 && len(bytes.TrimSpace(text[i+1:])) > 0 {
			return false
		}
	}
	return bytes.IndexByte(text, '(') < 0 || !callsLoud(text, functions)
}

// behindBlank returns a text without the spaces and comments in front of it; nothing if it is all one, or torn.
func behindBlank(text []byte) []byte {
	if len(text) == 0 || !isSpace(text[0]) && text[0] != '/' && text[0] != '-' && text[0] != '#' {
		return text
	}
	s := scanner{b: text}
	if s.blank(); s.torn {
		return nil
	}
	return text[s.i:]
}

// wordOf is the front of a text in upper case, where it is letters.
func wordOf(text []byte) uint32 { return binary.LittleEndian.Uint32(text) &^ 0x20202020 }

// quietVerb tells that statements that begin with a word do not change a session by what they are.
func quietVerb(word uint32) bool {
	switch word {
	case sele, inse, upda, dele, repl, with, load, show, desc, begi, comm, roll:
		return true
	}
	return false
}

const (
	begi = 'B' | 'E'<<8 | 'G'<<16 | 'I'<<24
	comm = 'C' | 'O'<<8 | 'M'<<16 | 'M'<<24
	roll = 'R' | 'O'<<8 | 'L'<<16 | 'L'<<24
)

// callsLoud tells whether text calls a function that changes its session, or may.
func callsLoud(text []byte, functions []string) bool {
	for from := 0; ; {
		i := bytes.IndexByte(text[from:], '(')
		if i < 0 {
			return false
		}
		end := from + i
		from = end + 1
		for end > 0 && isSpace(text[end-1]) {
			end--
		}
		if end == 0 {
			continue
		}
		// A comment may stand between the name and its bracket; a quoted name may be any.
		if c := text[end-1]; c == '/' || c == '`' || endsLineComment(text[:end], text[end:from]) {
			return true
		}
		name := lastName(text[:end])
		if len(name) > 0 && loud(name, functions) {
			return true
		}
	}
}

// endsLineComment tells whether what stands behind front may be the end of a comment's line.
func endsLineComment(front, behind []byte) bool {
	if bytes.IndexByte(behind, '\n') < 0 {
		return false
	}
	line := front[bytes.LastIndexByte(front, '\n')+1:]
	return bytes.IndexByte(line, '#') >= 0 || bytes.Contains(line, []byte("--"))
}

// maxName is the longest name of a function, in characters of one byte.
const maxName = 64

// lastName returns the name at the end of b.
func lastName(b []byte) []byte {
	at := len(b)
	for at > 0 && len(b)-at < maxName && isWord(b[at-1]) {
		at--
	}
	return b[at:]
}

// loudNames are built-in functions that change their session: locks, the ids of rows and sequences.
//
//   - https://dev.mysql.com/doc/refman/8.0/en/locking-functions.html
//   - https://dev.mysql.com/doc/refman/8.0/en/information-functions.html#function_last-insert-id
//   - https://docs.pingcap.com/tidb/stable/sql-statement-create-sequence
var loudNames = []string{
	"get_lock", "release_lock", "release_all_locks", "last_insert_id", "nextval", "setval", "lastval",
	"service_get_read_locks", "service_get_write_locks", "service_release_locks",
}

func loud(name []byte, functions []string) bool {
	switch name[len(name)-1] | 0x20 { // the last letters of those above
	case 'k', 's', 'd', 'l':
		for _, n := range loudNames {
			if len(n) == len(name) && strings.EqualFold(n, string(name)) {
				return true
			}
		}
	}
	for _, n := range functions {
		if strings.EqualFold(n, string(name)) {
			return true
		}
	}
	return false
}

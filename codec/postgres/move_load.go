package postgres

import (
	"bytes"
	"slices"

	"sluice/codec"
)

// Libraries that LOAD has loaded stay in their session to its end, and servers before version 18 do not say which they
// are. So the texts are looked at, and a session loads its libraries anew where it goes.
//
// https://www.postgresql.org/docs/current/sql-load.html

// Limits of the names of libraries that a session may have.
const (
	maxLibraries = 16
	maxLibrary   = 256 // bytes
)

var pinLoad = codec.Pin{Name: "load", Reason: "it has loaded libraries by LOAD that can't be told, or can't be loaded elsewhere"}

// libraries looks for LOAD in a text: as a statement or in the code of a DO.
func (t *tracker) libraries(text []byte) {
	if !containsFold(text, "load") {
		return
	}
	s := sqlScanner{text: text}
	first, code := true, false // in the present statement
	for x := s.next(); x.kind != tokenEnd; x = s.next() {
		switch {
		case x.kind == tokenUnsure:
			if loadsIn(text) {
				t.bind(pinLoad)
			}
			return
		case x.kind == tokenSemicolon:
			first, code = true, false
			continue
		case first && s.is(x, "load"):
			x = s.next()
			if x.kind != tokenString || !t.library(text[x.at:x.end]) {
				t.bind(pinLoad)
			}
		case first:
			code = s.is(x, "do")
		case code && x.kind == tokenString && loadsIn(text[x.at:x.end]):
			t.bind(pinLoad)
		}
		first = false
	}
}

// library takes the name of one, if it is a plain constant.
func (t *tracker) library(b []byte) bool {
	if len(b) < 3 || len(b) > maxLibrary || b[0] != '\'' || bytes.IndexByte(b[1:len(b)-1], '\'') >= 0 {
		return false
	}
	for _, c := range b {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	if name := string(b[1 : len(b)-1]); !slices.Contains(t.loaded, name) {
		if len(t.loaded) == maxLibraries {
			return false
		}
		t.loaded = append(t.loaded, name)
	}
	return true
}

// loadsIn looks for a LOAD in code: the word, a blank, and what a string begins with, or is put together by.
func loadsIn(text []byte) bool {
	for len(text) > 0 {
		n := wordLength(text)
		load := equalFold(text[:n], "load")
		text = text[max(n, 1):]
		rest := bytes.TrimLeft(text, " \t\r\n\f")
		if !load || len(rest) < 2 || len(rest) == len(text) {
			continue
		}
		if bytes.IndexByte([]byte(`'$|%\`), rest[0]) >= 0 || isNameStart(rest[0]) && (rest[1] == '\'' || rest[1] == '&') {
			return true
		}
	}
	return false
}

// appendLoads appends what loads a session's libraries, one Query for each.
func (p *put) appendLoads(dst []byte, loaded []string) []byte {
	for _, name := range loaded {
		dst = appendQuery(dst, "LOAD '"+name+"'")
		p.steps = append(p.steps, putLoad)
	}
	return dst
}

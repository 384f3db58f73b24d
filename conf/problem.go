package conf

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File string // the file, or the environment variable; "" if neither is known
	Line int    // from 1; 0 if it came from the environment
	Col  int    // in bytes, from 1
	Key  string // "listener.tls.mode"; "" if it concerns no key
	Text string
}

// String returns the problem as one line: "conf/sluice.toml:12:3: listener.listen: …".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col))
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return oneLine(b.String())
}

// Errors are all problems of a configuration, in the order of the file and then of the environment.
type Errors []Problem

// Error returns the problems, one in a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// lineMax is the longest line that a problem makes, in bytes.
const lineMax = 500

// oneLine makes s fit for one line of a log: what a file holds can be anything.
func oneLine(s string) string {
	if len(s) > lineMax {
		s = strings.ToValidUTF8(s[:lineMax], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// problemsMax is the most problems that are told at one time.
const problemsMax = 100

// sorted returns e in its order and not longer than problemsMax, as an error: nil if there is none.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(min(b.Line, 1), min(a.Line, 1)), // the file before the environment
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.File, b.File))
	})
	if more := len(e) - problemsMax; more > 0 {
		e = append(e[:problemsMax], Problem{Text: "and " + strconv.Itoa(more) + " more"})
	}
	return e
}

// position is where a value came from: a place in a file, or an environment variable.
type position struct {
	file      string
	line, col int
}

// problemAt makes a problem of the value at path. Where that value was not given, the place is that of
// the table it belongs to.
func problemAt(at map[string]position, path, text string) Problem {
	p := Problem{Key: keyOf(path), Text: text}
	for part := path; ; part = part[:max(strings.LastIndexByte(part, '.'), 0)] {
		if pos, ok := at[part]; ok {
			p.File, p.Line, p.Col = pos.file, pos.line, pos.col
			return p
		}
		if part == "" {
			p.Key = path
			return p
		}
	}
}

// keyOf is a path without its indexes: the name of the key as the operator knows it.
func keyOf(path string) string {
	parts := strings.Split(path, ".")
	parts = slices.DeleteFunc(parts, func(s string) bool {
		_, err := strconv.Atoi(s)
		return err == nil
	})
	return strings.Join(parts, ".")
}

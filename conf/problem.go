package conf

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
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
	return b.String()
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

// sorted returns e in its order, or nil if there is no problem: so it can be returned as an error.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(min(b.Line, 1), min(a.Line, 1)), // the file before the environment
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.File, b.File))
	})
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
	if _, ok := at[path]; !ok && at[join(path, "0")].file != "" {
		path = join(path, "0") // [[tables]] have no place as a whole: take the first
	}
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

package conf

import (
	"bytes"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// locator walks a TOML text for the places of its keys and values: the decoder gives values without
// them.
type locator struct {
	file   string
	p      unstable.Parser
	breaks []int          // offsets of the line breaks
	items  map[string]int // number of [[tables]] so far, by path
	at     map[string]position
}

// depthMax is how far down places are noted, in keys and indexes. The deepest key that is known has a
// path of six; below the bound there are only unknown ones, which are told at their first part.
const depthMax = 8

// positions adds the place of each table, key and array element of data to at. data has been found to
// be TOML before.
func positions(file string, data []byte, at map[string]position) {
	l := &locator{file: file, items: map[string]int{}, at: at}
	for i := 0; ; i++ {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			break
		}
		i += n
		l.breaks = append(l.breaks, i)
	}
	l.p.Reset(data)
	table := ""
	for l.p.NextExpression() {
		switch e := l.p.Expression(); e.Kind {
		case unstable.Table:
			table = l.header(e, false)
		case unstable.ArrayTable:
			table = l.header(e, true)
		case unstable.KeyValue:
			l.keyValue(table, e)
		}
	}
}

// header notes the parts of a [table] or [[table]] and returns its path. A part of it that names [[tables]] means
// the last of them.
func (l *locator) header(e *unstable.Node, array bool) string {
	path := ""
	for it := e.Key(); it.Next() && depth(path) < depthMax; {
		key := it.Node()
		path = join(path, string(key.Data))
		l.noteFirst(path, key.Raw)
		if array && it.IsLast() {
			l.items[path]++
		}
		if n := l.items[path]; n > 0 {
			path = join(path, strconv.Itoa(n-1))
			l.noteFirst(path, key.Raw)
		}
	}
	return path
}

// keyValue notes the parts of a key and what its value holds.
func (l *locator) keyValue(table string, e *unstable.Node) {
	path := table
	for it := e.Key(); it.Next() && depth(path) < depthMax; {
		path = join(path, string(it.Node().Data))
		l.noteFirst(path, it.Node().Raw)
	}
	l.value(path, e.Value())
}

// value notes the elements of an array and the keys of an inline table.
func (l *locator) value(path string, v *unstable.Node) {
	if depth(path) >= depthMax {
		return
	}
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				l.keyValue(path, it.Node())
			}
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			item := join(path, strconv.Itoa(i))
			if it.Node().Kind != unstable.Array { // an array has no place of its own
				l.noteFirst(item, it.Node().Raw)
			}
			l.value(item, it.Node())
			i++
		}
	}
}

// noteFirst notes where a path is named. Several lines can name one, as "tls.mode" and "tls.cert" both
// name "tls": the first counts.
func (l *locator) noteFirst(path string, r unstable.Range) {
	if _, noted := l.at[path]; noted {
		return
	}
	offset := int(r.Offset)
	line := sort.SearchInts(l.breaks, offset)
	start := 0
	if line > 0 {
		start = l.breaks[line-1] + 1
	}
	l.at[path] = position{file: l.file, line: line + 1, col: offset - start + 1}
}

// depth is the number of parts in a path.
func depth(path string) int {
	if path == "" {
		return 0
	}
	return strings.Count(path, ".") + 1
}

// join appends a key or an index to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

package conf

import (
	"bytes"
	"sort"
	"strconv"

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

// header notes a [table] or [[table]] and returns its path. A part of it that names [[tables]] means
// the last of them.
func (l *locator) header(e *unstable.Node, array bool) string {
	path := ""
	var first unstable.Range
	for it := e.Key(); it.Next(); {
		key := it.Node()
		if path == "" {
			first = key.Raw
		}
		path = join(path, string(key.Data))
		if array && it.IsLast() {
			l.items[path]++
		}
		if n := l.items[path]; n > 0 {
			path = join(path, strconv.Itoa(n-1))
		}
	}
	l.note(path, first)
	return path
}

// keyValue notes a key, at its last part, and what its value holds.
func (l *locator) keyValue(table string, e *unstable.Node) {
	path := table
	var last unstable.Range
	for it := e.Key(); it.Next(); {
		last = it.Node().Raw
		path = join(path, string(it.Node().Data))
	}
	l.note(path, last)
	l.value(path, e.Value())
}

func (l *locator) value(path string, v *unstable.Node) {
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
				l.note(item, it.Node().Raw)
			}
			l.value(item, it.Node())
			i++
		}
	}
}

func (l *locator) note(path string, r unstable.Range) {
	offset := int(r.Offset)
	line := sort.SearchInts(l.breaks, offset)
	start := 0
	if line > 0 {
		start = l.breaks[line-1] + 1
	}
	l.at[path] = position{file: l.file, line: line + 1, col: offset - start + 1}
}

// join appends a key or an index to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

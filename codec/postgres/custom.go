package postgres

import (
	"bytes"
	"strings"
)

// customNames are the names of settings of a client's own, "app.user" for one. Any name with a dot will
// do, and pg_settings does not list those that no loaded module has defined. So their names have to be
// taken from the statements that set them.
//
// https://www.postgresql.org/docs/current/runtime-config-custom.html
type customNames struct {
	list []string
	full bool // there were more than are kept
}

// Limits of customNames. A client beyond them is bound to its server connection.
const (
	maxCustomNames = 64
	maxCustomName  = 128 // bytes
)

// count is the number of names; nil has none.
func (n *customNames) count() int {
	if n == nil {
		return 0
	}
	return len(n.list)
}

// name returns one of them, in lower case.
func (n *customNames) name(i int) string { return n.list[i] }

// isFull tells that there were more names than are kept, so that not all of the settings can be known.
func (n *customNames) isFull() bool { return n.full }

// clear forgets the names.
func (n *customNames) clear() { n.list, n.full = nil, false }

// add takes a name that may have been set; what can't be the name of such a setting is left out. It
// does for parameters of a statement that names its settings by them.
func (n *customNames) add(name []byte) {
	if !isCustomName(name) || n.has(name) {
		return
	}
	if len(n.list) == maxCustomNames || len(name) > maxCustomName {
		n.full = true
		return
	}
	n.list = append(n.list, strings.Map(lowerRune, string(name)))
}

// addSettings takes the names of the settings that a client gave at its login.
func (n *customNames) addSettings(s *settings) {
	for _, x := range s.all() {
		n.add([]byte(x.name))
	}
}

// has tells whether the name is there.
func (n *customNames) has(name []byte) bool {
	for _, x := range n.list {
		if equalFold(name, x) {
			return true
		}
	}
	return false
}

// isCustomName tells names from other values. Servers before version 14 allow any character in them.
func isCustomName(name []byte) bool {
	dot := bytes.IndexByte(name, '.')
	return dot > 0 && dot < len(name)-1 && bytes.IndexByte(name, 0) < 0 && len(name) < 1<<10
}

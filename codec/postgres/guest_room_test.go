package postgres

import (
	"fmt"
	"strings"
	"testing"
)

// TestOwnStatements: a client that has too many prepared statements, or too long ones, leaves further ones to
// the server, which knows them by the client's names.
func TestOwnStatements(t *testing.T) {
	for _, c := range []struct {
		name    string
		n, size int
	}{{"too many", maxOwn, 0}, {"too long together", 16, maxOwnTexts / 16}} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlay(t, 0)
			p.onHost("1")
			p.onClient("1")
			g := p.guests["1"]
			var print digest
			for i := range c.n {
				tail := fmt.Sprintf("select %d -- %s\x00\x00\x00", i, strings.Repeat("x", c.size))
				g.name(&named{name: fmt.Sprint("own", i), st: g.shelf.intern([]byte(tail), 0, print, g.words)})
				g.room.texts += uint32(len(tail))
			}
			p.run(`
				c: P(a;select 1) S
				s? P(a;select 1) S
				s: 1 Z(I)
				c? 1 Z(I)
				pin=large-statement
				c: C(S;a) S
				s? C(S;a) S
				s: 3 Z(I)
				c? 3 Z(I)
				free
				c: Q(prepare b as select 2)
				s? Q(prepare b as select 2)`)
		})
	}
}

// TestRoom: closed statements make room, however they were closed, and counting them is rare.
func TestRoom(t *testing.T) {
	p := newPlay(t, 0)
	p.onHost("1")
	p.onClient("1")
	g := p.guests["1"]
	var print digest
	const size = maxOwnTexts / 8
	add := func(name string) bool {
		tail := fmt.Sprintf("select '%s' -- %s\x00\x00\x00", name, strings.Repeat("x", size-100))
		if !g.roomFor(len(tail)) {
			return false
		}
		g.name(&named{name: name, st: g.shelf.intern([]byte(tail), 0, print, g.words)})
		return true
	}
	for i := range 20 { // never more than five at a time
		if !add(fmt.Sprint(i)) {
			t.Fatalf("no room for statement %d", i)
		}
		delete(g.names, fmt.Sprint(i-5))
	}
	for i := range 4 {
		add(fmt.Sprint("more", i))
	}
	if add("one too many") || add("again") {
		t.Error("there is room for more than the limit")
	}
	if g.room.full == 0 {
		t.Error("each try counts anew")
	}
	delete(g.names, "19")
	if !add("in its place") {
		t.Error("no room behind one that was closed")
	}
}

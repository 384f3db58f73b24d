package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

// found runs findSettings on what scanText says, as is done for each statement.
func found(text string) (words, []string) {
	var n customNames
	w := findSettings([]byte(text), scanText([]byte(text), nil), &n)
	return w & (wordSettings | wordParams | wordUnsure), n.list
}

func TestFindSettings(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  words
		names string
	}{
		{"select 1", 0, ""},
		{"select a.b from c.d", 0, ""},
		{"SET App.User = 'x'", 0, "app.user"}, // the tag tells that it was set
		{"set session app.user to 'x.y'", 0, "app.user"},
		{`set "App"."user" = 1`, 0, "app.user"},
		{"set a.b.c = 1", 0, "a.b.c"},
		{" /* x */ set a.b = 1; -- y", 0, "a.b"},
		{"begin; set a.b = 1; set c.d = 2; select 1", 0, "a.b c.d"},
		{"set local a.b = 1", 0, ""},
		{"set timezone = 'a.b'", 0, ""},
		{"update x set a.b = 1; select 2", 0, ""},
		{"insert into t values ('x;set a.b = 1')", 0, ""},
		{`insert into t values ('x\'); set a.b = 1; --')`, 0, "a.b"},

		{"select set_config('a.b', 'x', false)", wordSettings, "a.b"},
		{"select pg_catalog.set_config('A.b'::text, $1::text, $2)", wordSettings, "a.b"},
		{`select "set_config" ( 'a.b' , 'x' , false )`, wordSettings, "a.b"},
		{"select set_config('a.b', 'x', true)", 0, ""},
		{"select set_config('a.b', f(1, true), TRUE), 1", 0, ""},
		{"select set_config('a.b', 'x', true), set_config('c.d', 'x', false)", wordSettings, "c.d"},
		{"select set_config('a.b', set_config('c.d', 'x', false), true)", wordSettings, "c.d"},
		{"select set_config('a.b', 'x', not true)", wordSettings, "a.b"},
		{"select set_config('a.b', 'x', x = true)", wordSettings, "a.b"},
		{"select set_config('timezone', 'UTC', false)", wordSettings, ""},
		{"select set_config($1, $2, false)", wordSettings | wordParams, ""},
		{"select set_config($1::text, $2, $3)", wordSettings | wordParams, ""},
		{"select set_config($1, $2, true)", 0, ""},
		{"select set_config('a.' || x, 'y', true)", 0, ""},
		{"select set_config('a.' || x, 'y', false)", wordSettings | wordUnsure, ""},
		{"select set_config($1 || 'x', 'y', false)", wordSettings | wordUnsure, ""},
		{"select set_config(name, 'y', false) from t", wordSettings | wordUnsure, ""},
		{"select set_config('it''s.x', 'y', false)", wordSettings | wordUnsure, ""},
		{"select set_config(is_local => false, setting_name => 'a.b', new_value => 'x')", wordSettings | wordUnsure, ""},
		{"select set_config('a.b', 'x\\', false)", wordSettings | wordUnsure, "a.b"},
		{"select set_config('a.b', 'x'", wordSettings, "a.b"},
		{"select 'set_config'", 0, ""},
		{"select 1 -- set_config('a.b', 'x', false)", 0, ""},
		{`select U&"set_config"('a.b', 'x', false)`, wordSettings | wordUnsure, ""},

		{"select setting from pg_settings", 0, ""},
		{"update pg_catalog.pg_settings set setting = 'x' where name = 'y'", wordSettings, ""},
		{"select 1; update only pg_settings set setting = 'x'", wordSettings, ""},

		{"do $$begin set a.b = 1; end$$", 0, "a.b"},
		{"do $$begin perform set_config('a.b', 'x', false); end$$", wordSettings, "a.b"},
		{"do $$begin perform set_config('a.' || 'b', 'x', false); end$$", wordSettings | wordUnsure, ""},
		{"do $$begin perform set_config(format('%s.%s', 'a', 'b'), 'x', false); end$$", wordSettings | wordUnsure, ""},
		{"do $x$begin perform set_config(r.name, 'x', false) from r; end$x$", wordSettings | wordUnsure, "r.name"},
		{"do $$begin perform set_config('c.d' || x, 'x', true); end$$", wordSettings, "c.d"},
		{"do 'begin perform set_config(''a.b'', ''x'', false); end'", wordSettings | wordUnsure, "a.b"},
		{"do $$begin perform set_config('a.b', E'\\'', false); end$$", wordSettings, "a.b"},
		{"do $$begin perform set_config('a.b', '\\', false); end$$", wordSettings | wordUnsure, "a.b"},
		{"do $$begin execute 'set a' || '.b = 1'; end$$", wordUnsure, ""},
		{"do 'begin execute '' SET a'' || ''.b = 1''; end'", wordUnsure, ""},
		{"do $$begin execute format('set session %I.%I = 1', 'a', 'b'); end$$", wordUnsure, ""},
		{"do $$begin execute $q$set $q$ || 'a'; end$$", wordUnsure, ""},
		{"do $$begin execute 'set a.b = ' || x; end$$", 0, "a.b"},
		{"do $$begin execute 'set session a.b to ' || x; end$$", 0, "a.b"},
		{"do $$begin execute 'update t set x = 1 where ' || y; execute 'set role ' || z; end$$", 0, ""},
		{"do $$begin perform 1; end$$; select set_config('a.b', 'x', false)", wordSettings, "a.b"},
		{"do $$begin perform 1 from a.b; end$$", 0, ""},
		{"call x.y(1)", 0, ""},
	} {
		w, names := found(c.text)
		if got := strings.Join(names, " "); w != c.want || got != c.names {
			t.Errorf("%q: %b %q, want %b %q", c.text, w, got, c.want, c.names)
		}
	}
}

func TestCustomNames(t *testing.T) {
	var n customNames
	for _, s := range []string{"", ".", "a.", ".b", "ab", "a\x00.b", strings.Repeat("x.y", 1000)} {
		n.add([]byte(s))
	}
	if n.count() != 0 || n.isFull() {
		t.Errorf("names are %q", n.list)
	}
	n.add([]byte("A.b"))
	n.add([]byte("a.B"))
	n.addSettings(set("TimeZone", "UTC", "app.user", "1"))
	if want := []string{"a.b", "app.user"}; !slices.Equal(n.list, want) {
		t.Errorf("names are %q", n.list)
	}
	n.clear()
	for i := range maxCustomNames {
		n.add(fmt.Appendf(nil, "a.b%d", i))
	}
	if n.count() != maxCustomNames || n.isFull() {
		t.Errorf("%d names, full: %v", n.count(), n.isFull())
	}
	if n.add([]byte("a.b7")); n.isFull() {
		t.Error("full by a name that is there")
	}
	if n.add([]byte("c.d")); n.count() != maxCustomNames || !n.isFull() {
		t.Error("one more name is taken, or is lost without a word")
	}
	n.clear()
	if n.add([]byte("a." + strings.Repeat("x", maxCustomName))); n.count() != 0 || !n.isFull() {
		t.Error("a name that is too long is taken, or is lost without a word")
	}
}

func FuzzFindSettings(f *testing.F) {
	for _, s := range []string{
		"select set_config('a.b', 'x', false)", "set a.b = 1", "do $$begin set a.b = 1; end$$",
		"begin; set session \"a\".\"b\" to 1", "select set_config(((((", "select set_config('a.b'::",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 {
			return
		}
		var n customNames
		w := scanText([]byte(text), nil)
		got := findSettings([]byte(text), w, &n)
		if extra := got &^ (w | wordParams | wordUnsure); extra != 0 {
			t.Errorf("%q: %b out of nothing", text, extra)
		}
		if n.count() > maxCustomNames {
			t.Errorf("%d names", n.count())
		}
		for i := range n.count() {
			if name := n.name(i); !isCustomName([]byte(name)) || len(name) > maxCustomName {
				t.Errorf("%q: name %q", text, name)
			}
		}
	})
}

// TestFindSettingsDoesNotAllocate: in a statement like most others, nothing is allocated.
func TestFindSettingsDoesNotAllocate(t *testing.T) {
	var n customNames
	for _, s := range []string{typicalText, "set a.b = 1", "select set_config('a.b', $1, false)", "select 1; select 2"} {
		text := []byte(s)
		w := scanText(text, nil)
		findSettings(text, w, &n)
		if x := testing.AllocsPerRun(100, func() { findSettings(text, w, &n) }); x != 0 {
			t.Errorf("%s: %v allocations", s, x)
		}
	}
}

// A name that stands in a Query pipelined behind a DISCARD ALL, which forgets the names before it, is
// kept.
func TestCustomNameBehindDiscardAll(t *testing.T) {
	p := newPlay(t, 0)
	p.onHost("1")
	p.onClient("1")
	p.send("", wire(t, codec.Client, "Q(discard all)Q(set app.user = 'me')"))
	p.answer("", wire(t, codec.Server, "C(DISCARD ALL)Z(I)"))
	p.answer("", wire(t, codec.Server, "T C(SELECT 0)Z(I)")) // of the look
	p.check("taken")
	if len(p.left) > 0 || !p.guest.custom.has([]byte("app.user")) {
		t.Errorf("%q is left, names %q", p.left, p.guest.custom.list)
	}
}

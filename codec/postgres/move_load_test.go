package postgres

import (
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// TestLibraries tells texts that load a library, or may do so, from those that only have such a word in them.
func TestLibraries(t *testing.T) {
	look := func(text string) (loaded string, pin codec.Pin) {
		tr := &tracker{opt: &codec.MoveOptions{}, words: movingWords(nil)}
		tr.text([]byte(text))
		return strings.Join(tr.loaded, ","), tr.bound
	}
	for text, want := range map[string]string{
		"load 'age'": "age", "LOAD '$libdir/plugins/a b';": "$libdir/plugins/a b", "load/* x */'age'": "age", "begin; load 'age'; load 'b'; commit": "age,b",
		"select 1;load--\n'age'": "age", "load'age'": "age", "/* x */ load 'age'; load 'age'": "age",
	} {
		if got, pin := look(text); got != want || pin.Name != "" {
			t.Errorf("%q: got %q, %q", text, got, pin.Name)
		}
	}
	for _, text := range []string{
		"load E'age'", "load $$age$$", "load 'it''s'", "load '", `load 'a\b'`, "load '" + strings.Repeat("x", maxLibrary) + "'", "load '\u00e4'",
		"do $$ begin execute 'load ''age'''; end $$", "do $$ begin execute 'load ' || x; end $$", "do 'begin execute ''load '' || x; end'",
		"do $$ begin execute format('LOAD %L', x); end $$", `select '\'; load E'age'`, "/* load 'age'",
	} {
		if got, pin := look(text); got != "" || pin != pinLoad {
			t.Errorf("%q: got %q, %q", text, got, pin.Name)
		}
	}
	for _, text := range []string{
		"", "select load from machines", "insert into loads values ('load 1')", "create table t (load int, x text)", "begin; update t set load = 'x'; commit",
		"alter table t rename load to e", "comment on column t.load is 'x'", "do $$ begin load := 1; x := 'load'; y := 'high load'; end $$",
		"create type mode as enum ('load', 'high load')", "alter table t rename a to load", "set app.mode = 'load'", "create view v as select 'load x'",
	} {
		if got, pin := look(text); got != "" || pin == pinLoad {
			t.Errorf("%q: got %q, %q", text, got, pin.Name)
		}
	}
	tr := &tracker{opt: &codec.MoveOptions{}, words: movingWords(nil)}
	for i := range maxLibraries + 1 {
		if pin := tr.pin(); pin.Name != "" {
			t.Errorf("%d libraries are %q", i, pin.Name)
		}
		tr.text(fmt.Appendf(nil, "load 'number %d'", i))
	}
	if tr.bound != pinLoad || len(tr.loaded) != maxLibraries {
		t.Errorf("%d libraries, the pin is %q", len(tr.loaded), tr.bound.Name)
	}
}

// TestMoveLoads has libraries go along, also where nothing else is to be put in place, and not where there are none such.
func TestMoveLoads(t *testing.T) {
	for _, script := range []string{
		`client: query(load~'age') old: CZ ` + beside + ` ask old: answer(` + settled + `) tonew=START,ASK,Q(LOAD_'age') op=More new: C op=More Z op=Ready pin=-`,
		`client: query(load~'age';~set~work_mem~to~1) old: CCZ ` + beside + ` ask old: answer(` + settled + `;S,work_mem,1kB)
			tonew=START,ASK,Q(LOAD_'age'),SETTINGS,ENCODING,ASK new: CZ CZ CZ answer(` + settled + `;S,work_mem,1kB) op=Ready`,
		`client: query(load~'age') old: CZ ` + beside + ` ask old: answer(` + settled + `) new: raw(E\x00\x00\x00\x17SERROR\x00C58P01\x00Mno\x00\x00)
			refusal=pin:load` + goesOn,
		`client: query(load~'age') old: CZ move(ask) ask old: answer(` + settled + `) op=Ready toold=ASK move(lost) connected
			new: welcome(8) answer(` + settled + `) ask tonew=START,ASK,Q(LOAD_'age') CZ op=Ready`,
	} {
		everyCut(t, script)
	}
}

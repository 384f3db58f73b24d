package postgres

import (
	"strings"
	"testing"
)

var commandNames = map[commandKind]string{
	cmdPrepare: "prepare", cmdExecute: "execute", cmdDeallocate: "deallocate", cmdDeallocateAll: "deallocate all",
	cmdListen: "listen", cmdUnlisten: "unlisten", cmdUnlistenAll: "unlisten *", cmdDiscardAll: "discard all",
	cmdDiscardPlans: "discard plans", cmdDiscardSequences: "discard sequences", cmdDiscardTemp: "discard temp",
	cmdBegin: "begin", cmdEnd: "end",
}

// say writes what a command is as "kind name|statement with the name as X".
func say(text string, c *command) string {
	s := commandNames[c.kind]
	if c.n > 0 {
		s += " " + string(c.name()) + "|" + text[:c.at] + "X" + text[c.end:c.tail]
	}
	return s
}

func TestSoleCommand(t *testing.T) {
	for _, c := range [...]struct{ text, want string }{
		{"PREPARE a AS SELECT 1", "prepare a|PREPARE X AS SELECT 1"},
		{"prepare Abc(int, pg_catalog.text, numeric(10,2)[]) as select $1 ; ", "prepare abc|prepare X(int, pg_catalog.text, numeric(10,2)[]) as select $1"},
		{`prepare "A b""c" as select ';' , $$;$$, $x$ $$ ; $x$, E'\';' -- ; x`, `prepare A b"c|prepare X as select ';' , $$;$$, $x$ $$ ; $x$, E'\';'`},
		{" \n;;/* a /* b */ ; */ EXECUTE a -- x", "execute a| \n;;/* a /* b */ ; */ EXECUTE X"},
		{"execute a(1, 'x;y', (select 1));;", "execute a|execute X(1, 'x;y', (select 1))"},
		{"execute/**/a", "execute a|execute/**/X"},
		{`execute"a"`, `execute a|executeX`},
		{"deallocate a", "deallocate a|deallocate X"},
		{"DEALLOCATE PREPARE a;", "deallocate a|DEALLOCATE PREPARE X"},
		{"deallocate prepare", "deallocate prepare|deallocate X"},
		{"deallocate prepare prepare", "deallocate prepare|deallocate prepare X"},
		{"deallocate all", "deallocate all"},
		{"Deallocate Prepare All ; ", "deallocate all"},
		{`deallocate "all"`, "deallocate all|deallocate X"},
		{"listen Channel_1", "listen channel_1|listen X"},
		{`LISTEN "Channel 1";`, "listen Channel 1|LISTEN X"},
		{"listen a$b", "listen a$b|listen X"},
		{"unlisten x", "unlisten x|unlisten X"},
		{"unlisten *;", "unlisten *"},
		{"DISCARD ALL", "discard all"},
		{"discard plans", "discard plans"},
		{"discard sequences", "discard sequences"},
		{"discard temp", "discard temp"},
		{"discard temporary", "discard temp"},
		{"BEGIN", "begin"},
		{"begin isolation level serializable, read only;", "begin"},
		{"start transaction", "begin"},
		{"commit", "end"},
		{"END WORK;", "end"},
		{"rollback transaction", "end"},
		{"abort", "end"},

		// Not sole, not sure, or not these at all.
		{"", ""},
		{";", ""},
		{"select 1", ""},
		{"prepare", ""},
		{"prepare a", ""},
		{"prepare a as", ""},
		{"prepare a as;", ""},
		{"prepare a select 1", ""},
		{"prepare a (int as select 1", ""},
		{"prepare a (int; int) as select 1", ""},
		{"prepare transaction 'x'", ""},
		{"prepare a as select 1; select 2", ""},
		{"prepare a.b as select 1", ""},
		{"prepare a as select 'x\\y'", ""},
		{"prepare a as select E'\x83\\' from t; drop table x; --'", ""},
		{"prepare a as select \x95;", ""},
		{"prepare a as select 'x", ""},
		{"prepare a as select $$x", ""},
		{"prepare a as select $é$x$é$", ""},
		{`prepare a as select "x`, ""},
		{"prepare a as select 1 /* x", ""},
		{`prepare U&"a" as select 1`, ""},
		{"prepare a as select U&'x'", ""},
		{"execute", ""},
		{"execute 'a'", ""},
		{"execute a, b", ""},
		{"execute a b", ""},
		{"execute a; execute b", ""},
		{"execute a (1); commit", ""},
		{"execute a (1", ""},
		{"execute a (1; 2)", ""},
		{"execute a (1))", ""},
		{"execute é", ""},
		{`execute ""`, ""},
		{"execute select", ""},
		{"execute $1", ""},
		{"deallocate", ""},
		{"deallocate a b", ""},
		{"deallocate a, b", ""},
		{"deallocate all; select 1", ""},
		{"listen", ""},
		{"listen user", ""},
		{"listen a b", ""},
		{"listen a; listen b", ""},
		{"listen a.b", ""},
		{"listen\va", ""},
		{"unlisten", ""},
		{"unlisten * *", ""},
		{"discard", ""},
		{"discard everything", ""},
		{"discard all temp", ""},
		{"start", ""},
		{"start slot", ""},
		{"commit prepared 'x'", ""},
		{"commit and chain", ""},
		{"rollback to savepoint a", ""},
		{"begin; select 1", ""},
		{"end transaction x", ""},
		{"listen " + strings.Repeat("x", 64), ""},
		{"listen " + strings.Repeat("x", 63), "listen " + strings.Repeat("x", 63) + "|listen X"},
		{`listen "` + strings.Repeat(`""`, 64) + `"`, ""},
	} {
		checkCommand(t, soleCommand, c.text, c.want)
	}
}

func checkCommand(t *testing.T, read func([]byte, *command) bool, text, want string) {
	t.Helper()
	var got command
	ok := read([]byte(text), &got)
	switch {
	case ok != (want != ""):
		t.Errorf("%q: %v", text, ok)
	case ok && say(text, &got) != want:
		t.Errorf("%q: %q, want %q", text, say(text, &got), want)
	}
}

func TestFindExecute(t *testing.T) {
	for _, c := range [...]struct{ text, want string }{
		{"EXPLAIN EXECUTE a", "execute a|EXPLAIN EXECUTE X"},
		{"explain analyze verbose execute A(1);", "execute a|explain analyze verbose execute X(1)"},
		{"explain (analyze, format json) execute a(1, 2) ; -- x", "execute a|explain (analyze, format json) execute X(1, 2)"},
		{"create table t as execute a", "execute a|create table t as execute X"},
		{"create temp table t (a, b) with (fillfactor=70) as execute a('x') with no data", "execute a|create temp table t (a, b) with (fillfactor=70) as execute X('x') with no data"},
		{`explain create table t as execute "B"`, `execute B|explain create table t as execute X`},
		{"execute a", ""},
		{"explain select 1", ""},
		{"explain select 1 as execute", ""},
		{"explain select 1 as execute from t", ""},
		{"explain select (1) execute from t", ""},
		{"create table t as select 1 as execute", ""},
		{"create trigger x after insert on t execute function f()", ""},
		{"create function f() returns int as 'execute a' language sql", ""},
		{"explain execute a; select 1", ""},
		{"explain execute a (1", ""},
		{"explain execute U&\"a\"", ""},
		{"explain execute a('\\')", ""},
		{"select 1; explain execute a", ""},
		{"", ""},
	} {
		checkCommand(t, findExecute, c.text, c.want)
	}
}

// FuzzSoleCommand holds that a statement is read the same way after its name was replaced, and that
// what it is does not hang on case or on the semicolons behind it.
func FuzzSoleCommand(f *testing.F) {
	for _, s := range []string{
		"prepare a(int) as select $1", `execute "a b"(1)`, "deallocate prepare all;", "listen x -- y",
		"explain (analyze) execute a", "create table t as execute a", "prepare a as select $x$;$x$",
		"begin isolation level serializable", "execute a(E'\\'')", `prepare "" as select /* /* */ */ 1`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func([]byte, *command) bool{soleCommand, findExecute} {
			var c, again command
			if !read([]byte(text), &c) {
				continue
			}
			if c.at > c.end || c.end > c.tail || c.tail > len(text) {
				t.Fatalf("%q: %d %d %d", text, c.at, c.end, c.tail)
			}
			if c.n == 0 {
				continue
			}
			renamed := text[:c.at] + " sluice_1_2 " + text[c.end:c.tail]
			if !read([]byte(renamed), &again) || string(again.name()) != "sluice_1_2" || again.kind != c.kind {
				t.Errorf("%q renamed to %q: %q", text, renamed, again.name())
			}
			if more := renamed + "\n;; "; !read([]byte(more), &again) || again.kind != c.kind {
				t.Errorf("%q: not sole with semicolons", more)
			}
			if more := renamed + "\n; select 1"; read([]byte(more), &again) {
				t.Errorf("%q: sole", more)
			}
		}
	})
}

func TestSoleCommandDoesNotAllocate(t *testing.T) {
	var c command
	for _, s := range []string{"execute A(1)", "select 1", `execute "x"`, "prepare a as select '\\'"} {
		text := []byte(s)
		if n := testing.AllocsPerRun(100, func() { soleCommand(text, &c) }); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}

// BenchmarkSoleCommand is what a statement costs that is none of them.
func BenchmarkSoleCommand(b *testing.B) {
	var c command
	text := []byte(typicalText)
	for b.Loop() {
		soleCommand(text, &c)
	}
}

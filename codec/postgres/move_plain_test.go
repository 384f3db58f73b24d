package postgres

import (
	"bytes"
	"strings"
	"testing"

	"sluice/codec"
)

// TestPlain tells statements that leave nothing in their session from those that may.
func TestPlain(t *testing.T) {
	tr := &tracker{opt: &codec.MoveOptions{}}
	for _, text := range []string{
		"SELECT 1", "select abalance from pgbench_accounts where aid = 1;", "insert into t (a, b) values (1, lower('x'))",
		"Update Orders set a = 1", "UPDATE pgbench_tellers SET a = 1", "delete from t where a in (1, 2)", "select count (*) from t",
		"select * from current_settings", "select nextval('s')", "SELECT 1 INTO t", "update public.t set a = 1.5 where t.b = 2",
		`select a.id, "a"."Name" from shop.accounts a where x = 1.`, "select a.* from t a",
	} {
		if plain, _ := tr.isPlain([]byte(text)); !plain {
			t.Errorf("%q is not plain", text)
		}
	}
	for _, text := range []string{
		"", "SELECT", "select\t1", "set a = 1", "with x as (select 1) select 2", "select 1; listen x", "select 1 ;; ", " select 1",
		"update pg_settings set setting = 1", "update only pg_settings set setting = 1", "UPDATE PG_Settings set setting = 1",
		`update "pg_settings" set setting = 1`, `update U&"pg_settings" set setting = 1`, "update /* x */ pg_settings set a = 1",
		"update  pg_settings set a = 1", "update pg_catalog.pg_settings set a = 1",
		"select set_config('a', 'b', false)", "SELECT SET_CONFIG ('a', 'b', false)", "select pg_catalog.set_config('a', 'b', false)",
		`select "set_config"('a', 'b', false)`, `select U&"set_confi!0067" uescape '!'('a', 'b', false)`,
		"select set_config/* x */('a')", "select set_config -- x\n('a')", "select set_config\v('a')", "select set_config\r('a')",
		"select 1 from t where (pg_advisory_lock(1)) is null", "select pg_try_advisory_lock_shared(1)", "select pg_advisory_unlock_all()",
		"select pg_advisory_unlock(1)", "select pg_try_advisory_lock(1)", "select pg_advisory_lock_shared(1)", "select currval('s')",
		"insert into t values (lastval())", "select pg_advisory_unlock_shared(1)",
		"update db.pg_catalog.pg_settings set setting = 1", `update db."pg_catalog".pg_settings set setting = 1`,
		"update db . pg_catalog.pg_settings set setting = 1", "update db/**/./**/pg_catalog.pg_settings set setting = 1",
		`select U&"set_confi!0067" uescape $$!$$('a', 'b', false)`, `select U&"set_confi!0067" uescape $x$!$x$ ('a', 'b', false)`,
		"select x.pg_advisory_lock from generate_series(1::bigint, 1) x", "select x.currval from to_regclass('s') x",
		"select x. pg_advisory_lock from generate_series(1::bigint, 1) x", `select x."pg_advisory_lock" from generate_series(1::bigint, 1) x`,
		`select x.U&"pg_advisory_loc!006b" uescape '!' from generate_series(1::bigint, 1) x`, "select x.Pg_Try_advisory_lock from f(1) x",
		"select x./**/currval from f(1) x", "select x.--\ncurrval from f(1) x",
		"select pg_create_physical_replication_slot('a', true, true)", "select pg_copy_logical_replication_slot ('a', 'b', true)",
	} {
		if plain, _ := tr.isPlain([]byte(text)); plain {
			t.Errorf("%q is plain", text)
		}
	}
	if plain, _ := (&tracker{opt: &codec.MoveOptions{Functions: []string{"f"}}}).isPlain([]byte("select * from t")); plain {
		t.Error("a text is plain where functions are watched for")
	}
}

// TestPlainAnswers holds what is known of a session's state behind plain statements, and behind those that only their
// answers tell from them, with the streams cut at every byte.
func TestPlainAnswers(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"a select", `client: query(select~1) old: TDCZ known=true`},
		{"an insert", `client: query(insert~into~t~values~(1)) old: CZ known=true`},
		{"a select that fails", `client: query(select~1) old: E(ERROR) Z known=true`},
		{"a table that is made", `client: query(select~1~into~temp~t) old: CZ known=false`},
		{"one made behind another select", `client: query(select~1) query(select~1~into~temp~t) old: TDCZ CZ known=false`},
		{"one made in a group", `client: parse(,select_1_into_temp_t) B D E S old: 12nCZ known=false`},
		{"a select in a group", `client: parse(,select_1) B D E S old: 12TDCZ known=true`},
		{"another statement described in the same group", `client: D parse(,select_1_into_temp_t) B E S old: T12CZ known=false`},
		{"one made by a statement of before", `client: parse(,select_1_into_temp_t) S old: 1Z known=true client: B E S old: 2CZ known=false`},
		{"one made by a statement of before, replaced with its portal left", `client: query(begin) old: C Z(T) client: parse(,select_1_into_temp_t) B S old: 12 Z(T)
			client: parse(,insert_into_t_values_(1)) B E S E S old: 12C Z(T) C Z(T) client: query(commit) old: CZ known=false`},
		{"another statement described in a group of before", `client: P(select_1) D S old: 1tTZ move(ask) ask old: answer(` + settled + `) known=true
			client: query(select~1~into~temp~t) old: CZ known=false`},
		{"rows of one that has failed in front of it", `client: query(select~1) old: TD E(ERROR) Z known=true client: query(select~1~into~temp~t) old: CZ known=false`},
		{"another statement described behind the Bind", `client: parse(,select_1_into_temp_t) B D E S old: 12tTCZ known=false`},
		{"an insert behind a select in groups", `client: parse(,select_1) B D E S old: 12TDCZ client: parse(,insert_into_t_values_(1)) B D E S old: 12nCZ known=true`},
		{"a select by the unnamed statement that is not described again", `client: parse(,select_1) D S old: 1tTZ client: B E S old: 2DCZ known=true`},
		{"one parsed and gone, whose portal may be left", `client: parse(,select_1_into_temp_t) S old: 1Z client: query(select~1) old: TDCZ known=false`},
		{"a lock by its name behind a dot", `client: query(select~x.pg_advisory_lock~from~generate_series(1::bigint,1)~x) old: TDCZ known=false`},
		{"a temporary slot", `client: query(select~pg_create_physical_replication_slot('a',true,true)) old: TDCZ known=false`},
		{"settings by a view", `client: query(update~pg_settings~set~setting~=~1) old: TDCZ known=false`},
		{"more than one", `client: query(select~1;listen~x) old: TDCCZ known=false`},
		{"a function", `client: query(select~set_config('a.b','c',false)) old: TDCZ known=false`},
	} {
		t.Run(c.name, func(t *testing.T) { everyCut(t, c.script) })
	}
}

// FuzzPlain: no text is plain that calls a function that is watched for.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{"select 1", "insert into t values (f(1))", `select "a"(1)`, "update t set a=1", "delete from t -- x", "select 'a;'"} {
		f.Add([]byte(s))
	}
	tr := &tracker{opt: &codec.MoveOptions{}}
	f.Fuzz(func(t *testing.T, text []byte) {
		plain, selects := tr.isPlain(text)
		if !plain {
			return
		}
		low := bytes.ToLower(text)
		if selects != bytes.HasPrefix(low, []byte("select")) || bytes.IndexByte(text[:len(text)-1], ';') >= 0 {
			t.Fatalf("%q is plain", text)
		}
		for _, w := range watched {
			if strings.Contains("temp temporary hold execute pg_settings nextval", w.word) {
				continue // no functions, or one that does not matter here
			}
			for _, between := range []string{"", " ", "\n", "\v", "/* x */", " -- x\n", `"`} {
				if bytes.Contains(low, []byte(w.word+between+"(")) {
					t.Fatalf("%q is plain", text)
				}
				if plain, _ := tr.isPlain([]byte(string(text) + " , " + w.word + between + "(1)")); plain {
					t.Fatalf("%q and %s%s( is plain", text, w.word, between)
				}
			}
		}
	})
}

// TestSaysInto finds the word at any place, in any case.
func TestSaysInto(t *testing.T) {
	for _, word := range []string{"into", "INTO", "InTo"} {
		for n := range 12 {
			for m := range 12 {
				text := strings.Repeat("tino", 3)[:n] + " " + word + " " + strings.Repeat("onit", 3)[:m]
				if !saysInto([]byte(text)) || !saysInto([]byte(word)) || !saysInto([]byte(text[:n+1+len(word)])) {
					t.Errorf("not found in %q", text)
				}
			}
		}
	}
	for _, text := range []string{"", "int", "nto", "i nto", "select interval from onto", "select 1 from t where in to"} {
		if saysInto([]byte(text)) {
			t.Errorf("found in %q", text)
		}
	}
}

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
		"select * from current_settings", "select nextval('s')", "SELECT 1 INTO t",
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

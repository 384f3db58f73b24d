package postgres

import "testing"

func TestSurveyText(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  survey
		names string
	}{
		{"select 1", survey{}, ""},
		{"select 1; select 'reset all'", survey{}, ""},
		{"reset all", survey{back: true}, ""},
		{"; /* now */ Reset search_path", survey{back: true}, ""},
		{"SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL", survey{back: true}, ""},
		{"set search_path to default", survey{back: true}, ""},
		{"set time zone local", survey{back: true}, ""},
		{"set local timezone = 'UTC'", survey{}, ""},
		{"set x.y to 'default'", survey{}, ""},
		{"select 1; discard all", survey{back: true, drops: true}, ""},
		{"deallocate all", survey{drops: true, names: true}, ""},
		{"deallocate prepare A; select 1", survey{drops: true, names: true}, "a"},
		{"select 1; execute a(1); explain analyze execute \"B\"", survey{names: true}, "aB"},
		{"prepare a as select 1; execute b", survey{names: true}, "ab"},
		{"create table t as execute a", survey{names: true}, "a"},
		{"set app.x = 'a\\'; reset all", survey{back: true}, ""},
		{"set app.x = 'a\\'; deallocate all", survey{drops: true}, ""},
		{"execute", survey{names: true}, ""},
	} {
		names := ""
		if got := surveyText([]byte(c.text), func(n []byte) { names += string(n) }); got != c.want || names != c.names {
			t.Errorf("%s: %+v %q", c.text, got, names)
		}
		if set := maySet([]byte(c.text)); c.want != (survey{}) && !maySurvey([]byte(c.text), set) {
			t.Errorf("%s: passed over", c.text)
		}
	}
}

// A client that takes its settings back, by whatever statement, and sends the next request behind it
// without waiting, has that run with the settings of its login.
func TestResetThenMore(t *testing.T) {
	const login = `
		login search_path=mine
		s: T D C(SELECT 1) Z(I)
		s: T D(S;search_path;mine) D(R;;none) D(U;;joe) C(SELECT 3) Z(I)
		detach
		s~ set_config
		`
	const behind = `
		need=Turn
		s~ pg_settings
		s: T D(R;;none) D(U;;joe) C(SELECT 2) Z(I)
		s~ set_config('search_path','mine',false)
		s: T D C(SELECT 1) Z(I)
		`
	const reset = "set session authorization default;reset all;close all;unlisten *;select pg_advisory_unlock_all();discard sequences;discard temp"
	t.Run("several statements", func(t *testing.T) {
		plays(t, login+`
			c: Q(`+reset+`) P(;select 1) B E S
			s? Q(`+reset+`)
			s: C(SET) C(RESET) C(CLOSE CURSOR) C(UNLISTEN) C(SELECT 1) C(DISCARD SEQUENCES) C(DISCARD TEMP) Z(I)
			c? C(SET) C(RESET) C(CLOSE CURSOR) C(UNLISTEN) C(SELECT 1) C(DISCARD SEQUENCES) C(DISCARD TEMP) Z(I)
			`+behind+`
			s? P(;select 1) B E S`)
	})
	t.Run("to default", func(t *testing.T) {
		plays(t, login+`
			c: Q(set search_path to default) Q(select 1)
			s? Q(set search_path to default)
			s: C(SET) Z(I)
			c? C(SET) Z(I)
			`+behind+`
			s? Q(select 1)`)
	})
	t.Run("by Parse", func(t *testing.T) {
		plays(t, login+`
			c: P(;reset all) B E S P(;select 1) B E S
			s? P(;reset all) B E S
			s: 1 2 C(RESET) Z(I)
			c? 1 2 C(RESET) Z(I)
			`+behind+`
			s? P(;select 1) B E S`)
	})
	t.Run("in a transaction", func(t *testing.T) {
		plays(t, login+`
			c: P(;begin) B E S P(;reset all) B E S
			s? P(;begin) B E S P(;reset all) B E S
			s: 1 2 C(BEGIN) Z(T)
			c? 1 2 C(BEGIN) Z(T)
			c: Q(select 1)
			s?
			s: 1 2 C(RESET) Z(T)
			c? 1 2 C(RESET) Z(T)
			s? Q(select 1)`)
	})
}

// DEALLOCATE ALL and DISCARD ALL drop what was prepared before them, and nothing that is prepared behind
// them in the same group.
func TestDropAllInGroup(t *testing.T) {
	const known = `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		`
	t.Run("deallocate", func(t *testing.T) {
		plays(t, known+`
			c: P(;deallocate all) B E P(b;select 1) B(;b) E S
			s? P(;deallocate all) B E C(S;sluice_0_1) P(sluice_0_1;select 1) B(;sluice_0_1) E S
			s: 1 2 C(DEALLOCATE ALL) 3 1 2 C(SELECT 1) Z(I)
			c? 1 2 C(DEALLOCATE ALL) 1 2 C(SELECT 1) Z(I)
			s~ pg_prepared_statements
			s: C(SELECT 0) Z(I)
			free
			c: B(;b) E S B(;a) S
			s? C(S;sluice_0_1) P(sluice_0_1;select 1) B(;sluice_0_1) E S B(;a) S`)
	})
	t.Run("discard", func(t *testing.T) {
		plays(t, known+`
			c: P(;discard all) B E P(b;select 1) B(;b) E S
			s? P(;discard all) B E C(S;sluice_0_1) P(sluice_0_1;select 1) B(;sluice_0_1) E S
			s: 1 2 C(DISCARD ALL) 3 1 2 C(SELECT 1) Z(I)
			c? 1 2 C(DISCARD ALL) 1 2 C(SELECT 1) Z(I)`)
	})
	t.Run("a statement that is not shared", func(t *testing.T) {
		plays(t, `
			unit short
			c: P(a;select 1) S
			s? P(a;select 1) S
			s: 1 Z(I)
			c? 1 Z(I)
			c: P(;deallocate all) B E P(b;select 2) S
			s? P(;deallocate all) B E P(b;select 2) S
			s: 1 2 C(DEALLOCATE ALL) 1 Z(I)
			c? 1 2 C(DEALLOCATE ALL) 1 Z(I)
			s~ pg_prepared_statements
			s: C(SELECT 0) Z(I)
			pin=large-statement
			taken`)
	})
}

// Among several statements, one that the client has prepared is run by the client's own name.
func TestExposed(t *testing.T) {
	const known = `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		`
	t.Run("by Parse", func(t *testing.T) {
		plays(t, known+`
			c: Q(begin; execute a; commit)
			s? P(a;select 1) S Q(begin; execute a; commit)
			s: 1 Z(I) C(BEGIN) T C(SELECT 1) C(COMMIT) Z(I)
			c? C(BEGIN) T C(SELECT 1) C(COMMIT) Z(I)
			pin=large-statement
			c: B(;a) E C(S;a) S
			s? B(;a) E C(S;a) S
			s: 2 C(SELECT 1) 3 Z(I)
			c? 2 C(SELECT 1) 3 Z(I)
			free`)
	})
	t.Run("by SQL", func(t *testing.T) {
		plays(t, `
			c: Q(prepare "A""b" as select set_config('app.id', '1', false))
			s? Q(prepare sluice_0_1 as select set_config('app.id', '1', false))
			s: C(PREPARE) Z(I)
			c? C(PREPARE) Z(I)
			c: Q(select 1; execute "A""b")
			s? Q(prepare "A""b" as select set_config('app.id', '1', false)) Q(select 1; execute "A""b")
			s: C(PREPARE) Z(I) C(SELECT 1) C(SELECT 1) Z(I)
			c? C(SELECT 1) C(SELECT 1) Z(I)
			s~ current_setting('app.id',true)`)
	})
	t.Run("a name that is taken", func(t *testing.T) {
		plays(t, known+`
			c: Q(prepare a as select 2; select 3)
			s? P(a;select 1) S Q(prepare a as select 2; select 3)
			s: 1 Z(I) E(42P05;prepared statement "a" already exists) Z(I)
			c? E(42P05;prepared statement "a" already exists) Z(I)`)
	})
	t.Run("in vain", func(t *testing.T) {
		plays(t, known+`
			c: Q(select 1; execute a)
			s? P(a;select 1) S Q(select 1; execute a)
			s: E(42P01;no t) Z(I) C(SELECT 1) E(26000;prepared statement "a" does not exist) Z(I)
			c? C(SELECT 1) E(42P01;no t) Z(I)
			pin=
			free
			c: B(;a) E S
			s? B(;sluice_0_1) E S`)
	})
	t.Run("in vain, by SQL", func(t *testing.T) {
		plays(t, `
			c: Q(prepare a as select 1)
			s? Q(prepare sluice_0_1 as select 1)
			s: C(PREPARE) Z(I)
			c? C(PREPARE) Z(I)
			c: Q(select 1; execute a)
			s? Q(prepare "a" as select 1) Q(select 1; execute a)
			s: E(42P01;no t) Z(I) C(SELECT 1) E(26000;prepared statement "a" does not exist) Z(I)
			c? C(SELECT 1) E(42P01;no t) Z(I)
			prepared=1
			free
			c: Q(execute a)
			s? Q(execute sluice_0_1)`)
	})
}

// What SQL has prepared among other statements is known to the server alone: it says whether a name is
// taken.
func TestPreparedAmongOthers(t *testing.T) {
	plays(t, `
		c: Q(prepare a as select 1; select 2)
		s? Q(prepare a as select 1; select 2)
		s: C(PREPARE) C(SELECT 1) Z(I)
		c? C(PREPARE) C(SELECT 1) Z(I)
		s~ pg_prepared_statements
		c: P(a;select 3) S
		s? P(a;select 3) S
		s: D(P) C(SELECT 1) Z(I) E(42P05;prepared statement "a" already exists) Z(I)
		c? E(42P05;prepared statement "a" already exists) Z(I)
		pin=prepared`)
}

// The statement that makes a temporary table, or has a word that looks like it, is prepared once.
func TestTemporaryWordOnce(t *testing.T) {
	plays(t, `
		c: P(;select temp from weather) B E S P(;create temp table t (a int)) B E S
		s? P(;select temp from weather) B E S P(;create temp table t (a int)) B E S
		s: 1 2 C(SELECT 0) Z(I) 1 2 C(CREATE TABLE) Z(I)
		c? 1 2 C(SELECT 0) Z(I) 1 2 C(CREATE TABLE) Z(I)
		s~ pg_my_temp_schema
		s: C(SELECT 0) Z(I)
		free
		# and is gone if the server has skipped it
		c: Q(select 1) B(p;none) P(;create temp table t (a int)) B E S
		s? Q(select 1) B(p;none) P(;create temp table t (a int)) B E S
		s: C(SELECT 1) Z(I) E(26000;no such statement) Z(I)
		c? C(SELECT 1) Z(I) E(26000;no such statement) Z(I)
		s~ pg_my_temp_schema
		s: C(SELECT 0) Z(I)
		c: B E S
		s? C(S;) B E S`)
}

// A temporary table hides another one of its name from the session that has it: nobody shares what is
// prepared there.
func TestTemporaryTableHides(t *testing.T) {
	plays(t, `
		c: P(a;select * from t) S
		s? P(sluice_0_1;select * from t) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: Q(create temp table t (a int))
		s? Q(create temp table t (a int))
		s: C(CREATE TABLE) Z(I)
		c? C(CREATE TABLE) Z(I)
		s~ pg_my_temp_schema
		c: P(b;select * from t) S
		s? P(sluice_0_2;select * from t) S
		s: D(T) C(SELECT 1) Z(I) 1 Z(I)
		c? 1 Z(I)
		pin=temp-table
		c: P(c;select * from t) S
		s? C(S;sluice_0_1) P(sluice_0_3;select * from t) S
		s: 3 1 Z(I)
		c? 1 Z(I)
		# what was prepared before is prepared anew
		c: B(;a) E S
		s? C(S;sluice_0_2) P(sluice_0_4;select * from t) B(;sluice_0_4) E S
		s: 3 1 2 C(SELECT 0) Z(I)
		c? 2 C(SELECT 0) Z(I)
		c: B(;a) E S
		s? B(;sluice_0_4) E S
		s: 2 C(SELECT 0) Z(I)
		c? 2 C(SELECT 0) Z(I)
		c: Q(drop table t)
		s? Q(drop table t)
		s: C(DROP TABLE) Z(I)
		c? C(DROP TABLE) Z(I)
		s~ pg_my_temp_schema
		s: C(SELECT 0) Z(I)
		free`)
}

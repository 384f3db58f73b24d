package mysql

import (
	"bytes"
	"strings"
	"testing"
)

// TestQuiet: statements that surely leave no trace in their session.
func TestQuiet(t *testing.T) {
	functions := []string{"app_login"}
	quietOnes := []string{
		"SELECT 1", "select count(*) from t where a in (1, 2)", "  /* hint */ insert into t (a) values (now())",
		"-- x\nupdate t set a = 1", "DELETE FROM t", "replace into t values (1)", "WITH x AS (SELECT 1) SELECT * FROM x",
		"SHOW TABLES", "desc t", "BEGIN", "COMMIT", "ROLLBACK TO SAVEPOINT a", "select 1;", "select 1 ; ",
		"load data local infile 'x' into table t", "select my_app_login2()", "select locked from t where (a)",
		"select a\nfrom t where a in\n  (1, 2) # x\n",
		"select get_lock from t", // a column of that name
	}
	loudOnes := []string{
		"SET @x = 1", "SELECT @x", "SELECT @x := 1", "SELECT @@autocommit", "SELECT 1 INTO @x", "SELECT 1; SET sql_mode = ''",
		"SELECT GET_LOCK('a', 1)", "select release_lock ('a')", "SELECT RELEASE_ALL_LOCKS()", "select last_insert_id(5)",
		"insert into t values (last_insert_id(3))", "SELECT NEXTVAL(s)", "select setval(s, 1)", "select lastval(s)",
		"SELECT get_lock/**/('a', 1)", "SELECT `get_lock`('a', 1)", "SELECT\tget_lock\n('a', 1)",
		"SELECT get_lock # x\n('a', 1)", "SELECT get_lock -- x\n\n ('a', 1)", "SELECT APP_LOGIN('x')",
		"select app.app_login('x')", "USE x", "PREPARE p FROM 'x'", "CREATE TEMPORARY TABLE t (a int)", "LOCK TABLES t READ", "CALL p()",
		"/*!40000 SET @x = 1 */", "/*+ x */ select 1", "/* no end", "SEL", "", "(SELECT 1)", "DO GET_LOCK('a', 1)",
		"SELECT '" + strings.Repeat("x", maxQuiet) + "'",
	}
	for _, text := range quietOnes {
		if !quiet([]byte(text), functions, true) {
			t.Errorf("%q is loud", text)
		}
	}
	for _, text := range []string{"BEGIN NOT ATOMIC SET sort_buffer_size = 1; END", "begin set x=1; end"} {
		if quiet([]byte(text), functions, false) {
			t.Errorf("%q is quiet where one statement is allowed", text)
		}
	}
	for _, text := range loudOnes {
		if quiet([]byte(text), functions, true) {
			t.Errorf("%.80q is quiet", text)
		}
	}
}

// FuzzQuiet: no text that names what changes a session is quiet, wherever it stands. What is within a literal or a
// comment may be loud: that costs a question and nothing else.
func FuzzQuiet(f *testing.F) {
	for _, s := range []string{"select 1", " /* x */ insert into t values (f(1))", "select `a`(1)", "with x as (select 1) select 2", "SELECT\x00(", "sele"} {
		f.Add([]byte(s), "")
		f.Add([]byte(s), "app_login")
	}
	f.Fuzz(func(t *testing.T, text []byte, function string) {
		functions := []string{function}
		if !quiet(text, functions, true) {
			return
		}
		for _, loud := range []string{"@", "get_lock(", "RELEASE_LOCK(", "last_insert_id(", "nextval("} {
			if bytes.Contains(bytes.ToLower(text), bytes.ToLower([]byte(loud))) && !isPartOfName(text, loud) {
				t.Fatalf("%q is quiet", text)
			}
		}
		more := append(bytes.Clone(text), " , get_lock ('x', 1)"...)
		if i := bytes.IndexByte(text, ';'); i < 0 && quiet(more, functions, true) {
			t.Fatalf("%q is quiet", more)
		}
	})
}

// isPartOfName tells that a word stands in text only behind a character of a name, or not at all.
func isPartOfName(text []byte, word string) bool {
	low, word := bytes.ToLower(text), strings.ToLower(word)
	for from := 0; ; {
		i := bytes.Index(low[from:], []byte(word))
		if i < 0 {
			return true
		}
		if at := from + i; at == 0 || !isWord(low[at-1]) {
			return false
		}
		from += i + 1
	}
}

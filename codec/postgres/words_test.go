package postgres

import (
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		text string
		want words
	}{
		{"", 0},
		{"select 1", 0},
		{"select set_config('a','b',false)", wordSettings},
		{"SELECT PG_CATALOG.SET_CONFIG('a','b',false)", wordSettings},
		{`select "pg_catalog"."set_config"('a','b',false)`, wordSettings},
		{"select set_config/**/('a','b',false)", wordSettings},
		{"select 1from/*x*/set_config", wordSettings},
		{"select offset_config, set_configs, set_config2, set_configé", 0},
		{"select a$set_config", wordSettings}, // a false alarm
		{"update pg_settings set setting = 1", wordSettings},
		{"select pg_advisory_lock(1)", wordLocks},
		{"select pg_try_advisory_lock_shared(1)", wordLocks},
		{"select pg_advisory_unlock_all()", wordLocks},
		{"select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)", 0},
		{"create temp table x()", wordTemp},
		{"create\ntemporary\ntable x()", wordTemp},
		{"create table pg_temp.x()", wordTemp},
		{"drop table pg_temp_3.x", wordTemp},
		{"select template, attempt, temp_c, temperature from t", 0},
		{"declare c cursor with hold for select 1", wordCursors},
		{"select threshold, household, holds", 0},
		{"select currval('s'), lastval()", wordSequence},
		{"explain execute x", wordExecute},
		{"update t set x = 1", 0},
		{`select U&"set\005fconfig"('a','b',false)`, wordAny},
		{"select u & 1", 0},
		{"select menu&1", 0},
		{"hold", wordCursors},
		{"HOLD", wordCursors},
		{"temp\x80", 0},
		{"x u", 0},
		{"-- it's\nhold", wordCursors},
		{"pg_tem", 0},
		{"pg_temp", wordTemp},
	} {
		if got := scanText([]byte(c.text), nil); got != c.want {
			t.Errorf("%q: %b, want %b", c.text, got, c.want)
		}
		checkCuts(t, c.text, nil)
	}
}

func TestWordsOfFunctions(t *testing.T) {
	set := newWordSet([]string{"my_login", `app."Begin_Work"`, "public.currval", ""})
	all := wordLook | wordUnsure
	for text, want := range map[string]words{
		"select my_login(1)":            all,
		"select other.MY_LOGIN(1)":      all,
		`call "app" . "begin_work" ( )`: all,
		"select my_login2(1)":           0,
		"select currval('s')":           all | wordSequence,
		"select lastval()":              wordSequence,
		"select public":                 0,
	} {
		if got := scanText([]byte(text), set); got != want {
			t.Errorf("%q: %b, want %b", text, got, want)
		}
		checkCuts(t, text, set)
	}
}

// checkCuts holds that a text in two pieces, or in single bytes, has the same words as the whole.
func checkCuts(t *testing.T, text string, set *wordSet) {
	t.Helper()
	want := scanText([]byte(text), set)
	for cut := range len(text) + 1 {
		var s wordScanner
		s.start(set)
		s.feed([]byte(text[:cut]))
		s.feed([]byte(text[cut:]))
		if got := s.result(); got != want {
			t.Errorf("%q cut at %d: %b, want %b", text, cut, got, want)
		}
	}
	var s wordScanner
	s.start(set)
	for i := range len(text) {
		s.feed([]byte(text[i : i+1]))
	}
	if got := s.result(); got != want {
		t.Errorf("%q in bytes: %b, want %b", text, got, want)
	}
}

func FuzzWords(f *testing.F) {
	f.Add(`select U&"set"`, 9)
	f.Add("create temp table t as execute x", 9)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if len(text) > 1<<12 {
			return
		}
		if cut = cut % (len(text) + 1); cut < 0 {
			cut = -cut
		}
		want := scanText([]byte(text), nil)
		var s wordScanner
		s.start(nil)
		s.feed([]byte(text[:cut]))
		s.feed([]byte(text[cut:]))
		if got := s.result(); got != want {
			t.Errorf("%q cut at %d: %b, want %b", text, cut, got, want)
		}
		if up := scanText([]byte(upperASCII(text)), nil); up != want {
			t.Errorf("%q in capitals: %b, want %b", text, up, want)
		}
		if by := slowWords(text); by&^want != 0 {
			t.Errorf("%q: misses %b", text, by&^want)
		}
	})
}

func upperASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 0x20
		}
	}
	return string(b)
}

// slowWords finds words the simple way.
func slowWords(text string) (w words) {
	folded := []byte(text)
	for i, c := range folded {
		folded[i] = lowerByte(c)
	}
	rest := string(folded)
	for rest != "" {
		n := 0
		for n < len(rest) && isWordByte(rest[n]) {
			n++
		}
		word := rest[:n]
		if strings.HasPrefix(word, watchedPrefix) {
			w |= wordTemp
		}
		for _, x := range watched {
			if word == x.word {
				w |= x.says
			}
		}
		rest = rest[max(n, 1):]
	}
	return w
}

const typicalText = `SELECT a.aid, a.abalance, b.filler FROM pgbench_accounts AS a
	JOIN pgbench_branches b USING (bid) WHERE a.aid = 4711 AND b.bbalance > 100 ORDER BY a.aid LIMIT 10`

// Wherever a word stands in a text, and however short that is, the word is found.
func TestWordsAtEachPlace(t *testing.T) {
	for _, w := range watched {
		for at := range 30 {
			for behind := range 12 {
				text := strings.Repeat("x ", at)[:at] + " " + w.word + " " + strings.Repeat("y ", behind)[:behind]
				if got := scanText([]byte(text), nil); got&w.says != w.says {
					t.Fatalf("%q: %b, want %b", text, got, w.says)
				}
			}
		}
	}
}

func TestWordsDoNotAllocate(t *testing.T) {
	text := []byte(typicalText + " temp u& set_config")
	if n := testing.AllocsPerRun(100, func() { scanText(text, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkWords: a text costs about a nanosecond per byte.
func BenchmarkWords(b *testing.B) {
	text := []byte(typicalText)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		scanText(text, nil)
	}
}

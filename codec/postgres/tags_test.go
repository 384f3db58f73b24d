package postgres

import "testing"

func TestTagWords(t *testing.T) {
	for _, c := range []struct {
		tag          string
		pinned, want words
	}{
		{"SELECT 1", wordLook, 0},
		{"SELECT 123456789012345678901", wordLook, 0},
		{"INSERT 0 1", wordLook, 0},
		{"UPDATE 12", wordLook, 0},
		{"DELETE 12", wordLook, 0},
		{"BEGIN", wordLook, 0},
		{"COMMIT", wordLook, 0},
		{"SET", 0, wordSettings},
		{"RESET", 0, wordSettings},
		{"SET CONSTRAINTS", wordLook, 0},
		{"DISCARD ALL", 0, wordLook},
		{"DISCARD TEMP", 0, wordTemp},
		{"DISCARD PLANS", wordLook, 0},
		{"DISCARD SEQUENCES", 0, wordSequence},
		{"DO", 0, wordLook},
		{"CALL", 0, wordLook},
		{"PREPARE", 0, wordPrepared},
		{"PREPARE TRANSACTION", wordLook, 0},
		{"DEALLOCATE", 0, wordPrepared},
		{"DEALLOCATE ALL", 0, wordPrepared},
		{"LISTEN", 0, wordListen},
		{"UNLISTEN", 0, wordListen},
		{"NOTIFY", wordLook, 0},
		{"DECLARE CURSOR", wordLook, 0}, // the word HOLD tells
		{"CLOSE CURSOR", 0, 0},
		{"CLOSE CURSOR", wordCursors, wordCursors},
		{"CLOSE CURSOR ALL", wordCursors | wordTemp, wordCursors},
		{"DROP TABLE", 0, 0},
		{"DROP TABLE", wordTemp, wordTemp},
		{"DROP MATERIALIZED VIEW", wordTemp, wordTemp},
		{"DROP FUNCTION", wordCursors, 0},
		{"", wordLook, 0},
		{"S", wordLook, 0},
	} {
		if got := tagWords([]byte(c.tag), c.pinned); got != c.want {
			t.Errorf("%q pinned by %b: %b, want %b", c.tag, c.pinned, got, c.want)
		}
	}
	tag := []byte("DEALLOCATE ALL")
	if n := testing.AllocsPerRun(100, func() { tagWords(tag, wordLook); isDDL(tag) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestIsDDL(t *testing.T) {
	for tag, want := range map[string]bool{
		"ALTER TABLE":              true,
		"CREATE TABLE":             true,
		"CREATE VIEW":              true,
		"CREATE FUNCTION":          true,
		"DROP TABLE":               true,
		"DROP MATERIALIZED VIEW":   true,
		"DROP OWNED":               true,
		"IMPORT FOREIGN SCHEMA":    true,
		"CREATE INDEX":             false,
		"DROP INDEX":               false,
		"ALTER ROLE":               false,
		"ALTER SYSTEM":             false,
		"CREATE DATABASE":          false,
		"SELECT 1":                 false,
		"INSERT 0 1":               false,
		"DELETE 1":                 false,
		"DISCARD ALL":              false,
		"":                         false,
		"CREATE":                   false,
		"ALTER DEFAULT PRIVILEGES": false,
	} {
		if got := isDDL([]byte(tag)); got != want {
			t.Errorf("%q: %v", tag, got)
		}
	}
}

package postgres

// The tags of CommandComplete name what a command did, whatever its text was:
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COMMANDCOMPLETE.
// Those that matter here are the commands' own names:
// https://www.postgresql.org/docs/current/sql-commands.html.

// sessionTags are the tags of commands that change what a session keeps, and the sections that are to
// be looked at for them. DO and CALL run code that may do anything.
var sessionTags = map[string]words{
	"SET":               wordSettings,
	"RESET":             wordSettings,
	"DO":                wordLook,
	"CALL":              wordLook,
	"DISCARD ALL":       wordLook,
	"DISCARD TEMP":      wordTemp,
	"DISCARD SEQUENCES": wordSequence,
	"PREPARE":           wordPrepared,
	"DEALLOCATE":        wordPrepared,
	"DEALLOCATE ALL":    wordPrepared,
	"LISTEN":            wordListen,
	"UNLISTEN":          wordListen,
}

// endTags are those of commands that may end what pins a session, and count only while it is pinned by
// that. DROP of anything is another one.
var endTags = map[string]words{
	"CLOSE CURSOR":     wordCursors,
	"CLOSE CURSOR ALL": wordCursors,
}

// longestTag is longer than any key of the tables.
const longestTag = 20

// tagWords returns the sections of a look that a command's tag calls for. pinned are those that pin the
// session now.
func tagWords(tag []byte, pinned words) words {
	if len(tag) < 2 || len(tag) > longestTag {
		return dropWords(tag, pinned)
	}
	switch tag[0] {
	case 'C', 'D', 'L', 'P', 'R', 'U':
	case 'S':
		if tag[1] == 'E' && len(tag) > 3 {
			return 0 // SELECT 1, SET CONSTRAINTS, SECURITY LABEL
		}
	default:
		return 0
	}
	if w := sessionTags[string(tag)]; w != 0 {
		return w
	}
	return endTags[string(tag)]&pinned | dropWords(tag, pinned)
}

// dropWords is tagWords for DROP …, which may be the end of the last temporary thing.
func dropWords(tag []byte, pinned words) words {
	if pinned&wordTemp != 0 && hasPrefix(tag, "DROP ") {
		return wordTemp
	}
	return 0
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// draws tells by a command's tag that it may have drawn from a sequence: it has written rows, or run
// code. A SELECT may call a function that does so; its text is not looked at but for nextval.
func draws(tag []byte) bool {
	if len(tag) < 2 {
		return false
	}
	switch tag[0] {
	case 'I', 'U', 'M': // INSERT, UPDATE, MERGE
		return true
	case 'C':
		return hasPrefix(tag, "COPY") || hasPrefix(tag, "CALL")
	case 'D':
		return hasPrefix(tag, "DO") || hasPrefix(tag, "DISCARD")
	}
	return false
}

// isDDL tells by a command's tag that it may have changed what prepared statements of other sessions
// refer to.
func isDDL(tag []byte) bool {
	if len(tag) == 0 || tag[0] != 'A' && tag[0] != 'C' && tag[0] != 'D' && tag[0] != 'I' {
		return false
	}
	for _, verb := range [...]string{"ALTER ", "CREATE ", "DROP "} {
		if hasPrefix(tag, verb) {
			return !apart[string(tag[len(verb):])]
		}
	}
	return string(tag) == "IMPORT FOREIGN SCHEMA"
}

// apart are the things that no prepared statement's rows are made of.
var apart = map[string]bool{
	"ACCESS METHOD":      true,
	"DATABASE":           true,
	"EVENT TRIGGER":      true,
	"INDEX":              true,
	"PUBLICATION":        true,
	"ROLE":               true,
	"SEQUENCE":           true,
	"STATISTICS":         true,
	"SUBSCRIPTION":       true,
	"SYSTEM":             true,
	"TABLESPACE":         true,
	"TRIGGER":            true,
	"USER MAPPING":       true,
	"DEFAULT PRIVILEGES": true,
}

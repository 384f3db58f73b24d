package postgres

import "strings"

// splitCommands cuts the text of a Query into its commands, without the semicolons, comments and empty
// commands between them. Quotes hide what stands in them; one that does not end hides the rest.
//
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html
func splitCommands(text string) []string {
	var list []string
	var b strings.Builder
	end := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			list = append(list, s)
		}
		b.Reset()
	}
	for len(text) > 0 {
		n := 1
		switch {
		case text[0] == ';':
			end()
			text = text[1:]
			continue
		case text[0] == '\'' || text[0] == '"':
			n = deskQuoted(text)
		case strings.HasPrefix(text, "--"):
			text = text[deskLineComment(text):]
			b.WriteByte(' ')
			continue
		case strings.HasPrefix(text, "/*"):
			text = text[deskBlockComment(text):]
			b.WriteByte(' ')
			continue
		}
		b.WriteString(text[:n])
		text = text[n:]
	}
	end()
	return list
}

// deskQuoted is the length of the quoted part that text begins with. A doubled quote ends one part and begins
// the next, which comes to the same.
func deskQuoted(text string) int {
	if i := strings.IndexByte(text[1:], text[0]); i >= 0 {
		return i + 2
	}
	return len(text)
}

// deskLineComment is the length of the comment that text begins with.
func deskLineComment(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i
	}
	return len(text)
}

// deskBlockComment is the length of the comment that text begins with; such comments nest.
func deskBlockComment(text string) int {
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch text[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

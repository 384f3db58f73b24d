package postgres

// findPrepare returns the PREPARE of a statement from the text that it was made by: a Query with nothing else
// in it, or with other statements too, which must not be run again. ok is false if that can't be told.
//
// https://www.postgresql.org/docs/current/view-pg-prepared-statements.html
func findPrepare(text []byte, name string) (prepare string, ok bool) {
	s := sqlScanner{text: text}
	start, end, first := 0, 0, true // of the present statement
	found := false
	take := func() bool {
		var c command
		own := text[start:end]
		if !soleCommand(own, &c) || c.kind != cmdPrepare || string(c.name()) != name {
			return true
		}
		if found {
			return false // which of them it was can't be told
		}
		prepare, found = string(own), true
		return true
	}
	for {
		t := s.next()
		switch {
		case t.kind == tokenUnsure:
			return "", false
		case t.kind == tokenEnd:
			ok = take() && found
			return prepare, ok
		case t.kind == tokenSemicolon && t.depth == 0:
			if !take() {
				return "", false
			}
			first = true
			end = start
		default:
			if first {
				start, first = t.at, false
			}
			end = t.end
		}
	}
}

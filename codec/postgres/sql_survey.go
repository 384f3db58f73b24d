package postgres

// survey is what the statements of a text do to what Sluice keeps for a client.
type survey struct {
	back  bool // settings go back to what they were when Sluice logged in: RESET, DISCARD, SET … TO DEFAULT
	drops bool // prepared statements may be gone behind it: DISCARD, DEALLOCATE
	names bool // prepared statements are spoken of: EXECUTE, DEALLOCATE, PREPARE
}

// maySurvey says no to almost all texts at a glance. set is what maySet says of it.
func maySurvey(text []byte, set bool) bool {
	for len(text) > 0 && (isBlank(text[0]) || text[0] == ';') {
		text = text[1:]
	}
	if len(text) < 5 {
		return false
	}
	switch text[0] | 0x20 {
	case 'r': // RESET
		return text[1]|0x20 == 'e'
	case 'd': // DISCARD, DEALLOCATE
		return text[1]|0x20 == 'i' || text[1]|0x20 == 'e' && text[2]|0x20 == 'a'
	case 'e': // EXECUTE, EXPLAIN
		return text[1]|0x20 == 'x'
	case 'p': // PREPARE
		return text[1]|0x20 == 'r'
	}
	return set || containsFold(text[:min(len(text), 6)], "create")
}

// surveyText looks at all statements of a text. It tells found of each name of a prepared statement, if
// found is not nil. Where the rest of the text can't be read, it takes what may be there as being there.
func surveyText(text []byte, found func(name []byte)) (v survey) {
	var c command
	s := sqlScanner{text: text}
	place, set := 0, 0 // tokens of the present statement, and those since its SET
	for {
		t := s.next()
		place++
		if set > 0 {
			set++
		}
		switch {
		case t.kind == tokenEnd:
			return v
		case t.kind == tokenUnsure:
			v.back = v.back || containsFold(text, "reset") || containsFold(text, "discard") || containsFold(text, "default")
			v.drops = v.drops || containsFold(text, "deallocate") || containsFold(text, "discard")
			return v
		case t.kind == tokenSemicolon:
			place, set = 0, 0
		case t.kind != tokenWord:
		case s.is(t, "execute"), place == 1 && (s.is(t, "deallocate") || s.is(t, "prepare")):
			v.drops = v.drops || s.is(t, "deallocate")
			v.names = true
			s.spokenOf(&c, found)
		case place == 1:
			v.back = v.back || s.is(t, "reset") || s.is(t, "discard")
			v.drops = v.drops || s.is(t, "discard")
			if s.is(t, "set") {
				set = 1
			}
		case set > 0 && s.is(t, "default"), set > 2 && s.is(t, "local"): // SET LOCAL, but SET TIME ZONE LOCAL
			v.back = true
		}
	}
}

// spokenOf takes the name of a prepared statement, if there is one next.
func (s *sqlScanner) spokenOf(c *command, found func(name []byte)) {
	ahead := *s
	t := ahead.next()
	if ahead.is(t, "prepare") { // DEALLOCATE PREPARE name
		*s = ahead
		t = ahead.next()
	}
	if !c.take(&ahead, t) {
		return
	}
	if *s = ahead; found != nil {
		found(c.name())
	}
}

package postgres

// commandKind is what a statement does that Sluice has to know of.
type commandKind uint8

const (
	cmdPrepare          commandKind = iota // PREPARE name … AS statement
	cmdExecute                             // EXECUTE name …
	cmdDeallocate                          // DEALLOCATE name
	cmdDeallocateAll                       // DEALLOCATE ALL
	cmdListen                              // LISTEN channel
	cmdUnlisten                            // UNLISTEN channel
	cmdUnlistenAll                         // UNLISTEN *
	cmdDiscardAll                          // DISCARD ALL
	cmdDiscardPlans                        // DISCARD PLANS
	cmdDiscardSequences                    // DISCARD SEQUENCES
	cmdDiscardTemp                         // DISCARD TEMP
	cmdBegin                               // BEGIN, START TRANSACTION
	cmdEnd                                 // COMMIT, END, ROLLBACK, ABORT of a whole transaction
)

// command is a statement that is all there is in its text, but for comments, blanks and semicolons.
// text[at:end] is the name as it is written; text[:tail] is the statement without what follows it.
type command struct {
	kind          commandKind
	at, end, tail int
	n             int
	folded        [maxName]byte
}

// name returns the name as the server understands it. It lives as long as the command.
func (c *command) name() []byte { return c.folded[:c.n] }

// soleCommand tells whether text is one of those statements, and fills in c. It says so only if the
// server is sure to read the text in the same way, whatever the session's settings are.
func soleCommand(text []byte, c *command) bool {
	if !mayBeCommand(text) {
		return false
	}
	s := sqlScanner{text: text}
	c.at, c.end, c.n = 0, 0, 0
	t := s.next()
	for t.kind == tokenSemicolon {
		t = s.next()
	}
	if t.kind != tokenWord {
		return false
	}
	switch {
	case s.is(t, "prepare"):
		return c.prepare(&s)
	case s.is(t, "execute"):
		return c.execute(&s)
	case s.is(t, "deallocate"):
		return c.deallocate(&s)
	case s.is(t, "listen"):
		c.kind = cmdListen
		return c.take(&s, s.next()) && c.finish(&s, s.next())
	case s.is(t, "unlisten"):
		return c.unlisten(&s)
	case s.is(t, "discard"):
		return c.discard(&s)
	}
	return c.transaction(&s, t)
}

// mayBeCommand says no to almost all other texts at a glance.
func mayBeCommand(text []byte) bool {
	if len(text) < 3 {
		return false
	}
	switch text[0] | 0x20 {
	case 's': // START, not SELECT, SET
		return text[1]|0x20 == 't'
	case 'u': // UNLISTEN, not UPDATE
		return text[1]|0x20 == 'n'
	case 'd': // DEALLOCATE, DISCARD, not DELETE, DROP
		return text[1]|0x20 == 'i' || text[1]|0x20 == 'e' && text[2]|0x20 == 'a'
	case 'c': // COMMIT, not CREATE, COPY
		return text[1]|0x20 == 'o' && text[2]|0x20 == 'm'
	case 'i', 'w', 't', 'v', 'g', 'm', 'f':
		return false
	}
	return true
}

// prepare reads what follows PREPARE. The rest of the statement is not looked into: it is for the
// server to judge.
func (c *command) prepare(s *sqlScanner) bool {
	c.kind = cmdPrepare
	if !c.take(s, s.next()) {
		return false
	}
	t := s.next()
	if t.kind == tokenOther && s.text[t.at] == '(' {
		for t = s.next(); t.depth > 0 || t.kind == tokenOther && s.text[t.at] == ')'; t = s.next() {
			if t.kind == tokenSemicolon || t.kind == tokenEnd {
				return false
			}
		}
	}
	if !s.is(t, "as") {
		return false
	}
	if t = s.next(); t.kind == tokenEnd || t.kind == tokenSemicolon {
		return false
	}
	return c.toEnd(s, t)
}

// execute reads what follows EXECUTE.
func (c *command) execute(s *sqlScanner) bool {
	c.kind = cmdExecute
	if !c.take(s, s.next()) {
		return false
	}
	t := s.next()
	if t.kind == tokenOther && s.text[t.at] != '(' || t.kind != tokenOther && t.kind != tokenEnd && t.kind != tokenSemicolon {
		return false
	}
	return c.toEnd(s, t)
}

// deallocate reads what follows DEALLOCATE. PREPARE is a noise word there, or a name.
func (c *command) deallocate(s *sqlScanner) bool {
	c.kind = cmdDeallocate
	t := s.next()
	if s.is(t, "prepare") {
		prepare := t
		if t = s.next(); t.kind == tokenEnd || t.kind == tokenSemicolon {
			return c.take(s, prepare) && c.finish(s, t)
		}
	}
	if s.is(t, "all") {
		c.kind = cmdDeallocateAll
		c.tail = t.end
		return c.finish(s, s.next())
	}
	return c.take(s, t) && c.finish(s, s.next())
}

// unlisten reads what follows UNLISTEN.
func (c *command) unlisten(s *sqlScanner) bool {
	c.kind = cmdUnlisten
	t := s.next()
	if t.kind == tokenOther && s.text[t.at] == '*' {
		c.kind = cmdUnlistenAll
		c.tail = t.end
		return c.finish(s, s.next())
	}
	return c.take(s, t) && c.finish(s, s.next())
}

// discard reads what follows DISCARD.
func (c *command) discard(s *sqlScanner) bool {
	t := s.next()
	switch {
	case s.is(t, "all"):
		c.kind = cmdDiscardAll
	case s.is(t, "plans"):
		c.kind = cmdDiscardPlans
	case s.is(t, "sequences"):
		c.kind = cmdDiscardSequences
	case s.is(t, "temp"), s.is(t, "temporary"):
		c.kind = cmdDiscardTemp
	default:
		return false
	}
	c.tail = t.end
	return c.finish(s, s.next())
}

// transaction reads a statement that begins or ends a transaction; t is its first word. Its modes are
// for the server to judge. What works on a savepoint or on a prepared transaction is none of them, and
// neither is what chains the next transaction to the end of this one.
func (c *command) transaction(s *sqlScanner, t token) bool {
	c.tail = t.end
	switch {
	case s.is(t, "begin"):
		c.kind = cmdBegin
		return c.toEnd(s, s.next())
	case s.is(t, "start"):
		c.kind = cmdBegin
		t = s.next()
		return s.is(t, "transaction") && c.toEnd(s, t)
	case s.is(t, "commit"), s.is(t, "end"), s.is(t, "rollback"), s.is(t, "abort"):
		c.kind = cmdEnd
	default:
		return false
	}
	t = s.next()
	if s.is(t, "work") || s.is(t, "transaction") {
		c.tail = t.end
		t = s.next()
	}
	return c.finish(s, t)
}

// take takes a name. It refuses what is not sure to be one, or the same one to the server: a reserved
// word, one that the server would shorten, and letters outside ASCII, which it folds by the database's
// locale and counts in the database's encoding.
func (c *command) take(s *sqlScanner, t token) bool {
	c.at, c.end, c.tail, c.n = t.at, t.end, t.end, 0
	switch t.kind {
	case tokenWord:
		return c.fold(s.text[t.at:t.end]) && !reserved(c.name())
	case tokenQuoted:
		return c.unquote(s.text[t.at+1 : t.end-1])
	}
	return false
}

// fold takes a name without quotes.
func (c *command) fold(b []byte) bool {
	for _, x := range b {
		if !c.put(lowerByte(x)) {
			return false
		}
	}
	return true
}

// unquote takes what stands between quotes.
func (c *command) unquote(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if !c.put(b[i]) {
			return false
		}
		if b[i] == '"' {
			i++ // there are two
		}
	}
	return c.n > 0
}

func (c *command) put(x byte) bool {
	if x >= 0x80 || x == 0 || c.n == maxName {
		return false
	}
	c.folded[c.n] = x
	c.n++
	return true
}

// finish tells that t and what follows is nothing.
func (c *command) finish(s *sqlScanner, t token) bool {
	for t.kind == tokenSemicolon {
		t = s.next()
	}
	return t.kind == tokenEnd
}

// toEnd tells that t and what follows is the rest of one statement, its parentheses in order.
func (c *command) toEnd(s *sqlScanner, t token) bool {
	for ; t.kind != tokenEnd && t.kind != tokenUnsure; t = s.next() {
		if t.kind == tokenSemicolon {
			return t.depth == 0 && c.finish(s, t)
		}
		c.tail = t.end
	}
	return t.kind == tokenEnd && t.depth == 0
}

// findExecute finds the name in EXPLAIN … EXECUTE name and CREATE TABLE … AS EXECUTE name, in a text
// that is one such statement.
func findExecute(text []byte, c *command) bool {
	s := sqlScanner{text: text}
	c.kind = cmdExecute
	t := s.next()
	if !s.is(t, "explain") && !s.is(t, "create") {
		return false
	}
	explain, after, found := s.is(t, "explain"), s.is(t, "explain"), false
	for t = s.next(); t.kind != tokenEnd; t = s.next() {
		if t.kind == tokenUnsure {
			return false
		}
		if t.kind == tokenSemicolon {
			return found && t.depth == 0 && c.finish(&s, t)
		}
		if !found && after && t.depth == 0 && s.is(t, "execute") {
			t = s.next()
			if found = c.take(&s, t); !found {
				return false
			}
			continue
		}
		after = s.is(t, "as") || explain && mayPrecede(&s, t)
		c.tail = t.end
	}
	return found && t.depth == 0
}

// mayPrecede tells what stands between EXPLAIN and its statement.
func mayPrecede(s *sqlScanner, t token) bool {
	return s.is(t, "analyze") || s.is(t, "analyse") || s.is(t, "verbose") ||
		t.kind == tokenOther && s.text[t.at] == ')'
}

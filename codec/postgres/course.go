package postgres

import "bytes"

// course is what statements do to transactions, as far as it matters when their server is lost: whether
// what was done before is certainly rolled back, and whether a transaction block is open behind them.
//
// A statement is plain unless its first words say otherwise: it neither opens a block nor ends one. What
// runs inside a block can't end it: a procedure that tries gets an error.
//
//   - https://www.postgresql.org/docs/current/sql-begin.html
//   - https://www.postgresql.org/docs/current/sql-commit.html
//   - https://www.postgresql.org/docs/current/sql-rollback.html
//   - https://www.postgresql.org/docs/current/sql-prepare-transaction.html
//   - https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
type course byte

const (
	courseOpens  course = 1 << iota // a block is open behind it that it has opened
	courseEnds                      // it may commit, and no block of before is open behind it
	courseRolls                     // it is a ROLLBACK of the whole block, and nothing else
	courseRuns                      // there are plain statements, or several of any kind
	courseCalls                     // it is a CALL or DO: it may commit in its midst
	courseUnread                    // it can't be read: it may be anything; with courseOpens: it began with that
)

// courseOf reads a text. A plain statement is nothing, or courseRuns.
func courseOf(text []byte) course {
	if !maySet(text) && !mayTurn(text) {
		return 0
	}
	if bytes.IndexByte(text, '\v') >= 0 {
		return courseUnread // white space from PostgreSQL 16 on, an error before
	}
	s := sqlScanner{text: text}
	all := course(0)
	for first := true; ; first = false {
		t := s.next()
		for t.kind == tokenSemicolon {
			t = s.next()
		}
		if t.kind == tokenEnd {
			return all
		}
		one, t := s.course(t)
		for t.kind != tokenEnd && t.kind != tokenSemicolon && t.kind != tokenUnsure {
			if t = s.next(); s.is(t, "atomic") { // BEGIN ATOMIC … END, the body of a function
				return courseUnread | all&courseOpens
			}
		}
		if t.kind == tokenUnsure && (one != 0 || !first || bytes.IndexByte(text, ';') >= 0) {
			return courseUnread | (all|one)&courseOpens
		}
		all = all.then(one, first)
		if t.kind == tokenEnd || t.kind == tokenUnsure {
			return all
		}
	}
}

// courseOfFront reads the front of a text, of which there is more.
func courseOfFront(text []byte) course {
	s := sqlScanner{text: text}
	t := s.next()
	for t.kind == tokenSemicolon {
		t = s.next()
	}
	one, _ := s.course(t)
	return courseUnread | one&courseOpens
}

// minFront is how many bytes of a long Query are looked at for that.
const minFront = 128

// mayTurn says no at a glance to almost all texts of one statement: to those whose first letter speaks against
// it. Texts of several are known by maySet.
func mayTurn(text []byte) bool {
	if len(text) < 2 {
		return false
	}
	switch c := text[0] | 0x20; c {
	case 'a', 'b', 'c', 'e', 'p', 'r': // ABORT, BEGIN, COMMIT, END, PREPARE, ROLLBACK
		return true
	case 's': // START, not SELECT
		return text[1]|0x20 == 't'
	case 'd': // DO, not DELETE
		return text[1]|0x20 == 'o'
	default:
		return !isNameStart(text[0]) // a comment may stand in front
	}
}

// then returns the course of a text with one more statement at its end.
func (c course) then(one course, first bool) course {
	switch {
	case first && one&^courseCalls == 0:
		return courseRuns | one
	case first:
		return one
	case one&courseUnread != 0:
		return courseUnread | c&courseOpens
	case c&courseUnread != 0:
		return c | one&courseOpens
	case c == courseRolls:
		c = courseEnds // what stands behind a ROLLBACK has a transaction of its own
	}
	switch one {
	case 0, courseCalls:
	case courseOpens:
		c |= courseOpens
	default:
		c = (c|courseEnds)&^courseOpens | one&courseOpens
	}
	return c | courseRuns
}

// behind returns the course of statements that were run one by one in a batch, with one more at their end.
func (c course) behind(one course) course {
	switch {
	case one == 0:
		one = courseRuns
	case one&(courseEnds|courseRolls) != 0:
		c &^= courseOpens
	case one&courseOpens != 0 && c&courseRuns != 0 && c&courseOpens == 0:
		one |= courseUnread // what has run before may have committed by itself, as CREATE DATABASE does
	}
	return c | one
}

// course reads the first words of the statement that begins with t. It returns the token behind them.
func (s *sqlScanner) course(t token) (c course, behind token) {
	switch {
	case s.is(t, "begin"):
		return courseOpens, s.next()
	case s.is(t, "start"):
		if t = s.next(); s.is(t, "transaction") {
			return courseOpens, s.next()
		}
		return 0, t
	case s.is(t, "call"), s.is(t, "do"):
		return courseCalls, s.next()
	case s.is(t, "prepare"):
		if t = s.next(); s.is(t, "transaction") {
			return courseEnds, s.next()
		}
		return 0, t
	case s.is(t, "commit"), s.is(t, "end"):
		return s.ending(courseEnds)
	case s.is(t, "rollback"), s.is(t, "abort"):
		return s.ending(courseRolls)
	}
	return 0, t
}

// ending reads what follows COMMIT or ROLLBACK, and makes c of it if there is nothing special.
func (s *sqlScanner) ending(c course) (course, token) {
	t := s.next()
	if s.is(t, "work") || s.is(t, "transaction") {
		t = s.next()
	}
	switch {
	case t.kind == tokenEnd || t.kind == tokenSemicolon:
		return c, t
	case s.is(t, "to") && c == courseRolls: // a savepoint
		return 0, s.next()
	case !s.is(t, "and"): // PREPARED, which no block allows, or what is no SQL
		return courseUnread, t
	}
	if t = s.next(); s.is(t, "no") {
		return c, s.next()
	}
	return courseEnds | courseOpens, t // AND CHAIN
}

// block is the transaction block of a session whose server is lost, as far as it can be told from what it
// was sent and what it has answered.
type block struct {
	open   bool // there may be one
	firm   bool // there is: what runs in it is not committed by itself
	failed bool // and it has failed
	fresh  bool // it was opened by the present batch
	maybe  bool // something may have been committed that was not answered
}

// run takes a statement, or a text of some, that may have been run.
func (b *block) run(c course) {
	failed := b.failed
	b.failed = false
	switch {
	case c&courseUnread != 0:
		b.maybe, b.open = true, b.open || c&courseOpens != 0
	case c&courseEnds != 0:
		b.maybe = b.maybe || !failed || c != courseEnds // COMMIT rolls a failed transaction back
		b.open, b.firm = c&courseOpens != 0, false
	case c&courseRolls != 0:
		b.open, b.firm = false, false
	case c&courseOpens != 0:
		if !b.open {
			b.open, b.firm, b.fresh = true, true, true
		}
	default:
		b.maybe = b.maybe || !b.firm
	}
}

// ended takes the end of a batch. If it was to open a block and was not answered, it may not have done so,
// and then what follows has been run all the same.
func (b *block) ended() {
	if b.fresh {
		b.firm, b.fresh = false, false
	}
}

// courseBound notes what is bound to a portal: a statement of that name, which is n if the client has it.
// Portals with names are not told apart: what is bound to one of them may be run by another.
func (g *guest) courseBound(portal bool, name []byte, n *named) {
	c := courseUnread
	switch st := g.unnamed.st; {
	case n != nil && n.st != nil:
		c = n.st.course
	case len(name) == 0 && st != nil:
		c = st.course
	}
	switch {
	case portal && c&^courseRuns != 0:
		g.namedPortals |= courseUnread | c&courseOpens
	case !portal:
		g.unnamedPortal = c
	}
}

// courseExecuted is the course of what an Execute runs.
func (g *guest) courseExecuted(r *request) course {
	if len(r.m) > headerSize && r.m[headerSize] != 0 {
		return g.namedPortals
	}
	return g.unnamedPortal
}

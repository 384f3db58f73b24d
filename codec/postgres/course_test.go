package postgres

import (
	"strings"
	"testing"

	"sluice/codec"
)

func TestCourse(t *testing.T) {
	const ends, opens, rolls, runs, unread = courseEnds, courseOpens, courseRolls, courseRuns, courseUnread
	for text, want := range map[string]course{
		"":                               0,
		"select 1":                       0,
		"select 1;":                      0,
		"insert into t values (1) ; \n;": 0,
		"insert into t values ('a;b')":   runs,
		"update t set a = 'commit; end'": runs,
		"select 1; select 2":             runs,
		"create table t (a int)":         runs,
		"begin":                          opens,
		"BEGIN;":                         opens,
		" begin work":                    opens,
		"/* a */ begin -- b":             opens,
		"begin isolation level serializable read only": opens,
		"start transaction":                            opens,
		"start":                                        runs,
		"begin; insert":                                opens | runs,
		"insert; begin":                                opens | runs,
		"begin; insert; commit":                        ends | runs,
		"begin; commit; begin":                         ends | opens | runs,
		"commit":                                       ends,
		"COMMIT WORK ;":                                ends,
		"end transaction":                              ends,
		"commit and no chain":                          ends,
		"commit and chain":                             ends | opens,
		"commit prepared 'a'":                          unread,
		"commit prepare":                               unread,
		"begin; commit prepared 'a'":                   opens | unread,
		"insert; commit prepared 'a'":                  unread,
		"prepare transaction 'a'":                      ends,
		"prepare a as select 1":                        runs,
		"commit; insert":                               ends | runs,
		"insert; commit":                               ends | runs,
		"rollback":                                     rolls,
		"ABORT;":                                       rolls,
		"rollback work":                                rolls,
		"rollback and no chain":                        rolls,
		"rollback and chain":                           ends | opens,
		"rollback prepared 'a'":                        unread,
		"rollback to a":                                runs,
		"rollback work to savepoint a":                 runs,
		"rollback; insert":                             ends | runs,
		"rollback; rollback":                           ends | runs,
		"rollback; begin":                              ends | opens | runs,
		"Do 'begin'":                                   runs | courseCalls,
		"drop table t":                                 0,
		"savepoint a":                                  0,
		"release a":                                    runs,
		"insert into t values ('\\'); commit":          unread,
		"begin; insert into t values ('\\'); commit": opens | unread,
		"begin /*":                   opens | unread,
		"\vcommit":                   unread,
		"insert;\vcommit":            unread,
		"prepare\vtransaction 'a'":   unread,
		"/* commit":                  runs,
		"call p()":                   runs | courseCalls,
		"select 1; call p()":         runs,
		"do $$ begin commit; end $$": runs | courseCalls,
		"create function f() returns int begin atomic select 1; end":        unread,
		"begin; create function f() returns int begin atomic select 1; end": opens | unread,
	} {
		if got := courseOf([]byte(text)); got != want {
			t.Errorf("%q: %b, want %b", text, got, want)
		}
	}
}

// TestBlock follows what may have been done in batches that were not answered.
func TestBlock(t *testing.T) {
	open, failed := block{open: true, firm: true}, block{open: true, firm: true, failed: true}
	for _, x := range []struct {
		from    block
		batches string // separated by a bar
		open    bool
		maybe   bool
	}{
		{block{}, "insert", false, true},
		{block{}, "begin", true, false},
		{block{}, "begin insert", true, false},
		{block{}, "begin|insert", true, true},
		{block{}, "rollback", false, false},
		{open, "insert", true, false},
		{open, "insert|update", true, false},
		{open, "begin|insert", true, false},
		{open, "commit", false, true},
		{open, "commit/*", true, true},
		{block{}, "begin/*", true, true},
		{open, "insert commit", false, true},
		{open, "rollback", false, false},
		{open, "rollback|insert", false, true},
		{open, "rollback|begin", true, false},
		{failed, "commit", false, false},
		{failed, "commit|insert", false, true},
		{failed, "insert commit", false, true},
	} {
		b := x.from
		for batch := range strings.SplitSeq(x.batches, "|") {
			for text := range strings.FieldsSeq(batch) {
				b.run(courseOf([]byte(text)))
			}
			b.ended()
		}
		if b.open != x.open || b.maybe != x.maybe {
			t.Errorf("%+v, %s: %+v", x.from, x.batches, b)
		}
	}
}

// TestCourseOfLongQuery loses a Query that is too long to be read: it may be anything, but for its front.
func TestCourseOfLongQuery(t *testing.T) {
	for front, want := range map[string]byte{"insert ": 'I', "/**/ begin; insert ": 'E', "start transaction;": 'E', "commit": 'I'} {
		for _, cut := range []int{headerSize, headerSize + 1, headerSize + 6, minFront - 1, minFront, maxQueryHead} {
			p := newPlay(t, 0)
			p.cfg.KeepOnLoss = true
			p.run("")
			m := message('Q', front+strings.Repeat("x", maxQueryHead)+"\x00")
			p.send("", m[:cut])
			p.send("", m[cut:])
			p.run("lost 2\nbereaved=true\n" + lossWords("c? UNKNOWN Z("+string(want)+")"))
		}
	}
}

// TestLimitOfKeptQuery keeps a Query up to the limit, and no more.
func TestLimitOfKeptQuery(t *testing.T) {
	for _, n := range []int{maxRecord, maxRecord + 1} {
		p := newPlay(t, 0)
		p.cfg.KeepOnLoss = true
		p.run("part")
		p.send("", message('Q', "insert "+strings.Repeat("x", n-headerSize-len("insert ")-1)+"\x00"))
		p.answer("", wire(t, codec.Server, "E(25006;read-only)S(default_transaction_read_only;on)Z(I)"))
		if got, want := p.host.Withheld(), n <= maxRecord; got != want {
			t.Errorf("%d bytes: withheld %v", n, got)
		}
	}
}

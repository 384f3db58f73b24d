package mysql

import (
	"strings"
	"testing"

	"sluice/codec"
)

// TestUndone: what is told of a command that was under way when the server went: with TiDB, and with MariaDB.
func TestUndone(t *testing.T) {
	for word, text := range map[string]string{
		"update": "update t set a = 1", "delete": "delete from t", "replace": "replace t values (f(1))", "with": "with a as (select 1) delete from t",
		"show": "show tables", "blank": " select 1", "commit": "commit", "commitup": "  COMMIT", "rollback": "rollback", "descr": "desc analyze delete from t",
		"ddl": "create table t (a int)", "alter": "alter table t add b int", "truncate": "truncate t", "batch": "batch on id limit 10 delete from t",
		"two": "select 1; update t set a = 1", "literal": "select ';'", "setbatch": "set @@TIDB_BATCH_COMMIT = 1", "seton": "set autocommit = 1", "set": "set @x = 1",
		"nextval": "select nextval(s)", "lock": "select get_lock('a', 1)", "hint": "/*! commit */ select 1", "execute": "execute p", "loadfile": "load data infile 'f' into table t",
		"beginup": "BEGIN", "beginmore": "begin; update t set a = 1", "atomic": "begin not atomic update t set a = 1; end", "starttx": "start transaction",
		"short": "x", "assign": "select a into @x from t", "longset": "set @x = '" + strings.Repeat("x", 100) + "'",
	} {
		clientWords[word] = "\x03" + text
	}
	clientWords["emptyquery"] = "\x03"
	clientWords["prepareupdate"], clientWords["prepareload"], clientWords["preparebatch"] = "\x16update t set a = ?", "\x16load data infile 'f' into table t", "\x16set tidb_batch_commit = ?"
	serverWords["prep01"] = "\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"
	const tx, prepared = "c:begin s:okT ", "c:prepareupdate s:prep01 s:def s:eof "
	for _, test := range []struct {
		talk          string
		tidb, mariadb bool
	}{
		// Reads, by themselves.
		{"c:select", true, false}, {"c:show", true, false}, {"c:select s:n1 s:def", true, false}, {"c:select s:n1 s:def s:eof s:row", true, false},
		{"c:literal", false, false}, {"c:blank", false, false}, {"c:nextval", false, false}, {"c:lock", false, false}, {"c:two", false, false}, {"c:assign", false, false},
		{"c:hint", false, false}, {"c:short", false, false}, {"c:emptyquery", false, false}, {"c:select c:select", false, false}, {"c:call", false, false}, {"c:call s:okM", false, false},
		// Writes, by themselves.
		{"c:insert", false, false}, {"c:update", false, false}, {"c:delete", false, false}, {"c:replace", false, false}, {"c:with", false, false}, {"c:descr", false, false},
		{"c:load", false, false}, {"c:load s:file", false, false}, {"c:loadfile", false, false}, {"c:ddl", false, false}, {"c:batch", false, false},
		// In a transaction.
		{tx + "c:update", true, false}, {tx + "c:insert", true, false}, {tx + "c:delete", true, false}, {tx + "c:replace", true, false}, {tx + "c:with", true, false},
		{tx + "c:select", true, false}, {tx + "c:descr", true, false}, {tx + "c:update s:okT c:insert", true, false}, {tx + "c:update c:update", false, false},
		{tx + "c:commit", false, false}, {tx + "c:commitup", false, false}, {tx + "c:rollback", false, false}, {tx + "c:beginup", false, false}, {tx + "c:starttx", false, false},
		{tx + "c:ddl", false, false}, {tx + "c:alter", false, false}, {tx + "c:truncate", false, false}, {tx + "c:drop", false, false}, {tx + "c:load s:file", false, false}, {tx + "c:loadfile", false, false},
		{tx + "c:call", false, false}, {tx + "c:two", false, false}, {tx + "c:seton", false, false}, {tx + "c:set", false, false}, {tx + "c:execute", false, false}, {tx + "c:batch", false, false},
		{tx + "c:hint", false, false}, {tx + "c:atomic", false, false}, {tx + "c:odd", false, false}, {tx + "c:kill", false, false}, {tx + "c:change", false, false},
		// An ERR may have ended it, until a status says that it has not.
		{tx + "c:update s:err c:update", false, false}, {tx + "c:update s:err c:select", true, false}, {tx + "c:update s:err c:select s:n1 s:def s:eof s:row s:eofT c:update", true, false},
		{tx + "c:ping s:err c:update", false, false}, {tx + "c:commit s:ok c:update", false, false}, {tx + "c:commit s:ok c:select", true, false},
		// Parts of a transaction may be committed by themselves.
		{"c:setbatch s:ok " + tx + "c:update", false, false}, {"c:setbatch s:ok " + tx + "c:select", true, false}, {"c:set s:ok " + tx + "c:update", true, false},
		{"c:preparebatch s:prep01 s:def s:eof " + tx + "c:update", false, false},
		// The begin of one.
		{"c:begin", true, true}, {"c:beginup", true, true}, {"c:beginmore", false, false}, {"c:atomic", false, false}, {"c:update s:err c:begin", false, false}, {"c:begin c:update", false, false},
		// What was prepared.
		{prepared + "c:exec", false, false}, {prepared + tx + "c:exec", true, false}, {prepared + tx + "c:exec s1:err c:exec", false, false}, {prepared + tx + "c:exec c:exec", false, false},
		{"c:preparecall s:prep01 s:def s:eof " + tx + "c:exec", false, false}, {"c:prepareload s:prep00 " + tx + "c:exec", false, false}, {prepared + tx + "c:exec s1:n1", true, false},
		{"c:prepare", true, true}, {"c:prepareload", true, true}, {tx + "c:prepare", true, true}, {tx + "c:bulk", false, false},
		// What is no statement.
		{"c:ping", true, true}, {"c:stat", true, true}, {"c:init", true, true}, {"c:reset", true, true}, {"c:setopt", true, true}, {tx + "c:resetconn", true, true},
		{tx + "c:ping c:ping", false, false}, {"c:change", false, false}, {"c:refresh", false, false}, {"c:create", false, false}, {"c:info", false, false},
	} {
		for kind, want := range map[serverKind]bool{kindTiDB: test.tidb, kindMariaDB: test.mariadb, kindMySQL: test.mariadb} {
			for _, x := range []facts{classic, {caps: classic.caps | capMultiStatements, status: statusAutocommit}} {
				m := moverIn(t, x, kind, test.talk)
				if m.Owed() == 0 {
					t.Fatalf("%s: nothing is owed", test.talk)
				}
				if got := m.Undone(); got != want {
					t.Errorf("%s, %s, caps %#x: %t", test.talk, kind, x.caps, got)
				}
			}
		}
	}
	// In pieces nothing more is claimed, and with attributes the same.
	for _, line := range []string{tx + "c:update", tx + "c:commit", "c:longset s:ok " + tx + "c:update", "c:select"} {
		whole := moverIn(t, classic, kindTiDB, line).Undone()
		for piece := 1; piece < 20; piece++ {
			m := newMover(classic, nil, &codec.MoveOptions{}, account{user: "app"}, kindTiDB)
			for _, s := range parseTalk(t, line).steps {
				if err := feed(m, s.from, s.bytes, piece); err != nil {
					t.Fatal(err)
				}
			}
			if m.Undone() && !whole {
				t.Errorf("%s in pieces of %d is said to be undone", line, piece)
			}
		}
	}
	x := facts{caps: classic.caps | capQueryAttributes, status: statusAutocommit}
	for text, want := range map[string]bool{"\x03\x00\x01select 1": true, "\x03\x00\x01update t set a = 1": false, "\x03\x00": false, "\x03\x01\x01\x00\x01\x0f\x00\x01a\x02hiselect 1": false} {
		m := newMover(x, nil, &codec.MoveOptions{}, account{user: "app"}, kindTiDB)
		if err := m.Client(append(appendHeader(nil, len(text), 0), text...)); err != nil {
			t.Fatal(err)
		}
		if m.Undone() != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

// TestUndoneInVain: behind a move that was given up while it committed a transaction in place of a BEGIN, nothing is said
// of what comes then but what is known.
func TestUndoneInVain(t *testing.T) {
	x := facts{key: 7, caps: classic.caps | capDeprecateEOF, status: statusAutocommit | statusInTrans}
	for _, test := range []struct {
		said []string
		want bool
	}{{[]string{plainOK}, false}, {[]string{errOf(1213, "deadlock")}, false}} {
		r := newRun(t, &script{x: x, held: message("\x03begin"), say: map[string][]string{atCommit: test.said}, giveUp: atShow})
		r.run()
		if err := r.m.Client([]byte(message("\x03update t set a = 1"))); err != nil {
			t.Fatal(err)
		}
		if r.m.Undone() != test.want {
			t.Errorf("behind %q: %t", test.said, !test.want)
		}
	}
}

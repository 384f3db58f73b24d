package postgres

import (
	"regexp"
	"strings"
	"testing"
)

var lossWord = regexp.MustCompile(`(LOST|UNKNOWN)(?:\(([^)]*)\))?`)

// lossWords puts messages in the place of the words for them in a script: LOST and UNKNOWN, with what the
// server has said, are what the client is told, ABORTED what it is told behind that, FAIL is what puts a
// server into a failed transaction.
func lossWords(script string) string {
	script = lossWord.ReplaceAllStringFunc(script, func(word string) string {
		x := lossWord.FindStringSubmatch(word)
		if x[2] != "" {
			x[2] = "The server said: " + x[2]
		}
		if x[1] == "LOST" {
			return "E(40001;the transaction was rolled back, as its server has gone;ERROR;;" + x[2] + ";It can be run again.)"
		}
		return "E(40003;the server has gone, and it is not known whether the transaction was committed;ERROR;;" +
			x[2] + ";Find out whether it was before it is run again.)"
	})
	script = strings.ReplaceAll(script, "ABORTED", "E(25P02;current transaction is aborted, commands ignored until end of transaction block)")
	return strings.ReplaceAll(script, "FAIL", sqlFail)
}

// TestBereave plays the loss of a server at places of many kinds.
func TestBereave(t *testing.T) {
	for _, x := range []struct{ name, script string }{
		{"off: all is as ever", `
			c: Q(select 1)
			lost 2
			bereaved=false
			c?`},
		{"a statement of its own", `
			keep
			c: Q(insert)
			s? Q(insert)
			lost 2
			bereaved=true
			c? UNKNOWN Z(I)
			intx=false
			c: Q(select 1)
			s? Q(select 1)
			s: T D C(SELECT 1) Z(I)
			c? T D C(SELECT 1) Z(I)
			free`},
		{"in a block", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			c? C(BEGIN) Z(T)
			lost 2
			c? LOST Z(E)
			intx=true
			busy=failed-transaction
			c: Q(insert)
			s? Q(FAIL)
			need=Turn
			s: C(BEGIN) E(3B001;no) Z(E)
			s? Q(insert)
			c?
			s: E(25P02;aborted) Z(E)
			c? E(25P02;aborted) Z(E)
			c: Q(rollback)
			s? Q(rollback)
			s: C(ROLLBACK) Z(I)
			c? C(ROLLBACK) Z(I)
			intx=false
			free`},
		{"the plain end of a lost block needs no server", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? C(BEGIN) Z(T) LOST Z(E)
			c: Q(rollback;)
			c? C(ROLLBACK) Z(I)
			s?
			intx=false
			c: Q(begin)
			s? Q(begin)`},
		{"idle in a block", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			lost 2
			c?
			intx=true
			c: Q(insert)
			c? LOST Z(E)
			c: Q(commit)
			c? C(ROLLBACK) Z(I)
			s?`},
		{"idle in a block: COMMIT is not taken for done", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			lost 2
			c: Q(commit)
			c? LOST Z(I)
			intx=false`},
		{"idle in a block: ROLLBACK is fine", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			lost 2
			c: Q(rollback)
			c? C(ROLLBACK) Z(I)`},
		{"idle in a block: a ROLLBACK by Parse", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			lost 2
			c: P(;rollback)B()E()S
			s? Q(FAIL)
			s: C(BEGIN) E(3B001;no) Z(E)
			s? P(;rollback)B()E()S
			s: 1 2 C(ROLLBACK) Z(I)
			c? 1 2 C(ROLLBACK) Z(I)
			free`},
		{"idle in a block: the extended protocol skips to the Sync", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			lost 2
			c: P(;insert)B()E()
			c? LOST
			busy=owed
			c: P(;insert)B()E()S
			c? Z(E)
			s?
			c: P(;insert)B()E()S
			s? Q(FAIL)
			s: C(BEGIN) E(3B001;no) Z(E)
			s? P(;insert)B()E()S
			s: E(25P02;aborted) Z(E)
			c? E(25P02;aborted) Z(E)`},
		{"COMMIT", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: Q(commit)
			lost 2
			c? UNKNOWN Z(I)
			intx=false`},
		{"ROLLBACK", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: Q(rollback)
			lost 2
			c? C(ROLLBACK) Z(I)
			intx=false`},
		{"COMMIT of a failed transaction", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(bad)
			s: E(42601;bad) Z(E)
			c? C(BEGIN) Z(T) E(42601;bad) Z(E)
			c: Q(commit)
			lost 2
			c? LOST Z(I)`},
		{"a failed transaction, idle: the client knows", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(bad)
			s: E(42601;bad) Z(E)
			c? C(BEGIN) Z(T) E(42601;bad) Z(E)
			lost 2
			c: Q(select 1)
			s? Q(FAIL)
			s: C(BEGIN) E(3B001;no) Z(E)
			s? Q(select 1)
			s: E(25P02;aborted) Z(E)
			c? E(25P02;aborted) Z(E)`},
		{"BEGIN is done again", `
			keep
			c: Q(begin isolation level serializable)
			s? Q(begin isolation level serializable)
			lost 2
			bereaved=again
			c?
			s? Q(begin isolation level serializable)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)`},
		{"BEGIN is done again, with what the client sent since", `
			keep
			c: P(;begin)B()E()S
			lost 2
			bereaved=again
			s? P(;begin)B()E()S
			s: 1 2 C(BEGIN) Z(T)
			c? 1 2 C(BEGIN) Z(T)`},
		{"BEGIN that was answered in part", `
			keep
			c: P(;begin)B()E()S
			s: 1
			lost 2
			c? 1 LOST Z(E)
			intx=true`},
		{"BEGIN, and a statement in a batch of its own: it may have been run alone", `
			keep
			c: Q(begin)Q(insert)
			lost 2
			c? UNKNOWN Z(E) UNKNOWN Z(E)
			intx=true`},
		{"BEGIN and more in one batch", `
			keep
			c: P(;begin)B()E()P(;insert)B()E()S
			lost 2
			c? LOST Z(E)`},
		{"BEGIN and more in one Query", `
			keep
			c: Q(begin; insert)
			lost 2
			c? LOST Z(E)`},
		{"a whole transaction in one Query", `
			keep
			c: Q(begin; insert; commit)
			lost 2
			c? UNKNOWN Z(I)`},
		{"a pipeline of batches in a block", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: P(;insert)B()E()SP(;update)B()E()SQ(insert)
			s: 1 2 C(INSERT 0 1) Z(T) 1
			c? 1 2 C(INSERT 0 1) Z(T) 1
			lost 2
			c? LOST Z(E) ABORTED Z(E)`},
		{"a pipeline with COMMIT in it", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: P(;insert)B()E()SP(;commit)B()E()S
			lost 2
			c? UNKNOWN Z(E) UNKNOWN Z(I)`},
		{"a pipeline with ROLLBACK at its end", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: Q(insert)Q(rollback)
			lost 2
			c? LOST Z(E) C(ROLLBACK) Z(I)`},
		{"COMMIT was answered, its Sync was not", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: P(;commit)B()E()S
			s: 1 2 C(COMMIT)
			lost 2
			c? 1 2 C(COMMIT) UNKNOWN Z(I)`},
		{"ROLLBACK and BEGIN were answered: the new block is lost", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: P(;rollback)B()E()P(;begin)B()E()P(;insert)B()E()S
			s: 1 2 C(ROLLBACK) 1 2 C(BEGIN)
			c? 1 2 C(ROLLBACK) 1 2 C(BEGIN)
			lost 2
			c? UNKNOWN Z(E)
			intx=true`},
		{"BEGIN and ROLLBACK were answered: no block is open", `
			keep
			c: P(;begin)B()E()P(;rollback)B()E()P(;insert)B()E()S
			s: 1 2 C(BEGIN) 1 2 C(ROLLBACK)
			lost 2
			c? 1 2 C(BEGIN) 1 2 C(ROLLBACK) UNKNOWN Z(I)
			intx=false`},
		{"COMMIT and BEGIN were answered: the new block is lost", `
			keep
			c: P(;commit)B()E()P(;begin)B()E()P(;insert)B()E()S
			s: 1 2 C(COMMIT) 1 2 C(BEGIN)
			lost 2
			c? 1 2 C(COMMIT) 1 2 C(BEGIN) UNKNOWN Z(E)
			intx=true`},
		{"what ran before BEGIN in its batch may have committed by itself", `
			keep
			c: P(;vacuum)B()E()P(;begin)B()E()P(;insert)B()E()S
			s: 1 2 C(VACUUM) 1 2 C(BEGIN)
			lost 2
			c? 1 2 C(VACUUM) 1 2 C(BEGIN) UNKNOWN Z(E)`},
		{"portals with names: what runs is not what was bound last", `
			keep
			c: P(a;begin)B(x;a)P(b;insert)B(y;b)E(y)S
			lost 2
			bereaved=true
			c? UNKNOWN Z(E)`},
		{"portals with names, in a block", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: P(;select 1)B(x;)E(x)P(;select 2)B(y;)E(y)S
			lost 2
			c? LOST Z(E)`},
		{"COMMIT PREPARED in a lost block is refused, and not its end", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? LOST Z(E)
			c: Q(commit prepared 'a')
			s? Q(FAIL)
			s: C(BEGIN) E(3B001;no) Z(E)
			s? Q(commit prepared 'a')
			s: E(25P02;aborted) Z(E)
			c? E(25P02;aborted) Z(E)
			intx=true`},
		{"COMMIT PREPARED where the loss is not known yet", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			lost 2
			c: Q(commit prepared 'a')
			c? LOST Z(E)
			intx=true`},
		{"a function whose body has an END of its own ends no block", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: Q(create function f() returns int begin atomic select 1; end)
			lost 2
			c? UNKNOWN Z(E)
			intx=true`},
		{"a text that can't be read, but for its BEGIN", `
			keep
			c: Q(begin; insert '\\'; commit)
			lost 2
			c? UNKNOWN Z(E)
			intx=true`},
		{"the loss is told behind a ROLLBACK that is answered", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			c: Q(rollback)Q(begin; insert)Q(rollback)
			lost 2
			c? C(ROLLBACK) Z(I) LOST Z(E) C(ROLLBACK) Z(I)`},
		{"an error was told, ReadyForQuery was not", `
			keep
			c: P(;insert)B()E()S
			s: 1 2 E(23505;no)
			lost 2
			c? 1 2 E(23505;no) Z(I)`},
		{"an error was told, and the Sync is yet to come", `
			keep
			c: P(;insert)B()E()
			s: 1 2 E(23505;no)
			c? 1 2 E(23505;no)
			lost 2
			c: B()E()S
			c? Z(I)
			s?`},
		{"no Sync yet", `
			keep
			c: P(;insert)B()E()H
			lost 2
			c? UNKNOWN
			c: B()E()S
			c? Z(I)
			s?`},
		{"a portal with rows left", `
			keep
			c: P(;select 1)B()E()H
			s: 1 2 D s
			c? 1 2 D s
			lost 2
			c?
			c: E()S
			c? UNKNOWN Z(I)`},
		{"a portal with rows left, in a block", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: P(;select 1)B()E()H
			s: 1 2 D s
			c? C(BEGIN) Z(T) 1 2 D s
			lost 2
			c: S
			c? LOST Z(E)`},
		{"a function call", `
			keep
			c: F()
			lost 2
			c? UNKNOWN Z(I)`},
		{"COPY from the client", `
			keep
			c: Q(copy t from stdin)
			s: G
			c: d(1)
			lost 2
			c? G UNKNOWN Z(I)
			c: d(2)c()Q(select 1)
			s? Q(select 1)`},
		{"COPY from the client, extended, with a Sync that it has taken for data", `
			keep
			c: P(;copy)B()E()S
			s: 1 2 G
			c: d(1)
			lost 2
			c? 1 2 G UNKNOWN
			c: d(2)c()S
			c? Z(I)
			c: Q(select 1)
			s? Q(select 1)`},
		{"COPY from the client, extended, at its end", `
			keep
			c: P(;copy)B()E()
			s: 1 2 G
			c: d(1)c()S
			lost 2
			c? 1 2 G UNKNOWN Z(I)
			c: Q(select 1)
			s? Q(select 1)`},
		{"COPY to the client", `
			keep
			c: Q(copy t to stdout)
			s: H d(1)
			lost 2
			c? H d(1) UNKNOWN Z(I)`},
		{"Describe of a statement", `
			keep
			c: P(a;select 1)D(S;a)S
			lost 2
			bereaved=again
			s? P(sluice_0_1;select 1)D(S;sluice_0_1)S
			s: 1 t T Z(I)
			c? 1 t T Z(I)
			c: B(;a)E()S
			s? B(;sluice_0_1)E()S`},
		{"what the server said", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			s: E(57P01;terminating connection;FATAL)
			withheld=true
			ending=true
			lost 2
			c? C(BEGIN) Z(T) LOST(FATAL 57P01: terminating connection) Z(E)`},
		{"what the server said while nothing was owed", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			s: E(57P01;terminating connection;FATAL)
			withheld=true
			c? C(BEGIN) Z(T)
			lost 2
			c: Q(insert)
			c? LOST(FATAL 57P01: terminating connection) Z(E)`},
		{"a crash is told by a warning", `
			keep
			c: Q(insert)
			s: N(57P02;crash of another server process;WARNING)
			lost 2
			c? UNKNOWN(WARNING 57P02: crash of another server process) Z(I)`},
		{"other warnings pass", `
			keep
			c: Q(insert)
			s: N(01000;so so;WARNING) N(57P01;so so;NOTICE) C(INSERT 0 1) Z(I)
			c? N(01000;so so;WARNING) N(57P01;so so;NOTICE) C(INSERT 0 1) Z(I)`},
		{"other ends are told", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			s: E(25P03;idle in transaction;FATAL)
			withheld=false
			c? C(BEGIN) Z(T) E(25P03;idle in transaction;FATAL)
			lost 2
			bereaved=false
			c?`},
		{"any end, before anything was begun", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? C(BEGIN) Z(T) LOST Z(E)
			c: Q(insert)
			s? Q(FAIL)
			s: E(57P05;idle for too long;FATAL)
			withheld=true
			lost 3
			bereaved=detached
			c?
			s? Q(FAIL)`},
		{"a warning to a session that can't go on passes", `
			keep
			c: Q(create temp table t)
			s: C(CREATE TABLE) Z(I)
			s: T D(T;;) C(SELECT 1) Z(I)
			c: Q(insert)
			s: N(57P02;crash of another server process;WARNING)
			c? C(CREATE TABLE) Z(I) N(57P02;crash of another server process;WARNING)`},
		{"the end of a wait for a replica, behind the commit", `
			keep
			c: Q(insert)
			s: N(57P01;canceling the wait for synchronous replication;WARNING)
			lost 2
			c? UNKNOWN(WARNING 57P01: canceling the wait for synchronous replication) Z(I)`},
		{"a temporary table binds the session", `
			keep
			c: Q(create temp table t)
			s: C(CREATE TABLE) Z(I)
			s~ pg_my_temp_schema
			s: T D(T;;) C(SELECT 1) Z(I)
			c? C(CREATE TABLE) Z(I)
			pin=temp-table
			c: Q(select 1)
			s: E(57P01;terminating connection;FATAL)
			withheld=false
			lost 2
			bereaved=false
			c? E(57P01;terminating connection;FATAL)`},
		{"a look on its way: what the session holds is not known", `
			keep
			c: Q(set x.y = 1)
			s: C(SET) Z(I)
			c? C(SET) Z(I)
			lost 2
			bereaved=false`},
		{"what a lost block has set is not set", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(set work_mem = 1)
			s: C(SET) Z(T)
			c: Q(create temp table t)
			s: C(CREATE TABLE) Z(T)
			c? C(BEGIN) Z(T) C(SET) Z(T) C(CREATE TABLE) Z(T)
			c: Q(select 1)
			lost 2
			c? LOST Z(E)
			settings=
			c: Q(rollback)
			c? C(ROLLBACK) Z(I)
			c: Q(select 1)
			s? Q(select 1)`},
		{"an advisory lock in a lost block is lost as well", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(select pg_advisory_lock(1))
			s: T D C(SELECT 1) Z(T)
			c? C(BEGIN) Z(T) T D C(SELECT 1) Z(T)
			lost 2
			bereaved=false`},
		{"half a message is told", `
			keep
			c: Q(select 1)
			s: T
			half
			lost 2
			bereaved=false`},
		{"a server without a failed transaction is lost as well", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? C(BEGIN) Z(T) LOST Z(E)
			c: Q(insert)
			s? Q(FAIL)
			lost 3
			bereaved=detached
			c?
			s? Q(FAIL)
			s: C(BEGIN) E(3B001;no) Z(E)
			s? Q(insert)
			lost 4
			bereaved=true
			c? LOST Z(E)
			intx=true
			c: P(;rollback)B()E()S
			s? Q(FAIL)
			s: C(BEGIN) E(3B001;no) Z(E)
			s? P(;rollback)B()E()S
			s: 1 2 C(ROLLBACK) Z(I)
			c? 1 2 C(ROLLBACK) Z(I)
			free`},
		{"a server that will not fail", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? C(BEGIN) Z(T) LOST Z(E)
			c: Q(insert)
			s: E(57014;cancelled) Z(I)
			error=the transaction was lost with its server, and another server would not go on from there`},
		{"nothing of a lost block is answered without a server", `
			keep
			c: P(a;select 1)S
			s: 1 Z(I)
			c? 1 Z(I)
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? C(BEGIN) Z(T) LOST Z(E)
			c: Q(deallocate a)
			s? Q(FAIL)
			s: C(BEGIN) E(3B001;no) Z(E)
			s? Q(deallocate a)
			s: E(25P02;aborted) Z(E)
			c? E(25P02;aborted) Z(E)`},
		{"LISTEN in a lost block", `
			keep
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? C(BEGIN) Z(T) LOST Z(E)
			c: Q(listen a)
			s? Q(FAIL)`},
		{"a Parse in a lost block", `
			keep
			c: P(a;select 1)S
			s: 1 Z(I)
			c? 1 Z(I)
			c: Q(begin)
			s: C(BEGIN) Z(T)
			c: Q(insert)
			lost 2
			c? C(BEGIN) Z(T) LOST Z(E)
			c: P(b;select 1)S
			s? Q(FAIL)`},
		{"refused as the server only reads: done elsewhere", `
			keep
			part
			c: Q(insert)
			s: E(25006;read-only)
			c?
			s: S(default_transaction_read_only;on) Z(I)
			withheld=true
			ending=true
			c?
			lost 2
			bereaved=again
			s? Q(insert)
			s: C(INSERT 0 1) Z(I)
			c? C(INSERT 0 1) Z(I)`},
		{"refused as the server only reads, extended", `
			keep
			part
			c: P(a;insert)B(;a)E()S
			s: E(25006;read-only)
			c: Q(select 1)
			need=Turn
			s: S(in_hot_standby;on) Z(I)
			withheld=true
			lost 2
			bereaved=again
			s? P(sluice_0_1;insert)B(;sluice_0_1)E()SQ(select 1)`},
		{"refused for another reason: the client is told", `
			keep
			part
			c: Q(insert)
			s: E(25006;read-only) Z(I)
			withheld=false
			c? E(25006;read-only) Z(I)
			free`},
		{"refused for another reason, extended", `
			keep
			part
			c: P(;insert)B()E()S
			s: E(25006;read-only) Z(I)
			c? E(25006;read-only) Z(I)
			free`},
		{"refused, and the server dies", `
			keep
			part
			c: Q(insert)
			s: E(25006;read-only)
			lost 2
			bereaved=again
			s? Q(insert)`},
		{"refused behind something that was answered", `
			keep
			part
			c: Q(select 1; insert)
			s: T D C(SELECT 1) E(25006;read-only) S(default_transaction_read_only;on) Z(I)
			withheld=false`},
		{"refused in the midst of a procedure, which may have committed before", `
			keep
			part
			c: Q(call p)
			s: E(25006;read-only) S(default_transaction_read_only;on) Z(I)
			withheld=false
			c? E(25006;read-only) S(default_transaction_read_only;on) Z(I)`},
		{"refused in the midst of a procedure, extended", `
			keep
			part
			c: P(;call p)B()E()S
			s: E(25006;read-only)
			withheld=false
			c? E(25006;read-only)
			lost 2
			bereaved=true`},
		{"refused by a server of any kind", `
			keep
			c: Q(insert)
			s: E(25006;read-only)
			c? E(25006;read-only)`},
	} {
		t.Run(x.name, func(t *testing.T) { plays(t, lossWords(x.script)) })
	}
}

package postgres

import "testing"

func TestSimpleQuery(t *testing.T) {
	plays(t, `
		c: Q(select 1)
		s? Q(select 1)
		taken
		busy=owed
		s: T D
		c? T D
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		free
		detach
		# nobody asks a server for this
		c: S H
		s?
		c? Z(I)`)
}

func TestPrepared(t *testing.T) {
	plays(t, `
		c: P(a;select 1) D(S;a) S
		s? P(sluice_0_1;select 1) D(S;sluice_0_1) S
		s: 1 t T Z(I)
		c? 1 t T Z(I)
		c: B(;a) E S
		s? B(;sluice_0_1) E S
		s: 2 D C(SELECT 1) Z(I)
		c? 2 D C(SELECT 1) Z(I)
		detach
		# on another server it is not prepared yet
		host 2
		c: B(;a) E S
		s? P(sluice_0_1;select 1) B(;sluice_0_1) E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 2 D C(SELECT 1) Z(I)
		detach
		# a second client shares it
		client 2
		host 2
		c: P(mine;select 1) B(;mine) E C(S;mine) S
		s? B(;sluice_0_1) E S
		c? 1
		s: 2 D C(SELECT 1)
		c? 2 D C(SELECT 1) 3
		s: Z(I)
		c? Z(I)
		detach
		host 2
		c: B(;mine) E S
		s? B(;mine) E S
		s: E(26000;prepared statement "mine" does not exist) Z(I)
		c? E(26000;prepared statement "mine" does not exist) Z(I)
		free`)
}

// What is told in a server's place goes out with its answer, by one write; without a Sync behind it, at
// once.
func TestInventedWithAnswer(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: C(S;a) P(a;select 1)
		c? 3 1
		c: B(;a) E H
		s? B(;sluice_0_1) E H
		s: 2 D C(SELECT 1)
		c? 2 D C(SELECT 1)
		c: S
		s? S
		s: Z(I)
		c? Z(I)`)
	p := newPlay(t, 0)
	p.run(`
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: C(S;a) P(a;select 1) B(;a) E S
		s? B(;sluice_0_1) E S
		c?
		s: 2 D
		c? 3 1 2 D`)
}

// What a server of the pool has prepared well needs no server to be prepared again, until the schema
// changes.
func TestPreparedWithoutServer(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		client 2
		c: P(b;select 1) S C(S;b) S P(b;select 1) H
		s?
		c? 1 Z(I) 3 Z(I) 1
		c: B(;b) E S
		s? B(;sluice_0_1) E S
		s: 2 C(SELECT 0) Z(I)
		c? 2 C(SELECT 0) Z(I)
		c: Q(drop table t)
		s? Q(drop table t)
		s: C(DROP TABLE) Z(I)
		c? C(DROP TABLE) Z(I)
		detach
		client 3
		host 2
		c: P(c;select 1) S
		s? P(sluice_0_2;select 1) S
		s: E(42P01;no such table) Z(I)
		c? E(42P01;no such table) Z(I)
		c: B(;c) S
		s? B(;c) S`)
}

func TestTransactionKeepsServer(t *testing.T) {
	plays(t, `
		c: Q(begin)
		s? Q(begin)
		s: C(BEGIN) Z(T)
		c? C(BEGIN) Z(T)
		taken
		busy=transaction
		c: Q(bad)
		s? Q(bad)
		s: E(42601;bad) Z(E)
		c? E(42601;bad) Z(E)
		taken
		busy=failed-transaction
		c: Q(rollback)
		s? Q(rollback)
		s: C(ROLLBACK) Z(I)
		c? C(ROLLBACK) Z(I)
		free`)
}

func TestUnnamed(t *testing.T) {
	plays(t, `
		c: P(;select 1) B E S
		s? P(;select 1) B E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		detach
		client 2
		c: P(;select 2) S
		s? P(;select 2) S
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		# the first client's statement is not there any more
		client 1
		c: B E S
		s? P(;select 1) B E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 2 D C(SELECT 1) Z(I)
		# and now it is
		c: P(;select 1) B E S
		s? B E S
		s: 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		# a Query drops it, as a Close does
		c: Q(select 3)
		s? Q(select 3)
		s: T C(SELECT 0) Z(I)
		c? T C(SELECT 0) Z(I)
		c: B E S
		s? B E S
		s: E(26000;unnamed prepared statement does not exist) Z(I)
		c? E(26000;unnamed prepared statement does not exist) Z(I)
		free`)
}

func TestEviction(t *testing.T) {
	plays(t, `
		c: P(a;select 1) P(b;select 2) P(c;select 3) S
		s? P(sluice_0_1;select 1) P(sluice_0_2;select 2) C(S;sluice_0_1) P(sluice_0_3;select 3) S
		s: 1 1 3 1 Z(I)
		c? 1 1 1 Z(I)
		prepared=2
		c: B(;b) B(;a) S
		s? B(;sluice_0_2) C(S;sluice_0_3) P(sluice_0_1;select 1) B(;sluice_0_1) S
		s: 2 3 1 2 Z(I)
		c? 2 2 Z(I)
		# an eviction that the server has skipped is put back
		c: P(;bad) B(;c) S
		s? P(;bad) C(S;sluice_0_2) P(sluice_0_3;select 3) B(;sluice_0_3) S
		s: E(42601;bad) Z(I)
		c? E(42601;bad) Z(I)
		prepared=2
		c: B(;b) S
		s? B(;sluice_0_2) S
		s: 2 Z(I)
		c? 2 Z(I)
		free`)
}

func TestSQLPrepare(t *testing.T) {
	plays(t, `
		c: Q(prepare a as select 1)
		s? Q(prepare sluice_0_1 as select 1)
		s: C(PREPARE) Z(I)
		c? C(PREPARE) Z(I)
		detach
		host 2
		c: Q(execute a)
		s? Q(prepare sluice_0_1 as select 1) Q(execute sluice_0_1)
		s: C(PREPARE) Z(I) T C(SELECT 0) Z(I)
		c? T C(SELECT 0) Z(I)
		detach
		# what was prepared by the protocol can be executed by SQL
		c: P(b;select 2) S
		s? P(sluice_0_2;select 2) S
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		host 1
		c: Q(execute b;)
		s? P(sluice_0_2;select 2) S Q(execute sluice_0_2;)
		s: 1 Z(I) E(22012;division by zero) Z(I)
		c? E(22012;division by zero) Z(I)
		detach
		c: Q(deallocate b)
		s?
		c? C(DEALLOCATE) Z(I)
		c: Q(execute b)
		s? Q(execute b)
		s: E(26000;prepared statement "b" does not exist) Z(I)
		c? E(26000;prepared statement "b" does not exist) Z(I)
		c: Q(prepare a as select 3)
		s? Q(prepare sluice_0_1 as select 3)
		s: E(42P05;prepared statement "sluice_0_1" already exists) Z(I)
		c? E(42P05;prepared statement "a" already exists) Z(I)
		c: Q(deallocate all) Q(execute a)
		c? C(DEALLOCATE ALL) Z(I)
		s? Q(execute a)`)
}

func TestInjectedParseOfExecuteFails(t *testing.T) {
	plays(t, `
		c: P(a;select x from t) S
		s? P(sluice_0_1;select x from t) S
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		host 2
		c: Q(execute a)
		s? P(sluice_0_1;select x from t) S Q(execute sluice_0_1)
		s: E(42P01;no t) Z(I) E(26000;prepared statement "sluice_0_1" does not exist) Z(I)
		c? E(42P01;no t) Z(I)
		prepared=0
		free`)
}

func TestListenAside(t *testing.T) {
	plays(t, `
		c: Q(listen Foo)
		s?
		c? C(LISTEN) Z(I)
		aside=0 foo
		c: Q(unlisten *)
		aside=2
		c? C(UNLISTEN) Z(I)`)
}

func TestAbandon(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"in a query", `
			c: Q(select 1)
			s? Q(select 1)
			abandon
			abandoned=true true
			taken
			s: T D C(SELECT 1) Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			c?
			failed=false
			free`},
		{"in a transaction", `
			c: Q(begin)
			s: C(BEGIN) Z(T)
			s? Q(begin)
			c? C(BEGIN) Z(T)
			abandon
			abandoned=false true
			s? Q(ROLLBACK)
			s: C(ROLLBACK) Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			free`},
		{"in a batch", `
			c: P(a;select 1) B(;a)
			s? P(sluice_0_1;select 1) B(;sluice_0_1)
			abandon
			s? P(;the client has gone before its Sync) S
			s: 1 2 E(42601;syntax) Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			prepared=0
			free`},
		{"in a batch that fails meanwhile", `
			c: P(a;select 1) B(;a)
			s? P(sluice_0_1;select 1) B(;sluice_0_1)
			abandon
			s? P(;the client has gone before its Sync) S
			s: E(42601;bad) Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			free`},
		{"in a COPY", `
			c: Q(copy t from stdin) d(1)
			s? Q(copy t from stdin) d(1)
			s: G
			c? G
			abandon
			s? f(the client has gone) S
			s: E(57014;gone) Z(I) Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			free`},
		{"before a COPY", `
			c: Q(copy t from stdin)
			s? Q(copy t from stdin)
			abandon
			s: G
			s? f(the client has gone) S
			s: E(57014;gone) Z(I) Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			free`},
		{"behind an error", `
			c: P(;bad) B
			s? P(;bad) B
			s: E(42601;bad)
			c? E(42601;bad)
			abandon
			s? S
			s: Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			free`},
	} {
		t.Run(c.name, func(t *testing.T) { plays(t, c.script) })
	}
}

func TestSingleStatements(t *testing.T) {
	plays(t, `
		unit statement
		c: Q(select 1)
		s? Q(select 1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		c: Q(/* now */ begin)
		s?
		error=transaction blocks are not allowed here: each statement may run on another server connection`)
	plays(t, `
		unit statement
		c: P(;begin) B E S
		s? P(;begin) B E S
		s: 1 2 C(BEGIN) Z(T)
		c? 1 2 C(BEGIN) Z(T)
		taken
		c: S
		error=transaction blocks are not allowed here: each statement may run on another server connection`)
}

func TestLasting(t *testing.T) {
	plays(t, `
		unit session
		c: P(a;select 1) B(;a) E S Q(prepare b as select 1) Q(set x.y to 1)
		s? P(a;select 1) B(;a) E S Q(prepare b as select 1) Q(set x.y to 1)
		s: 1 2 C(SELECT 1) Z(I) C(PREPARE) Z(I)
		c? 1 2 C(SELECT 1) Z(I) C(PREPARE) Z(I)
		taken
		s: C(SET) Z(I)
		c? C(SET) Z(I)
		s?
		pin=
		free`)
}

// currval speaks of what the session did before: a host that others have had must not answer.
func TestCurrval(t *testing.T) {
	plays(t, `
		client 2
		c: Q(select 1)
		s? Q(select 1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		detach
		client 1
		c: Q(select currval('s'))
		s? Q(DISCARD SEQUENCES) Q(select currval('s'))
		s: C(DISCARD SEQUENCES) Z(I) E(55000;currval of sequence "s" is not yet defined in this session) Z(I)
		c? E(55000;currval of sequence "s" is not yet defined in this session) Z(I)
		pin=currval
		taken
		c: Q(discard sequences)
		s? Q(discard sequences)
		s: C(DISCARD SEQUENCES) Z(I)
		c? C(DISCARD SEQUENCES) Z(I)
		pin=`)
}

// Drivers send DEALLOCATE and EXECUTE by the extended protocol as well.
func TestCommandsByParse(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: P(;execute a) B E S
		s? P(;execute sluice_0_1) B E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		c: P(;deallocate a) B E S
		s? P(;deallocate sluice_0_1) B E S
		s: 1 2 C(DEALLOCATE) Z(I)
		c? 1 2 C(DEALLOCATE) Z(I)
		busy=owed`)
}

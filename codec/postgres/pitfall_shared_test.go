package postgres

import "testing"

// The tests here are named by the traps of sharing server connections that others have fallen into.

// Several batches in one read: the server is given back when all their ReadyForQuery have come.
func TestPitfall01PipelinedSync(t *testing.T) {
	plays(t, `
		c: P(;select 1) B E S P(;select 2) B E S
		s? P(;select 1) B E S P(;select 2) B E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		taken
		s: 1 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		free`)
}

// Flush has no answer, and has to be passed on.
func TestPitfall02Flush(t *testing.T) {
	plays(t, `
		c: P(a;select 1) D(S;a) H
		s? P(sluice_0_1;select 1) D(S;sluice_0_1) H
		s: 1 t T
		c? 1 t T
		taken
		c: S
		s? S
		s: Z(I)
		c? Z(I)
		free`)
}

// Behind an error everything is skipped up to the Sync, what is injected and invented too.
func TestPitfall03And04Skipped(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: P(;bad) P(b;select 1) B(;a) C(S;a) S
		s? P(;bad) B(;sluice_0_1) S
		s: E(42601;bad) Z(I)
		c? E(42601;bad) Z(I)
		free
		# what comes behind the error and before the Sync is nobody's
		c: P(;bad) B
		s? P(;bad) B
		s: E(42601;bad)
		c? E(42601;bad)
		c: P(c;select 3) B(;c) Q(select 4)
		s?
		taken
		c: S
		s? S
		s: Z(I)
		c? Z(I)
		free
		# a was closed in vain, b never made
		c: B(;a) S B(;b) S
		s? B(;sluice_0_1) S B(;b) S`)
}

// An invented ParseComplete stands where the server's would.
func TestPitfall05InventedInPlace(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: P(b;select 2) B(;b) E P(c;select 1) B(;c) E S
		s? P(sluice_0_2;select 2) B(;sluice_0_2) E B(;sluice_0_1) E S
		c?
		s: 1 2
		c? 1 2
		s: D C(SELECT 1)
		c? D C(SELECT 1) 1
		s: 2 D C(SELECT 1) Z(I)
		c? 2 D C(SELECT 1) Z(I)`)
}

// An injected Parse that fails is told in the Bind's place, once, and the statement is not kept.
func TestPitfall06And07InjectedParseFails(t *testing.T) {
	plays(t, `
		c: P(a;select x from t) S
		s? P(sluice_0_1;select x from t) S
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		host 2
		c: B(;a) E S
		s? P(sluice_0_1;select x from t) B(;sluice_0_1) E S
		s: E(42P01;no t) Z(I)
		c? E(42P01;no t) Z(I)
		prepared=0
		c: B(;a) E S
		s? P(sluice_0_1;select x from t) B(;sluice_0_1) E S
		s: 1 2 C(SELECT 0) Z(I)
		c? 2 C(SELECT 0) Z(I)
		free`)
}

// The unnamed statement is each client's own, though the server has but one.
func TestPitfall08UnnamedOfAnother(t *testing.T) {
	plays(t, `
		c: P(;select 1) S
		s? P(;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		client 2
		c: B E S
		s? C(S;) B E S
		s: 3 E(26000;unnamed prepared statement does not exist) Z(I)
		c? E(26000;unnamed prepared statement does not exist) Z(I)
		free`)
}

// A portal with rows left keeps the server while its transaction is open.
func TestPitfall09PortalSuspended(t *testing.T) {
	plays(t, `
		c: Q(begin)
		s: C(BEGIN) Z(T)
		s? Q(begin)
		c? C(BEGIN) Z(T)
		c: P(;select 1) B(p) E(p) S
		s? P(;select 1) B(p) E(p) S
		s: 1 2 D s Z(T)
		c? 1 2 D s Z(T)
		taken
		c: E(p) C(P;p) S
		s? E(p) C(P;p) S
		s: D C(SELECT 1) 3 Z(T)
		c? D C(SELECT 1) 3 Z(T)
		taken`)
}

// A name that is taken stays what it is, and the server says so.
func TestPitfall11NameTaken(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: P(a;select 2) S
		s? C(S;sluice_nothing) P(sluice_nothing) P(sluice_nothing;select 2) S
		s: 3 1 E(42P05;prepared statement "sluice_nothing" already exists) Z(I)
		c? E(42P05;prepared statement "a" already exists) Z(I)
		c: B(;a) S
		s? B(;sluice_0_1) S`)
}

// A plan that does not fit the schema any more is made anew, and the client hears nothing of it.
func TestPitfall12CachedPlan(t *testing.T) {
	plays(t, `
		c: P(a;select * from t) S
		s? P(sluice_0_1;select * from t) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: B(;a) D(P;) E S
		s? B(;sluice_0_1) D(P;) E S
		s: E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)
		c?
		s? P(sluice_0_2;select * from t) B(;sluice_0_2) D(P;) E S
		s: 1 2 T C(SELECT 0) Z(I)
		c? 2 T C(SELECT 0) Z(I)
		free
		# without a Describe the client would read the rows by the old shape
		c: B(;a) E S
		s? B(;sluice_0_2) E S
		s: E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)
		c? E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)
		s?
		# nor later: it has to prepare it again
		c: B(;a) E S
		s? B(;sluice_0_2) E S
		s: E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)
		c? E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)
		c: P(b;select * from t) B(;b) E S
		s? C(S;sluice_0_1) P(sluice_0_3;select * from t) B(;sluice_0_3) E S`)
}

// A change of the schema that a host's own client makes: who prepares a statement behind it gets it as
// it is now, and who has prepared it before hears from the server what has become of it.
func TestPitfall12SchemaChanged(t *testing.T) {
	plays(t, `
		c: P(a;select * from t) S P(;select * from t) B E S
		s? P(sluice_0_1;select * from t) S P(;select * from t) B E S
		s: 1 Z(I) 1 2 C(SELECT 0) Z(I)
		c? 1 Z(I) 1 2 C(SELECT 0) Z(I)
		detach
		client 2
		c: P(;alter table t add b int) B E S
		s? P(;alter table t add b int) B E S
		s: 1 2 C(ALTER TABLE) Z(I)
		c? 1 2 C(ALTER TABLE) Z(I)
		altered=true
		altered=false
		c: P(x;select * from t) B(;x) E S
		s? P(sluice_0_3;select * from t) B(;sluice_0_3) E S
		s: 1 2 C(SELECT 0) Z(I)
		c? 1 2 C(SELECT 0) Z(I)
		detach
		client 1
		c: B(;a) E S
		s? B(;sluice_0_1) E S
		s: E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)
		c? E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)
		c: C(S;a) P(a;select * from t) B(;a) E S
		s? B(;sluice_0_3) E S
		s: 2 C(SELECT 0) Z(I)
		c? 3 1 2 C(SELECT 0) Z(I)`)
}

// A change of the schema on another host is heard of by Forget.
func TestPitfall12Forget(t *testing.T) {
	plays(t, `
		c: P(a;select * from t) S
		s? P(sluice_0_1;select * from t) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: P(;select 1) B E S
		s? P(;select 1) B E S
		s: 1 2 C(SELECT 1) Z(I)
		c? 1 2 C(SELECT 1) Z(I)
		detach
		forget
		c: B(;a) E S P(b;select * from t) S B E S P(;select 1) S
		s? B(;sluice_0_1) E S P(sluice_0_3;select * from t) S B E S P(;select 1) S`)
}

// The same text with other types is another statement.
func TestPitfall13TypesDiffer(t *testing.T) {
	p := newPlay(t, 0)
	p.onHost("1")
	p.onClient("1")
	p.send("", []byte(message('P', "a\x00select $1\x00\x00\x00")))
	p.send("", []byte(message('P', "b\x00select $1\x00\x00\x01\x00\x00\x00\x17")))
	if n, _ := p.shelf.Statements(); n != 2 {
		t.Errorf("%d statements", n)
	}
}

// A failed transaction stays on its server.
func TestPitfall16FailedTransaction(t *testing.T) {
	plays(t, `
		c: Q(begin; bad)
		s? Q(begin; bad)
		s: C(BEGIN) E(42601;bad) Z(E)
		c? C(BEGIN) E(42601;bad) Z(E)
		taken
		busy=failed-transaction`)
}

// What an idle server reports is told to the client that gets it next.
func TestPitfall19StatusAtIdle(t *testing.T) {
	plays(t, `
		c: Q(select 1)
		s? Q(select 1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		detach
		s: S(in_hot_standby;on)
		c?
		c: Q(select 1)
		c? S(in_hot_standby;on)
		s? Q(select 1)`)
}

// An idle server that says farewell is not handed out.
func TestPitfall20FatalAtIdle(t *testing.T) {
	plays(t, `
		s: N(00000;hello;NOTICE)
		free
		s: E(57P01;terminating connection;FATAL)
		c?
		ending=true
		taken`)
}

// A COPY that fails: what the client still sends is thrown away.
func TestPitfall22CopyFails(t *testing.T) {
	plays(t, `
		c: Q(copy t from stdin)
		s? Q(copy t from stdin)
		s: G
		c? G
		c: d(1)
		s? d(1)
		s: E(22P02;bad) Z(I)
		c? E(22P02;bad) Z(I)
		free
		c: d(2) c
		s?
		free`)
}

// A Sync in front of the end of COPY data is not answered.
func TestPitfall24SyncInsideCopy(t *testing.T) {
	plays(t, `
		c: P(;copy t from stdin) B E S
		s? P(;copy t from stdin) B E S
		s: 1 2 G
		c? 1 2 G
		busy=copy
		c: d(1) c S
		s? d(1) c S
		taken
		s: C(COPY 1) Z(I)
		c? C(COPY 1) Z(I)
		free`)
}

// FunctionCall has its ReadyForQuery without a Sync.
func TestPitfall27FunctionCall(t *testing.T) {
	plays(t, `
		c: F
		s? F
		taken
		s: V Z(I)
		c? V Z(I)
		free`)
}

// A Query of several statements has one ReadyForQuery.
func TestPitfall28SeveralStatements(t *testing.T) {
	plays(t, `
		c: Q(select 1; select 2) Q()
		s? Q(select 1; select 2) Q()
		s: T D C(SELECT 1) T D C(SELECT 1)
		taken
		s: Z(I)
		taken
		c? T D C(SELECT 1) T D C(SELECT 1) Z(I)
		s: I Z(I)
		c? I Z(I)
		free`)
}

// A query that was cancelled leaves its transaction where it is.
func TestPitfall43CancelKeepsTransaction(t *testing.T) {
	plays(t, `
		c: Q(begin)
		s? Q(begin)
		s: C(BEGIN) Z(T)
		c? C(BEGIN) Z(T)
		c: Q(select pg_sleep(9))
		s? Q(select pg_sleep(9))
		s: E(57014;canceling statement due to user request) Z(E)
		c? E(57014;canceling statement due to user request) Z(E)
		taken`)
}

package postgres

import "testing"

// In a transaction that has failed a server prepares nothing, so a statement that it lacks is refused as
// if it had it; but for what ends the transaction, which is prepared and run.
func TestFailedTransactionOnAnotherServer(t *testing.T) {
	plays(t, `
		c: P(a;select 1) P(r;/* back */ rollback) S
		s? P(sluice_0_1;select 1) P(sluice_0_2;/* back */ rollback) S
		s: 1 1 Z(I)
		c? 1 1 Z(I)
		detach
		host 2
		c: Q(begin; bad)
		s? Q(begin; bad)
		s: C(BEGIN) E(42601;bad) Z(E)
		c? C(BEGIN) E(42601;bad) Z(E)
		c: B(;a;with parameters) E S
		s? C(S;sluice_nothing) P(sluice_nothing) B(;sluice_nothing) E S
		s: 3 1 E(25P02;current transaction is aborted) Z(E)
		c? E(25P02;current transaction is aborted) Z(E)
		prepared=0
		c: B(;r) E S
		s? P(sluice_0_2;/* back */ rollback) B(;sluice_0_2) E S
		s: 1 2 C(ROLLBACK) Z(I)
		c? 2 C(ROLLBACK) Z(I)
		free
		# behind something else it can't be told whether the transaction is still a failed one
		c: Q(begin; bad)
		s? Q(begin; bad)
		s: C(BEGIN) E(42601;bad) Z(E)
		c? C(BEGIN) E(42601;bad) Z(E)
		c: B(;r) E B(;a) E S
		s? B(;sluice_0_2) E P(sluice_0_1;select 1) B(;sluice_0_1) E S
		s: 2 C(ROLLBACK) 1 2 C(SELECT 1) Z(I)
		c? 2 C(ROLLBACK) 2 C(SELECT 1) Z(I)
		c: B(;a) E S
		s? B(;sluice_0_1) E S`)
}

// The unnamed statement of another client is dropped in front of a Bind; if that is skipped, behind an
// error, it is done again for the next batch, which may have been sent already.
func TestUnnamedDroppedInVain(t *testing.T) {
	plays(t, `
		c: P(;select 1) S
		s? P(;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		client 2
		c: B(p;none) D(S;) S B E S
		s? B(p;none) C(S;) D(S;) S C(S;) B E S
		s: E(26000;no such statement) Z(I) 3 E(26000;unnamed prepared statement does not exist) Z(I)
		c? E(26000;no such statement) Z(I) E(26000;unnamed prepared statement does not exist) Z(I)
		free`)
}

package postgres

import "testing"

// A batch that failed is no other client's: what is run again is the batch that was told of the change,
// or nothing.
func TestCureRunsNothingElseAgain(t *testing.T) {
	const changed = "E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)"
	t.Run("of another client", func(t *testing.T) {
		plays(t, `
			c: P(a;select * from t) S
			s? P(sluice_0_1;select * from t) S
			s: 1 Z(I)
			c? 1 Z(I)
			c: B(;a;wrong) D(P;) E S
			s? B(;sluice_0_1;wrong) D(P;) E S
			s: E(22P02;invalid input) Z(I)
			c? E(22P02;invalid input) Z(I)
			detach
			client 2
			c: P(b;select * from t) B(;b) E S
			s? B(;sluice_0_1) E S
			c? 1
			s: `+changed+`
			c? `+changed+`
			s?`)
	})
	t.Run("of a client that has gone", func(t *testing.T) {
		plays(t, `
			c: P(a;select * from t) S
			s? P(sluice_0_1;select * from t) S
			s: 1 Z(I)
			c? 1 Z(I)
			c: B(;a;1) D(P;) E
			s? B(;sluice_0_1;1) D(P;) E
			abandon
			s? P(;the client has gone before its Sync) S
			s: E(22P02;invalid input) Z(I)
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			detach
			client 2
			c: P(b;select * from t) B(;b;2) E S
			s? P(sluice_0_1;select * from t) B(;sluice_0_1;2) E S
			c? 1
			s: 1 `+changed+`
			c? `+changed+`
			s?`)
	})
	t.Run("before a Query", func(t *testing.T) {
		plays(t, `
			c: P(a;select * from t) S
			s? P(sluice_0_1;select * from t) S
			s: 1 Z(I)
			c? 1 Z(I)
			c: B(;a;wrong) D(P;) E S
			s? B(;sluice_0_1;wrong) D(P;) E S
			s: E(22P02;invalid input) Z(I)
			c? E(22P02;invalid input) Z(I)
			c: Q(execute a) S
			s? Q(execute sluice_0_1) S
			s: `+changed+`
			c? `+changed+`
			s?
			s: Z(I)
			c? Z(I)
			free`)
	})
}

package postgres

import (
	"strings"
	"testing"
)

// A statement that is too long to be shared binds the session to its host, by the client's own name,
// for as long as the client has it.
func TestLongStatement(t *testing.T) {
	plays(t, `
		unit short
		c: P(a;select 1) S
		s? P(a;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		pin=large-statement
		taken
		c: B(;a) E S
		s? B(;a) E S
		s: 2 D C(SELECT 1) Z(I)
		c? 2 D C(SELECT 1) Z(I)
		# its name is taken, for a short one as well
		c: P(a;ok) S
		s? P(a;ok) S
		s: E(42P05;prepared statement "a" already exists) Z(I)
		c? E(42P05;prepared statement "a" already exists) Z(I)
		pin=large-statement
		# a Close that the server skips does not close it
		c: P(;x) C(S;a) S
		s? P(;x) C(S;a) S
		s: E(42601;x) Z(I)
		c? E(42601;x) Z(I)
		pin=large-statement
		c: C(S;a) S
		s? C(S;a) S
		s: 3 Z(I)
		c? 3 Z(I)
		pin=
		free`)
}

// Nor does one stay that its server did not take, or that SQL has dropped.
func TestLongStatementEnds(t *testing.T) {
	plays(t, `
		unit short
		c: P(a;nonsense) S
		s? P(a;nonsense) S
		s: E(42601;syntax error) Z(I)
		c? E(42601;syntax error) Z(I)
		pin=
		c: P(a;select 1) P(b;select 2) S
		s? P(a;select 1) P(b;select 2) S
		s: 1 1 Z(I)
		c? 1 1 Z(I)
		c: Q(deallocate a)
		s? Q(deallocate a)
		s: C(DEALLOCATE) Z(I)
		c? C(DEALLOCATE) Z(I)
		s~ pg_prepared_statements
		s: C(SELECT 0) Z(I)
		pin=large-statement
		c: Q(deallocate all)
		s? Q(deallocate all)
		s: C(DEALLOCATE ALL) Z(I)
		c? C(DEALLOCATE ALL) Z(I)
		s~ pg_prepared_statements
		s: C(SELECT 0) Z(I)
		pin=
		free`)
}

// The name of a shared statement can't be taken by one that is not.
func TestLongStatementTaken(t *testing.T) {
	plays(t, `
		unit short
		c: P(a;ok) S
		s? P(sluice_0_1;ok) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: P(a;select 1) S
		s? C(S;sluice_nothing) P(sluice_nothing) P(sluice_nothing;select 1) S
		s: 3 1 E(42P05;prepared statement "sluice_nothing" already exists) Z(I)
		c? E(42P05;prepared statement "a" already exists) Z(I)
		free`)
}

// What such a statement does to the session counts each time that it is run.
func TestLongStatementSets(t *testing.T) {
	plays(t, `
		unit short
		c: P(a;select set_config('work_mem', '1MB', false)) S
		s? P(a;select set_config('work_mem', '1MB', false)) S
		s: 1 Z(I)
		c? 1 Z(I)
		s?
		c: B(;a) E S
		s? B(;a) E S
		s: 2 D C(SELECT 1) Z(I)
		c? 2 D C(SELECT 1) Z(I)
		s~ pg_settings
		s: D(S;work_mem;1MB) C(SELECT 1) Z(I)
		c: B(;a) E S
		s? B(;a) E S
		s: 2 D C(SELECT 1) Z(I)
		c? 2 D C(SELECT 1) Z(I)
		s~ pg_settings`)
}

// When its client goes, the server must not keep it: the next client may have the same name for another.
func TestLongStatementAbandoned(t *testing.T) {
	plays(t, `
		unit short
		c: P(a;select 1) S
		s? P(a;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		abandon
		s? Q(DISCARD ALL)
		taken
		s: C(DISCARD ALL) Z(I)
		free`)
}

// Where no statements are shared, each one stands for itself.
func TestNoneShared(t *testing.T) {
	plays(t, `
		prepared-max 0
		c: P(a;select 1) B(;a) E S
		s? P(a;select 1) B(;a) E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		pin=large-statement
		c: C(S;a) S
		s? C(S;a) S
		s: 3 Z(I)
		c? 3 Z(I)
		free`)
}

// Of a statement's name, 63 bytes count.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("n", 63)
	plays(t, strings.ReplaceAll(`
		c: P(LONGer;select 1) B(;LONGest) E S
		s? P(sluice_0_1;select 1) B(;sluice_0_1) E S
		s: 1 2 D C(SELECT 1) Z(I)
		c? 1 2 D C(SELECT 1) Z(I)
		c: P(LONGish;select 2) S
		s? C(S;sluice_nothing) P(sluice_nothing) P(sluice_nothing;select 2) S
		s: 3 1 E(42P05;prepared statement "sluice_nothing" already exists) Z(I)
		c? E(42P05;prepared statement "LONGish" already exists) Z(I)
		c: C(S;LONG) B(;LONGer) S
		s? B(;LONGer) S
		s: E(26000;no such statement) Z(I)
		c? 3 E(26000;no such statement) Z(I)`, "LONG", long))
}

// EXECUTE and DEALLOCATE by Parse leave the client its statement if they come to nothing.
func TestCommandsByParseFail(t *testing.T) {
	plays(t, `
		c: P(a;select 1) S
		s? P(sluice_0_1;select 1) S
		s: 1 Z(I)
		c? 1 Z(I)
		c: P(;execute a(1)) B E S
		s? P(;execute sluice_0_1(1)) B E S
		s: E(42601;wrong number of parameters) Z(I)
		c? E(42601;wrong number of parameters) Z(I)
		c: P(;bad) P(;deallocate a) B E S
		s? P(;bad) P(;deallocate sluice_0_1) B E S
		s: E(42601;bad) Z(I)
		c? E(42601;bad) Z(I)
		c: B(;a) E S
		s? B(;sluice_0_1) E S`)
}

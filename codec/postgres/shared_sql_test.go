package postgres

import "testing"

// What a statement does to the session counts when it is run, whichever way it was prepared and is run.
func TestExecuteSets(t *testing.T) {
	t.Run("prepared by SQL", func(t *testing.T) {
		plays(t, `
			c: Q(prepare a as select set_config('app.id', '1', false))
			s? Q(prepare sluice_0_1 as select set_config('app.id', '1', false))
			s: C(PREPARE) Z(I)
			c? C(PREPARE) Z(I)
			detach
			c: Q(execute a)
			s? Q(execute sluice_0_1)
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			s~ current_setting('app.id',true)
			taken`)
	})
	t.Run("prepared by Parse", func(t *testing.T) {
		plays(t, `
			c: P(a;select set_config('app.id', '1', false)) S
			s? P(sluice_0_1;select set_config('app.id', '1', false)) S
			s: 1 Z(I)
			c? 1 Z(I)
			c: Q(execute a)
			s? Q(execute sluice_0_1)
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			s~ current_setting('app.id',true)
			taken`)
	})
	t.Run("by Parse", func(t *testing.T) {
		plays(t, `
			c: P(a;select set_config('app.id', '1', false)) S
			s? P(sluice_0_1;select set_config('app.id', '1', false)) S
			s: 1 Z(I)
			c? 1 Z(I)
			c: P(;execute a) B E S
			s? P(;execute sluice_0_1) B E S
			s: 1 2 C(SELECT 1) Z(I)
			c? 1 2 C(SELECT 1) Z(I)
			s~ current_setting('app.id',true)
			taken`)
	})
	t.Run("by a parameter", func(t *testing.T) {
		plays(t, `
			c: Q(prepare a as select set_config($1, '1', false))
			s? Q(prepare sluice_0_1 as select set_config($1, '1', false))
			s: C(PREPARE) Z(I)
			c? C(PREPARE) Z(I)
			c: Q(execute a('app.id'))
			s? Q(execute sluice_0_1('app.id'))
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			s~ pg_settings
			s: D(R;;none) D(U;;joe) C(SELECT 2) Z(I)
			pin=settings`)
	})
	t.Run("a lock", func(t *testing.T) {
		plays(t, `
			c: Q(prepare a as select pg_advisory_lock(1))
			s? Q(prepare sluice_0_1 as select pg_advisory_lock(1))
			s: C(PREPARE) Z(I)
			c? C(PREPARE) Z(I)
			c: Q(execute a)
			s? Q(execute sluice_0_1)
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			s~ advisory
			s: D(L) C(SELECT 1) Z(I)
			pin=advisory-lock`)
	})
	t.Run("the past of sequences", func(t *testing.T) {
		plays(t, `
			client 2
			c: Q(select 1)
			s? Q(select 1)
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			detach
			client 1
			c: Q(prepare a as select lastval())
			s? Q(prepare sluice_0_1 as select lastval())
			s: C(PREPARE) Z(I)
			c? C(PREPARE) Z(I)
			detach
			c: Q(execute a)
			s? Q(DISCARD SEQUENCES)
			s: C(DISCARD SEQUENCES) Z(I)
			s? Q(execute sluice_0_1)`)
	})
}

// A PREPARE that a server refuses leaves nothing behind that the next one would meet.
func TestPrepareInGroupFails(t *testing.T) {
	plays(t, `
		c: Q(prepare a as select 1)
		s? Q(prepare sluice_0_1 as select 1)
		s: C(PREPARE) Z(I)
		c? C(PREPARE) Z(I)
		detach
		host 2
		c: B(;a) E S
		s? C(S;sluice_prepare) P(sluice_prepare;prepare sluice_0_1 as select 1) B(sluice_prepare;sluice_prepare) E(sluice_prepare) C(P;sluice_prepare) B(;sluice_0_1) E S
		s: 3 1 2 E(42P01;no t) Z(I)
		c? E(42P01;no t) Z(I)
		prepared=0
		c: B(;a) E S
		s? C(S;sluice_prepare) P(sluice_prepare;prepare sluice_0_1 as select 1) B(sluice_prepare;sluice_prepare) E(sluice_prepare) C(P;sluice_prepare) B(;sluice_0_1) E S
		s: 3 1 2 C(PREPARE) 3 2 C(SELECT 1) Z(I)
		c? 2 C(SELECT 1) Z(I)
		free`)
}

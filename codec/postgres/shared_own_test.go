package postgres

import "testing"

// What Sluice itself asks of a server between two clients.

func TestReset(t *testing.T) {
	const dressed = `
		login search_path=mine
		s: T D C(SELECT 1) Z(I)
		s: T D(S;search_path;mine) D(R;;none) D(U;;joe) C(SELECT 3) Z(I)
		c: P(a;select 1) S
		s~ P
		s: 1 Z(I)
		c? 1 Z(I)
		detach
		`
	t.Run("wipes all", func(t *testing.T) {
		plays(t, dressed+`
			reset DISCARD ALL
			s? Q(DISCARD ALL)
			taken
			s: C(DISCARD ALL) Z(I)
			free
			failed=false
			c: B(;a) E S
			s~ set_config('search_path','mine',false)
			need=Turn
			s: T D C(SELECT 1) Z(I)
			s? C(S;sluice_0_1) P(sluice_0_1;select 1) B(;sluice_0_1) E S
			s: 3 1 2 C(SELECT 1) Z(I)
			c? 2 C(SELECT 1) Z(I)
			free`)
	})
	// A statement that leaves the settings as they are must not hide them from the next client.
	t.Run("wipes no settings", func(t *testing.T) {
		plays(t, dressed+`
			reset CLOSE ALL; DEALLOCATE ALL
			s? Q(CLOSE ALL; DEALLOCATE ALL)
			s: C(CLOSE CURSOR ALL) C(DEALLOCATE ALL) Z(I)
			free
			client 2
			c: Q(show search_path)
			s~ set_config('search_path',NULL,false)
			s: T D C(SELECT 1) Z(I)
			s? Q(show search_path)`)
	})
	t.Run("wipes settings among other things", func(t *testing.T) {
		plays(t, dressed+`
			reset SELECT 1; /* and */ reset all
			s? Q(SELECT 1; /* and */ reset all)
			s: C(SELECT 1) C(RESET) Z(I)
			client 2
			c: Q(show search_path)
			s? Q(show search_path)`)
	})
	t.Run("fails", func(t *testing.T) {
		plays(t, `
			reset DISCARD EVERYTHING
			s? Q(DISCARD EVERYTHING)
			s: E(42601;syntax error) Z(I)
			failed=true
			taken
			c?`)
	})
}

func TestCheck(t *testing.T) {
	plays(t, `
		check select 1
		s? Q(select 1)
		taken
		s: N(00000;be quick;NOTICE) S(TimeZone;Europe/Rome) T D C(SELECT 1)
		taken
		s: Z(I)
		c?
		free
		failed=false
		# what was heard meanwhile is told to the next client
		c: Q(show TimeZone)
		c? S(TimeZone;Europe/Rome)
		s? Q(show TimeZone)
		s: T D C(SHOW) Z(I)
		c? T D C(SHOW) Z(I)
		detach
		check
		s? Q()
		s: I Z(I)
		free
		check select 1
		s? Q(select 1)
		s: E(57P01;terminating connection;FATAL)
		ending=true
		taken
		c?`)
	plays(t, `
		check select is_writable()
		s? Q(select is_writable())
		s: E(42883;no such function) Z(I)
		failed=true
		taken`)
}

// The time-out of the client before must not end the session of the next one.
func TestSettingsCutShort(t *testing.T) {
	const cut = "E(57014;canceling statement due to statement timeout) Z(I)"
	t.Run("once", func(t *testing.T) {
		plays(t, `
			login statement_timeout=1;search_path=a
			s: T D C(SELECT 1) Z(I)
			s: T D(S;search_path;a) D(S;statement_timeout;1) D(R;;none) D(U;;joe) C(SELECT 4) Z(I)
			detach
			s~ set_config
			client 2
			c: Q(select 1)
			s~ set_config('search_path',NULL,false),pg_catalog.set_config('statement_timeout',NULL,false)
			s: `+cut+`
			s? Q(SELECT pg_catalog.set_config('statement_timeout','0',false))
			need=Turn
			taken
			s: T D C(SELECT 1) Z(I)
			s~ set_config('search_path',NULL,false),pg_catalog.set_config('statement_timeout',NULL,false)
			s: T D C(SELECT 1) Z(I)
			c?
			s? Q(select 1)
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			free`)
	})
	t.Run("again and again", func(t *testing.T) {
		plays(t, `
			login statement_timeout=1;search_path=a
			s: T D C(SELECT 1) Z(I)
			s: T D(S;search_path;a) D(S;statement_timeout;1) D(R;;none) D(U;;joe) C(SELECT 4) Z(I)
			detach
			client 2
			c: Q(select 1)
			s: `+cut+`
			s: `+cut+`
			s: `+cut+`
			s: `+cut+`
			error=the session's settings were refused by the server
			free`)
	})
}

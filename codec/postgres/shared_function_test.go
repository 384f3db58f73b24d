package postgres

import "testing"

// What a function does to the session counts though it is called without a statement.
func TestFunctionCallIsLookedAt(t *testing.T) {
	call := func(oid, behind string) {
		t.Run(oid, func(t *testing.T) {
			plays(t, `
				c: F(`+oid+`)
				s? F(`+oid+`)
				s: V Z(I)
				c? V Z(I)
				`+behind)
		})
	}
	call("2880", `
				s~ advisory
				taken
				s: D(L;;) C(SELECT 1) Z(I)
				pin=advisory-lock`)
	call("2078", `
				s~ pg_settings
				s: D(R;;none) D(U;;joe) C(SELECT 2) Z(I)
				pin=settings`)
	call("16384", `
				s~ pg_listening_channels
				taken`)
	// lo_open ends with its transaction.
	call("952", "free")
}

// currval, called so, has to be asked of the server that was used last.
func TestFunctionCallOfSequence(t *testing.T) {
	plays(t, `
		client 2
		c: Q(select 1)
		s? Q(select 1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		detach
		client 1
		c: F(2559)
		s? Q(DISCARD SEQUENCES) F(2559)
		s: C(DISCARD SEQUENCES) Z(I) E(55000;lastval is not yet defined in this session) Z(I)
		c? E(55000;lastval is not yet defined in this session) Z(I)
		pin=currval`)
}

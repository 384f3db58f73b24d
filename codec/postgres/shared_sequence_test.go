package postgres

import "testing"

// currval and lastval tell of the client's own doing, or the server says that there was none: what a
// stranger has drawn on the same server connection is not told, by whichever protocol it is asked for.
func TestSequencesOfStrangers(t *testing.T) {
	const stranger = `
		client 2
		c: Q(insert into t values (1))
		s? Q(insert into t values (1))
		s: C(INSERT 0 1) Z(I)
		c? C(INSERT 0 1) Z(I)
		detach
		client 1
		`
	const discard = "C(S;sluice_prepare) P(sluice_prepare;DISCARD SEQUENCES) B(sluice_prepare;sluice_prepare) E(sluice_prepare) C(P;sluice_prepare)"
	for _, c := range []struct{ name, script string }{
		{"behind a read of the client", stranger + `
			c: Q(select 1)
			s? Q(select 1)
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			c: Q(select lastval())
			s? Q(DISCARD SEQUENCES) Q(select lastval())`},
		{"in a group", stranger + `
			c: P(;select lastval()) B E S
			s? P(;select lastval()) ` + discard + ` B E S
			s: 1 3 1 2 C(DISCARD SEQUENCES) 3 E(55000;lastval is not yet defined in this session) Z(I)
			c? 1 E(55000;lastval is not yet defined in this session) Z(I)
			pin=currval`},
		{"behind an answer that is awaited", stranger + `
			c: Q(begin) Q(select lastval())
			s? Q(begin)
			need=Turn
			s: C(BEGIN) Z(T)
			c? C(BEGIN) Z(T)
			s? Q(DISCARD SEQUENCES) Q(select lastval())`},
		{"of the client's own, by Query", stranger + `
			c: Q(insert into t values (2))
			s? Q(insert into t values (2))
			s: C(INSERT 0 1) Z(I)
			c? C(INSERT 0 1) Z(I)
			detach
			c: Q(select lastval())
			s? Q(select lastval())`},
		{"of the client's own, in one pipeline", stranger + `
			c: Q(insert into t values (2)) Q(select lastval())
			s? Q(insert into t values (2))
			s: C(INSERT 0 1) Z(I)
			c? C(INSERT 0 1) Z(I)
			s? Q(select lastval())`},
		{"of the client's own, in one group", stranger + `
			c: P(;insert into t values (2)) B E P(;select lastval()) B E S
			s? P(;insert into t values (2)) B E P(;select lastval()) B E S`},
		{"of the client's own, by nextval", stranger + `
			c: Q(select nextval('s'))
			s? Q(select nextval('s'))
			s: C(SELECT 1) Z(I)
			c? C(SELECT 1) Z(I)
			detach
			c: P(;select currval('s')) B E S
			s? P(;select currval('s')) B E S`},
		{"where nobody has been", `
			c: Q(select lastval())
			s? Q(select lastval())`},
		{"where all was wiped", stranger + `
			reset DISCARD ALL
			s? Q(DISCARD ALL)
			s: C(DISCARD ALL) Z(I)
			c: Q(select lastval())
			s? Q(select lastval())`},
	} {
		t.Run(c.name, func(t *testing.T) { plays(t, c.script) })
	}
}

// A session that asks for the past is given the host that it had last, by both protocols.
func TestSequencesWantTheSameHost(t *testing.T) {
	for _, ask := range []string{"Q(select lastval())", "P(;select lastval())", "P(a;SELECT CURRVAL('s'))"} {
		p := newPlay(t, 0)
		p.run("host 1")
		if _, need, err := p.guest.Client(wire(t, 0, ask), &p.turn); need.String() != "Same" || err != nil {
			t.Errorf("%s: %v %v", ask, need, err)
		}
	}
}

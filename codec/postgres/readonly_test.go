package postgres

import (
	"testing"

	"sluice/codec"
)

// readsAt gives a guest without a host the bytes up to cut, and tells what it then says of them when it
// asks for a host.
func readsAt(t *testing.T, settings []setting, p []byte, cut int, prepared ...string) (asked, reads bool) {
	t.Helper()
	play := newPlay(t, 0)
	play.run("")
	g := play.guest
	g.settings = newSettings(settings)
	for _, name := range prepared {
		tail := []byte(name + "\x00\x00\x00")
		st := g.shelf.intern(tail, 0, digest{}, g.words)
		if name == "" {
			g.unnamed = unnamedStmt{st: st}
		}
		g.name(&named{name: name, st: st})
	}
	play.open()
	n, need, err := g.Client(p[:cut], &play.turn)
	if err != nil {
		t.Fatal(err)
	}
	if need != codec.NeedHost {
		return false, false
	}
	return true, g.ReadOnly(p[n:cut])
}

func TestReadOnly(t *testing.T) {
	readOnly := []setting{{"default_transaction_read_only", "on"}}
	serial := []setting{{"default_transaction_isolation", "serializable"}}
	tests := []struct {
		sent     string
		settings []setting
		want     bool
	}{
		{sent: "Q(BEGIN READ ONLY)", want: true},
		{sent: "Q(begin work read only;)", want: true},
		{sent: "Q( /* a */ ;Begin\nTransaction Isolation Level Repeatable Read, Read Only, Not Deferrable -- b\n)", want: true},
		{sent: "Q(start transaction isolation level read committed read only)", want: true},
		{sent: "Q(START TRANSACTION READ ONLY; SELECT ';COMMIT;')", want: true},
		{sent: "Q(BEGIN READ ONLY; SELECT 1; TABLE a; COMMIT)", want: true},
		{sent: "Q(BEGIN READ ONLY; SELECT 1; END TRANSACTION;;)", want: true},

		{sent: "Q(BEGIN)"},
		{sent: "Q(BEGIN READ WRITE)"},
		{sent: "Q(BEGIN READ ONLY READ WRITE)"},
		{sent: "Q(BEGIN READ)"},
		{sent: "Q(BEGIN ONLY)"},
		{sent: "Q(BEGIN READ ONLY NOW)"},
		{sent: `Q(BEGIN "read" only)`},
		{sent: "Q(START WORK READ ONLY)"},
		{sent: "Q(BEGIN ISOLATION LEVEL READ ONLY)"},
		{sent: "Q(BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY)"},
		{sent: "Q(BEGIN READ ONLY)", settings: serial},
		{sent: "Q(BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY)", settings: serial, want: true},
		{sent: "Q(BEGIN READ ONLY; COMMIT; INSERT INTO a VALUES(1))"},
		{sent: "Q(BEGIN READ ONLY; COMMIT AND CHAIN)"},
		{sent: "Q(BEGIN READ ONLY; SET TRANSACTION READ WRITE)"},
		{sent: "Q(BEGIN READ ONLY; INSERT INTO a VALUES(1))"},
		{sent: "Q(BEGIN READ ONLY; SELECT (1; SELECT 2))"},
		{sent: `Q(BEGIN READ ONLY; SELECT 'a\'; COMMIT; DELETE FROM a; --')`},
		{sent: "Q(SELECT 1; BEGIN READ ONLY)"},
		{sent: "Q(SELECT 'BEGIN READ ONLY')"},
		{sent: "Q()"},
		{sent: "F(1)"},

		{sent: "P(;BEGIN READ ONLY) B E P(;select 1) B D(P) E S", want: true},
		{sent: "P(;BEGIN READ ONLY) D(S) B D(P) E S", want: true},
		{sent: "P(a;BEGIN READ ONLY) B(p;a) E(p) S", want: true},
		{sent: "P(;BEGIN READ ONLY) D(S) S"},
		{sent: "P(;BEGIN READ ONLY) B S"},
		{sent: "P(a;BEGIN READ ONLY) B(;b) E S"},
		{sent: "P(;BEGIN READ ONLY) B(p) E(q) S"},
		{sent: "P(;BEGIN READ ONLY) P(;insert into a values (1)) B E S"},
		{sent: "P(;BEGIN) B E S"},
		{sent: "B(;BEGIN READ ONLY) E S", want: true},
		{sent: "B(p;BEGIN READ ONLY) D(P;p) E(p) S", want: true},
		{sent: "B(;BEGIN READ ONLY) S"},
		{sent: "B(;unheard of) E S"},
		{sent: "B(;BEGIN) E S"},
		{sent: "E S"},

		{sent: "Q(BEGIN)", settings: readOnly, want: true},
		{sent: "Q(START TRANSACTION ISOLATION LEVEL REPEATABLE READ)", settings: readOnly, want: true},
		{sent: "Q(BEGIN READ WRITE)", settings: readOnly},
		{sent: "Q(select 1; show all)", settings: readOnly, want: true},
		{sent: "Q(with a as (select 1) table a)", settings: readOnly, want: true},
		{sent: "Q(insert into a values (1))", settings: readOnly},
		{sent: "Q(set default_transaction_read_only = off)", settings: readOnly},
		{sent: "Q(select 1; set default_transaction_read_only = off; insert into a values (1))", settings: readOnly},
		{sent: "P(;select 1) B D(P) E S", settings: readOnly, want: true},
		{sent: "P(;select 1) D(S) S", settings: readOnly},
		{sent: "B(;BEGIN) E S", settings: readOnly, want: true},
		{sent: "Q(select 1)", settings: []setting{{"default_transaction_read_only", "off"}}},
		{sent: "Q(select 1)", settings: append(serial, readOnly...)},
	}
	for _, tt := range tests {
		p := wire(t, codec.Client, tt.sent)
		asked := false
		for cut := range len(p) + 1 {
			at, reads := readsAt(t, tt.settings, p, cut, "BEGIN READ ONLY", "BEGIN")
			if asked = asked || at; reads && !tt.want {
				t.Errorf("%s: cut at %d: it reads only", tt.sent, cut)
			}
		}
		// What follows the front decides, so it is told when all is at hand.
		if at, reads := readsAt(t, tt.settings, p, len(p), "BEGIN READ ONLY", "BEGIN"); !at || reads != tt.want {
			t.Errorf("%s: asked for a host: %v; reads only: %v, want %v", tt.sent, at, reads, tt.want)
		}
	}
}

// A Query is told whatever pieces it comes in.
func TestReadOnlyInPieces(t *testing.T) {
	p := wire(t, codec.Client, "Q(BEGIN READ ONLY)")
	for cut := range len(p) {
		play := newPlay(t, 0)
		play.run("")
		play.open()
		if n, need, err := play.guest.Client(p[:cut], &play.turn); n != cut || need != codec.NeedBytes || err != nil {
			t.Fatalf("cut at %d: %d used, %v, %v", cut, n, need, err)
		}
		n, need, err := play.guest.Client(p[cut:], &play.turn)
		if need != codec.NeedHost || err != nil || !play.guest.ReadOnly(p[cut+n:]) {
			t.Fatalf("cut at %d: %v, %v, or it does not read only", cut, need, err)
		}
	}
}

// The unnamed statement of a batch before may be BEGIN READ ONLY too.
func TestReadOnlyUnnamed(t *testing.T) {
	p := wire(t, codec.Client, "B E S")
	play := newPlay(t, 0)
	play.run("")
	g := play.guest
	g.unnamed = unnamedStmt{st: g.shelf.intern([]byte("BEGIN READ ONLY\x00\x00\x00"), 0, digest{}, g.words)}
	play.open()
	if n, need, err := g.Client(p, &play.turn); need != codec.NeedHost || err != nil || !g.ReadOnly(p[n:]) {
		t.Fatalf("%v, %v, or it does not read only", need, err)
	}
}

// TestPitfall50ReadsByTheirText: that a statement looks like a read sends it nowhere. Only the client's word
// does, that its transaction is to write nothing.
func TestPitfall50ReadsByTheirText(t *testing.T) {
	for _, sql := range []string{"select 1", "select a from b for update", "select a from b for share", "select nextval('s')", "select f()",
		"select a into c from b", "with x as (insert into a values (1) returning b) select b from x", "explain analyze insert into a values (1)",
		"copy (select 1) to stdout", "do 'begin end'", "call p()", "table a", "show all"} {
		for _, sent := range []string{"Q(" + sql + ")", "P(;" + sql + ") B D(P) E S", "Q(BEGIN; " + sql + "; COMMIT)"} {
			p := wire(t, codec.Client, sent)
			if _, reads := readsAt(t, nil, p, len(p)); reads {
				t.Errorf("%s: it would be done at a replica", sent)
			}
		}
	}
}

func TestReadOnlyNever(t *testing.T) {
	p := wire(t, codec.Client, "Q(BEGIN READ ONLY)")
	for name, g := range map[string]*guest{
		"lasting":     {cfg: &codec.GuestConfig{Lasting: true}},
		"replication": {cfg: &codec.GuestConfig{}, special: true},
	} {
		if g.ReadOnly(p) {
			t.Errorf("%s: it reads only", name)
		}
	}
}

func TestReadOnlyAllocatesNothing(t *testing.T) {
	play := newPlay(t, 0)
	play.run("")
	g := play.guest
	for _, sent := range []string{"Q(BEGIN READ ONLY)", "Q(insert into a values (1))", "Q(BEGIN READ ONLY; SELECT 1; COMMIT)",
		"P(;BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY) B E P(;select 1) B D(P) E S"} {
		p := wire(t, codec.Client, sent)
		if n := testing.AllocsPerRun(100, func() { g.ReadOnly(p) }); n != 0 {
			t.Errorf("%s: %v allocations", sent, n)
		}
	}
}

// What a client sends ahead of a transaction's end is not for the server that does the transaction.
func TestSole(t *testing.T) {
	whole := func(sent string, check func(p *play)) {
		for _, cut := range []int{0, 1, 3, 7} {
			p := newPlay(t, cut)
			p.run("")
			p.guest.Attach(p.host, &p.turn)
			p.guest.Sole()
			p.send(sent, wire(t, codec.Client, sent))
			check(p)
		}
	}
	t.Run("queries", func(t *testing.T) {
		whole("Q(begin read only) Q(select 1) Q(commit) Q(insert)", func(p *play) {
			p.run(`
				s? Q(begin read only)
				need=Turn
				s: C(BEGIN) Z(T)
				s? Q(select 1)
				s: T D C(SELECT 1) Z(T)
				s? Q(commit)
				c? C(BEGIN) Z(T) T D C(SELECT 1) Z(T)
				need=Turn`)
			p.open()
			if err := p.host.Server(wire(t, codec.Server, "C(COMMIT) Z(I)"), &p.turn); err != nil {
				t.Fatal(err)
			}
			p.turn.Flush()
			if !p.guest.Ready() || !p.host.Free() {
				t.Fatal("behind the end of the transaction it can't be parted")
			}
			p.guest.Detach()
			p.onHost("2")
			p.feed("")
			p.run("c? C(COMMIT) Z(I)")
			p.onHost("2")
			p.compare("host 2", &p.server, wire(t, codec.Client, "Q(insert)"))
		})
	})
	t.Run("groups", func(t *testing.T) {
		whole("P(;begin read only) B E P(;select 1) B E S P(;commit) B E S P(;insert) B E S", func(p *play) {
			p.run(`
				s? P(;begin read only) B E P(;select 1) B E S
				need=Turn
				s: 1 2 C(BEGIN) 1 2 D C(SELECT 1) Z(T)
				s? P(;commit) B E S
				need=Turn`)
		})
	})
	t.Run("ends with the host", func(t *testing.T) {
		whole("Q(select 1)", func(p *play) {
			p.run(`
				s? Q(select 1)
				s: T D C(SELECT 1) Z(I)
				detach
				c: Q(select 2) Q(select 3)
				s? Q(select 2) Q(select 3)`)
		})
	})
}

// A client whose transaction a standby does is not told that its session is in recovery.
func TestSoleAtStandby(t *testing.T) {
	p := newPlay(t, 0)
	p.run("")
	p.onHost("standby")
	standby := &report{params: append([]codec.Param{{Name: "in_hot_standby", Value: "on"}}, reportedParams...)}
	primary := &report{params: append([]codec.Param{{Name: "in_hot_standby", Value: "off"}}, reportedParams...)}
	p.hosts["standby"].report, p.hosts["1"].report, p.guest.told = standby, primary, primary
	for range 2 {
		p.onHost("standby")
		p.guest.Sole()
		p.run(`
			host standby
			c: Q(select 1)
			s: T D C(SELECT 1) Z(I)
			c? T D C(SELECT 1) Z(I)
			detach
			host 1
			c: Q(select 1)
			s: T D C(SELECT 1) Z(I)
			c? T D C(SELECT 1) Z(I)
			detach`)
		if p.hosts["standby"].report != standby {
			t.Fatal("what the standby has reported is lost")
		}
		p.server.Reset()
	}
	p.run(`
		host standby
		c: Q(select 1)
		s: T D C(SELECT 1) Z(I)
		c? S(in_hot_standby;on) T D C(SELECT 1) Z(I)`)
}

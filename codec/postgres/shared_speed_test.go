package postgres

import (
	"testing"

	"sluice/codec"
)

// use is a client and a server whose exchange repeats.
type use struct {
	guest       *guest
	host        *host
	turn        codec.Turn
	ask, answer []byte
	toServer    int
	toClient    int
}

type byteCounter struct{ n *int }

func (c byteCounter) Write(p []byte) { *c.n += len(p) }

// newUse has run the first exchange once, so that statements are prepared.
func newUse(t testing.TB, first, firstAnswer, ask, answer string) *use {
	p := newPlay(t, 0)
	p.cfg.KeepOnLoss = true
	p.onHost("1")
	p.onClient("1")
	p.host.cfg = &codec.OpenerConfig{PreparedMax: 2, Part: codec.PartPrimary}
	if first != "" {
		p.send("", wire(t, codec.Client, first))
		p.answer("", wire(t, codec.Server, firstAnswer))
	} else {
		p.guest.Attach(p.host, &p.turn)
	}
	e := &use{guest: p.guest, host: p.host, ask: wire(t, codec.Client, ask), answer: wire(t, codec.Server, answer)}
	e.turn.Client.Open(byteCounter{&e.toClient})
	e.turn.Server.Open(byteCounter{&e.toServer})
	if e.guest.Host() != nil {
		e.guest.Detach()
	}
	return e
}

// run carries out one exchange, with attaching and detaching.
func (e *use) run(t testing.TB) {
	if need := e.guest.Attach(e.host, &e.turn); need != codec.NeedBytes {
		t.Fatal(need)
	}
	n, need, err := e.guest.Client(e.ask, &e.turn)
	if n != len(e.ask) || need != codec.NeedBytes || err != nil {
		t.Fatal(n, need, err)
	}
	e.turn.Flush()
	if err := e.host.Server(e.answer, &e.turn); err != nil {
		t.Fatal(err)
	}
	e.turn.Flush()
	if !e.host.Free() || e.guest.Pin() != "" {
		t.Fatal("the host is not free")
	}
	e.guest.Detach()
}

// uses are what most clients do all day.
var uses = []struct{ name, first, firstAnswer, ask, answer string }{
	{"query", "", "", "Q(select abalance from accounts where aid = 4711)", "TDC(SELECT 1)Z(I)"},
	{"prepared", "P(a;select 1)S", "1Z(I)", "B(;a)D(P;)E()S", "2TDC(SELECT 1)Z(I)"},
	{"unnamed", "P(;select abalance from accounts where aid = $1)S", "1Z(I)", "P(;select abalance from accounts where aid = $1)B(;)D(P;)E()S", "2TDC(SELECT 1)Z(I)"},
	{"pipeline", "P(a;select 1)S", "1Z(I)", "B(;a)E()SB(;a)E()SB(;a)E()SB(;a)E()S",
		"2DC(SELECT 1)Z(I)2DC(SELECT 1)Z(I)2DC(SELECT 1)Z(I)2DC(SELECT 1)Z(I)"},
}

// What clients do all day allocates nothing.
func TestSharedAllocations(t *testing.T) {
	for _, x := range uses {
		t.Run(x.name, func(t *testing.T) {
			e := newUse(t, x.first, x.firstAnswer, x.ask, x.answer)
			e.run(t)
			before := e.toClient
			if n := testing.AllocsPerRun(200, func() { e.run(t) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if e.toClient == before {
				t.Error("the client has got nothing")
			}
		})
	}
}

func BenchmarkShared(b *testing.B) {
	for _, x := range uses {
		b.Run(x.name, func(b *testing.B) {
			e := newUse(b, x.first, x.firstAnswer, x.ask, x.answer)
			b.ReportAllocs()
			for b.Loop() {
				e.run(b)
			}
		})
	}
}

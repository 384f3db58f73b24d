package postgres

import (
	"testing"

	"sluice/codec"
)

// FuzzShared gives a guest and a host bytes that may be anything, in pieces. They must not panic, and
// must not keep more than their limits.
func FuzzShared(f *testing.F) {
	for _, x := range uses {
		f.Add(wire(f, codec.Client, x.first+x.ask), wire(f, codec.Server, x.firstAnswer+x.answer), uint8(7))
	}
	f.Add(wire(f, codec.Client, "Q(copy t from stdin)d(1)c()"), wire(f, codec.Server, "GC(COPY 1)Z(I)"), uint8(3))
	f.Add(wire(f, codec.Client, "P(;bad)B()E()SC(S;a)"), wire(f, codec.Server, "E(42601;bad)Z(I)3"), uint8(2))
	f.Fuzz(func(t *testing.T, ask, answer []byte, cut uint8) {
		p := newPlay(t, 0)
		p.onHost("1")
		p.onClient("1")
		g, h, turn := p.guest, p.host, &p.turn
		g.Attach(h, turn)
		size := int(cut) + 1
		for len(ask) > 0 || len(answer) > 0 {
			n, need, err := g.Client(ask[:min(size, len(ask))], turn)
			if err != nil || n < 0 || n > len(ask) {
				break
			}
			ask = ask[n:]
			piece := answer[:min(size, len(answer))]
			answer = answer[len(piece):]
			if err := h.Server(piece, turn); err != nil {
				break
			}
			turn.Flush()
			if len(g.buf) > 1<<17 || len(h.gather) > maxGathered {
				t.Fatalf("%d and %d bytes are kept", len(g.buf), len(h.gather))
			}
			if need != codec.NeedBytes && n == 0 && len(piece) == 0 {
				break
			}
		}
		h.Abandon(turn)
		g.Close()
	})
}

package postgres

import (
	"encoding/binary"
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

// FuzzBereave gives a guest and a host bytes that may be anything, loses the host, and goes on with another
// one. What the client was told consists of whole messages if the session goes on.
func FuzzBereave(f *testing.F) {
	for _, x := range uses {
		f.Add(wire(f, codec.Client, x.first+x.ask), wire(f, codec.Server, x.firstAnswer+x.answer), wire(f, codec.Client, x.ask), uint8(7))
	}
	f.Add(wire(f, codec.Client, "Q(begin)Q(copy t from stdin)d(1)"), wire(f, codec.Server, "C(BEGIN)Z(T)G"), wire(f, codec.Client, "d(1)c()SQ(commit)"), uint8(3))
	f.Add(wire(f, codec.Client, "P(;bad)B()E()SC(S;a)"), wire(f, codec.Server, "E(42601;bad)Z(I)3"), wire(f, codec.Client, "SQ(begin;commit)"), uint8(2))
	f.Fuzz(func(t *testing.T, ask, answer, more []byte, cut uint8) {
		p := newPlay(t, 0)
		p.cfg.KeepOnLoss = true
		p.onHost("1")
		p.onClient("1")
		p.open()
		g, turn := p.guest, &p.turn
		g.Attach(p.host, turn)
		size := int(cut) + 1
		for len(ask) > 0 || len(answer) > 0 {
			n, need, err := g.Client(ask[:min(size, len(ask))], turn)
			if err != nil {
				return
			}
			ask = ask[n:]
			piece := answer[:min(size, len(answer))]
			answer = answer[len(piece):]
			if err := p.host.Server(piece, turn); err != nil {
				return
			}
			turn.Flush()
			if need != codec.NeedBytes && n == 0 && len(piece) == 0 {
				break
			}
		}
		again, ok := g.Bereave(turn)
		if turn.Flush(); !ok {
			return
		}
		if g.Host() != nil || g.Owed() != 0 || g.Pin() != "" {
			t.Fatal("the guest is not parted from its host")
		}
		if endsInside(p.client.Bytes()) {
			t.Fatalf("the client was told %s", unwire(p.client.Bytes()))
		}
		p.onHost("2")
		rest := append(append(again, ask...), more...)
		for range 4 {
			n, need, err := g.Client(rest, turn)
			if err != nil || n > len(rest) {
				break
			}
			if rest = rest[n:]; need == codec.NeedHost && g.Attach(p.host, turn) == codec.NeedTurn {
				if err := p.host.Server(wire(t, codec.Server, "C(BEGIN)E(3B001;no)Z(E)"), turn); err != nil {
					break
				}
			}
			if need == codec.NeedSame {
				g.Forsaken()
			}
		}
		turn.Flush()
		g.Close()
	})
}

// endsInside tells whether a stream ends inside a message.
func endsInside(b []byte) bool {
	for len(b) >= headerSize {
		n := 1 + int(binary.BigEndian.Uint32(b[1:]))
		if n > len(b) {
			return true
		}
		b = b[n:]
	}
	return len(b) > 0
}

package postgres

import (
	"bytes"
	"testing"

	"sluice/codec"
)

// deathbeds are exchanges of a client and its server, turn by turn, in the words of a play.
var deathbeds = []struct {
	name    string
	turns   []string // client, server, client, …
	copying bool     // an end of data follows, whether the COPY has failed or not
}{
	{"Query", []string{"Q(insert)", "C(INSERT 0 1)Z(I)"}, false},
	{"Query with rows", []string{"Q(select 1)", "TDDC(SELECT 2)Z(I)"}, false},
	{"several statements", []string{"Q(select 1; insert)", "TDC(SELECT 1)C(INSERT 0 1)Z(I)"}, false},
	{"an empty one", []string{"Q()", "IZ(I)"}, false},
	{"one that fails", []string{"Q(bad)", "E(42601;bad)Z(I)"}, false},
	{"block", []string{"Q(begin)", "C(BEGIN)Z(T)", "Q(insert)", "C(INSERT 0 1)Z(T)", "Q(commit)", "C(COMMIT)Z(I)"}, false},
	{"a block that fails", []string{"Q(begin)", "C(BEGIN)Z(T)", "Q(bad)", "E(42601;bad)Z(E)", "Q(rollback)", "C(ROLLBACK)Z(I)"}, false},
	{"extended", []string{"P(;insert)B()D(P;)E()S", "12nC(INSERT 0 1)Z(I)"}, false},
	{"extended, named", []string{"P(a;select 1)D(S;a)S", "1tTZ(I)", "B(;a)E()S", "2DC(SELECT 1)Z(I)"}, false},
	{"extended with an error", []string{"P(;insert)B()E()P(;insert)B()E()S", "12E(23505;no)Z(I)"}, false},
	{"extended in a block", []string{"P(;begin)B()E()S", "12C(BEGIN)Z(T)", "P(;insert)B()E()P(;commit)B()E()S", "12C(INSERT 0 1)12C(COMMIT)Z(I)"}, false},
	{"pipeline", []string{"P(;insert)B()E()SP(;insert)B()E()SQ(select 1)", "12C(INSERT 0 1)Z(I)12C(INSERT 0 1)Z(I)TDC(SELECT 1)Z(I)"}, false},
	{"pipeline in a block", []string{"Q(begin)Q(insert)Q(insert)Q(commit)Q(select 1)", "C(BEGIN)Z(T)C(INSERT 0 1)Z(T)C(INSERT 0 1)Z(T)C(COMMIT)Z(I)TDC(SELECT 1)Z(I)"}, false},
	{"pipeline with an error", []string{"P(;bad)B()E()SQ(insert)", "E(42601;bad)Z(I)C(INSERT 0 1)Z(I)"}, false},
	{"flushes", []string{"P(;select 1)H", "1", "B()E()H", "2Ds", "E()H", "DC(SELECT 1)", "S", "Z(I)"}, false},
	{"function call", []string{"F()", "VZ(I)"}, false},
	{"a group without a Sync", []string{"P(;insert)B()E()Q(insert)", "12C(INSERT 0 1)C(INSERT 0 1)Z(I)"}, false},
	{"COPY to the client", []string{"Q(copy t to stdout)", "Hd(1)d(2)cC(COPY 2)Z(I)"}, false},
	{"COPY from the client", []string{"Q(copy t from stdin)", "G", "d(1)c()", "C(COPY 1)Z(I)"}, true},
	{"COPY from the client, extended", []string{"P(;copy t from stdin)B()E()", "12G", "d(1)c()S", "C(COPY 1)Z(I)"}, true},
	{"COPY that fails", []string{"Q(copy t from stdin)", "G", "d(x)c()", "E(22P02;bad)Z(I)"}, true},
}

// commandCounter holds a Watcher's contract.
type commandCounter struct {
	begun, done    int
	replied, wrong bool
}

func (c *commandCounter) OnCommand(codec.Kind, []byte) { c.begun++ }
func (c *commandCounter) OnReply(codec.Kind) {
	c.wrong = c.wrong || c.replied || c.done == c.begun
	c.replied = true
}
func (c *commandCounter) OnDone(codec.Kind, bool) {
	c.wrong = c.wrong || c.done == c.begun
	c.done++
	c.replied = false
}

// TestBereaveAtEachByte loses the server behind each byte of what it says, and holds that the client can go
// on: each of its batches is answered once, with one error at most, and all is well behind a ROLLBACK.
func TestBereaveAtEachByte(t *testing.T) {
	for _, x := range deathbeds {
		t.Run(x.name, func(t *testing.T) {
			size := 0
			for i := 1; i < len(x.turns); i += 2 {
				size += len(wire(t, codec.Server, x.turns[i]))
			}
			for n := range size + 1 {
				loseBehind(t, x.turns, n, x.copying)
				if t.Failed() {
					t.Fatalf("behind %d bytes", n)
				}
			}
		})
	}
}

// loseBehind plays a conversation up to n bytes of the server, and what follows the loss.
func loseBehind(t *testing.T, turns []string, n int, copying bool) {
	p := newPlay(t, 0)
	p.cfg.KeepOnLoss = true
	p.onHost("1")
	w := &commandCounter{}
	p.guest = p.shelf.NewGuest(askedGate{}, p.cfg, w).(*guest)
	p.guest.Adopt(&introduction{report: &report{params: reportedParams}})
	sent := ""
	for i := 0; i < len(turns); i += 2 {
		p.send(turns[i], wire(t, codec.Client, turns[i]))
		sent += turns[i]
		answer := wire(t, codec.Server, turns[i+1])
		if p.answer(turns[i+1], answer[:min(n, len(answer))]); n <= len(answer) {
			break
		}
		n -= len(answer)
		if p.guest.Host() != nil && p.host.Free() {
			p.guest.Detach()
		}
	}
	if p.guest.Host() == nil || p.host.Free() {
		return
	}
	mid := p.guest.Mid()
	p.lost("", "2")
	switch {
	case mid && p.bereaved == "false":
		return
	case p.bereaved == "again":
		p.answer("", wire(t, codec.Server, turns[1]))
	case p.bereaved != "true":
		t.Errorf("bereaved: %s", p.bereaved)
	}
	if copying && !bytes.ContainsRune([]byte(sent), 'c') {
		p.send("", wire(t, codec.Client, "d(1)c()"))
	}
	if p.guest.Busy() == "owed" || p.guest.group {
		p.send("", wire(t, codec.Client, "S"))
		sent += "S"
	}
	p.send("", wire(t, codec.Client, "Q(rollback)"))
	if p.guest.Host() != nil {
		p.answer("", wire(t, codec.Server, "C(ROLLBACK)Z(I)"))
	}
	checkAnswers(t, p, sent)
	if w.wrong || w.begun != w.done {
		t.Errorf("%d commands, %d done, wrong %v", w.begun, w.done, w.wrong)
	}
	if p.guest.InTransaction() || p.guest.Busy() != "" {
		t.Errorf("in a transaction %v, busy %q", p.guest.InTransaction(), p.guest.Busy())
	}
}

// checkAnswers holds the answers to what a client has sent, and to a ROLLBACK.
func checkAnswers(t *testing.T, p *play, sent string) {
	want, ends := 1, 0
	for _, m := range scriptTypes(wire(t, codec.Client, sent)) {
		if m == 'Q' || m == 'S' || m == 'F' {
			want++
		}
	}
	failed := false
	stream := p.client.Bytes()
	for _, m := range scriptTypes(stream) {
		switch {
		case m == 'Z':
			ends++
			failed = false
		case failed:
			t.Errorf("%q behind an error", m)
		case m == 'E':
			failed = true
		}
	}
	if ends != want || endsInside(stream) || !bytes.HasSuffix(stream, []byte("Z\x00\x00\x00\x05I")) {
		t.Errorf("%d answers, want %d: %s", ends, want, unwire(stream))
	}
}

// scriptTypes are the types of messages.
func scriptTypes(b []byte) (types []byte) {
	for len(b) >= headerSize {
		types = append(types, b[0])
		_, _, rest, ok := wholeMessage(b)
		if !ok {
			break
		}
		b = rest
	}
	return types
}

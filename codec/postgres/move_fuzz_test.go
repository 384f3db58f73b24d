package postgres

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

// FuzzMoveServers has the old and the new server say anything at any step of a move. Nothing panics, and no more is
// kept than the limits allow.
func FuzzMoveServers(f *testing.F) {
	r := &removal{t: f}
	answer := r.bytes("new:", "answer", settled+";S,work_mem,1kB;P,a,select~1,p20000;M")
	welcome, rest := r.bytes("new:", "welcome", "9"), r.bytes("new:", "answer", settled)
	f.Add(welcome, answer, answer)
	f.Add(packet(f, codec.Server, "R", "0"), r.bytes("old:", "types", "0=1"), messages(f, codec.Server, "ENASCDZ"))
	opt := &codec.MoveOptions{StateMax: 1 << 10, Secret: func(string) codec.Secret { return codec.Secret{Password: "pw"} }}
	f.Fuzz(func(t *testing.T, login, first, second []byte) {
		for stage := range 3 {
			m := newMovableTest(t, opt)
			_ = m.Client(parseOf("", "select $1", "20000"))
			_ = m.Client(message('S', ""))
			_ = m.Server(messages(t, codec.Server, "1Z"))
			v := m.NewMove(&codec.MoveConfig{}).(*move)
			v.Connected()
			if stage > 0 {
				login = welcome
			}
			v.Server(codec.LegNew, login)
			if stage > 1 {
				v.Server(codec.LegNew, rest)
				v.Ask(nil)
			}
			for _, p := range [][]byte{first, second} {
				v.Server(codec.LegOld, p)
				v.Server(codec.LegNew, p)
			}
			for _, reader := range []*messageReader{&v.old, &v.fresh} {
				if len(reader.in) > max(reader.max, minMessage)+len(first)+len(second)+len(login) {
					t.Errorf("%d bytes are kept", len(reader.in))
				}
			}
			v.OldLost()
			v.GiveUp()
			if v.Owes() {
				t.Error("a lost server owes")
			}
		}
	})
}

// FuzzMoveGate gives the gate anything: what it lets through ends where a message ends, unless it is all.
func FuzzMoveGate(f *testing.F) {
	for _, s := range []string{"Q(begin)Q(x)", "PBESQ(x)", "ddcS", "FX", "HHS"} {
		f.Add([]byte{}, messages(f, codec.Client, s))
		f.Add(messages(f, codec.Client, s)[:7], messages(f, codec.Client, s)[7:])
	}
	f.Fuzz(func(t *testing.T, before, p []byte) {
		m := newMovableTest(t, nil)
		if m.Client(before) != nil {
			return
		}
		n := m.Gate(p)
		if n < 0 || n > len(p) {
			t.Fatalf("Gate gives %d of %d", n, len(p))
		}
		if m.Client(p[:n]) == nil && n < len(p) && m.Mid(codec.Client) {
			t.Errorf("Gate cuts a message: %d of %d", n, len(p))
		}
	})
}

// FuzzMoveTracker gives the tracker a client's stream whole and byte by byte: it comes to know the same.
func FuzzMoveTracker(f *testing.F) {
	for _, text := range []string{"set app.a to 1", "select set_config($1, 'x', false)", "begin", "/* x */ commit", "select currval('a')"} {
		f.Add(message('Q', text+"\x00"))
		f.Add(slices.Concat(parseOf("", text), messages(f, codec.Client, "BES"), parseOf("a", text, "23")))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		one, other := newMovableTest(t, nil), newMovableTest(t, nil)
		err := one.Client(p)
		for i := range p {
			if other.Client(p[i:i+1]) != nil {
				break
			}
		}
		if err != nil || one.gather != nil || other.gather != nil {
			return
		}
		a, b := &one.tracker, &other.tracker
		if a.pin() != b.pin() || !slices.Equal(a.names.list, b.names.list) || a.endings != b.endings || (a.marks > 0) != (b.marks > 0) ||
			!bytes.Equal(a.unnamed.raw, b.unnamed.raw) || a.unnamed.unsure != b.unnamed.unsure {
			t.Errorf("whole: %v %q %+v %d %q; in bytes: %v %q %+v %d %q", a.pin(), a.names.list, a.endings, a.marks, a.unnamed.raw,
				b.pin(), b.names.list, b.endings, b.marks, b.unnamed.raw)
		}
	})
}

// FuzzFindPrepare looks for a PREPARE in any text: what is found is a piece of it.
func FuzzFindPrepare(f *testing.F) {
	f.Add([]byte("select 1; prepare a (int) as select $1 -- x"), "a")
	f.Add([]byte("prepare a as select ';'; deallocate a"), "a")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		found, ok := findPrepare(text, name)
		if ok && (found == "" || !strings.Contains(string(text), found)) {
			t.Errorf("%q in %q", found, text)
		}
	})
}

package mysql

import (
	"bytes"
	"strings"
	"testing"

	"sluice/codec"
)

// ownMover is a mover that has moved from connection 7 to connection 1000.
func ownMover(t testing.TB, x facts) *Mover {
	t.Helper()
	r := newRun(t, &script{x: x})
	if op := r.run(); op != codec.OpReady {
		t.Fatal(op, r.v.Refusal())
	}
	return r.m
}

// query is a COM_QUERY as a session sends it that has agreed on x.
func query(x facts, text string) []byte {
	return appendCommand(nil, x.caps, appendQuery(nil, x.caps, text))
}

// TestOwnID: a moved session's plain questions for its id are asked as the number that its client knows, under the
// name that the client expects; all else goes on to the byte, at every cut.
func TestOwnID(t *testing.T) {
	tests := []struct{ text, want string }{
		{"SELECT CONNECTION_ID()", "SELECT CAST(7 AS UNSIGNED) AS `CONNECTION_ID()`"},
		{"select connection_id( ) ;", "select CAST(7 AS UNSIGNED) AS `connection_id( )` ;"},
		{" /* mine */ Select Connection_ID() -- end", " /* mine */ Select CAST(7 AS UNSIGNED) AS `Connection_ID()` -- end"},
		{"SELECT CONNECTION_ID() AS id", "SELECT CAST(7 AS UNSIGNED) AS id"},
		{"SELECT CONNECTION_ID() `my id`", "SELECT CAST(7 AS UNSIGNED) `my id`"},
		{"SELECT @@pseudo_thread_id", "SELECT CAST(7 AS UNSIGNED) AS `@@pseudo_thread_id`"},
		{"SELECT @@session.pseudo_thread_id x;", "SELECT CAST(7 AS UNSIGNED) x;"},
		{"SELECT CONNECTION_ID(), 1", ""},
		{"SELECT 1, CONNECTION_ID()", ""},
		{"SELECT CONNECTION_ID() + 1", ""},
		{"SELECT CONNECTION_ID() FROM t", ""},
		{"SELECT CONNECTION_ID() INTO @x", ""},
		{"SELECT CONNECTION_ID() AS", ""},
		{"SELECT CONNECTION_ID() AS `a``b`", ""},
		{"SELECT CONNECTION_ID() AS 'a'", ""},
		{"SELECT CONNECTION_ID/**/()", ""}, // the column would have another name
		{"SELECT CONNECTION_ID(); SELECT 1", ""},
		{"SELECT CONNECTION_ID(1)", ""},
		{"SELECT CONNECTION_ID", ""},
		{"SELECT @@global.pseudo_thread_id", ""},
		{"SELECT /*!80000 CONNECTION_ID() */", ""},
		{"SELECT CONNECTION_ID() /* no end", ""},
		{"SELECT CONNECTION_ID() x" + strings.Repeat("x", maxOwnID), ""}, // too long to be looked at
		{"INSERT INTO t VALUES (CONNECTION_ID())", ""},
		{"SET @x = CONNECTION_ID()", ""},
		{"S", ""},
		{"", ""},
	}
	for _, x := range []facts{moveClassic, moveAttributes} {
		for _, test := range tests {
			if test.want == "" {
				test.want = test.text
			}
			sent, want := query(x, test.text), query(x, test.want)
			for cut := range len(sent) + 1 {
				m := ownMover(t, x)
				if !m.Translates() {
					t.Fatal("it translates nothing")
				}
				var got []byte
				for _, part := range [][]byte{sent[:cut], sent[cut:]} {
					got = append(got, m.ToServer(bytes.Clone(part))...)
					if m.Mid(codec.Client) != (len(m.own.held) > 0) {
						t.Fatalf("%q cut at %d: %d bytes are held, and nobody is told", test.text, cut, len(m.own.held))
					}
				}
				if !bytes.Equal(got, want) || m.holds(codec.Client) {
					t.Fatalf("%q cut at %d: %q\nwant %q", test.text, cut, got, want)
				}
			}
		}
	}
}

// TestOwnIDBetween: what stands before and behind a question passes, and data that look like one are none.
func TestOwnIDBetween(t *testing.T) {
	x := moveClassic
	ask, asked := query(x, "SELECT CONNECTION_ID()"), query(x, "SELECT CAST(7 AS UNSIGNED) AS `CONNECTION_ID()`")
	long := append(appendHeader(nil, fullLen, 0), bytes.Repeat(ask, fullLen/len(ask)+1)[:fullLen]...)
	long = append(append(long, appendHeader(nil, len(ask), 1)...), ask...)
	tests := []struct {
		name       string
		sent, want []byte
	}{
		{"two", append(bytes.Clone(ask), ask...), append(bytes.Clone(asked), asked...)},
		{"between others", append(append([]byte("\x01\x00\x00\x00\x0e"), ask...), "\x01\x00\x00\x00\x0e"...),
			append(append([]byte("\x01\x00\x00\x00\x0e"), asked...), "\x01\x00\x00\x00\x0e"...)},
		{"within a message of two packets", append(bytes.Clone(long), ask...), append(bytes.Clone(long), asked...)},
	}
	for _, test := range tests {
		for _, piece := range []int{1, 5, 30, 1 << 20, 1 << 25} {
			if piece < 30 && len(test.sent) > 1<<20 {
				continue
			}
			m := ownMover(t, x)
			var got []byte
			for b := test.sent; len(b) > 0; {
				n := min(piece, len(b))
				got = append(got, m.ToServer(bytes.Clone(b[:n]))...)
				if len(m.own.held) > maxOwnID+headerLen {
					t.Fatalf("%s: %d bytes are held", test.name, len(m.own.held))
				}
				b = b[n:]
			}
			if !bytes.Equal(got, test.want) {
				t.Errorf("%s, pieces of %d: %d bytes, want %d", test.name, piece, len(got), len(test.want))
			}
		}
	}
	m := ownMover(t, x)
	m.Client(query(x, "load data local infile 'x' into table t"))
	m.Server([]byte("\x02\x00\x00\x01\xfbx"))
	file := bytes.Clone(ask)
	file[3] = 2
	if got := m.ToServer(bytes.Clone(file)); !bytes.Equal(got, file) {
		t.Errorf("a file was changed: %q", got)
	}
}

// TestOwnIDGate: while a part of a message is held back to be translated, its rest is not held by the gate as well.
func TestOwnIDGate(t *testing.T) {
	ask := query(moveClassic, "SELECT CONNECTION_ID()")
	for cut := 1; cut < len(ask); cut++ {
		m := ownMover(t, moveClassic)
		if front := m.ToServer(ask[:cut]); len(front) > 0 && m.Client(front) != nil {
			t.Fatal("not followed")
		}
		if m.Askable(nil) {
			t.Fatalf("cut at %d: askable in the middle of a message", cut)
		}
		if n := m.Gate(ask[cut:]); n != len(ask)-cut {
			t.Fatalf("cut at %d: %d of %d bytes go on", cut, n, len(ask)-cut)
		}
	}
}

// TestOwnIDNone: where nothing has to be changed nothing is looked at.
func TestOwnIDNone(t *testing.T) {
	if m := ownMover(t, moveZlib); m.Translates() {
		t.Error("a compressed session is looked into")
	}
	if m := ownMover(t, facts{key: 1000, caps: capProtocol41, status: statusAutocommit}); m.Translates() {
		t.Error("the id is the same, and is changed")
	}
}

// FuzzOwnID: cut or whole, the same goes on; what is no question goes on to the byte.
func FuzzOwnID(f *testing.F) {
	for _, text := range []string{"SELECT CONNECTION_ID()", "select @@session.pseudo_thread_id as `x`;", "SELECT CONNECTION_ID() + 1"} {
		f.Add(query(moveClassic, text), byte(3), false)
		f.Add(query(moveAttributes, text), byte(9), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut byte, attributes bool) {
		x := moveClassic
		if attributes {
			x = moveAttributes
		}
		run := func(piece int) (out []byte) {
			m := newMover(x, nil, &codec.MoveOptions{}, account{user: "app"}, kindTiDB)
			m.own = &ownID{m: m}
			for p := bytes.Clone(b); len(p) > 0; {
				n := min(piece, len(p))
				out = append(out, m.ToServer(p[:n])...)
				if len(m.own.held) > maxOwnID+headerLen {
					t.Fatalf("%d bytes are held", len(m.own.held))
				}
				p = p[n:]
			}
			return append(out, m.own.held...)
		}
		whole := run(len(b) + 1)
		if got := run(int(cut)%16 + 1); !bytes.Equal(got, whole) {
			t.Fatalf("cut: %q\nwhole: %q", got, whole)
		}
		if !bytes.Contains(bytes.ToUpper(b), []byte("CONNECTION")) && !bytes.Contains(bytes.ToUpper(b), []byte("THREAD")) && !bytes.Equal(whole, b) {
			t.Fatalf("%q became %q", b, whole)
		}
	})
}

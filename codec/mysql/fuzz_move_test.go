package mysql

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unique"

	"sluice/codec"
)

// unquoted reads the inside of a literal as a server does.
func unquoted(s string, literal bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' || s[i] == '\\' && !literal:
			i++ // the one behind it is meant
		}
		if i < len(s) {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// FuzzStates: whatever a server tells as a session's state, it comes out of its literal as it went in, and taking the
// character sets out takes nothing else.
func FuzzStates(f *testing.F) {
	f.Add(usualJSON)
	f.Add(longStates(3))
	f.Add(`{"character_set_connection": "a\", b", "collation_connection": "c"}`)
	f.Add(`{"x": "\"character_set_server\": \"", "collation_server": "it's"}`)
	f.Fuzz(func(t *testing.T, states string) {
		c := tidbCarrier{m: newMover(moveModern, nil, &codec.MoveOptions{}, account{}, kindTiDB), states: states}
		if c.read() != nil || !json.Valid([]byte(states)) {
			return // some of what is no JSON is left to the new server
		}
		for _, literal := range []bool{false, true} {
			if got := unquoted(quoteStates(states, literal), literal); got != states {
				t.Fatalf("%q came out as %q", states, got)
			}
		}
		less := withoutCharsets(states)
		var before, behind any
		if err := json.Unmarshal([]byte(states), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(less), &behind); err != nil {
			t.Fatalf("%q became %q: %v", states, less, err)
		}
		if bare(before); !reflect.DeepEqual(before, bare(behind)) {
			t.Fatalf("%q became %q", states, less)
		}
	})
}

// bare takes all character sets of connections and servers out of what JSON says.
func bare(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "character_set_connection")
		delete(v, "character_set_server")
		for _, inner := range v {
			bare(inner)
		}
	case []any:
		for _, inner := range v {
			bare(inner)
		}
	}
	return v
}

// FuzzReading: answers are the same however they are cut, and take no more than they may.
func FuzzReading(f *testing.F) {
	r := newRun(f, &script{})
	f.Add(r.frame(1, false, r.rows("{}", "token")), uint32(capDeprecateEOF), byte(3))
	f.Add(r.frame(1, false, []string{plainOK}), uint32(0), byte(1))
	f.Add(r.frame(1, false, []string{"\x00\x01\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", "d", "\xfe\x00\x00\x02\x00", "d", "\xfe\x00\x00\x02\x00"}), uint32(1), byte(2))
	f.Fuzz(func(t *testing.T, b []byte, caps uint32, cut byte) {
		const room = 4 << 10
		run := func(piece int) string {
			var said []string
			x := facts{caps: caps &^ (capCompress | capZstd)}
			rd := newReading(&x, room, func(i int, r *answer) error {
				said = append(said, fmt.Sprintf("%d %q %q %d %d %d %d %v", i, r.rows, r.defs, r.affected, r.insertID, r.status, r.stmt, r.err))
				return nil
			})
			for _, com := range []byte{comQuery, comStmtPrepare, comQuery} {
				rd.expect(com)
			}
			var err error
			for p := b; len(p) > 0 && err == nil; {
				n := min(piece, len(p))
				err = rd.server(p[:n])
				p = p[n:]
				if len(rd.in) > room+headerLen+n {
					t.Fatalf("%d bytes are held", len(rd.in))
				}
			}
			return fmt.Sprint(said, err)
		}
		if whole, parts := run(len(b)+1), run(int(cut)%16+1); whole != parts {
			t.Fatalf("whole: %s\nin pieces: %s", whole, parts)
		}
	})
}

// FuzzAccount: of what a client sends about itself no more is kept than may be, and none of it stops anything.
func FuzzAccount(f *testing.F) {
	f.Add(responseOf(clientCapsTest, "app", "12345678901234567890", "shop", nativePlugin), uint32(clientCapsTest))
	f.Add([]byte("\x11bob\x00\x14"+"12345678901234567890"+"sales\x00\x2e\x00mysql_native_password\x00\x06\x02ef\x02gh"), uint32(clientCapsTest))
	f.Fuzz(func(t *testing.T, b []byte, caps uint32) {
		if r, ok := parseResponse(b); ok {
			if a := newAccount(&r); len(a.attrs.Value()) > maxAttrs {
				t.Fatalf("%d bytes of attributes", len(a.attrs.Value()))
			}
		}
		a := account{user: "app", attrs: unique.Make("")}
		a.changed(b[:min(len(b), maxChangeKept)], caps)
		if !a.switched || len(a.attrs.Value()) > maxAttrs || strings.ContainsRune(a.user, 0) {
			t.Fatalf("%+v", a)
		}
	})
}

// FuzzGate: what the gate lets go on ends at the begin of a message, if not all of it goes on; and a BEGIN is seen by its
// front.
func FuzzGate(f *testing.F) {
	f.Add("begin\x00", []byte(message("\x03begin")+message("\x0e")), byte(0))
	f.Add("begin", []byte(message("\x03select 1")+message("\x03BEGIN")), byte(5))
	f.Fuzz(func(t *testing.T, before string, b []byte, cut byte) {
		m := newMover(moveClassic, nil, &codec.MoveOptions{}, account{user: "app"}, kindTiDB)
		if strings.HasPrefix(before, "begin") {
			m.facts.status |= statusInTrans
		}
		front := b[:min(int(cut), len(b))]
		if m.Client(front) != nil {
			return
		}
		b = b[len(front):]
		n := m.Gate(b)
		if n < 0 || n > len(b) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		if m.Client(b[:n]) == nil && n < len(b) && m.Mid(codec.Client) {
			t.Fatalf("%d of %d bytes go on: in the middle of a message", n, len(b))
		}
		m.Askable(b[n:])
		if len(b) > 1 && b[0] == comQuery && m.isBegin(b) && !m.mayBegin(b) {
			t.Fatalf("the front of %q rules a BEGIN out", b)
		}
	})
}

// moverOutcome is what has come of a session that can move; what is judged more carefully of a command that comes in
// pieces is left out.
func moverOutcome(m *Mover, d *diary, err error) string {
	out := outcome(&m.Follower, d, err)
	k := m.keep
	if err != nil || k == nil {
		return out
	}
	out += fmt.Sprintf(" %d %t %t %+v", m.next, m.erred, m.left, m.account)
	out += fmt.Sprintf(" %d %t %d %q %t %d %t %d", k.due, k.warned, k.code, k.db, k.dbSure, k.era, k.overrun, k.lost)
	for _, st := range ordered(k.stmts) {
		out += fmt.Sprintf(" %d %q % x %v", st.id, st.text, st.types, st.effects)
	}
	return out
}

// FuzzMover: a session that can move comes out the same however its bytes are cut, so that what is passed over in one go
// is what is looked at packet by packet; and no kept bytes are forgotten or counted twice.
func FuzzMover(f *testing.F) {
	for _, r := range recordings {
		if tk, x := session(f, r.file); x.caps&capCompress == 0 && len(tk.steps) > 0 {
			f.Add(x.caps, x.ext, byte(kindMariaDB), fuzzSeed(tk))
			f.Add(x.caps, x.ext, byte(kindTiDB), fuzzSeed(tk))
		}
	}
	for _, line := range []string{
		"c:exec s:n2 s:def*2 s:eofC c:fetch s:brow s:eofL", "c:select s:n2 s:def s:err", "c:select s:n1 s:def s:eofM s:row s:eofM s:n1 s:def s:eof s:row s:eof",
		"c:select s:n2 s:def s:progress s:def s:eof s:row s:eof", "c:select s:n1none s:eof s:row s:eof", "c:load s:file c+data c+empty s:ok",
		"c:prepare s:prep12 s:def*2 s:eof s:def s:eof c:exec s1:ok c:close", "c:select s:n1 s:def s:eof s:row*300 s:eof",
	} {
		f.Add(classic.caps, uint32(0), byte(kindMariaDB), fuzzSeed(parseTalk(f, line)))
		f.Add(classic.caps|capDeprecateEOF, uint32(extCacheMetadata), byte(kindMySQL), fuzzSeed(parseTalk(f, line)))
	}
	f.Fuzz(func(t *testing.T, caps, ext uint32, kind byte, b []byte) {
		x := facts{caps: caps &^ (capCompress | capZstd), ext: ext, status: statusAutocommit}
		run := func(piece int) string {
			opt := &codec.MoveOptions{StateMax: 8 << 10, Functions: []string{"f"}}
			d := &diary{}
			m := newMover(x, d, opt, account{user: "app"}, []serverKind{kindMariaDB, kindMySQL, kindTiDB}[kind%3])
			var err error
			for _, s := range fuzzPieces(b) {
				if s.from == codec.Client {
					slow := *m
					if n, kill, hold := m.Intercept(s.bytes); m.cli.atBoundary() && m.plain(s.bytes) && (n != len(s.bytes) || kill != nil || hold) || slow.cli != m.cli {
						t.Fatalf("%q is not plain", s.bytes)
					}
				}
				if err = feed(m, s.from, s.bytes, piece); err != nil {
					break
				}
			}
			m.Undone()
			if k := m.keep; k != nil {
				size := 0
				for _, n := range k.notes {
					if size += n.size; n.stmt != nil && n.stmt.whole {
						size += keptOverhead + len(n.stmt.text)
					}
				}
				for _, st := range k.stmts {
					if size += len(st.types); st.whole {
						size += keptOverhead + len(st.text)
					}
				}
				for name, st := range k.named {
					if st.whole {
						size += keptOverhead + len(st.text) + len(name)
					}
				}
				for name := range k.names {
					size += fieldCost + len(name)
				}
				if err == nil && (size != k.size || size > opt.StateMax) {
					t.Fatalf("pieces of %d: %d bytes are counted, %d are kept", piece, k.size, size)
				}
			}
			return moverOutcome(m, d, err)
		}
		want := run(0)
		for _, piece := range []int{1, 2, 3, 7} {
			if got := run(piece); got != want {
				t.Fatalf("pieces of %d:\n got %s\nwant %s", piece, got, want)
			}
		}
	})
}

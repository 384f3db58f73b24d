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
		if c.read() != nil {
			return
		}
		for _, literal := range []bool{false, true} {
			if got := unquoted(quoteStates(states, literal), literal); got != states {
				t.Fatalf("%q came out as %q", states, got)
			}
		}
		less := withoutCharsets(states)
		var before, behind any
		if json.Unmarshal([]byte(states), &before) != nil {
			t.Fatal("read takes what is not JSON")
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

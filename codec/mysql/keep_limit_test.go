package mysql

import (
	"strings"
	"testing"

	"sluice/codec"
)

// TestKeepFile: what a client sends as its file, or as its proof, is read as a command nowhere, at whichever cut.
func TestKeepFile(t *testing.T) {
	opt := &codec.MoveOptions{StateMax: 64 << 10, Secret: func(string) codec.Secret { return codec.Secret{Password: "pw"} }}
	for _, data := range []string{"\x16select ?", "\x03create temporary table a (i int)", "\x03prepare p from 'select 1'", "\x1f", "\x02other",
		"\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x08\x00", "\x11u\x00\x00db\x00", "\xfa\x01\x00\x00\x00\x80\x00\x08\x00"} {
		clientWords["odddata"] = data
		for _, line := range []string{"c:load s:file c+odddata c+empty s:ok", "c:change s:switch c+odddata s:ok"} {
			for _, kind := range []serverKind{kindMariaDB, kindMySQL, kindTiDB} {
				var want string
				for _, piece := range []int{0, 1, 4, 7} {
					m := newMover(classic, nil, opt, account{user: "app"}, kind)
					for _, s := range parseTalk(t, "c:prepare s:prep12 s:def*2 s:eof s:def s:eof "+line).steps {
						if err := feed(m, s.from, s.bytes, piece); err != nil {
							t.Fatal(err)
						}
					}
					if m.Busy() != "" || m.Pin().Name != "" {
						t.Errorf("%q, %s, pieces of %d: busy %q, pin %v", line, kind, piece, m.Busy(), m.Pin())
					}
					if k := m.keep; k != nil {
						stmts := 1
						if strings.HasPrefix(line, "c:change") {
							stmts = 0
						}
						if len(k.stmts) != stmts || len(k.named) != 0 || len(k.notes) != 0 || k.gathering || k.size > keptOverhead+64 || k.size < 0 || stmts == 0 && k.size != 0 {
							t.Errorf("%q of %q, pieces of %d: %d statements, %d named, %d notes, %d bytes", data, line, piece, len(k.stmts), len(k.named), len(k.notes), k.size)
						}
						if k.db != "" && stmts == 1 {
							t.Errorf("%q of %q: database %q", data, line, k.db)
						}
					}
					if want == "" {
						want = m.account.user + m.account.database
					} else if got := m.account.user + m.account.database; got != want {
						t.Errorf("%q of %q, pieces of %d: %q", data, line, piece, got)
					}
				}
			}
		}
	}
}

// TestKeepAhead: what is noted of commands that a client sends ahead of their answers takes no more than may be kept of a
// session, and behind all answers nothing; the session is bound until a reset then.
func TestKeepAhead(t *testing.T) {
	const most = 64 << 10
	newID := func(tail string) string { return "\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00" + tail }
	for name, payload := range map[string]string{
		"database":   "\x02" + strings.Repeat("d", 4<<10),
		"prepare":    "\x03prepare p from '" + strings.Repeat("x", 4<<10) + "'",
		"many":       "\x03" + strings.Repeat("use a;", maxEffects),
		"execution":  newID(strings.Repeat("v", 4<<10)),
		"statement":  "\x16select '" + strings.Repeat("x", 4<<10) + "'",
		"executions": newID(""),
	} {
		m := newMover(classic, nil, &codec.MoveOptions{StateMax: most}, account{user: "app", proved: &proof{known: true}}, kindMariaDB)
		if err := m.Client(append(appendHeader(nil, 9, 0), "\x16select ?"...)); err != nil {
			t.Fatal(err)
		}
		n := 200
		if name == "executions" {
			n = maxOwed - 1 // each costs the same however many are owed
		}
		p := append(appendHeader(nil, len(payload), 0), payload...)
		for range n {
			if err := m.Client(p); err != nil {
				t.Fatal(err)
			}
		}
		kept := 0
		for _, n := range m.keep.notes {
			kept += len(n.front)
			for _, e := range n.effects {
				kept += len(e.name) + len(e.text)
			}
			if n.stmt != nil {
				kept += len(n.stmt.text)
			}
		}
		if m.keep.size > most || kept > most {
			t.Errorf("%s: %d bytes are counted, %d kept", name, m.keep.size, kept)
		}
		refused := errOf(1105, "no")
		for range n + 1 {
			if err := m.Server(append(appendHeader(nil, len(refused), 1), refused...)); err != nil {
				t.Fatal(err)
			}
		}
		if m.keep.size != 0 || len(m.keep.notes) != 0 || m.keep.due != 0 || m.keep.newest != nil {
			t.Errorf("%s: behind all answers %d bytes and %d notes are kept", name, m.keep.size, len(m.keep.notes))
		}
		if got := m.Pin().Name; (got == "state-size") != m.keep.overrun || m.keep.overrun == (name == "statement") {
			t.Errorf("%s: pin %q", name, got)
		}
		if err := m.Client([]byte("\x01\x00\x00\x00\x1f")); err != nil {
			t.Fatal(err)
		}
		if err := m.Server([]byte("\x07\x00\x00\x01" + plainOK)); err != nil {
			t.Fatal(err)
		}
		if m.Pin().Name != "" || m.keep.size != 0 {
			t.Errorf("%s: behind a reset %v, %d bytes", name, m.Pin(), m.keep.size)
		}
	}
}

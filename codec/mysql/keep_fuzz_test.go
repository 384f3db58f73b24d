package mysql

import (
	"bytes"
	"testing"

	"sluice/codec"
)

// texts to begin with.
var textSeeds = []string{
	"set @a = 'it''s', session sql_mode=\"ANSI\"", "create temporary table if not exists `a``b`.c (i int); drop table c, d",
	"prepare s from 'select ?, \\'x\\''", "execute immediate concat('a', 1)", "select get_lock('a', -1.5) as l", "do release_lock ( \"b\" )",
	"/*!40101 set names utf8 */ -- end", "begin not atomic select 1; end", "lock tables a read, b write", "handler a.b open as c",
	"xa start 'x'", "flush tables with read lock", "call p(@x)", "use `a", "select @`odd ``name`, @@x, 'a@b'", "# only\n;;; do 1",
}

// FuzzAnalyse: reading a text ends, takes no more than its limits, and finds nothing else when the text stands
// behind another or in pieces of a long one.
func FuzzAnalyse(f *testing.F) {
	for _, s := range textSeeds {
		f.Add([]byte(s))
	}
	functions := []string{"secretive"}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, _ := analyse(text, functions)
		if len(list) > maxEffects+1 {
			t.Fatalf("%d effects", len(list))
		}
		again, _ := analyse(append([]byte(" ;\n; "), text...), functions)
		if len(again) != len(list) {
			t.Fatalf("%v, behind empty statements %v", list, again)
		}
		_ = quiet(text, functions, true)
		if readsAlike(string(text)) && bytes.ContainsAny(text, "\"\\|") {
			t.Fatal("what is quoted or escaped is read alike")
		}
		var l loudness
		l.look(text, functions)
		for _, e := range list {
			if (e.kind == effUserLock && !l.lock) || (e.kind == effFunction && l.function == "") {
				t.Fatalf("%v is not found in the whole", e)
			}
		}
	})
}

// FuzzKeep: whatever clients say, what is kept stays within its bound and comes to nothing behind
// COM_RESET_CONNECTION; and the cuts do not matter.
func FuzzKeep(f *testing.F) {
	for i, s := range textSeeds {
		f.Add([]byte(s), byte(i), uint8(3))
	}
	commands := []byte{comQuery, comStmtPrepare, comStmtExecute, comBulkExecute, comInitDB}
	f.Fuzz(func(t *testing.T, body []byte, which, piece uint8) {
		kind := []serverKind{kindMariaDB, kindMySQL}[which/128]
		var pins [2]codec.Pin
		for i := range pins {
			m := newMover(classic, nil, &codec.MoveOptions{StateMax: 2 << 10, Functions: []string{"f"}},
				account{user: "app", proved: &proof{known: true}}, kind)
			payload := append([]byte{commands[int(which)%len(commands)]}, body...)
			p := append(appendHeader(nil, len(payload), 0), payload...)
			if err := feed(m, codec.Client, p, i*int(piece)); err != nil {
				return
			}
			if m.keep.size > 2<<10 || m.keep.size < 0 {
				t.Fatalf("%d bytes are kept", m.keep.size)
			}
			answer := errOf(1105, "no")
			if err := m.Server(append(appendHeader(nil, len(answer), 1), answer...)); err != nil {
				return
			}
			pins[i] = m.Pin()
			if len(m.keep.notes) > 0 {
				t.Fatalf("%d notes are left", len(m.keep.notes))
			}
			if err := feed(m, codec.Client, []byte("\x01\x00\x00\x00\x1f"), 0); err != nil {
				t.Fatal(err)
			}
			if err := m.Server([]byte("\x07\x00\x00\x01" + plainOK)); err != nil {
				t.Fatal(err)
			}
			if p := m.keep.pin(); p.Name != "" || m.keep.size != 0 {
				t.Fatalf("behind a reset: %v, %d bytes", p, m.keep.size)
			}
		}
		if pins[0] != pins[1] {
			t.Fatalf("whole: %v, in pieces of %d: %v", pins[0], piece, pins[1])
		}
	})
}

// FuzzUserNames: names of user variables are found whatever stands around, and bounded.
func FuzzUserNames(f *testing.F) {
	for _, s := range textSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k := &keep{m: newMover(classic, nil, &codec.MoveOptions{StateMax: 1 << 20}, account{user: "app"}, kindMySQL)}
		k.noteNames(append(text, " @sure "...))
		if len(k.names) > maxNames {
			t.Fatalf("%d names", len(k.names))
		}
		if _, there := k.names["sure"]; !there && !k.tooMany && !bytes.ContainsAny(text, "@") {
			t.Fatal("a name is missing")
		}
	})
}

// FuzzTypes: the place of an execution's types lies within it.
func FuzzTypes(f *testing.F) {
	f.Add([]byte("\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x08\x00\x07"), uint16(1), false)
	f.Add([]byte("\x17\x01\x00\x00\x00\x08\x01\x00\x00\x00\x01\x00\x01\x08\x00\x01a\x07"), uint16(1), true)
	f.Add([]byte("\xfa\x01\x00\x00\x00\x80\x00\x08\x00\x00\x07"), uint16(1), false)
	f.Fuzz(func(t *testing.T, b []byte, params uint16, attributes bool) {
		caps := uint32(0)
		if attributes {
			caps = capQueryAttributes
		}
		at := findTypes(b, params, caps)
		if at.bound && (!at.ok || at.from > at.to || at.to > len(b)) {
			t.Fatalf("%+v of %d bytes", at, len(b))
		}
		if at.ok && at.flag >= len(b) {
			t.Fatalf("%+v of %d bytes", at, len(b))
		}
	})
}

package mysql

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sluice/codec"
)

// moverIn returns a mover whose session has had a talk.
func moverIn(t testing.TB, x facts, kind serverKind, line string) *Mover {
	t.Helper()
	m := newMover(x, nil, &codec.MoveOptions{StateMax: 64 << 10}, account{user: "app", proved: &proof{known: true}}, kind)
	for _, s := range parseTalk(t, line).steps {
		if s.check != "" {
			t.Fatal("checks are not for this")
		}
		if err := feed(m, s.from, s.bytes, 0); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// bytesOf is what the client sends in a talk.
func bytesOf(t testing.TB, line string) (b []byte) {
	t.Helper()
	for _, s := range parseTalk(t, line).steps {
		b = append(b, s.bytes...)
	}
	return b
}

// TestGate: what goes on while a move waits. The bytes in front of "|" do, those behind it wait.
func TestGate(t *testing.T) {
	clientWords["savepoint"], clientWords["commit"] = "\x03savepoint a", "\x03commit"
	clientWords["start"], clientWords["big"] = "\x03start transaction", "\x03begin"+strings.Repeat(" ", maxBegin)
	tests := []struct {
		name, before, client string
		askable              bool // with what waits
	}{
		{"at rest all waits", "", "| c:select c:ping", true},
		{"nothing new behind what is owed", "c:select", "| c:select", false},
		{"the first statement of a transaction waits at rest", "", "| c:begin c:select", true},
		{"in a transaction it goes on", "c:begin s:okT", "c:select |", false},
		{"one at a time", "c:begin s:okT", "c:select | c:select", false},
		{"behind COMMIT the answer is waited for", "c:begin s:okT", "c:commit | c:begin", false},
		{"BEGIN in a transaction waits", "c:begin s:okT", "| c:begin c:select", true},
		{"so does START TRANSACTION", "c:begin s:okT", "| c:start", true},
		{"a savepoint goes on", "c:begin s:okT", "c:savepoint |", false},
		{"a long text is no BEGIN", "c:begin s:okT", "c:big |", false},
		{"without autocommit as well", "c:select s:n1 s:def s:eofT s:row s:eofT", "c:commit | c:select", false},
		{"and at rest", "c:select s:n1 s:def s:eofT s:row s:eofT c:commit s:okN", "| c:select", true},
		{"long data goes on to their statement", "c:long", "c:exec | c:select", false},
		{"more of them as well", "c:long", "c:long c:exec | c:select", false},
		{"an open cursor is read on", "c:exec s:n1 s:def s:eofC", "c:fetch | c:fetch", false},
		{"and closed", "c:exec s:n1 s:def s:eofC", "c:close c:ping | c:select", false},
		{"a cursor in a transaction: no BEGIN ahead", "c:begin s:okT c:exec s1:n1 s:def s:eofC c:begin s1:okT", "| c:begin", false},
		{"in doubt, a BEGIN tells", "c:call s:err", "| c:begin", true},
		{"in doubt, another statement goes on", "c:call s:err", "c:select |", false},
		{"a file goes on", "c:load s:file", "c+data c+empty |", false},
		{"credentials go on", "c:change s:switch", "c+auth |", false},
		{"the client's goodbye in a transaction", "c:begin s:okT", "c:quit |", false},
		{"a change of user ends a transaction", "c:begin s:okT", "c:change | c:begin", false},
		{"and so does a reset", "c:begin s:okT", "c:resetconn | c:begin", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := moverIn(t, classic, kindTiDB, test.before)
			front, behind, _ := strings.Cut(test.client, "|")
			go_, wait := bytesOf(t, front), bytesOf(t, behind)
			if strings.Contains(test.before, "s:file") || strings.Contains(test.before, "s:switch") {
				for i := 3; i < len(go_); i += 4 + int(packetLen(go_[i-3:])) {
					go_[i] += m.next // the count of the exchange goes on
				}
			}
			all := append(bytes.Clone(go_), wait...)
			if n := m.Gate(all); n != len(go_) {
				t.Fatalf("%d of %d bytes go on, want %d", n, len(all), len(go_))
			}
			// Cut anywhere: what is held back is given again, with more behind it.
			for cut := range len(all) {
				m := moverIn(t, classic, kindTiDB, test.before)
				sent, held := 0, []byte(nil)
				for _, part := range [][]byte{all[:cut], all[cut:]} {
					held = append(held, part...)
					n := m.Gate(held)
					if n > len(held) {
						t.Fatalf("cut at %d: %d bytes of %d", cut, n, len(held))
					}
					if err := m.Client(held[:n]); err != nil {
						t.Fatalf("cut at %d: %v", cut, err)
					}
					sent, held = sent+n, held[n:]
				}
				if sent < len(go_) && m.Busy() == "" {
					continue // what took the session out of what kept it busy was seen to do so
				}
				if sent != len(go_) || !bytes.Equal(held, wait) {
					t.Fatalf("cut at %d: %d bytes go on, want %d", cut, sent, len(go_))
				}
			}
			if err := m.Client(go_); err != nil {
				t.Fatal(err)
			}
			if got := m.Askable(wait); got != test.askable {
				t.Errorf("askable is %t", got)
			}
			if m.Askable(nil) != (m.Busy() == "") {
				t.Error("askable without anything held")
			}
		})
	}
}

// TestGateLongMessage: a message that has begun goes on to its end, also one of several packets.
func TestGateLongMessage(t *testing.T) {
	m := moverIn(t, classic, kindTiDB, "")
	front := append(appendHeader(nil, fullLen, 0), comQuery)
	if err := m.Client(front); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, fullLen-1)
	if n := m.Gate(body); n != len(body) {
		t.Fatalf("%d bytes go on", n)
	}
	if err := m.Client(body); err != nil {
		t.Fatal(err)
	}
	rest := append(append(appendHeader(nil, 3, 1), "abc"...), bytesOf(t, "c:ping")...)
	for _, cut := range []int{0, 1, 4, 6} {
		m2 := *m
		m2.mover = &m2
		if err := m2.Client(rest[:cut]); err != nil {
			t.Fatal(err)
		}
		// While the header of a packet that goes on is not whole nothing of it can be told apart.
		if n := m2.Gate(rest[cut:]); n != 7-cut && !(cut < 4 && n == len(rest)-cut) {
			t.Errorf("cut at %d: %d bytes go on", cut, n)
		}
	}
}

// TestGateCompressed: in a compressed session nothing is looked into.
func TestGateCompressed(t *testing.T) {
	m := newMover(zlibbed, nil, &codec.MoveOptions{}, account{user: "app"}, kindTiDB)
	ping := pack(t, false, true, 0, bytesOf(t, "c:ping"))
	if n := m.Gate(ping); n != 0 {
		t.Errorf("at rest %d bytes go on", n)
	}
	m.Client(ping[:5])
	if n := m.Gate(ping[5:]); n != len(ping)-5 {
		t.Errorf("of a frame that has begun %d bytes go on", n)
	}
	m.Client(ping[5:])
	if n := m.Gate(ping); n != 0 {
		t.Errorf("behind what is owed %d bytes go on", n)
	}
	m.Server(pack(t, false, true, 1, []byte("\x07\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00")))
	begin := pack(t, false, true, 0, bytesOf(t, "c:begin"))
	if n := m.Gate(begin); n != len(begin) || m.Askable(begin) {
		t.Errorf("in a transaction %d bytes go on", n)
	}
}

// TestIsBegin: statements that surely end a transaction by beginning another.
func TestIsBegin(t *testing.T) {
	tests := []struct {
		text       string
		tidb, both bool
	}{
		{"BEGIN", true, true},
		{"begin ;", true, true},
		{" /* x */ Begin work -- done", true, true},
		{"START TRANSACTION", true, true},
		{"start\ttransaction with consistent snapshot;", true, true},
		{"BEGIN PESSIMISTIC", true, false},
		{"BEGIN OPTIMISTIC", true, false},
		{"BEGIN NOT ATOMIC", false, false},
		{"BEGIN; SELECT 1", false, false},
		{"START TRANSACTION READ ONLY", false, false},
		{"START TRANSACTION WITH CAUSAL CONSISTENCY ONLY", false, false},
		{"START SLAVE", false, false},
		{"STARTTRANSACTION", false, false},
		{"BEGINNING", false, false},
		{"BEGIN /* no end", false, false},
		{"/*!40000 BEGIN */", false, false},
		{"COMMIT", false, false},
		{"", false, false},
	}
	for _, test := range tests {
		for _, kind := range []serverKind{kindMySQL, kindMariaDB, kindTiDB} {
			for _, x := range []facts{moveClassic, moveAttributes} {
				m := newMover(x, nil, &codec.MoveOptions{}, account{user: "app"}, kind)
				payload := appendQuery(nil, x.caps, test.text)
				want := test.both || test.tidb && kind == kindTiDB
				if got := m.isBegin(payload); got != want {
					t.Errorf("%s, %q: %t", kind, test.text, got)
				}
				if want && !m.mayBegin(payload) {
					t.Errorf("%s, %q: the front rules it out", kind, test.text)
				}
			}
		}
	}
}

// TestMoveAtBegin: a session that never leaves a transaction moves at its next BEGIN, behind the COMMIT that the
// BEGIN implies.
func TestMoveAtBegin(t *testing.T) {
	held := string(appendCommand(nil, 0, []byte("\x03BEGIN"))) + "\x01\x00\x00\x00\x0e"
	inside := func(s script) *moveRun {
		s.held = held
		r := newRun(t, &s)
		if err := r.m.Client([]byte("\x06\x00\x00\x00\x03begin")); err != nil {
			t.Fatal(err)
		}
		if err := r.m.Server([]byte("\x07\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00")); err != nil || r.m.Busy() != "transaction" {
			t.Fatal(err, r.m.Busy())
		}
		return r
	}
	t.Run("moves", func(t *testing.T) {
		r := inside(script{})
		if op := r.run(); op != codec.OpReady || r.v.Drop() != 0 || len(r.client) > 0 || r.log[0] != "old: "+commitText {
			t.Errorf("%v, %v, drop %d, log %q", op, r.v.Refusal(), r.v.Drop(), r.log)
		}
		r.alive()
	})
	t.Run("the COMMIT fails", func(t *testing.T) {
		no := errOf(8022, "Error: KV error safe to retry, write conflict")
		for _, piece := range []int{0, 1} {
			r := inside(script{say: map[string][]string{atCommit: {no}}, piece: piece})
			op := r.run()
			want := string(r.frame(1, false, []string{no}))
			if op != codec.OpClose || r.v.Refusal() == nil || r.v.Drop() != 4+6 || string(r.client) != want || r.v.Owes() {
				t.Fatalf("%v, %v, drop %d, client %q", op, r.v.Refusal(), r.v.Drop(), r.client)
			}
			if r.m.Busy() != "transaction" {
				t.Errorf("behind an error of COMMIT nobody knows whether the transaction is over, but busy is %q", r.m.Busy())
			}
		}
	})
	t.Run("a transaction is open behind it", func(t *testing.T) {
		r := inside(script{say: map[string][]string{atCommit: {"\x00\x00\x00\x03\x00\x00\x00"}}})
		if op := r.run(); op != codec.OpClose || !errors.Is(r.v.Refusal(), errStillOpen) || r.v.Drop() != 0 || r.m.Busy() != "transaction" {
			t.Errorf("%v, %v, drop %d, busy %q", op, r.v.Refusal(), r.v.Drop(), r.m.Busy())
		}
	})
	t.Run("the move fails behind it", func(t *testing.T) {
		r := inside(script{say: map[string][]string{atShow: {errOf(1105, "oops")}}})
		if op := r.run(); op != codec.OpClose || r.v.Drop() != 0 || len(r.client) > 0 {
			t.Errorf("%v, drop %d, client %q", op, r.v.Drop(), r.client)
		}
		r.alive() // and the BEGIN goes to the old server
	})
	t.Run("given up before its answer", func(t *testing.T) {
		for _, said := range []string{plainOK, errOf(8022, "write conflict")} {
			r := inside(script{giveUp: atCommit, say: map[string][]string{atCommit: {said}}})
			r.late = true
			r.run()
			if !r.v.Owes() {
				t.Fatal("nothing is owed")
			}
			r.over = false
			r.give(codec.LegOld, r.owing[0])
			r.client = append(r.client, r.v.Take(codec.LegClient)...)
			failed := said != plainOK
			if r.v.Owes() || (r.v.Drop() > 0) != failed || (len(r.client) > 0) != failed {
				t.Errorf("owes %t, drop %d, client %q", r.v.Owes(), r.v.Drop(), r.client)
			}
		}
	})
	t.Run("the server is lost before its answer", func(t *testing.T) {
		r := inside(script{lost: atCommit})
		var e codec.Error
		if op := r.run(); op != codec.OpClose || !errors.As(r.v.Refusal(), &e) || e.Cond != codec.TxUnknown {
			t.Errorf("%v, %v", op, r.v.Refusal())
		}
	})
	t.Run("not without a BEGIN", func(t *testing.T) {
		r := inside(script{})
		if r.m.Askable(nil) || r.m.Askable([]byte(held[:5])) || r.m.Askable([]byte("\x01\x00\x00\x00\x0e")) {
			t.Error("askable in a transaction")
		}
	})
}

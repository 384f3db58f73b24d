package mysql

import (
	"encoding/binary"
	"errors"
	"testing"

	"sluice/codec"
)

// TestOwedLimit: a client that never waits is stopped, and what a burst took is given back.
func TestOwedLimit(t *testing.T) {
	ping, ok := []byte("\x01\x00\x00\x00\x0e"), []byte("\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00")
	f := newFollower(classic, nil)
	for i := range maxOwed {
		if err := f.Client(ping); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := f.Client(ping); !errors.Is(err, errTooMuchOwed) || f.Owed() != maxOwed {
		t.Errorf("%v, %d owed", err, f.Owed())
	}
	for i := range maxOwed {
		if err := f.Server(ok); err != nil {
			t.Fatal(i, err)
		}
	}
	if f.Owed() != 0 || f.owed.ring != nil || f.Busy() != "" {
		t.Errorf("%d owed, %d kept, busy %q", f.Owed(), len(f.owed.ring), f.Busy())
	}
}

// TestOwedOrder keeps the order while the queue grows and wraps round.
func TestOwedOrder(t *testing.T) {
	var q owedQueue
	in, out := uint32(0), uint32(0)
	for round := range 300 {
		for range 1 + round%7 {
			q.push(owedCommand{stmt: in})
			in++
			if q.last().stmt != in-1 {
				t.Fatal("last")
			}
		}
		for range 1 + round%5 {
			if q.n == 0 {
				break
			}
			if q.head().stmt != out {
				t.Fatalf("%d, want %d", q.head().stmt, out)
			}
			out++
			q.pop()
		}
	}
}

// TestStatementLimit: with more open statements than are remembered a session counts as busy until the
// server has dropped them all.
func TestStatementLimit(t *testing.T) {
	f := newFollower(classic, nil)
	long := func(id uint32) {
		p := binary.LittleEndian.AppendUint32([]byte("\x18"), id)
		if err := f.Client([]byte(message(string(p) + "\x00\x00x"))); err != nil {
			t.Fatal(err)
		}
	}
	closeIt := func(id uint32) {
		p := binary.LittleEndian.AppendUint32([]byte("\x19"), id)
		if err := f.Client([]byte(message(string(p)))); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint32(maxOpenStatements) {
		long(id)
		long(id)
	}
	for id := range uint32(maxOpenStatements) {
		closeIt(id)
	}
	if f.Busy() != "" {
		t.Fatalf("busy %q", f.Busy())
	}
	for id := range uint32(maxOpenStatements + 1) {
		long(id)
	}
	for id := range uint32(maxOpenStatements + 1) {
		closeIt(id)
	}
	if f.Busy() != "long-data" || len(f.open.list) > maxOpenStatements {
		t.Errorf("busy %q, %d kept", f.Busy(), len(f.open.list))
	}
	for _, s := range parseTalk(t, "c:resetconn s:ok").steps {
		if err := feed(f, s.from, s.bytes, 0); err != nil {
			t.Fatal(err)
		}
	}
	if f.Busy() != "" {
		t.Errorf("busy %q behind a reset", f.Busy())
	}
}

// TestColumnLimit: no server has so many columns.
func TestColumnLimit(t *testing.T) {
	for count, ok := range map[string]bool{"\xfc\x00\x10": true, "\xfd\x00\x00\x01": true, "\xfd\x01\x00\x01": false,
		"\xfe\xff\xff\xff\xff\xff\xff\xff\xff": false, "\xfc\x00": false} {
		f := newFollower(classic, nil)
		f.Client([]byte(message("\x03select 1")))
		err := f.Server(append(appendHeader(nil, len(count), 1), count...))
		if (err == nil) != ok {
			t.Errorf("%x: %v", count, err)
		}
	}
}

// TestFullPackets: messages of 16 MiB and more come in several packets, in both directions and for
// every kind of content; an exact multiple ends with an empty one. // pitfall 64
func TestFullPackets(t *testing.T) {
	full := make([]byte, fullLen)
	send := func(f *Follower, from codec.Side, first string, lengths ...int) {
		t.Helper()
		seq := uint8(0)
		if from == codec.Server {
			seq = f.owed.head().seq
			if f.replied {
				seq = f.next
			}
		} else if f.infile {
			seq = f.next
		}
		for i, n := range lengths {
			copy(full, make([]byte, 8))
			if i == 0 {
				copy(full, first)
			}
			b := append(appendHeader(nil, n, seq), full[:n]...)
			if err := feed(f, from, b, 1<<20); err != nil {
				t.Fatal(err)
			}
			seq++
			if i < len(lengths)-1 && !f.Mid(from) {
				t.Fatalf("behind packet %d of %d the message counts as whole", i, len(lengths))
			}
		}
		if f.Mid(from) {
			t.Fatal("the message does not end")
		}
	}
	f := newFollower(classic, nil)
	send(f, codec.Client, "\x03insert", fullLen, fullLen, 0) // exact multiple
	send(f, codec.Server, "\x00\x00\x00\x02\x00\x00\x00", 7)
	if f.Owed() != 0 {
		t.Fatal("the answer to a long command has another count")
	}
	send(f, codec.Client, "\x03select", 20)
	for _, w := range []string{"n1", "def", "eof"} {
		send(f, codec.Server, serverWords[w], len(serverWords[w]))
	}
	// pitfall 57: a row that begins with 0xfe because its first field is that long
	send(f, codec.Server, "\xfe\x00\x00\x00\x01\x00\x00\x00\x00", fullLen, 100)
	send(f, codec.Server, "\xfb", fullLen, 0)
	send(f, codec.Server, serverWords["eof"], 5)
	if f.Owed() != 0 || f.Busy() != "" {
		t.Fatalf("classic: %d owed, busy %q", f.Owed(), f.Busy())
	}
	f = newFollower(deprecate, nil)
	send(f, codec.Client, "\x03select", 20)
	send(f, codec.Server, serverWords["n1"], 1)
	send(f, codec.Server, serverWords["def"], len(serverWords["def"]))
	send(f, codec.Server, "\xfe\x00\x00\x00\x01\x00\x00\x00\x00", fullLen, 0)
	if f.Owed() != 1 {
		t.Fatal("a long row was taken for the end")
	}
	send(f, codec.Server, serverWords["end"], 7)
	// A file's full packet does not end it, nor does the empty packet that ends the full one.
	send(f, codec.Client, clientWords["load"], len(clientWords["load"]))
	send(f, codec.Server, "\xfbf", 2)
	send(f, codec.Client, "a", fullLen, 0)
	if f.Busy() != "infile" {
		t.Fatal("the file has ended early")
	}
	send(f, codec.Client, "", 0)
	send(f, codec.Server, serverWords["ok"], 7)
	if f.Busy() != "" {
		t.Errorf("busy %q", f.Busy())
	}
}

// TestRefusedWhileSent: a server may refuse a command before it is whole. // pitfall 80
func TestRefusedWhileSent(t *testing.T) {
	d := &diary{}
	f := newFollower(classic, d)
	if err := f.Client(append(appendHeader(nil, fullLen, 0), "\x03insert into t values ('"...)); err != nil {
		t.Fatal(err)
	}
	big := serverWords["big"]
	if err := f.Server(append(appendHeader(nil, len(big), 1), big...)); err != nil {
		t.Fatal(err)
	}
	if f.Owed() != 0 || f.Busy() != "message" || !f.Ending() || d.String() != "+query .query !query " {
		t.Errorf("%d owed, busy %q, ending %t, %s", f.Owed(), f.Busy(), f.Ending(), d)
	}
	if err := f.Client(make([]byte, 1000)); err != nil { // the client has not read it yet
		t.Error(err)
	}
}

// TestGoodbye fits a session at a safe point, compressed or not.
func TestGoodbye(t *testing.T) {
	for _, x := range []facts{classic, zlibbed} {
		f := newFollower(x, nil)
		if err := f.Client(f.AppendGoodbye(nil)); err != nil || !f.Ending() {
			t.Errorf("compressed %t: %v, ending %t", f.z != nil, err, f.Ending())
		}
	}
}

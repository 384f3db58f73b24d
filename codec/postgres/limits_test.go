package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"sluice/codec"
)

// idle returns a follower at a safe point.
func idle(t testing.TB, w codec.Watcher) *follower {
	t.Helper()
	f := newFollower(w)
	if err := f.Server(messages(t, codec.Server, "SSKZ")); err != nil {
		t.Fatal(err)
	}
	if busy := f.Busy(); busy != "" {
		t.Fatalf("busy with %q", busy)
	}
	return f
}

// TestLengths holds each side to the lengths of its messages. Nothing may be read of a body whose
// length is out of bounds (pitfall 25).
func TestLengths(t *testing.T) {
	for _, side := range []codec.Side{codec.Client, codec.Server} {
		rules := clientRules
		if side == codec.Server {
			rules = serverRules
		}
		for typ := range 256 {
			r := rules[typ]
			lengths := []uint32{0, 1, 3, 4, 5, 1 << 31, 1<<32 - 1, r.max + 1}
			if r.min > 0 {
				lengths = append(lengths, r.min-1, r.min, r.max)
			}
			for _, n := range lengths {
				f := idle(t, nil)
				if side == codec.Server {
					f.replied = true                      // an answer is under way
					f.hasKey, f.login = false, typ == 'K' // whose time is the login
				}
				err := feed(f, side, binary.BigEndian.AppendUint32([]byte{byte(typ)}, n))
				if allowed := r.max > 0 && n >= r.min && n <= r.max; (err == nil) != allowed {
					t.Errorf("the %v sends type %q with length %d: %v", side, rune(typ), n, err)
				}
			}
		}
	}
}

func feed(f *follower, s codec.Side, p []byte) error {
	if s == codec.Client {
		return f.Client(p)
	}
	return f.Server(p)
}

// TestUnasked breaks off a session whose server says what nobody asked for.
func TestUnasked(t *testing.T) {
	for _, script := range []string{
		"< Z", "< T", "< C", "< D", "< 1", "< G", "< W", "< V", "< d",
		"> Q < CZZ", "> Q < CZC", "> S < ZZ", "> H < Z", "> PBE < 12CZ", "< K", "> Q < CZ(X)",
	} {
		if _, err := parseScript(t, script).run(t, whole); err == nil {
			t.Errorf("%s: no error", script)
		}
	}
}

// TestUnknownType tells what came, in words for a log.
func TestUnknownType(t *testing.T) {
	f := idle(t, nil)
	err := f.Client([]byte{'y', 0, 0, 0, 4})
	if err == nil || !strings.Contains(err.Error(), "client sent a message of unknown type 0x79") {
		t.Errorf("got %v", err)
	}
	err = f.Server([]byte{'Z', 0, 0, 0, 9})
	if err == nil || !strings.Contains(err.Error(), `server sent a message of type 'Z' with length 9`) {
		t.Errorf("got %v", err)
	}
}

// TestQueueLimit sends requests until no more are taken.
func TestQueueLimit(t *testing.T) {
	requests := []string{"Q", "PS", "S", "F", "PQ"}
	if raceDetector {
		requests = requests[:2]
	}
	for _, request := range requests {
		f := idle(t, nil)
		msg := bytes.Repeat(messages(t, codec.Client, request), 64)
		var err error
		n := 0
		for ; err == nil && n <= maxQueue; n += 64 {
			err = f.Client(msg)
		}
		if !errors.Is(err, errTooDeep) {
			t.Errorf("%s: after %d: %v", request, n, err)
		}
		if got := len(f.queue.ring()); got > maxQueue {
			t.Errorf("%s: the queue has %d bytes", request, got)
		}
	}
}

// TestQueueIgnoresRepetition shows what a client can't fill the queue with: a long group, and the
// end of a COPY again and again.
func TestQueueIgnoresRepetition(t *testing.T) {
	f := idle(t, nil)
	msg := messages(t, codec.Client, "PBDECHccf")
	for range 10000 {
		if err := f.Client(msg); err != nil {
			t.Fatal(err)
		}
	}
	if f.queue.size > smallQueue {
		t.Errorf("the queue has %d bytes", f.queue.size)
	}
	if f.Owed() != 1 {
		t.Errorf("owed %d", f.Owed())
	}
}

// TestQueueIsGivenBack grows the queue by a deep pipeline and sees it shrink behind it.
func TestQueueIsGivenBack(t *testing.T) {
	f := idle(t, nil)
	const deep = 100_000
	request, answer := messages(t, codec.Client, "PS"), messages(t, codec.Server, "1Z")
	for range deep {
		if err := f.Client(request); err != nil {
			t.Fatal(err)
		}
	}
	if f.Owed() != deep {
		t.Fatalf("owed %d", f.Owed())
	}
	for n := deep - 1; n >= 0; n-- {
		if err := f.Server(answer); err != nil {
			t.Fatal(err)
		}
		if f.Owed() != n {
			t.Fatalf("owed %d, want %d", f.Owed(), n)
		}
	}
	if f.queue.big != nil {
		t.Errorf("%d bytes are kept", len(f.queue.big))
	}
}

// TestQueueRing lets the ring turn over at every place and size, beside a plain slice.
func TestQueueRing(t *testing.T) {
	var q queue
	var model []byte
	next := byte(1)
	for round := range 700 {
		for range round % 37 {
			if !q.push(next) {
				t.Fatal("full")
			}
			model = append(model, next)
			next = next%100 + 1
		}
		if n := uint32(round % 29); n > 0 && n <= q.size {
			q.pop(n)
			q.unpop(200)
			model = append([]byte{200}, model[n:]...)
		}
		if int(q.size) != len(model) {
			t.Fatalf("size %d, want %d", q.size, len(model))
		}
		for i, want := range model {
			if got := q.at(uint32(i)); got != want {
				t.Fatalf("round %d, place %d: got %d, want %d", round, i, got, want)
			}
		}
	}
}

// TestCopyEndsAreCounted reaches the limit of the count in one token.
func TestCopyEndsAreCounted(t *testing.T) {
	var q queue
	q.push(tokQuery)
	for range 3 * maxCopyEnds {
		q.pushCopyEnd()
	}
	if q.size != 2 || q.at(1) != tokCopyEnd|maxCopyEnds {
		t.Errorf("size %d, token %x", q.size, q.at(1))
	}
}

// TestKey reads BackendKeyData of protocol 3.0 and 3.2, at every cut (pitfall 32).
func TestKey(t *testing.T) {
	for _, n := range []int{1, 4, 32, 256} {
		secret := strings.Repeat("s", n-1) + "\x00"
		msg := messages(t, codec.Server, "K("+secret+")")
		for _, cut := range cuttings(len(msg)) {
			f := newFollower(nil)
			for piece := range cut.pieces(msg) {
				if _, ok := f.Key(); ok {
					t.Fatal("a key before its end")
				}
				if err := f.Server(piece); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := f.Key(); !ok || got != (codec.Key{ID: 7, Secret: secret}) {
				t.Fatalf("%s: got %v, %v", cut.name, got, ok)
			}
		}
	}
}

// TestNoKey is a server that gives none (pitfall 33).
func TestNoKey(t *testing.T) {
	f := newFollower(nil)
	if err := f.Server(messages(t, codec.Server, "SZ")); err != nil {
		t.Fatal(err)
	}
	if k, ok := f.Key(); ok || k != (codec.Key{}) {
		t.Errorf("got %v, %v", k, ok)
	}
	if busy := f.Busy(); busy != "" {
		t.Errorf("busy with %q", busy)
	}
}

// TestBeforeTheFirstReadyForQuery follows what a server says between AuthenticationOk and the first
// ReadyForQuery, to a client that may have spoken already.
func TestBeforeTheFirstReadyForQuery(t *testing.T) {
	log := &listener{}
	f := newFollower(log)
	give := func(s codec.Side, word, wantBusy string, wantOwed int) {
		t.Helper()
		if err := feed(f, s, messages(t, s, word)); err != nil {
			t.Fatal(err)
		}
		if f.Busy() != wantBusy || f.Owed() != wantOwed {
			t.Fatalf("after %s: busy %q, owed %d", word, f.Busy(), f.Owed())
		}
	}
	give(codec.Server, "SNS", "login", 0)
	give(codec.Client, "Q", "login", 1)
	give(codec.Server, "KZ", "owed", 1)
	give(codec.Server, "CZ", "", 0)
	if want := "+query ~query -query"; log.String() != want {
		t.Errorf("got %s, want %s", log, want)
	}

	f = newFollower(nil)
	give(codec.Server, "SE(FATAL)", "login", 0)
	if !f.Ending() {
		t.Error("a FATAL during login is no end")
	}

	f = newFollower(nil)
	if err := f.Server(messages(t, codec.Server, "C")); err == nil {
		t.Error("CommandComplete during login is followed")
	}
}

// TestMid stands inside messages, by each of their bytes.
func TestMid(t *testing.T) {
	f := idle(t, nil)
	q, answer := messages(t, codec.Client, "Q(select 1)"), messages(t, codec.Server, "D")
	for i := range q {
		if err := f.Client(q[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if got, want := f.Mid(codec.Client), i+1 < len(q); got != want || f.Mid(codec.Server) {
			t.Fatalf("after byte %d of the client: %v", i, got)
		}
		if i+1 < headerSize && f.Busy() != "message" {
			t.Fatalf("after byte %d of the client: busy %q", i, f.Busy())
		}
	}
	for i := range answer {
		if err := f.Server(answer[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if got, want := f.Mid(codec.Server), i+1 < len(answer); got != want || f.Mid(codec.Client) {
			t.Fatalf("after byte %d of the server: %v", i, got)
		}
	}
}

// TestRowsBeginBetweenMessages gives a piece that begins inside a header and looks like a row.
func TestRowsBeginBetweenMessages(t *testing.T) {
	f := idle(t, nil)
	if err := f.Client(messages(t, codec.Client, "Q")); err != nil {
		t.Fatal(err)
	}
	data := message('d', "\x00\x00\x00\x06"+strings.Repeat("x", 0x44-8)) // its length ends in a D
	for _, p := range [][]byte{
		messages(t, codec.Server, "H"), data[:4], data[4:], messages(t, codec.Server, "cCZ"),
	} {
		if err := f.Server(p); err != nil {
			t.Fatal(err)
		}
	}
	if f.Owed() != 0 || f.Mid(codec.Server) {
		t.Errorf("owed %d, mid %v", f.Owed(), f.Mid(codec.Server))
	}
}

// TestStatement gives the watcher the text of what is run, as far as it is at hand.
func TestStatement(t *testing.T) {
	log := &listener{}
	f := idle(t, log)
	long := messages(t, codec.Client, "Q(select 'long')")
	for _, p := range [][]byte{
		messages(t, codec.Client, "Q(select 1)"),
		messages(t, codec.Client, "P(select 2)S"),
		messages(t, codec.Client, "Q(select '\xe4\xff')"), // pitfall 56: not UTF-8
		messages(t, codec.Client, "BES"),
		messages(t, codec.Client, "F"),
		messages(t, codec.Client, "S"),
		long[:headerSize+6], long[headerSize+6:],
		long[:headerSize], long[headerSize:],
		long[:3], long[3:],
	} {
		if err := f.Client(p); err != nil {
			t.Fatal(err)
		}
	}
	// Query and Parse give theirs, a group that begins with Bind has none, and three long ones were
	// cut: behind 6 bytes of text, in front of it, and inside the header, which the text then
	// follows.
	want := []string{"select 1", "select 2", "select '\xe4\xff'", "", "", "", "select", "", "select 'long'"}
	if got := fmt.Sprintf("%q", log.texts); got != fmt.Sprintf("%q", want) {
		t.Errorf("\ngot  %s\nwant %q", got, want)
	}
}

// TestFollowerSize keeps a follower small: there is one for each client.
func TestFollowerSize(t *testing.T) {
	if size := unsafe.Sizeof(follower{}); size > 192 {
		t.Errorf("a follower has %d bytes", size)
	}
}

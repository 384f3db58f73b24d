package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"sluice/codec"
)

// through gives a session bytes as they pass through it, in pieces, and returns what comes out on the other side.
func through(t testing.TB, m *Mover, side codec.Side, p []byte, piece int) (out []byte) {
	t.Helper()
	translate, follow := m.ToServer, m.Client
	if side == codec.Server {
		translate, follow = m.ToClient, m.Server
	}
	for len(p) > 0 {
		n := len(p)
		if piece > 0 {
			n = min(n, piece)
		}
		now := translate(bytes.Clone(p[:n]))
		p = p[n:]
		if err := follow(now); err != nil {
			t.Fatal(err)
		}
		out = append(out, now...)
	}
	return out
}

// says gives a session a command and what is answered, and returns what the server was sent and what the client was.
func says(t testing.TB, m *Mover, piece int, payload string, answers ...string) (toServer, toClient string) {
	t.Helper()
	sent := through(t, m, codec.Client, append(appendHeader(nil, len(payload), 0), payload...), piece)
	if int(packetLen(sent)) != len(sent)-headerLen {
		t.Fatalf("the header of % x is wrong", sent)
	}
	var all []byte
	for i, a := range answers {
		all = append(append(all, appendHeader(nil, len(a), uint8(i+1))...), a...)
	}
	return string(sent[headerLen:]), string(through(t, m, codec.Server, all, piece))
}

// replayMove moves a session of MariaDB to a server at which its statements have other ids.
func replayMove(t testing.TB, m *Mover) {
	t.Helper()
	s := &replayServers{version: "10.11", wrong: -1, vars: usualVars(), user: map[string]string{"n": "-3", "s": "4"}}
	s.c = newReplayCarrier(m).(*replayCarrier)
	lastLearnt.Store(nil)
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
	s.c.apply(&m.Follower)
}

// idIn is a command about a statement.
func idIn(command byte, id uint32, rest string) string {
	return string(append(binary.LittleEndian.AppendUint32([]byte{command}, id), rest...))
}

// prepareOK is the answer to a COM_STMT_PREPARE, with a parameter.
func prepareOK(id uint32) []string {
	return []string{string(append(binary.LittleEndian.AppendUint32([]byte{0}, id), "\x00\x00\x01\x00\x00\x00\x00"...)),
		serverWords["def"], serverWords["eof"]}
}

// once is the rest of an execution: no cursor, once.
const once = "\x00\x01\x00\x00\x00"

var pieces = []int{0, 1, 2, 3, 5, 9, 13}

// TestMovedTypes: a client that has bound the types of its parameters, and does not send them again, has them sent to the
// new server with the first execution there, and only with that.
func TestMovedTypes(t *testing.T) {
	const types, value, other = "\x08\x00", "\x07\x00\x00\x00\x00\x00\x00\x00", "\x03\x80\x07\x00\x00\x00"
	for _, piece := range pieces {
		m, _ := replayed(t)
		says(t, m, piece, idIn(comStmtExecute, 3, once+"\x00\x01"+types+value), plainOK)
		replayMove(t, m)
		id := m.keep.last.id
		for i, test := range []struct{ says, want string }{
			{once + "\x00\x00" + value, once + "\x00\x01" + types + value},
			{once + "\x00\x00" + value, once + "\x00\x00" + value},
			{once + "\x00\x01" + other, once + "\x00\x01" + other},
			{once + "\x01\x00", once + "\x01\x00"},
		} {
			got, _ := says(t, m, piece, idIn(comStmtExecute, 3, test.says), plainOK)
			if want := idIn(comStmtExecute, id, test.want); got != want {
				t.Errorf("pieces of %d, execution %d: % x, want % x", piece, i, got, want)
			}
		}
		// The types that were sent last are those that the next server needs.
		replayMove(t, m)
		got, _ := says(t, m, piece, idIn(comStmtExecute, 3, once+"\x00\x00"+other[2:]), plainOK)
		if want := idIn(comStmtExecute, m.keep.last.id, once+"\x00\x01"+other); got != want {
			t.Errorf("pieces of %d, behind another move: % x, want % x", piece, got, want)
		}
		// A client that sends types with its first execution needs no help.
		replayMove(t, m)
		got, _ = says(t, m, piece, idIn(comStmtExecute, 3, once+"\x00\x01"+types+value), plainOK)
		if want := idIn(comStmtExecute, m.keep.last.id, once+"\x00\x01"+types+value); got != want {
			t.Errorf("pieces of %d, types of its own: % x, want % x", piece, got, want)
		}
		if m.keep.last.unbound || m.Busy() != "" {
			t.Errorf("pieces of %d: unbound %t, busy %q", piece, m.keep.last.unbound, m.Busy())
		}
	}
}

// TestMovedIDs: behind a move, statements are closed, and their ids and those of the server's given to others, and none is
// taken for another one.
func TestMovedIDs(t *testing.T) {
	for _, piece := range pieces {
		m, _ := replayed(t) // which has 3
		for id := uint32(4); id <= 6; id++ {
			says(t, m, piece, "\x16select ?", prepareOK(id)...)
		}
		says(t, m, piece, idIn(comStmtClose, 5, "")) // closed in front of the move
		replayMove(t, m)
		server := func(client uint32) uint32 {
			got, _ := says(t, m, piece, idIn(comStmtReset, client, ""), plainOK)
			return binary.LittleEndian.Uint32([]byte(got[1:]))
		}
		if server(5) != goneStatement || server(99) != goneStatement {
			t.Errorf("what is closed is %#x, what never was %#x", server(5), server(99))
		}
		at4 := server(4)
		if got, _ := says(t, m, piece, idIn(comStmtClose, 4, "")); got != idIn(comStmtClose, at4, "") || server(4) != goneStatement {
			t.Errorf("closed is % x; 4 is %#x then", got, server(4))
		}
		// The server gives ids that the client knows: free ones pass, others do not.
		for _, given := range []uint32{4, 5, 3, 6} {
			_, got := says(t, m, piece, "\x16select ?", prepareOK(given)...)
			id := binary.LittleEndian.Uint32([]byte(got[headerLen+1:]))
			if free := given == 4 || given == 5; free != (id == given) || !free && id < ownIDs || server(id) != given {
				t.Errorf("the server gives %d, the client hears %#x, which is %#x there", given, id, server(id))
			}
		}
		if a, b := server(3), server(6); a < 100 || b < 100 || a == b {
			t.Errorf("the statements of before are %d and %d", a, b)
		}
		if n := len(m.keep.stmts); n != 6 || len(m.keep.ids.byID) != n {
			t.Errorf("pieces of %d: %d statements, %d ids", piece, n, len(m.keep.ids.byID))
		}
		says(t, m, piece, "\x1f", plainOK)
		if server(3) != goneStatement || m.keep.size != 0 {
			t.Errorf("behind a reset 3 is %#x, and %d bytes are kept", server(3), m.keep.size)
		}
	}
}

// TestMovedGone: what a client does with an id that it has no statement by does not meet a statement that the new server
// could not prepare.
func TestMovedGone(t *testing.T) {
	m, s := replayed(t)
	notFound := func(r *answer) {
		*r = answer{err: &serverFail{no: errNumber{1146, "42S02"}, text: "Table doesn't exist"}}
	}
	broken := func() bool {
		s.n, s.c = 0, newReplayCarrier(m).(*replayCarrier)
		if err := s.run(); err != nil {
			return false
		}
		s.c.apply(&m.Follower)
		st := m.keep.stmts[m.keep.last.id]
		return st != nil && st.broken
	}
	for s.wrong, s.how = 0, notFound; s.wrong < 40 && !broken(); s.wrong++ {
		m, s.c = func() (*Mover, *replayCarrier) { m, s := replayed(t); return m, s.c }()
	}
	st := m.keep.last
	if st == nil || !st.broken {
		t.Fatal("no statement is broken")
	}
	says(t, m, 0, idIn(comStmtClose, 99, ""))
	says(t, m, 0, idIn(comStmtExecute, 99, once+"\x00\x01\x08\x00\x07\x00\x00\x00\x00\x00\x00\x00"), errOf(1243, "Unknown prepared statement handler"))
	if m.keep.stmts[st.id] != st || len(st.types) > 0 {
		t.Fatalf("closing what is not there closes %d, types % x", st.client, st.types)
	}
	s.wrong = -1
	if broken() {
		t.Error("it is not prepared where it can be")
	}
	if got, _ := says(t, m, 0, idIn(comStmtReset, 3, ""), plainOK); got != idIn(comStmtReset, m.keep.last.id, "") {
		t.Errorf("it is % x", got)
	}
}

// TestMovedBusy: behind a move an open cursor and a parameter that was sent ahead bind the session to its new server, by
// whichever id, and until the client is done with them.
func TestMovedBusy(t *testing.T) {
	cursor := []string{"\x01", serverWords["def"], serverWords["eofC"]}
	for _, piece := range pieces {
		m, _ := replayed(t)
		replayMove(t, m)
		for i, test := range []struct {
			says    string
			answers []string
			busy    string
		}{
			{idIn(comStmtLongData, 3, "\x00\x00blob"), nil, "long-data"},
			{idIn(comStmtExecute, 3, once+"\x00\x01\xfc\x00"), []string{plainOK}, ""},
			{idIn(comStmtLongData, 3, "\x00\x00blob"), nil, "long-data"},
			{idIn(comStmtReset, 3, ""), []string{plainOK}, ""},
			{idIn(comStmtExecute, 3, "\x01\x01\x00\x00\x00\x01\x00"), cursor, "cursor"},
			{idIn(comStmtFetch, 3, "\x05\x00\x00\x00"), []string{serverWords["brow"], serverWords["eofC"]}, "cursor"},
			{idIn(comStmtFetch, 3, "\x05\x00\x00\x00"), []string{serverWords["eofL"]}, ""},
			{idIn(comStmtExecute, 3, "\x01\x01\x00\x00\x00\x01\x00"), cursor, "cursor"},
			{idIn(comStmtClose, 3, ""), nil, ""},
		} {
			got, _ := says(t, m, piece, test.says, test.answers...)
			if got[1:5] == test.says[1:5] {
				t.Fatalf("step %d: the id is the client's: % x", i, got)
			}
			if m.Busy() != test.busy || m.Askable(nil) != (test.busy == "") {
				t.Errorf("pieces of %d, step %d: busy %q, want %q", piece, i, m.Busy(), test.busy)
			}
		}
		if len(m.keep.stmts) != 0 || len(m.open.list) != 0 {
			t.Errorf("%d statements, %d open", len(m.keep.stmts), len(m.open.list))
		}
	}
}

// TestReplayOldLost: a server of MariaDB's that is lost while it is asked ends the move, at whichever byte of its answers;
// nothing is owed, nothing new is known, and what was known stays so.
func TestReplayOldLost(t *testing.T) {
	lastLearnt.Store(nil)
	said := []byte("\x01\x00\x00\x01\x06")
	for _, askOnly := range []bool{false, true} {
		for cut := range len(said) + 1 {
			m, _ := replayed(t)
			before := *m.keep
			v := m.NewMove(&codec.MoveConfig{AskOnly: askOnly}).(*move)
			if !askOnly {
				v.state = moveStandBy
			}
			if op := v.Ask(nil); op != codec.OpMore || len(v.Take(codec.LegOld)) == 0 {
				t.Fatalf("asked: %v, %v", op, v.Refusal())
			}
			if op := v.Server(codec.LegOld, said[:cut]); cut > 0 && op != codec.OpMore {
				t.Fatalf("%d bytes: %v, %v", cut, op, v.Refusal())
			}
			if op := v.OldLost(); op != codec.OpClose || !errors.Is(v.Refusal(), errOldLost) {
				t.Errorf("lost behind %d bytes: %v, %v", cut, op, v.Refusal())
			}
			if v.Owes() || m.Known() || m.Pin().Name != "" || m.Translates() || m.id != 0 ||
				fmt.Sprint(m.keep.pins, m.keep.size, m.keep.asked) != fmt.Sprint(before.pins, before.size, before.asked) {
				t.Errorf("lost behind %d bytes: owes %t, known %t, pin %v", cut, v.Owes(), m.Known(), m.Pin())
			}
		}
	}
	// One whose state is known goes on elsewhere.
	m, _ := replayed(t)
	m.marks = 0
	v := m.NewMove(&codec.MoveConfig{AskOnly: true})
	v.Ask(nil)
	if v.OldLost(); !m.Known() || v.Owes() {
		t.Error("what was known is known no more")
	}
}

package mysql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// TestMoveRefused: whatever a server says wrong, at whatever place, ends the move with a reason, and the session
// is where it was.
func TestMoveRefused(t *testing.T) {
	at := func(place string, payloads ...string) map[string][]string {
		return map[string][]string{place: payloads}
	}
	tests := []struct {
		name string
		s    script
		why  string
	}{
		{"the new server is full", script{say: at(atGreeting, "\xff\x10\x04Too many connections")}, "1040"},
		{"an older protocol", script{say: at(atGreeting, "\x09old\x00")}, "4.1"},
		{"a greeting without end", script{say: at(atGreeting, strings.Repeat("x", maxGreeting+1))}, "too long"},
		{"MySQL", script{version: "8.0.36"}, "MySQL, not TiDB"},
		{"MariaDB", script{version: "5.5.5-10.11.6-MariaDB"}, "MariaDB, not TiDB"},
		{"no TLS", script{caps: tidbCaps &^ capSSL, cfg: codec.MoveConfig{TLS: codec.TLSRequire}}, "TLS"},
		{"no end of rows", script{caps: tidbCaps &^ capDeprecateEOF}, "flags 0x1000000"},
		{"no compression", script{x: moveZlib, caps: tidbCaps &^ capCompress}, "flags 0x20"},
		{"other compression", script{x: moveZstd, caps: tidbCaps &^ capZstd}, "flags 0x4000000"},
		{"wrong token", script{say: at(atLogin, errOf(1045, "Access denied for user"))}, "login at the new server: 1045"},
		{"unknown database", script{say: at(atLogin, errOf(1049, "Unknown database"))}, "1049"},
		{"another plugin", script{say: at(atLogin, "\xfemysql_native_password\x00"+testSalt+"\x00")}, "does not take the proof"},
		{"a question", script{say: at(atLogin, "\x01\x04")}, "does not do for"},
		{"an empty answer", script{say: at(atLogin, "")}, "empty"},
		{"nonsense in the login", script{say: at(atLogin, "\x55")}, "not known"},
		{"half an OK", script{say: at(atLogin, "\x00\x00")}, "malformed"},
		{"sql_mode refused", script{say: at(atMode, errOf(1231, "Variable 'sql_mode' can't be set"))}, "sql_mode: 1231"},
		{"state refused", script{say: at(atStates, errOf(1146, "Table doesn't exist"))}, "state: 1146"},
		{"autocommit is not the same", script{status: statusInTrans}, "did not come out the same"},
		{"a transaction is open", script{status: statusAutocommit | statusInTrans}, "did not come out the same"},
		{"rows for a SET", script{say: at(atStates, "\x01", "\x03def")}, ""}, // and then nothing
		{"half an answer", script{say: at(atStates, "\x00\x00")}, "malformed"},
		{"an empty answer to a SET", script{say: at(atStates, "")}, "malformed"},
		{"a file", script{say: at(atStates, "\xfbfile")}, "malformed"},
		{"no rows", script{say: at(atShow, plainOK)}, "not known"},
		{"too many columns", script{say: at(atShow, "\x03")}, ""},
		{"a row that is no row", script{x: moveModern, say: at(atShow, "\x01", "x", "\xfc\xff\xff", "\xfe\x00\x00\x02\x00\x00\x00")}, "malformed"},
		{"not JSON", script{states: "{"}, "JSON"},
		{"a mode that is none", script{states: `{"sys-vars": {"sql_mode": "A'B"}}`}, "sql_mode"},
		{"another error", script{say: at(atShow, errOf(1105, "oops"))}, "1105"},
		{"a KILL QUERY meets the question", script{say: at(atShow, errOf(1317, "Query execution was interrupted"))}, "1317"},
		{"an error behind the columns", script{say: at(atShow, "\x02", "\x03def", "\x03def", errOf(1105, "oops"))}, "1105"},
	}
	for _, test := range tests {
		for _, x := range []facts{moveModern, moveZlib} {
			if test.s.x.caps != 0 {
				x = test.s.x
			}
			for _, piece := range []int{0, 1, 3} {
				s := test.s
				s.x, s.piece = x, piece
				if s.caps != 0 && x.caps&capDeprecateEOF == 0 && s.caps&capDeprecateEOF == 0 {
					continue
				}
				r := newRun(t, &s)
				op := r.run()
				if test.why == "" {
					if op != codec.OpMore {
						t.Errorf("%s: %v, %v", test.name, op, r.v.Refusal())
					}
					r.v.GiveUp()
					continue
				}
				if op != codec.OpClose || r.v.Refusal() == nil || !strings.Contains(r.v.Refusal().Error(), test.why) {
					t.Errorf("%s, caps %#x, pieces of %d: %v, %v", test.name, x.caps, piece, op, r.v.Refusal())
					continue
				}
				if len(r.v.Take(codec.LegNew)) > 0 || r.v.Drop() != 0 || len(r.client) > 0 {
					t.Errorf("%s: something is left to be sent", test.name)
				}
				if r.m.facts.key != 7 || r.m.id != 0 || r.m.facts.serverTLS {
					t.Errorf("%s: the follower follows the new server", test.name)
				}
				r.alive()
			}
		}
	}
}

// TestMoveUnasked: a server that says more than it was asked has something against the session.
func TestMoveUnasked(t *testing.T) {
	for _, place := range []string{atShow, atStates} {
		for _, x := range []facts{moveModern, moveZlib} {
			said := []string{plainOK, plainOK}
			if place == atShow {
				said = append(newRun(t, &script{x: x}).rows(usualJSON, tokenOf()), errOf(1053, "shutdown"))
			}
			r := newRun(t, &script{x: x, say: map[string][]string{place: said}})
			if op := r.run(); op != codec.OpClose || !errors.Is(r.v.Refusal(), errAnswerExtra) || r.v.Owes() {
				t.Errorf("%s: %v, %v, owes %t", place, op, r.v.Refusal(), r.v.Owes())
			}
		}
	}
}

// TestMoveSpeaksBehindLogin: what a new server says at once behind its OK is no answer to what it has not come to yet.
func TestMoveSpeaksBehindLogin(t *testing.T) {
	for _, said := range []string{plainOK, errOf(1053, "Server shutdown in progress")} {
		for _, piece := range []int{0, 1, 9} {
			r := newRun(t, &script{x: moveModern, piece: piece, say: map[string][]string{atLogin: {plainOK, said}}})
			if op := r.run(); op != codec.OpClose || r.v.Refusal() != errAnswerOrder {
				t.Errorf("%q, pieces of %d: %v, %v", said, piece, op, r.v.Refusal())
			}
			r.alive()
		}
	}
}

// TestMoveLongAnswer: an answer of the new server that is longer than a packet ends the move at its header, and binds the
// session to nothing.
func TestMoveLongAnswer(t *testing.T) {
	for _, place := range []string{atMode, atStates} {
		r := newRun(t, &script{say: map[string][]string{place: nil}})
		r.run()
		seen := r.v.Server(codec.LegNew, appendHeader(nil, fullLen, 1))
		if seen != codec.OpClose || r.v.Refusal() != errNewLong || r.m.Pin() != (codec.Pin{}) {
			t.Errorf("%s: %v, %v, pin %v", place, seen, r.v.Refusal(), r.m.Pin())
		}
		r.alive()
	}
}

// TestMoveLongCommand: a state that was told in a packet, and does not fit into one any more when it is quoted, binds the
// session.
func TestMoveLongCommand(t *testing.T) {
	states := `{"x": "` + strings.Repeat(`\\`, 4<<20) + `"}`
	for _, x := range []facts{moveModern, moveZlib} {
		r := newRun(t, &script{x: x, states: states, opt: codec.MoveOptions{StateMax: 64 << 20}})
		if op := r.run(); op != codec.OpClose || r.v.Refusal() != errPutLong || r.m.Pin().Name != "state-size" || len(r.log) != 1 {
			t.Errorf("caps %#x: %v, %v, %d were sent", x.caps, op, r.v.Refusal(), len(r.log))
		}
		r.alive()
	}
}

// places are those of a move, in order.
var places = []string{atGreeting, atShow, atLogin, atMode, atStates}

// TestMoveGivenUp: a move can be given up at any place. What the old server still owes is swallowed.
func TestMoveGivenUp(t *testing.T) {
	for _, x := range []facts{moveModern, moveZlib} {
		for _, place := range places {
			for _, piece := range []int{0, 1, 7} {
				r := newRun(t, &script{x: x, giveUp: place, piece: piece})
				r.late = place == atShow
				r.run()
				if r.v.Refusal() != nil {
					t.Errorf("%s: %v", place, r.v.Refusal())
				}
				if owes := r.v.Owes(); owes != (place == atShow) {
					t.Errorf("%s: owes is %t", place, owes)
				}
				r.over = false
				for _, b := range r.owing {
					r.give(codec.LegOld, b)
				}
				if op := r.v.Server(codec.LegNew, []byte{1}); op != codec.OpClose {
					t.Errorf("%s: bytes of the new server: %v", place, op)
				}
				r.alive()
			}
		}
	}
}

// TestMoveSilent: where a server says nothing the move waits, until it is given up.
func TestMoveSilent(t *testing.T) {
	for _, place := range places {
		r := newRun(t, &script{say: map[string][]string{place: nil}})
		if op := r.run(); op != codec.OpMore {
			t.Errorf("%s: %v, %v", place, op, r.v.Refusal())
		}
		r.v.GiveUp()
		if r.v.Owes() != (place == atShow) {
			t.Errorf("%s: owes is %t", place, r.v.Owes())
		}
	}
}

// TestMoveOldLost: behind the old server's answer its loss does not matter; before it, it ends the move.
func TestMoveOldLost(t *testing.T) {
	for _, place := range places {
		r := newRun(t, &script{lost: place})
		op := r.run()
		known := place != atGreeting && place != atShow
		if known != (op == codec.OpReady) || !known && !errors.Is(r.v.Refusal(), errOldLost) {
			t.Errorf("%s: %v, %v", place, op, r.v.Refusal())
		}
		if r.v.Owes() {
			t.Errorf("%s: a server that is lost owes", place)
		}
	}
}

// TestMoveLargeState: what is taken in of a server's answer is bounded, and the session goes on when all of the
// answer has passed, however much it is.
func TestMoveLargeState(t *testing.T) {
	long := `{"x": "` + strings.Repeat("x", 17<<20) + `"}`
	for _, most := range []int{1 << 20, 32 << 20} { // the second is above what a packet can carry
		r := newRun(t, &script{opt: codec.MoveOptions{StateMax: most}})
		row := appendLenenc(nil, uint64(len(long)))
		row = append(row, long...)
		row = append(row, "\x01x"...)
		first := r.rows("a", "b")
		answer := r.frame(1, false, first[:3])
		answer = append(appendHeader(answer, fullLen, 4), row[:fullLen]...)
		answer = append(appendHeader(answer, len(row)-fullLen, 5), row[fullLen:]...)
		answer = append(answer, r.frame(6, false, first[len(first)-1:])...)
		r.late = true
		r.run()
		r.late = false
		var peak int
		for b := answer; len(b) > 0; {
			n := min(len(b), 64<<10)
			r.step(r.v.Server(codec.LegOld, b[:n]))
			b = b[n:]
			if r.v.old.answers != nil {
				peak = max(peak, cap(r.v.old.answers.in))
			}
		}
		var pin codec.PinError
		if r.op != codec.OpClose || !errors.As(r.v.Refusal(), &pin) || pin.Name != "state-size" {
			t.Errorf("StateMax %d: %v, %v", most, r.op, r.v.Refusal())
		}
		if peak > 1<<20 {
			t.Errorf("StateMax %d: %d bytes were held", most, peak)
		}
		r.alive()
	}
}

// TestMoveOutOfTurn: calls that have no place where the move stands end it, or do nothing.
func TestMoveOutOfTurn(t *testing.T) {
	calls := []struct {
		name string
		call func(v *move) codec.Op
	}{
		{"Connected", (*move).Connected},
		{"Secured", func(v *move) codec.Op { return v.Secured(nil) }},
		{"Worked", (*move).Worked},
		{"Ask", func(v *move) codec.Op { return v.Ask(nil) }},
		{"OldLost", (*move).OldLost},
	}
	for _, call := range calls {
		r := newRun(t, &script{})
		r.run()
		if op := call.call(r.v); op != codec.OpClose && op != codec.OpMore {
			t.Errorf("%s behind the end: %v", call.name, op)
		}
		if r.v.Refusal() != nil {
			t.Errorf("%s behind the end: %v", call.name, r.v.Refusal())
		}
		if r.m.id != 1000 {
			t.Errorf("%s behind the end: the session is not at the new server", call.name)
		}
		r = newRun(t, &script{})
		r.v = r.m.NewMove(&r.s.cfg).(*move)
		if op := call.call(r.v); call.name != "Connected" && op != codec.OpClose {
			t.Errorf("%s at the begin: %v", call.name, op)
		}
	}
}

func Example_serverFail() {
	fmt.Println(&serverFail{errNumber{1045, "28000"}, "Access denied"})
	// Output: 1045 (28000) Access denied
}

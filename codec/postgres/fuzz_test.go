package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// A fuzz input is a conversation: turns of one byte for the side (odd: the server), two for the
// length, then that many bytes.
func turns(data []byte) script {
	var steps script
	for len(data) >= 3 {
		side := codec.Side(data[0] & 1)
		n := min(int(binary.BigEndian.Uint16(data[1:])), len(data)-3)
		steps = append(steps, step{side: side, bytes: data[3 : 3+n]})
		data = data[3+n:]
	}
	return steps
}

// input is turns in reverse. Turns that are too long for its length field become several.
func (steps script) input() []byte {
	var out []byte
	for _, s := range steps {
		for piece := range every(0xffff).pieces(s.bytes) {
			out = append(out, byte(s.side))
			out = binary.BigEndian.AppendUint16(out, uint16(len(piece)))
			out = append(out, piece...)
		}
	}
	return out
}

// FuzzFollower follows any two streams. It must not panic, must count no less than nothing, must
// keep no more than its limits, and must say the same wherever the streams are cut.
func FuzzFollower(f *testing.F) {
	for _, path := range recordings(f) {
		for _, cut := range []uint16{1, 2, 100} {
			f.Add(readRecording(f, path).behindLogin(f).input(), cut)
		}
	}
	for _, list := range [][]struct{ name, script, events string }{conversations, copies} {
		for _, c := range list {
			f.Add(parseScript(f, c.script).input(), uint16(3))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, n uint16) {
		steps := turns(data)
		want := follow(t, steps, whole)
		for _, cut := range []cutting{every(1), every(max(1, int(n))), once(int(n))} {
			if got := follow(t, steps, cut); got != want {
				t.Fatalf("%s:\ngot  %s\nwant %s", cut.name, got, want)
			}
		}
	})
}

// follow gives turns to a new follower and says how it stands behind each. A stream that has broken
// is given nothing more.
func follow(t *testing.T, steps script, cut cutting) string {
	log := &listener{}
	f := newFollower(log)
	out := ""
	for _, s := range steps {
		for piece := range cut.pieces(s.bytes) {
			if err := feed(f, s.side, piece); err != nil {
				return fmt.Sprintf("%s%v %v", out, log, err)
			}
			if f.Owed() < 0 || len(f.queue.ring()) > maxQueue || len(f.key.Secret) > maxSecret+4 {
				t.Fatalf("owed %d, queue %d", f.Owed(), len(f.queue.ring()))
			}
			if f.Busy() == "" && (f.Owed() > 0 || f.Mid(codec.Client) || f.Mid(codec.Server) || f.Tx() != codec.TxIdle) {
				t.Fatalf("a safe point with %d owed", f.Owed())
			}
		}
		key, ok := f.Key()
		out += fmt.Sprint(f.Owed(), f.Busy(), f.Tx(), f.Ending(), f.Mid(codec.Client), f.Mid(codec.Server), key, ok, "\n")
	}
	return out + log.String()
}

// behindLogin returns the part of a recording that a follower sees.
func (r recording) behindLogin(t testing.TB) script {
	t.Helper()
	var steps script
	relay := newRelay(&codec.LoginConfig{})
	for _, s := range r.script {
		if relay.follower != nil {
			steps = append(steps, s)
			continue
		}
		relay.give(s.side, s.bytes)
		if relay.follower != nil {
			steps = append(steps, step{side: codec.Server, bytes: relay.login.Rest(codec.Server)})
		}
	}
	return steps
}

// FuzzLogin carries any login between any two peers, with TLS or without. It must not panic, must
// keep no more than its limits, and must do the same wherever the streams are cut.
func FuzzLogin(f *testing.F) {
	for _, path := range recordings(f) {
		r := readRecording(f, path)
		f.Add(r.script[:min(len(r.script), 6)].input(), uint8(0), uint16(1))
	}
	for _, s := range logins {
		f.Add(s.turns(f).input(), uint8(s.client)|uint8(s.server)<<3, uint16(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, modes uint8, n uint16) {
		cfg := &codec.LoginConfig{
			ClientTLS: codec.TLSMode(modes & 7 % 5),
			ServerTLS: codec.TLSMode(modes >> 3 & 7 % 5),
		}
		steps := turns(data)
		want, uncut := logIn(t, cfg, steps, whole)
		for _, cut := range []cutting{every(1), every(max(1, int(n))), once(int(n))} {
			got, _ := logIn(t, cfg, steps, cut)
			if got != want && !uncut {
				t.Fatalf("%s:\ngot  %s\nwant %s", cut.name, got, want)
			}
		}
	})
}

// turns returns what the two sides say in a login script.
func (s loginScript) turns(t testing.TB) script {
	var steps script
	side := codec.Client
	m := meeting{t: t, login: Protocol{}.NewLogin(&codec.LoginConfig{}), op: codec.OpClose}
	for _, word := range scriptWords(s.script) {
		name, arg := cutWord(word)
		switch {
		case word == ">":
			side = codec.Client
		case word == "<":
			side = codec.Server
		case isCheck(name) || m.act(name, arg):
		default:
			steps = append(steps, step{side: side, bytes: packet(t, side, name, arg)})
		}
	}
	return steps
}

// logIn carries a login as a session would whose servers and handshakes always work, and returns
// what it asked and sent. Bytes that came while an op was carried out are given behind it. uncut
// tells that bytes stood behind a request for TLS: cut off, they would have gone to TLS, so that
// the cut matters.
func logIn(t *testing.T, cfg *codec.LoginConfig, steps script, cut cutting) (log string, uncut bool) {
	l := newLogin(cfg)
	var sent [2][]byte
	carry := func(op codec.Op) codec.Op {
		for {
			for s := range sent {
				sent[s] = append(sent[s], l.Take(codec.Side(s))...)
			}
			if op != codec.OpMore {
				log += op.String() + " "
			}
			switch op {
			case codec.OpDial:
				op = l.Connected()
			case codec.OpRetry:
				op = l.Refused()
			case codec.OpClientTLS:
				uncut = uncut || l.direct
				op = l.ClientSecured([]byte("one"))
			case codec.OpServerTLS:
				op = l.ServerSecured([]byte("two"))
			default:
				return op
			}
		}
	}
	op := carry(l.Start())
	for _, s := range steps {
		for piece := range cut.pieces(s.bytes) {
			if op != codec.OpMore {
				break
			}
			if s.side == codec.Client {
				op = carry(l.Client(piece))
			} else if l.stage != stageAuth && l.stage != stageTLSAnswer {
				continue // no server is connected
			} else {
				op = carry(l.Server(piece))
			}
			if n := len(l.in); n > maxEarly+len(piece) {
				t.Fatalf("%d bytes of the client are kept", n)
			}
			if n := len(l.serverIn); n > maxAuthMessage+1+len(piece) {
				t.Fatalf("%d bytes of the server are kept", n)
			}
		}
	}
	refusal := fmt.Sprint(l.Refusal())
	uncut = uncut || strings.Contains(refusal, "unencrypted data")
	return fmt.Sprintf("%s %q %v %q@%q %s", log, sent, op, l.User(), l.Database(), refusal), uncut
}

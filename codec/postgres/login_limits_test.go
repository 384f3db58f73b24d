package postgres

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sluice/codec"
)

// TestRest hands over what stands behind AuthenticationOk, on both sides, at every cut.
func TestRest(t *testing.T) {
	const script = "> START(user,ann) connected < R(3) > p(secret) Q"
	behind := messages(t, codec.Server, "SKZ")
	for n := range len(behind) {
		m := loginScript{script: script}.hold(t, whole)
		m.give(codec.Server, append(packet(t, codec.Server, "R", "0"), behind[:n]...))
		if m.op != codec.OpReady {
			t.Fatalf("op %v", m.op)
		}
		if got := m.login.Rest(codec.Server); !bytes.Equal(got, behind[:n]) {
			t.Errorf("server: got %q, want %q", got, behind[:n])
		}
		if got, want := m.login.Rest(codec.Client), messages(t, codec.Client, "Q"); !bytes.Equal(got, want) {
			t.Errorf("client: got %q, want %q", got, want)
		}
	}
}

// TestStartupPassesUnchanged sends the client's StartupMessage on byte for byte, whatever its
// length (pitfall 55: options with quotes, replication, more than one buffer).
func TestStartupPassesUnchanged(t *testing.T) {
	startup := appendStartup(nil, "user", "ann", "options", `-c geqo=off -c search_path="a b"`,
		"replication", "database", "filler", strings.Repeat("x", 9000))
	for _, cut := range []cutting{whole, every(1), every(1000)} {
		m := loginScript{}.hold(t, cut)
		for piece := range cut.pieces(startup) {
			m.give(codec.Client, piece)
		}
		m.act("connected", "")
		if !bytes.Equal(m.sent[codec.Server], startup) {
			t.Errorf("%s: got %q", cut.name, m.sent[codec.Server])
		}
	}
}

// TestEarlyLimit reaches the limit of what a client may send ahead of its turn.
func TestEarlyLimit(t *testing.T) {
	for _, n := range []int{maxEarly, maxEarly + 1} {
		m := loginScript{script: "> START(user,ann) connected"}.hold(t, whole)
		for range n {
			m.give(codec.Client, []byte{'Q'})
		}
		if got, want := m.op == codec.OpClose, n > maxEarly; got != want {
			t.Errorf("%d bytes: op %v", n, m.op)
		}
		var e codec.Error
		if err := m.login.Refusal(); n > maxEarly && (!errors.As(err, &e) || e.Cond != codec.ProtocolError) {
			t.Errorf("refusal %v", err)
		}
	}
}

// TestLongestAuthMessage passes on a message as long as the limit.
func TestLongestAuthMessage(t *testing.T) {
	m := loginScript{script: "> START(user,ann) connected < R(3)"}.hold(t, whole)
	m.look("server")
	msg := message('p', strings.Repeat("x", maxAuthMessage-4))
	for piece := range every(4096).pieces(msg) {
		m.give(codec.Client, piece)
	}
	if !bytes.Equal(m.sent[codec.Server], msg) {
		t.Errorf("op %v, %d bytes of %d passed on", m.op, len(m.sent[codec.Server]), len(msg))
	}
}

// TestCancelTarget reads the key of a cancel request that Sluice itself has made (pitfall 32).
func TestCancelTarget(t *testing.T) {
	for _, n := range []int{1, 4, 32, 256} {
		want := codec.Key{ID: 0xdeadbeef, Secret: strings.Repeat("\xff", n)}
		l := Protocol{}.NewLogin(&codec.LoginConfig{})
		op := l.Client(Protocol{}.AppendCancel(nil, want))
		if op != codec.OpCancel || l.Target() != want {
			t.Errorf("%d bytes: %v, %v", n, op, l.Target())
		}
	}
}

// TestHint tells a client how to come in: the text is what its user reads.
func TestHint(t *testing.T) {
	m := loginScript{client: require, script: "> START(user,ann)"}.hold(t, whole)
	sent := string(m.sent[codec.Client])
	for _, want := range []string{"SFATAL\x00VFATAL\x00C28000\x00", "HSet sslmode=require"} {
		if !strings.Contains(sent, want) {
			t.Errorf("%q is missing in %q", want, sent)
		}
	}
}

// TestLoginOutOfTurn calls methods that have no place where the login stands.
func TestLoginOutOfTurn(t *testing.T) {
	for _, call := range []func(codec.Login) codec.Op{
		func(l codec.Login) codec.Op { return l.Connected() },
		func(l codec.Login) codec.Op { return l.ClientSecured(nil) },
		func(l codec.Login) codec.Op { return l.ServerSecured(nil) },
		func(l codec.Login) codec.Op { return l.Refused() },
		func(l codec.Login) codec.Op { return l.Server([]byte("E")) },
	} {
		l := Protocol{}.NewLogin(&codec.LoginConfig{})
		l.Start()
		if op := call(l); op != codec.OpClose {
			t.Errorf("got %v", op)
		}
	}
	l := Protocol{}.NewLogin(&codec.LoginConfig{})
	l.Work()
	if op := l.Worked(); op != codec.OpMore {
		t.Errorf("Worked: %v", op)
	}
}

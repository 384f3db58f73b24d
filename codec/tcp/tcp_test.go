package tcp

import (
	"bytes"
	"testing"

	"sluice/codec"
)

// TestLogin goes through the ops that each pair of TLS modes asks for.
func TestLogin(t *testing.T) {
	tests := []struct {
		client, server codec.TLSMode
		want           []codec.Op
	}{
		{codec.TLSDisable, codec.TLSDisable, []codec.Op{codec.OpDial, codec.OpReady}},
		{codec.TLSPrefer, codec.TLSPrefer, []codec.Op{codec.OpDial, codec.OpReady}}, // as good as none
		{codec.TLSRequire, codec.TLSDisable, []codec.Op{codec.OpClientTLS, codec.OpDial, codec.OpReady}},
		{codec.TLSDisable, codec.TLSVerifyFull, []codec.Op{codec.OpDial, codec.OpServerTLS, codec.OpReady}},
		{codec.TLSVerifyCA, codec.TLSRequire, []codec.Op{codec.OpClientTLS, codec.OpDial, codec.OpServerTLS, codec.OpReady}},
	}
	for _, tt := range tests {
		l := Protocol{}.NewLogin(&codec.LoginConfig{ClientTLS: tt.client, ServerTLS: tt.server})
		op := l.Start()
		for i, want := range tt.want {
			if op != want {
				t.Fatalf("client %v, server %v: op %d is %v, want %v", tt.client, tt.server, i, op, want)
			}
			switch op {
			case codec.OpClientTLS:
				op = l.ClientSecured(nil)
			case codec.OpDial:
				op = l.Connected()
			case codec.OpServerTLS:
				op = l.ServerSecured(nil)
			}
		}
		if got := len(l.Take(codec.Client)) + len(l.Take(codec.Server)); got != 0 {
			t.Errorf("client %v, server %v: %d bytes of Sluice's own", tt.client, tt.server, got)
		}
	}
}

// TestRest keeps bytes that come too early, in order, up to the limit.
func TestRest(t *testing.T) {
	l := Protocol{}.NewLogin(&codec.LoginConfig{})
	l.Start()
	l.Client([]byte("one "))
	l.Client([]byte("two"))
	if rest := l.Rest(codec.Client); rest != nil {
		t.Errorf("a rest before the relay began: %q", rest)
	}
	l.Connected()
	if got := string(l.Rest(codec.Client)); got != "one two" {
		t.Errorf("got %q", got)
	}
	if rest := l.Rest(codec.Server); len(rest) != 0 {
		t.Errorf("the server's rest: %q", rest)
	}
}

// TestEarlyLimit reaches the limit of what is kept.
func TestEarlyLimit(t *testing.T) {
	for _, side := range []codec.Side{codec.Client, codec.Server} {
		l := Protocol{}.NewLogin(&codec.LoginConfig{})
		l.Start()
		give := l.Client
		if side == codec.Server {
			give = l.Server
		}
		if op := give(bytes.Repeat([]byte{1}, maxEarly)); op != codec.OpMore || l.Refusal() != nil {
			t.Errorf("%v: at the limit: %v, %v", side, op, l.Refusal())
		}
		if op := give([]byte{1}); op != codec.OpClose || l.Refusal() == nil {
			t.Errorf("%v: beyond the limit: %v, %v", side, op, l.Refusal())
		}
		if op := give([]byte{1}); op != codec.OpClose {
			t.Errorf("%v: behind the end: %v", side, op)
		}
	}
}

// TestRefuse closes without a word.
func TestRefuse(t *testing.T) {
	for name, end := range map[string]func(codec.Login) codec.Op{
		"Refuse":  func(l codec.Login) codec.Op { return l.Refuse(codec.Error{Cond: codec.NoBackend, Text: "none"}) },
		"Refused": func(l codec.Login) codec.Op { return l.Refused() },
	} {
		l := Protocol{}.NewLogin(&codec.LoginConfig{})
		l.Start()
		if op := end(l); op != codec.OpClose {
			t.Errorf("%s: %v", name, op)
		}
		if b := l.Take(codec.Client); len(b) > 0 {
			t.Errorf("%s: said %q", name, b)
		}
		if err := l.Refusal(); name == "Refuse" && err != (codec.Error{Cond: codec.NoBackend, Text: "none"}) {
			t.Errorf("%s: refusal %v", name, err)
		}
	}
}

// TestFollower never finds a safe point and never says a word.
func TestFollower(t *testing.T) {
	f := Protocol{}.NewLogin(&codec.LoginConfig{}).Follower(nil)
	p := []byte("anything\x00\xff")
	allocs := testing.AllocsPerRun(100, func() {
		if f.Client(p) != nil || f.Server(p) != nil {
			t.Fatal("bytes are refused")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if f.Busy() != "stream" || f.Owed() != 0 || f.Mid(codec.Client) || f.Mid(codec.Server) || f.Ending() || f.Tx() != codec.TxIdle {
		t.Errorf("busy %q, owed %d", f.Busy(), f.Owed())
	}
	if _, ok := f.Key(); ok {
		t.Error("there is a key")
	}
	if got := f.AppendError([]byte("x"), codec.Error{Text: "no"}); string(got) != "x" {
		t.Errorf("got %q", got)
	}
}

// TestProtocol has what the callers' tables need, and nothing that a plain relay can't do.
func TestProtocol(t *testing.T) {
	p := Protocol{}
	if p.Name() != "tcp" || len(p.Kinds()) == 0 || len(p.Kinds()) > codec.MaxKinds {
		t.Errorf("%q has kinds %q", p.Name(), p.Kinds())
	}
	if probe := p.NewProbe("anybody"); probe != nil {
		t.Errorf("probe %v", probe)
	}
	if b := p.AppendCancel(nil, codec.Key{ID: 1}); b != nil {
		t.Errorf("cancel %q", b)
	}
}

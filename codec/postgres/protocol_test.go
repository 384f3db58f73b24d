package postgres

import (
	"testing"

	"sluice/codec"
)

// TestProtocol names the protocol and its kinds as metrics show them.
func TestProtocol(t *testing.T) {
	p := Protocol{}
	if p.Name() != "postgres" {
		t.Errorf("name %q", p.Name())
	}
	want := map[codec.Kind]string{kindQuery: "query", kindExtended: "extended", kindFunction: "function"}
	got := p.Kinds()
	if len(got) != len(want) || len(got) > codec.MaxKinds {
		t.Fatalf("kinds %q", got)
	}
	for k, name := range want {
		if got[k] != name {
			t.Errorf("kind %d is %q, want %q", k, got[k], name)
		}
	}
}

// TestGoodbye ends a session as a client does, and hears it from a client.
func TestGoodbye(t *testing.T) {
	var leaver codec.Leaver = idle(t, nil)
	if leaver.Quit() {
		t.Error("quit before Terminate")
	}
	bye := leaver.AppendGoodbye([]byte("x"))
	if string(bye) != "xX\x00\x00\x00\x04" {
		t.Errorf("got %q", bye)
	}
	f := idle(t, nil)
	if err := f.Client(bye[1:]); err != nil || !f.Quit() || !f.Ending() {
		t.Errorf("quit %v, ending %v, %v", f.Quit(), f.Ending(), err)
	}
	f = idle(t, nil)
	if err := f.Server(messages(t, codec.Server, "E(FATAL)")); err != nil || f.Quit() || !f.Ending() {
		t.Errorf("a FATAL of the server: quit %v, ending %v, %v", f.Quit(), f.Ending(), err)
	}
}

// TestTLSRequest is what a login sends, and what it takes for yes.
func TestTLSRequest(t *testing.T) {
	b, accepted := Protocol{}.AppendTLSRequest(nil)
	if string(b) != string(sslRequest) || accepted != 'S' {
		t.Errorf("got %q, %q", b, accepted)
	}
}

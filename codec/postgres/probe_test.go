package postgres

import (
	"strings"
	"testing"

	"sluice/codec"
)

// TestProbe judges servers by their first message, at every cut.
func TestProbe(t *testing.T) {
	tests := []struct {
		name   string
		answer []byte
		fit    bool
		send   string
	}{
		{"lets us in", packet(t, codec.Server, "R", "0"), true, "X\x00\x00\x00\x04"},
		{"asks for a password", packet(t, codec.Server, "R", "3"), true, ""},
		{"asks for SCRAM", packet(t, codec.Server, "R", "10,SCRAM-SHA-256"), true, ""},
		{"does not know the user", packet(t, codec.Server, "E", "28000"), true, ""},
		{"does not know the database", packet(t, codec.Server, "E", "3D000"), true, ""},
		{"gives no state", message('E', "Mno\x00\x00"), true, ""},
		{"has no room", packet(t, codec.Server, "E", "53300"), true, ""}, // a full server is up
		{"starts up", packet(t, codec.Server, "E", "57P03"), false, ""},
		{"shuts down", packet(t, codec.Server, "E", "57P01"), false, ""},
		{"crashed", packet(t, codec.Server, "E", "57P02"), false, ""},
		{"starts up, in many words", message('E', "SFATAL\x00C57P03\x00M"+strings.Repeat("x", 20000)+"\x00\x00"), false, ""},
		{"is fine with many words", message('E', "SFATAL\x00C28000\x00M"+strings.Repeat("x", 20000)+"\x00\x00"), true, ""},
		{"is no PostgreSQL", []byte("HTTP/1.1 400 Bad Request\r\n"), false, ""},
		{"sends a request without a code", []byte("R\x00\x00\x00\x05x"), false, ""},
		{"sends an error without an end", append(message('E', "Mno\x00"), "C57P03\x00\x00"...), true, ""},
		{"begins with R", []byte("Really?"), false, ""},
		{"begins with E", []byte("Error!"), false, ""},
		{"begins with E and a short length", []byte("E\x00\x00\x00\x04"), false, ""},
	}
	for _, tt := range tests {
		for _, cut := range cuttings(len(tt.answer)) {
			p := Protocol{}.NewProbe("")
			done := false
			for piece := range cut.pieces(tt.answer) {
				send, over, err := p.Server(piece)
				if !over {
					continue
				}
				done = true
				if (err == nil) != tt.fit || string(send) != tt.send {
					t.Errorf("a server that %s, %s: sent %q, %v", tt.name, cut.name, send, err)
				}
				break
			}
			if !done {
				t.Errorf("a server that %s, %s: no verdict", tt.name, cut.name)
			}
		}
	}
}

// TestProbeSpeaks introduces itself, by a name of its own or the one it was given.
func TestProbeSpeaks(t *testing.T) {
	for user, want := range map[string]string{"": "sluice", "watch": "watch"} {
		packet := Protocol{}.NewProbe(user).Start()
		size, ok := startupSize(packet)
		if !ok || size != len(packet) {
			t.Fatalf("%q: size %d, %v", packet, size, ok)
		}
		gotUser, gotDatabase, ok := parseStartup(packet)
		if !ok || gotUser != want || gotDatabase != want {
			t.Errorf("got %s at %s, %v", gotUser, gotDatabase, ok)
		}
		if !strings.Contains(string(packet), "application_name\x00sluice health check\x00") {
			t.Errorf("no application name in %q", packet)
		}
	}
}

// TestProbeLimit sends more than a probe keeps.
func TestProbeLimit(t *testing.T) {
	p := newProbe("")
	answer := message('E', strings.Repeat("x", 2*maxProbe))
	for piece := range every(1000).pieces(answer) {
		if _, done, _ := p.Server(piece); done {
			break
		}
	}
	if len(p.in) != maxProbe {
		t.Errorf("%d bytes are kept", len(p.in))
	}
}

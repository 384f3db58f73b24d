package postgres

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/codec"
)

// TestConditions tells each condition by the SQLSTATE that clients know it by.
func TestConditions(t *testing.T) {
	states := map[codec.Condition]string{
		codec.Internal:         "XX000",
		codec.TooManyConns:     "53300",
		codec.HostDenied:       "28000",
		codec.NoBackend:        "08006",
		codec.BackendLost:      "08006",
		codec.Shutdown:         "57P01",
		codec.BackendGone:      "57P01",
		codec.ProtocolError:    "08P01",
		codec.LoginTimeout:     "08006",
		codec.IdleTimeout:      "57P05",
		codec.TLSRequired:      "28000",
		codec.TLSFailed:        "08006",
		codec.ClearPassword:    "28000",
		codec.ServerNotSupport: "08P01",
		250:                    "XX000", // one that this protocol does not know
	}
	for cond, want := range states {
		f := idle(t, nil)
		b := f.AppendError([]byte("before"), codec.Error{Cond: cond, Text: "it is so", Hint: "do this"})
		msg, ok := strings.CutPrefix(string(b), "before")
		if !ok {
			t.Fatalf("what stood before is gone: %q", b)
		}
		fields := "SFATAL\x00VFATAL\x00C" + want + "\x00Mit is so\x00Hdo this\x00\x00"
		if msg != string(message('E', fields)) {
			t.Errorf("%d: got %q", cond, msg)
		}
	}
}

// TestErrorFitsTheStream gives Sluice's own error to another follower, as a client would read it.
func TestErrorFitsTheStream(t *testing.T) {
	for _, script := range []string{"", "> Q", "> Q < TD", "> PBE < 12", "> Q < G", "> Q < H d"} {
		f := idle(t, nil)
		if err := parseScript(t, script).feed(t, f, whole); err != nil {
			t.Fatal(err)
		}
		if err := f.Server(f.AppendError(nil, codec.Error{Text: "the end"})); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if !f.Ending() || f.Mid(codec.Server) {
			t.Errorf("%s: ending %v, mid %v", script, f.Ending(), f.Mid(codec.Server))
		}
	}
}

// TestTextEndsAtNUL keeps a text with a NUL from making up fields of its own.
func TestTextEndsAtNUL(t *testing.T) {
	b := appendFatal(nil, "XX000", codec.Error{Text: "one\x00C00000"})
	if e := parseError(b[headerSize:]); e.text != "one" || e.state != "XX000" {
		t.Errorf("got %q, %q", e.state, e.text)
	}
}

// TestParseError reads errors with fields missing, broken or too long.
func TestParseError(t *testing.T) {
	long := strings.Repeat("ä", maxMessageText)
	tests := []struct{ body, want string }{
		{"SFATAL\x00VFATAL\x00C28P01\x00Mno\x00\x00", "FATAL 28P01: no"},
		{"SFATALE\x00VFATAL\x00C28P01\x00Mno\x00\x00", "FATAL 28P01: no"}, // translated
		{"SFATAL\x00Mno\x00\x00", "FATAL: no"},
		{"", "ERROR: "},
		{"\x00", "ERROR: "},
		{"S", "ERROR: "},
		{"SFATAL", "ERROR: "},
		{"C123456789\x00\x00", "ERROR 12345: "},
		{"M" + long + "\x00\x00", "ERROR: " + long[:maxMessageText]},
		{"M.\xff" + long + "\x00\x00", "ERROR: .\xff" + long[:maxMessageText-2]},
		{"M." + long + "\x00\x00", "ERROR: ." + long[:maxMessageText-2]}, // no half character
	}
	for _, tt := range tests {
		if got := parseError([]byte(tt.body)).Error(); got != tt.want {
			t.Errorf("%.40q: got %q, want %q", tt.body, got, tt.want)
		}
	}
	if s := cutText([]byte(strings.Repeat("\x80", 10)), 5); s != "" {
		t.Errorf("a text of half characters: %q", s)
	}
	if s := cutText([]byte(long), 7); !utf8.ValidString(s) || len(s) != 6 {
		t.Errorf("got %q", s)
	}
}

// TestSeverityInPieces finds the severity of an error at every cut, also where only the translated
// field S is there, as servers before version 9.6 sent it.
func TestSeverityInPieces(t *testing.T) {
	tests := []struct {
		body  string
		fatal bool
	}{
		{"SFATAL\x00VFATAL\x00C57P01\x00Mno\x00\x00", true},
		{"SSCHWERWIEGEND\x00VFATAL\x00C57P01\x00Mno\x00\x00", true},
		{"SPANIC\x00VPANIC\x00Mno\x00\x00", true},
		{"SFATAL\x00C57P01\x00Mno\x00\x00", true},
		{"SFEHLER\x00VERROR\x00MFATAL\x00\x00", false},
		{"SERROR\x00MFATAL\x00VFATAL\x00\x00", true},
		{"SERROR\x00VERROR\x00VFATAL\x00\x00", false},
		{"SFATAL!\x00VFATA\x00\x00", false},
		{"\x00", false},
	}
	for _, tt := range tests {
		msg := message('E', tt.body)
		for _, cut := range cuttings(len(msg)) {
			f := idle(t, nil)
			for piece := range cut.pieces(msg) {
				if err := f.Server(piece); err != nil {
					t.Fatal(err)
				}
			}
			if f.Ending() != tt.fatal {
				t.Errorf("%q, %s: ending %v", tt.body, cut.name, f.Ending())
			}
		}
	}
}

// TestWithoutBinding changes lists of mechanisms, also such that are not well formed.
func TestWithoutBinding(t *testing.T) {
	tests := []struct {
		list, want string
		stripped   bool
	}{
		{"SCRAM-SHA-256-PLUS\x00SCRAM-SHA-256\x00\x00", "SCRAM-SHA-256\x00\x00", true},
		{"SCRAM-SHA-256\x00SCRAM-SHA-256-PLUS\x00OTHER\x00\x00", "SCRAM-SHA-256\x00OTHER\x00\x00", true},
		{"SCRAM-SHA-256-PLUS\x00\x00", "\x00", true},
		{"SCRAM-SHA-256\x00\x00", "SCRAM-SHA-256\x00\x00", false},
		{"SCRAM-SHA-256-PLUS\x00", "", true},
		{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", false},
		{"", "", false},
	}
	for _, tt := range tests {
		in := message('R', "\x00\x00\x00\x0a"+tt.list)
		before := string(in)
		out, stripped := withoutBinding(in)
		if want := message('R', "\x00\x00\x00\x0a"+tt.want); string(out) != string(want) || stripped != tt.stripped {
			t.Errorf("%q: got %q, %v", tt.list, out, stripped)
		}
		if string(in) != before {
			t.Errorf("%q: the message itself was changed", tt.list)
		}
	}
}

// TestDeniesBinding tells the claim "y" from what is only like it.
func TestDeniesBinding(t *testing.T) {
	for body, want := range map[string]bool{
		"SCRAM-SHA-256\x00\x00\x00\x00\x05y,,n=":      true,
		"SCRAM-SHA-256\x00\x00\x00\x00\x05n,,n=":      false,
		"SCRAM-SHA-256-PLUS\x00\x00\x00\x00\x05y,,n=": false,
		"OTHER\x00\x00\x00\x00\x05y,,n=":              false,
		"SCRAM-SHA-256\x00\xff\xff\xff\xff":           false,
		"SCRAM-SHA-256\x00":                           false,
		"SCRAM-SHA-256":                               false,
		"":                                            false,
	} {
		if got := deniesBinding([]byte(body)); got != want {
			t.Errorf("%q: got %v", body, got)
		}
	}
}

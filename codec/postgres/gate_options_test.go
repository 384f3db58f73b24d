package postgres

import (
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// TestOptions reads the server's command line as the server does (pitfall 55).
func TestOptions(t *testing.T) {
	tests := []struct{ options, want string }{
		{"", ""},
		{"  \t ", ""},
		{"-c geqo=off", "geqo=off"},
		{"-cgeqo=off", "geqo=off"},
		{"--geqo=off", "geqo=off"},
		{"  -c\tgeqo=off  --work-mem=4MB ", "geqo=off|work_mem=4MB"},
		{"-c search_path=a -c search_path=b", "search_path=a|search_path=b"},
		{`-c search_path=a\ b`, "search_path=a b"},
		{`-c search_path=a\\b`, `search_path=a\b`},
		{`-c search_path=a\`, `search_path=a`},
		{`\-c geqo=off`, "geqo=off"},
		{`-c geqo=`, "geqo="},
		{`-c a.b=c=d`, "a.b=c=d"},
		{`-c search_path="a`, `search_path="a`}, // quotes mean nothing
		{`-c search_path='a b'`, `error: "b'" in the options of a connection is not supported: only -c and -- are`},
		{"-c", "error: option requires an argument -- 'c'"},
		{"-c geqo", `error: "-c geqo" in the options of a connection requires a name and a value`},
		{"-c =off", `error: "-c =off" in the options of a connection requires a name and a value`},
		{"--geqo", `error: "--geqo geqo" in the options of a connection requires a name and a value`},
		{"--", `error: "--" in the options of a connection is not supported: only -c and -- are`},
		{"-S 4", `error: "-S" in the options of a connection is not supported: only -c and -- are`},
		{"geqo=off", `error: "geqo=off" in the options of a connection is not supported: only -c and -- are`},
	}
	for _, tt := range tests {
		settings, err := parseOptions(tt.options)
		got := describeSettings(settings)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.options, got, tt.want)
		}
	}
}

func describeSettings(settings []codec.Param) string {
	var out []string
	for _, p := range settings {
		out = append(out, p.Name+"="+p.Value)
	}
	return strings.Join(out, "|")
}

// TestOptionsErrorIsShort does not give a client thousands of its own bytes back.
func TestOptionsErrorIsShort(t *testing.T) {
	_, err := parseOptions("-" + strings.Repeat("x", 9000))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("got %v", err)
	}
}

// TestReplication reads the spellings of a truth value (pitfall 55).
func TestReplication(t *testing.T) {
	for value, want := range map[string]string{
		"true": "true", "TRUE": "true", "t": "true", "yes": "true", "y": "true", "on": "true", "On": "true", "1": "true",
		"database": "database",
		"false":    "", "f": "", "no": "", "off": "", "of": "", "0": "",
		"o": "invalid", "": "invalid", "Database": "invalid", "trues": "invalid", "2": "invalid",
	} {
		special, ok := replication(value)
		got := special.Value
		if !ok {
			got = "invalid"
		}
		if got != want || special.Name != map[bool]string{true: "replication"}[special.Value != ""] {
			t.Errorf("%q: got %q (%v), want %q", value, got, special, want)
		}
	}
}

// TestStartupInManyPieces takes a StartupMessage as long as the server takes, byte by byte, and one
// byte more not at all (pitfall 55).
func TestStartupInManyPieces(t *testing.T) {
	for _, over := range []int{0, 1} {
		filler := strings.Repeat("x", maxStartup+over-len(appendStartup(nil, "user", "ann", "filler", "")))
		v := newVisit(t, disable, every(1))
		v.give(appendStartup(nil, "user", "ann", "filler", filler))
		want := map[int]codec.Op{0: codec.OpIdentify, 1: codec.OpClose}[over]
		if v.op != want {
			t.Fatalf("%d bytes: %v", maxStartup+over, v.op)
		}
		if got := fmt.Sprint(v.gate.Settings()); over == 0 && got != "[{filler "+filler+"}]" {
			t.Errorf("settings %.50s", got)
		}
	}
}

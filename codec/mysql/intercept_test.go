package mysql

import (
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// TestKillText: what is a KILL of a connection and what only looks like one. // pitfall 79
func TestKillText(t *testing.T) {
	tests := []struct {
		text  string
		id    uint32
		query bool
		ok    bool
	}{
		{"KILL 5", 5, false, true},
		{"kill connection 17", 17, false, true},
		{"Kill Query 4294967295 ; ", 4294967295, true, true},
		{" \t\n/* who */ KILL/**/QUERY -- why\n 12 # so\n;", 12, true, true},
		{"kill hard query 3", 3, true, true},
		{"KILL SOFT CONNECTION 3", 3, false, true},
		{"KILL TIDB 3", 3, false, true},
		{"KILL TIDB QUERY 3;", 3, true, true},
		{"/*My comment*/ kill 8", 8, false, true},
		{"kill 4294967296", 0, false, false},
		{"kill query id 7", 0, false, false}, // MariaDB: a query's own number
		{"kill user bob", 0, false, false},
		{"kill @id", 0, false, false},
		{"kill 5+1", 0, false, false},
		{"kill 5; select 1", 0, false, false},
		{"kill connection_id()", 0, false, false},
		{"kill 5x", 0, false, false},
		{"killer 5", 0, false, false},
		{"kill", 0, false, false},
		{"kill query", 0, false, false},
		{"/*! kill 5 */", 0, false, false}, // servers run it, but its bounds are theirs to tell
		{"/*M! kill 5 */", 0, false, false},
		{"kill 5 /* open", 0, false, false},
		{"select 1", 0, false, false},
		{"", 0, false, false},
	}
	for _, tt := range tests {
		k, at, end, ok := killText([]byte(tt.text))
		if ok != tt.ok || k.ID != tt.id && ok || k.Query != tt.query && ok {
			t.Errorf("%q: %+v, %t", tt.text, k, ok)
		}
		if ok && tt.text[at:end] != fmt.Sprint(tt.id) {
			t.Errorf("%q: the number is at %q", tt.text, tt.text[at:end])
		}
	}
}

// message frames a command.
func message(payload string) string {
	return string(appendHeader(nil, len(payload), 0)) + payload
}

const noAttributes = "\x00\x01"

// TestIntercept finds a kill behind other packets, at every cut, and lets everything else go.
func TestIntercept(t *testing.T) {
	ping, query := message("\x0e"), message("\x03select 'kill 5'")
	process := message("\x0c\x05\x00\x00\x00")
	tests := []struct {
		name   string
		in     facts
		stream string
		at     int // where the kill begins; -1: there is none
		kill   codec.Kill
	}{
		{"process kill", classic, ping + process + ping, len(ping), codec.Kill{ID: 5, Len: len(process)}},
		{"statement", classic, query + message("\x03kill query 5") + query, len(query), codec.Kill{ID: 5, Query: true, Len: 17}},
		{"with a comment", classic, message("\x03/* x */kill 5"), 0, codec.Kill{ID: 5, Len: 18}},
		{"attributes", facts{caps: capQueryAttributes}, message("\x03" + noAttributes + "kill 5"), 0, codec.Kill{ID: 5, Len: 13}},
		{"with attributes", facts{caps: capQueryAttributes},
			message("\x03\x01\x01\x00\x01\x0f\x00\x01a\x02hikill 5"), 0, codec.Kill{ID: 5, Len: 22}},
		{"no kill", classic, ping + query + query + message("\x03killing 5") + message(""), -1, codec.Kill{}},
		{"too long for one", classic, message("\x03kill 5" + strings.Repeat(" ", maxKill)), -1, codec.Kill{}},
		{"inside a long one", classic, message("\x03select '" + strings.Repeat("\x05\x00\x00\x00\x0c\x05\x00\x00\x00", 200) + "'"), -1, codec.Kill{}},
		{"in a compressed session", zlibbed, process, -1, codec.Kill{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for piece := 1; piece <= len(tt.stream); piece++ {
				f := newFollower(tt.in, nil)
				var held []byte
				passed, found := 0, codec.Kill{}
				for i := 0; i < len(tt.stream) && found.Len == 0; i += piece {
					p := append(held, tt.stream[i:min(i+piece, len(tt.stream))]...)
					n, kill, hold := f.Intercept(p)
					if n > len(p) || hold && kill != nil || !hold && kill == nil && n < len(p) {
						t.Fatalf("pieces of %d: n %d of %d, kill %v, hold %t", piece, n, len(p), kill, hold)
					}
					if f.z == nil {
						if err := f.Client(p[:n]); err != nil {
							t.Fatal(err)
						}
					}
					passed += n
					held = append([]byte(nil), p[n:]...)
					if len(held) > headerLen+maxKill && kill == nil {
						t.Fatalf("%d bytes held", len(held))
					}
					if kill != nil {
						found = *kill
					}
				}
				if found != tt.kill || tt.at >= 0 && passed != tt.at || tt.at < 0 && passed != len(tt.stream) {
					t.Fatalf("pieces of %d: %+v behind %d bytes", piece, found, passed)
				}
			}
		})
	}
}

// TestInterceptNot: data that a client sends is no command, whatever it looks like.
func TestInterceptNot(t *testing.T) {
	kill := message("\x0c\x05\x00\x00\x00")
	for _, line := range []string{"c:load s:file", "c:change s:switch", "c:dump s:event", "c:clone s:ok"} {
		f, _, err := parseTalk(t, line).play(classic, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n, k, hold := f.Intercept([]byte(kill)); n != len(kill) || k != nil || hold {
			t.Errorf("%s: %d, %v, %t", line, n, k, hold)
		}
	}
	// Nor is the rest of a message, of a packet or of a header.
	long := message("\x03" + strings.Repeat("x", 100))
	for cut := 1; cut < len(long); cut++ {
		f := newFollower(classic, nil)
		if err := f.Client([]byte(long[:cut])); err != nil {
			t.Fatal(err)
		}
		p := []byte(long[cut:] + kill)
		if n, k, _ := f.Intercept(p); n != len(p)-len(kill) || k == nil {
			t.Fatalf("cut at %d: %d of %d, %v", cut, n, len(p), k)
		}
	}
	// A packet of 16 MiB - 1 is continued: what follows is not a command.
	f := newFollower(classic, nil)
	if err := f.Client(append(appendHeader(nil, fullLen, 0), make([]byte, fullLen)...)); err != nil {
		t.Fatal(err)
	}
	p := []byte("\x05\x00\x00\x01\x0c\x05\x00\x00\x00" + kill)
	if n, k, _ := f.Intercept(p); n != len(p)-len(kill) || k == nil {
		t.Errorf("behind a full packet: %d, %v", n, k)
	}
}

// TestKillRewritten: the id is replaced, all else stays.
func TestKillRewritten(t *testing.T) {
	tests := []struct {
		in       facts
		from, to string
	}{
		{classic, "\x0c\x05\x00\x00\x00", "\x0c\x40\xe2\x01\x00"},
		{classic, "\x03/*a*/ kill query 5 ;", "\x03/*a*/ kill query 123456 ;"},
		{facts{caps: capQueryAttributes}, "\x03" + noAttributes + "KILL 99", "\x03" + noAttributes + "KILL 123456"},
		{facts{caps: capQueryAttributes}, "\x03\x01\x01\x00\x01\x0f\x00\x01a\x02hikill 5", "\x03\x01\x01\x00\x01\x0f\x00\x01a\x02hikill 123456"},
	}
	for _, tt := range tests {
		f := newFollower(tt.in, nil)
		msg := []byte(message(tt.from))
		n, kill, hold := f.Intercept(msg)
		if n != 0 || kill == nil || hold {
			t.Fatalf("%q: %d, %v, %t", tt.from, n, kill, hold)
		}
		got := f.AppendKill([]byte("x"), msg[:kill.Len], kill, 123456)
		if string(got) != "x"+message(tt.to) {
			t.Errorf("%q became %q", tt.from, got)
		}
		if err := f.Client(got[1:]); err != nil || f.Owed() != 1 {
			t.Errorf("%q does not fit the stream: %v", tt.to, err)
		}
	}
}

// TestKillAnswered: Sluice's own answers have the place of the server's.
func TestKillAnswered(t *testing.T) {
	f, _, _ := parseTalk(t, "c:begin s:okT").play(classic, 0)
	if got := f.AppendOK(nil); string(got) != "\x07\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00" {
		t.Errorf("OK %q", got)
	}
	got := f.AppendKillError(nil, codec.Error{Cond: codec.UnknownThread, Text: "Unknown thread id: 5"})
	if want := "\x1d\x00\x00\x01\xff\x46\x04#HY000Unknown thread id: 5"; string(got) != want {
		t.Errorf("ERR %q\nwant %q", got, want)
	}
}

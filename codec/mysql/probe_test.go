package mysql

import (
	"strings"
	"testing"
)

// TestProbe: what counts as fit. "c:" is the check's own packet, checked for its sequence id only.
func TestProbe(t *testing.T) {
	greeting := string(greetingOf(serverCapsTest, 0, cachingSha2))
	denied := loginErr
	code := func(n uint16) string { return "\xff" + string([]byte{byte(n), byte(n >> 8)}) + "#HY000text" }
	tests := []struct {
		name   string
		server []string // its packets, each behind one of the check's
		err    string   // what is wrong; "" = fit
		quit   bool
	}{
		{"denied", []string{greeting, denied}, "", false},
		{"let in", []string{greeting, loginOK}, "", true},
		{"let in, known", []string{greeting, "\x01\x03", loginOK}, "", true},
		{"another plugin", []string{greeting, "\xfemysql_native_password\x00" + testSalt + "\x00", denied}, "", false},
		{"whole password", []string{greeting, "\x01\x04", denied}, "", false},
		{"TLS required", []string{greeting, code(3159)}, "", false},
		{"account locked", []string{greeting, code(4151)}, "", false},
		{"no such plugin", []string{greeting, code(1698)}, "", false},
		{"whole password, and no idea of what came", []string{greeting, "\x01\x04", code(1105)}, "", false},
		{"unknown to it", []string{greeting, code(1449)}, "", false},
		{"denied in place of a greeting", []string{denied}, "1045", false},
		{"host blocked", []string{"\xff\x69\x04Host is blocked"}, "1129", false},
		{"host not allowed", []string{"\xff\x6a\x04Host is not allowed"}, "1130", false},
		{"full", []string{"\xff\x10\x04Too many connections"}, "", false},
		{"full, behind the greeting", []string{greeting, code(1040)}, "", false},
		{"shutting down", []string{greeting, code(1053)}, "1053", false},
		{"full for this user", []string{greeting, code(1203)}, "1203", false},
		{"offline", []string{greeting, code(3032)}, "3032", false},
		{"not MySQL", []string{"SSH-2.0"}, "greeting", false},
		{"empty", []string{""}, "end", false},
		{"without end", append([]string{greeting}, strings.Split(strings.Repeat("\x01ask|", 20), "|")...), "end", false},
	}
	for _, tt := range tests {
		for _, piece := range []int{0, 1, 3} {
			p := Protocol{}.NewProbe("")
			if p.Start() != nil {
				t.Fatal("the check speaks first")
			}
			var sent []byte
			var done bool
			var err error
			var seq byte
			for _, payload := range tt.server {
				b := append(appendHeader(nil, len(payload), seq), payload...)
				seq++
				for n := piece; len(b) > 0 && !done; b = b[n:] {
					if n = piece; n == 0 || n > len(b) {
						n = len(b)
					}
					var send []byte
					send, done, err = p.Server(b[:n])
					if len(send) > 0 && !done {
						if send[3] != seq {
							t.Fatalf("%s: sends packet %d, want %d", tt.name, send[3], seq)
						}
						seq++
					}
					sent = append(sent, send...)
				}
			}
			if !done || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: done %t, %v", tt.name, done, err)
			}
			if quit := strings.HasSuffix(string(sent), message("\x01")); quit != tt.quit {
				t.Errorf("%s: quit %t", tt.name, quit)
			}
		}
	}
}

// TestProbeResponse: the check logs in with a response that servers can read.
func TestProbeResponse(t *testing.T) {
	for user, want := range map[string]string{"": probeUser, "monitor": "monitor"} {
		p := Protocol{}.NewProbe(user)
		g := greetingOf(serverCapsTest, 0, cachingSha2)
		send, done, err := p.Server(append(appendHeader(nil, len(g), 0), g...))
		if done || err != nil || send[3] != 1 {
			t.Fatal(done, err)
		}
		r, ok := parseResponse(send[headerLen:])
		if !ok || r.user != want || r.plugin != cachingSha2 || string(r.auth) != "\x00" || r.caps&capSSL != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// TestProbeLimits: packets have their place and their size.
func TestProbeLimits(t *testing.T) {
	for _, b := range [][]byte{appendHeader(nil, maxGreeting+1, 0), appendHeader(nil, 10, 3)} {
		if _, done, err := (Protocol{}).NewProbe("").Server(b); !done || err == nil {
			t.Errorf("%x: %t, %v", b, done, err)
		}
	}
}

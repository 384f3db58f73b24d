package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

const testSalt = "abcdefghijklmnopqrst"

// greetingOf builds the payload of a greeting.
func greetingOf(caps, ext uint32, plugin string) []byte {
	b := append([]byte{10}, "8.0.99-test\x00"...)
	b = binary.LittleEndian.AppendUint32(b, 1000)
	b = append(append(b, testSalt[:8]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, 45, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	b = append(b, 21, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, ext)
	b = append(append(b, testSalt[8:]...), 0)
	return append(append(b, plugin...), 0)
}

// responseOf builds the payload of a client's response.
func responseOf(caps uint32, user, auth, db, plugin string) []byte {
	b := make([]byte, responseMin)
	putResponseCaps(b, caps, 0)
	b[8] = 45
	b = append(append(b, user...), 0)
	switch {
	case caps&capPluginAuthLenenc != 0:
		b = appendLenenc(b, uint64(len(auth)))
		b = append(b, auth...)
	case caps&capSecureConnection != 0:
		b = append(append(b, byte(len(auth))), auth...)
	default:
		b = append(append(b, auth...), 0)
	}
	if caps&capConnectWithDB != 0 {
		b = append(append(b, db...), 0)
	}
	if caps&capPluginAuth != 0 {
		b = append(append(b, plugin...), 0)
	}
	return append(b, "\x06\x02ab\x02cd"...) // attributes
}

const (
	serverCapsTest = capLongPassword | capConnectWithDB | capCompress | capProtocol41 | capSSL | capSecureConnection |
		capPluginAuth | capPluginAuthLenenc | capDeprecateEOF | capZstd | capQueryAttributes | capConnectAttrs
	clientCapsTest = capLongPassword | capConnectWithDB | capProtocol41 | capSecureConnection | capPluginAuth |
		capPluginAuthLenenc | capDeprecateEOF | capConnectAttrs
)

// wire plays both peers of a login. Bytes go in pieces of a given size; what the login writes is cut into
// packets again, whose sequence ids have to be right.
type wire struct {
	t     testing.TB
	l     *Login
	piece int
	op    codec.Op
	seq   [2]uint8 // next on that connection
}

func newWire(t testing.TB, cfg codec.LoginConfig, piece int) *wire {
	w := &wire{t: t, l: Protocol{}.NewLogin(&cfg).(*Login), piece: piece}
	if op := w.l.Start(); op != codec.OpDial {
		t.Fatalf("start: %v", op)
	}
	w.op = w.l.Connected()
	return w
}

// send gives a packet of that side to the login.
func (w *wire) send(s codec.Side, payload string) codec.Op {
	w.t.Helper()
	b := append(appendHeader(nil, len(payload), w.seq[s]), payload...)
	w.seq[s]++
	w.op = codec.OpMore
	for piece := max(w.piece, 0); len(b) > 0; {
		n := len(b)
		if piece > 0 {
			n = min(n, piece)
		}
		take := w.l.Server
		if s == codec.Client {
			take = w.l.Client
		}
		if w.op != codec.OpMore {
			w.t.Fatalf("%v within a packet", w.op)
		}
		w.op = take(b[:n])
		b = b[n:]
	}
	return w.op
}

// got returns the payloads that the login wrote to that side, one per packet.
func (w *wire) got(s codec.Side) []string {
	w.t.Helper()
	var out []string
	for b := w.l.Take(s); len(b) > 0; {
		n := int(packetLen(b))
		if b[3] != w.seq[s] {
			w.t.Fatalf("packet to the %v has sequence id %d, want %d", s, b[3], w.seq[s])
		}
		w.seq[s]++
		out = append(out, string(b[headerLen:headerLen+n]))
		b = b[headerLen+n:]
	}
	return out
}

// want fails unless the login has written exactly these packets to that side.
func (w *wire) want(s codec.Side, payloads ...string) {
	w.t.Helper()
	if got := w.got(s); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", payloads) {
		w.t.Fatalf("the %v got %q\nwant %q", s, got, payloads)
	}
}

// wantOp fails unless the last call asked for op.
func (w *wire) wantOp(op codec.Op) {
	w.t.Helper()
	if w.op != op {
		w.t.Fatalf("op %v (%v), want %v", w.op, w.l.Refusal(), op)
	}
}

// work does the RSA that the login asked for.
func (w *wire) work() {
	w.t.Helper()
	w.wantOp(codec.OpWork)
	w.l.Work()
	w.op = w.l.Worked()
}

// greet goes through the greeting and, as configured, the client's and the server's TLS. The server
// has been sent the response when it returns.
func (w *wire) greet(caps uint32, plugin string, clientTLS bool, response func(caps uint32) []byte) {
	w.t.Helper()
	w.send(codec.Server, string(greetingOf(caps, 0, plugin)))
	w.wantOp(codec.OpMore)
	if len(w.got(codec.Client)) != 1 {
		w.t.Fatal("no greeting for the client")
	}
	ccaps := uint32(clientCapsTest)
	if clientTLS {
		ccaps |= capSSL
		w.send(codec.Client, string(response(ccaps)[:responseMin]))
		w.wantOp(codec.OpClientTLS)
		w.op = w.l.ClientSecured(nil)
	}
	w.send(codec.Client, string(response(ccaps)))
}

// secureServer goes through the server's TLS.
func (w *wire) secureServer() {
	w.t.Helper()
	w.wantOp(codec.OpServerTLS)
	req := w.got(codec.Server)
	if len(req) != 1 || len(req[0]) != responseMin || binary.LittleEndian.Uint32([]byte(req[0]))&capSSL == 0 {
		w.t.Fatalf("SSLRequest %q", req)
	}
	w.op = w.l.ServerSecured(nil)
}

// everyPiece runs a login in pieces of several sizes.
func everyPiece(t *testing.T, run func(t *testing.T, piece int)) {
	for _, piece := range []int{0, 1, 2, 3, 5, 31, 33} {
		t.Run(fmt.Sprint("pieces of ", piece), func(t *testing.T) { run(t, piece) })
	}
}

const (
	loginOK  = "\x00\x00\x00\x02\x40\x00\x00"
	loginErr = "\xff\x15\x04#28000Access denied"
)

func native20(caps uint32) []byte {
	return responseOf(caps, "app", "12345678901234567890", "shop", nativePlugin)
}

// TestLogin relays a login with all four ways to have TLS: what is not Sluice's business passes byte
// for byte, and each side's sequence ids are right. // pitfall 67
func TestLogin(t *testing.T) {
	for _, tls := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		everyPiece(t, func(t *testing.T, piece int) {
			cfg := codec.LoginConfig{ClientTLS: codec.TLSPrefer, VisibleID: func(id uint32) uint32 { return id + 7 }}
			if tls[1] {
				cfg.ServerTLS = codec.TLSRequire
			}
			w := newWire(t, cfg, piece)
			w.greet(serverCapsTest, nativePlugin, tls[0], native20)
			caps := uint32(clientCapsTest)
			if tls[1] {
				caps |= capSSL
				w.secureServer()
			}
			w.want(codec.Server, string(native20(caps)))
			w.send(codec.Server, serverWords["switch"])
			w.want(codec.Client, serverWords["switch"])
			w.send(codec.Client, clientWords["auth"])
			w.want(codec.Server, clientWords["auth"])
			w.send(codec.Server, loginOK)
			w.wantOp(codec.OpReady)
			w.want(codec.Client, loginOK)
			if w.l.User() != "app" || w.l.Database() != "shop" || w.l.Refusal() != nil {
				t.Errorf("user %q, database %q, %v", w.l.User(), w.l.Database(), w.l.Refusal())
			}
			f := w.l.Follower(nil).(*Follower)
			want := facts{key: 1007, caps: clientCapsTest, clientTLS: tls[0], serverTLS: tls[1]}
			if tls[0] {
				want.caps |= capSSL
			}
			want.status = binary.LittleEndian.Uint16([]byte(loginOK[3:]))
			if f.facts != want {
				t.Errorf("facts %+v\nwant  %+v", f.facts, want)
			}
		})
	}
}

// TestGreetingRewritten: the client sees the server's greeting, changed in id and flags only.
func TestGreetingRewritten(t *testing.T) {
	for _, tt := range []struct {
		clientTLS         codec.TLSMode
		caps, ext         uint32
		wantCaps, wantExt uint32
	}{
		{codec.TLSDisable, serverCapsTest, 0, serverCapsTest &^ capSSL, 0},
		{codec.TLSPrefer, serverCapsTest &^ capSSL, 0, serverCapsTest, 0},
		{codec.TLSDisable, capProtocol41 | capExtension, 0xffffffff, capProtocol41, knownExts}, // MariaDB's: COM_MULTI goes
		{codec.TLSDisable, capProtocol41 | capLongPassword, 0x01020304, capProtocol41 | capLongPassword, 0x01020304},
	} {
		w := newWire(t, codec.LoginConfig{ClientTLS: tt.clientTLS}, 0)
		w.send(codec.Server, string(greetingOf(tt.caps|capPluginAuth, tt.ext, "some_plugin")))
		w.want(codec.Client, string(greetingOf(tt.wantCaps|capPluginAuth, tt.wantExt, "some_plugin")))
	}
}

// TestMaskedFlags: what the client was not offered it can't have, even if it asks.
func TestMaskedFlags(t *testing.T) {
	w := newWire(t, codec.LoginConfig{}, 0)
	w.send(codec.Server, string(greetingOf(capProtocol41|capSecureConnection|capExtension, 0xff, "")))
	w.got(codec.Client)
	r := responseOf(capProtocol41|capSecureConnection|capExtension, "u", "", "", "")
	binary.LittleEndian.PutUint32(r[responseExt:], 0xff)
	w.send(codec.Client, string(r))
	putResponseCaps(r, capProtocol41|capSecureConnection, knownExts)
	w.want(codec.Server, string(r))
	w.send(codec.Server, loginOK)
	w.wantOp(codec.OpReady)
	if f := w.l.Follower(nil).(*Follower); f.facts.caps != capProtocol41|capSecureConnection || f.facts.ext != knownExts {
		t.Errorf("followed with %x, %x", f.facts.caps, f.facts.ext)
	}
}

// TestLoginRefused: who refuses, when, and what the client reads.
func TestLoginRefused(t *testing.T) {
	plain := func(code uint16, rest string) string {
		return "\xff" + string(binary.LittleEndian.AppendUint16(nil, code)) + rest
	}
	gone := codec.Error{Cond: codec.NoBackend, Text: "no server"}
	tests := []struct {
		name string
		cfg  codec.LoginConfig
		run  func(w *wire)
		want string // the beginning of what the client reads last
		op   codec.Op
		cond codec.Condition
		text string // in place of cond: the server's own
	}{
		{name: "no backend", run: func(w *wire) { w.op = w.l.Refuse(gone) },
			want: plain(1105, "no server"), op: codec.OpClose, cond: codec.NoBackend},
		{name: "server refuses in place of a greeting", run: func(w *wire) { w.send(codec.Server, "\xff\x10\x04Too many connections") },
			op: codec.OpRetry, text: "1040"},
		{name: "and no other is left", run: func(w *wire) {
			w.send(codec.Server, "\xff\x10\x04Too many connections")
			w.op = w.l.Refused()
		}, want: "\xff\x10\x04Too many connections", op: codec.OpClose, text: "1040"},
		{name: "protocol 9", run: func(w *wire) { w.send(codec.Server, "\x093.23\x00") },
			want: plain(1105, "the server does not"), op: codec.OpClose, cond: codec.ServerNotSupport},
		{name: "server without TLS", cfg: codec.LoginConfig{ServerTLS: codec.TLSVerifyFull},
			run:  func(w *wire) { w.send(codec.Server, string(greetingOf(serverCapsTest&^capSSL, 0, nativePlugin))) },
			want: plain(1105, "the server does not offer TLS"), op: codec.OpClose, cond: codec.TLSFailed},
		{name: "client without TLS", cfg: codec.LoginConfig{ClientTLS: codec.TLSRequire},
			run:  func(w *wire) { w.greet(serverCapsTest, nativePlugin, false, native20) },
			want: plain(3159, "#HY000connections using insecure"), op: codec.OpClose, cond: codec.TLSRequired},
		{name: "client older than 4.1", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, func(uint32) []byte { return []byte("\x85\x24\x00\x00\x00old\x00") })
		}, want: plain(1251, "#08004Client does not support"), op: codec.OpClose, cond: codec.ProtocolError},
		{name: "response too short", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, func(c uint32) []byte { return native20(c)[:20] })
		}, want: plain(1835, "#HY000the client's response is too short"), op: codec.OpClose, cond: codec.ProtocolError},
		{name: "response without user", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, func(c uint32) []byte { return native20(c)[:responseMin+2] })
		}, want: plain(1835, "#HY000the client's response is malformed"), op: codec.OpClose, cond: codec.ProtocolError},
		{name: "TLS that was not offered", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, func(c uint32) []byte { return native20(c | capSSL)[:responseMin] })
		}, want: plain(1835, "#HY000the client asks for TLS"), op: codec.OpClose, cond: codec.ProtocolError},
		{name: "wrong password", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, native20)
			w.got(codec.Server)
			w.send(codec.Server, loginErr)
		}, want: loginErr, op: codec.OpClose, text: "1045 (28000) Access denied"},
		{name: "full behind the greeting", run: func(w *wire) { // the client has this server's salt: too late for another
			w.greet(serverCapsTest, nativePlugin, false, native20)
			w.got(codec.Server)
			w.send(codec.Server, "\xff\x10\x04#08004Too many connections")
		}, want: "\xff\x10\x04#08004Too many connections", op: codec.OpClose, text: "1040"},
		{name: "server loses patience", run: func(w *wire) {
			w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
			w.got(codec.Client)
			w.send(codec.Server, loginErr)
		}, want: loginErr, op: codec.OpClose, text: "1045"},
		{name: "server lost while the client thinks: it is told when it has spoken", run: func(w *wire) {
			w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
			w.got(codec.Client)
			if op := w.l.Refuse(gone); op != codec.OpMore || w.got(codec.Client) != nil {
				w.t.Fatalf("refused early: %v", op)
			}
			w.l.Server([]byte("junk"))
			w.send(codec.Client, string(native20(clientCapsTest)))
		}, want: plain(1105, "#08S01no server"), op: codec.OpClose, cond: codec.NoBackend},
		{name: "the same with TLS in between", cfg: codec.LoginConfig{ClientTLS: codec.TLSRequire}, run: func(w *wire) {
			w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
			w.got(codec.Client)
			w.l.Refuse(gone)
			w.send(codec.Client, string(native20(clientCapsTest | capSSL)[:responseMin]))
			w.wantOp(codec.OpClientTLS)
			w.op = w.l.ClientSecured(nil)
			w.send(codec.Client, string(native20(clientCapsTest|capSSL)))
		}, want: plain(1105, "#08S01no server"), op: codec.OpClose, cond: codec.NoBackend},
		{name: "and in the exchange", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, native20)
			w.got(codec.Server)
			w.send(codec.Server, serverWords["switch"])
			w.got(codec.Client)
			w.l.Refuse(gone)
			w.send(codec.Client, clientWords["auth"])
		}, want: plain(1105, "#08S01no server"), op: codec.OpClose, cond: codec.NoBackend},
		{name: "out of time does not wait", run: func(w *wire) {
			w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
			w.got(codec.Client)
			w.op = w.l.Refuse(codec.Error{Cond: codec.LoginTimeout, Text: "too slow"})
		}, want: plain(1159, "#08S01too slow"), op: codec.OpClose, cond: codec.LoginTimeout},
		{name: "server lost in the exchange", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, native20)
			w.op = w.l.Refuse(gone)
		}, want: plain(1105, "#08S01no server"), op: codec.OpClose, cond: codec.NoBackend},
		{name: "server speaks out of turn", run: func(w *wire) {
			w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
			w.got(codec.Client)
			w.send(codec.Server, loginOK)
		}, want: plain(1835, "#HY000a packet of the server out of turn"), op: codec.OpClose, cond: codec.ProtocolError},
		{name: "malformed OK", run: func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, false, native20)
			w.got(codec.Server)
			w.send(codec.Server, "\x00")
		}, want: plain(1835, "#HY000malformed OK"), op: codec.OpClose, cond: codec.ProtocolError},
		{name: "client out of order", run: func(w *wire) { // pitfall 65
			w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
			w.got(codec.Client)
			w.op = w.l.Client(append(appendHeader(nil, 3, 5), "abc"...))
		}, want: plain(1835, "#HY000a packet of the client is out of order"), op: codec.OpClose, cond: codec.ProtocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, tt.cfg, 0)
			tt.run(w)
			w.wantOp(tt.op)
			if tt.want != "" {
				got := w.got(codec.Client)
				if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], tt.want) {
					t.Errorf("the client reads %q\nwant %q…", got, tt.want)
				}
			}
			var e codec.Error
			err := w.l.Refusal()
			if tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)) ||
				tt.text == "" && (!errors.As(err, &e) || e.Cond != tt.cond) {
				t.Errorf("refusal %v (%v), want %v %s", err, e.Cond, tt.cond, tt.text)
			}
		})
	}
}

// TestRetry: a server that refuses before the client was told anything leaves no trace.
func TestRetry(t *testing.T) {
	ids := 0
	w := newWire(t, codec.LoginConfig{VisibleID: func(id uint32) uint32 { ids++; return uint32(ids) }}, 0)
	w.send(codec.Server, "\xff\x10\x04Too many connections")
	w.wantOp(codec.OpRetry)
	w.seq[codec.Server] = 0
	w.op = w.l.Connected()
	w.greet(serverCapsTest, nativePlugin, false, native20)
	w.got(codec.Server)
	w.send(codec.Server, loginOK)
	w.wantOp(codec.OpReady)
	if k, _ := w.l.Follower(nil).Key(); w.l.Refusal() != nil || k.ID != 1 || ids != 1 {
		t.Errorf("refusal %v, id %d", w.l.Refusal(), k.ID)
	}
}

// TestHandshakeBehindTLSRequest: the server does not answer a request for TLS, so clients do not wait.
func TestHandshakeBehindTLSRequest(t *testing.T) {
	const hello = "\x16\x03\x01\x00\x2aclient hello"
	w := newWire(t, codec.LoginConfig{ClientTLS: codec.TLSPrefer}, 0)
	w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
	w.got(codec.Client)
	req := string(native20(clientCapsTest | capSSL)[:responseMin])
	b := append(appendHeader(nil, len(req), 1), req...)
	if op := w.l.Client(append(b, hello...)); op != codec.OpClientTLS {
		t.Fatalf("op %v, %v", op, w.l.Refusal())
	}
	if rest := w.l.Rest(codec.Client); string(rest) != hello {
		t.Errorf("the handshake to be fed to TLS: %q", rest)
	}
	if op := w.l.ClientSecured(nil); op != codec.OpMore {
		t.Errorf("secured: %v", op)
	}
}

// TestInjectedPlaintext: what came in plain behind a request for TLS is not taken for part of it.
// // pitfall 67
func TestInjectedPlaintext(t *testing.T) {
	w := newWire(t, codec.LoginConfig{ClientTLS: codec.TLSPrefer}, 0)
	w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
	w.got(codec.Client)
	req := string(native20(clientCapsTest | capSSL)[:responseMin])
	b := append(appendHeader(nil, len(req), 1), req...)
	if op := w.l.Client(append(b, "\x05\x00\x00\x02evil!"...)); op != codec.OpClose || w.l.Refusal() == nil {
		t.Errorf("client: %v, %v", op, w.l.Refusal())
	}
	// A wish for TLS that is longer than it has to be is the same thing.
	w = newWire(t, codec.LoginConfig{ClientTLS: codec.TLSPrefer}, 0)
	w.greet(serverCapsTest, nativePlugin, false, func(c uint32) []byte { return native20(c | capSSL) })
	w.wantOp(codec.OpClose)
	// Of the server, in front of its handshake.
	w = newWire(t, codec.LoginConfig{ServerTLS: codec.TLSPrefer}, 0)
	w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
	w.got(codec.Client)
	w.l.Server([]byte{1})
	w.send(codec.Client, string(native20(clientCapsTest)))
	if w.op == codec.OpServerTLS {
		t.Error("server: accepted")
	}
}

// TestServerTLSPreferred: without TLS on the server's side the client's flags are passed without it.
func TestServerTLSPreferred(t *testing.T) {
	w := newWire(t, codec.LoginConfig{ServerTLS: codec.TLSPrefer}, 0)
	w.greet(serverCapsTest&^capSSL, nativePlugin, false, native20)
	w.wantOp(codec.OpMore)
	w.want(codec.Server, string(native20(clientCapsTest)))
}

// TestLoginLimits: both sides' packets have a limit that is checked before they are gathered.
func TestLoginLimits(t *testing.T) {
	w := newWire(t, codec.LoginConfig{}, 0)
	if op := w.l.Server(appendHeader(nil, maxGreeting+1, 0)); op != codec.OpClose {
		t.Errorf("greeting: %v", op)
	}
	w = newWire(t, codec.LoginConfig{}, 0)
	w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
	if op := w.l.Client(appendHeader(nil, maxResponse+1, 1)); op != codec.OpClose {
		t.Errorf("response: %v", op)
	}
	w = newWire(t, codec.LoginConfig{}, 0)
	op, sent := codec.OpMore, 0
	for chunk := make([]byte, 64<<10); op == codec.OpMore && sent < 8*maxResponse; sent += len(chunk) {
		op = w.l.Client(chunk) // before the greeting: kept until then
	}
	if op != codec.OpClose || sent > 2*maxResponse+64<<10 {
		t.Errorf("ahead of the greeting: %v after %d bytes", op, sent)
	}
	// One that just fits passes.
	w = newWire(t, codec.LoginConfig{}, 0)
	long := strings.Repeat("n", maxResponse-responseMin-200)
	w.greet(serverCapsTest, nativePlugin, false, func(c uint32) []byte { return responseOf(c, long, "", "d", "p") })
	w.wantOp(codec.OpMore)
	if w.l.User() != long {
		t.Error("a long response did not pass")
	}
}

// TestRest: commands that a client sends ahead of the end of its login, and what a server sends behind
// it, are handed on.
func TestRest(t *testing.T) {
	w := newWire(t, codec.LoginConfig{}, 0)
	w.greet(serverCapsTest, nativePlugin, false, native20)
	w.got(codec.Server)
	w.l.Client([]byte("\x01\x00\x00\x00\x0e"))
	if b := w.l.Take(codec.Server); len(b) > 0 {
		t.Fatalf("a command went on within the login: %q", b)
	}
	ok := append(appendHeader(nil, len(loginOK), 2), loginOK...)
	if op := w.l.Server(append(ok, "\x01\x02"...)); op != codec.OpReady {
		t.Fatal(op)
	}
	if c, s := w.l.Rest(codec.Client), w.l.Rest(codec.Server); string(c) != "\x01\x00\x00\x00\x0e" || string(s) != "\x01\x02" {
		t.Errorf("rest %q, %q", c, s)
	}
	if len(w.l.Rest(codec.Client)) > 0 {
		t.Error("rest twice")
	}
}

// TestCompressionNegotiated: it is on if both want it, zlib rather than zstd. // pitfall 66
func TestCompressionNegotiated(t *testing.T) {
	for _, tt := range []struct {
		server, client uint32
		on, zstd       bool
	}{
		{capCompress | capZstd, 0, false, false},
		{0, capCompress | capZstd, false, false},
		{capCompress | capZstd, capCompress, true, false},
		{capCompress | capZstd, capZstd, true, true},
		{capCompress | capZstd, capCompress | capZstd, true, false},
	} {
		w := newWire(t, codec.LoginConfig{}, 0)
		w.greet(serverCapsTest&^(capCompress|capZstd)|tt.server, nativePlugin, false,
			func(c uint32) []byte { return native20(c | tt.client) })
		w.got(codec.Server)
		w.send(codec.Server, loginOK)
		f := w.l.Follower(nil).(*Follower)
		if (f.z != nil) != tt.on || f.z != nil && f.z.zstd != tt.zstd {
			t.Errorf("%+v: %+v", tt, f.z)
		}
	}
}

// TestWithAuth: other authentication data fit each of the three forms of a response.
func TestWithAuth(t *testing.T) {
	for _, caps := range []uint32{capProtocol41 | capPluginAuthLenenc | capPluginAuth, capProtocol41 | capSecureConnection, capProtocol41} {
		r, ok := parseResponse(responseOf(caps|capConnectWithDB, "u", "old", "d", "p"))
		if !ok || string(r.auth) != "old" {
			t.Fatalf("%x: %q", caps, r.auth)
		}
		b, ok := r.withAuth([]byte("newer"))
		if !ok || !bytes.Equal(b, responseOf(caps|capConnectWithDB, "u", "newer", "d", "p")) {
			t.Errorf("%x: %q", caps, b)
		}
	}
	r, _ := parseResponse(responseOf(capProtocol41|capSecureConnection, "u", "", "", ""))
	if _, ok := r.withAuth(make([]byte, 256)); ok {
		t.Error("256 bytes do not fit a length of one byte")
	}
}

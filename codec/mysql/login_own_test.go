package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

// ownWire is a wire whose client is greeted by Sluice, on behalf of servers with those greetings.
func ownWire(t testing.TB, cfg codec.LoginConfig, piece int, greetings ...[]byte) *wire {
	common := Protocol{}.Common(greetings)
	if common == nil {
		t.Fatal("nothing in common")
	}
	cfg.Greet = &codec.Greet{Common: common, ID: 1 << 31}
	w := &wire{t: t, l: Protocol{}.NewLogin(&cfg).(*Login), piece: piece}
	w.op = w.l.Start()
	return w
}

// ownGreeted takes Sluice's greeting for the client and returns it.
func (w *wire) ownGreeted() greeting {
	w.t.Helper()
	w.wantOp(codec.OpMore)
	got := w.got(codec.Client)
	if len(got) != 1 {
		w.t.Fatalf("the client got %q", got)
	}
	g, ok := parseGreeting([]byte(got[0]))
	if !ok || g.id != 1<<31 || len(g.salt) != saltLen || slices.Contains(g.salt, 0) || bytes.Equal(g.salt, []byte(testSalt)) {
		w.t.Fatalf("greeting %+v", g)
	}
	return g
}

// TestOwnLogin: the client's plugin and the server's salt come together by a switch; nothing of the client's
// answer to Sluice's salt but its length goes on, whatever the form of the response.
func TestOwnLogin(t *testing.T) {
	forms := []struct {
		name string
		caps uint32
		auth string
		user string
	}{
		{"native", clientCapsTest, "12345678901234567890", "shop"},
		{"no password", clientCapsTest, "", "shop"},
		{"long", clientCapsTest, strings.Repeat("p", 512), "shop"},
		{"short", clientCapsTest &^ capPluginAuthLenenc, "123456", "shop"},
		{"terminated", clientCapsTest &^ (capPluginAuthLenenc | capSecureConnection), "123456", "shop"},
		{"without plugin", clientCapsTest &^ (capPluginAuth | capConnectAttrs), "12345678901234567890", "shop"},
		{"without database", clientCapsTest &^ capConnectWithDB, "12345678901234567890", "shop"},
		{"without attributes", clientCapsTest &^ capConnectAttrs, "12345678901234567890", "shop"},
		{"no user", clientCapsTest, "", ""},
	}
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			everyPiece(t, func(t *testing.T, piece int) {
				w := ownWire(t, codec.LoginConfig{}, piece, greetingOf(serverCapsTest, 0, nativePlugin))
				g := w.ownGreeted()
				w.send(codec.Client, string(responseOf(form.caps&g.caps, form.user, form.auth, "db", "client_plugin")))
				w.wantOp(codec.OpDial)
				if w.l.User() != form.user {
					t.Fatalf("user %q", w.l.User())
				}
				w.connect()
				w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
				got := w.got(codec.Server)
				if len(got) != 1 {
					t.Fatalf("the server got %q", got)
				}
				r, ok := parseResponse([]byte(got[0]))
				if !ok || r.user != form.user || len(r.auth) != len(form.auth) || r.plugin != unknownPlugin ||
					len(form.auth) > 0 && bytes.Contains([]byte(got[0]), []byte(form.auth)) {
					t.Fatalf("response %+v", r)
				}
				if form.caps&capConnectWithDB != 0 && r.database != "db" {
					t.Errorf("database %q", r.database)
				}
				if form.caps&capConnectAttrs != 0 && !strings.HasSuffix(got[0], "\x06\x02ab\x02cd") {
					t.Errorf("attributes are lost: %q", got[0])
				}
				w.want(codec.Client)
				w.switchTo("native_again")
				w.send(codec.Client, "proof")
				w.want(codec.Server, "proof")
				w.loggedIn()
				if key, _ := w.l.Follower(nil).Key(); key.ID != 1<<31 {
					t.Errorf("key %v", key)
				}
			})
		})
	}
}

// connect has a server connected to.
func (w *wire) connect() {
	w.seq[codec.Server] = 0
	w.op = w.l.Connected()
	w.wantOp(codec.OpMore)
}

// TestOwnTLS: on either side, each for itself.
func TestOwnTLS(t *testing.T) {
	everyPiece(t, func(t *testing.T, piece int) {
		w := ownWire(t, codec.LoginConfig{ClientTLS: codec.TLSRequire, ServerTLS: codec.TLSRequire}, piece,
			greetingOf(serverCapsTest&^capSSL, 0, cachingSha2))
		g := w.ownGreeted()
		if g.caps&capSSL == 0 || g.plugin != cachingSha2 {
			t.Fatalf("greeting %+v", g)
		}
		request := responseOf(clientCapsTest|capSSL, "", "", "", "")[:responseMin]
		w.send(codec.Client, string(request))
		w.wantOp(codec.OpClientTLS)
		w.op = w.l.ClientSecured(nil)
		w.send(codec.Client, string(responseOf(clientCapsTest|capSSL, "shop", "12345678901234567890123456789012", "db", cachingSha2)))
		w.wantOp(codec.OpDial)
		w.connect()
		w.send(codec.Server, string(greetingOf(serverCapsTest, 0, cachingSha2)))
		w.wantOp(codec.OpServerTLS)
		if got := w.got(codec.Server); len(got) != 1 || len(got[0]) != responseMin || binary.LittleEndian.Uint32([]byte(got[0]))&capSSL == 0 {
			t.Fatalf("the server got %q", got)
		}
		w.op = w.l.ServerSecured(nil)
		if got := w.got(codec.Server); len(got) != 1 || !strings.Contains(got[0], unknownPlugin) {
			t.Fatalf("the server got %q", got)
		}
		w.switchTo(cachingSha2)
		w.send(codec.Client, strings.Repeat("s", 32))
		w.want(codec.Server, strings.Repeat("s", 32))
		w.fullAuth()
		w.send(codec.Client, "secret\x00")
		w.want(codec.Server, "secret\x00")
		w.loggedIn()
	})
}

// TestOwnSha2OneSided: with TLS on the client's side alone, the password is encrypted for the server as in any
// other login.
func TestOwnSha2OneSided(t *testing.T) {
	w := ownWire(t, codec.LoginConfig{ClientTLS: codec.TLSRequire}, 7, greetingOf(serverCapsTest, 0, cachingSha2))
	w.ownGreeted()
	w.send(codec.Client, string(responseOf(clientCapsTest|capSSL, "", "", "", "")[:responseMin]))
	w.op = w.l.ClientSecured(nil)
	w.send(codec.Client, string(responseOf(clientCapsTest|capSSL, "shop", "secret\x00", "db", "mysql_clear_password")))
	w.wantOp(codec.OpDial) // the password in clear has gone nowhere yet
	w.connect()
	w.send(codec.Server, string(greetingOf(serverCapsTest, 0, cachingSha2)))
	if got := w.got(codec.Server); len(got) != 1 || strings.Contains(got[0], "secret") {
		t.Fatalf("the server got %q", got)
	}
	w.switchTo(cachingSha2)
	w.send(codec.Client, strings.Repeat("s", 32))
	w.want(codec.Server, strings.Repeat("s", 32))
	w.fullAuth()
	w.send(codec.Client, "secret\x00")
	w.want(codec.Server, "\x02") // for its key
}

// TestOwnRetry: a server that refuses, or lacks what was agreed on, is replaced by another; the client hears of it
// only if there is none, with the sequence id and the SQLSTATE that are due.
func TestOwnRetry(t *testing.T) {
	everyPiece(t, func(t *testing.T, piece int) {
		visible := uint32(0)
		w := ownWire(t, codec.LoginConfig{VisibleID: func(id uint32) uint32 { visible = id; return 77 }}, piece,
			greetingOf(serverCapsTest, 0, nativePlugin))
		g := w.ownGreeted()
		w.send(codec.Client, string(responseOf(clientCapsTest&g.caps, "shop", "12345678901234567890", "db", nativePlugin)))
		w.wantOp(codec.OpDial)
		w.connect()
		w.send(codec.Server, "\xff\x10\x04Too many connections")
		w.wantOp(codec.OpRetry)
		w.connect()
		w.send(codec.Server, string(greetingOf(serverCapsTest&^capDeprecateEOF, 0, nativePlugin)))
		w.wantOp(codec.OpRetry)
		w.connect()
		w.send(codec.Server, string(greetingOf(serverCapsTest, 0, nativePlugin)))
		if got := w.got(codec.Server); len(got) != 1 || !strings.Contains(got[0], unknownPlugin) {
			t.Fatalf("the third server got %q", got)
		}
		w.want(codec.Client)
		w.switchTo(nativePlugin)
		w.send(codec.Client, "proof")
		w.want(codec.Server, "proof")
		w.loggedIn()
		if key, _ := w.l.Follower(nil).Key(); visible != 1000 || key.ID != 77 {
			t.Errorf("server's id %d, client's %v", visible, key)
		}
	})
	for _, refusal := range []struct{ server, want string }{
		{"\xff\x10\x04Too many connections", "\xff\x10\x04#HY000Too many connections"},
		{string(greetingOf(serverCapsTest&^capDeprecateEOF, 0, nativePlugin)),
			"\xff\x51\x04#HY000the server lacks what was agreed on with the client: DEPRECATE_EOF"},
	} {
		w := ownWire(t, codec.LoginConfig{}, 1, greetingOf(serverCapsTest, 0, nativePlugin))
		w.ownGreeted()
		w.send(codec.Client, string(responseOf(clientCapsTest, "shop", "", "db", nativePlugin)))
		w.connect()
		w.send(codec.Server, refusal.server)
		w.wantOp(codec.OpRetry)
		if op := w.l.Refused(); op != codec.OpClose || w.l.Refusal() == nil {
			t.Fatalf("%v, %v", op, w.l.Refusal())
		}
		w.want(codec.Client, refusal.want)
	}
}

// TestOwnRefused: clients that can't be served are told so, in words that they understand at that moment.
func TestOwnRefused(t *testing.T) {
	start := func(cfg codec.LoginConfig) *wire {
		w := ownWire(t, cfg, 3, greetingOf(serverCapsTest, 0, nativePlugin))
		w.ownGreeted()
		return w
	}
	w := start(codec.LoginConfig{})
	w.send(codec.Client, string(responseOf(clientCapsTest&^capProtocol41, "shop", "", "", "")))
	w.wantOp(codec.OpClose)
	if got := w.got(codec.Client); len(got) != 1 || !strings.HasPrefix(got[0], "\xff\xe3\x04#08004") {
		t.Errorf("without protocol 4.1: %q", got)
	}
	w = start(codec.LoginConfig{})
	w.send(codec.Client, string(responseOf(clientCapsTest, "", "", "", "")[:31]))
	w.wantOp(codec.OpClose)
	w = start(codec.LoginConfig{ClientTLS: codec.TLSRequire})
	w.send(codec.Client, string(responseOf(clientCapsTest, "shop", "", "", "")))
	w.wantOp(codec.OpClose)
	if got := w.got(codec.Client); len(got) != 1 || !strings.HasPrefix(got[0], "\xff\x57\x0c#HY000") {
		t.Errorf("without TLS: %q", got)
	}
	w = start(codec.LoginConfig{ServerTLS: codec.TLSRequire})
	w.send(codec.Client, string(responseOf(clientCapsTest, "shop", "", "", "")))
	w.connect()
	w.send(codec.Server, string(greetingOf(serverCapsTest&^capSSL, 0, nativePlugin)))
	w.wantOp(codec.OpClose)
	var e codec.Error
	if !errors.As(w.l.Refusal(), &e) || e.Cond != codec.TLSFailed || len(w.got(codec.Client)) != 1 {
		t.Errorf("a server without TLS: %v", w.l.Refusal())
	}
	w = start(codec.LoginConfig{})
	if op := w.l.Refuse(codec.Error{Cond: codec.TooManyConns, Text: "too many connections"}); op != codec.OpMore {
		t.Fatalf("refused before the client has spoken: %v", op)
	}
	w.send(codec.Client, string(responseOf(clientCapsTest, "shop", "", "", "")))
	w.wantOp(codec.OpClose)
	w.want(codec.Client, "\xff\x10\x04#08004too many connections")
	w = start(codec.LoginConfig{})
	w.send(codec.Client, string(responseOf(clientCapsTest, "shop", "", "", "")))
	w.wantOp(codec.OpDial)
	if op := w.l.Refuse(codec.Error{Cond: codec.TooManyConns, Text: "too many connections"}); op != codec.OpClose {
		t.Fatalf("refused in place of a dial: %v", op)
	}
	w.want(codec.Client, "\xff\x10\x04#08004too many connections")
}

// greetingWith is a greeting of that version.
func greetingWith(version string, caps, ext uint32, plugin string) []byte {
	b := greetingOf(caps, ext, plugin)
	_, rest, _ := bytes.Cut(b, []byte{0})
	return append(append([]byte{10}, version+"\x00"...), rest...)
}

// TestCommon: what servers have in common.
func TestCommon(t *testing.T) {
	const maria = serverCapsTest &^ capLongPassword
	tests := []struct {
		name      string
		in        [][]byte
		version   string
		caps, ext uint32
		plugin    string
	}{
		{"one", [][]byte{greetingWith("8.0.11-TiDB-v8.5.6", serverCapsTest, 0, nativePlugin)}, "8.0.11-TiDB-v8.5.6", serverCapsTest, 0, nativePlugin},
		{"the older version", [][]byte{greetingWith("8.0.40", serverCapsTest, 0, cachingSha2), greetingWith("8.0.9", serverCapsTest, 0, cachingSha2)},
			"8.0.9", serverCapsTest, 0, cachingSha2},
		{"MariaDB's hack", [][]byte{greetingWith("5.5.5-10.11.14-MariaDB", maria, 7, nativePlugin), greetingWith("5.5.5-10.6.3-MariaDB", maria, 5, nativePlugin)},
			"5.5.5-10.6.3-MariaDB", maria, 5, nativePlugin},
		{"flags of all", [][]byte{greetingWith("8.0.1", serverCapsTest&^capZstd, 0, cachingSha2), greetingWith("8.0.2", serverCapsTest&^capDeprecateEOF, 0, nativePlugin)},
			"8.0.1", serverCapsTest &^ (capZstd | capDeprecateEOF), 0, nativePlugin},
		{"MariaDB beside MySQL", [][]byte{greetingWith("5.5.5-10.11.14-MariaDB", maria, 7, nativePlugin), greetingWith("8.4.0", serverCapsTest, 0, cachingSha2)},
			"8.4.0", serverCapsTest, 0, nativePlugin},
		{"what can't be followed", [][]byte{greetingWith("8.0.1", serverCapsTest|capExtension, 0, nativePlugin)}, "8.0.1", serverCapsTest, 0, nativePlugin},
		{"no greeting among them", [][]byte{{1, 2, 3}, greetingWith("8.0.1", serverCapsTest, 0, nativePlugin)}, "8.0.1", serverCapsTest, 0, nativePlugin},
	}
	for _, tt := range tests {
		b := Protocol{}.Common(tt.in)
		g, ok := parseGreeting(b)
		if !ok || string(b[1:g.at-1]) != tt.version || g.caps != tt.caps || g.ext != tt.ext || g.plugin != tt.plugin || g.id != 0 {
			t.Errorf("%s: got %q, %+v", tt.name, b, g)
		}
		slices.Reverse(tt.in)
		if again := (Protocol{}).Common(tt.in); !bytes.Equal(b, again) {
			t.Errorf("%s: another one in another order: %q", tt.name, again)
		}
	}
	if b := (Protocol{}).Common([][]byte{{1}}); b != nil {
		t.Errorf("got %q", b)
	}
}

// TestProbeGreeting: what a check has heard is the same at each check of one server.
func TestProbeGreeting(t *testing.T) {
	hear := func(id uint32, salt string) []byte {
		b := greetingOf(serverCapsTest, 0, nativePlugin)
		g, _ := parseGreeting(b)
		g.setID(id)
		g.setSalt([saltLen]byte([]byte(salt)))
		p := newProbe("")
		if p.Greeting() != nil {
			t.Error("heard already")
		}
		if _, _, err := p.Server(append(appendHeader(nil, len(b), 0), b...)); err != nil {
			t.Fatal(err)
		}
		return p.Greeting()
	}
	a, b := hear(1, testSalt), hear(2, "ABCDEFGHIJKLMNOPQRST")
	if !bytes.Equal(a, b) || a == nil {
		t.Errorf("%q and %q", a, b)
	}
}

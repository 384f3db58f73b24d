package mysql

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"

	"sluice/codec"
)

// serverKey is the key pair of the fake server.
var serverKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
})

// openBlob is what the fake server does with an encrypted password.
func openBlob(t *testing.T, blob string) string {
	t.Helper()
	key, _ := serverKey()
	b, err := rsa.DecryptOAEP(sha1.New(), nil, key, []byte(blob), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(mix(b, []byte(testSalt)))
}

// sealBlob is what a client does with a password and the key that it was sent.
func sealBlob(t *testing.T, key, password string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		t.Fatalf("no key in %q", key)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public.(*rsa.PublicKey), mix([]byte(password), []byte(testSalt)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const scramble32 = "0123456789012345678901234567890\x7f"

// withPlugin returns a builder of responses for a plugin.
func withPlugin(plugin, auth string) func(uint32) []byte {
	return func(caps uint32) []byte { return responseOf(caps, "app", auth, "shop", plugin) }
}

var (
	downTLS = codec.LoginConfig{ClientTLS: codec.TLSPrefer}                              // towards clients only
	upTLS   = codec.LoginConfig{ServerTLS: codec.TLSRequire}                             // towards servers only
	bothTLS = codec.LoginConfig{ClientTLS: codec.TLSPrefer, ServerTLS: codec.TLSRequire} // on both sides
)

// loggedIn lets the server accept.
func (w *wire) loggedIn() {
	w.t.Helper()
	w.send(codec.Server, loginOK)
	w.wantOp(codec.OpReady)
	w.want(codec.Client, loginOK)
}

// switchTo lets the server ask for another plugin.
func (w *wire) switchTo(plugin string) {
	w.t.Helper()
	w.got(codec.Server)
	req := "\xfe" + plugin + "\x00" + testSalt + "\x00"
	w.send(codec.Server, req)
	w.wantOp(codec.OpMore)
	w.want(codec.Client, req)
}

// fullAuth lets the server ask for the whole password.
func (w *wire) fullAuth() {
	w.t.Helper()
	w.got(codec.Server)
	w.send(codec.Server, "\x01\x04")
	w.got(codec.Client)
}

// The tests below are pitfall 68: passwords of which one half of the way is not the channel that the
// other half takes it for.

// TestSha2Cached: the fast path needs no translation.
func TestSha2Cached(t *testing.T) {
	for _, cfg := range []codec.LoginConfig{{}, downTLS, upTLS, bothTLS} {
		w := newWire(t, cfg, 0)
		w.greet(serverCapsTest, cachingSha2, cfg.ClientTLS > 0, withPlugin(cachingSha2, scramble32))
		if cfg.ServerTLS > 0 {
			w.secureServer()
		}
		w.got(codec.Server)
		w.send(codec.Server, "\x01\x03")
		w.want(codec.Client, "\x01\x03")
		w.loggedIn()
	}
}

// TestSha2FullDown: the client sends the password in clear over TLS; the server, which is not on TLS,
// gets it encrypted by its own key.
func TestSha2FullDown(t *testing.T) {
	everyPiece(t, func(t *testing.T, piece int) {
		w := newWire(t, downTLS, piece)
		w.greet(serverCapsTest, cachingSha2, true, withPlugin(cachingSha2, scramble32))
		w.got(codec.Server)
		w.send(codec.Server, "\x01\x04")
		w.want(codec.Client, "\x01\x04")
		w.send(codec.Client, "secret\x00")
		w.want(codec.Server, "\x02")
		_, key := serverKey()
		w.send(codec.Server, "\x01"+key)
		w.work()
		w.want(codec.Client) // it knows of nothing
		got := w.got(codec.Server)
		if len(got) != 1 || openBlob(t, got[0]) != "secret\x00" {
			t.Fatalf("the server got %q", got)
		}
		w.loggedIn()
	})
}

// TestSha2FullUp: the client asks for a key and gets Sluice's; the server, on TLS, gets the password
// in clear.
func TestSha2FullUp(t *testing.T) {
	everyPiece(t, func(t *testing.T, piece int) {
		w := newWire(t, upTLS, piece)
		w.greet(serverCapsTest, cachingSha2, false, withPlugin(cachingSha2, scramble32))
		w.secureServer()
		w.got(codec.Server)
		w.send(codec.Server, "\x01\x04")
		w.want(codec.Client, "\x01\x04")
		w.send(codec.Client, "\x02")
		w.work()
		key := w.got(codec.Client)
		if len(key) != 1 || key[0][0] != 1 || w.got(codec.Server) != nil {
			t.Fatalf("key %q", key)
		}
		w.send(codec.Client, sealBlob(t, key[0][1:], "secret\x00"))
		w.work()
		w.want(codec.Server, "secret\x00")
		w.loggedIn()
	})
}

// TestSha2Unchanged: with TLS on both sides or none everything passes, and so does the RSA of a client
// on TLS that wants it all the same.
func TestSha2Unchanged(t *testing.T) {
	_, key := serverKey()
	for _, tt := range []struct {
		cfg  codec.LoginConfig
		talk []string // client, server, …
	}{
		{codec.LoginConfig{}, []string{"\x02", "\x01" + key, strings.Repeat("b", 256)}},
		{bothTLS, []string{"secret\x00"}},
		{downTLS, []string{"\x02", "\x01" + key, strings.Repeat("b", 255) + "\x00"}},
		{downTLS, []string{"\x00"}},
	} {
		w := newWire(t, tt.cfg, 0)
		w.greet(serverCapsTest, cachingSha2, tt.cfg.ClientTLS > 0, withPlugin(cachingSha2, scramble32))
		if tt.cfg.ServerTLS > 0 {
			w.secureServer()
		}
		w.got(codec.Server)
		w.send(codec.Server, "\x01\x04")
		w.want(codec.Client, "\x01\x04")
		for i, payload := range tt.talk {
			w.send(codec.Side(i%2), payload)
			w.want(codec.Side(1-i%2), payload)
		}
		w.loggedIn()
	}
}

// TestSha256: the older plugin, whose client sends the password at once.
func TestSha256(t *testing.T) {
	_, key := serverKey()
	t.Run("down, with the response", func(t *testing.T) {
		w := newWire(t, downTLS, 0)
		w.greet(serverCapsTest, sha256Plain, true, withPlugin(sha256Plain, "secret\x00"))
		w.want(codec.Server, string(withPlugin(sha256Plain, "\x01")(clientCapsTest)))
		w.send(codec.Server, "\x01"+key)
		w.work()
		if got := w.got(codec.Server); len(got) != 1 || openBlob(t, got[0]) != "secret\x00" {
			t.Fatalf("the server got %q", got)
		}
		w.loggedIn()
	})
	t.Run("down, with the response, but the server wants another plugin", func(t *testing.T) {
		w := newWire(t, downTLS, 0)
		w.greet(serverCapsTest, sha256Plain, true, withPlugin(sha256Plain, "secret\x00"))
		w.switchTo(nativePlugin)
		w.send(codec.Client, clientWords["auth"])
		w.want(codec.Server, clientWords["auth"])
		w.loggedIn()
	})
	t.Run("down, by a switch", func(t *testing.T) {
		w := newWire(t, downTLS, 0)
		w.greet(serverCapsTest, nativePlugin, true, native20)
		w.switchTo(sha256Plain)
		w.send(codec.Client, "secret\x00")
		w.want(codec.Server, "\x01")
		w.send(codec.Server, "\x01"+key)
		w.work()
		if got := w.got(codec.Server); len(got) != 1 || openBlob(t, got[0]) != "secret\x00" {
			t.Fatalf("the server got %q", got)
		}
		w.loggedIn()
	})
	t.Run("up, with the response", func(t *testing.T) {
		w := newWire(t, upTLS, 0)
		w.greet(serverCapsTest, sha256Plain, false, withPlugin(sha256Plain, "\x01"))
		w.work()
		own := w.got(codec.Client)
		if len(own) != 1 {
			t.Fatalf("key %q", own)
		}
		w.send(codec.Client, sealBlob(t, own[0][1:], "secret\x00"))
		w.work()
		w.secureServer()
		w.want(codec.Server, string(withPlugin(sha256Plain, "secret\x00")(clientCapsTest|capSSL)))
		w.loggedIn()
	})
	t.Run("up, by a switch", func(t *testing.T) {
		w := newWire(t, upTLS, 0)
		w.greet(serverCapsTest, nativePlugin, false, native20)
		w.secureServer()
		w.switchTo(sha256Plain)
		w.send(codec.Client, "\x01")
		w.work()
		own := w.got(codec.Client)
		w.send(codec.Client, sealBlob(t, own[0][1:], "secret\x00"))
		w.work()
		w.want(codec.Server, "secret\x00")
		w.loggedIn()
	})
	t.Run("no password needs no key", func(t *testing.T) {
		for _, cfg := range []codec.LoginConfig{downTLS, upTLS} {
			w := newWire(t, cfg, 0)
			w.greet(serverCapsTest, sha256Plain, cfg.ClientTLS > 0, withPlugin(sha256Plain, "\x00"))
			if cfg.ServerTLS > 0 {
				w.secureServer()
			}
			w.switchTo(sha256Plain)
			w.send(codec.Client, "\x00")
			w.want(codec.Server, "\x00")
			w.loggedIn()
		}
	})
}

// TestNoClearPassword: no password goes readable over the plain connection to the server, and a login
// that can't be translated is refused with a reason.
func TestNoClearPassword(t *testing.T) {
	clear := func(w *wire, plugin string) {
		w.greet(serverCapsTest, nativePlugin, true, native20)
		w.got(codec.Server)
		w.send(codec.Server, "\xfe"+plugin+"\x00")
	}
	tests := []struct {
		name string
		cfg  codec.LoginConfig
		run  func(w *wire)
		cond codec.Condition
	}{
		{"clear, with the response", downTLS, func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, true, withPlugin("mysql_clear_password", "secret\x00"))
		}, codec.ClearPassword},
		{"clear, by a switch", downTLS, func(w *wire) { clear(w, "mysql_clear_password") }, codec.ClearPassword},
		{"dialog, by a switch", downTLS, func(w *wire) { clear(w, "dialog") }, codec.ClearPassword},
		{"clear, as a second factor", downTLS, func(w *wire) {
			w.greet(serverCapsTest|capMultiFactor, nativePlugin, true, func(c uint32) []byte { return native20(c | capMultiFactor) })
			w.got(codec.Server)
			w.send(codec.Server, "\x02mysql_clear_password\x00")
		}, codec.ClearPassword},
		{"a relation of caching_sha2_password", downTLS, func(w *wire) {
			w.greet(serverCapsTest, nativePlugin, true, withPlugin("tidb_sm3_password", scramble32))
			w.fullAuth()
		}, codec.ClearPassword},
		{"a password without its end", downTLS, func(w *wire) {
			w.greet(serverCapsTest, cachingSha2, true, withPlugin(cachingSha2, scramble32))
			w.fullAuth()
			w.send(codec.Client, "secret")
		}, codec.ClearPassword},
		{"encrypted by the server's own key", upTLS, func(w *wire) {
			w.greet(serverCapsTest, cachingSha2, false, withPlugin(cachingSha2, scramble32))
			w.secureServer()
			w.fullAuth()
			w.send(codec.Client, strings.Repeat("b", 256))
		}, codec.TLSRequired},
		{"the same with the response", upTLS, func(w *wire) {
			w.greet(serverCapsTest, sha256Plain, false, withPlugin(sha256Plain, strings.Repeat("b", 256)))
		}, codec.TLSRequired},
		{"a key that is none", downTLS, func(w *wire) {
			w.greet(serverCapsTest, cachingSha2, true, withPlugin(cachingSha2, scramble32))
			w.fullAuth()
			w.send(codec.Client, "secret\x00")
			w.got(codec.Server)
			w.send(codec.Server, "\x01nothing")
			w.work()
		}, codec.TLSFailed},
		{"something else than a key", downTLS, func(w *wire) {
			w.greet(serverCapsTest, cachingSha2, true, withPlugin(cachingSha2, scramble32))
			w.fullAuth()
			w.send(codec.Client, "secret\x00")
			w.got(codec.Server)
			w.send(codec.Server, "hello")
		}, codec.ProtocolError},
		{"a password longer than the key allows", downTLS, func(w *wire) {
			w.greet(serverCapsTest, cachingSha2, true, withPlugin(cachingSha2, scramble32))
			w.fullAuth()
			w.send(codec.Client, strings.Repeat("s", 300)+"\x00")
			w.got(codec.Server)
			_, key := serverKey()
			w.send(codec.Server, "\x01"+key)
			w.work()
		}, codec.TLSFailed},
		{"a blob that is none", upTLS, func(w *wire) {
			w.greet(serverCapsTest, cachingSha2, false, withPlugin(cachingSha2, scramble32))
			w.secureServer()
			w.fullAuth()
			w.send(codec.Client, "\x02")
			w.work()
			w.got(codec.Client)
			w.send(codec.Client, "nothing")
			w.work()
		}, codec.TLSFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, tt.cfg, 0)
			tt.run(w)
			w.wantOp(codec.OpClose)
			var e codec.Error
			if !errors.As(w.l.Refusal(), &e) || e.Cond != tt.cond {
				t.Errorf("refusal %v (%v), want %v", w.l.Refusal(), e.Cond, tt.cond)
			}
			if s := strings.Join(w.got(codec.Server), ""); strings.Contains(s, "secret") {
				t.Errorf("the server got the password: %q", s)
			}
			if strings.Contains(w.l.Refusal().Error(), "secret") {
				t.Error("the password is in the error")
			}
		})
	}
}

// TestOtherPlugins: dialogues that Sluice does not know pass, with several packets in a row, empty ones
// and data without a mark in front.
func TestOtherPlugins(t *testing.T) {
	w := newWire(t, downTLS, 0)
	w.greet(serverCapsTest, nativePlugin, true, native20)
	w.switchTo("auth_gssapi_client")
	w.send(codec.Client, "token 1")
	w.want(codec.Server, "token 1")
	w.send(codec.Client, "token 2")
	w.want(codec.Server, "token 2")
	w.send(codec.Server, "")
	w.want(codec.Client, "")
	w.send(codec.Server, "\x60raw")
	w.want(codec.Client, "\x60raw")
	w.send(codec.Client, "")
	w.want(codec.Server, "")
	w.loggedIn()
}

// TestChangeUserTLS: a follower can't translate, so it ends a session in which it would have to.
func TestChangeUserTLS(t *testing.T) {
	change := func(plugin, auth string) string {
		return "\x11app\x00" + string(rune(len(auth))) + auth + "shop\x00\x2d\x00" + plugin + "\x00\x00"
	}
	down := facts{caps: clientCapsTest, clientTLS: true}
	up := facts{caps: clientCapsTest, serverTLS: true}
	tests := []struct {
		in     facts
		change string
		answer string // words of the server
		refuse bool
	}{
		{down, change(nativePlugin, "01234567890123456789"), "s:ok", false},
		{down, change(cachingSha2, scramble32), "s:fast s:ok", false},
		{down, change(cachingSha2, scramble32), "s:full", true},
		{down, change(nativePlugin, ""), "s:clear", true},
		{down, change(nativePlugin, ""), "s:sha256", true},
		{down, change("mysql_clear_password", "secret\x00"), "", true},
		{down, change(sha256Plain, "secret\x00"), "", true},
		{down, change(sha256Plain, "\x01"), "s:ok", false},
		{down, change(sha256Plain, "\x00"), "s:ok", false},
		{down, change("", "secret\x00"), "", true},
		{down, "\x11app\x00\x40secret", "", true},                                       // torn
		{down, "\x11" + strings.Repeat("n", 2*maxChangeUser), "", true},                 // no end of names
		{facts{caps: down.caps | capCompress, clientTLS: true}, "", "", true},           // see the test
		{up, change(cachingSha2, scramble32), "s:full", true},                           // the other form is not had either
		{up, change("mysql_clear_password", "secret\x00"), "s:ok", false},               // goes on over TLS
		{facts{caps: clientCapsTest}, change(cachingSha2, scramble32), "s:full", false}, // no TLS at all
	}
	for _, tt := range tests {
		msg := append(appendHeader(nil, len(tt.change), 0), tt.change...)
		if tt.in.caps&capCompress != 0 {
			msg = pack(t, false, true, 0, append(appendHeader(nil, 40, 0), change(nativePlugin, "")...))
		}
		for _, piece := range []int{0, 1, 2, 5, 9} {
			f := newFollower(tt.in, nil)
			err := feed(f, codec.Client, msg, piece)
			for _, s := range parseTalk(t, "c:change "+tt.answer).steps[1:] {
				if err == nil {
					err = feed(f, s.from, s.bytes, piece)
				}
			}
			var e codec.Error
			if refused := errors.As(err, &e) && e.Cond == codec.ClearPassword; refused != tt.refuse || err != nil && !refused {
				t.Errorf("%.60q %s in pieces of %d: %v", tt.change, tt.answer, piece, err)
			}
			f.Close()
		}
	}
}

// TestChangeUserHeld: where its plugin matters, no part of a COM_CHANGE_USER goes on before it is known.
func TestChangeUserHeld(t *testing.T) {
	payload := "\x11app\x00\x07secret\x00shop\x00\x2d\x00mysql_clear_password\x00"
	msg := append(appendHeader(nil, len(payload), 0), payload...)
	for n := 1; n < len(msg); n++ {
		f := newFollower(facts{caps: clientCapsTest, clientTLS: true}, nil)
		if pass, kill, hold := f.Intercept(msg[:n]); pass != 0 || kill != nil || !hold {
			t.Fatalf("%d bytes: %d pass, hold %t", n, pass, hold)
		}
		f = newFollower(facts{caps: clientCapsTest, clientTLS: true, serverTLS: true}, nil)
		if pass, _, hold := f.Intercept(msg[:n]); n > headerLen && (pass != n || hold) {
			t.Fatalf("TLS on both sides, %d bytes: %d pass, hold %t", n, pass, hold)
		}
	}
	f := newFollower(facts{caps: clientCapsTest, clientTLS: true}, nil)
	if pass, _, hold := f.Intercept(msg); pass != len(msg) || hold {
		t.Error("a whole message is held")
	}
	if err := f.Client(msg); err == nil {
		t.Error("a clear password passes")
	}
}

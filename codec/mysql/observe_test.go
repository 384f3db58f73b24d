package mysql

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// stored is the verifier of a password as mysql_native_password stores it.
func stored(password string) string {
	stage1 := sha1.Sum([]byte(password))
	stage2 := sha1.Sum(stage1[:])
	return "*" + strings.ToUpper(hex.EncodeToString(stage2[:]))
}

// nativeProof is what a client answers to a salt.
func nativeProof(password, salt string) string {
	stage1 := sha1.Sum([]byte(password))
	return string(scrambleNative(stage1[:], []byte(salt)))
}

// passed has both peers read what the login has written to them.
func passed(w *wire) {
	w.t.Helper()
	w.got(codec.Client)
	w.got(codec.Server)
}

// TestObserve: what a login shows of the secret, in each form of the dialogue, and what of the rest is kept.
func TestObserve(t *testing.T) {
	const otherSalt = "ABCDEFGHIJKLMNOPQRST"
	first := func(plugin, auth string, more ...func(w *wire)) func(w *wire, clientTLS bool) {
		return func(w *wire, clientTLS bool) {
			w.greet(serverCapsTest, plugin, clientTLS, withPlugin(plugin, auth))
			if w.op == codec.OpServerTLS {
				w.secureServer()
			}
			for _, m := range more {
				passed(w)
				m(w)
			}
			passed(w)
		}
	}
	server := func(payload string) func(w *wire) { return func(w *wire) { w.send(codec.Server, payload) } }
	client := func(payload string) func(w *wire) {
		return func(w *wire) {
			w.send(codec.Client, payload)
			if w.op == codec.OpWork {
				w.work()
			}
		}
	}
	rsaUp := func(w *wire) { // the client asks for the key, which is Sluice's
		w.send(codec.Client, "\x02")
		w.work()
		key := w.got(codec.Client)[0][1:]
		w.send(codec.Client, sealBlob(w.t.(*testing.T), key, "secret\x00"))
		w.work()
	}
	rsaDown := func(w *wire) { // Sluice asks the server for its key
		_, pem := serverKey()
		w.send(codec.Client, "secret\x00")
		passed(w)
		w.send(codec.Server, "\x01"+pem)
		w.work()
	}
	stage1 := sha1.Sum([]byte("secret"))
	verifier := codec.Secret{Verifier: stored("secret")}
	tests := []struct {
		name string
		cfg  codec.LoginConfig
		conf codec.Secret
		play func(w *wire, clientTLS bool)
		want proof
	}{
		{"native, nothing known", downTLS, codec.Secret{}, first(nativePlugin, nativeProof("secret", testSalt)), proof{}},
		{"native with a verifier", codec.LoginConfig{}, verifier, first(nativePlugin, nativeProof("secret", testSalt)), proof{stage1: stage1[:]}},
		{"native with another's verifier", codec.LoginConfig{}, codec.Secret{Verifier: stored("other")}, first(nativePlugin, nativeProof("secret", testSalt)), proof{}},
		{"native with a verifier of another form", codec.LoginConfig{}, codec.Secret{Verifier: "$A$005$abc"}, first(nativePlugin, nativeProof("secret", testSalt)), proof{}},
		{"native by a switch", codec.LoginConfig{}, verifier, first(cachingSha2, scramble32,
			server("\xfe"+nativePlugin+"\x00"+otherSalt+"\x00"), client(nativeProof("secret", otherSalt))), proof{stage1: stage1[:]}},
		{"the proof of before a switch does not count", codec.LoginConfig{}, verifier, first(nativePlugin, nativeProof("secret", testSalt),
			server("\xfe"+nativePlugin+"\x00"+otherSalt+"\x00"), client(nativeProof("wrong", otherSalt))), proof{}},
		{"the password is configured", codec.LoginConfig{}, codec.Secret{Password: "secret"}, first(nativePlugin, ""), proof{}},
		{"no password", codec.LoginConfig{}, codec.Secret{}, first(nativePlugin, ""), proof{known: true}},
		{"no password, by a switch", codec.LoginConfig{}, codec.Secret{}, first("x", "abc",
			server("\xfe"+nativePlugin+"\x00"+otherSalt+"\x00"), client("")), proof{known: true}},
		{"nothing to an unknown plugin", codec.LoginConfig{}, codec.Secret{}, first("x", ""), proof{}},
		{"sha2, fast", bothTLS, codec.Secret{}, first(cachingSha2, scramble32, server("\x01\x03")), proof{}},
		{"sha2 on TLS", bothTLS, codec.Secret{}, first(cachingSha2, scramble32, server("\x01\x04"), client("secret\x00")),
			proof{password: "secret", known: true}},
		{"sha2, TLS to the server only", upTLS, codec.Secret{}, first(cachingSha2, scramble32, server("\x01\x04"), rsaUp),
			proof{password: "secret", known: true}},
		{"sha2, TLS to the client only", downTLS, codec.Secret{}, first(cachingSha2, scramble32, server("\x01\x04"), rsaDown),
			proof{password: "secret", known: true}},
		{"sha2 by RSA, end to end", codec.LoginConfig{}, codec.Secret{}, first(cachingSha2, scramble32, server("\x01\x04"),
			client("\x02"), server("\x01key"), client(strings.Repeat("\x01", 255)+"\x00")), proof{}},
		{"clear", bothTLS, codec.Secret{}, first(clearPlugin, "secret\x00"), proof{password: "secret", known: true}},
		{"sha256 on TLS", bothTLS, codec.Secret{}, first(sha256Plain, "secret\x00"), proof{password: "secret", known: true}},
		{"a second factor", bothTLS, codec.Secret{}, func(w *wire, tls bool) {
			w.greet(serverCapsTest|capMultiFactor, clearPlugin, tls, func(caps uint32) []byte {
				return responseOf(caps|capMultiFactor, "app", "secret\x00", "shop", clearPlugin)
			})
			w.secureServer()
			passed(w)
			w.send(codec.Server, "\x02"+clearPlugin+"\x00")
			passed(w)
			w.send(codec.Client, "123456\x00")
			passed(w)
		}, proof{}},
	}
	for _, test := range tests {
		for _, piece := range []int{0, 1, 7} {
			t.Run(fmt.Sprintf("%s, pieces of %d", test.name, piece), func(t *testing.T) {
				cfg := test.cfg
				cfg.Move = &codec.MoveOptions{Secret: func(user string) codec.Secret {
					if user != "app" {
						t.Errorf("asked for the secret of %q", user)
					}
					return test.conf
				}}
				w := newWire(t, cfg, piece)
				test.play(w, cfg.ClientTLS > 0)
				w.send(codec.Server, loginOK)
				w.wantOp(codec.OpReady)
				m := w.l.Follower(nil).(*Mover)
				a := &m.account
				var got proof
				if a.proved != nil {
					got = *a.proved
				}
				if got.password != test.want.password || got.known != test.want.known || !bytes.Equal(got.stage1, test.want.stage1) {
					t.Errorf("shown is %+v, want %+v", got, test.want)
				}
				if a.user != "app" || a.database != "shop" || a.attrs.Value() != "\x02ab\x02cd" || a.collation != 45 {
					t.Errorf("account %+v", a)
				}
				known := test.want.known || test.want.stage1 != nil || test.conf.Password != ""
				if pinned := m.Pin() == pinCredentials; pinned == known {
					t.Errorf("pin is %v", m.Pin())
				}
			})
		}
	}
}

// TestObserveNothing: a login that is not to be moved takes nothing down.
func TestObserveNothing(t *testing.T) {
	w := newWire(t, codec.LoginConfig{}, 0)
	w.greet(serverCapsTest, nativePlugin, false, native20)
	passed(w)
	w.send(codec.Server, loginOK)
	if _, ok := w.l.Follower(nil).(*Follower); !ok || w.l.seen != nil {
		t.Error("the session can be moved")
	}
}

// TestAccountTail: attributes and the level of compression are read behind all else, and malformed or long
// attributes are left out.
func TestAccountTail(t *testing.T) {
	tests := []struct {
		name, tail, attrs string
		caps              uint32
		level             uint8
	}{
		{"none", "", "", 0, 0},
		{"attributes", "\x06\x02ab\x02cd", "\x02ab\x02cd", capConnectAttrs, 0},
		{"not agreed on", "\x06\x02ab\x02cd", "", 0, 0},
		{"cut short", "\x07\x02ab\x02cd", "", capConnectAttrs, 0},
		{"with a level", "\x06\x02ab\x02cd\x05", "\x02ab\x02cd", capConnectAttrs | capZstd, 5},
		{"a level alone", "\x05", "", capZstd, 5},
		{"long", string(appendLenenc(nil, maxAttrs+1)) + strings.Repeat("x", maxAttrs+1) + "\x07", "", capConnectAttrs | capZstd, 7},
	}
	for _, test := range tests {
		var a account
		a.readTail([]byte(test.tail), test.caps)
		if a.attrs.Value() != test.attrs || a.zstdLevel != test.level {
			t.Errorf("%s: attributes %q, level %d", test.name, a.attrs.Value(), a.zstdLevel)
		}
	}
}

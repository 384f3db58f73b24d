package mysql

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"unique"
)

// judge is the server's side of a plugin: it gets what the client sent last and answers.
type judge func(t *testing.T, got []byte) (reply []byte)

const signPassword = "secret"

// judgeNative checks as servers do: with the stored SHA1(SHA1(password)) alone.
func judgeNative(t *testing.T, got []byte) []byte {
	stage1 := sha1.Sum([]byte(signPassword))
	stored := sha1.Sum(stage1[:])
	mask := sha1.Sum(append([]byte(testSalt), stored[:]...))
	if len(got) != len(mask) {
		t.Errorf("proof of %d bytes", len(got))
		return []byte(errOf(1045, "denied"))
	}
	for i := range mask {
		mask[i] ^= got[i]
	}
	if sha1.Sum(mask[:]) != stored {
		t.Error("wrong proof")
	}
	return []byte(plainOK)
}

func rightSha2(got []byte) bool {
	stage1 := sha256.Sum256([]byte(signPassword))
	stored := sha256.Sum256(stage1[:])
	mask := sha256.Sum256(append(stored[:], testSalt...))
	if len(got) != len(mask) {
		return false
	}
	for i := range mask {
		mask[i] ^= got[i]
	}
	return sha256.Sum256(mask[:]) == stored
}

// say returns a judge that answers whatever comes.
func say(reply string) judge {
	return func(*testing.T, []byte) []byte { return []byte(reply) }
}

func judgeSha2(reply string) judge {
	return func(t *testing.T, got []byte) []byte {
		if !rightSha2(got) {
			t.Error("wrong proof")
		}
		return []byte(reply)
	}
}

func judgeClear(t *testing.T, got []byte) []byte {
	if string(got) != signPassword+"\x00" {
		t.Errorf("password %q", got)
	}
	return []byte(plainOK)
}

var signKey = func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}()

func judgeKey(t *testing.T, got []byte) []byte {
	if string(got) != "\x02" {
		t.Errorf("request for the key: %q", got)
	}
	der, _ := x509.MarshalPKIXPublicKey(&signKey.PublicKey)
	return append([]byte{1}, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
}

func judgeEncrypted(t *testing.T, got []byte) []byte {
	mixed, err := rsa.DecryptOAEP(sha1.New(), nil, signKey, got, nil)
	if err != nil || string(mix(mixed, []byte(testSalt))) != signPassword+"\x00" {
		t.Errorf("encrypted password: %v", err)
	}
	return []byte(plainOK)
}

// The stored key of the password "secret", from MariaDB's manual:
// https://mariadb.com/kb/en/authentication-plugin-ed25519/
const ed25519Stored = "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"

const ed25519Salt = "0123456789abcdefghijklmnopqrstuv"

func judgeEd25519(t *testing.T, got []byte) []byte {
	public, err := base64.RawStdEncoding.DecodeString(ed25519Stored)
	if err != nil || !ed25519.Verify(public, []byte(ed25519Salt), got) {
		t.Errorf("wrong signature %x, %v", got, err)
	}
	return []byte(plainOK)
}

func switchTo(plugin, salt string) judge { return say("\xfe" + plugin + "\x00" + salt + "\x00") }

// TestSignIn logs in by each plugin, directly and by a switch from another.
func TestSignIn(t *testing.T) {
	stage1 := sha1.Sum([]byte(signPassword))
	whole, half, none := proof{password: signPassword, known: true}, proof{stage1: stage1[:]}, proof{known: true}
	anything := say(plainOK)
	empty := func(t *testing.T, got []byte) []byte {
		if len(got) != 0 {
			t.Errorf("proof of an empty password: %q", got)
		}
		return []byte(plainOK)
	}
	tests := []struct {
		name       string
		plugin     string // of the greeting
		secret     proof
		tls, clear bool
		judges     []judge
		why        string // "": logged in
	}{
		{name: "native", plugin: nativePlugin, secret: whole, judges: []judge{judgeNative}},
		{name: "native by what a login has shown", plugin: nativePlugin, secret: half, judges: []judge{judgeNative}},
		{name: "native by a server of sha2", plugin: cachingSha2, secret: half, judges: []judge{judgeNative}},
		{name: "native, switched", plugin: cachingSha2, secret: whole, judges: []judge{judgeSha2("\xfe" + nativePlugin + "\x00" + testSalt + "\x00"), judgeNative}},
		{name: "no password", plugin: cachingSha2, secret: none, judges: []judge{empty}},
		{name: "no password, unknown plugin", plugin: "odd", secret: none, judges: []judge{empty}},
		{name: "sha2, fast", plugin: cachingSha2, secret: whole, judges: []judge{judgeSha2("\x01\x03")}, why: "more"},
		{name: "sha2 over TLS", plugin: cachingSha2, secret: whole, tls: true, judges: []judge{judgeSha2("\x01\x04"), judgeClear}},
		{name: "sha2 by RSA", plugin: cachingSha2, secret: whole, judges: []judge{judgeSha2("\x01\x04"), judgeKey, judgeEncrypted}},
		{name: "sha2 in clear, as allowed", plugin: cachingSha2, secret: whole, clear: true, judges: []judge{judgeSha2("\x01\x04"), judgeClear}},
		{name: "sha2, switched", plugin: nativePlugin, secret: whole, tls: true,
			judges: []judge{switchTo(cachingSha2, testSalt), judgeSha2("\x01\x04"), judgeClear}},
		{name: "sha2 by half a secret", plugin: nativePlugin, secret: half, judges: []judge{switchTo(cachingSha2, testSalt)}, why: "does not do"},
		{name: "sha2, full, by half a secret", plugin: cachingSha2, secret: half, tls: true, judges: []judge{switchTo(cachingSha2, testSalt)}, why: "does not do"},
		{name: "clear over TLS", plugin: nativePlugin, secret: whole, tls: true, judges: []judge{switchTo(clearPlugin, ""), judgeClear}},
		{name: "clear without TLS", plugin: nativePlugin, secret: whole, judges: []judge{switchTo(clearPlugin, "")}, why: "in clear"},
		{name: "clear by half a secret", plugin: nativePlugin, secret: half, tls: true, judges: []judge{switchTo(clearPlugin, "")}, why: "does not do"},
		{name: "ed25519", plugin: nativePlugin, secret: whole, judges: []judge{switchTo(ed25519Plugin, ed25519Salt), judgeEd25519}},
		{name: "ed25519 as the server's own", plugin: ed25519Plugin, secret: whole, judges: []judge{switchTo(ed25519Plugin, ed25519Salt), judgeEd25519}},
		{name: "ed25519 by half a secret", plugin: nativePlugin, secret: half, judges: []judge{switchTo(ed25519Plugin, ed25519Salt)}, why: "does not do"},
		{name: "ed25519 with a short challenge", plugin: nativePlugin, secret: whole, judges: []judge{switchTo(ed25519Plugin, "short")}, why: "too short"},
		{name: "several switches", plugin: nativePlugin, secret: whole, tls: true,
			judges: []judge{switchTo(clearPlugin, ""), switchTo(nativePlugin, testSalt), judgeNative}},
		{name: "switches without end", plugin: nativePlugin, secret: whole, tls: true,
			judges: []judge{switchTo(clearPlugin, ""), switchTo(clearPlugin, ""), switchTo(clearPlugin, ""), switchTo(clearPlugin, ""),
				switchTo(clearPlugin, ""), switchTo(clearPlugin, ""), switchTo(clearPlugin, ""), switchTo(clearPlugin, ""), anything}, why: "without end"},
		{name: "the password of before 4.1", plugin: nativePlugin, secret: whole, judges: []judge{say("\xfe")}, why: "does not take"},
		{name: "a short challenge", plugin: nativePlugin, secret: whole, judges: []judge{switchTo(nativePlugin, "short")}, why: "too short"},
		{name: "an unknown plugin", plugin: nativePlugin, secret: whole, judges: []judge{switchTo("auth_gssapi_client", "x")}, why: "auth_gssapi_client"},
		{name: "a key that is none", plugin: cachingSha2, secret: whole, judges: []judge{judgeSha2("\x01\x04"), say("\x01no key")}, why: "RSA public key"},
		{name: "nonsense of sha2", plugin: cachingSha2, secret: whole, judges: []judge{judgeSha2("\x01\x09")}, why: "does not do"},
		{name: "nothing of sha2", plugin: cachingSha2, secret: whole, judges: []judge{judgeSha2("\x01")}, why: "does not do"},
		{name: "a dialogue", plugin: nativePlugin, secret: whole, judges: []judge{say("\x04Password: ")}, why: "not known"},
		{name: "refused", plugin: nativePlugin, secret: whole, judges: []judge{say(errOf(1045, "Access denied"))}, why: "1045"},
		{name: "another factor", plugin: nativePlugin, secret: whole, judges: []judge{say("\x02dialog\x00")}, why: "not known"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := signIn(t, test.plugin, test.secret, test.tls, test.clear, test.judges)
			switch {
			case test.why == "" && err != nil:
				t.Error(err)
			case test.why != "" && (err == nil || !strings.Contains(err.Error(), test.why)):
				t.Errorf("%v, want %q", err, test.why)
			}
		})
	}
}

// signIn plays a login against judges.
func signIn(t *testing.T, plugin string, secret proof, tls, clear bool, judges []judge) error {
	s := &signin{account: &account{user: "app", attrs: unique.Make(""), collation: 45}, secret: secret, tls: tls, clear: clear}
	g, ok := parseGreeting(greetingOf(serverCapsTest, 0, plugin))
	if !ok {
		t.Fatal("no greeting")
	}
	b, err := s.response(&g)
	if err != nil {
		return err
	}
	r, ok := parseResponse(b)
	if !ok || r.user != "app" {
		t.Fatalf("response %q", b)
	}
	sent := r.auth
	for _, j := range judges {
		reply, step, err := s.on(j(t, sent))
		if step == signWork {
			s.work()
			reply, err = s.worked()
		}
		if err != nil {
			return err
		}
		if step == signDone {
			return nil
		}
		sent = reply
	}
	return fmt.Errorf("more is waited for, and %q was sent", sent)
}

// TestSignInResponse: a response says what was agreed on, and only that.
func TestSignInResponse(t *testing.T) {
	long := "\xfd" + strings.Repeat("x", 300)
	tests := []struct {
		name     string
		s        signin
		offers   uint32
		attrs    string
		database string
		plugin   string
		length   int
	}{
		{"all", signin{database: "shop", caps: capDeprecateEOF}, serverCapsTest, "\x02ab\x02cd", "shop", nativePlugin, 20},
		{"without attributes", signin{}, serverCapsTest &^ capConnectAttrs, "", "", nativePlugin, 20},
		{"without plugins", signin{database: "d"}, serverCapsTest &^ (capPluginAuth | capPluginAuthLenenc | capConnectAttrs), "", "d", nativePlugin, 20},
		{"a token", signin{token: []byte(long)}, serverCapsTest &^ (capPluginAuthLenenc | capConnectAttrs), "", "", tokenPlugin, len(long)},
		{"compressed", signin{caps: capZstd}, serverCapsTest, "\x02ab\x02cd", "", nativePlugin, 20},
	}
	for _, test := range tests {
		s := test.s
		s.account = &account{user: "app", attrs: unique.Make("\x02ab\x02cd"), maxPacket: 1 << 20, collation: 46, zstdLevel: 9}
		s.secret = proof{password: signPassword, known: true}
		g, _ := parseGreeting(greetingOf(test.offers, 0, nativePlugin))
		b, err := s.response(&g)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := parseResponse(b)
		if !ok {
			t.Fatalf("%s: %q", test.name, b)
		}
		a := newAccount(&r)
		if r.database != test.database || r.plugin != test.plugin || len(r.auth) != test.length || a.attrs.Value() != test.attrs {
			t.Errorf("%s: db %q, plugin %q, %d bytes, attrs %q", test.name, r.database, r.plugin, len(r.auth), a.attrs.Value())
		}
		if a.maxPacket != 1<<20 || a.collation != 46 || r.caps&capZstd != 0 && a.zstdLevel != 9 {
			t.Errorf("%s: %+v", test.name, a)
		}
	}
	s := signin{account: &account{attrs: unique.Make("")}}
	g, _ := parseGreeting(greetingOf(serverCapsTest, 0, nativePlugin))
	if _, err := s.response(&g); err == nil {
		t.Error("a response without a secret")
	}
}

// FuzzSignIn: no server can make a login of Sluice's own panic or send the password where it must not.
func FuzzSignIn(f *testing.F) {
	f.Add([]byte("\xfemysql_clear_password\x00"), []byte(plainOK))
	f.Add([]byte("\xfecaching_sha2_password\x00"+testSalt+"\x00"), []byte("\x01\x04"))
	f.Add([]byte("\xfeclient_ed25519\x00"+ed25519Salt), []byte("\x01-----BEGIN PUBLIC KEY-----"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := &signin{account: &account{user: "app", attrs: unique.Make("")}, secret: proof{password: signPassword, known: true}}
		g, _ := parseGreeting(greetingOf(serverCapsTest, 0, nativePlugin))
		if _, err := s.response(&g); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{first, second, first} {
			reply, step, err := s.on(b)
			if step == signWork {
				s.work()
				reply, err = s.worked()
			}
			if err != nil {
				return
			}
			if bytes.Contains(reply, []byte(signPassword)) {
				t.Fatalf("the password was sent in clear: %q", reply)
			}
		}
	})
}

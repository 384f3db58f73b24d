package postgres

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	judge "github.com/xdg-go/scram"

	"sluice/codec"
)

// TestDeriveKeys agrees with the library, with passwords that SASLprep changes too.
func TestDeriveKeys(t *testing.T) {
	for _, password := range []string{"pw", "pässword", "\u00ad\u2168x", "IX", "a\u00a0b"} {
		want := credentialsOf(t, password, testSalt, 4096)
		got := deriveKeys(password, []byte(testSalt), 4096)
		if string(got.stored[:]) != string(want.StoredKey) || string(got.server[:]) != string(want.ServerKey) {
			t.Errorf("%q: the keys are others", password)
		}
		if storedKey(got.client) != got.stored {
			t.Errorf("%q: the stored key is not the client key's hash", password)
		}
	}
}

// TestPrepare is SASLprep as in the server: what it does not allow stays as it is.
func TestPrepare(t *testing.T) {
	for password, want := range map[string]string{
		"pencil":           "pencil",
		"with\ttab":        "with\ttab",        // ASCII is not looked at
		"I\u00adX":         "IX",               // mapped to nothing
		"\u00aa":           "a",                // NFKC
		"\u2168":           "IX",               // NFKC
		"a\u3000b":         "a b",              // a space of another kind
		"a\u200bb":         "a b",              // in the server's table of spaces, too
		"\u00adé\x07":      "\u00adé\x07",      // prohibited
		"\u0627\u0031":     "\u0627\u0031",     // right to left, and then not
		"\u00ad":           "\u00ad",           // nothing would be left
		"\u00ad\xff":       "\u00ad\xff",       // not UTF-8
		"\u00ad\U0001f600": "\u00ad\U0001f600", // not assigned in Unicode 3.2
	} {
		if got := saslPrepare(password); got != want {
			t.Errorf("%q: got %q, want %q", password, got, want)
		}
	}
}

// TestParseVerifier reads what PostgreSQL stores, and nothing else.
func TestParseVerifier(t *testing.T) {
	good := storedVerifier(t, "pw")
	v, ok := parseVerifier(good)
	if keys := deriveKeys("pw", v.salt, v.iterations); !ok || v.iterations != 4096 || keys.stored != v.stored || keys.server != v.server {
		t.Fatalf("%q: %v %+v", good, ok, v)
	}
	for _, s := range []string{good, md5Verifier("pw", "ann")} {
		if err := CheckVerifier(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	key := base64.StdEncoding.EncodeToString(v.stored[:])
	limit := base64.StdEncoding.EncodeToString(make([]byte, maxSalt+1))
	for _, s := range []string{
		"", "md5", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:c2FsdA==",
		"SCRAM-SHA-1" + strings.TrimPrefix(good, "SCRAM-SHA-256"),
		"SCRAM-SHA-256$4096:c2FsdA==$" + key,
		"SCRAM-SHA-256$4096$" + key + ":" + key,
		"SCRAM-SHA-256$0:c2FsdA==$" + key + ":" + key,
		"SCRAM-SHA-256$-1:c2FsdA==$" + key + ":" + key,
		"SCRAM-SHA-256$1000001:c2FsdA==$" + key + ":" + key,
		"SCRAM-SHA-256$99999999999999999999:c2FsdA==$" + key + ":" + key,
		"SCRAM-SHA-256$4096:$" + key + ":" + key,
		"SCRAM-SHA-256$4096:" + limit + "$" + key + ":" + key,
		"SCRAM-SHA-256$4096:c2FsdA==$c2hvcnQ=:" + key,
		"SCRAM-SHA-256$4096:c2FsdA==$" + key + ":c2hvcnQ=",
		good + "=", good + ":",
	} {
		if _, ok := parseVerifier(s); ok {
			t.Errorf("%q is taken for a verifier", s)
		}
		if err := CheckVerifier(s); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestMalformedSCRAM refuses what is not SCRAM, in client-first and in client-final.
func TestMalformedSCRAM(t *testing.T) {
	binding := []byte("hash")
	for _, tt := range []struct {
		name, mechanism, msg string
		binding              []byte
		want                 codec.Condition
	}{
		{"nothing", scram, "", nil, codec.ProtocolError},
		{"no header", scram, "n=,r=abc", nil, codec.ProtocolError},
		{"half a header", scram, "n,", nil, codec.ProtocolError},
		{"another flag", scram, "x,,n=,r=abc", nil, codec.ProtocolError},
		{"an authorization identity", scram, "n,a=bob,n=,r=abc", nil, codec.ProtocolError},
		{"something in its place", scram, "n,bob,n=,r=abc", nil, codec.ProtocolError},
		{"an extension", scram, "n,,m=x,n=,r=abc", nil, codec.ProtocolError},
		{"no name", scram, "n,,r=abc", nil, codec.ProtocolError},
		{"no nonce", scram, "n,,n=ann", nil, codec.ProtocolError},
		{"an empty nonce", scram, "n,,n=,r=", nil, codec.ProtocolError},
		{"a nonce with a space", scram, "n,,n=,r=a b", nil, codec.ProtocolError},
		{"a nonce beyond ASCII", scram, "n,,n=,r=ä", nil, codec.ProtocolError},
		{"a mechanism that there is not", "SCRAM-SHA-1", "n,,n=,r=abc", nil, codec.ProtocolError},
		{"a mechanism that was not offered", scramPlus, "p=tls-server-end-point,,n=,r=abc", nil, codec.ProtocolError},
		{"binding without its mechanism", scram, "p=tls-server-end-point,,n=,r=abc", binding, codec.ProtocolError},
		{"the mechanism without binding", scramPlus, "n,,n=,r=abc", binding, codec.ProtocolError},
		{"the mechanism, denied", scramPlus, "y,,n=,r=abc", binding, codec.ProtocolError},
		{"another binding", scramPlus, "p=tls-unique,,n=,r=abc", binding, codec.ProtocolError},
		{"the offer was not seen", scram, "y,,n=,r=abc", binding, codec.AuthDenied},
	} {
		s := scramServer{binding: tt.binding, salt: []byte("salt"), iterations: 1}
		_, wrong := s.first(tt.mechanism, tt.msg, "nonce")
		if wrong == nil || wrong.Cond != tt.want {
			t.Errorf("%s: got %v", tt.name, wrong)
		}
	}
	proof := ",p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, tt := range []struct {
		name, msg string
		want      codec.Condition
	}{
		{"nothing", "", codec.ProtocolError},
		{"no proof", "c=biws,r=abcnonce", codec.ProtocolError},
		{"a short proof", "c=biws,r=abcnonce,p=AAAA", codec.ProtocolError},
		{"a proof that is not base64", "c=biws,r=abcnonce,p=!", codec.ProtocolError},
		{"no channel", "r=abcnonce" + proof, codec.ProtocolError},
		{"no nonce", "c=biws" + proof, codec.ProtocolError},
		{"another nonce", "c=biws,r=abcnonc" + proof, codec.ProtocolError},
		{"the client's nonce alone", "c=biws,r=abc" + proof, codec.ProtocolError},
		{"another header", "c=eSws,r=abcnonce" + proof, codec.AuthDenied},
	} {
		s := scramServer{salt: []byte("salt"), iterations: 1}
		if _, wrong := s.first(scram, "n,,n=,r=abc", "nonce"); wrong != nil {
			t.Fatal(wrong)
		}
		if wrong := s.final(tt.msg); wrong == nil || wrong.Cond != tt.want {
			t.Errorf("%s: got %v", tt.name, wrong)
		}
	}
}

// TestChannelBindingHolds refuses a client that saw another certificate than Sluice has shown.
func TestChannelBindingHolds(t *testing.T) {
	s := scramServer{binding: []byte("ours"), salt: []byte("salt"), iterations: 1}
	client := scramClient{header: "p=tls-server-end-point,,", binding: []byte("theirs"), nonce: "abc"}
	reply, wrong := s.first(scramPlus, client.first(), "nonce")
	if wrong != nil {
		t.Fatal(wrong)
	}
	if err := client.challenge(reply); err != nil {
		t.Fatal(err)
	}
	keys := deriveKeys("pw", []byte("salt"), 1)
	wrong = s.final(client.answer(keys.client, keys.server))
	if wrong == nil || wrong.Cond != codec.AuthDenied {
		t.Errorf("got %v", wrong)
	}
}

// TestMalformedChallenge refuses what is not a server's challenge, or asks for too much work.
func TestMalformedChallenge(t *testing.T) {
	for _, msg := range []string{
		"", "e=other-error", "r=abcdef", "r=abcdef,s=c2FsdA==", "s=c2FsdA==,i=4096",
		"r=abc,s=c2FsdA==,i=4096", // nothing of the server's own
		"r=abxdef,s=c2FsdA==,i=4096", "r=abc def,s=c2FsdA==,i=4096",
		"r=abcdef,s=,i=4096", "r=abcdef,s=!,i=4096", "r=abcdef,s=c2FsdA==,i=0", "r=abcdef,s=c2FsdA==,i=1000001",
		"r=abcdef,s=c2FsdA==,i=-5", "r=abcdef,s=c2FsdA==,i=x", "m=x,r=abcdef,s=c2FsdA==,i=4096",
	} {
		c := scramClient{header: "n,,", nonce: "abc"}
		c.first()
		if err := c.challenge(msg); err == nil {
			t.Errorf("%q is taken for a challenge", msg)
		}
	}
}

// TestKeyCache derives keys once for all who ask at the same time, keeps no more than its limit, and
// drops the oldest.
func TestKeyCache(t *testing.T) {
	c := keyCache{max: 3}
	var asked sync.WaitGroup
	var mu sync.Mutex
	derivations := 0
	for range 50 {
		asked.Go(func() {
			keys := c.fill("pw", []byte("salt"), 1, func() scramKeys {
				mu.Lock()
				defer mu.Unlock()
				derivations++
				return deriveKeys("pw", []byte("salt"), 1)
			})
			if keys.stored == (scramKey{}) {
				t.Error("no keys")
			}
		})
	}
	asked.Wait()
	if derivations != 1 {
		t.Errorf("%d derivations", derivations)
	}
	for _, password := range []string{"a", "b", "c"} {
		if got, want := c.derive(password, []byte("salt"), 1), deriveKeys(password, []byte("salt"), 1); got != want {
			t.Errorf("%s: other keys", password)
		}
	}
	if _, ok := c.look("pw", []byte("salt"), 1); ok || len(c.all) != c.max || len(c.ring) != c.max {
		t.Errorf("%d kept, the oldest too: %v", len(c.all), ok)
	}
	for _, other := range []struct {
		password, salt string
		iterations     int
	}{{"a", "salt", 2}, {"a", "sal", 1}, {"ta", "sal", 1}} {
		if _, ok := c.look(other.password, []byte(other.salt), other.iterations); ok {
			t.Errorf("%v has another's keys", other)
		}
	}
	if keys, ok := c.look("a", []byte("salt"), 1); !ok || keys != deriveKeys("a", []byte("salt"), 1) {
		t.Error("the keys of a are lost")
	}
}

// nothingDerived empties the cache, in which an earlier run of the same test would have left its keys.
func nothingDerived() {
	derived.mu.Lock()
	defer derived.mu.Unlock()
	derived.all, derived.ring, derived.next = nil, nil, 0
}

// TestOneDerivationForManyLogins leaves the loop for the first login with a password, and for no
// other (pitfall 39: iterations must not stall a loop).
func TestOneDerivationForManyLogins(t *testing.T) {
	const script = "> START(user,ann) identified(secret,clear:of many logins) > first(of many logins) > final op=Welcome"
	nothingDerived()
	var worked int
	for range 5 {
		worked += visitScript{script: script}.hold(t, whole).work
	}
	if worked != 1 {
		t.Errorf("%d derivations", worked)
	}
}

// TestDerivationsTakeTurns: no more run at one time than there are places, whoever asks for them.
func TestDerivationsTakeTurns(t *testing.T) {
	nothingDerived()
	synctest.Test(t, func(t *testing.T) {
		places := deriving
		defer func() { deriving = places }()
		deriving = make(chan struct{}, 2)
		verifier := scramVerifier{salt: []byte("salt of turns"), iterations: 1}
		clear := &gate{dialog: dialog{method: codec.AuthClear, working: true, given: "no", verifier: verifier}}
		known := &gate{dialog: dialog{method: codec.AuthSCRAM, working: true, derive: "pw of turns", verifier: verifier}}
		server := &opener{cfg: &codec.OpenerConfig{Secret: codec.Secret{Password: "another"}}, working: true,
			scram: scramClient{salt: verifier.salt, iterations: 1}}

		deriving <- struct{}{}
		deriveInTurn("pw", verifier.salt, 1) // there is a place
		deriving <- struct{}{}
		var done atomic.Int32
		for _, work := range []func(){clear.Work, known.Work, server.Work} {
			go func() { work(); done.Add(1) }()
		}
		synctest.Wait()
		if n := done.Load(); n != 0 {
			t.Errorf("%d were done without a place", n)
		}
		<-deriving
		synctest.Wait()
		if n := done.Load(); n != 3 || clear.dialog.keys == (scramKeys{}) || known.dialog.keys == (scramKeys{}) || server.keys == (scramKeys{}) {
			t.Errorf("%d of 3 were done when there was a place", n)
		}
	})
}

// TestClearPasswordIsDerivedOnce keeps the keys of a clear password that was right, and never those of
// a wrong one: nobody but those who know passwords can fill the cache.
func TestClearPasswordIsDerivedOnce(t *testing.T) {
	nothingDerived()
	for password, want := range map[string][]int{"a right one": {1, 0, 0}, "a wrong one": {1, 1, 1}} {
		script := "> SSL tls > START(user,ann) identified(clear,clear:a right one) > p(" + password + ")"
		for i, n := range want {
			if v := (visitScript{tls: prefer, script: script}).hold(t, whole); v.work != n {
				t.Errorf("%s, time %d: %d derivations, want %d", password, i, v.work, n)
			}
		}
	}
}

// TestUnknownUserLooksTheSame compares all that a client is sent, byte for byte (pitfall 40), and
// whether it had to wait for a derivation.
func TestUnknownUserLooksTheSame(t *testing.T) {
	for _, tt := range []struct {
		method, proof string
		secrets       []string
	}{
		{"secret", "> first(no) > final", []string{"clear:pw", "nothing", "unknown"}},
		{"scram", "> first(no) > final", []string{"clear:pw", "md5:pw", "nothing", "unknown"}},
		{"md5", "> md5(no)", []string{"clear:pw", "md5:pw", "nothing", "unknown"}},
		{"clear", "> p(nobody's)", []string{"clear:pw", "scram:pw", "md5:pw", "nothing", "unknown"}},
	} {
		want, work := "", 0
		for i, secret := range tt.secrets {
			script := "> SSL tls > START(user,ann) identified(" + tt.method + "," + secret + ") " + tt.proof
			visitScript{tls: prefer, script: script}.hold(t, whole) // the first one may derive the user's keys
			v := visitScript{tls: prefer, script: script}.hold(t, whole)
			if i == 0 {
				want, work = string(v.sent), v.work
			}
			if string(v.sent) != want || v.work != work {
				t.Errorf("%s: %s: got %q, derivations %d; want %q, %d", tt.method, secret, v.sent, v.work, want, work)
			}
		}
	}
}

// TestUnknownDatabaseLooksTheSame: whoever may not use a database sees the same salt, mechanism and words
// there as with a wrong password elsewhere, though the password be right.
func TestUnknownDatabaseLooksTheSame(t *testing.T) {
	for _, tt := range []struct{ method, proof, secret string }{
		{"secret", "> first(%s) > final", "scram:pw"},
		{"secret", "> first(%s) > final", "clear:pw"},
		{"scram", "> first(%s) > final", "scram:pw"},
		{"secret", "> md5(%s)", "md5:pw"},
		{"md5", "> md5(%s)", "md5:pw"},
		{"md5", "> first(%s) > final", "scram:pw"},
		{"clear", "> p(%s)", "scram:pw"},
		{"clear", "> p(%s)", "md5:pw"},
		{"clear", "> p(%s)", "clear:pw"},
	} {
		hold := func(secret, password string) string {
			script := "> SSL tls > START(user,ann) identified(" + tt.method + "," + secret + ") " + fmt.Sprintf(tt.proof, password)
			return string(visitScript{tls: prefer, script: script}.hold(t, whole).sent)
		}
		want := hold(tt.secret, "no")
		for _, password := range []string{"no", "pw"} {
			if got := hold("no-db-"+tt.secret, password); got != want {
				t.Errorf("%s with %s, password %s: got %q, want %q", tt.method, tt.secret, password, got, want)
			}
		}
	}
}

// TestStrangersLookLikeTheOthers: where the users have verifiers of some form, one that there is not has
// the same.
func TestStrangersLookLikeTheOthers(t *testing.T) {
	for _, tt := range []struct{ method, usual, want string }{
		{"secret", "10000", "op=More client=R(10,SCRAM-SHA-256) > first(pw) iterations=10000 > final op=Close client=R(11),E(28P01)"},
		{"scram", "10000", "client=R(10,SCRAM-SHA-256) > first(pw) iterations=10000"},
		{"md5", "10000", "client=R(10,SCRAM-SHA-256) > first(pw) iterations=10000"},
		{"secret", "md5", "client=R(5) > md5(pw) op=Close client=E(28P01)"},
		{"scram", "md5", "client=R(10,SCRAM-SHA-256) > first(pw) iterations=4096"},
		{"md5", "md5", "client=R(5)"},
		{"secret", "nonsense", "client=R(10,SCRAM-SHA-256) > first(pw) iterations=4096"},
	} {
		script := "> START(user,ann) identified(" + tt.method + ",unknown-as-" + tt.usual + ") " + tt.want
		visitScript{script: script}.hold(t, whole)
	}
	// A known password takes the same form: its keys can be derived by any.
	visitScript{script: "> START(user,ann) identified(secret,clear:pw-as-10000) > first(pw) iterations=10000 > final op=Welcome"}.hold(t, whole)
}

// TestInventedSalt is the same for a name each time, another one for another name or process, and as
// long as a real one.
func TestInventedSalt(t *testing.T) {
	a := inventedSalt([32]byte{1}, "ann")
	if string(a) != string(inventedSalt([32]byte{1}, "ann")) || len(a) != 16 {
		t.Errorf("%x", a)
	}
	if string(a) == string(inventedSalt([32]byte{1}, "bob")) || string(a) == string(inventedSalt([32]byte{2}, "ann")) {
		t.Error("two names have one salt")
	}
}

// TestNonce draws another one each time.
func TestNonce(t *testing.T) {
	a, b := newNonce(fillRandom), newNonce(fillRandom)
	if a == b || !isNonce(a) || len(a) != base64.StdEncoding.EncodedLen(nonceSize) {
		t.Errorf("%q, %q", a, b)
	}
}

// TestMD5 has the answers of a server's test: md5 of md5(password + user) in hexadecimal, and the
// salt.
func TestMD5(t *testing.T) {
	if got, want := md5Verifier("pw", "ann"), "md5"+md5Hex("pwann"); got != want || !isMD5(got) {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := md5Answer(md5Verifier("pw", "ann"), [4]byte{1, 2, 3, 4}), "md5"+md5Hex(md5Hex("pwann")+"\x01\x02\x03\x04"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// One that was written in capitals is the same number.
	capitals := "md5" + strings.ToUpper(md5Hex("pwann"))
	if got, want := md5Answer(capitals, [4]byte{1, 2, 3, 4}), md5Answer(md5Verifier("pw", "ann"), [4]byte{1, 2, 3, 4}); !isMD5(capitals) || got != want {
		t.Errorf("in capitals: got %s, want %s", got, want)
	}
	d := dialog{known: true, given: "pw", secret: codec.Secret{Verifier: capitals}}
	if !d.checkClear("ann") {
		t.Error("a clear password does not fit the hash in capitals")
	}
	for _, s := range []string{"", "md5", "md5" + strings.Repeat("g", 32), "md5" + strings.Repeat("a", 31), strings.Repeat("a", 35)} {
		if isMD5(s) {
			t.Errorf("%q is taken for a hash", s)
		}
	}
}

// TestLibraryChecksOurProof lets the library's server judge our client, with the password and with
// the keys alone.
func TestLibraryChecksOurProof(t *testing.T) {
	server, err := judge.SHA256.NewServer(func(string) (judge.StoredCredentials, error) {
		return credentialsOf(t, "pw", testSalt, 4096), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conv := server.NewConversation()
	c := scramClient{header: "n,,", nonce: newNonce(fillRandom)}
	challenge, err := conv.Step(c.first())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.challenge(challenge); err != nil {
		t.Fatal(err)
	}
	keys := deriveKeys("pw", c.salt, c.iterations)
	final, err := conv.Step(c.answer(keys.client, keys.server))
	if err != nil || !conv.Valid() {
		t.Fatalf("the library says no: %v", err)
	}
	if err := c.verify(final); err != nil {
		t.Error(err)
	}
	for _, msg := range []string{"", "v=", "v=AAAA", "e=invalid-proof", "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32))} {
		if err := c.verify(msg); err == nil {
			t.Errorf("%q is taken for the server's proof", msg)
		}
	}
}

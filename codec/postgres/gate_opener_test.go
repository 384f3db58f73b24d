package postgres

import (
	"testing"

	"sluice/codec"
)

// introduce carries a login of an opener at a gate to its end, and returns both.
func introduce(t *testing.T, a codec.Account, secret codec.Secret, withTLS bool) (g *gate, o *opener) {
	t.Helper()
	mode := disable
	if withTLS {
		mode = require
	}
	g = Protocol{}.NewGate(&codec.GateConfig{ClientTLS: mode, Salt: [32]byte{9}}).(*gate)
	o = Protocol{}.NewOpener(&codec.OpenerConfig{User: "ann", Database: "shop", Secret: secret, TLS: mode}).(*opener)
	gateOp, openerOp := g.Start(), o.Start()
	for range 20 {
		switch openerOp {
		case codec.OpServerTLS:
			openerOp = o.ServerSecured(certificate(t))
		case codec.OpWork:
			o.Work()
			openerOp = o.Worked()
		case codec.OpReady, codec.OpClose:
			return g, o
		}
		switch gateOp {
		case codec.OpClientTLS:
			gateOp = g.ClientSecured(codec.Peer{Cert: certificate(t)})
		case codec.OpWork:
			g.Work()
			gateOp = g.Worked()
		case codec.OpIdentify:
			gateOp = g.Identified(a)
		case codec.OpWelcome:
			gateOp = g.Welcomed(testIntroduction, codec.Key{ID: 7, Secret: "1234"})
		case codec.OpMore:
			if b := o.Take(); len(b) > 0 {
				gateOp = g.Client(b)
			}
		}
		if b := g.Take(); len(b) > 0 && openerOp == codec.OpMore {
			openerOp = o.Server(b)
		}
	}
	t.Fatalf("the login has no end: gate %v, opener %v", gateOp, openerOp)
	return nil, nil
}

// TestGateAndOpener holds the two sides of a login against each other, with every secret on both.
func TestGateAndOpener(t *testing.T) {
	stored := codec.Secret{Verifier: storedVerifier(t, "pw")}
	for _, tt := range []struct {
		name    string
		account codec.Account
		secret  codec.Secret
		tls, ok bool
	}{
		{"a password on both sides", codec.Account{Method: codec.AuthSecret, Known: true, Secret: knowsPassword}, knowsPassword, false, true},
		{"a password on both sides, in TLS", codec.Account{Method: codec.AuthSecret, Known: true, Secret: knowsPassword}, knowsPassword, true, true},
		{"a verifier", codec.Account{Method: codec.AuthSecret, Known: true, Secret: stored}, knowsPassword, true, true},
		{"a verifier, and the keys", codec.Account{Method: codec.AuthSCRAM, Known: true, Secret: stored}, knowsKeys, false, true},
		{"a verifier, and the keys, in TLS", codec.Account{Method: codec.AuthSCRAM, Known: true, Secret: stored}, knowsKeys, true, true},
		{"pitfall 39: keys of another salt", codec.Account{Method: codec.AuthSCRAM, Known: true, Secret: knowsPassword}, knowsKeys, false, false},
		{"md5", codec.Account{Method: codec.AuthSecret, Known: true, Secret: knowsHash}, knowsPassword, false, true},
		{"md5 by the hash", codec.Account{Method: codec.AuthSecret, Known: true, Secret: knowsHash}, knowsHash, false, true},
		{"clear", codec.Account{Method: codec.AuthClear, Known: true, Secret: stored}, knowsPassword, true, true},
		{"trust", codec.Account{Method: codec.AuthTrust, Known: true}, knowsNothing, false, true},
		{"a wrong password", codec.Account{Method: codec.AuthSecret, Known: true, Secret: knowsPassword}, knowsWrong, true, false},
		{"pitfall 40: nobody", codec.Account{Method: codec.AuthSecret}, knowsPassword, true, false},
	} {
		g, o := introduce(t, tt.account, tt.secret, tt.tls)
		if got := o.stage == openerReady && g.stage == gateReady; got != tt.ok {
			t.Errorf("%s: %v; gate: %v, opener: %v", tt.name, got, g.Refusal(), o.Refusal())
		}
		if tt.ok && (len(o.reported) != 1 || o.reported[0] != testIntroduction.reported()[0] || o.key.Secret != "1234") {
			t.Errorf("%s: %v, %v", tt.name, o.reported, o.key)
		}
	}
}

// TestPassthrough logs in at a server with what a client's proof has shown, where the same verifier
// is stored (pitfall 39); after a change of the password there, that is no longer enough.
func TestPassthrough(t *testing.T) {
	here := codec.Account{Method: codec.AuthSecret, Known: true, Secret: codec.Secret{Verifier: storedVerifier(t, "pw")}}
	changed := here
	changed.Secret.Verifier = storedVerifier(t, "changed")
	g, _ := introduce(t, here, knowsPassword, true)
	learned := g.Learned()
	if _, o := introduce(t, here, learned, false); o.stage != openerReady {
		t.Errorf("the keys are not good: %v", o.Refusal())
	}
	_, o := introduce(t, changed, learned, false)
	if e, ok := o.Refusal().(codec.Error); !ok || e.Raw == "" || o.stage != openerClosed {
		t.Errorf("the keys are good for another password: %v", o.Refusal())
	}
}

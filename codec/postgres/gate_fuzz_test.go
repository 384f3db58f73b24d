package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

// accounts are what may be known of a user, for the fuzz tests.
var accounts = []codec.Account{
	{Method: codec.AuthTrust, Known: true},
	{Method: codec.AuthSecret, Known: true, Secret: codec.Secret{Password: "pw"}},
	{Method: codec.AuthSecret, Known: true, Secret: codec.Secret{Verifier: fuzzVerifier}},
	{Method: codec.AuthMD5, Known: true, Secret: codec.Secret{Password: "pw"}},
	{Method: codec.AuthClear, Known: true, Secret: codec.Secret{Verifier: fuzzVerifier}},
	{Method: codec.AuthCert, Known: true},
	{Method: codec.AuthSCRAM},
	{Method: codec.AuthReject},
}

// fuzzVerifier takes one iteration, which is quick.
const fuzzVerifier = "SCRAM-SHA-256$1:c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// FuzzGate lets any client log in at Sluice. It must not panic, must keep no more than its limits,
// and must do the same wherever the stream is cut.
func FuzzGate(f *testing.F) {
	for _, s := range visits {
		v := visit{t: f, gate: newVisit(f, prefer, whole).gate, op: codec.OpClose}
		var stream []byte
		for _, word := range scriptWords(s.script) {
			name, arg := cutWord(word)
			known := slices.Contains([]string{"GSS", "SSL", "CANCEL", "START", "START32", "p", "raw", "Q"}, name)
			if known && !isCheck(name) {
				stream = append(stream, v.packet(name, arg)...)
			}
			if name == "first" {
				stream = append(stream, initialResponse(scram, "n,,n=,r=abc")...)
				stream = append(stream, message('p', "c=biws,r=abcAAAAAAAAAAAAAAAAAAAAAAAA,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")...)
			}
		}
		for i := range accounts {
			f.Add(stream, uint8(s.tls), uint8(i), uint16(3))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, mode, who uint8, n uint16) {
		cfg := &codec.GateConfig{ClientTLS: codec.TLSMode(mode % 5)}
		a := accounts[int(who)%len(accounts)]
		want, uncut := visitOf(t, cfg, a, stream, whole)
		for _, cut := range []cutting{every(1), every(max(1, int(n))), once(int(n))} {
			if got, _ := visitOf(t, cfg, a, stream, cut); got != want && !uncut {
				t.Fatalf("%s:\ngot  %s\nwant %s", cut.name, got, want)
			}
		}
	})
}

// visitOf carries a login as a session would, and returns what it asked and sent. uncut tells that
// bytes stood behind a request for TLS: cut off, they would have gone to TLS, so that the cut
// matters.
func visitOf(t *testing.T, cfg *codec.GateConfig, a codec.Account, stream []byte, cut cutting) (log string, uncut bool) {
	g := Protocol{}.NewGate(cfg).(*gate)
	g.random = func(b []byte) { clear(b) }
	var sent []byte
	carry := func(op codec.Op) codec.Op {
		for {
			sent = append(sent, g.Take()...)
			if op != codec.OpMore && op != codec.OpWork { // whether work is needed is a matter of the cache
				log += op.String() + " "
			}
			switch op {
			case codec.OpClientTLS:
				uncut = uncut || g.direct
				op = g.ClientSecured(codec.Peer{Name: "ann"})
			case codec.OpIdentify:
				op = g.Identified(a)
			case codec.OpWork:
				g.Work()
				op = g.Worked()
			case codec.OpWelcome:
				op = g.Welcomed(testIntroduction, codec.Key{ID: 7, Secret: strings.Repeat("s", g.KeySize())})
			default:
				return op
			}
		}
	}
	op := carry(g.Start())
	for piece := range cut.pieces(stream) {
		if op != codec.OpMore {
			break
		}
		if op = carry(g.Client(piece)); len(g.in) > maxEarly+len(piece) {
			t.Fatalf("%d bytes of the client are kept", len(g.in))
		}
	}
	refusal := fmt.Sprint(g.Refusal())
	uncut = uncut || strings.Contains(refusal, "unencrypted data") || refusal == tooEarly.Text
	learned := g.Learned()
	return fmt.Sprintf("%s %q %v %q@%q %v %v %s %s", log, sent, op, g.User(), g.Database(), g.Settings(), g.Special(),
		refusal, learned.Password), uncut
}

// FuzzOpener lets Sluice log in at any server. It must not panic, must keep no more than its limits,
// and must do the same wherever the stream is cut.
func FuzzOpener(f *testing.F) {
	for _, s := range errands {
		e := errand{t: f}
		var stream []byte
		for _, word := range scriptWords(s.script) {
			name, arg := cutWord(word)
			switch {
			case word == "<" || isCheck(name) || strings.HasPrefix(name, "tls") || name == "proof":
			case name == "challenge":
				stream = append(stream, appendSASL(nil, authSASLContinue, "r="+fuzzNonce+"x,s=c2FsdA==,i=1")...)
			default:
				stream = append(stream, e.packet(name, arg)...)
			}
		}
		for i := range uint8(3) {
			f.Add(stream, uint8(s.cfg.TLS), i, uint16(3))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, mode, what uint8, n uint16) {
		secrets := []codec.Secret{knowsPassword, knowsHash, knowsKeys}
		cfg := configOf(codec.TLSMode(mode%5), secrets[int(what)%len(secrets)])
		want, uncut := errandOf(t, &cfg, stream, whole)
		for _, cut := range []cutting{every(1), every(max(1, int(n))), once(int(n))} {
			if got, _ := errandOf(t, &cfg, stream, cut); got != want && !uncut {
				t.Fatalf("%s:\ngot  %s\nwant %s", cut.name, got, want)
			}
		}
	})
}

// fuzzNonce is the nonce that is drawn where all random bytes are zero.
var fuzzNonce = newNonce(func(b []byte) { clear(b) })

// errandOf carries a login as a session would, and returns what it asked and sent. uncut is as in
// visitOf.
func errandOf(t *testing.T, cfg *codec.OpenerConfig, stream []byte, cut cutting) (log string, uncut bool) {
	o := Protocol{}.NewOpener(cfg).(*opener)
	o.random = func(b []byte) { clear(b) }
	var sent []byte
	carry := func(op codec.Op) codec.Op {
		for {
			sent = append(sent, o.Take()...)
			switch op {
			case codec.OpServerTLS:
				op = o.ServerSecured(nil)
			case codec.OpWork:
				if o.scram.iterations > 10000 {
					return codec.OpClose // it takes as long as it says
				}
				o.Work()
				op = o.Worked()
			default:
				return op
			}
		}
	}
	op := carry(o.Start())
	for piece := range cut.pieces(stream) {
		if op != codec.OpMore {
			break
		}
		if op = carry(o.Server(piece)); len(o.in) > maxAuthMessage+1+len(piece) {
			t.Fatalf("%d bytes of the server are kept", len(o.in))
		}
		if len(o.reported) > maxReported || len(o.key.Secret) > maxSecret {
			t.Fatalf("%d parameters, a key of %d bytes", len(o.reported), len(o.key.Secret))
		}
	}
	refusal := fmt.Sprint(o.Refusal())
	uncut = strings.Contains(refusal, "unencrypted data") || strings.Contains(refusal, "before it was spoken to")
	return fmt.Sprintf("%q %v %v %v %s", sent, op, o.reported, o.key, refusal), uncut
}

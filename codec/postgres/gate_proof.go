package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"

	"sluice/codec"
)

// offerSCRAM names the mechanisms: with channel binding if there is a channel to bind to.
func (g *gate) offerSCRAM() {
	d := &g.dialog
	d.scram = scramServer{salt: d.verifier.salt, iterations: d.verifier.iterations}
	names := scram + "\x00\x00"
	if g.peer.TLS {
		d.scram.binding = endpointHash(g.peer.Cert)
	}
	if d.scram.binding != nil {
		names = scramPlus + "\x00" + names
	}
	g.out = appendSASL(g.out, authSASL, names)
}

// hearSCRAM takes a SASL message of the client.
func (g *gate) hearSCRAM(body []byte) codec.Op {
	d := &g.dialog
	msg := string(body)
	if d.mechanism == "" {
		var ok bool
		if d.mechanism, msg, ok = parseInitialResponse(body); !ok {
			return g.refuse(malformedSCRAM)
		}
		if msg == "" { // the client waits for a word of ours first
			g.out = appendSASL(g.out, authSASLContinue, "")
			return codec.OpMore
		}
	}
	if !d.begun {
		d.begun = true
		reply, wrong := d.scram.first(d.mechanism, msg, newNonce(g.random))
		if wrong != nil {
			return g.refuse(*wrong)
		}
		g.out = appendSASL(g.out, authSASLContinue, reply)
		return codec.OpMore
	}
	if wrong := d.scram.final(msg); wrong != nil {
		return g.refuse(*wrong)
	}
	if d.derive == "" { // a verifier is stored, or nothing is known and no proof fits
		d.keys.stored, d.keys.server = d.verifier.stored, d.verifier.server
		return g.proveSCRAM()
	}
	return g.deriveOr(d.derive)
}

// parseInitialResponse reads the body of a SASLInitialResponse. msg is empty if there is none in it.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
func parseInitialResponse(body []byte) (mechanism, msg string, ok bool) {
	name, rest, ok := bytes.Cut(body, []byte{0})
	if !ok || len(name) == 0 || len(rest) < 4 {
		return "", "", false
	}
	n, data := int32(binary.BigEndian.Uint32(rest)), rest[4:]
	if n == -1 && len(data) == 0 {
		return string(name), "", true
	}
	return string(name), string(data), int64(n) == int64(len(data))
}

// proveSCRAM checks the client's proof with the keys at hand.
func (g *gate) proveSCRAM() codec.Op {
	d := &g.dialog
	reply, client, ok := d.scram.prove(d.keys.stored, d.keys.server)
	if !ok || !d.known {
		return g.wrong()
	}
	g.final = appendSASL(nil, authSASLFinal, reply)
	g.learned.ClientKey = bytes.Clone(client[:])
	g.learned.ServerKey = bytes.Clone(d.keys.server[:])
	return g.welcome()
}

// hearClear takes a clear password.
func (g *gate) hearClear(password string) codec.Op {
	g.dialog.given = password
	return g.deriveOr(password)
}

// deriveOr goes on with the keys of that password, by way of Work if they are not at hand.
func (g *gate) deriveOr(password string) codec.Op {
	v := &g.dialog.verifier
	if keys, ok := derived.look(password, v.salt, v.iterations); ok {
		g.dialog.keys = keys
		return g.worked()
	}
	g.dialog.working = true
	g.stage = gateWork
	return codec.OpWork
}

// Work derives keys from a password. It keeps clear of what Refuse changes, since a login may end
// meanwhile, by its deadline.
func (g *gate) Work() {
	d := &g.dialog
	if !d.working {
		return
	}
	if d.method == codec.AuthClear {
		// Not kept yet: nobody knows whether this is anybody's password.
		d.keys = deriveInTurn(d.given, d.verifier.salt, d.verifier.iterations)
		return
	}
	d.keys = derived.derive(d.derive, d.verifier.salt, d.verifier.iterations)
}

// Worked goes on with the keys.
func (g *gate) Worked() codec.Op {
	g.dialog.working = false
	switch g.stage {
	case gateWork:
	case gateClosed:
		return codec.OpClose
	default:
		return codec.OpMore
	}
	return g.checkEarly(g.worked())
}

func (g *gate) worked() codec.Op {
	d := &g.dialog
	if d.method == codec.AuthSCRAM {
		return g.proveSCRAM()
	}
	if !d.checkClear(g.user) {
		return g.wrong()
	}
	derived.put(d.given, d.verifier.salt, d.verifier.iterations, d.keys)
	g.learned.Password = d.given
	return g.welcome()
}

// checkClear tells whether the clear password is the user's. Keys were derived from it whatever it is
// checked against, so that a client can't tell by the time what is known.
func (d *dialog) checkClear(user string) bool {
	switch {
	case !d.known:
		return false
	case d.secret.Password != "":
		return sameText(d.given, d.secret.Password)
	case isMD5(d.secret.Verifier):
		return sameText(md5Verifier(d.given, user), strings.ToLower(d.secret.Verifier))
	}
	return d.stored && equalKeys(d.keys.stored, d.verifier.stored)
}

// checkMD5 tells whether a client has answered the salt as the user would.
func (d *dialog) checkMD5(user, answer string) bool {
	stored := d.secret.Verifier
	if d.secret.Password != "" || !isMD5(stored) {
		stored = md5Verifier(d.secret.Password, user)
	}
	known := d.known && (d.secret.Password != "" || isMD5(d.secret.Verifier))
	return sameText(answer, md5Answer(stored, d.md5Salt)) && known
}

// parsePassword reads the body of a PasswordMessage: a text that ends where the message ends.
func parsePassword(body []byte) (password string, ok bool) {
	n := len(body) - 1
	if n < 0 || bytes.IndexByte(body, 0) != n {
		return "", false
	}
	return string(body[:n]), true
}

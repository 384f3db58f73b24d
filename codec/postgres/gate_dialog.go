package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"

	"sluice/codec"
)

// dialog is how one client proves who it is. Where nothing is known of the user, it goes the same
// way with an invented secret, and fails at its end as it does with a wrong password; and so it does with
// the user's own secret where only the database is not known.
type dialog struct {
	method codec.AuthMethod // AuthClear, AuthMD5 or AuthSCRAM
	known  bool             // it may succeed
	reason string           // why not
	secret codec.Secret     // of the user, if there is such a user

	verifier scramVerifier // of the user, or else a salt and iterations alone
	stored   bool          // it is the user's
	derive   string        // the password that the verifier's keys are derived from; "" if there is none
	keys     scramKeys     // what Work has derived from it
	working  bool          // Work is due. Like all that Work uses it is not touched until Worked

	md5Salt   [4]byte
	given     string // the clear password
	scram     scramServer
	mechanism string // SCRAM: chosen by the client; "" until then
	begun     bool   // SCRAM: client-first was read
}

// Identified begins the dialog.
func (g *gate) Identified(a codec.Account) codec.Op {
	if g.stage != gateIdentify {
		return g.close()
	}
	d := &g.dialog
	d.known, d.secret, d.reason = a.Known, a.Secret, a.Why
	d.verify(g.cfg.Salt, g.user, a.Usual)
	switch d.method = d.choose(a.Method, a.Usual); d.method {
	case codec.AuthTrust:
		if !d.known {
			return g.wrong()
		}
		return g.welcome()
	case codec.AuthCert:
		return g.certified()
	case codec.AuthClear:
		if !g.peer.TLS {
			return g.refuse(codec.Error{Cond: codec.ClearPassword,
				Text: "a clear password is not accepted over a connection without TLS",
				Hint: "Set sslmode=require or stricter."})
		}
		g.out = append(g.out, msgAuth, 0, 0, 0, 8, 0, 0, 0, authCleartext)
	case codec.AuthMD5:
		g.random(d.md5Salt[:])
		g.out = append(g.out, msgAuth, 0, 0, 0, 12, 0, 0, 0, authMD5)
		g.out = append(g.out, d.md5Salt[:]...)
	case codec.AuthSCRAM:
		g.offerSCRAM()
	default:
		return g.reject()
	}
	g.stage = gatePassword
	return g.readPassword() // the answer may be at hand already
}

// verify prepares what the client is checked against.
//
// A known password and nothing at all get the same salt, so that they look alike. What a client could
// measure is the first derivation from a known password: one login in the life of the process.
func (d *dialog) verify(salt [32]byte, user, usual string) {
	if d.verifier, d.stored = parseVerifier(d.secret.Verifier); d.stored {
		return
	}
	d.verifier = scramVerifier{salt: inventedSalt(salt, user), iterations: usualIterations(usual)}
	d.derive = d.secret.Password
}

// usualIterations are those of an invented verifier, by Account.Usual.
func usualIterations(usual string) int {
	text, ok := strings.CutPrefix(usual, verifierPrefix)
	if n, valid := parseIterations(text); ok && valid {
		return n
	}
	return iterationsOwn
}

// choose settles what the account's method comes to with the secret at hand, or, without one, with what
// the others have.
func (d *dialog) choose(m codec.AuthMethod, usual string) codec.AuthMethod {
	nothing := d.secret.Zero()
	switch {
	case m == codec.AuthSecret && (nothing && usual == md5Prefix || d.secret.Password == "" && isMD5(d.secret.Verifier)):
		return codec.AuthMD5
	case m == codec.AuthSecret:
		return codec.AuthSCRAM
	case m == codec.AuthMD5 && (nothing && strings.HasPrefix(usual, verifierPrefix) || d.secret.Password == "" && d.stored):
		return codec.AuthSCRAM
	}
	return m
}

// certified lets in who has shown a certificate with its user's name.
func (g *gate) certified() codec.Op {
	if g.dialog.known && g.peer.Name != "" && g.peer.Name == g.user {
		return g.welcome()
	}
	return g.deny("28000", fmt.Sprintf("certificate authentication failed for user \"%s\"", g.user))
}

// readPassword takes a whole message of the client. Other bytes stay: they belong to the session.
func (g *gate) readPassword() codec.Op {
	if len(g.in) > 0 && g.in[0] != msgPassword {
		return g.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: fmt.Sprintf("expected a password message, got type 0x%02x", g.in[0])})
	}
	if len(g.in) < headerSize {
		return codec.OpMore
	}
	longest := uint32(maxAuthMessage)
	if g.dialog.method == codec.AuthSCRAM {
		longest = maxSASL
	}
	size := binary.BigEndian.Uint32(g.in[1:])
	if size < 4 || size > longest {
		return g.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "the length of a message during authentication is not valid"})
	}
	if uint32(len(g.in)) < 1+size {
		return codec.OpMore
	}
	body := g.in[headerSize : 1+size]
	g.in = g.in[1+size:]
	op := g.hear(body)
	if op == codec.OpMore && len(g.in) > 0 {
		return g.readPassword() // SCRAM goes on, and what it goes on with is at hand
	}
	return g.checkEarly(op)
}

// hear takes the body of a password message.
func (g *gate) hear(body []byte) codec.Op {
	if g.dialog.method == codec.AuthSCRAM {
		return g.hearSCRAM(body)
	}
	password, ok := parsePassword(body)
	if !ok {
		return g.refuse(codec.Error{Cond: codec.ProtocolError, Text: "invalid password packet"})
	}
	if g.dialog.method == codec.AuthMD5 {
		return g.verdict(g.dialog.checkMD5(g.user, password))
	}
	return g.hearClear(password)
}

// welcome lets the client in.
func (g *gate) welcome() codec.Op {
	g.stage = gateWelcome
	return codec.OpWelcome
}

// verdict ends the dialog.
func (g *gate) verdict(ok bool) codec.Op {
	if !ok {
		return g.wrong()
	}
	return g.welcome()
}

// wrong refuses a client whose proof does not fit, or whose user or database is not known. It has
// the server's words, which drivers look for.
func (g *gate) wrong() codec.Op {
	return g.deny(sqlState(codec.AuthFailed), fmt.Sprintf("password authentication failed for user \"%s\"", g.user))
}

// deny is a refusal whose reason is for the log alone.
func (g *gate) deny(state, text string) codec.Op {
	op := g.refuseAs(state, codec.Error{Cond: codec.AuthFailed, Text: text})
	g.refusal = denied{g.refusal, g.dialog.why(g.peer.Name), shorten(g.database)}
	return op
}

// denied is a refusal, and why, which the client is not told.
type denied struct {
	told          error
	why, database string
}

func (e denied) Error() string {
	told := cutText([]byte(e.told.Error()), maxMessageText)
	return fmt.Sprintf("%s: %s (database %q)", told, e.why, e.database)
}
func (e denied) Unwrap() error { return e.told }

// why says what the proof lacks. name is that of the client's certificate.
func (d *dialog) why(name string) string {
	password, hash := d.secret.Password != "", isMD5(d.secret.Verifier)
	switch {
	case !d.known && d.reason != "":
		return d.reason
	case !d.known:
		return "there is no such user"
	case d.method == codec.AuthCert && name == "":
		return "the client has shown no certificate that could be verified"
	case d.method == codec.AuthCert:
		return fmt.Sprintf("the certificate is that of %q", name)
	case d.secret.Zero():
		return "no secret of the user is stored"
	case !password && !hash && !d.stored:
		return "the stored secret is not a verifier that can be read"
	case !password && hash && d.method == codec.AuthSCRAM:
		return "an md5 hash is stored, by which SCRAM-SHA-256 can't be checked"
	}
	return "the password is wrong"
}

// reject refuses a client that may not come from where it comes from.
func (g *gate) reject() codec.Op {
	how := "without TLS"
	if g.peer.TLS {
		how = "with TLS"
	}
	return g.refuse(codec.Error{Cond: codec.AuthDenied, Text: fmt.Sprintf(
		"no rule admits user \"%s\" to database \"%s\" %s", g.user, g.database, how)})
}

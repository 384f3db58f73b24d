package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"sluice/codec"
)

// authentication answers an Authentication message.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
func (o *opener) authentication(body []byte) codec.Op {
	if len(body) < 4 {
		return o.strange("the server's authentication request is too short")
	}
	code, data := binary.BigEndian.Uint32(body), body[4:]
	if o.begun && code != authSASLContinue && code != authSASLFinal && code != authOk {
		return o.strange("the server has left its SCRAM exchange")
	}
	switch code {
	case authOk:
		return o.admitted()
	case authCleartext:
		return o.answerClear()
	case authMD5:
		return o.answerMD5(data)
	case authSASL:
		return o.beginSCRAM(data)
	case authSASLContinue:
		return o.answerSCRAM(data)
	case authSASLFinal:
		return o.verifySCRAM(data)
	}
	return o.strange(fmt.Sprintf("the server asks for authentication by method %d, which is not supported", code))
}

// admitted takes AuthenticationOk. A server that breaks off SCRAM has not shown that it knows the
// verifier, and may be anybody.
func (o *opener) admitted() codec.Op {
	if o.begun && !o.verified {
		return o.strange(errSignature.Error())
	}
	o.stage = openerSettle
	return codec.OpMore
}

// noSecret ends the login for want of what the server asks for.
func (o *opener) noSecret(what string) codec.Op {
	o.lacking = true
	secret, known := &o.cfg.Secret, "nothing"
	switch {
	case isMD5(secret.Verifier):
		known = "only an md5 hash"
	case hasKeys(secret):
		known = "only a pair of SCRAM keys"
	case secret.Verifier != "":
		known = "only a verifier"
	}
	return o.refuse(codec.Error{Cond: codec.AuthDenied, Text: fmt.Sprintf(
		"the server asks user \"%s\" for %s, and %s is known to answer with", o.cfg.User, what, known)})
}

// answerClear sends the password as it is.
func (o *opener) answerClear() codec.Op {
	if !o.secured && !o.cfg.AuthClear {
		return o.refuse(codec.Error{Cond: codec.ClearPassword,
			Text: "the server asks for a clear password over a connection without TLS",
			Hint: "Give the proxy TLS to the server, or have the server use scram-sha-256."})
	}
	if o.cfg.Secret.Password == "" {
		return o.noSecret("a clear password")
	}
	o.sendPassword(o.cfg.Secret.Password + "\x00")
	return codec.OpMore
}

// answerMD5 answers with the password or what a server stores of it.
func (o *opener) answerMD5(data []byte) codec.Op {
	if len(data) != 4 {
		return o.strange("the length of the server's salt is not valid")
	}
	stored := o.cfg.Secret.Verifier
	switch {
	case o.cfg.Secret.Password != "":
		stored = md5Verifier(o.cfg.Secret.Password, o.cfg.User)
	case !isMD5(stored):
		return o.noSecret("an md5 hash")
	}
	o.sendPassword(md5Answer(stored, [4]byte(data)) + "\x00")
	return codec.OpMore
}

// beginSCRAM chooses a mechanism of the server's list, with channel binding where both know it.
func (o *opener) beginSCRAM(list []byte) codec.Op {
	secret := &o.cfg.Secret
	if secret.Password == "" && !hasKeys(secret) {
		return o.noSecret("SCRAM-SHA-256")
	}
	var plain, plus bool
	for name := range bytes.SplitSeq(list, []byte{0}) {
		plain = plain || string(name) == scram
		plus = plus || string(name) == scramPlus
	}
	mechanism := scram
	o.scram.header = "n,,"
	switch {
	case plus && o.binding != nil:
		mechanism = scramPlus
		o.scram.header, o.scram.binding = "p=tls-server-end-point,,", o.binding
	case !plain:
		return o.strange("the server offers no SASL mechanism that is supported")
	case o.binding != nil:
		o.scram.header = "y,," // the server can find out whether its offer was taken away
	}
	o.begun = true
	o.scram.nonce = newNonce(o.random)
	first := o.scram.first()
	body := append([]byte(mechanism), 0)
	body = binary.BigEndian.AppendUint32(body, uint32(len(first)))
	o.sendPassword(string(body) + first)
	return codec.OpMore
}

// hasKeys tells whether SCRAM's keys are known.
func hasKeys(s *codec.Secret) bool {
	return len(s.ClientKey) == len(scramKey{}) && len(s.ServerKey) == len(scramKey{})
}

// answerSCRAM answers the challenge, by way of Work if keys have to be derived for it.
func (o *opener) answerSCRAM(data []byte) codec.Op {
	if !o.begun || o.scram.iterations != 0 || len(data) > maxChallenge {
		return o.strange(errChallenge.Error())
	}
	if err := o.scram.challenge(string(data)); err != nil {
		return o.strange(err.Error())
	}
	secret := &o.cfg.Secret
	if secret.Password == "" {
		o.keys.client, o.keys.server = scramKey(secret.ClientKey), scramKey(secret.ServerKey)
		o.prove()
		return codec.OpMore
	}
	keys, ok := derived.look(secret.Password, o.scram.salt, o.scram.iterations)
	if !ok {
		o.working = true
		o.stage = openerWork
		return codec.OpWork
	}
	o.keys = keys
	o.prove()
	return codec.OpMore
}

// Work derives keys from the password.
func (o *opener) Work() {
	if o.working {
		o.keys = derived.derive(o.cfg.Secret.Password, o.scram.salt, o.scram.iterations)
	}
}

// Worked answers the challenge.
func (o *opener) Worked() codec.Op {
	o.working = false
	switch o.stage {
	case openerWork:
	case openerClosed:
		return codec.OpClose
	default:
		return codec.OpMore
	}
	o.stage = openerAuth
	o.prove()
	return o.read() // the server may have spoken meanwhile
}

// prove sends the proof.
func (o *opener) prove() {
	o.sendPassword(o.scram.answer(o.keys.client, o.keys.server))
}

// verifySCRAM checks that the server knows the verifier.
func (o *opener) verifySCRAM(data []byte) codec.Op {
	if !o.begun || o.scram.iterations == 0 || len(data) > maxChallenge {
		return o.strange(errSignature.Error())
	}
	if err := o.scram.verify(string(data)); err != nil {
		return o.strange(err.Error())
	}
	o.verified = true
	return codec.OpMore
}

// sendPassword sends a PasswordMessage, SASLInitialResponse or SASLResponse.
func (o *opener) sendPassword(body string) {
	o.out = append(o.out, msgPassword)
	o.out = binary.BigEndian.AppendUint32(o.out, uint32(4+len(body)))
	o.out = append(o.out, body...)
}

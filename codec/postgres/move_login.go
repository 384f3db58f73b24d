package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"

	"sluice/codec"
)

// loginProof keeps, of a login that is relayed, what a second login by Sluice takes: what the client has shown
// that it knows, and what is configured of it.
//
//	password in clear       the password
//	SCRAM, with a verifier  ClientKey = ClientProof xor HMAC(StoredKey, AuthMessage)
//	anything else           what is configured: a password, an md5 hash
//
// https://www.rfc-editor.org/rfc/rfc5802#section-3
type loginProof struct {
	method uint32 // the code of what the server asked for; 0 for nothing
	clear  string
	talk   [3]string // client-first-bare, server-first, client-final without its proof
	proof  string
}

// asked takes an Authentication message of the server's.
func (p *loginProof) asked(body []byte) {
	switch code := binary.BigEndian.Uint32(body); code {
	case authOk, authSASLFinal:
	case authSASLContinue:
		p.talk[1] = string(body[4:])
	default:
		*p = loginProof{method: code}
	}
}

// answered takes the body of the client's answer.
func (p *loginProof) answered(body []byte) {
	switch {
	case p.method == authCleartext:
		p.clear = strings.TrimSuffix(string(body), "\x00")
	case p.method != authSASL:
	case p.talk[1] != "":
		p.talk[2], p.proof, _ = strings.Cut(string(body), ",p=")
	default:
		p.talk[0] = firstBare(body)
	}
}

// firstBare is client-first-bare in the body of a SASLInitialResponse: mechanism, length, and the message behind
// its header for channel binding.
func firstBare(body []byte) string {
	_, rest, _ := bytes.Cut(body, []byte{0})
	if len(rest) < 4 {
		return ""
	}
	_, rest, _ = bytes.Cut(rest[4:], []byte{','})
	_, bare, _ := bytes.Cut(rest, []byte{','})
	return string(bare)
}

// learned is what is known of the user's secret when the server has said AuthenticationOk; known is what is
// configured.
func (p *loginProof) learned(known codec.Secret) codec.Secret {
	switch {
	case p.method == authCleartext:
		known.Password = p.clear
	case p.method == authSASL && known.Password == "":
		if client, server, ok := p.keys(known.Verifier); ok {
			known.ClientKey, known.ServerKey = client[:], server[:]
		}
	}
	return known
}

// keys are SCRAM's, if the proof was made with what the verifier was.
func (p *loginProof) keys(verifier string) (client, server scramKey, ok bool) {
	v, ok := parseVerifier(verifier)
	proof, ok2 := parseKey(p.proof)
	if !ok || !ok2 {
		return client, server, false
	}
	client = xorKeys(proof, hmacOf(v.stored[:], strings.Join(p.talk[:], ",")))
	return client, v.server, equalKeys(storedKey(client), v.stored)
}

// enough tells whether a secret can answer what was asked for.
func (p *loginProof) enough(s *codec.Secret) bool {
	switch p.method {
	case authOk:
		return true
	case authCleartext:
		return s.Password != ""
	case authMD5:
		return s.Password != "" || isMD5(s.Verifier)
	case authSASL:
		return s.Password != "" || hasKeys(s)
	}
	return false // GSSAPI and its like
}

// isReplication tells whether a startup parameter asks for a connection for replication, which is never moved.
// The server takes what it takes for a boolean, and "database".
//
// https://www.postgresql.org/docs/current/protocol-replication.html
func isReplication(value string) bool {
	v := strings.ToLower(value)
	for _, no := range [...]string{"false", "no"} {
		if v != "" && strings.HasPrefix(no, v) {
			return false
		}
	}
	return v != "off" && v != "of" && v != "0"
}

// newMovable returns the follower of a session that can be moved, with what the login has shown.
func (l *login) newMovable(w codec.Watcher) *movable {
	m := &movable{}
	m.follower = follower{watch: w, login: true, track: &m.tracker}
	t := &m.tracker
	t.opt = l.cfg.Move
	t.words = movingWords(t.opt.Functions)
	t.startup, t.user, t.database = l.startup, l.user, l.database
	t.unknownNow()
	var secret codec.Secret
	if t.opt.Secret != nil {
		secret = t.opt.Secret(l.user)
	}
	if secret = l.proof.learned(secret); !secret.Zero() {
		t.secret = &secret
	}
	if !l.proof.enough(&secret) {
		t.bind(pinCredentials)
	}
	params, _ := parseParams(l.startup)
	for _, p := range params {
		switch {
		case p.Name == "replication" && isReplication(p.Value):
			t.bind(pinReplication)
		case strings.HasPrefix(p.Name, "_pq_."):
			t.bind(pinOption)
		}
	}
	l.proof = nil
	return m
}

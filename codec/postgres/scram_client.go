package postgres

import (
	"encoding/base64"
	"errors"
	"strings"
)

// scramClient is the side of a SCRAM exchange that proves who it is.
//
//	first ─▶ client-first
//	server-first ─▶ challenge; then answer ─▶ client-final
//	server-final ─▶ verify
type scramClient struct {
	header  string // "n,," "y,," or "p=tls-server-end-point,,"
	binding []byte // with the last of them
	nonce   string // ours, then both parts

	salt       []byte
	iterations int
	talk       string // AuthMessage, as far as it has come
	signature  scramKey
}

// What can be wrong with a server in a SCRAM exchange.
var (
	errChallenge = errors.New("the server's SCRAM challenge is not well formed")
	errSignature = errors.New("the server has not shown that it knows the password's verifier")
)

// first returns client-first. The name stays empty: the StartupMessage has given it.
func (c *scramClient) first() string {
	bare := "n=,r=" + c.nonce
	c.talk = bare
	return c.header + bare
}

// challenge reads server-first.
func (c *scramClient) challenge(msg string) error {
	nonce, rest, ok := scramAttribute(msg, 'r')
	if !ok || !isNonce(nonce) || len(nonce) <= len(c.nonce) || !strings.HasPrefix(nonce, c.nonce) {
		return errChallenge
	}
	salt, rest, ok := scramAttribute(rest, 's')
	if !ok {
		return errChallenge
	}
	if c.salt, ok = parseSalt(salt); !ok {
		return errChallenge
	}
	iterations, _, ok := scramAttribute(rest, 'i')
	if !ok {
		return errChallenge
	}
	if c.iterations, ok = parseIterations(iterations); !ok {
		return errChallenge
	}
	c.nonce = nonce
	c.talk += "," + msg
	return nil
}

// answer returns client-final.
func (c *scramClient) answer(client, server scramKey) string {
	channel := c.header
	if channel[0] == 'p' {
		channel += string(c.binding)
	}
	bare := "c=" + base64.StdEncoding.EncodeToString([]byte(channel)) + ",r=" + c.nonce
	c.talk += "," + bare
	stored := storedKey(client)
	proof := xorKeys(client, hmacOf(stored[:], c.talk))
	c.signature = hmacOf(server[:], c.talk)
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof[:])
}

// verify reads server-final.
func (c *scramClient) verify(msg string) error {
	value, _, ok := scramAttribute(msg, 'v')
	if !ok {
		return errSignature
	}
	if signature, ok := parseKey(value); !ok || !equalKeys(signature, c.signature) {
		return errSignature
	}
	return nil
}

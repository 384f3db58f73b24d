package postgres

import (
	"encoding/base64"
	"strconv"
	"strings"

	"sluice/codec"
)

// scramServer is the side of a SCRAM exchange that checks the client.
//
//	client-first ─▶ first ─▶ server-first
//	client-final ─▶ final, then prove ─▶ server-final
type scramServer struct {
	// binding is what a client binds to if TLS is up (tls-server-end-point); nil if that was not
	// offered.
	binding []byte

	salt       []byte
	iterations int

	header string // of client-first, as client-final has to repeat it
	nonce  string // both parts
	talk   string // AuthMessage, as far as it has come
	proof  scramKey
}

// malformedSCRAM is told for any message that is not one of SCRAM.
var malformedSCRAM = codec.Error{Cond: codec.ProtocolError, Text: "malformed SCRAM message"}

// first reads client-first, which came with that mechanism, and returns server-first. The name in it
// does not count: the client is who its StartupMessage says.
func (s *scramServer) first(mechanism, msg, nonce string) (reply string, wrong *codec.Error) {
	rest, wrong := s.readHeader(mechanism, msg)
	if wrong != nil {
		return "", wrong
	}
	bare := rest
	if strings.HasPrefix(rest, "m=") {
		return "", &codec.Error{Cond: codec.ProtocolError,
			Text: "the client requires a SCRAM extension that is not known"}
	}
	_, rest, ok := scramAttribute(rest, 'n')
	if !ok {
		return "", &malformedSCRAM
	}
	theirs, _, ok := scramAttribute(rest, 'r')
	if !ok || !isNonce(theirs) {
		return "", &malformedSCRAM
	}
	s.nonce = theirs + nonce
	reply = "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(s.salt) +
		",i=" + strconv.Itoa(s.iterations)
	s.talk = bare + "," + reply
	return reply, nil
}

// readHeader judges what the client says of channel binding, and returns what stands behind it.
//
// https://www.rfc-editor.org/rfc/rfc5802#section-6
func (s *scramServer) readHeader(mechanism, msg string) (rest string, wrong *codec.Error) {
	flag, rest, _ := strings.Cut(msg, ",")
	switch {
	case mechanism == scramPlus && s.binding == nil || mechanism != scramPlus && mechanism != scram:
		return "", &codec.Error{Cond: codec.ProtocolError,
			Text: "the client chose a SASL mechanism that was not offered"}
	case mechanism == scramPlus && flag == "p=tls-server-end-point":
	case mechanism == scramPlus && strings.HasPrefix(flag, "p="):
		return "", &codec.Error{Cond: codec.ProtocolError,
			Text: "the type of channel binding is not supported"}
	case mechanism == scram && flag == "n":
	case mechanism == scram && flag == "y" && s.binding == nil:
	case mechanism == scram && flag == "y":
		// The client could bind and was told that we can't: somebody changed the offer on its way.
		return "", &codec.Error{Cond: codec.AuthDenied,
			Text: "channel binding was offered, but the client has not seen the offer"}
	default:
		return "", &malformedSCRAM
	}
	identity, rest, ok := strings.Cut(rest, ",")
	if strings.HasPrefix(identity, "a=") {
		return "", &codec.Error{Cond: codec.ProtocolError,
			Text: "the client gives an authorization identity, which is not supported"}
	}
	if !ok || identity != "" {
		return "", &malformedSCRAM
	}
	s.header = flag + ",,"
	return rest, nil
}

// final reads client-final.
func (s *scramServer) final(msg string) (wrong *codec.Error) {
	bare, proof, ok := cutProof(msg)
	if !ok {
		return &malformedSCRAM
	}
	channel, rest, ok := scramAttribute(bare, 'c')
	if !ok {
		return &malformedSCRAM
	}
	nonce, _, ok := scramAttribute(rest, 'r')
	if !ok || nonce != s.nonce {
		return &malformedSCRAM
	}
	want := s.header
	if s.header[0] == 'p' {
		want += string(s.binding)
	}
	if channel != base64.StdEncoding.EncodeToString([]byte(want)) {
		return &codec.Error{Cond: codec.AuthDenied, Text: "the channel binding does not hold",
			Hint: "The client sees another certificate than this server has shown."}
	}
	if s.proof, ok = parseKey(proof); !ok {
		return &malformedSCRAM
	}
	s.talk += "," + bare
	return nil
}

// cutProof cuts the last attribute, which is the proof, off client-final.
func cutProof(msg string) (bare, proof string, ok bool) {
	i := strings.LastIndex(msg, ",p=")
	if i < 0 {
		return "", "", false
	}
	return msg[:i], msg[i+3:], true
}

// prove tells whether the client's proof fits the verifier. reply is server-final, and client the
// key by which the client has proved itself.
func (s *scramServer) prove(stored, server scramKey) (reply string, client scramKey, ok bool) {
	client = xorKeys(s.proof, hmacOf(stored[:], s.talk))
	if !equalKeys(storedKey(client), stored) {
		return "", scramKey{}, false
	}
	signature := hmacOf(server[:], s.talk)
	return "v=" + base64.StdEncoding.EncodeToString(signature[:]), client, true
}

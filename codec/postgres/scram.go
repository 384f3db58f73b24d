package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// SCRAM-SHA-256 proves on both sides that the password, or what is derived from it, is known:
//
//	SaltedPassword = PBKDF2(password, salt, iterations)
//	ClientKey      = HMAC(SaltedPassword, "Client Key")     logs in
//	StoredKey      = SHA256(ClientKey)                      checks who logs in
//	ServerKey      = HMAC(SaltedPassword, "Server Key")     shows that StoredKey was known
//
// A client proves itself by ClientKey xor HMAC(StoredKey, AuthMessage). Whoever checks that proof
// with StoredKey gets hold of ClientKey, and can log in with it where the same verifier is stored.
// That is why both sides of the conversation are written here and not taken from a library: the keys
// have to be learned from a proof, and used without a password.
//
// https://www.rfc-editor.org/rfc/rfc5802#section-3
// https://www.rfc-editor.org/rfc/rfc7677
// https://www.postgresql.org/docs/current/sasl-authentication.html

const (
	// iterationsOwn is for the verifiers that Sluice makes itself: the server's own default
	// (scram_iterations).
	iterationsOwn = 4096
	// maxIterations bounds what a server or a stored verifier may ask for. Chosen: about a quarter
	// of a second of one processor.
	maxIterations = 1_000_000
	// maxSASL bounds the body of a client's SASL message, in bytes: the server's own limit
	// (PG_MAX_SASL_MESSAGE_LENGTH). A server's is held to maxChallenge.
	maxSASL      = 1024
	maxChallenge = 4096
	// maxSalt bounds the salt of a verifier or of a server, in bytes. PostgreSQL's have 16.
	maxSalt = 1024

	nonceSize = 18 // random bytes in a nonce; as many as the server's own
)

// scramKey is one of the keys, or a signature or a proof.
type scramKey = [sha256.Size]byte

// scramKeys are derived from a password, a salt and a number of iterations.
type scramKeys struct{ client, stored, server scramKey }

// deriveKeys takes about a millisecond for 4096 iterations.
func deriveKeys(password string, salt []byte, iterations int) scramKeys {
	salted, err := pbkdf2.Key(sha256.New, saslPrepare(password), salt, iterations, sha256.Size)
	if err != nil {
		return scramKeys{} // crypto's policy forbids such a salt: keys that fit no proof
	}
	client := hmacOf(salted, "Client Key")
	return scramKeys{
		client: client,
		stored: storedKey(client),
		server: hmacOf(salted, "Server Key"),
	}
}

func storedKey(client scramKey) scramKey { return sha256.Sum256(client[:]) }

func hmacOf(key []byte, text string) (mac scramKey) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	h.Sum(mac[:0])
	return mac
}

func xorKeys(a, b scramKey) (out scramKey) {
	subtle.XORBytes(out[:], a[:], b[:])
	return out
}

func equalKeys(a, b scramKey) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// saslProfile is SASLprep as PostgreSQL does it: a zero width space is a space, not nothing.
var saslProfile = stringprep.Profile{
	Mappings:  append([]stringprep.Mapping{{0x200b: {' '}}}, stringprep.SASLprep.Mappings...),
	Normalize: stringprep.SASLprep.Normalize,
	Prohibits: stringprep.SASLprep.Prohibits,
	CheckBiDi: stringprep.SASLprep.CheckBiDi,
}

// saslPrepare normalizes a password. As in the server and in libpq, one that SASLprep does not allow is
// used as it is.
func saslPrepare(password string) string {
	if isASCII(password) || !utf8.ValidString(password) {
		return password
	}
	if p, err := saslProfile.Prepare(password); err == nil && p != "" {
		return p
	}
	return password
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// scramVerifier is what a server stores of a password for SCRAM.
type scramVerifier struct {
	salt           []byte
	iterations     int
	stored, server scramKey
}

const verifierPrefix = "SCRAM-SHA-256$"

// parseVerifier reads SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey.
//
// https://www.postgresql.org/docs/current/catalog-pg-authid.html
func parseVerifier(s string) (v scramVerifier, ok bool) {
	rest, ok := strings.CutPrefix(s, verifierPrefix)
	if !ok {
		return v, false
	}
	how, keys, ok := strings.Cut(rest, "$")
	if !ok {
		return v, false
	}
	iterations, salt, ok1 := strings.Cut(how, ":")
	stored, server, ok2 := strings.Cut(keys, ":")
	if !ok1 || !ok2 {
		return v, false
	}
	var ok3, ok4, ok5, ok6 bool
	v.iterations, ok3 = parseIterations(iterations)
	v.salt, ok4 = parseSalt(salt)
	v.stored, ok5 = parseKey(stored)
	v.server, ok6 = parseKey(server)
	return v, ok3 && ok4 && ok5 && ok6
}

// CheckVerifier tells what is wrong with a stored verifier; nil if a password can be checked by it.
func CheckVerifier(s string) error {
	if _, ok := parseVerifier(s); ok || isMD5(s) {
		return nil
	}
	return fmt.Errorf("the verifier is neither md5 and 32 hexadecimal digits nor "+
		"SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, with 1 to %d iterations, "+
		"and keys of %d bytes in base64", maxIterations, sha256.Size)
}

func parseIterations(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= maxIterations
}

func parseSalt(s string) ([]byte, bool) {
	salt, err := base64.StdEncoding.Strict().DecodeString(s)
	return salt, err == nil && len(salt) > 0 && len(salt) <= maxSalt
}

func parseKey(s string) (key scramKey, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(key) {
		return key, false
	}
	return scramKey(b), true
}

// inventedSalt is the salt for a name without a verifier of its own. Nobody can tell it from a
// random one, and it is the same each time.
func inventedSalt(secret [32]byte, user string) []byte {
	mac := hmacOf(secret[:], user)
	return mac[:16]
}

// scramAttribute takes the attribute with that letter off the front of a message.
func scramAttribute(msg string, letter byte) (value, rest string, ok bool) {
	if len(msg) < 2 || msg[0] != letter || msg[1] != '=' {
		return "", msg, false
	}
	value, rest, _ = strings.Cut(msg[2:], ",")
	return value, rest, true
}

// isNonce tells whether s is printable ASCII, as a nonce must be.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// newNonce encodes random bytes.
func newNonce(random func([]byte)) string {
	var b [nonceSize]byte
	random(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// appendSASL appends an Authentication message of a SASL exchange.
func appendSASL(dst []byte, code byte, body string) []byte {
	n := 4 + 4 + len(body)
	dst = append(dst, msgAuth, byte(n>>24), byte(n>>16), byte(n>>8), byte(n), 0, 0, 0, code)
	return append(dst, body...)
}

// sameText compares two secrets of any length without telling how far they agree.
func sameText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return equalKeys(x, y)
}

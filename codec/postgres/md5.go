package postgres

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// md5Prefix begins a stored md5 hash: md5 and 32 hexadecimal digits of md5(password + user).
//
// https://www.postgresql.org/docs/current/catalog-pg-authid.html
const md5Prefix = "md5"

// isMD5 tells whether a stored verifier is an md5 hash.
func isMD5(verifier string) bool {
	digits, ok := strings.CutPrefix(verifier, md5Prefix)
	if !ok || len(digits) != hex.EncodedLen(md5.Size) {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

// md5Verifier returns what a server stores of a password.
func md5Verifier(password, user string) string { return md5Prefix + md5Hex(password+user) }

// md5Answer is what a client answers to a salt, by what is stored.
//
// https://www.postgresql.org/docs/current/protocol-flow.html
func md5Answer(verifier string, salt [4]byte) string {
	digits := strings.ToLower(strings.TrimPrefix(verifier, md5Prefix)) // as clients write them
	return md5Prefix + md5Hex(digits+string(salt[:]))
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

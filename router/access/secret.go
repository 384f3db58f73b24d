package access

import (
	"strings"

	"sluice/codec"
)

// SecretOf reads a secret as PgBouncer's user lists and PostgreSQL's pg_authid write them: a SCRAM
// verifier and an md5 hash show what they are, and anything else is a password. "" is nothing.
//
// https://www.postgresql.org/docs/17/catalog-pg-authid.html
func SecretOf(s string) codec.Secret {
	if strings.HasPrefix(s, "SCRAM-SHA-256$") || isMD5(s) {
		return codec.Secret{Verifier: s}
	}
	return codec.Secret{Password: s}
}

// isMD5 tells whether s is "md5" and 32 hexadecimal digits.
func isMD5(s string) bool {
	digits, ok := strings.CutPrefix(s, "md5")
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdefABCDEF") == ""
}

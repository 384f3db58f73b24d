package access

import (
	"cmp"
	"maps"
	"slices"
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

// FormOf is the front of a secret that others may have too: "md5", "SCRAM-SHA-256$" with the iterations,
// or "" for a password. See codec.Account.Usual.
func FormOf(s codec.Secret) string {
	switch {
	case s.Password != "":
		return ""
	case isMD5(s.Verifier):
		return "md5"
	}
	form, _, _ := strings.Cut(s.Verifier, ":")
	return form
}

// usualForm is the form that most of the users' secrets have.
func usualForm(users map[string]User) string {
	counts := map[string]int{}
	for _, u := range users {
		if !u.Secret.Zero() {
			counts[FormOf(u.Secret)]++
		}
	}
	forms := slices.Sorted(maps.Keys(counts))
	if len(forms) == 0 {
		return ""
	}
	return slices.MaxFunc(forms, func(a, b string) int { return cmp.Compare(counts[a], counts[b]) })
}

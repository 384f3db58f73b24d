package postgres

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// switchMax bounds the settings that are changed by one SELECT; the server allows 1664 columns:
// https://www.postgresql.org/docs/current/limits.html.
const switchMax = 1000

// appendSwitch appends the statements that lead a session from one set of settings to another, as the
// text of one Query, so that all of them or none take effect. Equal sets need nothing.
//
// set_config with NULL is a RESET, and takes any name:
// https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SET.
func appendSwitch(dst []byte, from, to *settings) []byte {
	if sameSettings(from, to) {
		return dst
	}
	n := 0
	put := func(s setting, reset bool) {
		switch n++; {
		case n%switchMax != 1:
			dst = append(dst, ',')
		case n > 1:
			dst = append(dst, ";SELECT "...)
		default:
			dst = append(dst, "SELECT "...)
		}
		dst = append(dst, "pg_catalog.set_config("...)
		dst = appendText(dst, s.name)
		dst = append(dst, ',')
		if reset {
			dst = append(dst, "NULL"...)
		} else {
			dst = appendText(dst, giveable(s))
		}
		dst = append(dst, ",false)"...)
	}
	for _, s := range from.all() {
		if _, ok := to.get(s.name); !ok {
			put(s, true)
		}
	}
	for _, s := range to.all() {
		if v, ok := from.get(s.name); !ok || v != s.value {
			put(s, false)
		}
	}
	return dst
}

// giveable returns a setting's value as it has to be set. A long application_name with bytes that are
// not ASCII is written with four characters for each of them, and would be cut if it was set like
// that.
func giveable(s setting) string {
	if s.name != "application_name" || len(s.value) <= maxName {
		return s.value
	}
	if raw := unescapeName(s.value); utf8.ValidString(raw) {
		return raw
	}
	return s.value
}

// unescapeName turns \xHH back into a byte.
func unescapeName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) && s[i+1] == 'x' {
			if x, err := hex.DecodeString(s[i+2 : i+4]); err == nil && x[0] >= 0x80 {
				b.WriteByte(x[0])
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// appendText appends a constant of type text that reads the same whatever standard_conforming_strings,
// backslash_quote and client_encoding are. s is in the server's encoding.
func appendText(dst []byte, s string) []byte {
	if plain(s) {
		dst = append(dst, '\'')
		dst = append(dst, s...)
		return append(dst, '\'')
	}
	dst = append(dst, "pg_catalog.convert_from(pg_catalog.decode('"...)
	dst = hex.AppendEncode(dst, []byte(s))
	return append(dst, "','hex'),pg_catalog.getdatabaseencoding())"...)
}

// plain tells that s has nothing but printable ASCII, and no quote or backslash.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '\'' || c == '\\' {
			return false
		}
	}
	return true
}

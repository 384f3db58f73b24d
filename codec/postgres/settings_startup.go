package postgres

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"sluice/codec"
)

// startupSettings makes a set of the parameters that a client gave at its login. User, database,
// replication and the options of the protocol are no settings:
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-STARTUPMESSAGE.
// major and encoding are the server's version and server_encoding.
func startupSettings(params []codec.Param, major int, encoding string) *settings {
	list := make([]setting, 0, len(params))
	for _, p := range params {
		name := settingName(p.Name)
		switch name {
		case "", "user", "database", "replication", "options":
			continue
		}
		if strings.HasPrefix(name, "_pq_.") {
			continue
		}
		value := p.Value
		if name == "application_name" {
			if canonical, ok := canonicalName(value, major, encoding); ok {
				value = canonical
			}
		}
		list = append(list, setting{name, value})
	}
	return newSettings(list)
}

// settingName is a setting's name as pg_settings has it. The server does not care for upper and lower
// case; three names have capitals: https://www.postgresql.org/docs/current/runtime-config-client.html.
func settingName(s string) string {
	s = strings.Map(lowerRune, s)
	switch s {
	case "datestyle":
		return "DateStyle"
	case "intervalstyle":
		return "IntervalStyle"
	case "timezone":
		return "TimeZone"
	}
	return s
}

// majorVersion is the first number of a server's version: 16 of "16.2 (Debian 16.2-1)", 17 of
// "17beta1".
func majorVersion(version string) (n int) {
	for _, c := range []byte(version) {
		if c < '0' || c > '9' || n > 1000 {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// canonicalName is what a server makes of an application_name: it cuts it to 63 bytes, and writes
// what is not printable ASCII as '?' before version 16, and as \xHH since. ok is false if it can't be
// told where the server cuts.
//
// https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-APPLICATION-NAME
func canonicalName(name string, major int, encoding string) (canonical string, ok bool) {
	if len(name) > maxName {
		if name, ok = cutName(name, encoding); !ok {
			return "", false
		}
	}
	if strings.IndexFunc(name, unprintable) < 0 {
		return name, true
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case !unprintable(rune(c)):
			b.WriteByte(c)
		case major < 16:
			b.WriteByte('?')
		default:
			b.WriteString(`\x`)
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	return b.String(), true
}

func unprintable(c rune) bool { return c < ' ' || c > '~' }

// cutName cuts a long name between two characters.
func cutName(name, encoding string) (string, bool) {
	n := maxName
	switch {
	case strings.IndexFunc(name[:n+1], func(c rune) bool { return c >= 0x80 }) < 0,
		strings.HasPrefix(encoding, "LATIN"), strings.HasPrefix(encoding, "WIN"),
		strings.HasPrefix(encoding, "ISO_8859_"), strings.HasPrefix(encoding, "KOI8"),
		encoding == "SQL_ASCII":
	case encoding == "UTF8" && utf8.ValidString(name):
		for !utf8.RuneStart(name[n]) {
			n--
		}
	default:
		return "", false
	}
	return name[:n], true
}

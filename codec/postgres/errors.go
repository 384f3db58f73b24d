package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"sluice/codec"
)

// sqlStates has the SQLSTATE by which each condition is told.
//
// https://www.postgresql.org/docs/current/errcodes-appendix.html
var sqlStates = [...]string{
	codec.Internal:           "XX000",
	codec.TooManyConns:       "53300",
	codec.HostDenied:         "28000",
	codec.NoBackend:          "08006",
	codec.BackendLost:        "08006",
	codec.Shutdown:           "57P01",
	codec.BackendGone:        "57P01",
	codec.ProtocolError:      "08P01",
	codec.LoginTimeout:       "08006",
	codec.IdleTimeout:        "57P05",
	codec.TLSRequired:        "28000",
	codec.TLSFailed:          "08006",
	codec.ClearPassword:      "28000",
	codec.UnknownThread:      "XX000", // only a MySQL client can ask for it
	codec.KillDenied:         "XX000", // only a MySQL client can ask for it
	codec.ServerNotSupport:   "08P01",
	codec.AuthFailed:         "28P01",
	codec.AuthDenied:         "28000",
	codec.PoolWait:           "53300",
	codec.QueryTimeout:       "57014",
	codec.TransactionTimeout: "25P04",
	codec.TransactionIdle:    "25P03",
	codec.Killed:             "57P01",
	codec.NotShareable:       "0A000",
	codec.StateLost:          "55000",
	codec.LimitOfClient:      "54000",
	codec.CommandUnknown:     "42601",
	codec.CommandDenied:      "42501",
	codec.CommandRefused:     "0A000",
	codec.CommandNotNow:      "55000",
	codec.CommandCancelled:   "57014",
	codec.NoSuchDatabase:     "3D000",
	codec.NoSuchThing:        "42704",
	codec.WrongPart:          "57P03",
	codec.TxLost:             "40001",
	codec.TxUnknown:          "40003",
}

// sqlState returns the SQLSTATE for a condition.
func sqlState(c codec.Condition) string {
	if int(c) < len(sqlStates) {
		return sqlStates[c]
	}
	return sqlStates[codec.Internal]
}

// appendFatal appends an ErrorResponse of severity FATAL: the connection ends behind it.
func appendFatal(dst []byte, state string, e codec.Error) []byte {
	start := len(dst)
	dst = append(dst, msgError, 0, 0, 0, 0)
	dst = appendField(dst, 'S', "FATAL")
	dst = appendField(dst, 'V', "FATAL")
	dst = appendField(dst, 'C', state)
	dst = appendField(dst, 'M', e.Text)
	if e.Hint != "" {
		dst = appendField(dst, 'H', e.Hint)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// appendField appends one field of an ErrorResponse. A NUL would end it early, so text ends there.
func appendField(dst []byte, field byte, text string) []byte {
	if i := strings.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	dst = append(dst, field)
	dst = append(dst, text...)
	return append(dst, 0)
}

// maxMessageText bounds what is kept of a server's words for a log line, in bytes.
const maxMessageText = 200

// serverError is what a server said when it refused a login.
type serverError struct {
	severity string
	state    string // SQLSTATE; "" if the server gave none
	text     string // cut to maxMessageText
}

// Error returns the server's words on one line.
func (e *serverError) Error() string {
	return strings.TrimSpace(e.severity+" "+e.state) + ": " + e.text
}

// parseError reads the body of an ErrorResponse. Fields that are missing stay empty.
//
// https://www.postgresql.org/docs/current/protocol-error-fields.html
func parseError(body []byte) *serverError {
	e := &serverError{severity: "ERROR"}
	for len(body) > 1 && body[0] != 0 {
		field := body[0]
		value, rest, ok := bytes.Cut(body[1:], []byte{0})
		if !ok {
			break
		}
		switch field {
		case 'S':
			e.severity = cutText(value, maxMessageText)
		case 'V': // as S, never translated
			e.severity = cutText(value, maxMessageText)
		case 'C':
			e.state = cutText(value, 5)
		case 'M':
			e.text = cutText(value, maxMessageText)
		}
		body = rest
	}
	return e
}

// cutText returns at most n bytes of b, and no half character at the end.
func cutText(b []byte, n int) string {
	if len(b) <= n {
		return string(b)
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return string(b[:n])
}

// cantTakeUs tells whether a server with that SQLSTATE has no room or no readiness for clients at
// all, so that another server may do better. Anything else concerns this user or this database.
func cantTakeUs(state string) bool {
	switch state {
	case "57P01", "57P02", "57P03", // shut down by its administrator, crashed, can't connect now
		"53300": // too many connections
		return true
	}
	return strings.HasPrefix(state, "08") // connection exceptions
}

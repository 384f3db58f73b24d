package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sluice/codec"
)

// errText bounds the text of an ERR, in bytes: what clients keep of it.
const errText = 500

// errNumber is MySQL's code and SQLSTATE for a condition.
type errNumber struct {
	code  uint16
	state string
}

// errNumbers is indexed by codec.Condition.
//
// https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
var errNumbers = [...]errNumber{
	codec.Internal:           {1105, "HY000"},
	codec.TooManyConns:       {1040, "08004"},
	codec.HostDenied:         {1130, "HY000"},
	codec.NoBackend:          {1105, "08S01"},
	codec.BackendLost:        {1105, "08S01"},
	codec.Shutdown:           {1053, "08S01"},
	codec.BackendGone:        {1053, "08S01"},
	codec.ProtocolError:      {1835, "HY000"},
	codec.LoginTimeout:       {1159, "08S01"},
	codec.IdleTimeout:        {4031, "HY000"},
	codec.TLSRequired:        {3159, "HY000"},
	codec.TLSFailed:          {1105, "08S01"},
	codec.ClearPassword:      {1045, "28000"},
	codec.UnknownThread:      {1094, "HY000"},
	codec.KillDenied:         {1095, "HY000"},
	codec.ServerNotSupport:   {1105, "HY000"},
	codec.AuthFailed:         {1045, "28000"},
	codec.AuthDenied:         {1045, "28000"},
	codec.PoolWait:           {1040, "08004"},
	codec.QueryTimeout:       {3024, "HY000"},
	codec.TransactionTimeout: {3024, "HY000"},
	codec.TransactionIdle:    {3024, "HY000"},
	codec.Killed:             {1053, "08S01"},
	codec.NotShareable:       {1235, "42000"},
	codec.StateLost:          {1105, "HY000"},
	codec.LimitOfClient:      {1105, "HY000"},
	codec.CommandUnknown:     {1064, "42000"},
	codec.CommandDenied:      {1227, "42000"},
	codec.CommandRefused:     {1235, "42000"},
	codec.CommandNotNow:      {1105, "HY000"},
	codec.CommandCancelled:   {1317, "70100"},
	codec.NoSuchDatabase:     {1049, "42000"},
	codec.NoSuchThing:        {1094, "HY000"},
	codec.WrongPart:          {1105, "HY000"},
	codec.TxLost:             {1213, "40001"},
	codec.TxUnknown:          {1105, "08S01"},
}

// numberOf returns the code for a condition; one that the table lacks is an internal error.
func numberOf(c codec.Condition) errNumber {
	if int(c) < len(errNumbers) {
		return errNumbers[c]
	}
	return errNumbers[codec.Internal]
}

// appendErr appends an ERR packet. Without marked it has no SQLSTATE: before the greeting a client does
// not yet know that the server speaks protocol 4.1 and would take it for text.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
func appendErr(dst []byte, seq uint8, marked bool, no errNumber, text string) []byte {
	if len(text) > errText {
		text = text[:errText]
	}
	n := 3 + len(text)
	if marked {
		n += 6
	}
	dst = appendHeader(dst, n, seq)
	dst = append(dst, 0xff)
	dst = binary.LittleEndian.AppendUint16(dst, no.code)
	if marked {
		dst = append(append(dst, '#'), no.state...)
	}
	return append(dst, text...)
}

// errorText is the text of an ERR for e.
func errorText(e codec.Error) string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + " (" + e.Hint + ")"
}

// appendOK appends an OK packet that reports the given status flags.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
func appendOK(dst []byte, seq uint8, status uint16) []byte {
	return append(appendHeader(dst, 7, seq), 0, 0, 0, byte(status), byte(status>>8), 0, 0)
}

// parseErr reads the payload of an ERR packet.
func parseErr(b []byte) (no errNumber, text string) {
	if len(b) < 3 {
		return errNumber{}, ""
	}
	no.code = binary.LittleEndian.Uint16(b[1:])
	b = b[3:]
	if len(b) >= 6 && b[0] == '#' {
		no.state, b = string(b[1:6]), b[6:]
	}
	return no, string(b)
}

// serverError describes an ERR of the server.
func serverError(b []byte) error {
	no, text := parseErr(b)
	return fmt.Errorf("server refused the login: %d (%s) %s", no.code, no.state, text)
}

// What a follower finds wrong. They are values so that the hot path builds no text.
var (
	errClientSeq   = errors.New("mysql: a packet of the client is out of order")
	errServerSeq   = errors.New("mysql: a packet of the server is out of order")
	errUnasked     = errors.New("mysql: the server sent a packet that nobody asked for")
	errAnswer      = errors.New("mysql: malformed answer of the server")
	errTooMuchOwed = errors.New("mysql: too many commands ahead of their answers")
	errUserName    = errors.New("mysql: a user's name that does not end")
	errCommand     = errors.New("mysql: COM_MULTI is not supported")
	errPipelined   = errors.New("mysql: commands were sent ahead into a dialogue")
)

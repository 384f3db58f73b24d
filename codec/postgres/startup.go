package postgres

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// What a client sends before it is logged in has no type byte: a length that counts itself, a code,
// then what the code says.
const (
	codeCancel = 80877102 // CancelRequest
	codeTLS    = 80877103 // SSLRequest
	codeGSS    = 80877104 // GSSENCRequest

	minStartup = 8
	maxStartup = 10000 // the server's own limit, MAX_STARTUP_PACKET_LENGTH

	tlsHandshake = 0x16 // the first byte of a TLS connection that was not asked for by SSLRequest
)

// sslRequest is the SSLRequest that Sluice sends to a server.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// startupSize returns the length of the startup packet that b begins with, or 0 if b is too short
// to tell. ok is false if the length can't be that of a startup packet.
func startupSize(b []byte) (n int, ok bool) {
	if len(b) < 4 {
		return 0, true
	}
	size := binary.BigEndian.Uint32(b)
	if size < minStartup || size > maxStartup {
		return 0, false
	}
	return int(size), true
}

// parseCancel reads the key of a whole CancelRequest. Its secret has 4 bytes in protocol 3.0 and up
// to 256 in 3.2.
func parseCancel(packet []byte) (codec.Key, bool) {
	if len(packet) <= 12 || len(packet) > 12+maxSecret {
		return codec.Key{}, false
	}
	return codec.Key{
		ID:     binary.BigEndian.Uint32(packet[8:]),
		Secret: string(packet[12:]),
	}, true
}

// parseParams reads the names and values of a whole StartupMessage. ok is false if they are not well
// formed.
func parseParams(packet []byte) (params []codec.Param, ok bool) {
	rest := packet[8:]
	for len(rest) > 0 && rest[0] != 0 {
		var name, value []byte
		if name, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return nil, false
		}
		if value, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return nil, false
		}
		params = append(params, codec.Param{Name: string(name), Value: string(value)})
	}
	return params, len(rest) == 1 // the terminator must be the last byte
}

// parseStartup reads user and database of a whole StartupMessage. The database is the user's name
// if the client named none. ok is false if the list of parameters is not well formed.
func parseStartup(packet []byte) (user, database string, ok bool) {
	params, ok := parseParams(packet)
	for _, p := range params {
		switch p.Name {
		case "user":
			user = p.Value
		case "database":
			database = p.Value
		}
	}
	if database == "" {
		database = user
	}
	return user, database, ok
}

// appendStartup appends a StartupMessage of protocol 3.0. params are names and values in turn.
func appendStartup(dst []byte, params ...string) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 3, 0, 0)
	for _, p := range params {
		dst = append(dst, p...)
		dst = append(dst, 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

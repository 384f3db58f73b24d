package mysql

import "encoding/binary"

// responseMin is the fixed part of a HandshakeResponse41, which is also the whole of an SSLRequest:
// flags, maximum packet, collation, filler.
const responseMin = 4 + 4 + 1 + 23

const responseExt = 4 + 4 + 1 + 19 // MariaDB's extended flags: the end of the filler

// response is what a HandshakeResponse41 says. b is the payload, shared.
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
//   - https://mariadb.com/kb/en/connection/#client-handshake-response
type response struct {
	b        []byte
	caps     uint32
	ext      uint32
	user     string
	database string
	plugin   string
	auth     []byte
	authAt   int // where the authentication data stand, their length included
	authEnd  int
}

// parseResponse reads the payload of a client's response. Attributes are not looked at: some clients
// get them wrong, and servers do not mind.
func parseResponse(b []byte) (r response, ok bool) {
	if len(b) < responseMin {
		return r, false
	}
	r.b = b
	r.caps = binary.LittleEndian.Uint32(b)
	if r.caps&capLongPassword == 0 {
		r.ext = binary.LittleEndian.Uint32(b[responseExt:])
	}
	user, rest, ok := cstring(b[responseMin:])
	if !ok {
		return r, false
	}
	r.user, r.authAt = string(user), len(b)-len(rest)
	if r.auth, rest, ok = r.readAuth(rest); !ok {
		return r, false
	}
	r.authEnd = len(b) - len(rest)
	if r.caps&capConnectWithDB != 0 {
		r.database, rest = lastString(rest)
	}
	r.plugin = nativePlugin
	if r.caps&capPluginAuth != 0 {
		r.plugin, _ = lastString(rest)
	}
	return r, true
}

const nativePlugin = "mysql_native_password"

// readAuth reads the authentication data in the form that the flags say.
func (r *response) readAuth(b []byte) (auth, rest []byte, ok bool) {
	switch {
	case r.caps&capPluginAuthLenenc != 0:
		return lenencBytes(b)
	case r.caps&capSecureConnection != 0:
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return nil, nil, false
		}
		return b[1 : 1+int(b[0])], b[1+int(b[0]):], true
	}
	return cstring(b)
}

// lastString reads a zero-terminated string whose terminator may be missing at the end of a packet.
func lastString(b []byte) (s string, rest []byte) {
	if s, rest, ok := cstring(b); ok {
		return string(s), rest
	}
	return string(b), nil
}

// withAuth returns the payload with other authentication data.
func (r *response) withAuth(auth []byte) (b []byte, ok bool) {
	b = append(b, r.b[:r.authAt]...)
	switch {
	case r.caps&capPluginAuthLenenc != 0:
		b = append(appendLenenc(b, uint64(len(auth))), auth...)
	case r.caps&capSecureConnection != 0:
		if len(auth) > 0xff {
			return nil, false
		}
		b = append(append(b, byte(len(auth))), auth...)
	default:
		// The terminator is part of the form: a clear password brings its own.
		if n := len(auth); n > 0 && auth[n-1] == 0 {
			auth = auth[:n-1]
		}
		b = append(append(b, auth...), 0)
	}
	return append(b, r.b[r.authEnd:]...), true
}

// putResponseCaps writes the flags into the front of a response or SSLRequest.
func putResponseCaps(b []byte, caps, ext uint32) {
	binary.LittleEndian.PutUint32(b, caps)
	if caps&capLongPassword == 0 {
		binary.LittleEndian.PutUint32(b[responseExt:], ext)
	}
}

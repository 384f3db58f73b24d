package mysql

import (
	"bytes"
	"encoding/binary"
)

// saltLen is the length of the challenge that all plugins of the family use.
const saltLen = 20

// greeting is what a HandshakeV10 says, and where. b is the payload, which set* change in place.
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
//   - https://mariadb.com/kb/en/connection/#initial-handshake-packet
type greeting struct {
	b      []byte
	id     uint32
	caps   uint32
	ext    uint32 // MariaDB's extended flags, 0 from other servers
	salt   []byte // shares memory with nothing
	plugin string
	kind   serverKind
	at     int // offset of what follows the version: id, salt, flags
}

// offsets from greeting.at
const (
	greetingID      = 0           // [4 bytes]
	greetingSalt    = 4           // [8 bytes]
	greetingCapsLow = 4 + 8 + 1   // [2 bytes]
	greetingCapsTop = 13 + 2 + 3  // [2 bytes] behind collation and status
	greetingSaltLen = 18 + 2      // [1 byte]
	greetingExt     = 20 + 1 + 6  // [4 bytes] the end of the filler
	greetingSalt2   = 20 + 1 + 10 // [13 bytes or more]
)

// parseGreeting reads the payload of a greeting. It refuses what is older than protocol 4.1.
func parseGreeting(b []byte) (g greeting, ok bool) {
	if len(b) == 0 || b[0] != 10 {
		return g, false
	}
	version := bytes.IndexByte(b, 0)
	g.b, g.at = b, version+1
	if version < 0 || len(b) < g.at+greetingSalt2 {
		return g, false
	}
	g.kind = kindOfServer(b[1:version])
	f := b[g.at:]
	g.id = binary.LittleEndian.Uint32(f[greetingID:])
	g.caps = uint32(binary.LittleEndian.Uint16(f[greetingCapsLow:])) |
		uint32(binary.LittleEndian.Uint16(f[greetingCapsTop:]))<<16
	if g.caps&capProtocol41 == 0 {
		return g, false
	}
	if g.caps&capLongPassword == 0 {
		g.ext = binary.LittleEndian.Uint32(f[greetingExt:])
	}
	rest := f[greetingSalt2:]
	salt2 := min(max(13, int(f[greetingSaltLen])-8), len(rest))
	g.salt = append(append(g.salt, f[greetingSalt:greetingSalt+8]...), rest[:salt2]...)
	g.salt = g.salt[:min(saltLen, len(g.salt))]
	if g.caps&capPluginAuth != 0 {
		// Some servers forget the zero byte behind the name.
		name, _, _ := bytes.Cut(rest[salt2:], []byte{0})
		g.plugin = string(name)
	}
	return g, true
}

// setID replaces the connection id.
func (g *greeting) setID(id uint32) {
	g.id = id
	binary.LittleEndian.PutUint32(g.b[g.at+greetingID:], id)
}

// setCaps replaces the flags.
func (g *greeting) setCaps(caps, ext uint32) {
	g.caps, g.ext = caps, ext
	binary.LittleEndian.PutUint16(g.b[g.at+greetingCapsLow:], uint16(caps))
	binary.LittleEndian.PutUint16(g.b[g.at+greetingCapsTop:], uint16(caps>>16))
	if caps&capLongPassword == 0 {
		binary.LittleEndian.PutUint32(g.b[g.at+greetingExt:], ext)
	}
}

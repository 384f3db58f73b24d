package wire

import (
	"crypto/sha1"
	"encoding/binary"
	"io"
)

// Capability flags, see
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
// and, for those of MariaDB (bits 32 and above), https://mariadb.com/kb/en/connection/.
const (
	LongPassword     = 1 << 0
	FoundRows        = 1 << 1
	LongFlag         = 1 << 2
	ConnectWithDB    = 1 << 3
	Compress         = 1 << 5
	LocalFiles       = 1 << 7
	Protocol41       = 1 << 9
	SSL              = 1 << 11
	Transactions     = 1 << 13
	SecureConnection = 1 << 15
	MultiStatements  = 1 << 16
	MultiResults     = 1 << 17
	PSMultiResults   = 1 << 18
	PluginAuth       = 1 << 19
	LenencAuth       = 1 << 21
	SessionTrack     = 1 << 23
	DeprecateEOF     = 1 << 24
	Zstd             = 1 << 26
	QueryAttributes  = 1 << 27
	MariaProgress    = 1 << 32
	MariaCacheMeta   = 1 << 36
)

// Usual is what a present-day client asks for, but for DeprecateEOF and SessionTrack.
const Usual = LongPassword | LongFlag | Protocol41 | Transactions | SecureConnection | MultiStatements |
	MultiResults | PSMultiResults | PluginAuth

// Commands, see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html.
const (
	ComQuit            = 0x01
	ComInitDB          = 0x02
	ComQuery           = 0x03
	ComFieldList       = 0x04
	ComStatistics      = 0x09
	ComProcessKill     = 0x0c
	ComPing            = 0x0e
	ComChangeUser      = 0x11
	ComBinlogDump      = 0x12
	ComRegisterReplica = 0x15
	ComStmtPrepare     = 0x16
	ComStmtExecute     = 0x17
	ComStmtLongData    = 0x18
	ComStmtClose       = 0x19
	ComStmtReset       = 0x1a
	ComSetOption       = 0x1b
	ComStmtFetch       = 0x1c
	ComResetConnection = 0x1f
)

// Status flags in OK and EOF packets.
const (
	statusMoreResults = 1 << 3
	statusCursor      = 1 << 6
	statusLastRow     = 1 << 7
)

// PacketMax is the longest payload of one packet, in bytes; a longer message goes on in the next.
const PacketMax = 1<<24 - 1

// Packet frames payload as one or more packets, the first with sequence number seq.
func Packet(seq byte, payload []byte) []byte {
	out := make([]byte, 0, len(payload)+4)
	for {
		n := min(len(payload), PacketMax)
		out = append(out, byte(n), byte(n>>8), byte(n>>16), seq)
		out = append(out, payload[:n]...)
		payload = payload[n:]
		seq++
		if n < PacketMax {
			return out
		}
	}
}

// readPacket reads one packet: its header and its payload.
func readPacket(r io.Reader) (head [4]byte, payload []byte, err error) {
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return head, nil, err
	}
	payload = make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	_, err = io.ReadFull(r, payload)
	return head, payload, err
}

func le16(p []byte, v int) []byte    { return binary.LittleEndian.AppendUint16(p, uint16(v)) }
func le32(p []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(p, v) }

// lenenc reads a length-encoded integer and returns what is behind it.
func lenenc(p []byte) (uint64, []byte) {
	switch {
	case len(p) == 0:
		return 0, nil
	case p[0] < 0xfb:
		return uint64(p[0]), p[1:]
	case p[0] == 0xfc && len(p) >= 3:
		return uint64(binary.LittleEndian.Uint16(p[1:])), p[3:]
	case p[0] == 0xfd && len(p) >= 4:
		return uint64(p[1]) | uint64(p[2])<<8 | uint64(p[3])<<16, p[4:]
	case p[0] == 0xfe && len(p) >= 9:
		return binary.LittleEndian.Uint64(p[1:]), p[9:]
	}
	return 0, nil
}

// Lenenc appends v as a length-encoded integer.
func Lenenc(p []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(p, byte(v))
	case v < 1<<16:
		return le16(append(p, 0xfc), int(v))
	case v < 1<<24:
		return append(p, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(p, 0xfe), v)
}

// nativeAuth is the answer of mysql_native_password to a salt:
// SHA1(password) xor SHA1(salt + SHA1(SHA1(password))).
func nativeAuth(password string, salt []byte) []byte {
	if password == "" {
		return nil
	}
	one := sha1.Sum([]byte(password))
	two := sha1.Sum(one[:])
	mix := sha1.New()
	mix.Write(salt)
	mix.Write(two[:])
	out := mix.Sum(nil)
	for i := range out {
		out[i] ^= one[i]
	}
	return out
}

package synth

// What both sides of the MySQL protocol share.
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
//   - https://mariadb.com/kb/en/clientserver-protocol/

const (
	myHeaderLen = 4
	myPlugin    = "mysql_native_password"
	myUTF8MB4   = 45
)

// Capability flags.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const (
	myLongPassword     = 1 << 0
	myLongFlag         = 1 << 2
	myConnectWithDB    = 1 << 3
	myProtocol41       = 1 << 9
	myTransactions     = 1 << 13
	mySecureConnection = 1 << 15
	myPluginAuth       = 1 << 19
	myConnectAttrs     = 1 << 20
	myPluginAuthLenenc = 1 << 21
	myDeprecateEOF     = 1 << 24
)

// Status flags.
const (
	myInTrans    = 1 << 0
	myAutocommit = 1 << 1
)

// Commands.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
const (
	comQuit            = 0x01
	comInitDB          = 0x02
	comQuery           = 0x03
	comPing            = 0x0e
	comChangeUser      = 0x11
	comStmtPrepare     = 0x16
	comStmtExecute     = 0x17
	comStmtClose       = 0x19
	comStmtReset       = 0x1a
	comSetOption       = 0x1b
	comResetConnection = 0x1f
)

// First bytes of the server's packets, and of text in rows.
const (
	myOK        = 0x00
	myMoreData  = 0x01
	myEOF       = 0xfe
	myErr       = 0xff
	myVarString = 0xfd
)

// packetLen is the length of the payload in a header.
func packetLen(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// appendPacket begins a packet with a payload of n bytes.
func appendPacket(b []byte, n int, seq uint8) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), seq)
}

// endPacket sets the length of the packet that begins at at and now ends b.
func endPacket(b []byte, at int) {
	n := len(b) - at - myHeaderLen
	b[at], b[at+1], b[at+2] = byte(n), byte(n>>8), byte(n>>16)
}

// appendLenenc writes a length-encoded integer below 2^24.
func appendLenenc(b []byte, n int) []byte {
	switch {
	case n < 0xfb:
		return append(b, byte(n))
	case n < 1<<16:
		return append(b, 0xfc, byte(n), byte(n>>8))
	}
	return append(b, 0xfd, byte(n), byte(n>>8), byte(n>>16))
}

// lenencWidth is how many bytes appendLenenc writes.
func lenencWidth(n int) int {
	switch {
	case n < 0xfb:
		return 1
	case n < 1<<16:
		return 3
	}
	return 4
}

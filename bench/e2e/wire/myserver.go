package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"time"
)

// MyPeer is the server's end of one connection, for scripts.
type MyPeer struct {
	Conn     net.Conn
	Response []byte // the client's HandshakeResponse41
	Caps     uint64 // what the client asked for

	stream io.ReadWriter
	seq    byte
}

// AcceptMySQL greets a connection with those capabilities and reads the answer. ok is false for
// whoever is not a client of a test (they log in as "app"): a health check, which is then already
// answered.
func AcceptMySQL(c net.Conn, caps uint64) (p *MyPeer, ok bool) {
	p = &MyPeer{Conn: c}
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	p.stream = struct {
		io.Reader
		io.Writer
	}{bufio.NewReader(c), c}
	p.Send(Greeting("8.0.30-scripted", caps, "mysql_native_password"))
	if p.Response, ok = p.Read(); !ok || len(p.Response) < 32 {
		return p, false
	}
	p.Caps = uint64(binary.LittleEndian.Uint32(p.Response))
	if caps&LongPassword == 0 {
		p.Caps |= uint64(binary.LittleEndian.Uint32(p.Response[28:])) << 32
	}
	if !bytes.HasPrefix(p.Response[32:], []byte("app\x00")) {
		p.Send(OK(2))
		p.Gone()
		return p, false
	}
	return p, true
}

// Greeting is a handshake packet of protocol 10.
func Greeting(version string, caps uint64, plugin string) []byte {
	p := cstr([]byte{10}, version)
	p = le32(p, 4711)
	p = append(p, "8-salts-"...)
	p = append(p, 0)
	p = le16(p, int(caps&0xffff))
	p = append(p, 45)
	p = le16(p, 2)
	p = le16(p, int(caps>>16&0xffff))
	p = append(p, 21)
	p = append(p, make([]byte, 6)...)
	p = le32(p, uint32(caps>>32))
	p = append(p, "twelve-salts"...)
	p = append(p, 0)
	return cstr(p, plugin)
}

// Send sends payloads as packets with consecutive numbers, in one piece.
func (p *MyPeer) Send(payloads ...[]byte) {
	var all []byte
	for _, b := range payloads {
		all = append(all, Packet(p.seq, b)...)
		p.seq += byte(len(b)/PacketMax) + 1
	}
	_, _ = p.stream.Write(all)
}

// Read reads a packet; the next one sent has the number behind it.
func (p *MyPeer) Read() ([]byte, bool) {
	head, b, err := readPacket(p.stream)
	p.seq = head[3] + 1
	return b, err == nil
}

// Zstd switches to compression by zstd, as both sides do after the login.
func (p *MyPeer) Zstd() { p.stream = newCompressed(p.stream, newZstdFrames(), nil) }

// Reset begins a new exchange: the next packet sent has the number 0.
func (p *MyPeer) Reset() { p.seq = 0 }

// Gone reads until the client says goodbye, or goes without.
func (p *MyPeer) Gone() {
	for {
		if b, ok := p.Read(); !ok || len(b) == 1 && b[0] == ComQuit {
			return
		}
	}
}

// The packets a server sends.

// OK is an OK packet with status flags.
func OK(status int) []byte { return le16(le16([]byte{0, 0, 0}, status), 0) }

// OKEnd is an OK packet as the end of rows (DeprecateEOF).
func OKEnd(status int) []byte { return le16(le16([]byte{0xfe, 0, 0}, status), 0) }

// EOF is an EOF packet with status flags.
func EOF(status int) []byte { return le16(le16([]byte{0xfe}, 0), status) }

// ERR is an ERR packet.
func ERR(code int, state, text string) []byte {
	return append(append(le16([]byte{0xff}, code), "#"+state...), text...)
}

// Progress is MariaDB's report of how far a statement has come.
func Progress(stage, stages byte, text string) []byte {
	p := append(le16([]byte{0xff}, 0xffff), 1, stage, stages, 0x10, 0x27, 0)
	return append(Lenenc(p, uint64(len(text))), text...)
}

// Column is a column definition of the type VAR_STRING.
func Column(name string) []byte {
	var p []byte
	for _, s := range []string{"def", "", "", "", name, ""} {
		p = append(Lenenc(p, uint64(len(s))), s...)
	}
	p = append(p, 0x0c)
	p = le32(le16(p, 45), 1<<16)
	return append(p, 0xfd, 0, 0, 0, 0, 0)
}

// TextRow is a row of the text protocol.
func TextRow(values ...[]byte) []byte {
	var p []byte
	for _, v := range values {
		p = append(Lenenc(p, uint64(len(v))), v...)
	}
	return p
}

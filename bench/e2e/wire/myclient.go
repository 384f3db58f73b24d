package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"time"
)

// MySQL is a client of a MySQL-family server that writes down what it receives.
type MySQL struct {
	Transcript
	Conn net.Conn
	// Caps are the capabilities in use, valid after Login.
	Caps uint64
	// ID is the connection id that the greeting gave.
	ID uint32

	salt   []byte
	offer  uint64 // what the server can do
	stream io.ReadWriter
	seq    byte
	closed bool
}

// Account is who logs in, and how.
type Account struct {
	User, Password, Database string
	Caps                     uint64 // wanted; those that the server lacks are left out
	Collation                byte
	Plugin                   string // named in the login; "" is mysql_native_password
	ZstdLevel                byte
}

// DialMySQL connects and reads the greeting.
func DialMySQL(addr string) (*MySQL, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return NewMySQL(c), nil
}

// NewMySQL makes a client of a connection and reads the greeting.
func NewMySQL(c net.Conn) *MySQL {
	m := &MySQL{Conn: c}
	m.stream = struct {
		io.Reader
		io.Writer
	}{bufio.NewReader(c), c}
	m.greeting()
	return m
}

// greeting reads the server's first packet, see
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html.
func (m *MySQL) greeting() {
	head, p, err := m.read()
	if err != nil {
		m.Fail(fmt.Errorf("greeting: %w", err))
		return
	}
	if p[0] == 0xff {
		m.add("packet", append(head[:], p...))
		return
	}
	end := bytes.IndexByte(p, 0)
	if end < 0 || len(p) < end+1+4+9+18 {
		m.Fail(fmt.Errorf("greeting of %d bytes", len(p)))
		return
	}
	rest := p[end+1:]
	m.ID = binary.LittleEndian.Uint32(rest)
	m.salt = append(m.salt, rest[4:12]...)
	blank(rest[0:12])
	rest = rest[13:]
	m.offer = uint64(binary.LittleEndian.Uint16(rest)) | uint64(binary.LittleEndian.Uint16(rest[5:]))<<16
	if m.offer&LongPassword == 0 { // MariaDB: the extended flags stand in the reserved bytes
		m.offer |= uint64(binary.LittleEndian.Uint32(rest[14:])) << 32
	}
	rest = rest[18:]
	n := min(12, len(rest))
	m.salt = append(m.salt, rest[:n]...)
	blank(rest[:n])
	m.add("greeting", append(head[:], p...))
}

func blank(p []byte) {
	for i := range p {
		p[i] = '*'
	}
}

// Login answers the greeting and reads up to OK or ERR.
func (m *MySQL) Login(a Account) {
	m.Caps = a.Caps & (m.offer | LongPassword)
	if a.Database != "" {
		m.Caps |= ConnectWithDB
	}
	m.Write(m.loginResponse(a))
	if m.Authenticate(a.Password) {
		m.compress(a)
	}
}

// Authenticate goes through the rest of a login, or of COM_CHANGE_USER, and tells whether it succeeded.
func (m *MySQL) Authenticate(password string) bool {
	for {
		p := m.Packet()
		if len(p) == 0 || p[0] == 0xff {
			return false
		}
		switch p[0] {
		case 0x00:
			return true
		case 0xfe: // another plugin, or another salt
			_, data, _ := bytes.Cut(p[1:], []byte{0})
			m.Write(nativeAuth(password, bytes.TrimSuffix(data, []byte{0})))
		}
	}
}

// loginResponse is HandshakeResponse41.
func (m *MySQL) loginResponse(a Account) []byte {
	flags := uint32(m.Caps)
	p := le32(nil, flags)
	p = le32(p, 1<<30)
	p = append(p, a.Collation)
	p = append(p, make([]byte, 19)...)
	if m.Caps&LongPassword == 0 {
		p = le32(p, uint32(m.Caps>>32))
	} else {
		p = le32(p, 0)
	}
	p = cstr(p, a.User)
	auth := nativeAuth(a.Password, m.salt)
	p = append(append(p, byte(len(auth))), auth...)
	if m.Caps&ConnectWithDB != 0 {
		p = cstr(p, a.Database)
	}
	if m.Caps&PluginAuth != 0 {
		plugin := a.Plugin
		if plugin == "" {
			plugin = "mysql_native_password"
		}
		p = cstr(p, plugin)
	}
	if m.Caps&Zstd != 0 {
		p = append(p, a.ZstdLevel)
	}
	return p
}

func (m *MySQL) compress(a Account) {
	switch {
	case m.Caps&Compress != 0:
		m.stream = newCompressed(m.stream, zlibFrames{}, &m.Transcript)
	case m.Caps&Zstd != 0:
		m.stream = newCompressed(m.stream, newZstdFrames(), &m.Transcript)
	}
}

// Write sends payload as the next packet of an exchange.
func (m *MySQL) Write(payload []byte) {
	m.SendRaw(Packet(m.seq, payload))
	m.seq += byte(len(payload)/PacketMax) + 1
}

// SendRaw sends bytes that are framed already.
func (m *MySQL) SendRaw(p []byte) {
	_ = m.Conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = m.stream.Write(p)
}

// Command begins a new exchange with a command.
func (m *MySQL) Command(code byte, args ...[]byte) {
	m.seq = 0
	if z, ok := m.stream.(*compressed); ok {
		z.seq = 0
	}
	m.Write(append([]byte{code}, Join(args...)...))
}

// Query runs sql and reads the whole answer.
func (m *MySQL) Query(sql string) {
	m.Command(ComQuery, []byte(sql))
	m.Reply()
}

// Packet reads one packet and returns its payload; nil at the end of the connection.
func (m *MySQL) Packet() []byte {
	return m.packet("packet", func([]byte) {})
}

// packet is Packet for one that goes into the transcript under the name kind, after mask has made
// unreadable what is another one's on each connection.
func (m *MySQL) packet(kind string, mask func(payload []byte)) []byte {
	if m.fault != nil {
		return nil
	}
	head, p, err := m.read()
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			m.Fail(err)
		} else if !m.closed {
			m.closed = true
			m.Note("end of the connection")
		}
		return nil
	}
	shown := append([]byte(nil), p...)
	switch {
	case len(p) > 2 && p[0] == 0xff:
		kind = fmt.Sprintf("error %d", binary.LittleEndian.Uint16(p[1:]))
		shown = statementID.ReplaceAll(shown, []byte("(*)"))
	case len(p) > 2 && p[0] == 0xfe && bytes.HasPrefix(p[1:], []byte("mysql_native_password\x00")):
		kind = "auth switch"
		blank(shown[1+len("mysql_native_password\x00"):])
	default:
		mask(shown)
	}
	if len(shown) != len(p) { // the length in the header goes with the masked text
		head[0], head[1] = '*', '*'
	}
	m.add(kind, append(head[:], shown...))
	return p
}

// statementID is where MariaDB, which counts statements over all connections, tells the number of one
// in an error.
var statementID = regexp.MustCompile(`\(\d+\)`)

func (m *MySQL) read() ([4]byte, []byte, error) {
	_ = m.Conn.SetReadDeadline(time.Now().Add(patience))
	head, p, err := readPacket(m.stream)
	m.seq = head[3] + 1
	return head, p, err
}

// Closed reads what is left until the server has closed the connection.
func (m *MySQL) Closed() {
	for !m.closed && m.fault == nil {
		m.Packet()
	}
}

// End says goodbye and reads what is left.
func (m *MySQL) End() {
	if m.fault == nil && !m.closed {
		m.Command(ComQuit)
		m.Closed()
	}
	m.Conn.Close()
}

// TLSRequest is the packet that asks for TLS: a login response cut short.
func (m *MySQL) TLSRequest(a Account) []byte {
	m.Caps = a.Caps | SSL
	return m.loginResponse(a)[:32]
}

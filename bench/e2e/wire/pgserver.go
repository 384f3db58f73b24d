package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// PGPeer is the server's end of one connection, for scripts.
type PGPeer struct {
	Conn    net.Conn
	Version uint32
	Params  map[string]string
	// Cancel is what a cancel request asked for, process id and secret; nil if it was none.
	Cancel []byte

	r *bufio.Reader
}

// AcceptPG reads the startup of a connection, refusing TLS. ok is false for whoever is not a client
// of a test (they log in as "app"): a cancel request, or a health check, which is then already
// answered.
func AcceptPG(c net.Conn) (p *PGPeer, ok bool) {
	p = &PGPeer{Conn: c, r: bufio.NewReader(c)}
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	for {
		body, err := readStartup(p.r)
		if err != nil || len(body) < 4 {
			return p, false
		}
		p.Version = binary.BigEndian.Uint32(body)
		switch p.Version {
		case codeSSL, codeGSS:
			p.Send([]byte{'N'})
			continue
		case codeCancel:
			p.Cancel = body[4:]
			return p, false
		}
		p.Params = make(map[string]string)
		words := strings.Split(string(body[4:]), "\x00")
		for i := 0; i+1 < len(words) && words[i] != ""; i += 2 {
			p.Params[words[i]] = words[i+1]
		}
		if p.Params["user"] != "app" {
			p.Welcome()
			_, _ = io.Copy(io.Discard, p.r)
			return p, false
		}
		return p, true
	}
}

func readStartup(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:])) - 4
	if n < 0 || n > 10000 {
		return nil, fmt.Errorf("startup packet claims %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}

// Send writes messages in one piece.
func (p *PGPeer) Send(messages ...[]byte) { _, _ = p.Conn.Write(Join(messages...)) }

// Welcome lets the client in.
func (p *PGPeer) Welcome() {
	p.Send(AuthOK(), ParameterStatus("server_version", "15.0"), ParameterStatus("client_encoding", "UTF8"),
		BackendKey(4711, []byte("abcd")), Ready('I'))
}

// Until reads what the client sends up to a message of that type; false if the client has gone.
func (p *PGPeer) Until(kind byte) bool {
	for {
		k, _, err := ReadMsg(p.r)
		if err != nil {
			return false
		}
		if k == kind {
			return true
		}
	}
}

// Next reads a message of the client.
func (p *PGPeer) Next() (kind byte, body []byte, err error) { return ReadMsg(p.r) }

// Gone reads until the client says goodbye, or goes without.
func (p *PGPeer) Gone() { p.Until('X') }

// The messages a server sends.

// AuthOK is AuthenticationOk.
func AuthOK() []byte { return Msg('R', be32(nil, 0)) }

// ParameterStatus reports a setting.
func ParameterStatus(name, value string) []byte { return Msg('S', cstr(cstr(nil, name), value)) }

// BackendKey is BackendKeyData.
func BackendKey(pid uint32, secret []byte) []byte { return Msg('K', append(be32(nil, pid), secret...)) }

// Ready is ReadyForQuery with a transaction status: 'I', 'T' or 'E'.
func Ready(status byte) []byte { return Msg('Z', []byte{status}) }

// Complete is CommandComplete.
func Complete(tag string) []byte { return Msg('C', cstr(nil, tag)) }

// OneColumn is a RowDescription of one text column.
func OneColumn(name string) []byte {
	p := cstr(be16(nil, 1), name)
	p = be16(be32(p, 0), 0)
	p = be16(be32(p, 25), -1)
	return Msg('T', be16(be32(p, 0xFFFFFFFF), 0))
}

// Row is a DataRow of one value.
func Row(value []byte) []byte {
	return Msg('D', append(be32(be16(nil, 1), uint32(len(value))), value...))
}

// Failure is an ErrorResponse ('E') or NoticeResponse ('N').
func Failure(kind byte, severity, code, text string) []byte {
	var p []byte
	for _, f := range []struct {
		name  byte
		value string
	}{{'S', severity}, {'V', severity}, {'C', code}, {'M', text}} {
		p = cstr(append(p, f.name), f.value)
	}
	return Msg(kind, append(p, 0))
}

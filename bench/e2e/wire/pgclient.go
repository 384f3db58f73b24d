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
	"time"
)

// patience is how long a client waits for a message before its script counts as failed. No script waits
// for it to pass: it is as long as a machine may stall.
const patience = 90 * time.Second

// PG is a client of a PostgreSQL server that writes down what it receives.
type PG struct {
	Transcript
	Conn net.Conn
	// Key is what BackendKeyData said: 4 bytes of process id, the rest is the secret.
	Key []byte
	// Before, if not nil, is called before each Ask: something is to happen between two requests.
	Before func()

	r      *bufio.Reader
	closed bool
}

// DialPG connects, without a word.
func DialPG(addr string) (*PG, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return NewPG(c), nil
}

// NewPG makes a client of a connection.
func NewPG(c net.Conn) *PG { return &PG{Conn: c, r: bufio.NewReader(c)} }

// Send writes messages in one piece. That the other side has gone shows when it is read from.
func (c *PG) Send(messages ...[]byte) {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = c.Conn.Write(Join(messages...))
}

// Login starts a session as user app on database app, who needs no password, and reads up to the
// first ReadyForQuery. More params are names and values in turn.
func (c *PG) Login(params ...string) {
	c.Send(Startup(V30, append([]string{"user", "app", "database", "app"}, params...)...))
	c.Read("Z")
}

// Ask sends messages and reads the answer.
func (c *PG) Ask(until string, messages ...[]byte) {
	if c.Before != nil {
		c.Before()
	}
	c.Send(messages...)
	c.Read(until)
}

// Byte reads one byte that stands outside of a message: the answer to SSLRequest.
func (c *PG) Byte() byte {
	_ = c.Conn.SetReadDeadline(time.Now().Add(patience))
	b, err := c.r.ReadByte()
	if err != nil {
		c.end(err)
		return 0
	}
	c.add("byte", []byte{b})
	return b
}

// Read reads messages until each type in until has come, in that order: "ZZ" waits for two
// ReadyForQuery and "$" for the end of the connection. It returns the last message's body.
func (c *PG) Read(until string) []byte {
	var last []byte
	for len(until) > 0 && c.fault == nil {
		kind, body, err := c.message()
		if err != nil {
			if until[0] != '$' {
				c.Fail(fmt.Errorf("waiting for %q: %w", until, err))
			}
			return last
		}
		last = body
		if kind == until[0] {
			until = until[1:]
		}
	}
	return last
}

// End says goodbye and reads what is left.
func (c *PG) End() {
	c.Send(Terminate())
	c.Read("$")
	c.Conn.Close()
}

func (c *PG) message() (byte, []byte, error) {
	_ = c.Conn.SetReadDeadline(time.Now().Add(patience))
	kind, body, err := ReadMsg(c.r)
	if err != nil {
		return 0, nil, c.end(err)
	}
	if kind == 'K' {
		c.Key = body
	}
	c.add(string(kind), maskPG(kind, body))
	return kind, body, nil
}

// end writes down that the connection has ended. Whether by FIN or RST depends on what crossed on the
// way, so it is one line for both.
func (c *PG) end(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.Fail(err)
	} else if !c.closed {
		c.closed = true
		c.Note("end of the connection")
	}
	return err
}

// ReadMsg reads one typed message.
func ReadMsg(r io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint32(head[1:])) - 4
	if n < 0 || n > 1<<30 {
		return 0, nil, fmt.Errorf("message %q claims %d bytes", head[0], n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

// maskPG returns the body without what is random or counted up: keys, salts and nonces, the process id
// in a notification, the object ids of tables in a RowDescription.
func maskPG(kind byte, body []byte) []byte {
	masked := append([]byte(nil), body...)
	blank := func(from, to int) {
		for i := from; i < min(to, len(masked)); i++ {
			masked[i] = '*'
		}
	}
	switch kind {
	case 'K':
		return []byte("a key")
	case 'A':
		blank(0, 4)
	case 'T':
		for i := 2; i < len(masked); i += 18 { // a field: its name, the table's id, 14 bytes more
			i += bytes.IndexByte(masked[i:], 0) + 1
			blank(i, i+4)
		}
	case 'R':
		if len(body) >= 4 && binary.BigEndian.Uint32(body) != 10 { // 10: the list of SASL mechanisms
			blank(4, len(masked))
		}
	}
	return masked
}

// Reader is what the server sends from here on, for a script that reads by itself.
func (c *PG) Reader() io.Reader { return c.r }

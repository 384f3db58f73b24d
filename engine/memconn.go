package engine

import (
	"net"
	"sync"
	"time"

	"github.com/valyala/bytebufferpool"
)

// noCipher says that there is nothing to read at present.
type noCipher struct{}

func (noCipher) Error() string   { return "no ciphertext at hand" }
func (noCipher) Timeout() bool   { return true }
func (noCipher) Temporary() bool { return true }

var errNoCipher error = noCipher{}

// memConn is the connection that crypto/tls sees. During the handshake Read blocks and Write goes to
// the loop as a task; on the loop Read takes what there is and Write appends to the loop's buffer.
type memConn struct {
	c *Conn

	mu      sync.Mutex
	more    sync.Cond
	in      []byte // ciphertext to be read
	lent    bool   // in is the loop's read buffer
	onLoop  bool
	over    error  // ends a blocked Read
	starved func() // to be called on the loop when in has been read, if feed found it too long
	choked  bool
}

func newMemConn(c *Conn, starved func()) *memConn {
	m := &memConn{c: c, starved: starved}
	m.more.L = &m.mu
	return m
}

// feed adds ciphertext during the handshake. If there is too much of it, nothing more must come until
// starved was called.
func (m *memConn) feed(p []byte) (choked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = append(m.in, p...)
	m.more.Signal()
	m.choked = len(m.in) > handshakeBuffer
	return m.choked
}

// lend makes p readable without a copy; keep copies what was not read before p goes out of scope.
func (m *memConn) lend(p []byte) {
	if len(m.in) == 0 {
		m.in, m.lent = p, true
		return
	}
	m.in = append(m.in, p...)
}

func (m *memConn) keep() {
	switch {
	case len(m.in) == 0:
		m.in = nil
	case m.lent:
		m.in = append([]byte(nil), m.in...)
	}
	m.lent = false
}

// toLoop ends the handshake's way of reading and writing.
func (m *memConn) toLoop() {
	m.mu.Lock()
	m.onLoop = true
	m.mu.Unlock()
}

// end makes a blocked Read return err.
func (m *memConn) end(err error) {
	m.mu.Lock()
	m.over = err
	m.mu.Unlock()
	m.more.Broadcast()
}

func (m *memConn) Read(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.in) == 0 {
		if m.onLoop {
			return 0, errNoCipher
		}
		if m.over != nil {
			return 0, m.over
		}
		m.more.Wait()
	}
	n := copy(b, m.in)
	m.in = m.in[n:]
	if m.choked && len(m.in) == 0 {
		m.choked = false
		m.c.loop.Run(m.starved)
	}
	return n, nil
}

func (m *memConn) Write(b []byte) (int, error) {
	l := m.c.loop
	m.mu.Lock()
	onLoop := m.onLoop
	m.mu.Unlock()
	if onLoop {
		l.cipher = append(l.cipher, b...)
		return len(b), nil
	}
	buf := bytebufferpool.Get()
	_, _ = buf.Write(b)
	l.Run(func() {
		if m.c.phase == phaseOpen {
			m.c.writeRaw(buf.B)
		}
		bytebufferpool.Put(buf)
	})
	return len(b), nil
}

// The rest of net.Conn: crypto/tls needs it, deadlines are the caller's.

func (m *memConn) Close() error                     { return nil }
func (m *memConn) LocalAddr() net.Addr              { return nil }
func (m *memConn) RemoteAddr() net.Addr             { return nil }
func (m *memConn) SetDeadline(time.Time) error      { return nil }
func (m *memConn) SetReadDeadline(time.Time) error  { return nil }
func (m *memConn) SetWriteDeadline(time.Time) error { return nil }

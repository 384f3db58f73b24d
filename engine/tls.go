package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/valyala/bytebufferpool"
)

// tlsLayer is TLS on a loop without a goroutine per connection. The handshake runs in a short-lived
// goroutine over an in-memory connection that the loop feeds. From then on the same tls.Conn is read
// and written on the loop: without ciphertext the in-memory Read returns a temporary net.Error, which
// crypto/tls hands on without holding it against the connection (handshake errors are sticky, hence
// the goroutine).
type tlsLayer struct {
	c     *Conn
	conn  *tls.Conn
	mem   *memConn
	ready bool // the handshake is over and conn belongs to the loop
	done  func(error)
}

// handshakeBuffer bounds, in bytes, what a peer may send during its handshake before it is read from
// no further. A flight of handshake messages is far smaller.
const handshakeBuffer = 64 << 10

// plainBuffer is the size in bytes of a loop's buffer for decrypted bytes: one TLS record.
const plainBuffer = 16 << 10

// cipherKeep is the largest buffer for encrypted bytes that a loop keeps between writes.
const cipherKeep = 1 << 20

// StartTLS begins a TLS handshake, as the server's side or the client's. early are bytes of the peer's
// handshake that were read already. done is called on the loop when it is over, unless the connection
// has ended by then; after an error the connection is of no more use. Bytes that follow the
// handshake come by OnData, decrypted.
func (c *Conn) StartTLS(cfg *tls.Config, server bool, early []byte, timeout time.Duration, done func(error)) {
	t := &tlsLayer{c: c, mem: newMemConn(c), done: done}
	if server {
		t.conn = tls.Server(t.mem, cfg)
	} else {
		t.conn = tls.Client(t.mem, cfg)
	}
	c.tls = t
	t.mem.feed(early)
	go func() {
		expire := time.AfterFunc(timeout, t.mem.end)
		err := t.conn.HandshakeContext(context.Background())
		expire.Stop()
		c.loop.Run(func() { t.finished(err) })
	}()
}

// TLS returns the state of the connection's TLS; ok is false without it or during its handshake.
func (c *Conn) TLS() (state tls.ConnectionState, ok bool) {
	if c.tls == nil || !c.tls.ready {
		return state, false
	}
	return c.tls.conn.ConnectionState(), true
}

// finished takes the connection over from the handshake's goroutine.
func (t *tlsLayer) finished(err error) {
	if !t.c.Open() {
		return
	}
	if err == nil {
		t.ready = true
		t.mem.toLoop()
	}
	t.done(err)
	if err == nil {
		t.c.ResumeReads()
		t.drain()
	}
}

// received takes ciphertext from the socket, or nothing at the end of a pause.
func (t *tlsLayer) received(p []byte) {
	if !t.ready {
		if t.mem.feed(p) > handshakeBuffer {
			t.c.PauseReads() // until finished
		}
		return
	}
	t.mem.lend(p)
	t.drain()
	t.mem.keep()
}

// held tells whether there is ciphertext that has not been read.
func (t *tlsLayer) held() bool { return t.ready && len(t.mem.in) > 0 }

// drain decrypts what there is and hands it on.
func (t *tlsLayer) drain() {
	c := t.c
	if c.loop.plain == nil {
		c.loop.plain = make([]byte, plainBuffer)
	}
	for c.Open() && !c.paused {
		n, err := t.conn.Read(c.loop.plain)
		t.flush()
		if n > 0 {
			c.h.OnData(c, c.loop.plain[:n])
		}
		if err != nil {
			if !errors.Is(err, errNoCipher) {
				c.fail(err)
			}
			return
		}
	}
}

// fail ends the connection for a reason of its own.
func (c *Conn) fail(err error) {
	if c.gc == nil {
		return
	}
	if c.phase == phaseOpen {
		c.err = err
		c.phase = phaseClosed
	}
	_ = c.loop.el.Close(c.gc)
}

// write encrypts p and sends it.
func (t *tlsLayer) write(p []byte) {
	if !t.ready {
		return // only the handshake speaks during the handshake
	}
	if _, err := t.conn.Write(p); err != nil {
		t.c.fail(err)
		return
	}
	t.flush()
}

// flush sends what was encrypted.
func (t *tlsLayer) flush() {
	l := t.c.loop
	if len(l.cipher) == 0 {
		return
	}
	t.c.writeRaw(l.cipher)
	if l.cipher = l.cipher[:0]; cap(l.cipher) > cipherKeep {
		l.cipher = nil
	}
}

// closeNotify tells the peer that no more will come.
func (t *tlsLayer) closeNotify() {
	if t.ready {
		_ = t.conn.CloseWrite()
		t.flush()
	}
}

// end lets a handshake under way fail.
func (t *tlsLayer) end() { t.mem.end() }

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

	mu     sync.Mutex
	more   sync.Cond
	in     []byte // ciphertext to be read
	lent   bool   // in is the loop's read buffer
	onLoop bool
	ended  bool
}

func newMemConn(c *Conn) *memConn {
	m := &memConn{c: c}
	m.more.L = &m.mu
	return m
}

// feed adds ciphertext during the handshake and returns how much there is.
func (m *memConn) feed(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = append(m.in, p...)
	m.more.Signal()
	return len(m.in)
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

// end makes a blocked Read return.
func (m *memConn) end() {
	m.mu.Lock()
	m.ended = true
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
		if m.ended {
			return 0, net.ErrClosed
		}
		m.more.Wait()
	}
	n := copy(b, m.in)
	m.in = m.in[n:]
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

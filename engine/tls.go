package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// tlsLayer is TLS on a loop without a goroutine per connection. The handshake runs in a short-lived
// goroutine over an in-memory connection that the loop feeds. From then on the same tls.Conn is read
// and written on the loop: without ciphertext the in-memory Read returns a temporary net.Error, which
// crypto/tls hands on without holding it against the connection (handshake errors are sticky, hence
// the goroutine).
type tlsLayer struct {
	c      *Conn
	conn   *tls.Conn
	mem    *memConn
	ready  bool // the handshake is over and conn belongs to the loop
	choked bool // more than enough came during the handshake; nothing is read until it was used
	behind bool // there may be bytes to decrypt: in mem, or read ahead by conn
	done   func(error)
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
// handshake come by OnData, decrypted. A pause does not keep the handshake from its bytes.
func (c *Conn) StartTLS(cfg *tls.Config, server bool, early []byte, timeout time.Duration, done func(error)) {
	if !c.Open() {
		return
	}
	t := &tlsLayer{c: c, done: done}
	t.mem = newMemConn(c, t.starved)
	if server {
		t.conn = tls.Server(t.mem, cfg)
	} else {
		t.conn = tls.Client(t.mem, cfg)
	}
	c.tls = t
	t.mem.feed(early)
	t.choked = t.mem.feed(c.takeInbound())
	c.setInterest()
	go func() {
		expire := time.AfterFunc(timeout, func() { t.mem.end(os.ErrDeadlineExceeded) })
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

// starved has reading go on when the handshake has used what it was given.
func (t *tlsLayer) starved() {
	if !t.choked || t.ready || !t.c.Open() {
		return
	}
	t.choked = t.mem.feed(t.c.takeInbound())
	t.c.setInterest()
}

// finished takes the connection over from the handshake's goroutine.
func (t *tlsLayer) finished(err error) {
	c := t.c
	if !c.Open() {
		return
	}
	if err != nil {
		t.done(err)
		return
	}
	t.ready = true
	t.behind = true
	t.mem.toLoop()
	t.done(nil)
	if c.Open() && !c.paused {
		c.hold()
	}
	c.setInterest()
}

// received takes ciphertext from the socket, or nothing at the end of a pause.
func (t *tlsLayer) received(p []byte) {
	if !t.ready {
		if t.choked = t.mem.feed(p); t.choked {
			t.c.setInterest() // until starved
		}
		return
	}
	t.mem.lend(p)
	t.drain()
	t.mem.keep()
}

// drain decrypts what there is and hands it on, until there is no more or a pause begins.
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
			t.behind = false
			if !errors.Is(err, errNoCipher) {
				c.fail(err)
			}
			return
		}
	}
	t.behind = true
}

// write encrypts p and sends it.
func (t *tlsLayer) write(p []byte) {
	if !t.ready {
		return // only the handshake speaks during the handshake
	}
	_, err := t.conn.Write(p)
	t.flush() // in any case: the buffer is the loop's, and the next connection's
	if err != nil {
		t.c.fail(err)
	}
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
func (t *tlsLayer) end() { t.mem.end(net.ErrClosed) }

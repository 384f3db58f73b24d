package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// TestTLSEnds ends connections by TLS's own sign, in both directions.
func TestTLSEnds(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			l := one(t)
			closed := make(chan error, 1)
			var got []byte
			h := hooks{
				data:  func(_ *Conn, p []byte) { got = append(got, p...) },
				close: func(_ *Conn, err error) { closed <- err },
			}
			c, far := connect(t, l, h)
			done := startTLS(t, c, testConfig(t, version), true)
			conn := tls.Client(far, testConfig(t, version))
			if _, err := conn.Write([]byte("bye")); err != nil {
				t.Fatal(err)
			}
			await(t, done, "the handshake")
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := await(t, closed, "OnClose"); !errors.Is(err, io.EOF) {
				t.Errorf("OnClose got %v", err)
			}
			on(t, l, func() {
				if string(got) != "bye" {
					t.Errorf("got %q before the end", got)
				}
			})

			c, far = connect(t, l, h)
			done = startTLS(t, c, testConfig(t, version), true)
			conn = tls.Client(far, testConfig(t, version))
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			await(t, done, "the handshake")
			on(t, l, func() {
				c.Write(bytes.Repeat([]byte{'x'}, 4<<20))
				c.Write([]byte("error"))
				c.CloseFlushed()
			})
			words, err := io.ReadAll(conn) // a stream cut off by FIN alone would be an error
			if err != nil || len(words) != 4<<20+5 || !bytes.HasSuffix(words, []byte("error")) {
				t.Errorf("%d bytes arrived, %v", len(words), err)
			}
			conn.Close()
			if err := await(t, closed, "OnClose"); err != nil {
				t.Errorf("OnClose got %v", err)
			}
		})
	}
}

// TestTLSFailures has handshakes that can't succeed: done hears why, or, if the connection has ended,
// nothing. No goroutine stays.
func TestTLSFailures(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration
		act     func(far *net.TCPConn)
		want    error // nil: any
		ends    bool  // OnClose comes instead of done
	}{
		{"garbage", patience, func(far *net.TCPConn) { far.Write(bytes.Repeat([]byte("GET / "), 10)) }, nil, false},
		{"silence", 30 * time.Millisecond, func(*net.TCPConn) {}, os.ErrDeadlineExceeded, false},
		{"a flood that is never a record", 200 * time.Millisecond, func(far *net.TCPConn) {
			flood := append([]byte{22, 3, 1, 0x3f, 0xff, 1, 0, 0xff, 0xf0}, make([]byte, 1<<20)...)
			far.Write(flood)
		}, nil, false},
		{"the client goes", patience, func(far *net.TCPConn) { far.Write([]byte{22, 3, 1}); far.Close() }, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := one(t)
			done, closed := make(chan error, 1), make(chan error, 2)
			c, far := connect(t, l, hooks{
				data:  func(*Conn, []byte) { t.Error("OnData") },
				close: func(_ *Conn, err error) { closed <- err },
			})
			on(t, l, func() {
				c.StartTLS(testConfig(t, 0), true, nil, tt.timeout, func(err error) { done <- err })
			})
			tt.act(far)
			if tt.ends {
				await(t, closed, "OnClose")
				on(t, l, func() {})
				if len(done) > 0 {
					t.Error("done was called after the end")
				}
			} else {
				err := await(t, done, "the handshake")
				if err == nil || (tt.want != nil && !errors.Is(err, tt.want)) {
					t.Errorf("done got %v, want %v", err, tt.want)
				}
				on(t, l, func() {
					if n := len(c.tls.mem.in) + c.gc.InboundBuffered(); n > 2*handshakeBuffer+l.opt.ReadBuffer {
						t.Errorf("%d bytes were read during the handshake", n)
					}
					c.CloseFlushed()
				})
				far.Close()
				await(t, closed, "OnClose")
			}
			on(t, l, func() { // on a connection that has ended nothing begins
				c.StartTLS(testConfig(t, 0), true, nil, patience, func(error) { t.Error("done") })
			})
			until(t, "the handshake's goroutine has ended", func() bool { return handshakes() == 0 })
		})
	}
}

// TestTLSLongHandshake has a client show a certificate of 150 KB, which is more than is read ahead.
func TestTLSLongHandshake(t *testing.T) {
	l := one(t)
	c, far := connect(t, l, hooks{data: func(c *Conn, p []byte) { c.Write(p) }})
	cfg := testConfig(t, 0)
	cfg.ClientAuth = tls.RequireAnyClientCert
	done := startTLS(t, c, cfg, true)
	long, err := makeCert(150_000)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(far, &tls.Config{Certificates: []tls.Certificate{long}, InsecureSkipVerify: true})
	echoTLS(t, conn, 1000)
	if err := await(t, done, "the handshake"); err != nil {
		t.Fatal(err)
	}
}

// TestHandshakeBuffer fills what a handshake may be sent ahead, and uses it: reading stops and goes on.
func TestHandshakeBuffer(t *testing.T) {
	l := one(t)
	c, _ := connect(t, l, hooks{})
	starved := make(chan struct{}, 8)
	m := newMemConn(c, func() { starved <- struct{}{} })
	if m.feed(make([]byte, handshakeBuffer)) {
		t.Error("choked at the limit, want above it")
	}
	if !m.feed([]byte{1}) {
		t.Fatal("not choked above the limit")
	}
	for left := handshakeBuffer + 1; left > 0; {
		if len(starved) > 0 {
			t.Error("starved while there are bytes")
		}
		n, err := m.Read(make([]byte, 10_000))
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	await(t, starved, "the sign that all was used")
	m.end(io.ErrClosedPipe)
	if _, err := m.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Read after the end: %v", err)
	}
}

// TestTLSStorm has 200 clients shake hands at the same time.
func TestTLSStorm(t *testing.T) {
	const clients = 200
	e := start(t, Options{Loops: 2})
	h := &hooks{data: func(c *Conn, p []byte) { c.Write(p) }}
	h.open = func(c *Conn) {
		c.StartTLS(testConfig(t, 0), true, nil, 3*patience, func(err error) {
			if err != nil {
				t.Errorf("handshake: %v", err)
			}
		})
	}
	var wg sync.WaitGroup
	for i := range clients {
		near, far := loopback(t)
		e.Loops()[i%2].Enroll(near, h, func(err error) { t.Error(err) })
		wg.Go(func() {
			conn := tls.Client(far, testConfig(t, 0))
			want := fmt.Appendf(nil, "client %d", i)
			got := make([]byte, len(want))
			_, err := conn.Write(want)
			if err == nil {
				_, err = io.ReadFull(conn, got)
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("client %d got %q, %v", i, got, err)
			}
			conn.Close()
		})
	}
	wg.Wait()
	for _, l := range e.Loops() {
		until(t, "no connection is counted", func() bool { return l.Conns() == 0 })
	}
	until(t, "the handshakes' goroutines have ended", func() bool { return handshakes() == 0 })
}

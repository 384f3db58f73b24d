package engine

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"testing"
)

// testConfig is for both sides of a test's TLS connection. A version of 0 allows all.
func testConfig(t testing.TB, version uint16) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testCert(t)}, InsecureSkipVerify: true,
		MinVersion: version, MaxVersion: version}
}

// startTLS begins a handshake on the loop; the channel has its outcome.
func startTLS(t testing.TB, c *Conn, cfg *tls.Config, server bool) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	on(t, c.loop, func() { c.StartTLS(cfg, server, nil, patience, func(err error) { done <- err }) })
	return done
}

// fragments is a connection that writes by few bytes at a time.
type fragments struct {
	net.Conn
	max int
}

func (f fragments) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = f.Conn.Write(p[n:min(n+1+n%f.max, len(p))])
		n += k
	}
	return n, err
}

// TestTLSEcho speaks TLS as either side, in both versions, whole and in fragments that cut every
// record and every header.
func TestTLSEcho(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, server := range []bool{true, false} {
			for _, fragment := range []int{0, 1, 7} {
				name := fmt.Sprintf("%s, server %t, fragments of %d", tls.VersionName(version), server, fragment)
				t.Run(name, func(t *testing.T) {
					l := one(t)
					c, far := connect(t, l, hooks{data: func(c *Conn, p []byte) { c.Write(p) }})
					done := startTLS(t, c, testConfig(t, version), server)
					var raw net.Conn = far
					if fragment > 0 {
						raw = fragments{far, fragment}
					}
					conn := tls.Client(raw, testConfig(t, version))
					if !server {
						conn = tls.Server(raw, testConfig(t, version))
					}
					if err := conn.Handshake(); err != nil {
						t.Fatal(err)
					}
					if err := await(t, done, "the handshake"); err != nil {
						t.Fatal(err)
					}
					sizes := []int{1, 100, 16384, 100_000}
					if fragment == 0 {
						sizes = append(sizes, 1<<20)
					}
					for _, size := range sizes {
						echoTLS(t, conn, size/max(1, 8*fragment)+1)
					}
					on(t, l, func() {
						if state, ok := c.TLS(); !ok || state.Version != version {
							t.Errorf("TLS() = version %x, %t", state.Version, ok)
						}
						if len(l.cipher) != 0 {
							t.Errorf("%d encrypted bytes are left for the next connection", len(l.cipher))
						}
					})
				})
			}
		}
	}
}

// echoTLS says size bytes and hears them.
func echoTLS(t testing.TB, conn net.Conn, size int) {
	t.Helper()
	want, got := make([]byte, size), make([]byte, size)
	rand.Read(want)
	sent := make(chan error, 1)
	go func() { _, err := conn.Write(want); sent <- err }()
	_, err := io.ReadFull(conn, got)
	if err = errors.Join(err, await(t, sent, "the write")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("an echo of %d bytes came back changed", size)
	}
}

// corked is a connection whose writes, once corked, wait to leave in one piece.
type corked struct {
	net.Conn
	cork bool
	held []byte
}

func (c *corked) Write(p []byte) (int, error) {
	if c.cork {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	c.cork = true // the client's first words go out, the rest waits
	return c.Conn.Write(p)
}

// TestTLSBehindHandshake has a client send its first commands in one piece with the end of its
// handshake, to a connection that is paused: the pause does not stop the handshake, and the commands
// come when it ends.
func TestTLSBehindHandshake(t *testing.T) {
	for _, paused := range []bool{false, true} {
		t.Run(fmt.Sprintf("paused %t", paused), func(t *testing.T) {
			l := one(t)
			var got bytes.Buffer
			c, far := connect(t, l, hooks{data: func(_ *Conn, p []byte) { got.Write(p) }})
			if paused {
				on(t, l, func() { c.PauseReads() })
			}
			done := startTLS(t, c, testConfig(t, tls.VersionTLS13), true)
			raw := &corked{Conn: far}
			conn := tls.Client(raw, testConfig(t, tls.VersionTLS13))
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			var want []byte
			for i := range 500 {
				cmd := fmt.Appendf(nil, "command %d;", i)
				want = append(want, cmd...)
				if _, err := conn.Write(cmd); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := far.Write(raw.held); err != nil {
				t.Fatal(err)
			}
			if err := await(t, done, "the handshake"); err != nil {
				t.Fatal(err)
			}
			if paused {
				on(t, l, func() {
					if !c.Paused() || got.Len() > 0 {
						t.Errorf("paused %t, %d bytes were handed over", c.Paused(), got.Len())
					}
					c.ResumeReads()
				})
			}
			untilOn(t, l, "all commands are here", func() bool { return got.Len() >= len(want) })
			on(t, l, func() {
				if !bytes.Equal(got.Bytes(), want) {
					t.Error("the commands were changed")
				}
			})
		})
	}
}

// TestTLSEarly hands StartTLS what was read before anybody knew that it was TLS.
func TestTLSEarly(t *testing.T) {
	l := one(t)
	done := make(chan error, 1)
	started := false
	c, far := connect(t, l, hooks{data: func(c *Conn, p []byte) {
		if started {
			c.Write(p)
			return
		}
		started = true
		c.StartTLS(testConfig(t, 0), true, p, patience, func(err error) { done <- err })
	}})
	conn := tls.Client(far, testConfig(t, 0))
	echoTLS(t, conn, 1000)
	if err := await(t, done, "the handshake"); err != nil {
		t.Fatal(err)
	}
	on(t, l, func() {
		if !c.Open() {
			t.Error("the connection has ended")
		}
	})
}

// TestTLSPauses pauses after every record while the client floods: what crypto/tls has read ahead is
// not forgotten, nothing comes in a pause, and what is held stays within bounds.
func TestTLSPauses(t *testing.T) {
	const size = 4 << 20
	for _, record := range []int{50, 16384} {
		t.Run(fmt.Sprintf("records of %d", record), func(t *testing.T) {
			l := one(t)
			sum, held, got := crc32.NewIEEE(), 0, 0
			total := size
			if record < 1000 {
				total = size / 16
			}
			all := make(chan struct{})
			c, far := connect(t, l, hooks{data: func(c *Conn, p []byte) {
				if c.Paused() || len(p) == 0 {
					t.Errorf("OnData with %d bytes, paused %t", len(p), c.Paused())
				}
				sum.Write(p)
				if got += len(p); got == total {
					close(all)
				}
				held = max(held, len(c.tls.mem.in)+c.gc.InboundBuffered())
				c.PauseReads()
				l.Run(c.ResumeReads)
			}})
			done := startTLS(t, c, testConfig(t, 0), true)
			conn := tls.Client(far, testConfig(t, 0))
			want := crc32.NewIEEE()
			p := make([]byte, record)
			for left := total; left > 0; left -= len(p) {
				rand.Read(p)
				p = p[:min(left, len(p))]
				want.Write(p)
				if _, err := conn.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			await(t, done, "the handshake")
			await(t, all, "the last byte")
			on(t, l, func() {
				if sum.Sum32() != want.Sum32() {
					t.Error("the bytes were changed")
				}
				if held > 2*l.opt.ReadBuffer {
					t.Errorf("%d bytes of ciphertext were held", held)
				}
			})
		})
	}
}

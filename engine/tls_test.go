package engine

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// newCert makes a certificate for the tests' servers, once.
var newCert = sync.OnceValues(func() (tls.Certificate, error) { return makeCert(0) })

// testCert is a certificate for the tests' servers.
func testCert(t testing.TB) tls.Certificate {
	t.Helper()
	cert, err := newCert()
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// makeCert makes a self-signed certificate with so many bytes of ballast.
func makeCert(ballast int) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
	}
	if ballast > 0 {
		tmpl.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Value: make([]byte, ballast)}}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

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

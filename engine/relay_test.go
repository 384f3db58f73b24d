package engine

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"testing"
)

// relay joins a client's connection with a server's on one loop, as a session does.
type relay struct {
	loop   *Loop
	client *Conn
	server *Conn
	peak   int // most bytes that one side held
	closed chan error
	far    [2]net.Conn // the client and the server themselves
}

// peer is the other side.
func (r *relay) peer(c *Conn) *Conn {
	if c == r.client {
		return r.server
	}
	return r.client
}

func (r *relay) OnOpen(*Conn) {}

func (r *relay) OnData(c *Conn, p []byte) {
	to := r.peer(c)
	to.Write(p)
	if to.Full() {
		c.PauseReads()
	}
	if to.Open() {
		r.peak = max(r.peak, to.Buffered()+to.gc.InboundBuffered())
	}
}

func (r *relay) OnRoom(c *Conn) { r.peer(c).ResumeReads() }

func (r *relay) OnClose(c *Conn, err error) {
	r.peer(c).CloseFlushed()
	r.closed <- err
}

// newRelay starts a relay whose far ends are plain sockets.
func newRelay(t testing.TB, l *Loop) *relay {
	r := &relay{loop: l, closed: make(chan error, 2)}
	var near [2]net.Conn
	for i := range near {
		near[i], r.far[i] = loopback(t)
	}
	opened := make(chan *Conn, 1)
	for i, c := range []**Conn{&r.client, &r.server} {
		l.Enroll(near[i], &hooks{open: func(c *Conn) { opened <- c }}, func(err error) { t.Error(err) })
		*c = await(t, opened, "OnOpen")
	}
	on(t, l, func() {
		r.client.SetHandler(r)
		r.server.SetHandler(r)
	})
	return r
}

// overTLS puts TLS on both sides: the relay is a server to the client and a client to the server.
func (r *relay) overTLS(t testing.TB, version uint16) {
	cert := testCert(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true,
		MinVersion: version, MaxVersion: version}
	done := make(chan error, 4)
	on(t, r.loop, func() {
		r.client.StartTLS(cfg, true, nil, patience, func(err error) { done <- err })
		r.server.StartTLS(cfg, false, nil, patience, func(err error) { done <- err })
	})
	client, server := tls.Client(r.far[0], cfg), tls.Server(r.far[1], cfg)
	go func() { done <- client.Handshake() }()
	go func() { done <- server.Handshake() }()
	for range 4 {
		if err := await(t, done, "the handshakes"); err != nil {
			t.Fatal(err)
		}
	}
	r.far = [2]net.Conn{client, server}
}

// stream is a source of size bytes, each block unlike the one before, with their checksum.
type stream struct {
	left  int
	block [32 << 10]byte
	sum   uint32
}

// next returns the following block, nil at the end.
func (s *stream) next() []byte {
	binary.LittleEndian.PutUint64(s.block[:], uint64(s.left))
	p := s.block[:min(s.left, len(s.block))]
	s.left -= len(p)
	s.sum = crc32.Update(s.sum, crc32.IEEETable, p)
	return p
}

// send writes a stream as fast as it goes, and returns its checksum.
func send(w io.Writer, size int) (uint32, error) {
	s := stream{left: size}
	for s.left > 0 {
		if _, err := w.Write(s.next()); err != nil {
			return 0, fmt.Errorf("with %d bytes to send: %w", s.left, err)
		}
	}
	return s.sum, nil
}

// receive reads size bytes and returns their checksum.
func receive(r io.Reader, size int) (uint32, error) {
	sum := crc32.NewIEEE()
	n, err := io.CopyN(sum, r, int64(size))
	if err != nil {
		return 0, fmt.Errorf("after %d bytes: %w", n, err)
	}
	return sum.Sum32(), nil
}

// TestBackPressure sends as fast as possible through a relay to a reader that sleeps: the relay keeps
// less than 1 MB, and when the reader wakes every byte is right.
func TestBackPressure(t *testing.T) {
	const bound = 1 << 20
	tests := []struct {
		name       string
		size       int
		up, down   bool // from the client, from the server
		tlsVersion uint16
	}{
		{"plain, down", 64 << 20, false, true, 0},
		{"plain, up", 32 << 20, true, false, 0},
		{"plain, both at once", 32 << 20, true, true, 0},
		{"TLS 1.3, down", 16 << 20, false, true, tls.VersionTLS13},
		{"TLS 1.2, up", 12 << 20, true, false, tls.VersionTLS12},
		{"TLS 1.3, both at once", 12 << 20, true, true, tls.VersionTLS13},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRelay(t, one(t))
			if tt.tlsVersion != 0 {
				r.overTLS(t, tt.tlsVersion)
			}
			type end struct {
				sum uint32
				err error
			}
			var sent, received []chan end
			wake := make(chan struct{})
			pump := func(from, to net.Conn) {
				s, g := make(chan end, 1), make(chan end, 1)
				sent, received = append(sent, s), append(received, g)
				go func() { sum, err := send(from, tt.size); s <- end{sum, err} }()
				go func() { <-wake; sum, err := receive(to, tt.size); g <- end{sum, err} }()
			}
			if tt.up {
				pump(r.far[0], r.far[1])
			}
			if tt.down {
				pump(r.far[1], r.far[0])
			}
			untilOn(t, r.loop, "the senders are paused", func() bool {
				return r.client.Paused() == tt.up && r.server.Paused() == tt.down
			})
			close(wake)
			for i := range sent {
				s := await(t, sent[i], "the sender")
				g := await(t, received[i], "the reader")
				if err := errors.Join(s.err, g.err); err != nil || s.sum != g.sum {
					t.Errorf("%v; sent checksum %x, received %x", err, s.sum, g.sum)
				}
			}
			on(t, r.loop, func() {
				n := r.loop.Counts()
				if n.Pauses == 0 || n.Pauses != n.Resumes {
					t.Errorf("%d pauses, %d resumes", n.Pauses, n.Resumes)
				}
				if r.peak > bound {
					t.Errorf("the relay held %d bytes", r.peak)
				}
				t.Logf("%d pauses, at most %d KiB held", n.Pauses, r.peak>>10)
			})
		})
	}
}

// BenchmarkRelayPingPong is a command of 100 bytes and an answer as long, through a relay.
func BenchmarkRelayPingPong(b *testing.B) {
	for _, version := range []uint16{0, tls.VersionTLS13} {
		b.Run(versionName(version), func(b *testing.B) {
			r := newRelay(b, one(b))
			if version != 0 {
				r.overTLS(b, version)
			}
			p := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				for way := range 2 {
					if _, err := r.far[way].Write(p); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(r.far[1-way], p); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkRelayBulk is a long result through a relay.
func BenchmarkRelayBulk(b *testing.B) {
	const size = 1 << 20
	for _, version := range []uint16{0, tls.VersionTLS13} {
		b.Run(versionName(version), func(b *testing.B) {
			r := newRelay(b, one(b))
			if version != 0 {
				r.overTLS(b, version)
			}
			p := bytes.Repeat([]byte{'r'}, 64<<10)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				sent := make(chan error, 1)
				go func() {
					for range size / len(p) {
						if _, err := r.far[1].Write(p); err != nil {
							sent <- err
							return
						}
					}
					sent <- nil
				}()
				_, err := io.CopyN(io.Discard, r.far[0], size)
				if err = errors.Join(err, <-sent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// versionName names a benchmark's variant; 0 is a plain connection.
func versionName(version uint16) string {
	if version == 0 {
		return "plain"
	}
	return tls.VersionName(version)
}

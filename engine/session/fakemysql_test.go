package session

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/codec/mysql"
	"sluice/upstream"
)

// fakeMySQL is a MySQL server that knows a few words: it trusts everybody, counts its connections from
// 1, writes down every statement, and answers each with OK. "wait" is answered when release is called.
type fakeMySQL struct {
	ln      net.Listener
	id      atomic.Uint32
	waiting chan struct{} // a "wait" has come
	release chan struct{} // one value for each "wait"

	mu    sync.Mutex
	said  []string // "user: statement"
	conns map[net.Conn]bool
}

func startFakeMySQL(t *testing.T) *fakeMySQL {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeMySQL{ln: ln, conns: map[net.Conn]bool{},
		waiting: make(chan struct{}, 8), release: make(chan struct{}, 8)}
	t.Cleanup(f.stop)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns[c] = true
			f.mu.Unlock()
			go f.serve(c)
		}
	}()
	return f
}

func (f *fakeMySQL) addr() string { return f.ln.Addr().String() }

// stop is a crash: every connection is cut.
func (f *fakeMySQL) stop() {
	f.ln.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

// statements returns what was said since the last call.
func (f *fakeMySQL) statements() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	said := f.said
	f.said = nil
	return said
}

// serverFlags are what the server can do: LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH.
const serverFlags = 1 | 0x200 | 0x8000 | 0x80000

// greeting is a HandshakeV10 with that connection id.
func greeting(id uint32) []byte {
	b := append([]byte{10}, "8.0.0-fake\x00"...)
	b = binary.LittleEndian.AppendUint32(b, id)
	b = append(b, "12345678\x00"...)
	b = binary.LittleEndian.AppendUint16(b, serverFlags&0xffff)
	b = append(b, 45, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, serverFlags>>16)
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	return append(b, "123456789012\x00mysql_native_password\x00"...)
}

var okPacket = []byte{0, 0, 0, 2, 0, 0, 0}

func (f *fakeMySQL) serve(c net.Conn) {
	defer func() {
		c.Close()
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
	}()
	r := bufio.NewReader(c)
	_, _ = c.Write(packet(0, greeting(f.id.Add(1))))
	response, seq, err := readPacket(r)
	if err != nil || len(response) < 33 {
		return
	}
	user, _, _ := strings.Cut(string(response[32:]), "\x00")
	_, _ = c.Write(packet(seq+1, okPacket))
	for {
		command, _, err := readPacket(r)
		if err != nil || len(command) == 0 || command[0] == 1 {
			return
		}
		f.mu.Lock()
		f.said = append(f.said, user+": "+string(command[1:]))
		f.mu.Unlock()
		if string(command[1:]) == "wait" {
			f.waiting <- struct{}{}
			<-f.release
		}
		if _, err := c.Write(packet(1, okPacket)); err != nil {
			return
		}
	}
}

func packet(seq byte, payload []byte) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, payload...)
}

func readPacket(r io.Reader) (payload []byte, seq byte, err error) {
	var h [4]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, 0, err
	}
	payload = make([]byte, int(h[0])|int(h[1])<<8|int(h[2])<<16)
	_, err = io.ReadFull(r, payload)
	return payload, h[3], err
}

// mysqlClient is the other end of a MySQL session.
type mysqlClient struct {
	t *testing.T
	net.Conn
	r  *bufio.Reader
	id uint32 // that the greeting gave
}

// greet connects and reads the greeting.
func greet(t *testing.T, addr string) *mysqlClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(2 * patience))
	c := &mysqlClient{t: t, Conn: nc, r: bufio.NewReader(nc)}
	hello := c.next(0)
	if hello[0] != 10 {
		t.Fatalf("no greeting: %q", hello)
	}
	at := strings.IndexByte(string(hello), 0) + 1
	c.id = binary.LittleEndian.Uint32(hello[at:])
	return c
}

// loginAs logs in.
func loginAs(t *testing.T, addr, user string) *mysqlClient {
	t.Helper()
	c := greet(t, addr)
	c.respond(user)
	if p := c.next(2); p[0] != 0 {
		t.Fatalf("login: %q", p)
	}
	return c
}

// respond answers the greeting.
func (c *mysqlClient) respond(user string) {
	b := binary.LittleEndian.AppendUint32(nil, serverFlags)
	b = append(b, 0, 0, 0, 1, 45)
	b = append(b, make([]byte, 23)...)
	b = append(append(b, user...), 0)
	_, _ = c.Write(packet(1, append(b, "\x00mysql_native_password\x00"...)))
}

// next reads one packet, which must have that sequence id.
func (c *mysqlClient) next(seq byte) []byte {
	c.t.Helper()
	p, got, err := readPacket(c.r)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	if got != seq {
		c.t.Fatalf("packet %q has sequence id %d, want %d", p, got, seq)
	}
	return p
}

// ask is a statement as the client sends it.
func ask(sql string) []byte { return packet(0, append([]byte{3}, sql...)) }

// say sends a statement and returns "ok", or the number and text of the error.
func (c *mysqlClient) say(sql string) string {
	c.t.Helper()
	_, _ = c.Write(ask(sql))
	return c.answer()
}

// answer reads the answer to a statement.
func (c *mysqlClient) answer() string {
	c.t.Helper()
	return verdict(c.next(1))
}

// verdict reads an OK or ERR.
func verdict(p []byte) string {
	if p[0] != 0xff {
		return "ok"
	}
	return string(p[4:9]) + " " + string(p[9:])
}

// startMySQL runs a proxy in front of MySQL servers.
func startMySQL(t *testing.T, change func(*Setup), servers ...*fakeMySQL) *stand {
	t.Helper()
	return startProxy(t, func(s *Setup) {
		s.Clusters[0].Protocol = mysql.Protocol{}
		s.Clusters[0].Health.User = "checker"
		for _, f := range servers {
			s.Clusters[0].Backends = append(s.Clusters[0].Backends, upstream.Spec{Addr: f.addr()})
		}
		if change != nil {
			change(s)
		}
	})
}

package session

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice/codec/postgres"
	"sluice/engine"
	"sluice/router"
	"sluice/upstream"
)

// fakePG is a PostgreSQL server that knows a few words: it trusts everybody, answers each Query with
// its name, and follows "begin" and "commit".
type fakePG struct {
	t        *testing.T
	name     string
	ln       net.Listener
	logins   atomic.Int64
	cancels  atomic.Int64
	refuse   atomic.Pointer[string]        // SQLSTATE to refuse logins with
	silent   atomic.Bool                   // accept and say nothing
	dies     atomic.Pointer[string]        // where a login is cut: "accept", "startup", "auth" or "key"
	tls      *tls.Config                   // nil: not to be had
	cut      atomic.Int64                  // each piece of TLS that is sent is cut here; 0: not
	stalled  chan struct{}                 // a value for each "stall", which waits for one more before it is read on
	checkers atomic.Int64                  // health checks, which come with the user "sluice"
	gate     atomic.Pointer[chan struct{}] // logins wait until it is closed; nil: they do not
	holds    chan struct{}                 // a value for each cancel request lets it be done; nil: at once
	pid      atomic.Uint32
	utf8     atomic.Bool            // tell clients of their encoding
	looks    atomic.Int64           // questions for a session's settings
	resets   atomic.Int64           // sessions that were wiped
	standby  atomic.Pointer[string] // what it reports of in_hot_standby; nil: nothing
	turned   atomic.Bool            // it takes no writes any more
	commits  atomic.Int64           // times that it was asked to commit
	condemns atomic.Int64           // the next so many of these are answered by a FATAL
	unasked  atomic.Bool            // it answers no question for a session's settings
	log      fakeLog
	mu       sync.Mutex
	conns    map[net.Conn]bool
	ears     map[net.Conn]bool // those that LISTEN
}

// notify tells those that listen, and how many there are.
func (f *fakePG) notify(channel, payload string) (heard int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.ears {
		_, _ = c.Write(message('A', "\x00\x00\x00\x07"+channel+"\x00"+payload+"\x00"))
	}
	return len(f.ears)
}

func startFakePG(t *testing.T, name string) *fakePG {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakePG{t: t, name: name, ln: ln, conns: map[net.Conn]bool{}, ears: map[net.Conn]bool{}, stalled: make(chan struct{})}
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

func (f *fakePG) addr() string { return f.ln.Addr().String() }

// stop is a crash: every connection is cut.
func (f *fakePG) stop() {
	f.ln.Close()
	f.cutAll()
}

// cutAll cuts every connection.
func (f *fakePG) cutAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

func (f *fakePG) serve(c net.Conn) {
	defer func() {
		c.Close()
		f.mu.Lock()
		delete(f.conns, c)
		delete(f.ears, c)
		f.mu.Unlock()
	}()
	dies := ""
	if p := f.dies.Load(); p != nil {
		dies = *p
	}
	if dies == "accept" {
		return
	}
	raw := c
	r := bufio.NewReader(c)
	startup, err := readStartup(r)
	if err == nil && binary.BigEndian.Uint32(startup) == 80877103 {
		if f.tls == nil {
			_, _ = raw.Write([]byte{'N'})
		} else {
			_, _ = raw.Write([]byte{'S'})
			c = tls.Server(cutting{raw, &f.cut}, f.tls)
			r = bufio.NewReader(c)
		}
		startup, err = readStartup(r)
	}
	if err != nil || dies == "startup" {
		return
	}
	if binary.BigEndian.Uint32(startup) == 80877102 {
		f.cancels.Add(1)
		if f.holds != nil {
			<-f.holds
		}
		return
	}
	if strings.Contains(string(startup), "user\x00sluice\x00") {
		f.checkers.Add(1)
	} else {
		f.logins.Add(1)
	}
	if f.silent.Load() {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	if code := f.refuse.Load(); code != nil {
		_, _ = c.Write(message('E', "SFATAL\x00VFATAL\x00C"+*code+"\x00Mnot now\x00\x00"))
		return
	}
	if dies == "auth" {
		_, _ = c.Write(message('R', "\x00\x00\x00\x03")) // asks for a password
		return
	}
	if gate := f.gate.Load(); gate != nil {
		<-*gate
	}
	pid := f.pid.Add(1)
	key := binary.BigEndian.AppendUint32(nil, pid)
	key = append(key, f.name[:4]...)
	hello := message('R', "\x00\x00\x00\x00")
	if f.utf8.Load() {
		hello = append(hello, message('S', "client_encoding\x00UTF8\x00")...)
	}
	if on := f.standby.Load(); on != nil {
		hello = append(hello, message('S', "in_hot_standby\x00"+*on+"\x00")...)
	}
	hello = append(hello, message('K', string(key))...)
	if dies == "key" {
		_, _ = c.Write(hello)
		return
	}
	_, _ = c.Write(append(hello, message('Z', "I")...))
	status := "I"
	for {
		kind, body, err := readMessage(r)
		if err != nil || kind == 'X' {
			return
		}
		if kind != 'Q' {
			continue
		}
		switch {
		case f.log.answers(body, status, c):
			continue
		case strings.HasPrefix(body, "SELECT 'S'"):
			f.looks.Add(1)
			if f.condemns.Add(-1) >= 0 {
				_, _ = c.Write(message('E', "SFATAL\x00VFATAL\x00C57P01\x00Mgone\x00\x00"))
				return
			}
			if f.unasked.Load() {
				continue
			}
		case strings.HasPrefix(body, "BEGIN;ROLLBACK TO"): // fails
			status = "E"
			_, _ = c.Write(append(message('E', "SERROR\x00C3B001\x00Mno\x00\x00"), message('Z', status)...))
			continue
		case status == "E" && (strings.HasPrefix(body, "commit") || strings.HasPrefix(body, "rollback")):
			status = "I"
			_, _ = c.Write(append(message('C', "ROLLBACK\x00"), message('Z', status)...))
			continue
		case status == "E" && !strings.HasPrefix(body, "ROLLBACK"):
			_, _ = c.Write(append(message('E', "SERROR\x00C25P02\x00Mno\x00\x00"), message('Z', status)...))
			continue
		case strings.HasPrefix(body, "insert") && f.turned.Load():
			_, _ = c.Write(append(append(message('E', "SERROR\x00C25006\x00Mno\x00\x00"),
				message('S', "in_hot_standby\x00on\x00")...), message('Z', status)...))
			continue
		case strings.HasPrefix(body, "begin"):
			status = "T"
		case strings.HasPrefix(body, "commit"), strings.HasPrefix(body, "ROLLBACK"), strings.HasPrefix(body, "rollback"):
			status = "I"
			f.commits.Add(int64(strings.Count(body, "commit")))
		case strings.HasPrefix(body, "stall"):
			f.stalled <- struct{}{}
			<-f.stalled
		case strings.HasPrefix(body, "hang"): // until the proxy hangs up
			f.stalled <- struct{}{}
			_, _ = io.Copy(io.Discard, r)
			return
		case strings.HasPrefix(body, "DISCARD ALL"):
			f.resets.Add(1)
		case strings.HasPrefix(body, "listen"):
			f.mu.Lock()
			f.ears[c] = true
			f.mu.Unlock()
		case strings.HasPrefix(body, "echo"):
			_, _ = c.Write(append(message('C', body), message('Z', status)...))
			continue
		case strings.HasPrefix(body, "copy"): // fails, and the data for it is read late
			_, _ = c.Write(message('G', "\x00\x00\x00"))
			<-f.stalled
			_, _ = c.Write(append(message('E', "SERROR\x00C22P04\x00Mno\x00\x00"), message('Z', status)...))
			<-f.stalled
			continue
		case strings.HasPrefix(body, "rows"):
			for range bigRows {
				if _, err := c.Write(bigRow); err != nil {
					return
				}
			}
		case strings.HasPrefix(body, "fail"):
			_, _ = c.Write(append(message('E', "SERROR\x00C42601\x00Mno\x00\x00"), message('Z', status)...))
			continue
		}
		answer := message('C', f.name+"\x00")
		if _, err := c.Write(append(answer, message('Z', status)...)); err != nil {
			return
		}
	}
}

// bigRows rows of bigRow are the answer to "rows": 32 MiB.
const bigRows = 512

var bigRow = message('D', strings.Repeat("0123456789abcdef", 4096))

// cutting is a connection that sends each piece in two.
type cutting struct {
	net.Conn
	at *atomic.Int64
}

func (c cutting) Write(p []byte) (int, error) {
	at := int(c.at.Load())
	if at == 0 || at >= len(p) {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:at])
	if err != nil {
		return n, err
	}
	m, err := c.Conn.Write(p[at:])
	return n + m, err
}

func readStartup(r io.Reader) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(n[:])-4)
	_, err := io.ReadFull(r, b)
	return b, err
}

func message(kind byte, body string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(b, body...)
}

func readMessage(r io.Reader) (kind byte, body string, err error) {
	var h [5]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, "", err
	}
	b := make([]byte, binary.BigEndian.Uint32(h[1:])-4)
	_, err = io.ReadFull(r, b)
	return h[0], string(b), err
}

// client is the other end of a session.
type client struct {
	t *testing.T
	net.Conn
	r   *bufio.Reader
	key string // of BackendKeyData
}

// connect opens a connection and says hello; what the server says is left to be read.
func connect(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return hello(t, c)
}

// connectTo is connect for a database.
func connectTo(t *testing.T, addr, database string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return helloAs(t, c, "user\x00alice\x00database\x00"+database+"\x00")
}

// hello says hello on a connection.
func hello(t *testing.T, c net.Conn) *client {
	t.Helper()
	return helloAs(t, c, "user\x00alice\x00")
}

// helloAs says hello on a connection with parameters.
func helloAs(t *testing.T, c net.Conn, params string) *client {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	body := "\x00\x03\x00\x00" + params + "\x00"
	_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...))
	return &client{t: t, Conn: c, r: bufio.NewReader(c)}
}

// login connects and waits until the session is ready.
func login(t *testing.T, addr string) *client {
	t.Helper()
	return connect(t, addr).ready()
}

// ready reads up to the end of the login.
func (c *client) ready() *client {
	c.t.Helper()
	for {
		kind, body := c.next()
		switch kind {
		case 'K':
			c.key = body
		case 'E':
			c.t.Fatalf("login: %q", body)
		case 'Z':
			return c
		}
	}
}

// next reads one message.
func (c *client) next() (kind byte, body string) {
	c.t.Helper()
	kind, body, err := readMessage(c.r)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return kind, body
}

// query sends a Query and returns the tag of its answer and the transaction status.
func (c *client) query(sql string) (tag, status string) {
	c.t.Helper()
	if _, err := c.Write(message('Q', sql+"\x00")); err != nil {
		c.t.Fatal(err)
	}
	kind, tag := c.next()
	if kind != 'C' {
		c.t.Fatalf("query %q: %c %q", sql, kind, tag)
	}
	_, status = c.next()
	return strings.TrimSuffix(tag, "\x00"), status
}

// expectError reads an ErrorResponse with that SQLSTATE and then the end of the connection.
func (c *client) expectError(code string) {
	c.t.Helper()
	kind, body := c.next()
	if kind != 'E' || !strings.Contains(body, "C"+code+"\x00") {
		c.t.Fatalf("got %c %q, want an error %s", kind, body, code)
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("after the error: %v, want EOF", err)
	}
	c.Close() // or the proxy would wait for it
}

// patience is longer than anything takes on a machine that stands still for seconds at a time. It is every
// time-out that is not what a test is about, so that none of them ever passes.
const patience = time.Minute

// stand is a proxy under test with one frontend.
type stand struct {
	*Proxy
	t     *testing.T
	setup Setup
}

// startProxy runs a proxy with one listener in front of the backends. change may adjust the setup.
func startProxy(t *testing.T, change func(*Setup), backends ...*fakePG) *stand {
	t.Helper()
	return startLogging(t, testLog(t), change, backends...)
}

// startLogging is startProxy with a log of requests.
func startLogging(t *testing.T, requests *zap.Logger, change func(*Setup), backends ...*fakePG) *stand {
	t.Helper()
	eng, err := engine.Start(engine.Options{Loops: 2, FlushTimeout: patience, DrainTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	p := New(eng, testLog(t), requests)
	t.Cleanup(func() { p.Close(); eng.Stop() })
	s := &stand{Proxy: p, t: t, setup: Setup{
		Limits: Limits{LeaveTimeout: patience},
		Clusters: []upstream.Options{{
			Name: "pg", Protocol: postgres.Protocol{}, Backends: specs(backends...),
			ConnectTimeout: patience, RetryTimeout: patience,
			Health: upstream.HealthOptions{Interval: time.Hour, Timeout: patience, Rise: 1, Fall: 1},
		}},
		Frontends: []Settings{{Name: "in", Listen: "127.0.0.1:0", Cluster: "pg", Roles: router.AnyRole,
			LoginTimeout: patience, DrainTimeout: patience}},
	}}
	if change != nil {
		change(&s.setup)
	}
	s.apply()
	return s
}

func specs(backends ...*fakePG) (list []upstream.Spec) {
	for _, b := range backends {
		list = append(list, upstream.Spec{Addr: b.addr()})
	}
	return list
}

func (s *stand) apply() {
	s.t.Helper()
	if err := s.Apply(s.setup); err != nil {
		s.t.Fatal(err)
	}
}

// addr is the address of the frontend with that name.
func (s *stand) addr(name string) string {
	s.t.Helper()
	for _, fe := range s.Frontends() {
		if fe.Name() == name {
			return fe.Addr().String()
		}
	}
	s.t.Fatalf("no frontend %q", name)
	return ""
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	if !comesTrue(cond) {
		t.Fatalf("never came true: %s", what)
	}
}

// comesTrue waits for a condition and tells whether it came true.
func comesTrue(cond func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return false
}

// expectEmpty holds that nothing is left of any session. A client that hung up may still wait to be
// accepted when there is no session yet, so all of it has to come true at one time.
func (s *stand) expectEmpty() {
	s.t.Helper()
	var left string
	if !comesTrue(func() bool { left = s.leftOver(); return left == "" }) {
		s.t.Fatalf("left over: %s", left)
	}
}

// leftOver names what the proxy still holds for sessions, "" if nothing.
func (s *stand) leftOver() string {
	sum, _ := s.snapshot()
	fe := sum.frontend("in")
	held := 0
	for _, b := range s.Backends() {
		held += b.Sessions()
	}
	if s.Clients() == 0 && fe.sessions == 0 && sum.connected == 0 && sum.pending == 0 && s.keys.len() == 0 &&
		s.logins.Load() == 0 && held == 0 {
		return ""
	}
	return fmt.Sprintf("%d clients, %d sessions, %d on backends, %d+%d server connections, %d keys, %d logins",
		s.Clients(), fe.sessions, held, sum.connected, sum.pending, s.keys.len(), s.logins.Load())
}

// testLog writes the proxy's log lines to the test's own log.
func testLog(t *testing.T) *zap.Logger {
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
		zapcore.AddSync(testWriter{t}), zap.DebugLevel)
	return zap.New(core)
}

// testWriter is a test's log as a writer; after the test it is silent.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

package session

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/codec"
	"sluice/upstream"
)

// fakeDB is a server of a protocol that exists for these tests alone: lines in both directions. It greets with the
// connection's id, and answers each line by one that ends with the transaction status, I or T. Its sessions have
// counters: "add NAME N" tells the sum.
type fakeDB struct {
	name  string
	ln    net.Listener
	tls   *tls.Config // nil: not to be had
	next  atomic.Uint32
	fate  atomic.Pointer[func(line string) fate]
	late  atomic.Pointer[chan struct{}]
	lines atomic.Int64 // that have come
	byes  atomic.Int64 // goodbyes
	mu    sync.Mutex
	conns map[net.Conn]bool
	seen  map[string]int    // lines by their first word
	said  map[string]string // the last of each
}

// fate is what becomes of a line.
type fate uint8

const (
	fateServe  fate = iota
	fateHang        // it is not answered, and nothing is read any more
	fateCut         // the connection is closed
	fateRefuse      // it is answered by "no"
	fateHalf        // half of the answer comes, and then nothing
	fateMute        // it is not answered, but what follows is
)

func startFakeDB(t *testing.T, name string, first uint32) *fakeDB {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeDB{name: name, ln: ln, conns: map[net.Conn]bool{}, seen: map[string]int{}, said: map[string]string{}}
	f.next.Store(first)
	t.Cleanup(f.stop)
	go f.accept(ln)
	return f
}

func (f *fakeDB) accept(ln net.Listener) {
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
}

func (f *fakeDB) addr() string { return f.ln.Addr().String() }
func (f *fakeDB) open() int    { f.mu.Lock(); defer f.mu.Unlock(); return len(f.conns) }

// stop is a crash.
func (f *fakeDB) stop() {
	f.mu.Lock()
	f.ln.Close()
	f.mu.Unlock()
	f.cutAll()
}

// restart has the server listen again where it did.
func (f *fakeDB) restart(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", f.addr())
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.ln = ln
	f.mu.Unlock()
	t.Cleanup(f.stop)
	go f.accept(ln)
}

func (f *fakeDB) cutAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

// meet has lines that begin with a word meet their fate, from now on.
func (f *fakeDB) meet(word string, what fate) {
	of := func(line string) fate {
		if strings.HasPrefix(line, word) {
			return what
		}
		return fateServe
	}
	f.fate.Store(&of)
}

// pause has lines that begin with a word wait for resume.
func (f *fakeDB) pause(word string) {
	late := make(chan struct{})
	f.late.Store(&late)
	of := func(line string) fate {
		if strings.HasPrefix(line, word) {
			<-late
		}
		return fateServe
	}
	f.fate.Store(&of)
}

func (f *fakeDB) resume() { close(*f.late.Load()) }

// count is how often a line with that first word has come.
func (f *fakeDB) count(word string) int { f.mu.Lock(); defer f.mu.Unlock(); return f.seen[word] }

// last is the last line with that first word.
func (f *fakeDB) last(word string) string { f.mu.Lock(); defer f.mu.Unlock(); return f.said[word] }

func (f *fakeDB) serve(c net.Conn) {
	raw := c
	defer func() {
		c.Close()
		f.mu.Lock()
		delete(f.conns, raw)
		f.mu.Unlock()
	}()
	id := f.next.Add(1)
	s := &dbSession{f: f, id: id, sums: map[string]int{}}
	if f.lineFate("greet") == fateHang {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	if f.lineFate("greet") == fateCut {
		return
	}
	_, _ = fmt.Fprintf(c, "hello %d\n", id)
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\n")
		f.lines.Add(1)
		word, _, _ := strings.Cut(strings.ReplaceAll(line, ":", " "), " ")
		f.mu.Lock()
		f.seen[word]++
		f.said[word] = line
		f.mu.Unlock()
		switch f.lineFate(line) {
		case fateHang:
			_, _ = io.Copy(io.Discard, r)
			return
		case fateCut:
			return
		case fateRefuse:
			_, _ = io.WriteString(c, "no "+s.status()+"\n")
			continue
		case fateHalf:
			_, _ = io.WriteString(c, "o")
			_, _ = io.Copy(io.Discard, r)
			return
		case fateMute:
			continue
		}
		switch line {
		case "quit":
			f.byes.Add(1)
			return
		case "starttls":
			t := tls.Server(ahead{raw, r}, f.tls) // the hello may have come with the line
			c, r = t, bufio.NewReader(t)
			continue
		}
		if _, err := io.WriteString(c, s.answer(line)+" "+s.status()+"\n"); err != nil {
			return
		}
	}
}

// ahead is a connection of which some has been read into a buffer.
type ahead struct {
	net.Conn
	r *bufio.Reader
}

func (a ahead) Read(p []byte) (int, error) { return a.r.Read(p) }

func (f *fakeDB) lineFate(line string) fate {
	if of := f.fate.Load(); of != nil {
		return (*of)(line)
	}
	return fateServe
}

// dbSession is a session at a fakeDB.
type dbSession struct {
	f    *fakeDB
	id   uint32
	sums map[string]int
	tx   bool
}

func (s *dbSession) status() string {
	if s.tx {
		return "T"
	}
	return "I"
}

func (s *dbSession) answer(line string) string {
	w := strings.Fields(line)
	switch {
	case len(w) == 3 && w[0] == "add":
		n, _ := strconv.Atoi(w[2])
		s.sums[w[1]] += n
		return strconv.Itoa(s.sums[w[1]])
	case line == "begin":
		s.tx = true
	case line == "commit":
		s.tx = false
	case line == "who":
		return s.f.name
	case line == "id":
		return strconv.Itoa(int(s.id))
	case line == "large":
		return strings.Repeat("0123456789abcdef", 1<<16)
	case line == "state?":
		var list []string
		for k, n := range s.sums {
			list = append(list, k+"="+strconv.Itoa(n))
		}
		slices.Sort(list)
		return "state:" + strings.Join(list, ",")
	case strings.HasPrefix(line, "put:"):
		for part := range strings.SplitSeq(line[len("put:"):], ",") {
			if k, v, ok := strings.Cut(part, "="); ok {
				s.sums[k], _ = strconv.Atoi(v)
			}
		}
	}
	return "ok"
}

// fakeProto is the protocol of fakeDB. Its sessions can be moved.
type fakeProto struct {
	tls, work bool                           // moves take TLS, and work off the loop
	renames   bool                           // what a moved session says is translated: X to x, and b to B
	fragile   bool                           // the state can't be asked for behind "who"
	working   *atomic.Pointer[chan struct{}] // Work waits until it is closed; nil: it does not
}

func (fakeProto) Name() string                                { return "lines" }
func (fakeProto) Kinds() []string                             { return []string{"line"} }
func (fakeProto) NewProbe(string) codec.Probe                 { return nil }
func (fakeProto) AppendCancel(dst []byte, _ codec.Key) []byte { return dst }
func (p fakeProto) NewLogin(cfg *codec.LoginConfig) codec.Login {
	return &lineLogin{proto: p, cfg: cfg}
}

// lineLogin passes the greeting on, with the id that the client is to see.
type lineLogin struct {
	proto fakeProto
	cfg   *codec.LoginConfig
	buf   []byte
	out   []byte
	id    uint32
	why   error
}

func (l *lineLogin) Start() codec.Op     { return codec.OpDial }
func (l *lineLogin) Connected() codec.Op { l.buf = nil; return codec.OpMore }
func (l *lineLogin) Client([]byte) codec.Op {
	l.why = errors.New("the client spoke too early")
	return codec.OpClose
}
func (l *lineLogin) Server(p []byte) codec.Op {
	l.buf = append(l.buf, p...)
	line, rest, ok := bytes.Cut(l.buf, []byte("\n"))
	if !ok {
		return codec.OpMore
	}
	n, _ := strconv.Atoi(string(bytes.TrimPrefix(line, []byte("hello "))))
	l.id = l.cfg.VisibleID(uint32(n))
	l.out = fmt.Appendf(nil, "hello %d\n", l.id)
	l.buf = rest
	return codec.OpReady
}
func (l *lineLogin) ClientSecured([]byte) codec.Op { return codec.OpMore }
func (l *lineLogin) ServerSecured([]byte) codec.Op { return codec.OpMore }
func (l *lineLogin) Work()                         {}
func (l *lineLogin) Worked() codec.Op              { return codec.OpMore }
func (l *lineLogin) Refuse(e codec.Error) codec.Op {
	l.out, l.why = []byte("error "+e.Text+"\n"), e
	return codec.OpClose
}
func (l *lineLogin) Refused() codec.Op { return codec.OpClose }
func (l *lineLogin) Take(s codec.Side) []byte {
	if s == codec.Server {
		return nil
	}
	p := l.out
	l.out = nil
	return p
}
func (l *lineLogin) User() string      { return "alice" }
func (l *lineLogin) Database() string  { return "" }
func (l *lineLogin) Target() codec.Key { return codec.Key{} }
func (l *lineLogin) Refusal() error    { return l.why }
func (l *lineLogin) Follower(w codec.Watcher) codec.Follower {
	return &lineFollower{proto: l.proto, watch: w, id: l.id, known: true}
}
func (l *lineLogin) Rest(s codec.Side) []byte {
	if s == codec.Server {
		return l.buf
	}
	return nil
}

// lineFollower follows lines. It is a Mover.
type lineFollower struct {
	proto  fakeProto
	watch  codec.Watcher
	id     uint32
	cli    []byte // of a message that has begun
	srv    []byte
	owed   int
	tx     bool
	quit   bool
	marks  uint32
	known  bool
	state  string // as far as known
	pinned bool
	undone bool // what Undone says
	frail  bool // the last line was "who"
	moved  bool
	part   []byte // of a line that is to be translated as a whole
	move   *lineMove
}

func (f *lineFollower) Client(p []byte) error {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			f.cli = append(f.cli, p...)
			return nil
		}
		f.cli = append(f.cli, p[:i]...)
		line := string(f.cli)
		f.cli = f.cli[:0]
		p = p[i+1:]
		switch {
		case line == "quit":
			f.quit = true
			continue
		case line == "garbage":
			return codec.Error{Cond: codec.ProtocolError, Text: "garbage"}
		case line == "pin":
			f.pinned = true
		case line == "who", line == "id":
			f.frail = line == "who"
		case line == "unpin":
			f.pinned = false
		case strings.HasPrefix(line, "add"):
			f.marks++
			f.known = false
		}
		f.owed++
		f.watch.OnCommand(0, nil)
	}
	return nil
}

func (f *lineFollower) Server(p []byte) error {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			f.srv = append(f.srv, p...)
			return nil
		}
		f.srv = append(f.srv, p[:i]...)
		p = p[i+1:]
		if f.owed == 0 {
			return fmt.Errorf("nobody asked for %q", f.srv)
		}
		f.tx = f.srv[len(f.srv)-1] == 'T'
		f.srv = f.srv[:0]
		f.owed--
		f.watch.OnReply(0)
		f.watch.OnDone(0, false)
	}
	return nil
}

func (f *lineFollower) Tx() codec.Tx {
	if f.tx {
		return codec.TxOpen
	}
	return codec.TxIdle
}
func (f *lineFollower) Owed() int { return f.owed }
func (f *lineFollower) Mid(s codec.Side) bool {
	return s == codec.Client && len(f.cli)+len(f.part) > 0 || s == codec.Server && len(f.srv) > 0
}
func (f *lineFollower) Busy() string {
	switch {
	case f.owed > 0:
		return "owed"
	case len(f.cli)+len(f.part) > 0 || len(f.srv) > 0:
		return "message"
	case f.tx:
		return "transaction"
	}
	return ""
}
func (f *lineFollower) Key() (codec.Key, bool) { return codec.Key{ID: f.id}, true }
func (f *lineFollower) Ending() bool           { return f.quit }
func (f *lineFollower) Undone() bool           { return f.undone }
func (f *lineFollower) Quit() bool             { return f.quit }
func (f *lineFollower) AppendError(dst []byte, e codec.Error) []byte {
	return append(append(append(dst, "error "...), e.Text...), '\n')
}
func (f *lineFollower) AppendGoodbye(dst []byte) []byte { return append(dst, "quit\n"...) }

// Intercept finds lines "kill ID".
func (f *lineFollower) Intercept(p []byte) (n int, kill *codec.Kill, hold bool) {
	if len(f.cli) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return len(p), nil, false
		}
		n = i + 1
	}
	for n < len(p) {
		i := bytes.IndexByte(p[n:], '\n')
		if i < 0 {
			front := string(p[n:min(len(p), n+5)])
			return n, nil, strings.HasPrefix("kill ", front)
		}
		line := string(p[n : n+i])
		if id, ok := strings.CutPrefix(line, "kill "); ok {
			v, _ := strconv.Atoi(id)
			return n, &codec.Kill{ID: uint32(v), Len: i + 1}, false
		}
		n += i + 1
	}
	return len(p), nil, false
}
func (f *lineFollower) AppendKill(dst, _ []byte, _ *codec.Kill, id uint32) []byte {
	return fmt.Appendf(dst, "kill %d\n", id)
}
func (f *lineFollower) AppendOK(dst []byte) []byte { return append(dst, "killed I\n"...) }
func (f *lineFollower) AppendKillError(dst []byte, e codec.Error) []byte {
	return append(dst, "no "+e.Text+" I\n"...)
}

func (f *lineFollower) Pin() codec.Pin {
	if f.pinned {
		return codec.Pin{Name: "pin", Reason: "the client said so"}
	}
	return codec.Pin{}
}

func (f *lineFollower) Translates() bool { return f.moved && f.proto.renames }

// ToServer takes whole lines.
func (f *lineFollower) ToServer(p []byte) []byte {
	n := bytes.LastIndexByte(p, '\n') + 1
	if n == 0 {
		f.part = append(f.part, p...)
		return nil
	}
	if len(f.part) > 0 {
		p = append(f.part, p...)
		n += len(f.part)
		f.part = nil
	}
	f.part = append(f.part, p[n:]...)
	return swap(p[:n], 'X', 'x')
}
func (f *lineFollower) ToClient(p []byte) []byte { return swap(p, 'b', 'B') }

func swap(p []byte, from, to byte) []byte {
	for i := range p {
		if p[i] == from {
			p[i] = to
		}
	}
	return p
}

// Gate lets one line at a time go on while a transaction is open, and the rest of one that has been begun. A begin
// in a transaction ends that, and so waits.
func (f *lineFollower) Gate(p []byte) int {
	switch {
	case f.beginAhead(p):
		return 0
	case len(f.cli) > 0 || f.owed == 0 && f.tx:
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			return i + 1
		}
		return len(p)
	}
	return 0
}
func (f *lineFollower) Askable(held []byte) bool { return f.Busy() == "" || f.beginAhead(held) }
func (f *lineFollower) beginAhead(held []byte) bool {
	return f.Busy() == "transaction" && bytes.HasPrefix(held, []byte("begin\n"))
}
func (f *lineFollower) Known() bool   { return f.known }
func (f *lineFollower) Marks() uint32 { return f.marks }
func (f *lineFollower) NewMove(cfg *codec.MoveConfig) codec.Move {
	if f.move != nil && !f.move.over {
		panic("two moves at a time")
	}
	f.move = &lineMove{f: f, cfg: cfg}
	return f.move
}

// lineMove moves a session:
//
//	new: hello ─ [starttls] ─ login ─▶ StandBy   Ask: old: state? ─▶ new: put ─▶ new: state? ─▶ Ready
type lineMove struct {
	f       *lineFollower
	cfg     *codec.MoveConfig
	step    string
	in      [codec.Legs][]byte
	out     [codec.Legs][]byte
	id      uint32
	state   string
	has     bool // the state
	owes    bool
	over    bool
	drop    int
	working atomic.Bool
	why     error
}

func (m *lineMove) check() {
	if m.working.Load() {
		panic("called while it works")
	}
}

func (m *lineMove) Connected() codec.Op { m.check(); m.step = "hello"; return codec.OpMore }

func (m *lineMove) Server(leg codec.Leg, p []byte) codec.Op {
	m.check()
	m.in[leg] = append(m.in[leg], p...)
	op := codec.OpMore
	for op == codec.OpMore {
		line, rest, ok := bytes.Cut(m.in[leg], []byte("\n"))
		if !ok {
			break
		}
		text := string(line)
		m.in[leg] = append([]byte(nil), rest...)
		if leg == codec.LegOld {
			m.owes = false
			if m.over {
				return codec.OpClose
			}
			op = m.told(text)
		} else {
			op = m.heard(text)
		}
	}
	return op
}

func (m *lineMove) say(leg codec.Leg, line string) { m.out[leg] = append(m.out[leg], line+"\n"...) }

// told takes the old server's answer.
func (m *lineMove) told(line string) codec.Op {
	if m.step == "commit" {
		if line != "ok I" { // that is the answer to the client's begin
			m.drop = len("begin\n")
			m.say(codec.LegClient, line)
			return m.fail(errors.New("the old server said " + line))
		}
		m.f.tx = false
		return m.question()
	}
	state, ok := strings.CutPrefix(line, "state:")
	if !ok {
		return m.fail(errors.New("the old server said " + line))
	}
	m.state, m.has = strings.TrimSuffix(state, " I"), true
	if m.cfg.AskOnly {
		m.f.known, m.f.state, m.over = true, m.state, true
		return codec.OpReady
	}
	return m.put()
}

func (m *lineMove) put() codec.Op {
	m.step = "put"
	m.say(codec.LegNew, "put:"+m.state)
	return codec.OpMore
}

// heard takes a line of the new server.
func (m *lineMove) heard(line string) codec.Op {
	switch m.step {
	case "hello":
		n, _ := strconv.Atoi(strings.TrimPrefix(line, "hello "))
		m.id = uint32(n)
		if m.f.proto.tls {
			m.step = "tls"
			m.say(codec.LegNew, "starttls")
			return codec.OpServerTLS
		}
		return m.login()
	case "login":
		if line != "ok I" {
			return m.fail(errors.New("the new server said " + line))
		}
		m.step = "standby"
		return codec.OpStandBy
	case "put":
		if line != "ok I" {
			return m.fail(errors.New("the new server said " + line))
		}
		m.step = "check"
		m.say(codec.LegNew, "state?")
		return codec.OpMore
	case "check":
		if line != "state:"+m.state+" I" {
			return m.fail(errors.New("the new server has " + line))
		}
		m.f.known, m.f.state, m.f.moved, m.over = true, m.state, true, true
		return codec.OpReady
	}
	return m.fail(errors.New("the new server said unasked " + line))
}

func (m *lineMove) login() codec.Op {
	if m.f.proto.work {
		m.step = "work"
		return codec.OpWork
	}
	m.step = "login"
	m.say(codec.LegNew, "login")
	return codec.OpMore
}

func (m *lineMove) fail(err error) codec.Op { m.why, m.over = err, true; return codec.OpClose }

func (m *lineMove) Secured([]byte) codec.Op { m.check(); return m.login() }
func (m *lineMove) Work() {
	m.working.Store(true)
	defer m.working.Store(false)
	if m.f.proto.working != nil {
		if wait := m.f.proto.working.Load(); wait != nil {
			<-*wait
		}
	}
}
func (m *lineMove) Worked() codec.Op {
	m.step = "login"
	m.say(codec.LegNew, "login")
	return codec.OpMore
}

func (m *lineMove) Ask(held []byte) codec.Op {
	m.check()
	switch {
	case m.cfg.AskOnly && m.f.proto.fragile && m.f.frail:
		return m.fail(errors.New("what was said last would be lost"))
	case m.f.pinned:
		return m.fail(codec.PinError{Pin: codec.Pin{Name: "pin", Reason: "asked"}})
	case m.cfg.Lost:
		m.state, m.has = m.f.state, true
		return m.put()
	case m.f.tx:
		m.step, m.owes = "commit", true
		m.say(codec.LegOld, "commit")
		return codec.OpMore
	}
	return m.question()
}

func (m *lineMove) question() codec.Op {
	m.step, m.owes = "ask", true
	m.say(codec.LegOld, "state?")
	return codec.OpMore
}

func (m *lineMove) OldLost() codec.Op {
	m.check()
	m.owes = false
	if m.has {
		return codec.OpMore
	}
	return m.fail(errors.New("the old server is gone"))
}
func (m *lineMove) GiveUp() {
	m.check()
	m.over = true
}
func (m *lineMove) Owes() bool { return m.owes }
func (m *lineMove) Take(leg codec.Leg) []byte {
	m.check()
	p := m.out[leg]
	m.out[leg] = nil
	return p
}
func (m *lineMove) Drop() int      { return m.drop }
func (m *lineMove) Rest() []byte   { return m.in[codec.LegNew] }
func (m *lineMove) Key() codec.Key { return codec.Key{ID: m.id} }
func (m *lineMove) Refusal() error { return m.why }

// lineClient is the other end of a session of lines.
type lineClient struct {
	t *testing.T
	net.Conn
	r  *bufio.Reader
	id uint32
}

// loginLines connects.
func loginLines(t *testing.T, addr string) *lineClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(2 * patience))
	c := &lineClient{t: t, Conn: nc, r: bufio.NewReaderSize(nc, 2<<20)}
	n, err := strconv.Atoi(strings.TrimPrefix(c.read(), "hello "))
	if err != nil {
		t.Fatal(err)
	}
	c.id = uint32(n)
	return c
}

// read reads a line.
func (c *lineClient) read() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// say sends lines.
func (c *lineClient) say(lines ...string) {
	_, _ = io.WriteString(c, strings.Join(lines, "\n")+"\n")
}

// ask sends a line and returns its answer.
func (c *lineClient) ask(line string) string {
	c.t.Helper()
	c.say(line)
	return c.read()
}

// expect asks and compares.
func (c *lineClient) expect(line, want string) {
	c.t.Helper()
	if got := c.ask(line); got != want {
		c.t.Fatalf("%q was answered by %q, want %q", line, got, want)
	}
}

// expectLost reads an error with that text, and then the end.
func (c *lineClient) expectLost(text string) {
	c.t.Helper()
	if got := c.read(); !strings.HasPrefix(got, "error ") || !strings.Contains(got, text) {
		c.t.Fatalf("got %q, want an error with %q", got, text)
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("after the error: %v, want EOF", err)
	}
	c.Close()
}

// startLines runs a proxy in front of servers of lines.
func startLines(t *testing.T, proto fakeProto, change func(*Setup), servers ...*fakeDB) *stand {
	t.Helper()
	return startProxy(t, func(s *Setup) {
		cl := &s.Clusters[0]
		cl.Protocol = proto
		cl.Health.Fall = 1000 // the tests say who is up
		cl.FailoverTimeout = patience
		cl.Migrate = upstream.MigrateOptions{Move: &codec.MoveOptions{}, HoldTimeout: patience, RetryAfter: 50 * time.Millisecond}
		for _, f := range servers {
			cl.Backends = append(cl.Backends, upstream.Spec{Addr: f.addr()})
		}
		if change != nil {
			change(s)
		}
	})
}

// backendOf is the backend at that server.
func (s *stand) backendOf(f *fakeDB) *upstream.Backend {
	s.t.Helper()
	for _, b := range s.Backends() {
		if b.Addr() == f.addr() {
			return b
		}
	}
	s.t.Fatalf("no backend at %s", f.addr())
	return nil
}

// move wants the only session moved.
func (s *stand) move(to *fakeDB, why string) bool {
	s.t.Helper()
	one, ok := s.only(), false
	onLoop(s.t, one.on, func() { ok = one.moveTo(s.backendOf(to), why) })
	return ok
}

// settled waits until no move is under way, and returns what has come of those there were.
func (s *stand) results() map[string]int {
	sum, _ := s.snapshot()
	got := map[string]int{}
	for _, f := range sum.moves.routes {
		for r, n := range f.results {
			if n > 0 {
				got[moveResult(r).String()] += int(n)
			}
		}
	}
	return got
}

// awaits waits for so many moves with that result.
func (s *stand) awaits(result string, n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d moves: %s", n, result), func() bool { return s.results()[result] == n })
}

// expectCounts holds that every session is counted where it is, and nowhere else.
func (s *stand) expectCounts(at map[*fakeDB]int) {
	s.t.Helper()
	eventually(s.t, "the counts are right", func() bool {
		for f, n := range at {
			b := s.backendOf(f)
			if b.Sessions() != n || b.Outgoing() != 0 {
				return false
			}
		}
		sum, _ := s.snapshot()
		for _, f := range sum.moves.routes {
			if f.pending != 0 {
				return false
			}
		}
		return sum.pending == 0
	})
}

// newWorking is what Work of a move waits for until it is closed.
func newWorking() *atomic.Pointer[chan struct{}] {
	wait := make(chan struct{})
	p := &atomic.Pointer[chan struct{}]{}
	p.Store(&wait)
	return p
}

package synth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// loggedIn is a server's side behind the login.
func loggedIn(protocol string) *session {
	c := &session{answerer: protocols[protocol].answerer()}
	c.answerer.greet(&c.reply)
	o := ClientOptions{Protocol: protocol, User: "me"}
	_, said, _ := clientHears(o, 0, drain(nil, c))
	c.answer(said)
	drain(nil, c)
	return c
}

// query is a simple query in a protocol.
func query(protocol, text string) []byte {
	if protocol == Postgres {
		return append(append(pgBegin(nil, 'Q', len(text)+1), text...), 0)
	}
	return append(append(appendPacket(nil, 1+len(text), 0), comQuery), text...)
}

// TestLongestMessage sends a message as long as the server takes them, and one that is a byte longer:
// that one is refused by its header alone.
func TestLongestMessage(t *testing.T) {
	for protocol := range protocols {
		blank := messageMax - len(query(protocol, "SELECT 7"))
		text := "SELECT " + strings.Repeat(" ", blank) + "7"
		c := loggedIn(protocol)
		if rest := c.answer(query(protocol, text)); len(rest) > 0 || c.leaving || !bytes.Contains(drain(nil, c), []byte{1, '7'}) {
			t.Errorf("%s: a message of %d bytes was not answered", protocol, messageMax)
		}
		c.answer(query(protocol, text+" ")[:pgHeaderLen])
		if out := drain(nil, c); !c.leaving || !bytes.Contains(out, []byte(errTooLong.Error())) {
			t.Errorf("%s: a longer message was not refused: %q", protocol, out)
		}
		huge := query(protocol, text+" ")
		if _, _, err := clientHears(ClientOptions{Protocol: protocol, User: "me"}, 0, huge[:pgHeaderLen]); err != errTooLong {
			t.Errorf("%s: the client takes a message of %d bytes: %v", protocol, len(huge), err)
		}
	}
}

// TestOutIsBounded has a client ask and ask without taking any answer.
func TestOutIsBounded(t *testing.T) {
	for protocol := range protocols {
		one := query(protocol, fmt.Sprintf("SELECT 1, %d", inlineMax))
		c := loggedIn(protocol)
		rest := c.answer(bytes.Repeat(one, 1000))
		if n := len(c.reply.out); n <= outMax || n > outMax+inlineMax+200 || len(rest) == 0 {
			t.Errorf("%s: %d bytes of answers wait, and %d of questions", protocol, n, len(rest))
		}
		drain(nil, c)
		if left := c.answer(rest); len(left) >= len(rest) {
			t.Errorf("%s: it does not go on once the answers were taken", protocol)
		}
		c = loggedIn(protocol)
		big := query(protocol, fmt.Sprintf("SELECT 1, %d", sizeMax))
		if rest := c.answer(append(bytes.Clone(big), big...)); len(rest) != len(big) || len(c.reply.out) > 200 {
			t.Errorf("%s: %d bytes wait in front of %d of filler", protocol, len(c.reply.out), sizeMax)
		}
		if q := readQuestion([]byte(fmt.Sprintf("SELECT 1, %d", sizeMax+1))); q.verb != verbUnknown {
			t.Errorf("more than %d bytes of filler were promised", sizeMax)
		}
	}
}

// TestLateReader asks for more than all buffers between hold and begins to read late. All of it comes.
func TestLateReader(t *testing.T) {
	const size, questions = 16<<20 + 1, 2
	for protocol, p := range protocols {
		addr := startServer(t, p.answerer)
		c, err := newClient(ClientOptions{Protocol: protocol, Addr: addr, User: "me", Clients: 1, Depth: questions, Bytes: size})
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if err := c.loginAll(); err != nil {
			t.Fatal(err)
		}
		k := c.conns[0]
		for range questions {
			c.ask(k, 0)
		}
		if err := c.flush(0, k); err != nil {
			t.Fatal(err)
		}
		for waiting := 0; waiting < rowMax; {
			if waiting, err = unix.IoctlGetInt(k.fd, unix.TIOCINQ); err != nil || c.poll.now()-c.heard > patience {
				t.Fatalf("%s: %d bytes have come, %v", protocol, waiting, err)
			}
			runtime.Gosched()
		}
		c.load = &load{bins: make([]int64, 1)}
		for c.owed > 0 && c.poll.now()-c.heard < patience {
			if _, err := c.turn(tickMax); err != nil {
				t.Fatal(err)
			}
		}
		if c.load.queries != questions {
			t.Errorf("%s: %d answers", protocol, c.load.queries)
		}
	}
}

// TestMostStatements prepares as many statements as one client may.
func TestMostStatements(t *testing.T) {
	for protocol := range protocols {
		c := loggedIn(protocol)
		for i := range statementsMax + 1 {
			var b []byte
			if protocol == Postgres {
				name := fmt.Sprintf("s%d\x00SELECT $1\x00", i)
				b = append(append(pgBegin(nil, 'P', len(name)+2), name...), 0, 0)
			} else {
				b = (&myClient{}).prepare(nil)
			}
			c.answer(b)
			refused := bytes.Contains(drain(nil, c), []byte(errStatement.Error()))
			if refused != (i == statementsMax) {
				t.Fatalf("%s: statement %d: refused %t", protocol, i, refused)
			}
		}
	}
}

// TestDescriptorLimit asks for more clients than any process may have; the message names the limit.
func TestDescriptorLimit(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	most := int(limit.Cur) - spareDescriptors
	if err := checkLimit(most); err != nil {
		t.Error(err)
	}
	if err := checkLimit(most + 1); err == nil || !strings.Contains(err.Error(), fmt.Sprint(limit.Cur)) {
		t.Errorf("got %v; want the limit, %d", err, limit.Cur)
	}
	if err := limitSaid(unix.EMFILE); !strings.Contains(err.Error(), fmt.Sprint(limit.Cur)) {
		t.Errorf("got %v; want the limit, %d", err, limit.Cur)
	}
}

func TestOptions(t *testing.T) {
	good := ClientOptions{Protocol: MySQL, Addr: "127.0.0.1:1", User: "me", Lasts: 1}
	if o := good; o.check() != nil || o.Clients != 1 || o.Depth != 1 {
		t.Errorf("got %+v, %v", o, o.check())
	}
	for want, spoil := range map[string]func(*ClientOptions){
		"protocol": func(o *ClientOptions) { o.Protocol = "x" },
		"addr":     func(o *ClientOptions) { o.Addr = "" },
		"user":     func(o *ClientOptions) { o.User = "" },
		"clients":  func(o *ClientOptions) { o.Clients = clientsMax + 1 },
		"depth":    func(o *ClientOptions) { o.Depth = -1 },
		"rate":     func(o *ClientOptions) { o.Rate = 2 * rateMax },
		"bytes":    func(o *ClientOptions) { o.Bytes = sizeMax + 1 },
		"warm":     func(o *ClientOptions) { o.Warm = -1 },
		"lasts":    func(o *ClientOptions) { o.Lasts = 0 },
	} {
		o := good
		spoil(&o)
		if err := o.check(); err == nil || !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("got %v; want an error about %s", err, want)
		}
	}
}

// TestNoAllocations counts what a question and its answer allocate on each side.
func TestNoAllocations(t *testing.T) {
	for _, k := range talks(t) {
		if k.o.Bytes > inlineMax {
			continue
		}
		s := loggedIn(k.o.Protocol)
		c := conn{asker: protocols[k.o.Protocol].asker(&k.o), state: ready, asked: make([]asked, 1)}
		if k.o.Prepared {
			switch a := c.asker.(type) {
			case *pgClient:
				s.answer(a.prepare(nil))
			case *myClient:
				s.answer(a.prepare(nil))
				a.statement = 1
			}
			drain(nil, s)
		}
		if n := testing.AllocsPerRun(100, func() {
			c.out = c.out[:0]
			c.ask(firstNumber, k.o.Bytes, 0)
			if rest := s.answer(c.out); len(rest) > 0 {
				t.Fatalf("%s: %d bytes of a question are left", k.name, len(rest))
			}
			in, done := s.reply.out, false
			for len(in) > 0 {
				used, end, err := c.message(in)
				if err != nil || used == 0 {
					t.Fatalf("%s: %v", k.name, err)
				}
				in, done = in[used:], end
			}
			if !done {
				t.Fatalf("%s: no end of the answer", k.name)
			}
			c.answered()
			s.reply.took(len(s.reply.out))
		}); n != 0 {
			t.Errorf("%s: %v allocations for a question", k.name, n)
		}
	}
}

// FuzzServer feeds both servers anything behind a login.
func FuzzServer(f *testing.F) {
	for _, k := range talks(f) {
		f.Add(k.client[min(len(k.client), 60):])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for protocol := range protocols {
			serverSays(protocols[protocol].answerer(), in[:min(len(in), 1<<12)])
			c := loggedIn(protocol)
			for range 100 {
				before := len(in)
				if in = c.answer(in); len(in) == before {
					break
				}
				if n := len(c.reply.out); n > outMax+inlineMax+messageMax {
					t.Fatalf("%s: %d bytes wait", protocol, n)
				}
				c.reply = reply{}
			}
		}
	})
}

// FuzzClient feeds both clients anything.
func FuzzClient(f *testing.F) {
	for _, k := range talks(f) {
		if k.o.Bytes < rowMax {
			f.Add(k.server, k.o.Prepared)
		}
	}
	f.Add(binary.BigEndian.AppendUint32([]byte{'E'}, 4), true)
	f.Fuzz(func(t *testing.T, in []byte, prepared bool) {
		for protocol := range protocols {
			for _, state := range []int{0, 300} {
				o := ClientOptions{Protocol: protocol, User: "me", Bytes: state, Prepared: prepared}
				if answers, _, _ := clientHears(o, talkQuestions, in); answers > talkQuestions {
					t.Fatalf("%s: %d answers to %d questions", protocol, answers, talkQuestions)
				}
			}
		}
	})
}

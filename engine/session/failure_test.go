package session

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/codec"
	"sluice/engine"
)

// TestServerDiesInLogin cuts a login at each of its stages. Until the client has been told anything, the
// other server takes its place; behind that the client gets an error.
func TestServerDiesInLogin(t *testing.T) {
	for _, tt := range []struct {
		stage    string
		replaced bool
	}{{"accept", true}, {"startup", true}, {"auth", false}, {"key", false}} {
		t.Run(tt.stage, func(t *testing.T) {
			bad, good := startFakePG(t, "db-a"), startFakePG(t, "db-b")
			bad.dies.Store(&tt.stage)
			s := startProxy(t, func(s *Setup) { s.Clusters[0].Health.Fall = 1000 }, bad)
			if !tt.replaced {
				c := connect(t, s.addr("in"))
				kind, body := c.next()
				for kind == 'R' || kind == 'K' {
					kind, body = c.next()
				}
				if kind != 'E' || !strings.Contains(body, "C08006\x00") {
					t.Errorf("got %c %q", kind, body)
				}
				c.Close()
				s.expectEmpty()
				return
			}
			s.setup.Clusters[0].Backends = specs(bad, good)
			s.apply()
			for range 4 {
				if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
					t.Errorf("the answer is from %s", tag)
				}
			}
		})
	}
}

// TestMySQLServerDiesBehindItsGreeting: the client is told when it has spoken and will understand.
func TestMySQLServerDiesBehindItsGreeting(t *testing.T) {
	db := startFakeMySQL(t)
	s := startMySQL(t, nil, db)
	c := greet(t, s.addr("in"))
	db.stop()
	eventually(t, "the proxy knows", func() bool {
		return s.holds(func(s *Session) bool { return s.in != nil && s.in.cause != nil })
	})
	c.respond("alice")
	if got := verdict(c.next(2)); !strings.HasPrefix(got, "08S01") {
		t.Errorf("got %s", got)
	}
	c.Close()
	s.expectEmpty()

	t.Run("and the client says nothing", func(t *testing.T) {
		db := startFakeMySQL(t)
		s := startMySQL(t, nil, db)
		c := greet(t, s.addr("in"))
		db.stop()
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("read: %v, want EOF", err)
		}
		c.Close()
		s.expectEmpty()
		sum, _ := s.snapshot()
		if n := sum.frontend("in").ended[ServerLost]; n != 1 {
			t.Errorf("server_lost was counted %d times", n)
		}
	})
}

// TestServerHangsBehindTLSAnswer: it agrees to TLS and then says no more; another one is tried.
func TestServerHangsBehindTLSAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, 8)); err == nil {
					_, _ = c.Write([]byte{'S'})
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	good := startFakePG(t, "db-b")
	good.tls = serving(t)
	s := startProxy(t, func(s *Setup) {
		withTLS(t)(s)
		s.Frontends[0].TLSMode, s.Frontends[0].TLS = codec.TLSDisable, nil
		s.Clusters[0].ConnectTimeout = 500 * time.Millisecond // the good one gets more than one chance
	}, &fakePG{ln: ln}, good)
	for range 2 {
		if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
			t.Errorf("the answer is from %s", tag)
		}
	}
}

// TestConnectionOfAnEarlierAttempt comes up when its attempt has been given up and another backend is
// being dialled: it is not for this session any more.
func TestConnectionOfAnEarlierAttempt(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.stop()
	s := startProxy(t, nil, db)
	c := connect(t, s.addr("in"))
	eventually(t, "the session pauses between two attempts", func() bool {
		return s.holds(func(s *Session) bool { return s.in != nil && s.in.dial.now == nil && s.in.dial.rounds > 0 })
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	late, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	given := make(chan struct{})
	s.holds(func(s *Session) bool {
		s.in.dial.now = &attempt{s} // the next one
		s.on.loop.Enroll(late, &attempt{s}, func(err error) { t.Error(err) })
		close(given)
		return true
	})
	<-given
	_ = far.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(far); err != nil && !errors.Is(err, net.ErrClosed) || len(got) > 0 {
		t.Errorf("the late connection got %q, %v", got, err)
	}
	if s.holds(func(s *Session) bool { return s.server != nil }) {
		t.Error("the session has taken it")
	}
	c.Close()
	s.expectEmpty()
}

// TestClientLeavesDuringLogin closes while a backend is dialled, during TLS with the client, and while
// the machine computes.
func TestClientLeavesDuringLogin(t *testing.T) {
	t.Run("dial", func(t *testing.T) {
		db := startFakePG(t, "db-a")
		db.silent.Store(true)
		s := startProxy(t, nil, db)
		c := connect(t, s.addr("in"))
		eventually(t, "the server has the startup", func() bool { return db.logins.Load() == 1 })
		c.Close()
		s.expectEmpty()
	})
	t.Run("pause between rounds", func(t *testing.T) {
		db := startFakePG(t, "db-a")
		db.stop()
		s := startProxy(t, nil, db)
		c := connect(t, s.addr("in"))
		eventually(t, "a round is over", func() bool {
			return s.holds(func(s *Session) bool { return s.in != nil && s.in.dial.rounds > 0 })
		})
		c.Close()
		s.expectEmpty()
	})
	t.Run("TLS", func(t *testing.T) {
		s := startProxy(t, withTLS(t), startFakePG(t, "db-a"))
		c, err := net.Dial("tcp", s.addr("in"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f})
		_, _ = io.ReadFull(c, make([]byte, 1))
		_, _ = c.Write([]byte{0x16, 0x03, 0x01})
		c.Close()
		s.expectEmpty()
	})
	t.Run("work", func(t *testing.T) {
		s := startMySQL(t, nil, startFakeMySQL(t))
		c := greet(t, s.addr("in"))
		computing, over := make(chan struct{}), make(chan struct{})
		s.holds(func(x *Session) bool {
			x.in.m = laborious{x.in.m, computing, over}
			x.in.op = codec.OpWork
			x.work()
			return true
		})
		<-computing
		c.Close()
		s.expectEmpty()
		close(over) // its result comes for a session that has ended
		s.expectEmpty()
	})
}

// laborious is a login whose work takes until over is closed.
type laborious struct {
	codec.Login
	computing, over chan struct{}
}

func (l laborious) Work() { close(l.computing); <-l.over }

// TestChurn aborts two thousand connections at all stages of their lives, some of them with garbage:
// descriptors, goroutines and every count return to where they were.
func TestChurn(t *testing.T) {
	pg, my := startFakePG(t, "db-a"), startFakeMySQL(t)
	s := startProxy(t, func(set *Setup) {
		set.Frontends[0].TLSMode, set.Frontends[0].TLS = codec.TLSPrefer, serving(t)
	}, pg)
	m := startMySQL(t, nil, my)
	settle := func() (files, goroutines int) {
		s.expectEmpty()
		m.expectEmpty()
		eventually(t, "the servers have let go", func() bool { return pg.open() == 0 && my.open() == 0 })
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds), goroutinesAtWork()
	}
	abortMany(t, 100, s.addr("in"), m.addr("in")) // whatever is made once is made
	files, goroutines := settle()
	abortMany(t, 2000, s.addr("in"), m.addr("in"))
	eventually(t, "descriptors and goroutines are back", func() bool {
		f, g := settle()
		return f <= files+2 && g <= goroutines+5
	})
}

// goroutinesAtWork counts the goroutines except the idle ones of the pool that the event loops borrow
// from: how many it keeps, and for how long, is the pool's own affair.
func goroutinesAtWork() int {
	stacks := make([]byte, 4<<20)
	n := 0
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if !strings.Contains(stack, "]:\ngithub.com/panjf2000/ants/v2.(*goWorker).run") {
			n++
		}
	}
	return n
}

// open is the number of connections that the server has.
func (f *fakePG) open() int    { f.mu.Lock(); defer f.mu.Unlock(); return len(f.conns) }
func (f *fakeMySQL) open() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.conns) }

// abortMany opens n connections, a few at a time, half of them to each proxy, and aborts each.
func abortMany(t *testing.T, n int, pg, my string) {
	t.Helper()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(worker)))
			for i := range n / 8 {
				addr, play := pg, pgPlays[r.IntN(len(pgPlays))]
				if i%2 == 0 {
					addr, play = my, myPlays[r.IntN(len(myPlays))]
				}
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond)) // an answer may never come
				_, _ = c.Write(play.says[:r.IntN(len(play.says)+1)])
				if r.IntN(2) == 0 {
					_, _ = io.ReadFull(c, make([]byte, 1+r.IntN(play.hears)))
				}
				if r.IntN(2) == 0 {
					_ = c.(*net.TCPConn).SetLinger(0) // a RST
				}
				c.Close()
			}
		})
	}
	all.Wait()
}

// aPlay is what a client says, and how many bytes of the answer it may wait for if it has said all.
type aPlay struct {
	says  []byte
	hears int
}

var (
	startup = append(binary.BigEndian.AppendUint32(nil, 20), "\x00\x03\x00\x00user\x00alice\x00\x00"...)
	pgPlays = []aPlay{
		{startup, 9},
		{append(append([]byte(nil), startup...), message('Q', "select\x00")...), 30},
		{[]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f, 0x16, 0x03, 0x01, 0, 5, 1, 2, 3, 4, 5}, 1},
		{append(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 16}, 80877102), "\x00\x00\x00\x01none"...), 1},
		{[]byte("GET / HTTP/1.0\r\n\r\n"), 1},
	}
	myPlays = []aPlay{
		{[]byte{1}, 20},
		{packet(1, make([]byte, 40)), 70},
		{packet(7, []byte("\xff\xff\xff\xff")), 70},
		{append(packet(1, append(append(binary.LittleEndian.AppendUint32(nil, serverFlags),
			make([]byte, 28)...), "alice\x00\x00mysql_native_password\x00"...)), ask("select")...), 80},
	}
)

var _ engine.Handler = (*attempt)(nil)

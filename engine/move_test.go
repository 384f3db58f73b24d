package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// wanderer echoes what it gets and moves its connection to the next loop again and again, from inside
// OnData, whether the peer goes on sending or not.
type wanderer struct {
	t     *testing.T
	loops []*Loop
	at    *Loop
	calls int
	moves int
	ended chan error
}

func (h *wanderer) OnOpen(*Conn) { h.t.Error("OnOpen of a connection that was moved") }
func (h *wanderer) OnRoom(*Conn) {}

func (h *wanderer) OnClose(c *Conn, err error) {
	h.check(c)
	h.ended <- err
}

func (h *wanderer) check(c *Conn) {
	if c.Loop() != h.at {
		h.t.Error("a call of a loop that the connection has left")
	}
}

func (h *wanderer) OnData(c *Conn, p []byte) {
	h.check(c)
	c.Write(p)
	if h.calls++; h.calls%3 == 0 {
		h.move(c)
	}
}

func (h *wanderer) move(c *Conn) {
	to := h.loops[(c.Loop().ID()+1)%len(h.loops)]
	err := c.Move(to, h, func(c *Conn, err error) {
		if err != nil {
			h.ended <- err
			return
		}
		h.at = c.Loop()
		if h.at != to || c.RemoteAddr() == nil {
			h.t.Error("it has come to another loop, or without its address")
		}
	})
	if err != nil {
		return // unsent bytes, for instance
	}
	h.moves++
	c.Write([]byte("nobody is to see this"))
	if c.Open() {
		h.t.Error("the old Conn is open")
	}
}

// TestMove sends a stream through a connection that is moved in the midst of it. Not a byte is lost or
// comes twice, and the end of the stream is told on the loop where it lives by then.
func TestMove(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version uint16
		opt     Options
	}{
		{"plain", 0, Options{Loops: 2}},
		{"by gnet's own turns", 0, Options{Loops: 2, gnetTurns: true}},
		{"TLS 1.2", tls.VersionTLS12, Options{Loops: 3}},
		{"TLS 1.3", tls.VersionTLS13, Options{Loops: 2, ReadBuffer: 4096}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := start(t, tt.opt)
			h := &wanderer{t: t, loops: e.Loops(), at: e.Loops()[0], ended: make(chan error, 1)}
			c, far := connect(t, h.at, hooks{})
			var peer net.Conn = far
			if tt.version != 0 {
				done := startTLS(t, c, testConfig(t, tt.version), true)
				conn := tls.Client(far, testConfig(t, tt.version))
				if err := conn.Handshake(); err != nil {
					t.Fatal(err)
				}
				if err := await(t, done, "the handshake"); err != nil {
					t.Fatal(err)
				}
				peer = conn
			}
			on(t, h.at, func() { c.SetHandler(h) })
			throughWanderer(t, peer)
			_ = peer.Close()
			if err := await(t, h.ended, "OnClose"); !errors.Is(err, io.EOF) {
				t.Errorf("OnClose got %v", err)
			}
			if h.moves < 10 {
				t.Errorf("it was moved %d times only", h.moves)
			}
			for _, l := range e.Loops() {
				until(t, "no connection is counted", func() bool { return l.Conns() == 0 })
			}
		})
	}
}

// throughWanderer sends bytes in pieces of all sizes, some with pauses until the echo is back.
func throughWanderer(t *testing.T, peer net.Conn) {
	t.Helper()
	dice := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		sent := make([]byte, 1+dice.IntN(60_000))
		for i := range sent {
			sent[i] = byte(dice.Uint32())
		}
		wrote := make(chan error, 1)
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+dice.IntN(20_000))
				if _, err := peer.Write(rest[:n]); err != nil {
					wrote <- err
					return
				}
				rest = rest[n:]
			}
			wrote <- nil
		}()
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Fatal(err)
		}
		if err := await(t, wrote, "the peer's writes"); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, sent) {
			t.Fatal("the echo differs")
		}
	}
}

// TestMoveRefused asks for moves that can't be made: nothing happens to the connection.
func TestMoveRefused(t *testing.T) {
	e := start(t, Options{Loops: 2})
	here, there := e.Loops()[0], e.Loops()[1]
	tests := []struct {
		name string
		to   *Loop
		prep func(c *Conn)
		want error
	}{
		{"its own loop", here, func(*Conn) {}, errSameLoop},
		{"closed", there, func(c *Conn) { c.Close() }, errNotOpen},
		{"closing", there, func(c *Conn) { c.CloseFlushed() }, errNotOpen},
		{"paused", there, func(c *Conn) { c.PauseReads() }, errNotQuiet},
		{"unsent bytes", there, func(c *Conn) { c.Write(make([]byte, 16<<20)) }, errNotQuiet},
		{"in a handshake", there, func(c *Conn) {
			c.StartTLS(testConfig(t, 0), true, nil, patience, func(error) {})
		}, errNotQuiet},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := connect(t, here, hooks{})
			on(t, here, func() {
				tt.prep(c)
				open := c.Open()
				moved := func(*Conn, error) { t.Error("moved") }
				if err := c.Move(tt.to, &hooks{}, moved); err != tt.want {
					t.Errorf("Move: %v, want %v", err, tt.want)
				}
				if c.Open() != open {
					t.Error("the connection is closed")
				}
				c.Close()
			})
		})
	}
	until(t, "no connection is counted", func() bool { return here.Conns() == 0 && there.Conns() == 0 })
}

// TestMoveMeetsTheEnd has the peer end the connection before it has left: the other loop is told, once.
func TestMoveMeetsTheEnd(t *testing.T) {
	tests := []struct {
		name string
		end  func(far *net.TCPConn)
	}{
		{"FIN", func(far *net.TCPConn) { far.Close() }},
		{"last words, then FIN", func(far *net.TCPConn) { _, _ = far.Write([]byte("bye")); far.Close() }},
		{"RST", func(far *net.TCPConn) { _ = far.SetLinger(0); far.Close() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := start(t, Options{Loops: 2})
			here, there := e.Loops()[0], e.Loops()[1]
			c, far := connect(t, here, hooks{close: func(*Conn, error) { t.Error("OnClose on the first loop") }})
			ends := make(chan error, 3)
			var heard []byte
			h := &hooks{
				data:  func(_ *Conn, p []byte) { heard = append(heard, p...) },
				close: func(_ *Conn, err error) { ends <- err },
			}
			on(t, here, func() {
				tt.end(far)
				if err := c.Move(there, h, func(_ *Conn, err error) {
					if err != nil {
						ends <- err
					}
				}); err != nil {
					t.Errorf("Move: %v", err)
				}
			})
			if err := await(t, ends, "the end"); err == nil {
				t.Error("the end had no reason")
			}
			on(t, there, func() {
				if tt.name == "last words, then FIN" && string(heard) != "bye" {
					t.Errorf("heard %q", heard)
				}
			})
			if len(ends) > 0 {
				t.Error("told twice")
			}
			until(t, "no connection is counted", func() bool { return here.Conns() == 0 && there.Conns() == 0 })
		})
	}
}

// mover is one end of connections that are moved by the dice while their peers misbehave.
type mover struct {
	t     *testing.T
	dice  *rand.Rand
	self  []*mover // by loop
	loops []*Loop
	conns map[*Conn]bool
	ended int
}

func (h *mover) OnOpen(c *Conn) { h.conns[c] = true }
func (h *mover) OnRoom(c *Conn) {}

func (h *mover) OnClose(c *Conn, _ error) {
	if !h.conns[c] {
		h.t.Error("OnClose of a connection that is not here")
	}
	delete(h.conns, c)
	h.ended++
}

func (h *mover) OnData(c *Conn, p []byte) {
	if !h.conns[c] {
		h.t.Error("OnData of a connection that is not here")
	}
	for c = range h.conns { // any
		break
	}
	switch h.dice.IntN(4) {
	case 0:
		c.Write(p)
	case 1:
		c.Close()
	default:
		h.move(c)
	}
}

func (h *mover) move(c *Conn) {
	i := (c.Loop().ID() + 1) % len(h.loops)
	next := h.self[i]
	if c.Move(h.loops[i], next, func(c *Conn, err error) {
		if err != nil {
			next.ended++
			return
		}
		next.conns[c] = true
		if next.dice.IntN(4) == 0 {
			next.move(c) // at once
		}
	}) == nil {
		delete(h.conns, c)
	}
}

// TestMoveChurn moves many connections to and fro while their peers send, go and reset. Each is
// told of its end once, and nothing is left of any.
func TestMoveChurn(t *testing.T) {
	const peers, each = 8, 20
	files := openFiles(t)
	e := start(t, Options{Loops: 2})
	movers := make([]*mover, 2)
	for i := range movers {
		movers[i] = &mover{t: t, dice: rand.New(rand.NewPCG(5, uint64(i))), self: movers,
			loops: e.Loops(), conns: map[*Conn]bool{}}
	}
	var wg sync.WaitGroup
	for peer := range peers {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(6, uint64(peer)))
			for range each {
				near, far := loopback(t)
				i := dice.IntN(2)
				e.Loops()[i].Enroll(near, movers[i], func(err error) { t.Error(err) })
				misbehave(dice, far)
			}
		})
	}
	wg.Wait()
	ended := 0
	until(t, "no connection is counted", func() bool { return e.Loops()[0].Conns()+e.Loops()[1].Conns() == 0 })
	for i, l := range e.Loops() {
		on(t, l, func() { ended += movers[i].ended + len(movers[i].conns) })
	}
	if ended != peers*each {
		t.Errorf("%d connections of %d were told of their end", ended, peers*each)
	}
	e.Stop()
	until(t, "the descriptors are closed", func() bool { return openFiles(t) <= files })
}

// TestMoveMeetsStop stops the engine while connections are on their way: no descriptor is left.
func TestMoveMeetsStop(t *testing.T) {
	files := openFiles(t)
	for range 20 {
		e := start(t, Options{Loops: 2})
		c, far := connect(t, e.Loops()[0], hooks{})
		on(t, e.Loops()[0], func() {
			if err := c.Move(e.Loops()[1], &hooks{}, func(*Conn, error) {}); err != nil {
				t.Error(err)
			}
		})
		e.Stop()
		_ = far.SetReadDeadline(time.Now().Add(patience))
		if _, err := far.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the peer was not told of the end: %v", err)
		}
		far.Close()
	}
	until(t, "the descriptors are closed", func() bool { return openFiles(t) <= files })
}

// BenchmarkMove is what it costs to take an idle connection to the other loop and back.
func BenchmarkMove(b *testing.B) {
	e := start(b, Options{Loops: 2})
	c, _ := connect(b, e.Loops()[0], hooks{})
	there := make(chan *Conn, 1)
	for b.Loop() {
		for _, to := range []*Loop{e.Loops()[1], e.Loops()[0]} {
			from := c
			from.Loop().Run(func() {
				if err := from.Move(to, &hooks{}, func(c *Conn, err error) { there <- c }); err != nil {
					b.Error(err)
					there <- from
				}
			})
			c = <-there
		}
	}
}

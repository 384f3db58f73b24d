package engine

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestClose ends a connection from our side while bytes are buffered: they are dropped, and the end is
// told once, without an error.
func TestClose(t *testing.T) {
	l := one(t)
	closed := make(chan error, 2)
	c, far := connect(t, l, hooks{close: func(_ *Conn, err error) { closed <- err }})
	sent := 0
	on(t, l, func() {
		sent = fill(c)
		for range 64 {
			sent += fillMore(c)
		}
		c.Close()
		if c.Open() || len(closed) > 0 {
			t.Errorf("after Close: open %t; OnClose came inside a task: %t", c.Open(), len(closed) > 0)
		}
		c.Close()
		c.CloseFlushed()
		c.Write([]byte("too late"))
		c.PauseReads()
		c.ResumeReads()
	})
	if err := await(t, closed, "OnClose"); err != nil {
		t.Errorf("OnClose got %v", err)
	}
	if n, _ := io.Copy(io.Discard, far); n >= int64(sent) {
		t.Errorf("all %d bytes arrived: nothing was dropped, the test shows nothing", n)
	}
	on(t, l, func() {
		if len(closed) > 0 {
			t.Error("OnClose came twice")
		}
	})
	if l.Conns() != 0 {
		t.Errorf("%d connections are counted", l.Conns())
	}
}

// fillMore adds to what is buffered.
func fillMore(c *Conn) int {
	p := bytes.Repeat([]byte{'x'}, 64<<10)
	c.Write(p)
	return len(p)
}

// TestCloseFlushed says an error behind 16 MB to a client that reads slowly, and has sent bytes that
// nobody reads: it gets every byte, the error, and FIN.
func TestCloseFlushed(t *testing.T) {
	const size = 16 << 20
	l := one(t)
	closed := make(chan error, 2)
	c, far := connect(t, l, hooks{
		data:  func(*Conn, []byte) { t.Error("OnData after CloseFlushed") },
		close: func(_ *Conn, err error) { closed <- err },
	})
	want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	on(t, l, func() {
		c.Write(want)
		c.Write([]byte("error"))
		c.CloseFlushed()
		c.Write([]byte("not any more"))
		if c.Open() {
			t.Error("still open")
		}
	})
	if _, err := far.Write(bytes.Repeat([]byte("query"), 20_000)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for got.Len() < size/2 { // slowly: by small pieces, behind turns of the loop
		if _, err := io.CopyN(&got, far, 256<<10); err != nil {
			t.Fatalf("after %d bytes: %v", got.Len(), err)
		}
		on(t, l, func() {})
	}
	if _, err := io.Copy(&got, far); err != nil {
		t.Fatalf("after %d bytes: %v", got.Len(), err)
	}
	if s := got.Bytes(); len(s) != size+5 || !bytes.Equal(s[:size], want) || string(s[size:]) != "error" {
		t.Errorf("%d bytes arrived, ending in %q", len(s), s[max(0, len(s)-5):])
	}
	if len(closed) > 0 {
		t.Error("OnClose before the peer's FIN")
	}
	far.Close()
	if err := await(t, closed, "OnClose"); err != nil {
		t.Errorf("OnClose got %v", err)
	}
}

// TestCloseFlushedIsNoReset has a client send a stream without a pause while it is told an error and
// the end: a RST would destroy the error, so the stream is read to its end.
func TestCloseFlushedIsNoReset(t *testing.T) {
	l := one(t)
	closed := make(chan error, 1)
	c, far := connect(t, l, hooks{close: func(_ *Conn, err error) { closed <- err }})
	on(t, l, func() { c.PauseReads() }) // the client's bytes lie unread in the kernel
	p := make([]byte, 64<<10)
	if _, err := far.Write(p); err != nil {
		t.Fatal(err)
	}
	on(t, l, func() {
		c.Write([]byte("error"))
		c.CloseFlushed()
	})
	for range 64 {
		if _, err := far.Write(p); err != nil {
			t.Fatalf("the connection was reset: %v", err)
		}
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, closed, "OnClose"); err != nil {
		t.Errorf("OnClose got %v", err)
	}
	if got, err := io.ReadAll(far); err != nil || string(got) != "error" {
		t.Errorf("the client got %q, %v", got, err)
	}
}

// TestCloseFlushedDeadlines has peers that never read, or never say FIN: the connection ends all the
// same.
func TestCloseFlushedDeadlines(t *testing.T) {
	const soon = 100 * time.Millisecond
	tests := []struct {
		name string
		opt  Options
		full bool
	}{
		{"never reads", Options{Loops: 1, FlushTimeout: soon, DrainTimeout: time.Hour}, true},
		{"never says FIN", Options{Loops: 1, FlushTimeout: time.Hour, DrainTimeout: soon}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := start(t, tt.opt).Loops()[0]
			closed := make(chan error, 1)
			c, _ := connect(t, l, hooks{close: func(_ *Conn, err error) { closed <- err }})
			on(t, l, func() {
				if tt.full {
					fill(c)
				}
				c.CloseFlushed()
			})
			if err := await(t, closed, "OnClose"); err != nil {
				t.Errorf("OnClose got %v", err)
			}
			on(t, l, func() {
				if n := l.Counts().Timers; n != 0 {
					t.Errorf("%d timers are left", n)
				}
			})
		})
	}
}

// TestCloseFlushedWaitsForTheSlow has a peer that takes many times both time-outs, but never stands
// still for one of them: it gets every byte. The time-outs are called here, as their timer would.
func TestCloseFlushedWaitsForTheSlow(t *testing.T) {
	const size, step = 24 << 20, 256 << 10
	l := start(t, Options{Loops: 1, FlushTimeout: time.Hour, DrainTimeout: time.Hour}).Loops()[0]
	c, far := connect(t, l, hooks{})
	on(t, l, func() {
		c.Write(make([]byte, size))
		c.CloseFlushed()
	})
	got, over := int64(0), map[phase]int{} // time-outs in each phase
	for got+step < size {
		n, err := io.CopyN(io.Discard, far, step)
		if got += n; err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		untilOn(t, l, "what is flushed is drained", func() bool { return c.Buffered() > 0 || c.phase == phaseDraining })
		on(t, l, func() {
			if c.notTaken() < c.unsent {
				over[c.phase]++
				c.closingExpired()
			}
		})
	}
	if over[phaseFlushing] < 2 || over[phaseDraining] == 0 {
		t.Errorf("%d time-outs while it was flushed, %d while it was drained", over[phaseFlushing], over[phaseDraining])
	}
	if n, err := io.Copy(io.Discard, far); err != nil || got+n != size {
		t.Errorf("%d bytes of %d arrived: %v", got+n, size, err)
	}
}

// TestOnCloseOnceNotNested breaks connections by writing to them from a handler, closes others from
// OnClose, and closes them again: each hears its end once, and never inside another handler's call.
func TestOnCloseOnceNotNested(t *testing.T) {
	const n = 8
	l := one(t)
	var conns [n]*Conn
	var ends [n]int
	inside := 0
	all := make(chan struct{})
	left := n
	enter := func() func() {
		if inside++; inside > 1 {
			t.Error("a handler was called inside another's call")
		}
		return func() { inside-- }
	}
	for i := range n {
		conns[i], _ = connect(t, l, hooks{
			data: func(c *Conn, _ []byte) {
				defer enter()()
				for _, other := range conns {
					if other != c {
						other.Close()
						other.Close()
					}
				}
				if ends[(i+1)%n] != 0 {
					t.Error("OnClose came before OnData was over")
				}
				c.CloseFlushed()
				c.Close()
			},
			close: func(c *Conn, _ error) {
				defer enter()()
				ends[i]++
				c.Close()
				c.Write([]byte("late"))
				conns[(i+1)%n].Close()
				if left--; left == 0 {
					close(all)
				}
			},
		})
	}
	// A connection whose reading and writing fail at once: the write must not tell by itself.
	victim, far := connect(t, l, hooks{data: func(*Conn, []byte) { t.Error("no data was sent") }})
	reset(t, far)
	on(t, l, func() {
		for i := 0; i < 100 && victim.Open(); i++ {
			victim.Write([]byte("into the void"))
		}
		conns[0].h.OnData(conns[0], nil)
	})
	await(t, all, "every OnClose")
	on(t, l, func() {
		for i, e := range ends {
			if e != 1 {
				t.Errorf("connection %d heard its end %d times", i, e)
			}
		}
	})
	until(t, "no connection is counted", func() bool { return l.Conns() == 0 })
}

// TestWriteToDeadConn writes to a connection that has ended when its descriptor's number belongs to a
// stranger: the stranger hears nothing of it. The same goes for its pauses and its end.
func TestWriteToDeadConn(t *testing.T) {
	l := one(t)
	closed := make(chan error, 1)
	dead, far := connect(t, l, hooks{close: func(_ *Conn, err error) { closed <- err }})
	number := dead.fd
	far.Close()
	await(t, closed, "OnClose")

	var stranger *Conn
	var ear *net.TCPConn
	for try := 0; stranger == nil || stranger.fd != number; try++ {
		if try == 100 {
			t.Fatalf("descriptor %d was not given out again", number)
		}
		stranger, ear = connect(t, l, hooks{})
	}
	on(t, l, func() {
		dead.Write([]byte("a secret"))
		dead.PauseReads()
		dead.ResumeReads()
		dead.CloseFlushed()
		dead.Close()
		wantMask(t, stranger, readMask, "the stranger's")
		if !stranger.Open() || dead.Buffered() != 0 {
			t.Error("the dead connection's end ended the stranger's")
		}
		stranger.Write([]byte("hello"))
		stranger.CloseFlushed()
	})
	if got, err := io.ReadAll(ear); err != nil || string(got) != "hello" {
		t.Errorf("the stranger heard %q, %v", got, err)
	}
}

// TestLastWords has a server say why it gives up and reset the connection, because it was just being
// sent something. Our write then fails; the words are read all the same.
func TestLastWords(t *testing.T) {
	l := one(t)
	closed := make(chan error, 1)
	var got []byte
	c, far := connect(t, l, hooks{
		data:  func(_ *Conn, p []byte) { got = append(got, p...) },
		close: func(_ *Conn, err error) { closed <- err },
	})
	on(t, l, func() { // in one turn of the loop: it does not read meanwhile
		c.Write([]byte("query"))
		_, err := far.Write([]byte("the server is shutting down"))
		if err = errors.Join(err, far.Close()); err != nil { // with the query unread: RST
			t.Error(err)
		}
		until(t, "the RST is here", func() bool { return tcpState(t, c.fd) == unix.BPF_TCP_CLOSE })
		for range 3 {
			c.Write([]byte("another query"))
		}
		if !c.broken {
			t.Error("the write did not fail: the test shows nothing")
		}
	})
	if err := await(t, closed, "OnClose"); err == nil {
		t.Error("OnClose got no error")
	}
	on(t, l, func() {
		if string(got) != "the server is shutting down" {
			t.Errorf("got %q", got)
		}
	})
}

package engine

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen; a busy machine is slow, and may stand still for
// seconds.
const patience = time.Minute

// hooks is a Handler made of functions; those that are nil do nothing.
type hooks struct {
	open  func(c *Conn)
	data  func(c *Conn, p []byte)
	room  func(c *Conn)
	close func(c *Conn, err error)
}

func (h *hooks) OnOpen(c *Conn) {
	if h.open != nil {
		h.open(c)
	}
}

func (h *hooks) OnData(c *Conn, p []byte) {
	if h.data != nil {
		h.data(c, p)
	}
}

func (h *hooks) OnRoom(c *Conn) {
	if h.room != nil {
		h.room(c)
	}
}

func (h *hooks) OnClose(c *Conn, err error) {
	if h.close != nil {
		h.close(c, err)
	}
}

// start runs an engine for the length of a test.
func start(t testing.TB, opt Options) *Engine {
	t.Helper()
	e, err := Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// one runs an engine of one loop for the length of a test.
func one(t testing.TB) *Loop {
	t.Helper()
	return start(t, Options{Loops: 1}).Loops()[0]
}

// on runs f on the loop and waits for it.
func on(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Run(func() { f(); close(done) }) {
		t.Fatal("the loop has stopped")
	}
	await(t, done, "a task on the loop")
}

// await waits for a value or the closing of ch.
func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// until waits for a condition that no channel tells of.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// untilOn waits for a condition that is looked at on the loop.
func untilOn(t testing.TB, l *Loop, what string, holds func() bool) {
	t.Helper()
	until(t, what, func() (ok bool) {
		on(t, l, func() { ok = holds() })
		return ok
	})
}

// loopback returns the two ends of a TCP connection.
func loopback(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far = dialled.(*net.TCPConn)
	t.Cleanup(func() { far.Close() })
	_ = far.SetDeadline(time.Now().Add(3 * patience))
	return accepted.(*net.TCPConn), far
}

// enroll puts nc on the loop and waits for OnOpen.
func enroll(t testing.TB, l *Loop, nc net.Conn, h hooks) *Conn {
	t.Helper()
	opened := make(chan *Conn, 1)
	inner := h.open
	h.open = func(c *Conn) {
		if inner != nil {
			inner(c)
		}
		opened <- c
	}
	l.Enroll(nc, &h, func(err error) { t.Errorf("enroll: %v", err); opened <- nil })
	c := await(t, opened, "OnOpen")
	if c == nil {
		t.FailNow()
	}
	return c
}

// connect puts one end of a TCP connection on the loop and returns both.
func connect(t testing.TB, l *Loop, h hooks) (*Conn, *net.TCPConn) {
	t.Helper()
	near, far := loopback(t)
	return enroll(t, l, near, h), far
}

// reset ends a connection by a RST.
func reset(t testing.TB, nc *net.TCPConn) {
	t.Helper()
	if err := errors.Join(nc.SetLinger(0), nc.Close()); err != nil {
		t.Fatal(err)
	}
}

// settle waits until no goroutine of an engine is left: neither ours nor one of gnet's. Idle workers of
// gnet's pool, which is the process's, do not count.
func settle(t testing.TB) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	until(t, "the goroutines have ended", func() bool {
		all := string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(all, "sluice/engine.(*") && !strings.Contains(all, "gnet/v2.(*")
	})
}

// handshakes counts the goroutines that are in a handshake of StartTLS.
func handshakes() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "created by sluice/engine.(*Conn).StartTLS")
}

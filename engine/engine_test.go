package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
)

// TestEcho accepts clients, spreads them over two loops, and has each hear what it said.
func TestEcho(t *testing.T) {
	for _, lock := range []bool{false, true} {
		t.Run(fmt.Sprintf("locked threads %t", lock), func(t *testing.T) {
			testEcho(t, start(t, Options{Loops: 2, LockThreads: lock}))
		})
	}
}

func testEcho(t *testing.T, e *Engine) {
	closed := make(chan error, 1)
	h := &hooks{
		data:  func(c *Conn, p []byte) { c.Write(p) },
		close: func(_ *Conn, err error) { closed <- err },
	}
	next := 0
	ln, err := Listen("127.0.0.1:0", ListenOptions{}, func(nc net.Conn) {
		e.Loops()[next%2].Enroll(nc, h, func(err error) { t.Error(err) })
		next++
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for range 4 {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("0123456789"), 1000)
		if _, err := nc.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("echo: %v", err)
		}
		nc.Close()
		if err := await(t, closed, "OnClose"); !errors.Is(err, io.EOF) {
			t.Errorf("OnClose got %v, want the end of the stream", err)
		}
	}
	for _, l := range e.Loops() {
		if n := l.Conns(); n != 0 {
			t.Errorf("loop %d counts %d connections after their end", l.ID(), n)
		}
	}
}

// TestStop ends an engine with connections of every kind on it: each hears its end, and no goroutine
// or descriptor is left.
func TestStop(t *testing.T) {
	files := openFiles(t)
	for range 3 {
		e, err := Start(Options{Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 8)
		var far []net.Conn
		for i := range 8 {
			_, f := connect(t, e.Loops()[i%2], hooks{close: func(_ *Conn, err error) { closed <- err }})
			far = append(far, f)
		}
		e.Stop()
		if len(closed) != 8 {
			t.Errorf("%d of 8 connections had heard their end when Stop returned", len(closed))
		}
		for _, l := range e.Loops() {
			if l.Conns() != 0 {
				t.Errorf("loop %d counts %d connections", l.ID(), l.Conns())
			}
			if l.Run(func() { t.Error("a task ran after Stop") }) {
				t.Error("Run accepted a task after Stop")
			}
		}
		e.Stop() // again: nothing happens
		for _, f := range far {
			f.Close()
		}
	}
	settle(t)
	until(t, "the descriptors are closed", func() bool { return openFiles(t) <= files })
}

// TestStopWhileEnrolling stops engines in the middle of enrolments: each ends in OnOpen and OnClose, or
// in failed, and nothing is left behind.
func TestStopWhileEnrolling(t *testing.T) {
	const conns = 40
	files := openFiles(t)
	for range 5 {
		e, err := Start(Options{Loops: 1})
		if err != nil {
			t.Fatal(err)
		}
		l := e.Loops()[0]
		ends := make(chan error, conns)
		h := &hooks{close: func(_ *Conn, err error) { ends <- err }}
		var far []net.Conn
		for range conns {
			near, f := loopback(t)
			far = append(far, f)
			l.Enroll(near, h, func(err error) { ends <- err })
		}
		e.Stop()
		for range conns {
			await(t, ends, "OnClose or failed")
		}
		if l.Conns() != 0 {
			t.Errorf("%d connections are still counted", l.Conns())
		}
		for _, f := range far {
			f.Close()
		}
	}
	settle(t)
	until(t, "the descriptors are closed", func() bool { return openFiles(t) <= files })
}

// openFiles counts this process's descriptors.
func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

package engine

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// echo sends back what comes.
type echo struct{ closed chan error }

func (echo) OnOpen(*Conn)                 {}
func (echo) OnData(c *Conn, p []byte)     { c.Write(p) }
func (echo) OnRoom(*Conn)                 {}
func (e echo) OnClose(c *Conn, err error) { e.closed <- err }

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

func TestEcho(t *testing.T) {
	e := start(t, Options{Loops: 2})
	h := echo{make(chan error, 1)}
	i := 0
	ln, err := Listen("127.0.0.1:0", ListenOptions{}, func(nc net.Conn) {
		e.Loops()[i%2].Enroll(nc, h, func(err error) { t.Error(err) })
		i++
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
		select {
		case <-h.closed:
		case <-time.After(5 * time.Second):
			t.Fatal("no OnClose")
		}
	}
}

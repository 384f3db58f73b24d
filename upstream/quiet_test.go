package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// failingListener takes nobody in, which netpoll has a word for.
type failingListener struct{ netpoll.Listener }

func (failingListener) Accept() (net.Conn, error) { return nil, errors.New("closed") }

// TestNetpollIsQuiet: the standard error is the log's alone.
func TestNetpollIsQuiet(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	saved, err := unix.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(saved)
	if err := unix.Dup3(int(w.Fd()), 2, 0); err != nil {
		t.Fatal(err)
	}
	ln, err := netpoll.CreateListener("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	loop, err := netpoll.NewEventLoop(func(context.Context, netpoll.Connection) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- loop.Serve(failingListener{ln}) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err == nil {
		<-over
		c.Close()
	}
	if err := unix.Dup3(saved, 2, 0); err != nil {
		t.Fatal(err)
	}
	w.Close()
	said, _ := io.ReadAll(r)
	if err != nil || len(said) > 0 {
		t.Errorf("%v; netpoll wrote %q", err, said)
	}
}

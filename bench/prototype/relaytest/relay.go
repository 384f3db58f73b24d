package relaytest

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// asRelay in the environment makes a test binary be the relay: see Main.
const asRelay = "RELAYTEST_IS_RELAY"

// Main is for TestMain: the test binary is its own relay, so that a test needs no compiler.
func Main(m *testing.M, relay func()) {
	if os.Getenv(asRelay) != "" {
		relay()
		return
	}
	os.Exit(m.Run())
}

// patience is how long anything may take.
const patience = 2 * time.Minute

// relay is one at work, with the test as its server.
type relay struct {
	addr    string
	server  *net.TCPListener
	process *child.Process
}

// start starts the relay in front of a listener of the test's.
func start(t *testing.T, flags []string) *relay {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	r := &relay{server: server.(*net.TCPListener)}
	if r.addr, err = child.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{self}, flags...), r.addr, server.Addr().String())
	if r.process, err = child.Start(child.Spec{Name: "relay", Args: args, Env: []string{asRelay + "=1"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.process.Stop(syscall.SIGTERM, patience); err != nil {
			t.Errorf("its end: %v", err)
		}
	})
	if err := child.Until(ctx, r.process, func() error { return child.Accepts(r.addr) }); err != nil {
		t.Fatal(err)
	}
	// The look whether it accepts was a connection too, which it passed on.
	first, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	return r
}

// pair connects through the relay and returns both ends, with buffers in the kernel of that many bytes
// if it is not 0.
func (r *relay) pair(t *testing.T, buffers int) (client, behind *net.TCPConn) {
	t.Helper()
	c, err := net.DialTimeout("tcp", r.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.server.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	s, err := r.server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client, behind = c.(*net.TCPConn), s.(*net.TCPConn)
	for _, conn := range []*net.TCPConn{client, behind} {
		t.Cleanup(func() { conn.Close() })
		err := conn.SetDeadline(time.Now().Add(patience))
		if err == nil && buffers > 0 {
			err = conn.SetReadBuffer(buffers)
		}
		if err == nil && buffers > 0 {
			err = conn.SetWriteBuffer(buffers)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return client, behind
}

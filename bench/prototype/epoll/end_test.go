package main

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEndBehindHeldBytes: the end of a client is known while the server's socket, which is small, has not
// taken what came before. It follows when that is through.
func TestEndBehindHeldBytes(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:0")
	o, err := parse([]string{"-edge", "-coalesce", "-blockraw", at.String(), at.String()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	client, near := socketPair(t)
	behind, far := socketPair(t)
	if err := unix.SetsockoptInt(far, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10); err != nil {
		t.Fatal(err)
	}
	const size = 40 << 10
	if n, err := unix.Write(client, make([]byte, size)); n != size || err != nil {
		t.Fatal(n, err)
	}
	_ = unix.Shutdown(client, unix.SHUT_WR)
	if err := l.join(near, far); err != nil {
		t.Fatal(err)
	}
	got, held := 0, false
	b := make([]byte, size)
	for begun := time.Now(); ; {
		if err := l.turn(); err != nil {
			t.Fatal(err)
		}
		held = held || l.ends[near].eof && l.ends[far].holds()
		n, err := unix.Read(behind, b)
		if n == 0 && err == nil {
			break
		}
		got += max(n, 0)
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("no end behind %d bytes", got)
		}
	}
	if got != size || !held {
		t.Errorf("%d bytes of %d came before the end; held with the end known: %v", got, size, held)
	}
}

// socketPair returns two connected sockets, which do not block.
func socketPair(t *testing.T) (a, b int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

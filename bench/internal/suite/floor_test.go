package suite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// startRelay starts the floor in front of a listener of the test.
func startRelay(t *testing.T) (addr string, server net.Listener, p *child.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	source, err := filepath.Abs("../../floor/relay.c")
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := program("cc")
	if err != nil {
		t.Fatal(err)
	}
	relay, err := buildFloor(ctx, compiler, source, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if addr, err = child.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	r, err := startFloor(ctx, station{listen: addr, server: server.Addr().String(), program: relay})
	if err != nil {
		t.Fatal(err)
	}
	p = r.processes[0]
	t.Cleanup(p.Kill)
	// The look whether it accepts was a connection too, which it passed on.
	first, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	return addr, server, p
}

// dialPair connects through the relay and returns both ends.
func dialPair(t *testing.T, addr string, server net.Listener) (client, behind *net.TCPConn) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client, behind = c.(*net.TCPConn), s.(*net.TCPConn)
	for _, conn := range []*net.TCPConn{client, behind} {
		if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	return client, behind
}

// TestFloorMovesEveryByte sends much in both directions at once to readers that begin late, so that
// the relay has to hold back; then one end says that it is done and still hears the other out.
func TestFloorMovesEveryByte(t *testing.T) {
	addr, server, p := startRelay(t)
	client, behind := dialPair(t, addr, server)
	const size = 32 << 20
	var sums [2][2][sha256.Size]byte // by direction: sent, received
	var moving sync.WaitGroup
	move := func(i int, from, to *net.TCPConn) {
		moving.Go(func() {
			h := sha256.New()
			random := rand.NewChaCha8([32]byte{byte(i)})
			if _, err := io.Copy(io.MultiWriter(from, h), io.LimitReader(random, size)); err != nil {
				t.Errorf("direction %d: %v", i, err)
			}
			sums[i][0] = [sha256.Size]byte(h.Sum(nil))
			from.CloseWrite()
		})
		moving.Go(func() {
			awaitFullPipe(t, p)
			h := sha256.New()
			if n, err := io.Copy(h, to); n != size || err != nil {
				t.Errorf("direction %d: %d bytes, %v", i, n, err)
			}
			sums[i][1] = [sha256.Size]byte(h.Sum(nil))
		})
	}
	move(0, client, behind)
	move(1, behind, client)
	moving.Wait()
	for i, s := range sums {
		if s[0] != s[1] {
			t.Errorf("direction %d: what arrived is not what was sent", i)
		}
	}
}

// awaitFullPipe waits until the relay sleeps: everything on the way is full, since nobody reads.
func awaitFullPipe(t *testing.T, p *child.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	last := int64(-1)
	err := child.Until(ctx, p, func() error {
		u, err := UsageOf(p.PID())
		if err != nil {
			return err
		}
		if u.Voluntary != last || u.Voluntary == 0 {
			last = u.Voluntary
			return errors.New("the relay is still at work")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFloorPassesEndsOn: a reset, a close and a half-close of one side reach the other, and the relay
// is left with the descriptors that it had.
func TestFloorPassesEndsOn(t *testing.T) {
	addr, server, p := startRelay(t)
	before := descriptors(t, p)
	for i := range 100 {
		client, behind := dialPair(t, addr, server)
		near, far := client, behind
		if i%2 == 1 {
			near, far = behind, client
		}
		if _, err := near.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		words := make([]byte, len("last words"))
		if _, err := io.ReadFull(far, words); err != nil || !bytes.Equal(words, []byte("last words")) {
			t.Fatalf("got %q, %v", words, err)
		}
		switch i % 3 {
		case 0:
			near.SetLinger(0) // close becomes a reset
			near.Close()
		case 1:
			near.Close()
		case 2:
			near.CloseWrite()
		}
		if n, err := far.Read(words); n != 0 || err == nil {
			t.Fatalf("after an end: %d bytes, %v", n, err)
		}
		far.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	err := child.Until(ctx, p, func() error {
		if now := descriptors(t, p); now > before {
			return fmt.Errorf("%d descriptors; %d at first", now, before)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFloorWithoutServer: a client whose server is not there is closed.
func TestFloorWithoutServer(t *testing.T) {
	addr, server, _ := startRelay(t)
	server.Close()
	c, err := net.DialTimeout("tcp", addr, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v; want the end", n, err)
	}
}

func descriptors(t *testing.T, p *child.Process) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

package relaytest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// What MovesBytes moves.
const (
	connections = 50
	pieces      = 20        // that each end sends
	pieceMax    = 100 << 10 // bytes
)

// MovesBytes has 50 clients and their servers talk at once: pieces of 1 byte to 100 KB, an answer for
// each, of another length. The two sides take turns, so nothing is lost in a pause.
func MovesBytes(t *testing.T, flags ...string) {
	r := start(t, flags)
	var talks sync.WaitGroup
	for i := range connections {
		client, behind := r.pair(t, 0)
		seed := byte(i)
		talks.Go(func() { talk(t, client, seed, true) })
		talks.Go(func() { talk(t, behind, seed, false) })
	}
	talks.Wait()
}

// talk sends and expects the pieces of one conversation, of which both ends know all.
func talk(t *testing.T, c net.Conn, seed byte, first bool) {
	random := rand.New(rand.NewChaCha8([32]byte{seed}))
	bytes := rand.NewChaCha8([32]byte{seed, 1})
	want, got := make([]byte, pieceMax), make([]byte, pieceMax)
	for i := range 2 * pieces {
		n := 1 + random.IntN(1<<random.IntN(17))
		n = min(n, pieceMax)
		_, _ = bytes.Read(want[:n])
		if (i%2 == 0) == first {
			if _, err := c.Write(want[:n]); err != nil {
				t.Errorf("conversation %d, piece %d: %v", seed, i, err)
				return
			}
			continue
		}
		if _, err := io.ReadFull(c, got[:n]); err != nil || string(got[:n]) != string(want[:n]) {
			t.Errorf("conversation %d, piece %d of %d bytes: not what was sent, %v", seed, i, n, err)
			return
		}
	}
}

// What HoldsBack moves, and what it may cost.
const (
	slowPairs   = 3
	slowBytes   = 16 << 20  // in each direction
	slowBuffers = 128 << 10 // in the kernel, of the ends
	residentMax = 48 << 20  // of the relay; the bytes on the way are much more
)

// HoldsBack sends much in both directions at once to readers that do not begin until the writers are
// stuck, beside a connection that is served meanwhile. At each connection's end one side says first
// that it is done, and still hears the other out; halfClose false leaves that to the end of all.
func HoldsBack(t *testing.T, halfClose bool, flags ...string) {
	r := start(t, flags)
	var sent atomic.Int64
	stuck := make(chan struct{})
	var moving, hearing sync.WaitGroup
	for i := range slowPairs {
		client, behind := r.pair(t, slowBuffers)
		for j, way := range [][2]*net.TCPConn{{client, behind}, {behind, client}} {
			var sum [sha256.Size]byte
			written := make(chan struct{})
			hearing.Add(1)
			moving.Go(func() {
				defer close(written)
				sum = pour(t, way[0], [32]byte{byte(i), byte(j)}, &sent)
				if !halfClose {
					hearing.Wait()
				}
				way[0].CloseWrite()
			})
			moving.Go(func() {
				<-stuck
				got, n, err := take(way[1], halfClose)
				hearing.Done()
				<-written
				if n != slowBytes || err != nil || got != sum {
					t.Errorf("pair %d, direction %d: %d bytes of %d, the same: %v, %v", i, j, n, slowBytes, got == sum, err)
				}
			})
		}
	}
	awaitStuck(t, &sent)
	client, behind := r.pair(t, 0) // others are served meanwhile
	var talks sync.WaitGroup
	talks.Go(func() { talk(t, client, 0, true) })
	talks.Go(func() { talk(t, behind, 0, false) })
	talks.Wait()
	close(stuck)
	moving.Wait()
	if most := residentMost(t, r.process); most > residentMax {
		t.Errorf("the relay took %d KiB; at most %d", most>>10, residentMax>>10)
	}
}

// pour sends random bytes and returns their sum.
func pour(t *testing.T, to io.Writer, seed [32]byte, sent *atomic.Int64) [sha256.Size]byte {
	h := sha256.New()
	random := rand.NewChaCha8(seed)
	b := make([]byte, 32<<10)
	for range slowBytes / len(b) {
		_, _ = random.Read(b)
		h.Write(b)
		n, err := to.Write(b)
		if err != nil {
			t.Errorf("write: %v", err)
			break
		}
		sent.Add(int64(n))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// take reads all that was poured, and the end if it comes right behind.
func take(from io.Reader, toEnd bool) (sum [sha256.Size]byte, n int64, err error) {
	h := sha256.New()
	if !toEnd {
		from = io.LimitReader(from, slowBytes)
	}
	n, err = io.Copy(h, from)
	return [sha256.Size]byte(h.Sum(nil)), n, err
}

// awaitStuck waits until the writers get no further, with more to write.
func awaitStuck(t *testing.T, sent *atomic.Int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	last, since := int64(-1), time.Now()
	err := child.Until(ctx, nil, func() error {
		if now := sent.Load(); now != last {
			last, since = now, time.Now()
		}
		if last == 0 || time.Since(since) < 300*time.Millisecond {
			return errors.New("the writers are not stuck")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if last >= 2*slowPairs*slowBytes {
		t.Error("the relay took all that was written, although nobody read")
	}
}

// residentMost is the most memory that the process has had resident, in bytes.
func residentMost(t *testing.T, p *child.Process) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

package relaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// lastWords come before each end.
const lastWords = "last words"

// PassesEndsOn: a reset, a close and a half-close of one side, the server's or the client's, reach the
// other behind the bytes that came before; and the relay is left with the descriptors that it had.
func PassesEndsOn(t *testing.T, flags ...string) {
	r := start(t, flags)
	before := -1
	for i := range 60 {
		client, behind := r.pair(t, 0)
		if before < 0 {
			before = r.descriptors(t) - 2
		}
		near, far := client, behind
		if i%2 == 1 {
			near, far = behind, client
		}
		if _, err := io.WriteString(near, lastWords); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 { // a reset may overtake what it comes behind
			expect(t, far, lastWords)
			near.SetLinger(0)
			near.Close()
		} else {
			if i%3 == 1 {
				near.Close()
			} else {
				near.CloseWrite()
			}
			expect(t, far, lastWords)
		}
		if n, err := far.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d: after an end: %d bytes, %v", i, n, err)
		}
		far.Close()
		near.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := child.Until(ctx, r.process, func() error {
		if now := r.descriptors(t); now > before {
			return fmt.Errorf("%d descriptors; %d at first", now, before)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// AnswersHalfClosed: a client that has said that it is done still gets its answer.
func AnswersHalfClosed(t *testing.T, flags ...string) {
	r := start(t, flags)
	for range 20 {
		client, behind := r.pair(t, 0)
		if _, err := io.WriteString(client, "question"); err != nil {
			t.Fatal(err)
		}
		client.CloseWrite()
		question, err := io.ReadAll(behind)
		if string(question) != "question" || err != nil {
			t.Fatalf("got %q, %v", question, err)
		}
		if _, err := io.WriteString(behind, "answer"); err != nil {
			t.Fatal(err)
		}
		behind.Close()
		if answer, err := io.ReadAll(client); string(answer) != "answer" || err != nil {
			t.Fatalf("got %q, %v", answer, err)
		}
	}
}

// WithoutServer: a client whose server is not there is closed.
func WithoutServer(t *testing.T, flags ...string) {
	r := start(t, flags)
	r.server.Close()
	c, err := net.DialTimeout("tcp", r.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v; want the end", n, err)
	}
}

// expect reads what must come.
func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func (r *relay) descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.process.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

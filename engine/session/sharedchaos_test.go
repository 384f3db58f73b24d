package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/upstream"
)

// chaosTime is how long TestSharedChaos goes on, at least; chaosLeast is how many logins and answers there
// must have been by then.
const (
	chaosTime  = 2 * time.Second
	chaosLeast = 20
)

// guestAtWork is a client that asks, and is told what it has asked for, or loses its connection.
type guestAtWork struct {
	net.Conn
	r   *bufio.Reader
	key string
	id  int
	n   int
}

// arrive logs a client in.
func arrive(addr string, id int) (*guestAtWork, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	body := fmt.Sprintf("\x00\x03\x00\x00user\x00alice\x00application_name\x00%d\x00\x00", id)
	_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...))
	g := &guestAtWork{Conn: c, r: bufio.NewReader(c), id: id}
	for {
		kind, body, err := readMessage(g.r)
		switch {
		case err != nil || kind == 'E':
			c.Close()
			return nil, fmt.Errorf("login: %q, %w", body, err)
		case kind == 'K':
			g.key = body
		case kind == 'Z':
			return g, nil
		}
	}
}

// ask sends a few queries at once and reads the answers.
func (g *guestAtWork) ask(count int) error {
	var all []byte
	first := g.n
	for range count {
		all = append(all, message('Q', fmt.Sprintf("echo %d/%d\x00", g.id, g.n))...)
		g.n++
	}
	if _, err := g.Write(all); err != nil {
		return err
	}
	for i := first; i < g.n; i++ {
		for {
			kind, body, err := readMessage(g.r)
			if err != nil {
				return err
			}
			if kind == 'Z' {
				break
			}
			if kind == 'E' {
				return fmt.Errorf("%q", body)
			}
			if want := fmt.Sprintf("echo %d/%d\x00", g.id, i); body != want {
				panic(fmt.Sprintf("got %c %q, want %q", kind, body, want))
			}
		}
	}
	return nil
}

// plain sends one query and reads its answer.
func (g *guestAtWork) plain(sql string) error {
	if _, err := g.Write(message('Q', sql+"\x00")); err != nil {
		return err
	}
	for {
		kind, body, err := readMessage(g.r)
		switch {
		case err != nil:
			return err
		case kind == 'E':
			return fmt.Errorf("%q", body)
		case kind == 'Z':
			return nil
		}
	}
}

// work is a client's life: now and then it goes, politely or in the middle of something.
func (g *guestAtWork) work(addr string) (err error) {
	defer g.Close()
	for err == nil {
		_ = g.SetDeadline(time.Now().Add(patience))
		switch rand.IntN(12) {
		case 0:
			_, err = g.Write(message('X', ""))
			return err
		case 1:
			_, err = g.Write([]byte(string(message('Q', "begin\x00")) + string(message('Q', "echo and gone\x00"))))
			return err
		case 2:
			_, err = g.Write([]byte("Q\x00\x00\x01\x00ec"))
			return err
		case 3:
			err = cancelBy(addr, g.key)
		case 4, 5:
			if err = g.plain("begin"); err == nil {
				err = g.ask(1 + rand.IntN(3))
			}
			if err == nil {
				err = g.plain("commit")
			}
		default:
			err = g.ask(1 + rand.IntN(3))
		}
	}
	return err
}

// cancelBy sends a cancel request.
func cancelBy(addr, key string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write(append([]byte("\x00\x00\x00\x10\x04\xd2\x16\x2e"), key...))
	return err
}

// TestSharedChaos: clients come, ask and go while servers crash and operators give orders. Each is told
// what it has asked for or loses its connection, and when all have gone nothing is left of them.
func TestSharedChaos(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startFunnel(t, func(s *Setup) {
		s.Frontends[0].Sharing = trusting(4)
		s.Frontends[0].Sharing.Pool.CheckAfter = time.Millisecond
		s.Clusters[0].Health.Interval = 20 * time.Millisecond
	}, a, b)
	addr, over := s.addr("in"), make(chan struct{})
	var all sync.WaitGroup
	var answered, lost, logins atomic.Int64
	for id := range 40 {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				g, err := arrive(addr, id)
				if err != nil {
					if strings.Contains(err.Error(), "timeout") {
						t.Error(err)
					}
					lost.Add(1)
					continue
				}
				logins.Add(1)
				if err := g.work(addr); err != nil && strings.Contains(err.Error(), "timeout") {
					t.Errorf("client %d waits for ever: %v", id, err)
				}
				answered.Add(int64(g.n))
			}
		})
	}
	begun := time.Now()
	enough := func() bool { return logins.Load() >= chaosLeast && answered.Load() >= chaosLeast }
	for time.Since(begun) < chaosTime || !enough() && time.Since(begun) < patience {
		switch rand.IntN(8) {
		case 0:
			a.cutAll()
		case 1:
			b.cutAll()
		case 2:
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_ = s.Pause(ctx, "")
			cancel()
			_ = s.Resume("")
		case 3:
			_ = s.Reconnect("")
		case 4:
			_ = s.Kill("")
			_ = s.Resume("")
		case 5:
			s.setup.Frontends[0].Sharing = trusting(1 + rand.IntN(24)) // the larger ones on both loops
			s.apply()
		case 6:
			s.setup.Clusters[0].Backends = [][]upstream.Spec{specs(a), specs(b), specs(a, b)}[rand.IntN(3)]
			s.apply()
		case 7:
			time.Sleep(10 * time.Millisecond) // some peace
		}
	}
	close(over)
	all.Wait()
	t.Logf("%d logins, %d refused, %d answers", logins.Load(), lost.Load(), answered.Load())
	if !enough() {
		t.Error("too little has happened")
	}
	s.expectCalm()
}

package engine

import (
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// churner treats its connections badly: it writes, pauses, resumes and ends them by the dice.
type churner struct {
	dice   *rand.Rand
	conns  map[*Conn]bool // OnOpen came and OnClose did not
	ended  int
	cfg    *tls.Config
	inside bool
	t      *testing.T
}

// call checks that handlers are not nested, then rolls the dice for what to do with some connection.
func (h *churner) call(c *Conn) {
	if h.inside {
		h.t.Error("a handler was called inside another's call")
	}
	h.inside = true
	defer func() { h.inside = false }()
	if !h.conns[c] {
		h.t.Error("a call without OnOpen, or after OnClose")
	}
	if h.dice.IntN(2) == 0 {
		for c = range h.conns { // any
			break
		}
	}
	switch h.dice.IntN(12) {
	case 0:
		c.Close()
	case 1:
		c.CloseFlushed()
	case 2, 3:
		c.PauseReads()
		c.loop.Run(c.ResumeReads)
	case 4:
		c.ResumeReads()
	case 5:
		c.Write(make([]byte, h.dice.IntN(1<<20)))
	case 6:
		if c.tls == nil {
			c.StartTLS(h.cfg, h.dice.IntN(2) == 0, nil, time.Second, func(err error) {
				if err != nil {
					c.Close()
				}
			})
		}
	default:
		c.Write(make([]byte, h.dice.IntN(1000)))
	}
}

func (h *churner) OnOpen(c *Conn) {
	h.conns[c] = true
	h.call(c)
}

func (h *churner) OnData(c *Conn, p []byte) {
	if c.Paused() || len(p) == 0 {
		h.t.Errorf("OnData with %d bytes, paused %t", len(p), c.Paused())
	}
	h.call(c)
}

func (h *churner) OnRoom(c *Conn) {
	if c.Full() {
		h.t.Error("OnRoom while full")
	}
	h.call(c)
}

func (h *churner) OnClose(c *Conn, _ error) {
	h.call(c)
	delete(h.conns, c)
	h.ended++
}

// TestChurn has some hundred peers that send, read, stop reading, shake hands, send garbage, go and
// reset by the dice meet handlers of the same kind. Nothing is left of them.
func TestChurn(t *testing.T) {
	const peers, each = 8, 40
	files := openFiles(t)
	e := start(t, Options{Loops: 2, HighWater: 64 << 10})
	var handlers []*churner
	for i := range e.Loops() {
		handlers = append(handlers, &churner{dice: rand.New(rand.NewPCG(1, uint64(i))), t: t,
			conns: map[*Conn]bool{}, cfg: testConfig(t, 0)})
	}
	var wg sync.WaitGroup
	for peer := range peers {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(2, uint64(peer)))
			for range each {
				near, far := loopback(t)
				i := dice.IntN(2)
				e.Loops()[i].Enroll(near, handlers[i], func(err error) { t.Error(err) })
				misbehave(dice, far)
			}
		})
	}
	wg.Wait()
	ended := 0
	for i, l := range e.Loops() {
		until(t, "no connection is counted", func() bool { return l.Conns() == 0 })
		untilOn(t, l, "no timer is armed", func() bool { return l.Counts().Timers == 0 && l.Counts().Full == 0 })
		on(t, l, func() { ended += handlers[i].ended })
	}
	if ended != peers*each {
		t.Errorf("%d connections of %d were told of their end", ended, peers*each)
	}
	until(t, "the handshakes' goroutines have ended", func() bool { return handshakes() == 0 })
	e.Stop()
	until(t, "the descriptors are closed", func() bool { return openFiles(t) <= files })
}

// misbehave is one peer's life.
func misbehave(dice *rand.Rand, far *net.TCPConn) {
	defer far.Close()
	_ = far.SetDeadline(time.Now().Add(time.Second)) // nobody may be reading
	for range dice.IntN(20) {
		switch dice.IntN(6) {
		case 0:
			_ = far.CloseWrite()
		case 1:
			_ = far.SetLinger(0)
			return
		case 2:
			_, _ = io.CopyN(io.Discard, far, int64(dice.IntN(100)))
		default:
			if _, err := far.Write(make([]byte, dice.IntN(100_000))); err != nil {
				return
			}
		}
	}
}

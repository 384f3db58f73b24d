package engine

import (
	"bytes"
	"io"
	"testing"
)

// TestRoom fills a connection above its high water mark: it is Full until the bytes have fallen to the
// low one, OnRoom comes once, and the looks at a client that sleeps become rare.
func TestRoom(t *testing.T) {
	opt := Options{Loops: 1, HighWater: 100_000, LowWater: 20_000}
	l := start(t, opt).Loops()[0]
	rooms := 0
	c, far := connect(t, l, hooks{room: func(c *Conn) {
		if rooms++; c.Full() || c.Buffered() > opt.LowWater {
			t.Errorf("OnRoom with full %t and %d bytes", c.Full(), c.Buffered())
		}
	}})
	for round := 1; round <= 3; round++ {
		sent := 0
		on(t, l, func() {
			sent = fill(c)
			p := make([]byte, 1000)
			for !c.Full() {
				if c.Buffered() > opt.HighWater+len(p) {
					t.Errorf("not full with %d bytes", c.Buffered())
					break
				}
				c.Write(p)
				sent += len(p)
			}
			if c.Buffered() <= opt.HighWater {
				t.Errorf("full with %d bytes", c.Buffered())
			}
			if n := l.Counts().Full; n != 1 {
				t.Errorf("%d connections are counted as full", n)
			}
		})
		untilOn(t, l, "the looks are rare", func() bool { return l.delay == scanMax })
		on(t, l, func() {
			if rooms != round-1 || !c.Full() {
				t.Errorf("OnRoom came %d times, full %t, before the client read", rooms, c.Full())
			}
		})
		if _, err := io.CopyN(io.Discard, far, int64(sent)); err != nil {
			t.Fatal(err)
		}
		untilOn(t, l, "there is room", func() bool { return !c.Full() })
		on(t, l, func() {
			if rooms != round || l.Counts().Full != 0 {
				t.Errorf("OnRoom came %d times in %d rounds; %d are full", rooms, round, l.Counts().Full)
			}
		})
	}
}

// TestRoomInOnRoom writes from OnRoom until the connection is full again, many times over: it goes on
// being looked at, and the last OnRoom may end the connection.
func TestRoomInOnRoom(t *testing.T) {
	const rounds = 30
	l := one(t)
	closed := make(chan error, 1)
	sent, rooms := 0, 0
	again := func(c *Conn) {
		for p := bytes.Repeat([]byte{'y'}, 64<<10); !c.Full(); sent += len(p) {
			c.Write(p)
		}
	}
	c, far := connect(t, l, hooks{
		room: func(c *Conn) {
			if rooms++; rooms == rounds {
				c.CloseFlushed()
				return
			}
			again(c)
		},
		close: func(_ *Conn, err error) { closed <- err },
	})
	on(t, l, func() { again(c) })
	n, err := io.Copy(io.Discard, far)
	if err != nil {
		t.Fatal(err)
	}
	far.Close()
	if err := await(t, closed, "OnClose"); err != nil {
		t.Errorf("OnClose got %v", err)
	}
	on(t, l, func() {
		if int(n) != sent || rooms != rounds {
			t.Errorf("%d bytes of %d arrived, OnRoom came %d times", n, sent, rooms)
		}
		if l.Counts().Full != 0 || len(l.watched) != 0 {
			t.Error("a connection that has ended is looked at")
		}
	})
}

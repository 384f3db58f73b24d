package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mask reads from the kernel which events gnet's poller waits for on a descriptor.
func mask(t testing.TB, ep, fd int) (events uint32) {
	t.Helper()
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", ep))
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(info)) {
		var got int
		var data uint64
		if n, _ := fmt.Sscanf(line, "tfd: %d events: %x data: %x", &got, &events, &data); n == 3 && got == fd {
			if int(int32(data)) != fd {
				t.Errorf("gnet registers descriptor %d with data %#x: events would go astray", fd, data)
			}
			return events &^ (unix.EPOLLERR | unix.EPOLLHUP) // these come always
		}
	}
	t.Errorf("poller %d does not know descriptor %d", ep, fd)
	return 0
}

// wantMask checks the interest in a connection's events. Only on its loop.
func wantMask(t testing.TB, c *Conn, want uint32, when string) {
	t.Helper()
	if got := mask(t, c.loop.epfd, c.fd); got != want {
		t.Errorf("%s: the mask is %#x, want %#x", when, got, want)
	}
}

// TestMasks holds the masks against those that gnet sets by itself: on a connection that is new, one
// whose bytes are buffered, and one whose bytes have left.
func TestMasks(t *testing.T) {
	l := one(t)
	c, far := connect(t, l, hooks{})
	on(t, l, func() {
		wantMask(t, c, readMask, "new")
		c.PauseReads()
		wantMask(t, c, 0, "paused")
		c.ResumeReads()
		wantMask(t, c, readMask, "resumed")

		fill(c)
		wantMask(t, c, readMask|writeMask, "gnet's own, with bytes buffered")
		c.PauseReads()
		wantMask(t, c, writeMask, "paused with bytes buffered")
		c.ResumeReads()
		wantMask(t, c, readMask|writeMask, "resumed with bytes buffered")
	})
	go io.Copy(io.Discard, far)
	untilOn(t, l, "all is sent", func() bool { return c.Buffered() == 0 })
	on(t, l, func() { wantMask(t, c, readMask, "gnet's own, when all is sent") })
}

// fill writes to a connection that nobody reads until bytes are buffered.
func fill(c *Conn) (n int) {
	p := bytes.Repeat([]byte{'x'}, 64<<10)
	for c.Buffered() == 0 {
		c.Write(p)
		n += len(p)
	}
	return n
}

// TestWritePaused writes more than the kernel takes to a connection that is paused: gnet arms reading
// along with writing, and is set right.
func TestWritePaused(t *testing.T) {
	l := one(t)
	c, _ := connect(t, l, hooks{})
	on(t, l, func() {
		c.PauseReads()
		fill(c)
		wantMask(t, c, writeMask, "written to while paused")
	})
}

// TestPauseHoldsWhenDrained has a paused connection's buffered bytes leave again and again while its
// peer sends as fast as it can: each time gnet arms reading by itself. At most one read buffer may be
// taken from the peer, however often it happens, and all of it is there in the end.
func TestPauseHoldsWhenDrained(t *testing.T) {
	const rounds = 20
	l := one(t)
	var got, sent int
	c, far := connect(t, l, hooks{data: func(_ *Conn, p []byte) { got += len(p) }})
	stop := make(chan struct{})
	sender := make(chan int, 1)
	on(t, l, func() { c.PauseReads() })
	go func() {
		n := 0
		defer func() { sender <- n }()
		p := bytes.Repeat([]byte{'s'}, 32<<10)
		for {
			select {
			case <-stop:
				return
			default:
			}
			k, err := far.Write(p)
			if n += k; err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for range rounds {
		on(t, l, func() { sent += fill(c) })
		if _, err := io.CopyN(io.Discard, far, int64(sent)); err != nil {
			t.Fatal(err)
		}
		sent = 0
		untilOn(t, l, "all is sent", func() bool { return c.Buffered() == 0 })
		on(t, l, func() {
			if n := c.gc.InboundBuffered(); n > 64<<10 {
				t.Errorf("%d bytes were read in a pause", n)
			}
			if got != 0 {
				t.Error("OnData came in a pause")
			}
		})
	}
	close(stop)
	on(t, l, func() { c.ResumeReads() })
	total := await(t, sender, "the sender")
	untilOn(t, l, "all is read", func() bool { return got >= total })
	on(t, l, func() {
		if got != total {
			t.Errorf("%d bytes arrived of %d", got, total)
		}
		wantMask(t, c, readMask, "at the end")
	})
}

// TestPauseInOnData pauses from inside OnData, resumes, and pauses again before the loop gets to it:
// what comes is never handed over in a pause, never empty, and complete.
func TestPauseInOnData(t *testing.T) {
	l := one(t)
	var got bytes.Buffer
	c, far := connect(t, l, hooks{data: func(c *Conn, p []byte) {
		if c.Paused() || len(p) == 0 {
			t.Errorf("OnData with %d bytes, paused %t", len(p), c.Paused())
		}
		got.Write(p)
		c.PauseReads()
	}})
	want := bytes.Repeat([]byte("abcdefgh"), 50_000)
	go far.Write(want)
	untilOn(t, l, "all is read", func() bool {
		c.ResumeReads()
		c.PauseReads()
		c.ResumeReads()
		return got.Len() >= len(want)
	})
	on(t, l, func() {
		if !bytes.Equal(got.Bytes(), want) {
			t.Error("the bytes were changed on their way")
		}
	})
}

// TestPauseAndEnd has the peer of a paused connection go: a RST is noticed at once, a FIN when reading
// goes on, behind the bytes that came before it.
func TestPauseAndEnd(t *testing.T) {
	t.Run("RST", func(t *testing.T) {
		l := one(t)
		closed := make(chan error, 1)
		c, far := connect(t, l, hooks{close: func(_ *Conn, err error) { closed <- err }})
		on(t, l, func() { c.PauseReads() })
		reset(t, far)
		if err := await(t, closed, "OnClose"); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("OnClose got %v", err)
		}
	})
	t.Run("FIN", func(t *testing.T) {
		l := one(t)
		closed := make(chan error, 1)
		var got []byte
		c, far := connect(t, l, hooks{
			data:  func(_ *Conn, p []byte) { got = append(got, p...) },
			close: func(_ *Conn, err error) { closed <- err },
		})
		on(t, l, func() { c.PauseReads() })
		if _, err := far.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		far.Close()
		untilOn(t, l, "the FIN is here", func() bool { return tcpState(t, c.fd) == unix.BPF_TCP_CLOSE_WAIT })
		turns := uint64(0)
		on(t, l, func() { turns = l.Counts().Turns })
		on(t, l, func() {
			if n := l.Counts().Turns - turns; n > 1 {
				t.Errorf("%d turns for a FIN that nobody wants to see", n)
			}
			if len(closed) > 0 || len(got) > 0 {
				t.Error("the end, or bytes, came in a pause")
			}
			c.ResumeReads()
		})
		if err := await(t, closed, "OnClose"); !errors.Is(err, io.EOF) {
			t.Errorf("OnClose got %v", err)
		}
		on(t, l, func() {
			if string(got) != "last words" {
				t.Errorf("got %q before the end", got)
			}
		})
	})
}

// tcpState is the kernel's state of a TCP connection.
func tcpState(t testing.TB, fd int) uint8 {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Error(err)
		return 0
	}
	return info.State
}

// TestUrgentByte has a client send TCP's urgent data, which wakes gnet by EPOLLPRI: the loop does not
// spin on it.
func TestUrgentByte(t *testing.T) {
	l := one(t)
	got := make(chan string, 8)
	_, far := connect(t, l, hooks{data: func(_ *Conn, p []byte) { got <- string(p) }})
	raw, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		err = unix.Send(int(fd), []byte("!"), unix.MSG_OOB)
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("calm")); err != nil {
		t.Fatal(err)
	}
	if s := await(t, got, "the bytes behind"); s != "calm" {
		t.Errorf("got %q", s)
	}
	var before, after uint64
	on(t, l, func() { before = l.Counts().Turns })
	on(t, l, func() { after = l.Counts().Turns })
	if after-before > 2 {
		t.Errorf("%d turns while nothing happened", after-before)
	}
}

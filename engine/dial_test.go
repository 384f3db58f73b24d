package engine

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// outcome is what a Dial or an Enroll came to.
type outcome struct {
	c   *Conn
	err error
}

// dial dials on the loop; the channel has what came of it.
func dial(l *Loop, addr string, timeout time.Duration) (<-chan outcome, context.CancelFunc) {
	ch := make(chan outcome, 2)
	h := &hooks{open: func(c *Conn) { ch <- outcome{c: c} }}
	stop := l.Dial(addr, SocketOptions{KeepAlive: time.Minute, UserTimeout: 30 * time.Second}, timeout, h,
		func(err error) { ch <- outcome{err: err} })
	return ch, stop
}

// TestDial connects, with the options set, and is counted until its end.
func TestDial(t *testing.T) {
	l := one(t)
	accepted := make(chan net.Conn, 1)
	ln, err := Listen("127.0.0.1:0", ListenOptions{}, func(nc net.Conn) { accepted <- nc })
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ch, stop := dial(l, ln.Addr().String(), patience)
	o := await(t, ch, "the connection")
	if o.err != nil {
		t.Fatal(o.err)
	}
	stop() // too late: nothing happens
	on(t, l, func() {
		for _, opt := range []struct {
			name             string
			level, opt, want int
		}{
			{"keep-alive", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{"keep-alive time", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60},
			{"keep-alive probes", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes},
			{"user time-out", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000},
			{"no delay", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		} {
			if got, err := unix.GetsockoptInt(o.c.fd, opt.level, opt.opt); err != nil || got != opt.want {
				t.Errorf("%s is %d, %v; want %d", opt.name, got, err, opt.want)
			}
		}
		if got, want := o.c.RemoteAddr().String(), ln.Addr().String(); got != want {
			t.Errorf("RemoteAddr() = %s, want %s", got, want)
		}
	})
	if l.Conns() != 1 {
		t.Errorf("%d connections are counted", l.Conns())
	}
	await(t, accepted, "the client").Close()
	until(t, "no connection is counted", func() bool { return l.Conns() == 0 })
}

// TestDialFailures dials where nobody answers: failed comes on the loop, once, and nothing is counted.
func TestDialFailures(t *testing.T) {
	refusing := refusingAddr(t)
	silent := silentAddr(t)
	tests := []struct {
		name, addr string
		timeout    time.Duration
		stop       bool
		want       error
	}{
		{"refused", refusing, patience, false, unix.ECONNREFUSED},
		{"nonsense", "no-port", patience, false, nil},
		{"time-out", silent, 50 * time.Millisecond, false, os.ErrDeadlineExceeded},
		{"no time at all", silent, 0, false, os.ErrDeadlineExceeded},
		{"stopped", silent, patience, true, context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := one(t)
			ch, stop := dial(l, tt.addr, tt.timeout)
			if tt.stop {
				stop()
				stop()
			}
			o := await(t, ch, "failed")
			if o.err == nil {
				t.Fatal("connected")
			}
			var timeout net.Error
			switch {
			case tt.want == os.ErrDeadlineExceeded:
				if !errors.As(o.err, &timeout) || !timeout.Timeout() {
					t.Errorf("failed got %v, want a time-out", o.err)
				}
			case tt.want == context.Canceled:
				if errors.As(o.err, &timeout) && timeout.Timeout() {
					t.Errorf("failed got %v, want that it was stopped", o.err)
				}
			case tt.want != nil && !errors.Is(o.err, tt.want):
				t.Errorf("failed got %v, want %v", o.err, tt.want)
			}
			on(t, l, func() {})
			if len(ch) > 0 || l.Conns() != 0 {
				t.Errorf("%d more calls, %d connections counted", len(ch), l.Conns())
			}
		})
	}
}

// refusingAddr is an address at which nobody listens.
func refusingAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// silentAddr is an address at which the kernel's queue is full, so that a dial gets no answer.
func silentAddr(t *testing.T) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	until(t, "the first client fills the queue", func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	})
	return addr.String()
}

// TestDialAndStop stops an engine while dials are under way: they end at once, and nothing is called
// any more.
func TestDialAndStop(t *testing.T) {
	silent := silentAddr(t)
	e, err := Start(Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	l := e.Loops()[0]
	ch, stop := dial(l, silent, time.Hour)
	defer stop()
	e.Stop()
	until(t, "the dial has ended", func() bool { return l.Conns() == 0 })
	settle(t)
	if len(ch) > 0 {
		t.Error("Dial called back after Stop")
	}
}

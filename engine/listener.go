package engine

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ListenOptions of a Listener.
type ListenOptions struct {
	ReusePort bool // other processes may listen at the same address (SO_REUSEPORT)
	IPv6Only  bool // an IPv6 wildcard address does not take IPv4 clients
	Backlog   int  // length of the kernel's queue of clients; 0 = the system's greatest
	// Failed, if it is not nil, is told why no connection can be accepted, at most once a minute, on the
	// listener's goroutine.
	Failed func(error)
}

// Listener accepts connections on a goroutine of its own: gnet's own listeners end the whole engine at
// an accept error, and none can be added or removed while it runs.
type Listener struct {
	ln     net.Listener
	accept func(net.Conn)
	failed func(error)
	pauses atomic.Uint64
	once   sync.Once
	closed chan struct{} // Close was called
	done   chan struct{} // the goroutine has ended
}

// acceptPauseMin and acceptPauseMax bound the time that accepting rests after an error, such as that
// descriptors or memory have run out; it doubles from one failure to the next.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// acceptTold is the least time between two failures to accept that are told.
const acceptTold = time.Minute

// Listen opens a listening socket at addr ("host:port") and calls accept, on the listener's goroutine,
// for each connection. accept takes the connection over and must not block.
func Listen(addr string, opt ListenOptions, accept func(net.Conn)) (*Listener, error) {
	network := "tcp"
	if opt.IPv6Only {
		network = "tcp6"
	}
	lc := net.ListenConfig{
		KeepAlive: -1, // set for each connection by who takes it
		Control: func(_, _ string, raw syscall.RawConn) error {
			return listenControl(raw, opt)
		},
	}
	lc.SetMultipathTCP(false) // on by default in Go; its sockets are slower and know fewer options
	ln, err := lc.Listen(context.Background(), network, addr)
	if err != nil {
		return nil, err
	}
	l := &Listener{ln: ln, accept: accept, failed: opt.Failed,
		closed: make(chan struct{}), done: make(chan struct{})}
	if opt.Backlog > 0 {
		if err := l.SetBacklog(opt.Backlog); err != nil {
			_ = ln.Close()
			return nil, err
		}
	}
	go l.run()
	return l, nil
}

// listenControl sets options before the socket is bound.
func listenControl(raw syscall.RawConn, opt ListenOptions) error {
	if !opt.ReusePort {
		return nil
	}
	var err error
	ctl := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if ctl != nil {
		return ctl
	}
	return err
}

// SetBacklog changes the length of the kernel's queue of clients: listen(2) may be called again. 0 is
// the system's greatest.
func (l *Listener) SetBacklog(n int) error {
	if n <= 0 {
		n = math.MaxInt32
	}
	raw, err := l.ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	var listen error
	if err := raw.Control(func(fd uintptr) { listen = unix.Listen(int(fd), n) }); err != nil {
		return err
	}
	return listen
}

// run accepts until the listener is closed. After an error it rests and goes on; the clients wait in
// the kernel's queue. Go deals by itself with connections that were given up while they were queued.
func (l *Listener) run() {
	defer close(l.done)
	pause := acceptPauseMin
	var told time.Time
	for {
		nc, err := l.ln.Accept()
		switch {
		case err == nil:
			pause = acceptPauseMin
			l.accept(nc)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		l.pauses.Add(1)
		if now := time.Now(); l.failed != nil && now.Sub(told) >= acceptTold {
			told = now
			l.failed(err)
		}
		select {
		case <-l.closed:
		case <-time.After(pause):
		}
		pause = min(2*pause, acceptPauseMax)
	}
}

// Addr is the address that is listened at, with the port that was chosen if it was 0.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Pauses counts how often accepting rested after an error.
func (l *Listener) Pauses() uint64 { return l.pauses.Load() }

// Close stops accepting and returns when accept will not be called any more. Connections that the
// kernel had queued are reset.
func (l *Listener) Close() {
	l.once.Do(func() {
		close(l.closed)
		_ = l.ln.Close()
	})
	<-l.done
}

// RaiseFileLimit raises the limit of open descriptors to the hard limit and returns it.
func RaiseFileLimit() (uint64, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, err
	}
	if was := lim.Cur; was < lim.Max {
		lim.Cur = lim.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
			return was, err
		}
	}
	return lim.Cur, nil
}

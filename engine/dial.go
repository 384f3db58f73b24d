package engine

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/pool/goroutine"
	"golang.org/x/sys/unix"
)

// SocketOptions are set on a TCP socket when it is opened.
type SocketOptions struct {
	// KeepAlive is the idle time after which TCP keep-alive probes are sent, and the time between
	// them. 0: none.
	KeepAlive time.Duration
	// UserTimeout bounds how long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT, tcp(7)).
	// 0: the system's default.
	UserTimeout time.Duration
}

// keepAliveProbes is how many keep-alive probes go unanswered before a connection is given up.
const keepAliveProbes = 3

// config is what Go's net package does of it.
func (o SocketOptions) config() net.KeepAliveConfig {
	return net.KeepAliveConfig{
		Enable: o.KeepAlive > 0, Idle: o.KeepAlive, Interval: o.KeepAlive, Count: keepAliveProbes,
	}
}

// control sets what Go's net package does not know.
func (o SocketOptions) control(raw syscall.RawConn) error {
	if o.UserTimeout <= 0 {
		return nil
	}
	var err error
	ctl := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT,
			int(o.UserTimeout/time.Millisecond))
	})
	if ctl != nil {
		return ctl
	}
	return err
}

// Dial connects to addr ("host:port") and puts the connection on the loop: h.OnOpen follows there. If
// it fails, or takes longer than timeout, failed is called on the loop. stop ends a dial that is under
// way; failed then follows too, unless the connection was made first. The engine's Stop ends it too,
// and nothing follows.
func (l *Loop) Dial(addr string, opt SocketOptions, timeout time.Duration, h Handler,
	failed func(error)) (stop context.CancelFunc) {
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	l.conns.Add(1)
	reuse(func() {
		defer cancel()
		d := net.Dialer{KeepAlive: -1, KeepAliveConfig: opt.config(),
			Control: func(_, _ string, raw syscall.RawConn) error { return opt.control(raw) }}
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			l.conns.Add(-1)
			l.Run(func() { failed(err) })
			return
		}
		l.enroll(nc, h, func(err error) { l.Run(func() { failed(err) }) })
	})
	return cancel
}

// reuse runs f on a goroutine of gnet's pool: dialling takes a deep stack, which a new goroutine would
// have to grow each time.
func reuse(f func()) {
	if goroutine.DefaultWorkerPool.Submit(f) != nil {
		go f()
	}
}

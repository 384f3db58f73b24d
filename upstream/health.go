package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/cloudwego/netpoll"

	"sluice/codec"
)

// jitter spreads the checks of many backends, and of many Sluices: each interval is up to this share
// longer or shorter.
const jitter = 0.1

// probeMax bounds, in bytes, what a backend may say in one health check.
const probeMax = 64 << 10

// checkGap is the least time between two checks of one backend. A backend that sessions have just lost
// is checked at once, but a thousand sessions that lose it are no reason to check it a thousand times,
// nor may they use up its Fall within a few milliseconds.
const checkGap = 250 * time.Millisecond

// check checks b for as long as it belongs to the cluster.
func (c *Cluster) check(b *Backend) {
	row := 0 // results in a row that speak for a change
	for {
		opt := c.Options()
		p := opt.Protocol.NewProbe(opt.Health.User)
		err := probe(b.ctx, b.addr, p, opt.Introduction(), opt.Health.Timeout)
		b.hear(p)
		if b.ctx.Err() != nil {
			return // and the result is that of a check cut short
		}
		row = c.judge(b, byGreeting, err, row)
		spread := 1 + jitter*(2*rand.Float64()-1)
		if !b.rest(time.Duration(float64(opt.Health.Interval)*spread), b.kick) {
			return
		}
	}
}

// rest waits until the next check is due: after d, or, once checkGap is over, when it is asked for by kick. It
// returns false if the backend has gone meanwhile.
func (b *Backend) rest(d time.Duration, kick <-chan struct{}) bool {
	gap := min(d, checkGap)
	timer := time.NewTimer(gap)
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return false
	case <-timer.C:
	}
	timer.Reset(d - gap)
	select {
	case <-b.ctx.Done():
		return false
	case <-kick:
	case <-timer.C:
	}
	return true
}

// Changed is when the backend's health changed last; zero if never.
func (b *Backend) Changed() time.Time {
	if n := b.changed.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// probe makes one health check. It is slow and blocking by nature, which is what netpoll is for: its
// connection brings the time-outs and a buffered reader. p nil means that a connect is enough. The end
// of ctx cuts the check short.
func probe(ctx context.Context, addr string, p codec.Probe, first []byte, timeout time.Duration) error {
	end := time.Now().Add(timeout)
	bounded, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if p == nil {
		return reach(bounded, addr, first)
	}
	conn, err := dial(bounded, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := send(conn, slices.Concat(first, p.Start())); err != nil {
		return err
	}
	return converse(conn, p, timeout, end)
}

// reach only connects. netpoll takes a server that closes at once for one that could not be reached.
func reach(ctx context.Context, addr string, first []byte) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		_, _ = conn.Write(first) // a server that has gone by then was there all the same
	}
	return conn.Close()
}

// converse lets p talk with the backend until it has its verdict.
func converse(conn netpoll.Connection, p codec.Probe, timeout time.Duration, end time.Time) error {
	for got := 0; got < probeMax; {
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("no answer within %v", timeout)
		}
		_ = conn.SetReadTimeout(left)
		r := conn.Reader()
		if _, err := r.Peek(1); err != nil {
			return err
		}
		bytes, err := r.Next(r.Len())
		if err != nil {
			return err
		}
		got += len(bytes)
		answer, done, err := p.Server(bytes)
		if sendErr := send(conn, answer); err == nil && !done {
			err = sendErr
		}
		if done || err != nil {
			return err
		}
	}
	return errors.New("the answer to a health check is too long")
}

// dial connects to addr. netpoll's own dialer gives the first address of a name all the time there is;
// here each address has its share, so that one that is dead does not hide one that lives.
func dial(ctx context.Context, addr string) (netpoll.Connection, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	for i, ip := range ips {
		var conn netpoll.Connection
		if conn, err = dialOne(ctx, ip, number, len(ips)-i); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// dialOne connects to one address within its share of the time that is left.
func dialOne(ctx context.Context, ip net.IPAddr, port, shares int) (netpoll.Connection, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(shares))
		defer cancel()
	}
	network := "tcp"
	if ip.IP.To4() == nil {
		network = "tcp6"
	}
	to := &netpoll.TCPAddr{TCPAddr: net.TCPAddr{IP: ip.IP, Port: port, Zone: ip.Zone}}
	conn, err := netpoll.DialTCP(ctx, network, nil, to)
	if errors.Is(err, netpoll.ErrConnClosed) {
		err = &net.OpError{Op: "dial", Net: network, Addr: to, Err: errNotAccepted} // netpoll v0.7.2 does not keep connect's error
	}
	if err != nil {
		return nil, err // not conn, which is a nil pointer in an interface that is not nil
	}
	return conn, nil
}

// errNotAccepted is what comes of a connect at whose address nobody listens, or that is ended at once.
var errNotAccepted = errors.New("the connection was refused")

// send writes p, if there is something in it.
func send(conn netpoll.Connection, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if !conn.IsActive() {
		return netpoll.ErrConnClosed // netpoll v0.7.2 panics in a write after the close
	}
	w := conn.Writer()
	if _, err := w.WriteBinary(p); err != nil {
		return err
	}
	return w.Flush()
}

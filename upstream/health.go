package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cloudwego/netpoll"
	"go.uber.org/zap"

	"sluice/codec"
)

// jitter spreads the checks of many backends, and of many Sluices: each interval is up to this share
// longer or shorter.
const jitter = 0.1

// probeMax bounds, in bytes, what a backend may say in one health check.
const probeMax = 64 << 10

// check checks b for as long as it belongs to the cluster.
func (c *Cluster) check(b *Backend) {
	row := 0 // results in a row that speak for a change
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-timer.C:
		case <-b.kick:
		}
		opt := c.Options()
		err := probe(b.addr, opt.Protocol.NewProbe(opt.Health.User), opt.Health.Timeout)
		row = c.judge(b, err, row)
		spread := 1 + jitter*(2*rand.Float64()-1)
		timer.Reset(time.Duration(float64(opt.Health.Interval) * spread))
	}
}

// judge takes the result of one check into b's state and returns the new length of the row.
func (c *Cluster) judge(b *Backend, err error, row int) int {
	b.checks.Add(1)
	opt := c.Options().Health
	is, need := Up, opt.Rise
	if err != nil {
		is, need = Down, opt.Fall
		b.failures.Add(1)
		text := err.Error()
		b.lastErr.Store(&text)
	}
	was := b.Health()
	if was == is {
		return 0
	}
	row++
	if was != Unknown && row < need {
		return row
	}
	b.health.Store(uint32(is))
	b.changed.Store(time.Now().UnixNano())
	switch {
	case is == Down:
		c.log.Warn("backend is down", zap.String("cluster", c.name), zap.String("backend", b.addr), zap.Error(err))
	case was == Down:
		c.log.Info("backend is up again", zap.String("cluster", c.name), zap.String("backend", b.addr))
	}
	return 0
}

// Changed is when the backend's health changed last; zero if never.
func (b *Backend) Changed() time.Time {
	if n := b.changed.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// probe makes one health check. It is slow and blocking by nature, which is what netpoll is for: its
// connection brings the time-outs and a buffered reader. p nil means that a connect is enough.
func probe(addr string, p codec.Probe, timeout time.Duration) (err error) {
	end := time.Now().Add(timeout)
	conn, err := netpoll.DialConnection("tcp", addr, timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if p == nil {
		return nil
	}
	if err := send(conn, p.Start()); err != nil {
		return err
	}
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

package tidb

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/upstream"
)

// Source is where the figures of a cluster's backends are read.
type Source uint8

const (
	Auto       Source = iota // at Prometheus, and at the status ports what it does not have
	Status                   // at the status ports
	Prometheus               // at Prometheus
)

// Metrics say how the figures of TiDB servers are read: an upstream.Metering. They are not changed once given.
type Metrics struct {
	Source     Source
	Prometheus string // base URL; "" = where PD says
	// Interval lies between two readings, and Timeout bounds one question.
	Interval, Timeout time.Duration
	// PD is where Prometheus is known and where it is settled who reads the status ports for all; nil: each Sluice
	// reads for itself.
	PD *PD
	// Cluster and Zone say for whom this Sluice would read: the cluster's name, and the zone where Sluice is.
	Cluster, Zone string
	// Peer is this Sluice's admin side as others can reach it; "" = they can't.
	Peer string
	// Token is what others show to Peer when they ask for figures; see Shows. They have it from PD.
	Token string
	Log   *zap.Logger
}

// Start begins to read.
func (o *Metrics) Start(c *upstream.Cluster) upstream.Meter {
	m := &Meter{c: c, opt: o, done: make(chan struct{}), busy: map[string]bool{}}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	go m.run(ctx)
	return m
}

func (o *Metrics) logger() *zap.Logger {
	if o.Log == nil {
		return zap.NewNop()
	}
	return o.Log
}

// same tells whether there is nothing to do for a change from o to p.
func (o *Metrics) same(p *Metrics) bool {
	a, b := *o, *p
	a.PD, b.PD, a.Log, b.Log = nil, nil, nil, nil
	if (o.PD == nil) != (p.PD == nil) || o.PD != nil && !o.PD.same(p.PD) {
		return false
	}
	return a == b
}

// Meter reads the figures of one cluster: it is the upstream.Meter of this package.
type Meter struct {
	c    *upstream.Cluster
	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	opt  *Metrics
	cut  context.CancelFunc // of what is done by these options
	busy map[string]bool    // backends that are being read
}

// Update goes on by other options. It is not called together with Close or itself.
func (m *Meter) Update(d upstream.Metering) bool {
	o, ok := d.(*Metrics)
	if !ok {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opt.same(o) {
		return true
	}
	m.opt = o
	if m.cut != nil {
		m.cut()
	}
	return true
}

// Close ends it, and waits for what is being read, which is cut short.
func (m *Meter) Close() {
	m.stop()
	<-m.done
}

// run reads by one configuration after the other.
func (m *Meter) run(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		now, opt := m.begin(ctx)
		r := newReader(m, opt)
		for now.Err() == nil {
			r.round(now)
			wait(now, time.Duration(float64(opt.Interval)*(1+jitter*(2*rand.Float64()-1))))
		}
		r.close()
	}
}

// jitter spreads the readings of many Sluices: an interval is up to this share longer or shorter.
const jitter = 0.1

func (m *Meter) begin(ctx context.Context) (context.Context, *Metrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut != nil {
		m.cut()
	}
	ctx, m.cut = context.WithCancel(ctx)
	return ctx, m.opt
}

// enter has a backend be read; false: it is.
func (m *Meter) enter(addr string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy[addr] {
		return false
	}
	m.busy[addr] = true
	return true
}

func (m *Meter) leave(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.busy, addr)
}

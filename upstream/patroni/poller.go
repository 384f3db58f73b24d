package patroni

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/upstream"
)

// Poller looks after one cluster: it is the upstream.Finder of this package. One goroutine polls; what it
// alone uses stands below it.
type Poller struct {
	finds upstream.Finds
	turn  *turn
	watch *watch // Update's and Close's
	stop  context.CancelFunc
	done  chan struct{}
	wake  chan struct{} // something of what follows has changed

	mu      sync.Mutex
	opt     *Options
	cut     context.CancelFunc // of the poll under way
	waiters []chan struct{}    // of Refresh: closed behind a poll that begins from now on
	now     bool               // the next poll is due
	hurried bool               // it is as soon as hurryGap allows
	status  upstream.FinderStatus

	inForce *View     // what was told last, without measured lags
	older   int       // polls in a row that spoke of an older timeline
	since   time.Time // the first of them
	began   time.Time
	doubt   bool          // something speaks for a change
	pause   time.Duration // until the next poll while there is something to wait for
	places  positions
	strange []oddity          // of the answer in force
	warned  map[string]string // what was warned of, by member
}

// Start begins to poll.
func (o *Options) Start(c upstream.Finds) upstream.Finder {
	p := &Poller{finds: c, opt: o, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	p.turn = newTurn(c)
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.listen(o)
	go p.run(ctx)
	return p
}

func (o *Options) logger() *zap.Logger {
	if o.Log == nil {
		return zap.NewNop()
	}
	return o.Log
}

// listen has etcd watched, if that is configured.
func (p *Poller) listen(o *Options) {
	if o.Etcd != nil {
		p.watch = watchEtcd(o.Etcd, o.logger(), p.turn, p.soon)
	}
}

// Update goes on by other options. A poll under way is cut short, as its answer may be another cluster's. It
// is not called together with Close or itself.
func (p *Poller) Update(d upstream.Discovery) bool {
	o, ok := d.(*Options)
	if !ok {
		return false
	}
	p.mu.Lock()
	was := p.opt
	p.opt = o
	if p.cut != nil {
		p.cut()
	}
	p.mu.Unlock()
	if !was.Etcd.same(o.Etcd) {
		p.watch.Close()
		p.watch = nil
		p.turn.deaf()
		p.listen(o)
	}
	p.soon()
	return true
}

// Refresh polls at once and returns when what was found has been told, or nothing was, or ctx ends. A poll
// that is under way does not count: what it has read may be older than the reason for this call.
func (p *Poller) Refresh(ctx context.Context) {
	told := make(chan struct{})
	p.mu.Lock()
	p.waiters = append(p.waiters, told)
	p.mu.Unlock()
	p.soon()
	select {
	case <-told:
	case <-ctx.Done():
	case <-p.done:
	}
}

// Hurry asks for a poll soon, and for some more behind it.
func (p *Poller) Hurry() {
	p.mu.Lock()
	p.hurried = true
	p.mu.Unlock()
	p.rouse()
}

// soon asks for a poll at once.
func (p *Poller) soon() {
	p.mu.Lock()
	p.now = true
	p.mu.Unlock()
	p.rouse()
}

func (p *Poller) rouse() {
	select {
	case p.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Status is how well it works.
func (p *Poller) Status() upstream.FinderStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Close ends it, and waits until nothing is told any more.
func (p *Poller) Close() {
	p.watch.Close()
	p.stop()
	<-p.done
	p.turn.close()
}

package tidb

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/upstream"
)

// Times of a Finder.
const (
	lookEvery = 10 * time.Second       // between two looks at the keys beside the watch, which a dead connection may hide
	hurryGap  = 250 * time.Millisecond // the least time between two looks that Hurry has asked for
)

// Finder follows the keys of one PD: it is the upstream.Finder of this package. One goroutine looks and tells; what
// it alone uses stands below it.
type Finder struct {
	finds upstream.Finds
	stop  context.CancelFunc
	done  chan struct{}
	wake  chan struct{} // waiters, or hurried, have changed

	mu      sync.Mutex
	opt     *Options
	cut     context.CancelFunc // of what is done by these options
	waiters []chan struct{}    // of Refresh: closed behind a look that begins from now on
	hurried bool
	status  upstream.FinderStatus

	asking  []chan struct{} // those of waiters whose look has begun
	book    *book
	told    bool              // members have been told of
	seen    int64             // etcd's revision that is known
	warned  map[string]string // what was warned of, by address
	said    sayings
	mourned bool      // it was said that PD does not tell
	began   time.Time // the last look
}

func start(o *Options, c upstream.Finds) *Finder {
	f := &Finder{finds: c, opt: o, done: make(chan struct{}), wake: make(chan struct{}, 1), book: newBook()}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background())
	go f.run(ctx)
	return f
}

// run serves one configuration after the other.
func (f *Finder) run(ctx context.Context) {
	defer close(f.done)
	var was *Options
	for ctx.Err() == nil {
		now, opt := f.begin(ctx)
		if was != nil && !slices.ContainsFunc(opt.PD.Addrs, func(a string) bool { return slices.Contains(was.PD.Addrs, a) }) {
			f.book = newBook() // another PD: what it does not know is not there, but for one that knows nobody
		}
		f.serve(now, opt)
		was = opt
	}
}

func (f *Finder) begin(ctx context.Context) (context.Context, *Options) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut != nil {
		f.cut()
	}
	ctx, f.cut = context.WithCancel(ctx)
	return ctx, f.opt
}

// serve follows the keys by one configuration until ctx ends. The client is kept over failures: it connects anew by
// itself, to any address.
func (f *Finder) serve(ctx context.Context, opt *Options) {
	client := opt.PD.connected(ctx, func(err error) { f.failed(err, opt) })
	if client == nil {
		return
	}
	defer client.Close()
	if opt.Register != nil {
		defer opt.Register.keep(ctx, client, opt)()
	}
	for again := againMin; ctx.Err() == nil; {
		f.began = time.Now()
		err := f.follow(ctx, opt, client)
		if ctx.Err() != nil {
			f.askAgain()
			return
		}
		f.failed(err, opt)
		if again = min(2*again, againMax); time.Since(f.began) > againMax {
			again = againMin
		}
		f.pause(ctx, again)
	}
}

// pause waits until the next try, or until somebody asks for a look.
func (f *Finder) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
			if f.due(f.began.Add(d)).IsZero() {
				return
			}
		}
	}
}

// due is when the next look is due: at the time given, or earlier; zero for at once.
func (f *Finder) due(at time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiters) > 0 {
		return time.Time{}
	}
	if soon := f.began.Add(hurryGap); f.hurried && soon.Before(at) {
		return soon
	}
	return at
}

// follow reads the keys and follows their changes until something fails.
func (f *Finder) follow(ctx context.Context, opt *Options, st store) error {
	if err := f.look(ctx, opt, st); err != nil {
		return err
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	since := []clientv3.OpOption{clientv3.WithRev(f.seen + 1), clientv3.WithFragment()}
	changes := watch(wctx, st, topology, since...)
	var ofKeyspaces <-chan clientv3.WatchResponse
	if opt.Keyspaces {
		ofKeyspaces = watch(wctx, st, keyspaces, since...)
	}
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			err = f.look(ctx, opt, st)
		case <-f.wake:
		case r, ok := <-changes:
			err = f.apply(opt, r, ok)
		case r, ok := <-ofKeyspaces:
			err = f.apply(opt, r, ok)
		}
		if err != nil {
			return err
		}
		timer.Reset(time.Until(f.due(f.began.Add(lookEvery))))
	}
}

// look reads the keys as they are.
func (f *Finder) look(ctx context.Context, opt *Options, st store) error {
	f.began = time.Now()
	f.ask()
	ctx, cancel := context.WithTimeout(ctx, opt.PD.Timeout)
	defer cancel()
	now := newBook()
	put := func(kv *mvccpb.KeyValue) { now.put(string(kv.Key), kv.Value) }
	rev, err := pages(ctx, st, topology, 0, put)
	if err == nil && opt.Keyspaces {
		_, err = pages(ctx, st, keyspaces, rev, put)
	}
	if err == nil {
		f.seen = rev
		f.book.renew(now)
		f.tell(opt)
		if ctx.Err() != context.Canceled { // else it was by options that are not in force any more
			f.answer()
		}
	}
	return err
}

// ask takes those who wait for a look: it begins.
func (f *Finder) ask() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking = append(f.asking, f.waiters...)
	f.waiters, f.hurried = nil, false
}

// askAgain has those whose look was cut short wait for the next one.
func (f *Finder) askAgain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiters = append(f.waiters, f.asking...)
	f.asking = nil
}

// answer tells those whose look is over.
func (f *Finder) answer() {
	for _, w := range f.asking {
		close(w)
	}
	f.asking = nil
}

// apply takes in what the watch tells. What a look has been ahead of is passed over.
func (f *Finder) apply(opt *Options, r clientv3.WatchResponse, ok bool) error {
	if !ok {
		return errors.New("the watch has ended")
	}
	if err := r.Err(); err != nil { // a compaction too: looking again repairs it
		return err
	}
	changed := false
	for _, e := range r.Events {
		if e.Kv.ModRevision <= f.seen {
			continue
		}
		var news bool
		if e.Type == clientv3.EventTypeDelete {
			news = f.book.drop(string(e.Kv.Key))
		} else {
			news = f.book.put(string(e.Kv.Key), e.Kv.Value)
		}
		changed = changed || news
	}
	if changed {
		f.tell(opt)
	}
	return nil
}

// errNobody is why what was known stays in force though PD answers.
var errNobody = errors.New("it tells of no TiDB server at all: those that were known stay")

// tell has what the book says in force. That all servers have gone is not believed: it would end every session, and
// their own health tells of them what PD does not.
func (f *Finder) tell(opt *Options) {
	members := f.book.members()
	if members == 0 && f.told {
		f.note(errNobody, opt)
		return
	}
	f.told = f.told || members > 0
	list := f.book.specs(opt, time.Now())
	f.warn(f.book.oddities(), opt)
	f.finds.Found(list)
	f.note(nil, opt)
}

// Update goes on by other options. It is not called together with Close or itself.
func (f *Finder) Update(d upstream.Discovery) bool {
	o, ok := d.(*Options)
	if !ok {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opt.same(o) {
		return true
	}
	f.opt = o
	if f.cut != nil {
		f.cut()
	}
	return true
}

// Refresh looks at once and returns when what was found has been told, or Status says that nothing was, or ctx ends.
func (f *Finder) Refresh(ctx context.Context) {
	told := make(chan struct{})
	f.mu.Lock()
	f.waiters = append(f.waiters, told)
	f.mu.Unlock()
	f.rouse()
	select {
	case <-told:
	case <-ctx.Done():
	case <-f.done:
	}
}

// Hurry asks for a look soon.
func (f *Finder) Hurry() {
	f.mu.Lock()
	f.hurried = true
	f.mu.Unlock()
	f.rouse()
}

func (f *Finder) rouse() {
	select {
	case f.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Status is how well it works.
func (f *Finder) Status() upstream.FinderStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Close ends it, and waits until nothing is told any more.
func (f *Finder) Close() {
	f.stop()
	<-f.done
}

package pool

import (
	"hash/fnv"
	"sync/atomic"
)

// Pool is the server connections with one Key. Its methods may be called from any goroutine.
type Pool struct {
	key   Key
	group *Group
	hash  uint32
	made  []*Part // by loop; each is touched on its loop alone

	// What follows is read by all loops all the time and written seldom.
	_       [64]byte
	opt     atomic.Pointer[settings]
	live    atomic.Pointer[[]*Part] // those that were made; replaced as a whole
	mode    atomic.Uint32           // paused, disabled, dropped
	epoch   atomic.Uint32           // counts Reconnect
	open    atomic.Int32            // entries opening, open or leaving, on all loops
	leaving atomic.Int32            // of these, those being closed
	opening atomic.Int32            // of these, those being opened
	retryAt atomic.Int64            // no opening before; 0: no failure since the last success
	refused atomic.Bool             // a cap is reached; no use to try before it is taken back
	yieldAt atomic.Int64            // not asked before to give way to another pool under the same cap
	failure atomic.Pointer[failure] // the last
	reason  atomic.Pointer[failure] // given to Disable
	_       [64]byte
}

// Modes of a pool; 0 is the usual one.
const (
	paused uint32 = 1 << iota
	disabled
	dropped
)

// failure is why connections can't be opened.
type failure struct {
	err   error
	at    int64 // when it was known
	delay int64 // after which it is tried again
}

// loopShare is the number of connections for which a pool takes one more loop.
const loopShare = 8

func newPool(g *Group, k Key, opt *Options) *Pool {
	h := fnv.New32a()
	for _, s := range []string{k.Listener, k.Backend, k.Database, k.User} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0})
	}
	p := &Pool{key: k, group: g, hash: h.Sum32(), made: make([]*Part, g.loops)}
	p.live.Store(&[]*Part{})
	p.opt.Store(p.settings(opt))
	return p
}

// Key returns the pool's key.
func (p *Pool) Key() Key { return p.key }

// Options returns those in force, with the defaults filled in. They are not to be changed.
func (p *Pool) Options() *Options { return &p.opt.Load().Options }

// SetOptions puts others in force. Connections above a smaller Size are closed as they come free.
func (p *Pool) SetOptions(o *Options) {
	p.opt.Store(p.settings(o))
	p.pokeAll()
}

func (p *Pool) settings(o *Options) *settings {
	s := &settings{Options: o.normal()}
	loops := p.group.loops
	for i := range min(max(s.Size/loopShare, 1), loops) {
		s.loops = append(s.loops, (int(p.hash)%loops+i)%loops)
	}
	return s
}

// Pause has every Get wait, and leaves idle what comes free, until Resume.
func (p *Pool) Pause() { p.mode.Or(paused) }

// Resume ends a pause.
func (p *Pool) Resume() {
	p.mode.And(^paused)
	p.pokeAll()
}

// Paused tells whether the pool is paused.
func (p *Pool) Paused() bool { return p.mode.Load()&paused != 0 }

// Reconnect has the connections whose opening began before closed as soon as they are free.
func (p *Pool) Reconnect() {
	p.epoch.Add(1)
	p.pokeAll()
}

// Retry ends the time in which no connection is opened after one that failed: the server is known to be back.
func (p *Pool) Retry() {
	p.group.mu.Lock()
	p.retryAt.Store(0)
	p.group.mu.Unlock()
	p.pokeAll()
}

// Disable lets every wait fail with err (ErrDisabled if it is nil) until Enable. Connections stay.
func (p *Pool) Disable(err error) {
	if err == nil {
		err = ErrDisabled
	}
	p.reason.Store(&failure{err: err})
	p.mode.Or(disabled)
	p.pokeAll()
}

// Enable ends what Disable began.
func (p *Pool) Enable() {
	p.mode.And(^disabled)
	p.pokeAll()
}

// Open is the number of server connections that are open, being opened or being closed, on all loops.
func (p *Pool) Open() int { return int(p.open.Load()) }

// Usable tells whether a wait has prospects at a time by Hooks.Now: the pool is neither disabled nor
// dropped, and it has connections or may try to open some.
func (p *Pool) Usable(now int64) bool {
	return p.mode.Load()&(disabled|dropped) == 0 && !p.hopeless(now)
}

// hopeless tells that there is no connection and none may be opened for now.
func (p *Pool) hopeless(now int64) bool { return now < p.retryAt.Load() && p.alive() == 0 }

// alive is the number of connections that serve, or are about to.
func (p *Pool) alive() int { return int(p.open.Load() - p.leaving.Load()) }

// Loops returns the loops on which the pool's users should live: one for each eight connections. It is
// not to be changed.
func (p *Pool) Loops() []int { return p.opt.Load().loops }

// Part returns the pool's part on a loop. It is called on that loop alone; h is taken the first time.
func (p *Pool) Part(loop int, h Hooks) *Part {
	if part := p.made[loop]; part != nil {
		return part
	}
	part := &Part{pool: p, loop: loop, h: h}
	part.settleFn = part.settle
	part.timerFn = part.timerFired
	p.made[loop] = part
	p.group.mu.Lock()
	live := append(append([]*Part(nil), *p.live.Load()...), part)
	p.live.Store(&live)
	p.group.mu.Unlock()
	part.poke()
	return part
}

// parts returns the parts that were made.
func (p *Pool) parts() []*Part { return *p.live.Load() }

// pokeAll has every part look at what has changed.
func (p *Pool) pokeAll() {
	for _, part := range p.parts() {
		part.poke()
	}
}

// pokeWaiting has those parts go on that wait for something, but for one.
func (p *Pool) pokeWaiting(but *Part) {
	all := p.alive() < p.opt.Load().Min
	for _, part := range p.parts() {
		if part != but && (all || part.line.since.Load() != 0) {
			part.poke()
		}
	}
}

// oldest is when the first waiter on all loops came, as far as it is known; 0 if nobody waits.
func (p *Pool) oldest() (since int64) {
	for _, part := range p.parts() {
		if s := part.line.since.Load(); s != 0 && (since == 0 || s < since) {
			since = s
		}
	}
	return since
}

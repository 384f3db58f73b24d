package pool

// Pool is the server connections with one Key. Its methods may be called from any goroutine.
type Pool struct{}

// Key returns the pool's key.
func (p *Pool) Key() Key { return Key{} }

// Options returns those in force.
func (p *Pool) Options() *Options { return nil }

// SetOptions puts others in force.
func (p *Pool) SetOptions(o *Options) {}

// Pause has every Get wait, and leaves idle what comes free, until Resume.
func (p *Pool) Pause() {}

// Resume ends a pause.
func (p *Pool) Resume() {}

// Paused tells whether the pool is paused.
func (p *Pool) Paused() bool { return false }

// Reconnect has the connections whose opening began before closed as soon as they are free.
func (p *Pool) Reconnect() {}

// Disable lets every wait fail with err, until Enable. Connections stay.
func (p *Pool) Disable(err error) {}

// Enable ends what Disable began.
func (p *Pool) Enable() {}

// Open is the number of server connections that are open, being opened or being closed, on all loops.
func (p *Pool) Open() int { return 0 }

// Loops returns the loops on which the pool's users should live.
func (p *Pool) Loops() []int { return nil }

// Part returns the pool's part on a loop. It is called on that loop alone; h is taken the first time.
func (p *Pool) Part(loop int, h Hooks) *Part { return nil }

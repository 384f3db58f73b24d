package pool

// Group is a set of pools on the same loops, and under the same Caps. Its methods may be called from any
// goroutine.
type Group struct{}

// NewGroup returns a group without pools, for loops numbered from 0.
func NewGroup(loops int) *Group { return &Group{} }

// Pool returns the pool with that key, made now if there is none, and puts opt in force.
func (g *Group) Pool(k Key, opt *Options) *Pool { return nil }

// Pools returns the pools that there are, in no order.
func (g *Group) Pools() []*Pool { return nil }

// SetCaps puts caps in force. Connections above them are closed as they come free.
func (g *Group) SetCaps(c Caps) {}

// Drop takes the pool out of the group: its waiters fail, its connections are closed as they come free.
func (g *Group) Drop(p *Pool) {}

package upstream

import (
	"context"
	"sync"
	"sync/atomic"

	"sluice/router"
)

// Spec is what the configuration, or a discovery, says of a backend.
type Spec struct {
	Addr string // host:port; the backend's identity within its cluster
	Role router.Role
	Zone string

	// What a discovery says besides; zero for a backend that is configured.
	Name      string            // the member's
	State     string            // as the discovery spells it
	Out       string            // why it takes no sessions; "" = it takes some
	NoBalance bool              // it takes no sessions but those that want the leader
	Tags      map[string]string // or labels
	Status    string            // host:port of its HTTP status port (TiDB); "" = it has none
	Leaving   bool              // it is about to stop, by what the discovery knows
	Lag       router.Lag
	Timeline  uint64 // 0 = not known

	routed router.Backend // what of it the router judges, see settled
}

// settled returns a copy that is ready to be in force: what the router judges is made once, and not for each
// unit of work.
func (s Spec) settled() *Spec {
	s.routed = router.Backend{Addr: s.Addr, Role: s.Role, Zone: s.Zone, Out: s.Out != "",
		NoBalance: s.NoBalance, Closing: s.Leaving, Tags: s.Tags, Healthy: true}
	return &s
}

// Health is a backend's state as its checks see it.
type Health uint32

const (
	Unknown Health = iota // not checked yet
	Up
	Down
)

// String returns the state in lower case.
func (h Health) String() string { return [...]string{"unknown", "up", "down"}[h] }

// Backend is one database server. Its fields are read from any goroutine.
type Backend struct {
	cluster  *Cluster
	addr     string
	spec     atomic.Pointer[Spec]
	health   atomic.Uint32
	sessions atomic.Int64
	outgoing atomic.Int64 // of them those that are being moved away
	gone     atomic.Bool
	drained  atomic.Pointer[string] // why it is to be emptied, by order; see Drain
	listed   atomic.Bool            // it stands in Options.OutOfService
	closing  atomic.Bool            // its server is about to stop, as its status port says
	unsigned atomic.Bool            // see CanSign
	version  atomic.Pointer[string] // as its status port says
	load     atomic.Pointer[router.Load]

	checks   atomic.Uint64 // made
	failures atomic.Uint64 // of them failed
	lastErr  atomic.Pointer[string]
	greeting atomic.Pointer[[]byte] // of its server, see codec.Greeted
	changed  atomic.Int64           // when health changed last, Unix nanoseconds
	verdict  sync.Mutex             // of opinions, and of health's changes
	opinions [ways]Health           // each its own

	reading  sync.Mutex // of changes to readings, and of counts
	counts   []counted  // the oldest first
	readings atomic.Pointer[[]router.Reading]

	kick       chan struct{}   // asks for a check at once
	kickStatus chan struct{}   // and for a look at the status port
	ctx        context.Context // of the checks; ends when the backend has gone
	stop       context.CancelFunc
}

func newBackend(c *Cluster, s Spec) *Backend {
	b := &Backend{cluster: c, addr: s.Addr, kick: make(chan struct{}, 1), kickStatus: make(chan struct{}, 1)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.spec.Store(s.settled())
	return b
}

// Addr is the backend's host:port.
func (b *Backend) Addr() string { return b.addr }

// Cluster is the cluster that the backend belongs to.
func (b *Backend) Cluster() *Cluster { return b.cluster }

// Spec is what is configured for the backend, or was found out of it.
func (b *Backend) Spec() Spec { return *b.spec.Load() }

// Role is the part that is configured for it, or was found out.
func (b *Backend) Role() router.Role { return b.spec.Load().Role }

// Leads tells whether the backend is its cluster's leader by what is known now. As soon as another one
// is, or the backend was taken out, it does not any more, whatever its server says.
func (b *Backend) Leads() bool { return b.Role() == router.Leader && !b.Gone() }

// Fits returns why the backend may not serve a session that wants w, by what is known now: "gone", or as
// router.Fits; "" if it may. Whether it is up is not asked.
func (b *Backend) Fits(w router.Want) (why string) {
	if b.Gone() {
		return "gone"
	}
	if b.drained.Load() == nil && !b.listed.Load() && !b.closing.Load() {
		return router.Fits(&b.spec.Load().routed, w) // nearly always, and without a copy
	}
	one := b.routed()
	one.Drained = one.Drained || b.listed.Load() && b.cluster.Elsewhere(w, b)
	return router.Fits(&one, w)
}

// routed is what the router judges, but for health and sessions, as it is now.
func (b *Backend) routed() router.Backend {
	one := b.spec.Load().routed
	one.Drained = b.drained.Load() != nil
	one.Closing = one.Closing || b.closing.Load()
	return one
}

// Health is the state that the checks have found.
func (b *Backend) Health() Health { return Health(b.health.Load()) }

// Sessions is the number of sessions on the backend and on their way to it.
func (b *Backend) Sessions() int { return int(b.sessions.Load()) }

// Gone tells that the backend was taken out of its cluster: its sessions are to leave.
func (b *Backend) Gone() bool { return b.gone.Load() }

// Checks returns how many health checks were made and how many of them failed.
func (b *Backend) Checks() (made, failed uint64) { return b.checks.Load(), b.failures.Load() }

// LastError is what the last failed check said, or "".
func (b *Backend) LastError() string {
	if p := b.lastErr.Load(); p != nil {
		return *p
	}
	return ""
}

// Join counts a session in that is being moved to the backend; Release counts it out.
func (b *Backend) Join() { b.sessions.Add(1) }

// Outgoing is the number of sessions that are being moved away; they are still among Sessions.
func (b *Backend) Outgoing() int { return int(b.outgoing.Load()) }

// Parting counts a session, by 1, that is being moved away, and by -1 no more, whatever came of it.
func (b *Backend) Parting(by int) { b.outgoing.Add(int64(by)) }

// Release gives back what Pick took: one session has left the backend.
func (b *Backend) Release() { b.sessions.Add(-1) }

// Suspect asks for a health check at once, or as soon as checkGap allows: a session could not connect,
// or lost its connection.
func (b *Backend) Suspect() {
	ask(b.kick)
	ask(b.kickStatus)
}

// ask asks for something that may be asked for already.
func ask(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

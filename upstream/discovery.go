package upstream

import (
	"context"
	"time"
)

// Discovery is how the backends of a cluster become known while it runs: what is configured for it.
type Discovery interface {
	// Start begins to look for backends and tells c what it finds. It does not block.
	Start(c Finds) Finder
}

// Finder is a discovery at work. Its methods may be called from any goroutine.
type Finder interface {
	// Update goes on by another configuration, if it is of the same kind; false: it can't.
	Update(d Discovery) bool
	// Refresh looks at once, and returns when what was found has been told, or nothing was.
	Refresh(ctx context.Context)
	// Hurry asks for a look soon, as something speaks for a change. It does not block.
	Hurry()
	// Status is how well it works.
	Status() FinderStatus
	// Close ends it. Nothing is told behind it.
	Close()
}

// Finds is what a Finder tells of; a Cluster is one.
type Finds interface {
	// Found replaces the backends. Those whose address stays keep their health and their sessions.
	Found(backends []Spec)
	// Hold has no new work begin on the leader, as another one is about to take over: until one does, or
	// EndHold, or the time is over.
	Hold(why string, max time.Duration)
	EndHold()
	// Held tells whether there is a hold, whoever asked for it: then a new leader should be found soon.
	Held() (why string, held bool)
}

// FinderStatus says how well a discovery works.
type FinderStatus struct {
	Polls, Failures uint64    // looks, and those that have found nothing out
	At              time.Time // of the last one that has found something; zero = none has
	Stale           bool      // the last one has not: what is in force is what was known before
	From            string    // who was asked
	LastError       string
}

package session

import (
	"context"
	"sync"
	"time"
)

// updateTimeout bounds how long UpdateClusters waits for what it has asked for.
const updateTimeout = 10 * time.Second

// UpdateClusters has what is known of every cluster brought up to date at once: a discovery looks, and all
// backends are checked. It returns the number of clusters, when what was found is in force for all sessions,
// or when that takes too long.
func (p *Proxy) UpdateClusters(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	clusters := p.Clusters()
	var all sync.WaitGroup
	for _, c := range clusters {
		all.Go(func() { c.Refresh(ctx) })
	}
	all.Wait()
	for _, b := range p.Backends() {
		b.Suspect()
	}
	p.settleNow(ctx)
	return len(clusters)
}

// settleNow returns when all that has changed so far is carried out, or ctx ends.
func (p *Proxy) settleNow(ctx context.Context) {
	done := make(chan struct{})
	select {
	case p.topology.orders <- done:
	case <-p.stop:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-p.stop:
	case <-ctx.Done():
	}
}

package session

import (
	"maps"

	"go.uber.org/zap"

	"sluice/engine"
	"sluice/router"
	"sluice/upstream"
)

// clusterView is what was known of a cluster when it was looked at last.
type clusterView struct {
	backends map[*upstream.Backend]upstream.Spec
	emptied  map[*upstream.Backend]emptying // of them those that are
	// held is since when (engine.Nano) work on the leader is held back; 0 = it is not.
	held int64
	// leader is the backend that led last, and since the moment (engine.Nano) at which it was seen not to
	// do so any more; 0 while it does.
	leader *upstream.Backend
	since  int64
}

// fence is an old leader that may not know yet that another one leads, and what it said since is not to be
// relied on.
type fence struct {
	backend *upstream.Backend
	since   int64 // engine.Nano
}

// clusterChange is what has changed in a cluster.
type clusterChange struct {
	fits   bool                // sessions may be fit for backends that they were not fit for, or not any more
	left   bool                // backends have gone
	turned []*upstream.Backend // that have begun or ceased to lead: their servers are other ones to a client
	fence  *fence
	events int // what has changed about the members, one line of the log each
}

// look finds out what has changed in a cluster, and logs it. It is the topology goroutine's alone.
func (v *clusterView) look(c *upstream.Cluster, log *zap.Logger) (ch clusterChange) {
	all := log.With(zap.String("cluster", c.Name()))
	found := c.Options().Discovery != nil
	if log = all; !found { // what is configured is known already
		log = zap.NewNop()
	}
	now := make(map[*upstream.Backend]upstream.Spec, len(v.backends))
	for _, b := range c.Backends() {
		spec := b.Spec()
		now[b] = spec
		was, known := v.backends[b]
		ch.compare(b, &was, &spec, known, log)
	}
	for b := range v.backends {
		if _, ok := now[b]; !ok {
			ch.fits, ch.left = true, true
			ch.events++
			log.Info("a backend has gone", zap.String("backend", b.Addr()))
		}
	}
	v.backends = now
	v.empty(c, &ch, all)
	if found && !c.Options().Peers {
		v.lead(c.Backends(), &ch, log)
	}
	v.hold(c, &ch, all)
	return ch
}

// hold takes note of whether work on the leader is held back for the next one.
func (v *clusterView) hold(c *upstream.Cluster, ch *clusterChange, log *zap.Logger) {
	why, held := c.Held()
	if held == (v.held != 0) {
		return
	}
	ch.fits = true
	if held {
		v.held = engine.Nano()
		log.Info("new work on the leader is held back", zap.String("why", why))
		return
	}
	log.Info("new work on the leader is not held back any more", zap.Duration("lasted", asDuration(engine.Nano()-v.held)))
	v.held = 0
}

// compare takes note of what has changed about one backend.
func (ch *clusterChange) compare(b *upstream.Backend, was, is *upstream.Spec, known bool, log *zap.Logger) {
	switch {
	case !known:
		log.Info("a backend was found", zap.String("backend", b.Addr()), zap.String("name", is.Name),
			zap.Stringer("role", is.Role), zap.String("state", is.State))
		ch.events++
		ch.fits = true
		return
	case was.Role != is.Role:
		log.Info("the role of a backend has changed", zap.String("backend", b.Addr()),
			zap.Stringer("from", was.Role), zap.Stringer("to", is.Role))
		ch.events++
		ch.fits = true
		if was.Role == router.Leader || is.Role == router.Leader {
			ch.turned = append(ch.turned, b)
		}
	}
	if was.State != is.State || was.Out != is.Out {
		log.Info("the state of a backend has changed", zap.String("backend", b.Addr()),
			zap.String("from", was.State), zap.String("to", is.State), zap.String("out", is.Out))
		ch.events++
		ch.fits = ch.fits || was.Out != is.Out
	}
	if was.NoBalance != is.NoBalance || was.Zone != is.Zone || !maps.Equal(was.Tags, is.Tags) {
		log.Info("the tags of a backend have changed", zap.String("backend", b.Addr()), zap.Any("tags", is.Tags))
		ch.events++
		ch.fits = true
	}
}

// lead takes note of who leads. That a leader does not lead any more fences it only when another one does:
// while there is none it may be the next one again.
func (v *clusterView) lead(list []*upstream.Backend, ch *clusterChange, log *zap.Logger) {
	var leader *upstream.Backend
	for _, b := range list {
		if leader == nil && b.Leads() {
			leader = b
		}
	}
	old := v.leader
	switch {
	case leader == old && leader != nil && v.since != 0:
		v.since = 0
		ch.events++
		log.Info("the cluster's leader leads again", zap.String("leader", leader.Addr()))
	case leader == old:
	case leader == nil:
		if v.since == 0 {
			v.since = engine.Nano()
			ch.events++
			log.Info("the cluster has no leader", zap.String("was", old.Addr()))
		}
	default:
		if old != nil {
			if v.since == 0 {
				v.since = engine.Nano()
			}
			ch.fence, ch.fits = &fence{old, v.since}, true
		}
		ch.events++
		if old == nil {
			log.Info("the cluster has a leader", zap.String("leader", leader.Addr()))
		} else {
			log.Info("the cluster has another leader", zap.String("leader", leader.Addr()), zap.String("was", old.Addr()))
		}
		v.leader, v.since = leader, 0
	}
}

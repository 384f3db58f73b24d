package session

import (
	"maps"

	"go.uber.org/zap"

	"sluice/upstream"
)

// emptying is why a backend is to be emptied, and whether the checks find each backend of its cluster down: who
// stays at one that is emptied depends on who else is up.
type emptying struct {
	why string
	up  string // the addresses of those that are not down
}

// empty takes note of which backends are to be emptied. Their sessions are looked at when that changes, and when
// another backend comes up, or down.
func (v *clusterView) empty(c *upstream.Cluster, ch *clusterChange, log *zap.Logger) {
	now := map[*upstream.Backend]emptying{}
	up := ""
	for _, b := range c.Backends() {
		if b.Health() != upstream.Down {
			up += b.Addr() + " "
		}
	}
	for _, b := range c.Backends() {
		why, emptied := b.Drained()
		if b.Closing() {
			why, emptied = "its server is about to stop", true
		}
		if emptied {
			now[b] = emptying{why, up}
		}
	}
	if maps.Equal(now, v.emptied) {
		return
	}
	ch.fits = true
	for b, e := range now {
		if was, known := v.emptied[b]; !known || was.why != e.why {
			ch.events++
			log.Info("a backend is emptied", zap.String("backend", b.Addr()), zap.String("why", e.why),
				zap.Int("sessions", b.Sessions()))
		}
	}
	for b := range v.emptied {
		if _, still := now[b]; !still {
			ch.events++
			log.Info("a backend is not emptied any more", zap.String("backend", b.Addr()))
		}
	}
	v.emptied = now
}

// unfit returns why the session may not stay at a backend, as Fits does; "" if it may. At one that is only to be
// emptied it may stay as long as there is no other one for it: to be cut off would do nobody any good.
func (s *Session) unfit(b *upstream.Backend) (why string) {
	if s.strayed() {
		return "namespace"
	}
	want := s.want()
	if why = b.Fits(want); emptied(why) && !s.cluster.Elsewhere(want, b) {
		return ""
	}
	return why
}

// emptied tells whether that is why a backend serves nobody any more that still could for a while.
func emptied(why string) bool { return why == "drained" || why == "shutdown" }

// leftBehind tells whether the listener's sessions stay at a backend though it is to be emptied, as there is no other
// one for them.
func (set *Settings) leftBehind(b *upstream.Backend) bool {
	want := set.want()
	return emptied(b.Fits(want)) && !set.cluster.Elsewhere(want, b)
}

// vacated tells that a pool's backend is to be emptied, and that nobody is left to use it: its connections are not kept,
// as a server that is told to stop may wait for their end.
//
// https://www.postgresql.org/docs/current/server-shutdown.html
func (spec *poolSpec) vacated(set *Settings) bool {
	b, want := spec.backend, set.want()
	if spec.reads {
		want.Roles = set.Sharing.ReadRoles
	}
	if _, drained := b.Drained(); !drained && !b.Closing() {
		return false
	}
	why := b.Fits(want)
	return why != "" && (!emptied(why) || spec.cluster.Elsewhere(want, b))
}

package session

import (
	"sync/atomic"

	"go.uber.org/zap"

	"sluice/router"
	"sluice/upstream"
)

// lagging are the backends that are too far behind for a listener. It outlives a reload, for who is behind
// comes back by other rules than who is not; it does not outlive a change of the listener's cluster.
type lagging struct {
	addrs atomic.Pointer[map[string]bool] // never changed, only replaced
}

// behind returns the addresses of those backends; not to be changed.
func (l *lagging) behind() map[string]bool {
	if l == nil {
		return nil
	}
	if m := l.addrs.Load(); m != nil {
		return *m
	}
	return nil
}

// judge looks at the lag of all backends and tells whether the judgement of any has changed. Only one
// goroutine at a time may do so.
func (set *Settings) judge(log *zap.Logger) (changed bool) {
	was := set.lagging.behind()
	now := map[string]bool{}
	for _, b := range set.cluster.Backends() {
		spec := b.Spec()
		if !spec.Role.Follows() || !router.Judge(was[b.Addr()], spec.Lag, set.Lag) {
			if was[b.Addr()] {
				changed = true
				set.logLag(log, b, "a backend is not too far behind any more")
			}
			continue
		}
		now[b.Addr()] = true
		if !was[b.Addr()] {
			changed = true
			set.logLag(log, b, "a backend is too far behind")
		}
	}
	if changed || len(now) != len(was) { // else those that have left are remembered
		set.lagging.addrs.Store(&now)
	}
	return changed
}

// logLag writes a line about a judgement that has changed.
func (set *Settings) logLag(log *zap.Logger, b *upstream.Backend, text string) {
	lag := b.Spec().Lag
	fields := []zap.Field{zap.String("listener", set.Name), zap.String("cluster", set.Cluster),
		zap.String("backend", b.Addr())}
	if lag.Known {
		fields = append(fields, zap.Uint64("lag_bytes", lag.Bytes))
	}
	if lag.TimeKnown {
		fields = append(fields, zap.Duration("lag_time", lag.Time))
	}
	if !lag.Known && !lag.TimeKnown {
		fields = append(fields, zap.String("lag", "not known"))
	}
	log.Info(text, fields...)
}

// Behind are the addresses of the backends that are too far behind for the frontend.
func (fe *Frontend) Behind() []string { return sortedKeys(fe.Settings().lagging.behind()) }

// Fits returns why a backend of its cluster may not serve the frontend's sessions: "role", "state", "tags",
// "lag" or "gone"; "" if it may.
func (fe *Frontend) Fits(b *upstream.Backend) (why string) { return b.Fits(fe.Settings().want()) }

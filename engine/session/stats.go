package session

import (
	"math/bits"
	"time"

	"sluice/codec"
	"sluice/upstream"
)

// histogram counts durations in buckets that double. It belongs to one loop; a scrape copies it there.
type histogram struct {
	count [bucketCount + 1]uint64 // the last one is everything longer
	sum   int64                   // nanoseconds
}

// bucketMin is the upper end of the first bucket, bucketCount the number of bounded ones: 25 µs to
// 52 s. The interesting part of a point query's life is well below a millisecond.
const (
	bucketMin   = 25 * time.Microsecond
	bucketCount = 22
)

// observe counts one duration, in nanoseconds.
func (h *histogram) observe(d int64) {
	if d < 0 {
		d = 0
	}
	i := bits.Len64(uint64(max(d-1, 0)) / uint64(bucketMin))
	h.count[min(i, bucketCount)]++
	h.sum += d
}

// add adds up two histograms.
func (h *histogram) add(o *histogram) {
	for i := range h.count {
		h.count[i] += o.count[i]
	}
	h.sum += o.sum
}

// kindStats are the figures of one kind of command on one backend.
type kindStats struct {
	failed   uint64
	duration histogram // command forwarded until its answer was complete
	reply    histogram // command forwarded until the first byte of its answer
}

func (k *kindStats) add(o *kindStats) {
	k.failed += o.failed
	k.duration.add(&o.duration)
	k.reply.add(&o.reply)
}

// backendStats are a loop's figures of one backend.
type backendStats struct {
	kinds    [codec.MaxKinds]*kindStats // made at the first command of that kind
	toServer uint64                     // bytes
	toClient uint64
}

// kind returns the figures of k, made on first use.
func (b *backendStats) kind(k codec.Kind) *kindStats {
	s := b.kinds[k]
	if s == nil {
		s = new(kindStats)
		b.kinds[k] = s
	}
	return s
}

func (b *backendStats) add(o *backendStats) {
	for k, s := range o.kinds {
		if s != nil {
			b.kind(codec.Kind(k)).add(s)
		}
	}
	b.toServer += o.toServer
	b.toClient += o.toClient
}

// frontendStats are a loop's figures of one listener.
type frontendStats struct {
	opened   uint64 // clients put on the loop
	sessions int64  // now
	ready    uint64 // logins that succeeded
	ended    [outcomes]uint64
	evicted  [len(evictions)]uint64 // asked to leave a backend, or cut off from it, by reason
	losses   [lossResults]uint64    // of the server, of sessions that have one to themselves
	login    histogram              // accept until the session was ready
	reads    readStats
}

func (f *frontendStats) add(o *frontendStats) {
	f.opened += o.opened
	f.sessions += o.sessions
	f.ready += o.ready
	for i := range f.ended {
		f.ended[i] += o.ended[i]
	}
	for i := range f.evicted {
		f.evicted[i] += o.evicted[i]
	}
	for i := range f.losses {
		f.losses[i] += o.losses[i]
	}
	f.login.add(&o.login)
	f.reads.add(&o.reads)
}

// loopStats are all figures of one loop. They are plain memory of that loop: counting takes no lock
// and shares no cache line.
type loopStats struct {
	frontends map[string]*frontendStats
	backends  map[*upstream.Backend]*backendStats
	dials     uint64
	dialFails uint64
	retries   uint64 // logins that went to another backend
	connected int64  // server connections that carry a session
	pending   int64  // server connections that are dialled or logged in to
	cancels   uint64
	kills     uint64
	moves     moveStats
	latency   histogram // of tasks given to the loop
}

func newLoopStats() loopStats {
	return loopStats{
		frontends: map[string]*frontendStats{},
		backends:  map[*upstream.Backend]*backendStats{},
	}
}

// frontend returns the figures of the listener with that name.
func (s *loopStats) frontend(name string) *frontendStats {
	f := s.frontends[name]
	if f == nil {
		f = new(frontendStats)
		s.frontends[name] = f
	}
	return f
}

// backend returns the figures of b.
func (s *loopStats) backend(b *upstream.Backend) *backendStats {
	f := s.backends[b]
	if f == nil {
		f = new(backendStats)
		s.backends[b] = f
	}
	return f
}

// add adds up the figures of several loops. Backends that have gone and carry no session any more are
// left out, and dropped from o, which must be the caller's own.
func (s *loopStats) add(o *loopStats) {
	for name, f := range o.frontends {
		s.frontend(name).add(f)
	}
	for b, f := range o.backends {
		if b.Gone() && b.Sessions() == 0 {
			delete(o.backends, b)
			continue
		}
		s.backend(b).add(f)
	}
	s.dials += o.dials
	s.dialFails += o.dialFails
	s.retries += o.retries
	s.connected += o.connected
	s.pending += o.pending
	s.cancels += o.cancels
	s.kills += o.kills
	s.moves.add(&o.moves)
	s.latency.add(&o.latency)
}

// unite adds up the figures of backends that bear the same name: one that has gone and still has sessions, and the one
// that has come back at its address.
func (s *loopStats) unite() {
	named := map[string]*upstream.Backend{}
	for b, f := range s.backends {
		name := backendLabels(b)
		if one := named[name]; one != nil {
			s.backends[one].add(f)
			delete(s.backends, b)
		} else {
			named[name] = b
		}
	}
}

package main

import (
	"context"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// scanEvery is the time between two looks at those that are waited for: gnet has no word for "sent".
const scanEvery = time.Millisecond

// pause stops the reading of a side until its peer has room.
func (r *relay) pause(s *side) {
	s.paused = true
	r.setMask(s)
	r.watch(s)
}

// resume goes on with it, and first with what was read meanwhile.
func (r *relay) resume(s *side) {
	s.paused, s.byHand = false, false
	r.setMask(s)
	switch {
	case s.gc.InboundBuffered() == 0:
	case s.peer.over:
		_, _ = s.gc.Discard(-1)
	default:
		r.forward(s)
	}
}

// watch has a side looked at until nothing is waited for.
func (r *relay) watch(s *side) {
	if !s.watched {
		s.watched = true
		r.watched = append(r.watched, s)
	}
	if !r.scanning {
		r.scanning = true
		loop := s.gc.EventLoop()
		time.AfterFunc(scanEvery, func() { _ = loop.Execute(context.Background(), gnet.RunnableFunc(r.scan)) })
	}
}

// scan looks at all that are waited for, on the loop.
func (r *relay) scan(context.Context) error {
	r.scanning = false
	list := r.watched
	r.watched = r.spare[:0]
	for _, s := range list {
		s.watched = false
		r.look(s)
		if s.gc != nil && (s.paused || s.closing) {
			r.watch(s)
		}
	}
	clear(list)
	r.spare = list[:0]
	return nil
}

// look does what is due on one side.
func (r *relay) look(s *side) {
	if s.gc != nil && s.byHand && s.gc.OutboundBuffered() > 0 {
		_ = s.gc.Flush() // an error has closed the connection
		if s.gc != nil {
			r.setMask(s)
		}
	}
	if s.gc == nil {
		return
	}
	if s.closing && s.gc.OutboundBuffered() == 0 {
		_ = s.gc.EventLoop().Close(s.gc)
		return
	}
	full := s.peer.gc != nil && s.peer.gc.OutboundBuffered() > lowWater
	unborn := s.peer.gc == nil && !s.peer.over
	if s.paused && !full && !unborn {
		r.resume(s)
	}
}

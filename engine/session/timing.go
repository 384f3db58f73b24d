package session

import (
	"time"

	"sluice/codec"
)

// timing takes the time of commands. It remembers when each open command began; of a deep pipeline,
// the commands beyond timedOpen count from the last begin that was remembered.
type timing struct {
	begun [timedOpen]int64 // a ring
	head  uint32           // of the oldest open command
	open  uint32
	now   int64  // the time of this piece of the stream; 0: not yet asked for
	reply int64  // until the first byte of the oldest command's answer; 0: not yet
	text  []byte // of the oldest command, for the request log
}

// timedOpen is how many open commands are timed one by one.
const timedOpen = 8

// last is when the newest command began; 0: there was none.
func (c *timing) last() int64 { return c.begun[(c.head+min(c.open, timedOpen)-1)%timedOpen] }

// asDuration makes nanoseconds a Duration.
func asDuration(ns int64) time.Duration { return time.Duration(ns) }

// time is the clock of the commands: the loop's, which stands still for a batch of events.
func (s *Session) time() int64 {
	if s.clock.now == 0 {
		s.clock.now = s.on.loop.Now()
	}
	return s.clock.now
}

// OnCommand notes the begin of a command.
func (s *Session) OnCommand(_ codec.Kind, text []byte) {
	t := &s.clock
	if t.open < timedOpen {
		t.begun[(t.head+t.open)%timedOpen] = s.time()
	}
	t.open++
	if s.log != nil && t.open == 1 {
		t.text = append(t.text[:0], text[:min(len(text), s.set.RequestText)]...)
	}
}

// OnReply notes the first byte of an answer.
func (s *Session) OnReply(k codec.Kind) {
	t := &s.clock
	t.reply = s.time() - t.begun[t.head%timedOpen]
	s.bst.kind(k).reply.observe(t.reply)
}

// OnDone notes the end of an answer.
func (s *Session) OnDone(k codec.Kind, failed bool) {
	t := &s.clock
	took := s.time() - t.begun[t.head%timedOpen]
	if s.sh != nil && s.sh.home != nil {
		s.sh.home.counts.queries++
		s.sh.home.counts.asked += took
	}
	ks := s.bst.kind(k)
	ks.duration.observe(took)
	if failed {
		ks.failed++
	}
	if s.log != nil {
		s.log.request(s, k, failed, took)
		t.text = t.text[:0]
	}
	t.reply = 0
	t.open--
	if t.open >= timedOpen {
		// The ring's newest stands for all that came after it.
		next := t.begun[(t.head+timedOpen-1)%timedOpen]
		t.head++
		t.begun[(t.head+timedOpen-1)%timedOpen] = next
		return
	}
	t.head++
}

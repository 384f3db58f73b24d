package session

import (
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/router/access"
)

// loopState is what the package keeps per loop. Only the loop touches it.
type loopState struct {
	loop  *engine.Loop
	list  Session // head of the sessions on the loop
	count int
	stats loopStats
	buf   []byte // for messages of Sluice's own

	// Of sessions that share server connections.
	turn     codec.Turn
	ownTurn  codec.Turn // of a connection that no client has
	busy     int        // events under way that may give server connections to sessions
	grants   []grant    // those that were given one, and go on behind the event
	homes    map[*poolSpec]*home
	shelves  map[shelfKey]*sharedShelf
	shelved  int      // shelves made so far
	spare    [][]byte // buffers for bytes that wait
	kinds    map[kindOf]*access.Found
	sweeper  engine.Timer
	watched  int  // sessions whose work is limited in time
	noticing bool // somebody waits for a server connection

	moves  moveQueue
	keeper keeper

	listeners map[*Session]struct{} // sessions that hear channels by a shared listening connection
}

func newLoopState(l *engine.Loop) *loopState {
	on := &loopState{loop: l, stats: newLoopStats(), homes: map[*poolSpec]*home{},
		listeners: map[*Session]struct{}{}, shelves: map[shelfKey]*sharedShelf{}}
	on.list.next, on.list.prev = &on.list, &on.list
	return on
}

// add puts a session in the loop's list.
func (on *loopState) add(s *Session) {
	s.prev, s.next = on.list.prev, &on.list
	s.prev.next, on.list.prev = s, s
	on.count++
}

// remove takes a session out of the list.
func (on *loopState) remove(s *Session) {
	on.keeper.passOver(s)
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
	on.count--
}

// all returns the sessions on the loop, oldest first.
func (on *loopState) all() []*Session {
	list := make([]*Session, 0, on.count)
	for s := on.list.next; s != &on.list; s = s.next {
		list = append(list, s)
	}
	return list
}

// someSessions is how many sessions are visited in one turn of a loop when all are.
const someSessions = 256

// each calls visit for every session of the loop, a few in each turn, so that the loop serves its
// sockets in between; then done, if given. It may be called from anywhere.
func (on *loopState) each(visit func(*Session), done func()) {
	on.loop.Run(func() { on.visit(on.all(), visit, done) })
}

func (on *loopState) visit(list []*Session, visit func(*Session), done func()) {
	n := min(len(list), someSessions)
	for _, s := range list[:n] {
		if s.on == on && s.stage != stageOver { // it may have moved meanwhile
			visit(s)
		}
	}
	if rest := list[n:]; len(rest) > 0 {
		on.loop.Run(func() { on.visit(rest, visit, done) })
		return
	}
	if done != nil {
		done()
	}
}

// latencyInterval is how often the time is taken that a task waits for its loop.
const latencyInterval = time.Second

// probeLatency gives the loop a task that notes how long it had to wait.
func (on *loopState) probeLatency() {
	start := engine.Nano()
	on.loop.Run(func() {
		on.stats.latency.observe(engine.Nano() - start)
		on.around(on.leaveDown)
	})
}

// spareMax bounds the buffers that a loop keeps, and spareSize, in bytes, what each may hold.
const (
	spareMax  = 1024
	spareSize = 16 << 10
)

// spareBuffer returns an empty buffer.
func (on *loopState) spareBuffer() []byte {
	n := len(on.spare)
	if n == 0 {
		return make([]byte, 0, 512)
	}
	b := on.spare[n-1]
	on.spare = on.spare[:n-1]
	return b
}

// keepBuffer takes a buffer that is not used any more.
func (on *loopState) keepBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= spareSize && len(on.spare) < spareMax {
		on.spare = append(on.spare, b[:0])
	}
}

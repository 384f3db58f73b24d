package postgres

import (
	"encoding/binary"
)

// gateWay is where the client's stream stands, as far as the Gate is concerned.
type gateWay uint8

const (
	wayGroup   gateWay = iota // inside a command: it has to be finished
	wayCopy                   // inside the data of COPY
	wayPending                // behind a whole command whose answer is due
	wayOpen                   // nothing is owed, and it is no safe point: the next command has to go on
	waySafe                   // a safe point
)

// Gate lets one command at a time go on, and none at a safe point: what a client sends ahead waits for the answer to
// what it has sent before, as that may end its transaction. So a chain of transactions without a gap, by BEGIN behind
// COMMIT, comes to a safe point too.
//
// What belongs to a command that has begun is never held: the rest of a message, of a group up to its Sync, of COPY.
func (m *movable) Gate(p []byte) (n int) {
	f := &m.follower
	way := f.way()
	if f.client.left > 0 {
		if uint64(f.client.left) >= uint64(len(p)) {
			return len(p)
		}
		n = int(f.client.left)
	}
	if f.client.have > 0 { // the header has gone on in part, and so the rest has to follow
		var ok bool
		if n, way, ok = f.finishHeader(p, way); !ok {
			return len(p)
		}
	}
	for n < len(p) {
		next, ok := way.pass(p[n])
		if !ok {
			return n
		}
		if len(p)-n < headerSize {
			if way == wayGroup {
				return len(p)
			}
			return n // its end may be long in coming
		}
		size := uint64(binary.BigEndian.Uint32(p[n+1:]))
		if !clientRules[p[n]].allows(uint32(size)) || size+1 >= uint64(len(p)-n) {
			return len(p) // for the follower to judge, or not whole yet
		}
		n += 1 + int(size)
		way = next
	}
	return n
}

// way is where the client's stream stands.
func (f *follower) way() gateWay {
	switch {
	case f.copying == copyIn && !f.group:
		return wayCopy
	case f.group || f.copying == copyFailed || f.copying == copyBoth:
		return wayGroup
	case f.Owed() > 0 || f.login:
		return wayPending
	case f.Busy() == "" || f.Busy() == "message":
		return waySafe
	}
	return wayOpen
}

// finishHeader is for a message whose header the follower has in part. ok is false if all of p belongs to it.
func (f *follower) finishHeader(p []byte, way gateWay) (n int, next gateWay, ok bool) {
	c := f.client // a copy
	typ, size, rest, ok := c.header(p)
	if !ok || !clientRules[typ].allows(size) || uint64(size-4) >= uint64(len(rest)) {
		return 0, way, false
	}
	n = len(p) - len(rest) + int(size-4)
	if next, ok = way.pass(typ); !ok {
		next = wayPending // it was on its way before the gate was closed
		if startsGroup(typ) {
			next = wayGroup
		}
	}
	return n, next, true
}

// startsGroup tells messages that a Sync has to follow.
func startsGroup(typ byte) bool {
	return typ == 'P' || typ == 'B' || typ == 'D' || typ == 'E' || typ == 'C'
}

// pass tells whether a message of that type may go on, and where the stream stands behind it.
func (w gateWay) pass(typ byte) (next gateWay, ok bool) {
	switch typ {
	case 'c', 'f':
		if w == wayCopy {
			return wayPending, true
		}
		return w, true // late ones are thrown away
	case 'd', 'H', msgTerminate:
		return w, w != waySafe || typ != 'H'
	case 'S':
		// Where an answer is due it may be the end of a COPY, and has no effect of its own otherwise.
		if w == wayGroup || w == wayOpen {
			return wayPending, true
		}
		return w, w != waySafe
	}
	switch {
	case w == wayPending || w == waySafe:
		return w, false
	case startsGroup(typ):
		return wayGroup, true
	}
	return wayPending, true // Query, FunctionCall
}

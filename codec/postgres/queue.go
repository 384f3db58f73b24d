package postgres

import "encoding/binary"

// queue is what the client has asked and the server has not yet answered: the client's stream in
// short form, oldest first, one byte for each token.
//
// The server's answers alone do not say which request they answer. A Sync inside COPY is never
// answered, an error skips what follows up to the next Sync, a Query can end a group without one.
// With the client's stream at hand those are decided as the server decides them: by order.
//
// It is a ring that grows as far as the client pipelines and is given back when it falls empty.
type queue struct {
	big   []byte // the ring; its length is a power of two; nil while small is enough
	small [smallQueue]byte
	head  uint32 // index of the oldest byte
	size  uint32 // bytes in use
}

const (
	smallQueue = 16      // bytes: most clients wait for each answer
	keptQueue  = 4 << 10 // bytes: a larger ring is not kept when it falls empty
	maxQueue   = 1 << 20 // bytes: as many requests as one client can have outstanding
)

// The tokens. A group is a run of extended-query messages up to its Sync.
const (
	tokGroup    byte = 1 + iota // a group has begun: Parse, Bind, Describe, Execute or Close
	tokSync                     // Sync, at the end of a group
	tokLoneSync                 // Sync where no group was open
	tokQuery                    // Query
	tokFunction                 // FunctionCall
	tokUnsynced                 // end of a group without a Sync; then its replies due [4 bytes]
	tokCopyEnd  byte = 0x80     // CopyDone or CopyFail; the low bits count them
)

// maxCopyEnds bounds the count in one tokCopyEnd. Any more in a row are not told apart.
const maxCopyEnds = 0x7f

// ring returns the bytes that the queue lives in.
func (q *queue) ring() []byte {
	if q.big != nil {
		return q.big
	}
	return q.small[:]
}

// at returns the byte i places behind the head.
func (q *queue) at(i uint32) byte {
	r := q.ring()
	return r[(q.head+i)&uint32(len(r)-1)]
}

// set replaces the byte i places behind the head.
func (q *queue) set(i uint32, b byte) {
	r := q.ring()
	r[(q.head+i)&uint32(len(r)-1)] = b
}

// push adds a byte at the end. It reports false when the queue is full.
func (q *queue) push(b byte) bool {
	r := q.ring()
	if int(q.size) == len(r) {
		if !q.grow() {
			return false
		}
		r = q.ring()
	}
	r[(q.head+q.size)&uint32(len(r)-1)] = b
	q.size++
	return true
}

func (q *queue) grow() bool {
	old := q.ring()
	if len(old) >= maxQueue {
		return false
	}
	r := make([]byte, 4*len(old))
	n := copy(r, old[q.head:])
	copy(r[n:], old[:q.head])
	q.big, q.head = r, 0
	return true
}

// pushCopyEnd adds a CopyDone or CopyFail: to the last token, if that is one already.
func (q *queue) pushCopyEnd() bool {
	if q.size == 0 || q.at(q.size-1)&tokCopyEnd == 0 {
		return q.push(tokCopyEnd | 1)
	}
	if last := q.at(q.size - 1); last&maxCopyEnds < maxCopyEnds {
		q.set(q.size-1, last+1)
	}
	return true
}

// pushUnsynced adds the end of a group that was due that many replies.
func (q *queue) pushUnsynced(replies uint32) bool {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], replies)
	return q.push(tokUnsynced) && q.push(b[0]) && q.push(b[1]) && q.push(b[2]) && q.push(b[3])
}

// unsynced returns the number behind the tokUnsynced that is i places behind the head.
func (q *queue) unsynced(i uint32) uint32 {
	return binary.BigEndian.Uint32([]byte{q.at(i + 1), q.at(i + 2), q.at(i + 3), q.at(i + 4)})
}

// width returns how many bytes a token takes.
func width(token byte) uint32 {
	if token == tokUnsynced {
		return 5
	}
	return 1
}

// pop takes n bytes from the front.
func (q *queue) pop(n uint32) {
	q.head = (q.head + n) & uint32(len(q.ring())-1)
	q.size -= n
	if q.size == 0 {
		q.head = 0
		if len(q.big) > keptQueue {
			q.big = nil
		}
	}
}

// sole takes the only byte.
func (q *queue) sole() byte {
	b := q.at(0)
	q.head, q.size = 0, 0
	if len(q.big) > keptQueue {
		q.big = nil
	}
	return b
}

// unpop puts b back to the front; there must be room, which a pop before it has made.
func (q *queue) unpop(b byte) {
	q.head = (q.head - 1) & uint32(len(q.ring())-1)
	q.size++
	q.set(0, b)
}

// answered returns how many bytes from the front a ReadyForQuery answers, when the server acts on
// everything: up to the first token that asks for one. With skipping, the server skips what follows
// an error, and only a Sync will do. 0 means that the client has not asked for it.
func (q *queue) answered(from uint32, skipping bool) uint32 {
	for i := from; i < q.size; {
		t := q.at(i)
		i += width(t)
		if t == tokSync || t == tokLoneSync || !skipping && (t == tokQuery || t == tokFunction) {
			return i
		}
	}
	return 0
}

// copyEnd looks behind the head for the end of the client's COPY data. It returns its place and how
// many Syncs stand before it, or found false if the client has not sent it yet; the Syncs are then
// those at the front. Every other message would be an error inside COPY, so the look ends there.
func (q *queue) copyEnd() (at, syncs uint32, found bool) {
	for at = 1; at < q.size; at++ {
		switch t := q.at(at); {
		case t&tokCopyEnd != 0:
			return at, syncs, true
		case t == tokSync || t == tokLoneSync:
			syncs++
		default:
			return at, syncs, false
		}
	}
	return at, syncs, false
}

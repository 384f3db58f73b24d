package postgres

// copyState is what COPY does to the streams.
type copyState uint8

const (
	copyNone   copyState = iota
	copyIn               // the client sends data until CopyDone or CopyFail
	copyFailed           // the server broke a copyIn off; its ReadyForQuery has not come
	copyOut              // the server sends data until CopyDone
	copyBoth             // both send data: replication
)

// While the server reads COPY data it ignores Sync (and Flush), for the good of clients that send
// it with the Execute and learn only later that this was a COPY. They send another one behind
// CopyDone:
//
//	P B E S ─▶      ◀─ 1 2 G      d d c S ─▶      ◀─ C Z
//
// If the COPY succeeds, the server has read CopyDone, and every Sync in front of it was ignored. If
// it fails, the server may have done so before it came to that Sync (which it then answers) or
// behind it, and its bytes do not say which. The rule here:
//
//   - a ReadyForQuery that comes before the client has sent a Sync behind its CopyDone answers the
//     Sync in front: there is no other;
//   - one that comes later answers the Sync behind. The one in front is counted as a stray, for
//     which a ReadyForQuery may or may not be on its way. It would come in front of any other
//     message, so the first message of the next answer tells; until then the session is busy.
//
// A group that ended a COPY this way may be answered by the Sync of what the client took for the
// next group; nothing of that makes the count of what is owed wrong for longer than one command.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY

// endsCopy tells whether a Sync, where no group is open, may belong to the one group that is owed:
// a COPY whose own Sync is in doubt.
func (f *follower) endsCopy() bool {
	return (f.copying == copyIn || f.copying == copyFailed) &&
		f.commands == 1 && f.queue.at(0) == tokGroup
}

// copyDone takes a CommandComplete, which ends a COPY that succeeded.
func (f *follower) copyDone() {
	was := f.copying
	f.copying = copyNone
	if was != copyIn {
		return
	}
	_, syncs, found := f.queue.copyEnd()
	if !found {
		return
	}
	f.swallow(syncs)
	head, end := f.queue.at(0), f.queue.at(1)
	f.queue.pop(2)
	if end&maxCopyEnds > 1 {
		f.queue.unpop(end - 1)
	}
	f.queue.unpop(head)
	if syncs > 0 {
		f.got = 0 // due is counted from the last Sync, and so is this
	}
}

// swallow takes n Syncs out of the queue, behind the COPY at its front that has them for data.
func (f *follower) swallow(n uint32) {
	head := f.queue.at(0)
	f.queue.pop(1)
	for ; n > 0; n-- {
		if f.queue.at(0) == tokLoneSync {
			f.eaten++
		}
		f.queue.pop(1)
	}
	f.queue.unpop(head)
}

// copyAnswered returns how much of the queue a ReadyForQuery answers that ends a COPY that has
// failed, and counts the strays.
func (f *follower) copyAnswered() uint32 {
	at, syncs, found := f.queue.copyEnd()
	if f.queue.at(0) != tokGroup {
		f.strays += syncs
		f.swallow(syncs)
		return f.queue.answered(0, false)
	}
	if found {
		if n := f.queue.answered(at+1, true); n > 0 {
			f.strays += syncs
			return n
		}
	}
	return f.queue.answered(0, true)
}

// isStray tells whether a ReadyForQuery can only be the answer to a stray: what stands at the front
// has another message in front of its own, and the first of those would have ended the doubt.
func (f *follower) isStray() bool {
	return f.queue.size == 0 || !f.headIsSync()
}

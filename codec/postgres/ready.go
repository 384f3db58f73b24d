package postgres

import (
	"errors"
	"fmt"

	"sluice/codec"
)

var errUnasked = errors.New("postgres: the server sent ReadyForQuery that nobody asked for")

// ready takes a ReadyForQuery.
func (f *follower) ready(status byte) error {
	switch status {
	case 'I':
		f.tx = codec.TxIdle
	case 'T':
		f.tx = codec.TxOpen
	case 'E':
		f.tx = codec.TxFailed
	default:
		return fmt.Errorf("postgres: the server sent the unknown transaction status 0x%02x", status)
	}
	f.described = 0
	if f.login {
		f.login = false
		if f.track != nil {
			f.track.told.share()
		}
		return nil
	}
	if f.strays > 0 && f.isStray() {
		f.strays--
		return nil
	}
	n := f.answered()
	if n == 0 {
		return errUnasked
	}
	if !f.replied {
		f.onReply()
	}
	f.finish(n)
	return nil
}

// answered returns how many bytes of the queue a ReadyForQuery answers.
func (f *follower) answered() uint32 {
	if f.copying == copyFailed {
		return f.copyAnswered()
	}
	return f.queue.answered(0, f.skip)
}

// finish takes n bytes of the queue as answered and tells of the commands in them. All but the last
// had no ReadyForQuery of their own: they failed if the server skipped on to this one.
func (f *follower) finish(n uint32) {
	failed, skipped := f.failed, f.failed && f.skip
	f.replied, f.failed, f.skip = false, false, false
	f.got, f.ran = 0, f.got
	f.copying = copyNone
	if f.queue.size == 1 { // all that there is, as for those who wait for each answer
		if k, ok := commandOf(f.queue.sole()); ok {
			f.done(k, failed)
			f.doneEaten()
		}
		return
	}

	var last codec.Kind
	begun := false
	for n > 0 {
		t := f.queue.at(0)
		n -= width(t)
		f.queue.pop(width(t))
		if k, ok := commandOf(t); ok {
			if begun {
				f.done(last, skipped)
				f.doneEaten()
			}
			last, begun = k, true
		}
	}
	for f.queue.size > 0 && f.queue.at(0)&tokCopyEnd != 0 {
		f.queue.pop(1) // late: the server throws it away
	}
	if begun {
		f.done(last, failed)
		f.doneEaten()
	}
}

// doneEaten tells of the Syncs that the COPY before them has taken.
func (f *follower) doneEaten() {
	for f.eaten > 0 {
		f.eaten--
		f.done(kindExtended, false)
	}
}

// done tells of a command's end.
func (f *follower) done(k codec.Kind, failed bool) {
	f.commands--
	if f.track != nil {
		f.track.end(failed, f.ran)
		f.ran = 0
	}
	if f.watch != nil {
		f.watch.OnDone(k, failed)
	}
}

// commandOf returns the kind of command that begins with a token, if one does.
func commandOf(token byte) (k codec.Kind, ok bool) {
	switch token {
	case tokGroup, tokLoneSync:
		return kindExtended, true
	case tokQuery:
		return kindQuery, true
	case tokFunction:
		return kindFunction, true
	}
	return 0, false
}

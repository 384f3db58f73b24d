package postgres

import (
	"errors"
	"fmt"
)

var errSecondKey = errors.New("postgres: the server sent a second key")

// serverMessage counts what a message of the server answers, by its type.
func (f *follower) serverMessage(typ byte) error {
	switch typ {
	case 'N', 'A', 'S':
		return nil // may come at any time and answer nothing
	case 'K':
		if !f.login || f.hasKey {
			return errSecondKey
		}
		return nil
	case 'Z':
		return nil // counted with its status
	case 'E':
		f.failure()
		return nil
	}
	if !f.replied {
		if err := f.reply(typ); err != nil {
			return err
		}
	}
	switch typ {
	case '1', '2':
		f.got++
		f.described = 0
	case '3', 'n', 'I', 's':
		f.got++
	case 'C':
		f.got++
		f.copyDone()
		f.completed()
	case 'T':
		f.got++
		f.described = makesUnlessRows
		if f.copying == copyBoth {
			f.copying = copyNone // replication has come to the end of a timeline
		}
	case 'G':
		f.copying = copyIn
	case 'H':
		f.copying = copyOut
	case 'W':
		f.copying = copyBoth
	case 'c':
		if f.copying == copyOut {
			f.copying = copyNone
		}
	}
	return nil
}

// reply takes the first message of an answer.
func (f *follower) reply(typ byte) error {
	f.strays = 0 // they would have come before it
	for f.queue.size > 0 && f.headIsSync() {
		f.finish(1) // this message can't answer a Sync: the server has taken that one for COPY data
	}
	if f.login || f.queue.size == 0 {
		return fmt.Errorf("postgres: the server sent type %q that nobody asked for", typ)
	}
	f.onReply()
	return nil
}

// headIsSync tells whether the oldest thing owed is the answer to a Sync and nothing else.
func (f *follower) headIsSync() bool {
	t := f.queue.at(0)
	return t == tokSync || t == tokLoneSync
}

// commandBehind tells whether a command stands behind the Sync at the front.
func (f *follower) commandBehind() bool {
	return f.commands > 1 || f.commands == 1 && f.queue.at(0) == tokSync
}

func (f *follower) onReply() {
	f.replied = true
	if f.watch != nil && f.commands > 0 {
		if k, ok := commandOf(f.queue.at(0)); ok {
			f.watch.OnReply(k)
		}
	}
}

// failure takes the beginning of an ErrorResponse. Inside a group, the server then skips everything
// up to a Sync, even a Query.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
func (f *follower) failure() {
	f.fatal = fatal{}
	if f.login || f.queue.size == 0 {
		return // the server's own: most likely it ends the connection
	}
	if !f.replied {
		f.strays = 0
		for f.headIsSync() && f.commandBehind() {
			f.finish(1) // a Sync alone can't fail: this answers what is behind it
		}
		f.onReply()
	}
	f.failed = true
	if f.queue.at(0) == tokGroup && f.groupFailed() {
		f.skip = true
	}
	switch f.copying {
	case copyIn:
		f.copying = copyFailed
	case copyOut, copyBoth:
		f.copying = copyNone
	}
}

// groupFailed tells whether the error belongs to the group at the front, and not to a Query or
// FunctionCall that ended it without a Sync: those are next when all of the group's replies have
// come.
func (f *follower) groupFailed() bool {
	for i := uint32(1); i < f.queue.size; i++ {
		switch t := f.queue.at(i); {
		case t == tokUnsynced:
			return f.got < f.queue.unsynced(i)
		case t != tokGroup && t&tokCopyEnd == 0:
			return true
		}
	}
	return true
}

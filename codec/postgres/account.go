package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"sluice/codec"
)

var (
	errTooDeep = errors.New("postgres: the client has too many requests outstanding")
	errUnasked = errors.New("postgres: the server sent ReadyForQuery that nobody asked for")
)

// clientMessage counts what a message of the client asks for. body is what is at hand of its body.
//
// Flush asks for no message of its own, so alone it opens no group.
func (f *follower) clientMessage(typ byte, body []byte) error {
	ok := true
	switch typ {
	case 'Q', 'F':
		ok = f.simple(typ, body)
	case 'P', 'B', 'D', 'E', 'C':
		if !f.group {
			f.group = true
			f.due = 0
			ok = f.queue.push(tokGroup)
			f.begin(kindExtended, typ, body)
		}
		if f.due < math.MaxUint32 {
			f.due++
		}
	case 'S':
		ok = f.sync()
	case 'c', 'f':
		if f.queue.size > 0 { // or else it is late: its COPY has failed and been answered
			ok = f.queue.pushCopyEnd()
		}
	case msgTerminate:
		f.ending = true
	}
	if !ok {
		return errTooDeep
	}
	return nil
}

// simple counts a Query or FunctionCall. It is answered by ReadyForQuery without a Sync, and so ends
// a group that had none, unless that has failed.
func (f *follower) simple(typ byte, body []byte) bool {
	if f.group {
		f.group = false
		if !f.queue.pushUnsynced(f.due) {
			return false
		}
	}
	if typ == 'F' {
		f.begin(kindFunction, typ, nil)
		return f.queue.push(tokFunction)
	}
	f.begin(kindQuery, typ, body)
	return f.queue.push(tokQuery)
}

// sync counts a Sync.
func (f *follower) sync() bool {
	if f.group || f.endsCopy() {
		f.group = false
		return f.queue.push(tokSync)
	}
	f.begin(kindExtended, 'S', nil)
	return f.queue.push(tokLoneSync)
}

// begin tells of a command.
func (f *follower) begin(k codec.Kind, typ byte, body []byte) {
	f.commands++
	if f.watch != nil {
		f.watch.OnCommand(k, statement(typ, body))
	}
}

// statement returns the text of the statement in a Query or Parse, as far as body holds it.
func statement(typ byte, body []byte) []byte {
	switch typ {
	case 'P':
		name := bytes.IndexByte(body, 0)
		if name < 0 {
			return nil
		}
		body = body[name+1:]
	case 'Q':
	default:
		return nil
	}
	if end := bytes.IndexByte(body, 0); end >= 0 {
		body = body[:end]
	}
	return body
}

// serverMessage counts what a message of the server answers, by its type.
func (f *follower) serverMessage(typ byte) error {
	switch typ {
	case 'N', 'A', 'S':
		return nil // may come at any time and answer nothing
	case 'K':
		if !f.login || f.hasKey {
			return fmt.Errorf("postgres: the server sent a second key")
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
	case '1', '2', '3', 'n', 'T', 'I', 's':
		f.got++
	case 'C':
		f.got++
		f.copyDone()
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
		return fmt.Errorf("postgres: the server sent a message of type %q that nobody asked for", typ)
	}
	f.onReply()
	return nil
}

// headIsSync tells whether the oldest thing owed is the answer to a Sync and nothing else.
func (f *follower) headIsSync() bool {
	t := f.queue.at(0)
	return t == tokSync || t == tokLoneSync
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
		for f.headIsSync() && f.commands > 1 {
			f.finish(1)
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
// FunctionCall that ended it without a Sync: those are next when all of the group's replies have come.
func (f *follower) groupFailed() bool {
	for i := uint32(1); i < f.queue.size; i++ {
		switch t := f.queue.at(i); {
		case t == tokUnsynced:
			return f.got < f.queue.unsynced(i)
		case t&tokCopyEnd == 0:
			return true
		}
	}
	return true
}

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
	if f.login {
		f.login = false
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
	if f.copying == copyIn || f.copying == copyFailed {
		return f.copyAnswered()
	}
	return f.queue.answered(0, f.skip)
}

// finish takes n bytes of the queue as answered and tells of the commands in them.
func (f *follower) finish(n uint32) {
	first := true
	for n > 0 {
		t := f.queue.at(0)
		w := width(t)
		f.queue.pop(w)
		n -= w
		if k, ok := commandOf(t); ok {
			f.done(k, f.failed && (f.skip || n == 0 || t == tokGroup))
			for first && f.eaten > 0 {
				f.eaten--
				f.done(kindExtended, false)
			}
			first = false
		}
	}
	for f.queue.size > 0 && f.queue.at(0)&tokCopyEnd != 0 {
		f.queue.pop(1) // late
	}
	f.replied, f.failed, f.skip = false, false, false
	f.got = 0
	f.copying = copyNone
}

// done tells of a command's end.
func (f *follower) done(k codec.Kind, failed bool) {
	f.commands--
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

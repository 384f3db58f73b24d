package postgres

import (
	"bytes"
	"errors"
	"math"

	"sluice/codec"
)

var errTooDeep = errors.New("postgres: the client has too many requests outstanding")

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
		f.ending, f.quit = true, true
	}
	if !ok {
		return errTooDeep
	}
	return nil
}

// simple counts a Query or FunctionCall. It is answered by ReadyForQuery without a Sync, and so
// ends a group that had none, unless that has failed.
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
	if f.track != nil {
		f.track.begin(k == kindExtended)
	}
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
